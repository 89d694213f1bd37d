#!/usr/bin/env bash
# Builds h2spec, the conformance test of HTTP/2, and prints the path of the program
# as its last line, ready to be used as POINTSMAN_H2SPEC.
#
# It lies outside the tree in a folder named after the pins in go.mod, so a second
# run only prints the path (and needs no Go). Progress goes to stderr.
#
#   POINTSMAN_H2SPEC_CACHE   where to build; default ~/.cache/pointsman/h2spec
#
# Exit codes: 0 done, 1 the build failed, 3 Go is missing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
cache=${POINTSMAN_H2SPEC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pointsman/h2spec}
pins=$(cat go.mod go.sum | { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; } | cut -c1-16)
target=$cache/$pins/h2spec

if [[ ! -x $target ]]; then
    if ! command -v go >/dev/null; then
        echo "h2spec: Go is needed to build it, and no 'go' is on PATH." >&2
        exit 3
    fi
    echo "h2spec: building" >&2
    mkdir -p "$cache/$pins"
    part=$target.$$.part # compiled aside and renamed, so a half-built file never counts
    CGO_ENABLED=0 GOWORK=off go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$part" \
        github.com/summerwind/h2spec/cmd/h2spec >&2 || { rm -f "$part"; exit 1; }
    mv -f "$part" "$target"
fi
printf '%s\n' "$target"
