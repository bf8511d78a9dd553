#!/bin/sh
# Prints what tells why a story failed, in the node's network (in.sh): Pods, events, words of Pods that are not well, of the kubelet.
# Usage: diagnose.sh LOGS
set -u
logs=$1
say() { printf '\n--- %s\n' "$*"; }

say pods
kubectl get pods -A -o wide 2>&1 | head -n 60
say events
kubectl get events -A --sort-by=.metadata.creationTimestamp 2>&1 | tail -n 50 | cut -c 1-300
# Ready 1/1, restarts 0 and Running, or Completed, is well.
kubectl get pods -A --no-headers 2>/dev/null | awk '{ split($3, ready, "/") } $4 != "Completed" && (ready[1] != ready[2] || $5 != "0") { print $1, $2 }' |
  head -n 6 | while read -r namespace pod; do
    say "logs of $namespace/$pod"
    kubectl -n "$namespace" logs "$pod" --all-containers --prefix --tail=30 2>&1 | tail -n 60 | cut -c 1-400
    say "logs of $namespace/$pod before its restart"
    kubectl -n "$namespace" logs "$pod" --all-containers --prefix --previous --tail=20 2>&1 | tail -n 30 | cut -c 1-400
  done
say programs that ended
grep -h 'one-node: ' "$logs"/*.log | tail -n 10
say kubelet
grep -E '^[EF]' "$logs/kubelet.log" | grep -v 'node.* not found' | tail -n 15 | cut -c 1-400
