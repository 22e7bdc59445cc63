#!/usr/bin/env bash
# Fuzzes every decoder from the kept corpus: `fuzz.sh [SECONDS [TARGET...]]`, 60 s a target and all targets unless told
# otherwise, two at a time. Ends with an error when an input crashes a target, takes over 10 s or over 1 GiB; such an input is
# left in fuzz/found. KEYFOLD_FUZZ_KEEP=1 adds what was learned to the kept corpus, as small as it can be. KEYFOLD_SEED=N goes
# the same way again; without it each run goes another one.
#
# libFuzzer comes as source with its crate and is built by the C++ compiler that RocksDB needs too; a stable rustc
# instruments for it. No sanitizer: what is looked for are panics, hangs and greed, not wild pointers.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=mount-scripts/say.sh
. mount-scripts/say.sh

SECONDS_EACH=${1:-60}
case $SECONDS_EACH in
'' | *[!0-9]*)
    echo "usage: $0 [SECONDS [TARGET...]]" >&2
    exit 2
    ;;
esac
if [ "$#" -gt 0 ]; then shift; fi
# Memory that counts when it is used, and address space, which a claimed length takes at once; both in MiB.
RSS_MAX=1024
ADDRESS_MAX=8192
AT_ONCE=2
SEED=${KEYFOLD_SEED:-$(date +%s)}

# shellcheck source=mount-scripts/env.sh
. mount-scripts/env.sh
export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/fuzz

build() {
    local triple
    triple=$(rustc -vV | sed -n 's/^host: //p')
    # With a triple named, build scripts and macros are not instrumented.
    RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks" \
        cargo build --locked --manifest-path fuzz/Cargo.toml --target "$triple" || return 1
    FUZZER=$CARGO_TARGET_DIR/$triple/debug/fuzz
}

# `fuzz_one TARGET`: prints one line; the log of a failure goes to stderr.
fuzz_one() {
    local target=$1 new log status=0 runs covered length
    new=$(mktemp -d)
    log=$(mktemp)
    mkdir -p fuzz/found "fuzz/corpus/$target"
    # Deep paths of the store's target are long inputs.
    length=4096
    case $target in store | repair | segment_header) length=16384 ;; esac
    (
        ulimit -v $((ADDRESS_MAX * 1024))
        KEYFOLD_FUZZ=$target "$FUZZER" "$new" "fuzz/corpus/$target" -seed="$SEED" -max_total_time="$SECONDS_EACH" \
            -timeout=10 -rss_limit_mb="$RSS_MAX" -max_len="$length" -artifact_prefix="fuzz/found/$target-" -print_final_stats=1
    ) >"$log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | cut -d ' ' -f 2 || true)
    if [ "$status" -ne 0 ]; then
        tail -n 60 "$log" >&2
        printf '  %-16s FAILED with status %d\n' "$target" "$status"
    else
        printf '  %-16s %9d executions, %6d edges, %4d inputs kept, %4d new\n' "$target" "${runs:-0}" "${covered:-0}" \
            "$(find "fuzz/corpus/$target" -type f | wc -l)" "$(find "$new" -type f | wc -l)"
        if [ "${KEYFOLD_FUZZ_KEEP:-0}" != 0 ]; then
            KEYFOLD_FUZZ=$target "$FUZZER" -merge=1 "fuzz/corpus/$target" "$new" >/dev/null 2>&1 || status=$?
        fi
    fi
    rm -rf "$new" "$log"
    return "$status"
}

build || fail "the fuzzer could not be built" "cargo's messages are above" "run mount-scripts/deps.sh build"
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
    mapfile -t targets < <(sed -n 's/^    ("\([a-z_]*\)", .*/\1/p' fuzz/src/targets/mod.rs)
fi
note "$SECONDS_EACH s each for ${#targets[@]} targets, KEYFOLD_SEED=$SEED"
running=0
failed=0
for target in "${targets[@]}"; do
    if [ "$running" -ge "$AT_ONCE" ]; then
        wait -n || failed=$((failed + 1))
        running=$((running - 1))
    fi
    fuzz_one "$target" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=$((failed + 1))
    running=$((running - 1))
done
rmdir fuzz/found 2>/dev/null || true
if [ "$failed" -ne 0 ]; then
    fail "$failed targets have findings" "the inputs are in fuzz/found, and what they did is above" \
        "KEYFOLD_FUZZ=TARGET $FUZZER INPUT shows one again; mend what it finds and keep the input in fuzz/corpus/TARGET"
fi
