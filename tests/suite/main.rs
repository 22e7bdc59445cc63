//! Every integration test in one binary, since each further binary would link RocksDB once more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by panicking")]

mod cli;
mod corpus;
mod engine;
mod golden;
mod mount;
mod tamper;
mod tidy;

/// A number that a run was asked for by a variable of the environment.
fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Whether the long forms are wanted.
fn long() -> bool {
    std::env::var_os("KEYFOLD_LONG").is_some_and(|value| value != "0")
}
