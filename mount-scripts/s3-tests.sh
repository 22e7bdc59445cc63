#!/usr/bin/env bash
# Runs ceph/s3-tests (https://github.com/ceph/s3-tests) against a store of its own, and prints a table of what passed:
#
#     mount-scripts/s3-tests.sh SUITE_DIR [PYTHON [ARGUMENT...]]
#
# SUITE_DIR is a checkout of the suite, PYTHON an interpreter with what its requirements.txt names, else python3. What failed is judged
# by tests/s3-tests/known.txt: a failure that is not there, and a line there that no longer meets one, end the script with status 1.
# ARGUMENTs go to pytest, for looking at some tests: then nothing is judged. The store, its processes and keys are gone afterwards, and
# nothing is written to SUITE_DIR.
#
# Environment: KEYFOLD is the binary, else a build of the clone, else the one in PATH.
set -euo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=mount-scripts/say.sh
. "$scripts/say.sh"
helpers=$scripts/../tests/s3-tests
# Seconds that a day of rules lasts.
day=2

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit "$1"
}
case ${1:-} in
-h | --help) usage 0 ;;
"" | -*) usage 2 ;;
esac
suite=$(realpath -- "$1")
python=${2:-python3}
shift
if [ "$#" -gt 0 ]; then shift; fi
[ -f "$suite/s3tests/functional/test_s3.py" ] ||
    fail "$suite is no checkout of ceph/s3-tests" "it has no s3tests/functional/test_s3.py" \
        "git clone https://github.com/ceph/s3-tests, and name its directory"
"$python" -c 'import boto3, pytest, requests' 2>/dev/null ||
    fail "$python cannot run the suite" "it lacks boto3, pytest or requests" \
        "python3 -m venv DIR; DIR/bin/pip install -r $suite/requirements.txt; $0 $suite DIR/bin/python"

find_keyfold() {
    local target=${CARGO_TARGET_DIR:-${KEYFOLD_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/keyfold}/target}
    keyfold=${KEYFOLD:-}
    for built in "$target/release/keyfold" "$target/debug/keyfold"; do
        if [ -z "$keyfold" ] && [ -x "$built" ]; then keyfold=$built; fi
    done
    if [ -z "$keyfold" ]; then keyfold=$(command -v keyfold || true); fi
    [ -n "$keyfold" ] || fail "there is no keyfold to test" "neither a build nor one in PATH" "cargo build, or KEYFOLD=PATH $0"
}

scratch=$(mktemp -d)
server=
finish() {
    local status=$?
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$scratch"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# `at_store ARGUMENT...`: keyfold on the store; what it says besides its answer is told only when it fails.
at_store() {
    "$keyfold" --store "$scratch/store" --json "$@" 2>>"$scratch/log" ||
        fail "keyfold $* failed" "$(tail -n 3 "$scratch/log")" "look at what it says"
}

serve() {
    local main alt tenant endpoint
    "$keyfold" init --debug-clock "$scratch/store" >"$scratch/log" 2>&1 ||
        fail "no store can be made in $scratch" "$(tail -n 3 "$scratch/log")" "look at what it says"
    # Lifecycle rules are tested by waiting for days.
    printf 'day = "%ss"\n' "$day" >>"$scratch/store/keyfold.toml"
    at_store user add alt --uid 2001 --gid 2001 --create-buckets >/dev/null
    at_store user add tenant --uid 2002 --gid 2002 --create-buckets >/dev/null
    main=$(at_store access-key create)
    alt=$(at_store access-key create --user alt)
    tenant=$(at_store access-key create --user tenant)
    "$keyfold" --json serve --s3 127.0.0.1:0 "$scratch/store" >"$scratch/served" 2>>"$scratch/log" &
    server=$!
    until [ -s "$scratch/served" ]; do
        kill -0 "$server" 2>/dev/null || fail "keyfold does not serve" "$(tail -n 2 "$scratch/log")" "look at what it says"
        sleep 0.1
    done
    endpoint=$(sed 's/.*"endpoint":"\([^"]*\)".*/\1/' "$scratch/served")
    note "$keyfold serves $endpoint"
    "$python" "$helpers/suite.py" config "$scratch/s3tests.conf" "$endpoint" "$main" "$alt" "$tenant" "$day"
}

# `run RESULTS ARGUMENT...`: the suite, without a trace in its directory. Its own status says less than the table.
run() {
    local results=$1 status=0
    shift
    (
        cd "$suite"
        S3TEST_CONF=$scratch/s3tests.conf PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$helpers \
            exec "$python" -m pytest -p no:cacheprovider -p plugin --junit-xml="$results" -q --tb=short "$@"
    ) >&2 || status=$?
    case $status in
    0 | 1) ;;
    *) fail "the suite could not be run" "pytest ended with status $status; its messages are above" "mend what it says" ;;
    esac
}

find_keyfold
say "Serving a store"
serve
if [ "$#" -gt 0 ]; then
    say "Running $*"
    run "$scratch/results.xml" "$@"
    exit 0
fi
say "Running the suite"
run "$scratch/results.xml" s3tests/functional
say "Forms, signatures and other origins again, in today's words"
KEYFOLD_TODAY=1 run "$scratch/today.xml" s3tests/functional/test_s3.py -k "post_object or raw_ or presigned or cors or bucket_gone"
say "Commit $(git -C "$suite" log -1 --format=%h 2>/dev/null || echo unknown) of the suite"
"$python" "$helpers/suite.py" table "$helpers/known.txt" "$scratch/results.xml" "$scratch/today.xml"
