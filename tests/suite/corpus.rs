//! The fuzzer's kept corpus without the fuzzer: every input in `fuzz/corpus` and every seed through its target.
//!
//! `KEYFOLD_MAKE_SEEDS=DIR cargo nextest run corpus::seeds` writes the seeds into `DIR/TARGET`; what else lies in the corpus
//! was found from them (`mount-scripts/fuzz.sh`).

mod seeds;
#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use targets::TARGETS;

/// Bytes of the whole corpus at most: it is read by every run of the tests, and kept for ever.
const CORPUS_BYTES_MAX: u64 = 1 << 20;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Says which input it was, which a panic within a target does not.
fn run(target: fn(&[u8]), name: &str, input: &[u8]) {
    let done = std::panic::catch_unwind(|| target(input));
    assert!(done.is_ok(), "the input {name} is a finding; what was found is above");
}

#[test]
fn every_kept_input_is_borne() {
    let mut bytes = 0;
    for (name, target) in TARGETS {
        let inputs = files(&corpus().join(name));
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for path in inputs {
            let input = std::fs::read(&path).unwrap();
            bytes += input.len() as u64;
            run(*target, &path.display().to_string(), &input);
        }
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes of corpus: merge it");
}

#[test]
fn every_corpus_has_a_target() {
    let known: BTreeSet<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    let kept = files(&corpus());
    let kept: BTreeSet<&str> = kept.iter().map(|dir| dir.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(known, kept);
}

#[test]
fn seeds_are_borne_and_can_be_written() {
    let out = std::env::var_os("KEYFOLD_MAKE_SEEDS").map(PathBuf::from);
    let seeds = seeds::all();
    for (name, target) in TARGETS {
        let inputs: Vec<_> = seeds.iter().filter(|(of, _)| of == name).map(|(_, input)| input).collect();
        assert!(!inputs.is_empty(), "{name} has no seed");
        for (n, input) in inputs.into_iter().enumerate() {
            run(*target, &format!("seed {n} of {name}"), input);
            if let Some(out) = &out {
                std::fs::create_dir_all(out.join(name)).unwrap();
                std::fs::write(out.join(name).join(format!("seed-{n:02}")), input).unwrap();
            }
        }
    }
}
