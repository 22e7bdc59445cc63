//! The fuzzer: libFuzzer over the target that the variable KEYFOLD_FUZZ names. `mount-scripts/fuzz.sh` runs them all.
#![no_main]

// What a test needs of them besides, the fuzzer does not.
#[allow(dead_code, unused_imports)]
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use targets::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("KEYFOLD_FUZZ").unwrap_or_default();
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = TARGETS.iter().map(|(known, _)| *known).collect();
        eprintln!("KEYFOLD_FUZZ is {name:?}; the targets are {}", known.join(" "));
        std::process::exit(2);
    };
    *target
});

fuzz_target!(|data: &[u8]| TARGET(data));
