//! The rooms of Keyfold: an object store with S3's semantics that you mount.
#![doc = include_str!("ARCHITECTURE.md")]

pub mod access;
pub mod backup;
pub mod chunklog;
pub mod cli;
pub mod config;
pub mod control;
pub mod crypto;
pub mod daemon;
pub mod fuse;
pub mod gateway;
pub mod index;
pub mod model;
pub mod node;
pub mod store;
pub mod sys;
pub mod telemetry;
pub mod vfs;
