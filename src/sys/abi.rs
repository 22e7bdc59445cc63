//! The operating system's numbers as its headers give them: error numbers, `fallocate` and `lseek` flags.

pub use nix::libc::*;
