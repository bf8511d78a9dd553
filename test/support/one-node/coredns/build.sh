#!/bin/sh
# Prints the path of CoreDNS with the plugins of main.go; builds it when the cache has none for these sources and this Go: a minute on two
# cores, its download included. Two at a time: the second waits for the first. Progress goes to standard error.
set -eu
cd "$(dirname "$0")"
say() { echo "coredns: $*" >&2; }

version=$(sed -n 's#^require github.com/coredns/coredns \(v[^ ]*\)$#\1#p' go.mod)
key=$({ cat go.mod go.sum main.go build.sh && go version; } | sha256sum | cut -c 1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/llama-swap/kubernetes
program=$folder/coredns-$version-$key

if [ ! -x "$program" ]; then
  mkdir -p "$folder"
  exec 9>"$program.lock"
  flock 9
  if [ ! -x "$program" ]; then
    say "building CoreDNS $version, once; about a minute on two cores"
    # The flags of the Kubernetes of these tests: what both need is compiled once.
    CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOGC=400 nice -n 10 go build -trimpath -gcflags=all=-dwarf=false -ldflags='-s -w' \
      -o "$program.part" . >"$program.log" 2>&1 || {
      tail -n 20 "$program.log" >&2
      say "the build failed; all of its output is in $program.log"
      exit 1
    }
    mv "$program.part" "$program"
    rm -f "$program.log"
  fi
  rm -f "$program.lock"
fi
echo "$program"
