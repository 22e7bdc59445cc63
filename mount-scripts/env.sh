# shellcheck shell=bash
# Source this before cargo: `. mount-scripts/env.sh`
#
# RocksDB is 343 C++ files. This keeps its static library in a cache, named by version and platform, and points the
# build at it, so that it is compiled once a machine and not once a profile, a clean or a clone. Only the C++ is cached:
# the Rust bindings and lz4 (a package of its own, lz4-sys, linked beside it) come from cargo as usual.
#
# Sets  ROCKSDB_LIB_DIR, ROCKSDB_STATIC   where librocksdb.a lies, and that it is to be linked statically
#       CARGO_TARGET_DIR                  cargo's output, outside the clone
# Reads KEYFOLD_CACHE                     the cache, otherwise ~/.cache/keyfold
#       KEYFOLD_JOBS                      compilers at once, otherwise as many as processors and memory allow

_keyfold_scripts=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)
# shellcheck source=mount-scripts/say.sh
. "$_keyfold_scripts/say.sh"

# One compiler of RocksDB's takes up to 1 GB: as many as processors, fewer where memory (the machine's or the
# container's) is short.
_keyfold_jobs() {
    local cpus mib limit
    if [ -n "${KEYFOLD_JOBS:-}" ]; then
        echo "$KEYFOLD_JOBS"
        return
    fi
    cpus=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
    mib=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo 2>/dev/null || true)
    limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
    if [ "$limit" != max ] && [ "$((limit / 1048576))" -lt "${mib:-1000000}" ]; then mib=$((limit / 1048576)); fi
    if [ -n "$mib" ] && [ "$((mib / 1024))" -lt "$cpus" ]; then cpus=$((mib / 1024)); fi
    if [ "$cpus" -lt 1 ]; then cpus=1; fi
    echo "$cpus"
}

# Compiles librocksdb.a in the scratch directory $2 and moves it to $1; runs in a shell of its own. The release profile gives -O3; without
# debug=false the C compilers would be told -g and the library would be ten times as large.
_keyfold_build_rocksdb() {
    local library=$1 scratch=$2 built watcher status=0
    note "compiling RocksDB, once for this machine: 15 to 40 minutes on two processors"
    rm -rf "$scratch"
    mkdir -p "$scratch"
    # Says that something happens. Neither it nor cargo may keep the lock (9) when this shell is gone.
    (
        for _ in $(seq 120); do
            sleep 60 >/dev/null 2>&1
            note "$(find "$scratch" -path '*/librocksdb-sys-*/out/*.o' 2>/dev/null | wc -l) of 343 files compiled"
        done
    ) 9>&- &
    watcher=$!
    # shellcheck disable=SC2064
    trap "kill $watcher 2>/dev/null || true" EXIT
    (
        cd "$_keyfold_scripts/.." || exit 1
        unset ROCKSDB_LIB_DIR ROCKSDB_STATIC ROCKSDB_COMPILE CARGO_BUILD_TARGET
        CARGO_TARGET_DIR=$scratch CARGO_PROFILE_RELEASE_DEBUG=false \
            cargo build --release --jobs "$(_keyfold_jobs)" -p librocksdb-sys
    ) >&2 9>&- || status=$?
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    built=$(find "$scratch" -path '*/librocksdb-sys-*/out/librocksdb.a' 2>/dev/null | head -n 1)
    if [ "$status" -ne 0 ] || [ -z "$built" ]; then
        complain "RocksDB could not be compiled" "cargo ended with status $status; its messages are above" \
            "run mount-scripts/deps.sh build; with little memory set KEYFOLD_JOBS=1; then try again"
        return 1
    fi
    mkdir -p "$(dirname "$library")" &&
        cp "$built" "$library.$$" &&
        mv -f "$library.$$" "$library" &&
        rm -rf "$scratch"
}

_keyfold_env() {
    local cache version triple directory programs
    # Here rustup puts cargo, and cargo what it installs; a shell opened before that does not know it yet.
    programs=${CARGO_HOME:-${HOME:-}/.cargo}/bin
    case ":$PATH:" in
    *":$programs:"*) ;;
    *) export PATH=$PATH:$programs ;;
    esac
    if ! have cargo || ! have rustc; then
        complain "cargo is not there" "Keyfold is built from source by Rust" \
            "install Rust with rustup (https://rustup.rs), open a new shell and try again"
        return 1
    fi
    cache=${KEYFOLD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/keyfold}
    if ! mkdir -p "$cache" || ! cache=$(cd "$cache" && pwd); then
        complain "cannot use the cache directory $cache" "it cannot be made" "set KEYFOLD_CACHE to a directory of yours"
        return 1
    fi
    version=$(awk '/^name = "librocksdb-sys"$/ { getline; gsub(/version = |"/, ""); print; exit }' \
        "$_keyfold_scripts/../Cargo.lock")
    triple=$(rustc -vV | sed -n 's/^host: //p')
    if [ -z "$version" ] || [ -z "$triple" ]; then
        complain "cannot tell which RocksDB is needed" "Cargo.lock or rustc -vV does not say" \
            "check out Cargo.lock again; run rustc -vV and see that it names a host"
        return 1
    fi
    directory=$cache/rocksdb-$version-$triple
    if [ ! -s "$directory/librocksdb.a" ]; then
        (
            # Of two runs the second waits for the first and finds its library.
            if have flock; then flock 9; fi
            [ -s "$directory/librocksdb.a" ] ||
                _keyfold_build_rocksdb "$directory/librocksdb.a" "$cache/rocksdb-build"
        ) 9>"$cache/rocksdb.lock" || return 1
    fi
    export ROCKSDB_LIB_DIR=$directory ROCKSDB_STATIC=1 CARGO_TARGET_DIR=$cache/target
}

_keyfold_env
