#!/bin/bash
# Imports archives of images into a folder that containerd can then run with, in namespaces of its own.
# Usage: unshare --mount --net --pid --fork --kill-child --propagation private --mount-proc import.sh ROOT PACKAGES ARCHIVE…
set -eu
root=$1 packages=$2
shift 2
for archive; do exec {file}<"$archive"; files+=("/proc/self/fd/$file"); done
mount --bind "$packages" "$root/packages"
mount --rbind "$root" /mnt
mount -t tmpfs none /run
export PATH=/mnt/packages/links:$PATH
export LD_LIBRARY_PATH=/mnt/packages/usr/lib/x86_64-linux-gnu:/mnt/packages/lib/x86_64-linux-gnu
printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >/run/containerd.toml
containerd --config=/run/containerd.toml --root=/mnt/root --state=/run/containerd --address=/run/containerd.sock >/mnt/containerd.log 2>&1 &
containerd=$!
until [ -S /run/containerd.sock ]; do
  kill -0 $containerd || { tail -n 5 /mnt/containerd.log >&2 && exit 1; }
  sleep 0.05
done
for file in "${files[@]}"; do ctr --address=/run/containerd.sock --namespace=k8s.io images import "$file" >&2; done
kill $containerd
wait $containerd || true
