#!/bin/sh
# Runs a command in a node's network: files and processes are the machine's, kubectl, helm (4) and helm3 are on PATH, and lead there.
# Usage: in.sh NAME [--] COMMAND…    (or the node's folder for NAME)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=${here%/test/support/one-node}
case ${1:?the name of a node} in
/*) state=$1 ;;
*) state=$root/.tools/one-node/$1 ;;
esac
shift
if [ "${1-}" = -- ]; then shift; fi
[ -e "$state/first" ] || {
  echo "one-node: there is no node at $state: node test/support/one-node/up.ts NAME brings one up" >&2
  exit 1
}
export KUBECONFIG="$state/admin.kubeconfig" PATH="$state/bin:$root/node_modules/.bin:$PATH"
export LLAMA_SWAP_TEST_CONTROL_PLANE="$state/access.json"
# What these tools would write into the home folder.
export KUBECACHEDIR="$state/home/kube-cache" HELM_CACHE_HOME="$state/home/helm" HELM_CONFIG_HOME="$state/home/helm" HELM_DATA_HOME="$state/home/helm"
exec nsenter --target "$(cat "$state/first")" --net -- "$@"
