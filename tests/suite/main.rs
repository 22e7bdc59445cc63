//! Every integration test in one binary, since each further binary would link RocksDB once more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by panicking")]

mod cli;
mod engine;
mod golden;
mod mount;
mod tidy;
