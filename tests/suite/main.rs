//! Every integration test in one binary, since each further binary would link RocksDB once more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by panicking")]

mod cli;
mod engine;
mod golden;
mod mount;
mod tidy;

/// Whether the long forms are wanted.
fn long() -> bool {
    std::env::var_os("KEYFOLD_LONG").is_some_and(|value| value != "0")
}
