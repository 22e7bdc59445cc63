//! The real engine and file view, on a disk in memory, while a test decides which thread goes on at each lock and turn.
//!
//! Its own binary, since with the feature `shuttle` nothing works outside of a schedule:
//! `cargo nextest run --features shuttle --test schedules`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what went wrong by panicking")]

#[path = "../suite/asked.rs"]
mod asked;
#[path = "../suite/entropy.rs"]
mod entropy;
#[allow(dead_code, reason = "the suite uses the rest of it")]
#[path = "../suite/engine/harness.rs"]
mod harness;
#[allow(dead_code, unused_imports, reason = "the suite uses the rest of it")]
#[path = "../suite/linear/mod.rs"]
mod linear;

mod commits;
mod explore;
mod files;
mod readers;
mod room;

use asked::{asked, long, seed};
