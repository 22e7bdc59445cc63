//! The store's socket: who may connect, and a thread for each who does.

use super::running::Node;
use crate::control::{Address, Caller, FRAME_BYTES_MAX, Host, SOCKET, serve};
use crate::model::{Error, Result};
use crate::sys::{process, socket};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Requests served at once; further ones wait.
const CALLERS_MAX: usize = 64;
/// Connections that have not said yet what they want, or wait to be served; further ones wait to be accepted.
const SILENT_MAX: usize = 512;
/// How long a caller may take to say all of what it wants, and to read an answer.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// The bound socket; unbound when dropped.
pub(super) struct Socket {
    listener: UnixListener,
    address: Address,
    owner: u32,
    room: Arc<Semaphore>,
    silent: Arc<Semaphore>,
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
        let dir = std::fs::File::open(dir).map_err(failed)?;
        let owner = dir.metadata().map_err(failed)?;
        // The store's owner may ask a process that root started.
        let to = (process::effective_uid() == 0).then(|| (owner.uid(), owner.gid()));
        socket::give(&dir, SOCKET, to).map_err(failed)?;
        let room = Arc::new(Semaphore::new(CALLERS_MAX));
        let silent = Arc::new(Semaphore::new(SILENT_MAX));
        Ok(Self { listener, address, owner: owner.uid(), room, silent })
    }

    /// Serves callers until it is dropped.
    pub(super) async fn run(&self, node: &Arc<Node>) {
        loop {
            let Ok(silent) = Arc::clone(&self.silent).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a caller");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (node, owner, room) = (Arc::clone(node), self.owner, Arc::clone(&self.room));
            // Who says nothing keeps nobody else waiting.
            tokio::spawn(async move {
                let heard = tokio::time::timeout(REQUEST_PATIENCE, hear(stream, owner)).await;
                let (call, caller) = match heard {
                    Ok(Ok(heard)) => heard,
                    Ok(Err(error)) => return tracing::debug!(%error, "a caller was not understood"),
                    Err(_) => return tracing::debug!("a caller said nothing"),
                };
                // Who waits to be served, with its request in memory, is one of those that are bounded still.
                let Ok(room) = room.acquire_owned().await else { return };
                drop(silent);
                tokio::task::spawn_blocking(move || {
                    converse(&node, call, caller);
                    drop(room);
                });
            });
        }
    }
}

/// A connection whose request is here already.
struct Call {
    request: Cursor<Vec<u8>>,
    stream: std::os::unix::net::UnixStream,
}

impl Read for Call {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut self.request, buf)
    }
}

impl Write for Call {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Who calls, and one frame of what is said; less when the caller stops before, or claims more than a frame may have.
async fn hear(mut stream: UnixStream, owner: u32) -> io::Result<(Call, Caller)> {
    let caller = Caller { uid: stream.peer_cred()?.uid(), process: process::effective_uid(), owner };
    let mut request = Vec::new();
    (&mut stream).take(4).read_to_end(&mut request).await?;
    if let Some(length) = request.first_chunk().map(|length| u32::from_le_bytes(*length))
        && length as usize <= FRAME_BYTES_MAX
    {
        (&mut stream).take(u64::from(length)).read_to_end(&mut request).await?;
    }
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(REQUEST_PATIENCE))?;
    stream.set_write_timeout(Some(ANSWER_PATIENCE))?;
    Ok((Call { request: Cursor::new(request), stream }, caller))
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.address.path());
    }
}

fn converse(node: &Arc<Node>, mut call: Call, caller: Caller) {
    if let Err(error) = serve(&mut call, caller, &node.store, node) {
        tracing::debug!(%error, "a caller went away");
    }
    if node.is_stopping() {
        node.part(call.stream);
    }
}
