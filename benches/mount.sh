#!/usr/bin/env bash
# How fast a mount is, beside a plain directory on the same disk and the same directory through bindfs.
#
#     benches/mount.sh [--quick] [--rounds N] [--stages "data small ..."] [--at DIR] [--drop-caches] [--keep FILE]
#
# Each round runs every stage on every side in turn, beginning with another side each time, so that noise falls on all
# alike; the table holds medians. Keyfold runs twice: in an unversioned bucket and in a versioned one. Nothing leaves
# this machine, and what was made is unmounted and removed however the run ends.
#
# Environment: KEYFOLD is the binary (else the release build, else the one in PATH), and MOUNT_OPTIONS its -o options.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=mount-scripts/say.sh
. "$here/../mount-scripts/say.sh"

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit "$1"
}

scale=full
rounds=5
stages="data small fresh-list fresh-stat change several programs"
at=${TMPDIR:-/tmp}
drop_caches=
keep=
while [ "$#" -gt 0 ]; do
    case $1 in
    --quick)
        scale=quick
        rounds=2
        ;;
    --rounds) rounds=${2:?} && shift ;;
    --stages) stages=${2:?} && shift ;;
    --at) at=${2:?} && shift ;;
    --keep) keep=${2:?} && shift ;;
    --drop-caches) drop_caches=yes ;;
    -h | --help) usage 0 ;;
    *) usage 2 ;;
    esac
    shift
done

target=${CARGO_TARGET_DIR:-${KEYFOLD_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/keyfold}/target}
keyfold=${KEYFOLD:-}
if [ -z "$keyfold" ] && [ -x "$target/release/keyfold" ]; then keyfold=$target/release/keyfold; fi
if [ -z "$keyfold" ]; then keyfold=$(command -v keyfold || true); fi
[ -n "$keyfold" ] || fail "there is no keyfold to measure" "neither a release build nor one in PATH" \
    "cargo build --release, or KEYFOLD=PATH $0"
have python3 || fail "python3 is not there" "the jobs are written in it" "install python3"
have fio || note "without fio the rows of random reads and writes are left out"

sides=(plain keyfold keyfold-v)
if have bindfs; then
    sides=(plain bindfs keyfold keyfold-v)
else
    note "without bindfs there is nothing to compare a FUSE file system with"
fi

scratch=$(mktemp -d "$at/keyfold-bench.XXXXXX")
results=$scratch/results.tsv

unmount() {
    mountpoint -q "$1" || return 0
    fusermount3 -u "$1" 2>/dev/null || umount "$1" 2>/dev/null || fusermount3 -uz "$1" 2>/dev/null || umount -l "$1"
}

clean() {
    local status=$?
    trap - EXIT INT TERM
    unmount "$scratch/keyfold" || true
    unmount "$scratch/bindfs" || true
    if [ -n "$keep" ] && [ -s "$results" ]; then cp "$results" "$keep"; fi
    rm -rf --one-file-system "$scratch"
    exit "$status"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# `fresh SIDE`: the side as it is right after mounting, with the kernel's memory of its files gone.
fresh() {
    case $1 in
    bindfs)
        unmount "$scratch/bindfs"
        chill "$scratch/below-bindfs"
        bindfs "$scratch/below-bindfs" "$scratch/bindfs"
        ;;
    keyfold*)
        unmount_keyfold
        chill "$scratch/store"
        mount_keyfold
        ;;
    plain) chill "$scratch/plain" ;;
    esac
    # The kernel's names and inodes of a plain directory go only with everybody else's.
    if [ -n "$drop_caches" ]; then
        sync
        echo 3 >/proc/sys/vm/drop_caches
    fi
}

chill() { python3 "$here/jobs.py" chill "$@"; }

mount_keyfold() {
    "$keyfold" mount "$scratch/store" "$scratch/keyfold" ${MOUNT_OPTIONS:+-o "$MOUNT_OPTIONS"} >/dev/null
}

unmount_keyfold() {
    timeout 60 "$keyfold" umount "$scratch/keyfold" >/dev/null || unmount "$scratch/keyfold"
}

place_of() {
    case $1 in
    plain) echo "$scratch/plain" ;;
    bindfs) echo "$scratch/bindfs" ;;
    keyfold) echo "$scratch/keyfold/unversioned" ;;
    keyfold-v) echo "$scratch/keyfold/versioned" ;;
    esac
}

# Files whose pages a cold read must not find: those under the side.
below() {
    case $1 in
    bindfs) echo "$scratch/below-bindfs" ;;
    keyfold*) echo "$scratch/store" ;;
    esac
}

stage() {
    local side=$1 stage=$2 under=()
    case $stage in fresh-*) fresh "$side" ;; esac
    mapfile -t under < <(below "$side")
    timeout 600 python3 "$here/jobs.py" run "$stage" "$side" "$(place_of "$side")" "$scratch" "$scale" "$results" \
        "${under[@]}" || fail "the stage $stage did not end well on $side" "its message is above" \
        "run it alone: $0 --quick --rounds 1 --stages \"$stages\""
}

say "Preparing in $scratch"
mkdir "$scratch"/{plain,below-bindfs,bindfs,keyfold}
note "$("$keyfold" --version), $(stat -f -c %T "$scratch"), $(nproc) processors, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
python3 "$here/jobs.py" prepare "$scratch" "$scale"
for side in "${sides[@]}"; do
    if [ "$side" = bindfs ]; then bindfs "$scratch/below-bindfs" "$scratch/bindfs"; fi
done
"$keyfold" init "$scratch/store" >/dev/null
mount_keyfold
mkdir "$scratch"/keyfold/{unversioned,versioned}
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.s3.versioning", b"Enabled")' "$scratch/keyfold/versioned"

for ((round = 0; round < rounds; round++)); do
    say "Round $((round + 1)) of $rounds, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
    for one in $stages; do
        for ((n = 0; n < ${#sides[@]}; n++)); do
            side=${sides[(n + round) % ${#sides[@]}]}
            started=$SECONDS
            stage "$side" "$one"
            note "$one on $side: $((SECONDS - started)) s"
        done
    done
done

say "Results"
python3 "$here/jobs.py" table "$results"
echo "load at the end: $(cut -d ' ' -f 1-3 /proc/loadavg)"
