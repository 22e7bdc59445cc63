//! Keyfold: an object store with S3's semantics that you mount.

pub mod chunklog;
pub mod crypto;
pub mod index;
pub mod model;
pub mod store;
pub mod sys;
