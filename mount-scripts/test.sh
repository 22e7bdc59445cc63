#!/usr/bin/env bash
# The whole gate, in one command and in one order: a change that passes this is fit to be merged.
#
# Everything that links RocksDB is built in one profile (dev: the crate at opt-level 1, its dependencies at 3), against
# the one static library that env.sh keeps. The first step that fails ends the run; the last lines count what was run.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=mount-scripts/say.sh
. mount-scripts/say.sh

if [ "$#" -ne 0 ]; then
    echo "usage: $0" >&2
    exit 2
fi

passed=0
failed=0
current=start
log=$(mktemp)

finish() {
    local status=$?
    rm -f "$log"
    if [ "$status" -ne 0 ]; then
        printf '\nerror: the gate stopped at: %s\nwhy: what it printed is above\nmend: repair that, then run %s again\n' \
            "$current" "$0" >&2
        # A step that counts nothing, such as the lints, is one failure itself.
        if [ "$failed" -eq 0 ]; then failed=1; fi
    fi
    printf '\ntotal: %d passed, %d failed\n' "$passed" "$failed"
    if [ "$status" -eq 0 ]; then printf 'the gate is open\n'; fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# `step NAME COMMAND...`: announces, runs, and tells the time it took.
step() {
    current=$1
    shift
    say "$current"
    local started=$SECONDS
    "$@"
    note "passed in $((SECONDS - started)) s"
}

# `sum WORD`: the sum of the numbers before WORD on the log's lines that report results.
sum() {
    sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^ *Summary |^test result:' |
        grep -oE "[0-9]+ $1" | awk '{ total += $1 } END { print total + 0 }' || true
}

scripts() {
    local file
    {
        find mount-scripts tests benches -type f \( -name '*.sh' -o -name 'mount.*' \) 2>/dev/null
        find .ci -type f
    } | sort | while read -r file; do
        # An ending is not enough: mount units are named like the helper.
        if head -n 1 "$file" | grep -qE '^#!.*sh$|^# shellcheck shell='; then echo "$file"; fi
    done
}

lint_scripts() {
    local files=()
    mapfile -t files < <(scripts)
    note "${files[*]}"
    shellcheck --external-sources --source-path=. "${files[@]}"
}

deny() {
    cargo deny --locked check --hide-inclusion-graph bans licenses sources
    # Advisories are in a git repository of their own. Without a way to it (an isolated builder) that is not this
    # change's fault, so they are checked only when the database can be had.
    if timeout 120 cargo deny --locked fetch db >/dev/null 2>&1; then
        cargo deny --locked check --hide-inclusion-graph advisories
    else
        note "advisories skipped: their database cannot be reached from here"
    fi
}

tests() {
    local status=0
    cargo nextest run --locked --no-fail-fast 2>&1 | tee "$log" || status=$?
    # "Summary [ 1.2s] 31/40 tests run: 30 passed (2 slow), 1 failed, 1 timed out, 4 skipped"
    local ran good
    ran=$(sum 'tests? run')
    if [ "$ran" -eq 0 ]; then ran=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -oE '[0-9]+/[0-9]+ tests? run' | cut -d / -f 1 || true); fi
    good=$(sum passed)
    passed=$((passed + good))
    failed=$((failed + ${ran:-0} - good))
    note "${ran:-0} tests run, $good passed"
    if [ "$status" -ne 0 ]; then return "$status"; fi
    if [ "${ran:-0}" -eq 0 ]; then
        fail "no test was run" "nextest found none" "cargo nextest list shows what it sees; look at .config/nextest.toml"
    fi
}

# Schedules of threads need a build of the crate of their own, also of the program, which works in no other test: it has a
# directory of its own, so that neither takes the other's place. RocksDB's library is the same.
in_schedules() {
    CARGO_TARGET_DIR=$CARGO_TARGET_DIR/schedules "$@"
}

schedules() {
    local status=0
    in_schedules cargo nextest run --locked --no-fail-fast --features shuttle --test schedules 2>&1 | tee "$log" || status=$?
    passed=$((passed + $(sum passed)))
    failed=$((failed + $(sum failed)))
    return "$status"
}

doctests() {
    local status=0
    cargo test --locked --doc 2>&1 | tee "$log" || status=$?
    passed=$((passed + $(sum passed)))
    failed=$((failed + $(sum failed)))
    return "$status"
}

docs() {
    RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc --locked --no-deps
}

# KEYFOLD_FUZZ_SECONDS for each target, in place of 20.
fuzz() {
    cargo fmt --check --manifest-path fuzz/Cargo.toml
    # One seed: it goes much the same way each time, as far as the machine comes.
    KEYFOLD_SEED=${KEYFOLD_SEED:-1} mount-scripts/fuzz.sh "${KEYFOLD_FUZZ_SECONDS:-20}"
}

step "tools" mount-scripts/deps.sh test
current="RocksDB's library"
say "$current"
# shellcheck source=mount-scripts/env.sh
. mount-scripts/env.sh
note "$ROCKSDB_LIB_DIR"
step "format" cargo fmt --check
step "lints" cargo clippy --locked --all-targets -- -D warnings
step "lints of schedules" in_schedules cargo clippy --locked --features shuttle --test schedules -- -D warnings
step "dependencies" deny
step "scripts" lint_scripts
step "tests" tests
step "schedules" schedules
step "documentation's examples" doctests
step "documentation" docs
step "fuzz targets" fuzz
