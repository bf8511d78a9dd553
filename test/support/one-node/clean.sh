#!/bin/sh
# Removes what a node leaves behind when its processes are gone: its cgroups and its folder. Usage: clean.sh STATE CGROUP
set -u
state=$1 cgroup=$2
left() { ls -d "/sys/fs/cgroup/$cgroup" /sys/fs/cgroup/*/"$cgroup" 2>/dev/null; }
tries=50
while [ -n "$(left)" ] && [ $tries -gt 0 ]; do
  for group in $(left); do find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null; done
  [ -z "$(left)" ] || sleep 0.1
  tries=$((tries - 1))
done
[ -z "$(left)" ] || echo "one-node: cgroups left behind:" $(left) >&2
rm -rf "$state" || { sleep 1 && rm -rf "$state"; }
