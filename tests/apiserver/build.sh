#!/usr/bin/env bash
# Builds the real kube-apiserver beside an etcd and prints the folder that holds
# both as its last line, ready to be used as KUBEBUILDER_ASSETS.
#
# The folder lies outside the tree and is named after a digest of everything that
# decides its content, so a second run only prints it (and needs no Go), and a
# change of the pins builds anew. Progress goes to stderr, the path to stdout.
#
#   POINTSMAN_ENVTEST_CACHE   where to build; default ~/.cache/pointsman/envtest
#   POINTSMAN_ENVTEST_JOBS    packages compiled at once; default 2; the
#                             largest step takes 2.5 GiB
#   POINTSMAN_ENVTEST_ETCD    path of an etcd, or "build" for the one pinned in
#                             go.mod; default: etcd of PATH, else "build". With an
#                             etcd before 3.4.31 (Debian 12) or 3.5.13 the server
#                             refuses streaming lists (sendInitialEvents)
#
# Exit codes: 0 done, 1 the build failed, 2 bad setting, 3 Go is missing.
set -euo pipefail

say() { printf 'envtest: %s\n' "$*" >&2; }

digest() { # of stdin, cut to what a reader can compare
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-16
}

need_go() {
    command -v go >/dev/null && return
    say "Go is needed to build kube-apiserver, and no 'go' is on PATH."
    say "Install Go $(awk '$1 == "go" { print $2 }' go.mod) or newer, or point KUBEBUILDER_ASSETS at a folder" \
        "with kube-apiserver and etcd."
    exit 3
}

build() { # package, target, linker flags: compiled aside and renamed, so a half-built file never counts
    need_go
    say "building $(basename "$2") (minutes when the Go cache is cold)"
    local aside="$2.$$.part"
    CGO_ENABLED=0 GOWORK=off nice -n 10 \
        go build -p "$jobs" -trimpath -buildvcs=false -ldflags "-s -w $3" -o "$aside" "$1" >&2 || { rm -f "$aside"; exit 1; }
    mv -f "$aside" "$2"
}

version_flags() { # what the server answers on /version, taken from the pin in go.mod
    local version package flags=""
    version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' go.mod)
    local major=${version#v} minor=${version#v*.}
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $package.gitVersion=$version -X $package.gitMajor=${major%%.*} -X $package.gitMinor=${minor%%.*}"
        flags+=" -X $package.gitCommit=unknown -X $package.gitTreeState=clean"
    done
    printf '%s' "$flags"
}

cache=${POINTSMAN_ENVTEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pointsman/envtest}
jobs=${POINTSMAN_ENVTEST_JOBS:-2}
etcd=${POINTSMAN_ENVTEST_ETCD:-$(PATH="$PATH:/usr/sbin" command -v etcd || echo build)}
if [[ $etcd != build && ! -x $etcd ]]; then
    say "POINTSMAN_ENVTEST_ETCD names no program: $etcd"
    exit 2
fi
[[ $etcd == build ]] || etcd=$(realpath -s "$etcd")

cd "$(dirname "${BASH_SOURCE[0]}")"
assets=$cache/$({ cat go.mod go.sum main.go build.sh; uname -sm; echo "$etcd"; } | digest)
mkdir -p "$assets"
exec 9>"$assets/.lock"
if command -v flock >/dev/null; then flock 9; fi # a second run waits for the first instead of building too

[[ -x $assets/kube-apiserver ]] || build . "$assets/kube-apiserver" "$(version_flags)"
if [[ $etcd != build ]]; then
    ln -sf "$etcd" "$assets/etcd"
elif [[ ! -x $assets/etcd ]]; then
    build go.etcd.io/etcd/server/v3 "$assets/etcd" ""
fi
printf '%s\n' "$assets"
