#!/bin/sh
# Removes what a node leaves behind when its first process is gone: what others started in its network, which is open as file 4 if it is
# known, its cgroups and its folder. Usage: clean.sh STATE CGROUP
set -u
state=$1 cgroup=$2

if network=$(readlink /proc/self/fd/4) && [ "${network#net:}" != "$network" ]; then
  # "net:[1]" as a pattern that fits itself.
  pattern=$(echo "$network" | sed 's/[][]/\\&/g')
  inside() { find /proc -maxdepth 3 -path '/proc/[0-9]*/ns/net' -lname "$pattern" 2>/dev/null | cut -d / -f 3; }
  tries=20
  while pids=$(inside) && [ -n "$pids" ] && [ $tries -gt 0 ]; do
    kill -KILL $pids 2>/dev/null
    sleep 0.05
    tries=$((tries - 1))
  done
fi

left() { ls -d "/sys/fs/cgroup/$cgroup" /sys/fs/cgroup/*/"$cgroup" 2>/dev/null; }
tries=50
while [ -n "$(left)" ] && [ $tries -gt 0 ]; do
  for group in $(left); do find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null; done
  [ -z "$(left)" ] || sleep 0.1
  tries=$((tries - 1))
done
[ -z "$(left)" ] || echo "one-node: cgroups left behind:" $(left) >&2
rm -rf "$state" || { sleep 1 && rm -rf "$state"; }
