//! Every integration test in one binary, since each further binary would link RocksDB once more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by panicking")]

mod asked;
mod cli;
mod corpus;
mod engine;
mod entropy;
mod golden;
mod linear;
mod mount;
mod s3;
mod tamper;
mod tidy;

use asked::{asked, long, seed};
