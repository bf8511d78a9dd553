#!/bin/sh
# Runs one node until it is told to end, and removes what is left of it then: processes in its network, cgroups and its folder. All else is
# in namespaces, which the kernel ends with their first process.
# Usage: outer.sh STATE CGROUP tied|free    (tied: ends when standard input does, so with who started it)
set -u
state=$1 cgroup=$2 life=$3
here=$(cd "$(dirname "$0")" && pwd)

exec 3<&0
setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child=KILL --propagation private --mount-proc \
  bash "$here/inner.sh" "$state" "$cgroup" </dev/null 3<&- >"$state/log/inner.log" 2>&1 &
node=$!
while first=$(tr -d ' ' <"/proc/$node/task/$node/children") && [ -z "$first" ]; do sleep 0.02; done
# Its network is not forgotten, nor its number given to another one, while this is open.
exec 4<"/proc/$first/ns/net"
echo "$first" >"$state/first.part" && mv "$state/first.part" "$state/first"

end() { kill -KILL "$first" 2>/dev/null || true; }
trap end TERM INT HUP
if [ "$life" = tied ]; then (cat <&3 >/dev/null; end) & fi
exec 3<&-
# A signal ends the wait, not the node's.
while kill -0 "$node" 2>/dev/null; do wait "$node"; done
exec sh "$here/clean.sh" "$state" "$cgroup"
