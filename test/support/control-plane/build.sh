#!/bin/sh
# Prints the path of one program that holds etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kube-proxy; builds it
# when the cache has none for these sources and this Go. A cold build takes about six minutes on two cores, its download included.
# Two at a time: the second waits for the first. Progress goes to standard error.
set -eu
cd "$(dirname "$0")"
say() { echo "control-plane: $*" >&2; }

go=$(go version 2>/dev/null || true)
case $go in
*go1.2[6-9]* | *go1.[3-9][0-9]*) ;;
*)
  say "Go 1.26 or newer builds the Kubernetes of these tests. ${go:-There is no go on PATH}. Install Go (package golang, or its own archive) and put it on PATH."
  exit 1
  ;;
esac

version=$(sed -n 's#^\tk8s.io/kubernetes \(v[^ ]*\)$#\1#p' go.mod)
key=$({ cat go.mod go.sum cmd/cluster/main.go build.sh && echo "$go"; } | sha256sum | cut -c 1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/llama-swap/kubernetes
program=$folder/cluster-$version-$key

build() {
  say "building Kubernetes $version, once; about six minutes on two cores"
  minor=${version#v1.}
  minor=${minor%%.*}
  p=k8s.io/component-base/version
  # GOGC and -dwarf=false make a cold build about a sixth faster and change nothing in the stripped program.
  CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOGC=400 nice -n 10 go build -trimpath -gcflags=all=-dwarf=false \
    -ldflags="-s -w -X $p.gitVersion=$version -X $p.gitMajor=1 -X $p.gitMinor=$minor -X $p.gitTreeState=clean" \
    -o "$program.part" ./cmd/cluster >"$program.log" 2>&1 || {
    tail -n 20 "$program.log" >&2
    say "the build failed; all of its output is in $program.log"
    exit 1
  }
  mv "$program.part" "$program"
  rm -f "$program.log"
}

if [ ! -x "$program" ]; then
  mkdir -p "$folder"
  script=$$
  (
    seconds=0
    while sleep 10 2>/dev/null && kill -0 "$script" 2>/dev/null; do
      seconds=$((seconds + 10))
      say "$seconds s"
    done
  ) >/dev/null &
  clock=$!
  trap 'kill "$clock" 2>/dev/null || true' EXIT
  exec 9>"$program.lock"
  flock 9
  [ -x "$program" ] || build
fi
echo "$program"
