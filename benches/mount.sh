#!/usr/bin/env bash
# How fast a mount is, beside a plain directory on the same disk and other file systems on that disk.
#
#     benches/mount.sh [--quick] [--long] [--rounds N] [--stages "data small ..."] [--at DIR] [--drop-caches]
#                      [--keep FILE]
#
# Each round runs every stage on every side in turn, beginning with another side each time and every other round
# backwards, so that noise falls on all alike; the table holds medians. Keyfold runs twice: in an unversioned bucket and
# in a versioned one. The stage `scale` comes last and once: very many objects, a very large one, memory. --long adds
# JuiceFS, SeaweedFS, s3fs and rclone to bindfs and gocryptfs, those of them that are installed. Nothing leaves this
# machine, and what was made is unmounted and removed however the run ends.
#
# Environment: KEYFOLD is the binary (else the release build, else the one in PATH), and MOUNT_OPTIONS its -o options.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=mount-scripts/say.sh
. "$here/../mount-scripts/say.sh"
# shellcheck source=benches/sides.sh
. "$here/sides.sh"

form=full
rounds=5
stages="data small fresh-list fresh-stat change several programs fresh-du fresh-grep scale"
others=("${short_sides[@]}")
at=${TMPDIR:-/tmp}
drop_caches=
keep=
while [ "$#" -gt 0 ]; do
    case $1 in
    --quick)
        form=quick
        rounds=2
        ;;
    --long) others=("${short_sides[@]}" "${long_sides[@]}") ;;
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

need_keyfold
have python3 || fail "python3 is not there" "the jobs are written in it" "install python3"
have fio || note "without fio the rows of random reads and writes are left out"

scratch=$(realpath "$(mktemp -d "$at/keyfold-bench.XXXXXX")")
results=$scratch/results.tsv
store=$scratch/store
# Seconds that a stage may take.
limit=600

lower_others() {
    local side
    for side in "${others[@]}"; do lower "$side"; done
    stop_weed
}

clean() {
    local status=$?
    trap - EXIT INT TERM
    set +e
    unmount "$scratch/keyfold"
    lower_others
    if [ -n "$keep" ] && [ -s "$results" ]; then cp "$results" "$keep"; fi
    rm -rf --one-file-system "$scratch"
    exit "$status"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# `fresh SIDE`: the side as it is right after mounting, with the kernel's memory of its files gone.
fresh() {
    local under=()
    case $1 in
    keyfold*)
        unmount_keyfold
        chill "$store"
        mount_keyfold
        ;;
    plain) chill "$scratch/plain" ;;
    *)
        lower "$1"
        mapfile -t under < <(below "$1")
        chill "${under[@]}"
        "mount_$1" || return 1
        ;;
    esac
    forget
}

# The kernel's names and inodes of a plain directory go only with everybody else's.
forget() {
    [ -n "$drop_caches" ] || return 0
    sync
    echo 3 >/proc/sys/vm/drop_caches
}

chill() { python3 "$here/jobs.py" chill "$@"; }

mount_keyfold() {
    "$keyfold" mount "$store" "$scratch/keyfold" ${MOUNT_OPTIONS:+-o "$MOUNT_OPTIONS"} >/dev/null
}

unmount_keyfold() {
    timeout 60 "$keyfold" umount "$scratch/keyfold" >/dev/null || unmount "$scratch/keyfold"
}

# A new store, mounted, with a bucket of each kind.
make_keyfold() {
    "$keyfold" init "$store" >/dev/null
    mount_keyfold
    mkdir "$scratch"/keyfold/{unversioned,versioned}
    python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.s3.versioning", b"Enabled")' "$scratch/keyfold/versioned"
}

# The process that serves the store.
daemon() { "$keyfold" --json status "$store" | sed 's/.*"pid":\([0-9]*\).*/\1/'; }

place_of() {
    case $1 in
    keyfold) echo "$scratch/keyfold/unversioned" ;;
    keyfold-v) echo "$scratch/keyfold/versioned" ;;
    *) echo "$scratch/$1" ;;
    esac
}

# Files whose pages a cold read must not find: those under the side.
below() {
    case $1 in
    plain) ;;
    keyfold*) echo "$store" ;;
    seaweedfs | s3fs | rclone) printf '%s\n' "$scratch/below-$1" "$scratch/below-weed" ;;
    *) echo "$scratch/below-$1" ;;
    esac
}

# `try SIDE STAGE`: runs a stage; whether it ended well. Only then its values count.
try() {
    local side=$1 stage=$2 under=() daemon='' errors=/dev/stderr
    case $stage in fresh-*) fresh "$side" || return 1 ;; esac
    case $side in
    plain) ;;
    keyfold*) daemon=$(daemon) ;;
    *)
        errors=$scratch/$side.log
        mounted "$scratch/$side" || "mount_$side" || return 1
        ;;
    esac
    mapfile -t under < <(below "$side")
    : >"$scratch/stage.tsv"
    DAEMON=$daemon DROP_CACHES=$drop_caches timeout -k 10 "$limit" python3 "$here/jobs.py" run "$stage" "$side" \
        "$(place_of "$side")" "$scratch" "$form" "$scratch/stage.tsv" "${under[@]}" 2>>"$errors" || return 1
    cat "$scratch/stage.tsv" >>"$results"
}

# Stages that a side failed at, and that it is not asked for again.
declare -A left_out=()

# `stage SIDE STAGE`: the same, where Keyfold and the plain directory must end well.
stage() {
    local side=$1 stage=$2 started=$SECONDS
    if [ -n "${left_out[$side $stage]:-}" ]; then return; fi
    if try "$side" "$stage"; then
        note "$stage on $side: $((SECONDS - started)) s"
        return
    fi
    case $side in
    plain | keyfold*)
        fail "the stage $stage did not end well on $side" "its message is above" \
            "run it alone: $0 --quick --rounds 1 --stages \"$stages\""
        ;;
    esac
    note "$side fails at $stage and is left out there: $(tail -n 1 "$scratch/$side.log" 2>/dev/null || true)"
    left_out[$side $stage]=yes
    timeout -k 10 120 find "$scratch/$side" -mindepth 1 -delete 2>/dev/null || true
    # The next stage mounts it anew.
    lower "$side"
}

# `scale SIDE`: what is measured once, for Keyfold in a store that holds nothing else.
scale() {
    local side=$1 began took
    if [ "$side" = plain ]; then
        stage plain fill
        forget
        stage plain many
        rm -r "$scratch/plain/many"
        return
    fi
    unmount_keyfold
    rm -r "$store"
    store=$scratch/store-$side
    make_keyfold
    stage "$side" fill
    fresh "$side"
    stage "$side" names
    fresh "$side"
    stage "$side" many
    stage "$side" crash
    unmount "$scratch/keyfold"
    began=${EPOCHREALTIME/[.,]/}
    mount_keyfold
    ls "$scratch/keyfold" >/dev/null
    took=$((${EPOCHREALTIME/[.,]/} - began))
    printf 'open-killed\t%s\t%d.%06d\n' "$side" $((took / 1000000)) $((took % 1000000)) >>"$results"
    if [ "$side" = keyfold-v ]; then stage "$side" append; fi
}


say "Preparing in $scratch"
mkdir "$scratch"/{plain,keyfold,tmp}
note "$("$keyfold" --version), $(stat -f -c %T "$scratch"), $(nproc) processors, load $(busy)"
python3 "$here/jobs.py" prepare "$scratch" "$form"
make_keyfold
sides=(plain)
for side in "${others[@]}"; do
    if raise "$side"; then sides+=("$side"); fi
done
sides+=(keyfold keyfold-v)

for ((round = 0; round < rounds; round++)); do
    say "Round $((round + 1)) of $rounds, load $(busy)"
    for one in $stages; do
        if [ "$one" = scale ]; then continue; fi
        for ((n = 0; n < ${#sides[@]}; n++)); do
            # Every other round backwards: what a side leaves to be done falls on another neighbour then.
            turn=$((round % 2 ? ${#sides[@]} - 1 - n : n))
            stage "${sides[(turn + round) % ${#sides[@]}]}" "$one"
        done
    done
done

if [[ " $stages " = *" scale "* ]]; then
    say "Once, load $(busy)"
    limit=3600
    lower_others
    for side in plain keyfold keyfold-v; do scale "$side"; done
fi

say "Results"
python3 "$here/jobs.py" table "$results" "$form"
echo "load at the end: $(busy)"
