//! The store's socket: who may connect, and a thread for each who does.

use super::running::Node;
use crate::control::{Address, Caller, Host, serve};
use crate::model::{Error, Result};
use crate::sys::process;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Connections served at once; further ones wait.
const CALLERS_MAX: usize = 64;
/// How long a caller may take to say what it wants, and to read an answer.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// The bound socket; unbound when dropped.
pub(super) struct Socket {
    listener: UnixListener,
    address: Address,
    owner: u32,
    room: Arc<Semaphore>,
}

impl Socket {
    /// Binds the socket of the store this process owns. What a dead process left there is removed: the store's lock
    /// proves that nobody uses it.
    pub(super) fn bind(node: &Node) -> Result<Self> {
        let dir = node.store.dir();
        let failed = |error| Error::io(format!("cannot make the socket of {}", dir.display()), error);
        let address = Address::of(dir).map_err(failed)?;
        match std::fs::remove_file(address.path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(address.path()).map_err(failed)?;
        std::fs::set_permissions(address.path(), Permissions::from_mode(0o600)).map_err(failed)?;
        let owner = dir.metadata().map_err(failed)?;
        if process::effective_uid() == 0 {
            // The store's owner may ask a process that root started.
            let _ = std::os::unix::fs::chown(address.path(), Some(owner.uid()), Some(owner.gid()));
        }
        Ok(Self { listener, address, owner: owner.uid(), room: Arc::new(Semaphore::new(CALLERS_MAX)) })
    }

    /// Serves callers until it is dropped.
    pub(super) async fn run(&self, node: &Arc<Node>) {
        loop {
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a caller");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some((stream, caller)) = self.known(stream) else { continue };
            let node = Arc::clone(node);
            tokio::task::spawn_blocking(move || {
                converse(&node, stream, caller);
                drop(room);
            });
        }
    }

    fn known(&self, stream: UnixStream) -> Option<(std::os::unix::net::UnixStream, Caller)> {
        let known = stream.peer_cred().and_then(|peer| {
            let caller = Caller { uid: peer.uid(), process: process::effective_uid(), owner: self.owner };
            let stream = stream.into_std()?;
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(REQUEST_PATIENCE))?;
            stream.set_write_timeout(Some(ANSWER_PATIENCE))?;
            Ok((stream, caller))
        });
        known.inspect_err(|error| tracing::warn!(%error, "cannot tell who calls")).ok()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.address.path());
    }
}

fn converse(node: &Arc<Node>, mut stream: std::os::unix::net::UnixStream, caller: Caller) {
    if let Err(error) = serve(&mut stream, caller, &node.store, node) {
        tracing::debug!(%error, "a caller went away");
    }
    if node.is_stopping() {
        node.part(stream);
    }
}
