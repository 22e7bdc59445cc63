//! Logs: to stderr, which is the terminal in the foreground and the store's log file in the background.

use crate::model::{Error, Result};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// The log's name in the store's directory.
const FILE: &str = "keyfold.log";
/// Size from which on a log is put aside at the next start; one older log is kept.
const BYTES_MAX: u64 = 16 << 20;
/// Which lines are written, in `tracing`'s filter language.
const VARIABLE: &str = "KEYFOLD_LOG";

/// Begins to log. `plain`: without colours, for a file.
pub(super) fn begin(plain: bool) {
    let filter = std::env::var(VARIABLE).ok().and_then(|words| EnvFilter::try_new(words).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new("info,fuser=warn"));
    let colours =
        !plain && std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A second call, as tests make it, changes nothing.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).try_init();
}

/// The store's log file, opened to append.
pub(super) fn file(store: &Path) -> Result<File> {
    let path = store.join(FILE);
    if path.metadata().is_ok_and(|meta| meta.len() > BYTES_MAX) {
        let _ = std::fs::rename(&path, path.with_extension("log.1"));
    }
    let file = match File::options().append(true).create(true).mode(0o600).open(&path) {
        // A backup on such a disk can be mounted.
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => File::options().append(true).open("/dev/null"),
        file => file,
    };
    file.map_err(|error| Error::io(format!("cannot open the log {}", path.display()), error))
}
