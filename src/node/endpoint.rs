//! `keyfold serve`: the process that owns a store and serves it over S3, with or without mounts.

use super::log;
use super::serve::host;
use crate::model::Result;
use std::net::SocketAddr;
use std::path::Path;

/// Serves the store in `dir` over S3 at `address` until a signal comes; makes the store when its directory is absent or
/// empty. `ready` hears where it listens. No thread may run yet.
///
/// # Errors
/// [`Kind::StoreBusy`](crate::model::Kind::StoreBusy) when another process owns the store,
/// [`Kind::AlreadyExists`](crate::model::Kind::AlreadyExists) when the address is in use, and what opening says.
pub fn serve_s3(dir: &Path, address: SocketAddr, ready: impl FnOnce(SocketAddr)) -> Result<()> {
    log::begin(None);
    let store = super::open::ensure(dir)?;
    host(
        &store,
        |node| node.serve_s3(address),
        |started| {
            if let Ok(address) = started {
                ready(*address);
            }
        },
    )
}
