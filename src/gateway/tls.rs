//! TLS: a certificate and its key from files, which are read anew when they change.

use crate::model::{Error, Kind, Result};
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, version};

/// How often it is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A chain of certificates is some thousand bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What an endpoint proves itself by: files in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// The certificate, and after it those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What tells one state of the files from another: of each its number, size and time of change.
type Seen = [(u64, u64, i64, i64); 2];

/// The certificate of an endpoint, as its files had it last.
pub(super) struct Tls {
    files: CertificateFiles,
    config: Mutex<Arc<ServerConfig>>,
    /// The state that was tried last; none when the files could not be looked at.
    seen: Mutex<Option<Seen>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] when they cannot be read, or hold no certificate and key that belong together.
    pub(super) fn new(files: CertificateFiles) -> Result<Arc<Self>> {
        let seen = see(&files).ok();
        let config = Mutex::new(Arc::new(load(&files)?));
        Ok(Arc::new(Self { files, config, seen: Mutex::new(seen) }))
    }

    /// Greets by the newest certificate.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config.lock()))
    }

    /// Reads the files again whenever they have changed, for as long as it is polled.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let tls = Arc::clone(&self);
            // Files may lie on a disk that hangs.
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    }

    /// Files that do not fit leave the certificate as it was: they may be written at the moment.
    fn look(&self) {
        let now = see(&self.files).ok();
        if now.is_none() || now == std::mem::replace(&mut *self.seen.lock(), now) {
            return;
        }
        match load(&self.files) {
            Ok(config) => {
                *self.config.lock() = Arc::new(config);
                tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read anew");
            }
            Err(error) => tracing::warn!(%error, "the old certificate is used still"),
        }
    }
}

fn see(files: &CertificateFiles) -> io::Result<Seen> {
    let one = |path: &Path| {
        let meta = path.metadata()?;
        Ok::<_, io::Error>((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
    };
    Ok([one(&files.certificate)?, one(&files.key)?])
}

fn load(files: &CertificateFiles) -> Result<ServerConfig> {
    let chain = read(&files.certificate)?;
    let chain: std::result::Result<Vec<CertificateDer<'static>>, pem::Error> =
        CertificateDer::pem_slice_iter(&chain).collect();
    let mend = "name a file with the certificate in PEM, which begins -----BEGIN CERTIFICATE-----";
    let chain = chain.map_err(|error| cannot(&files.certificate).why(error.to_string()).mend(mend))?;
    if chain.is_empty() {
        return Err(cannot(&files.certificate).why("it holds no certificate").mend(mend));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| match error {
        pem::Error::NoItemsFound => cannot(&files.key)
            .why("it holds no private key that can be read")
            .mend("name the key in PEM; `openssl pkey -in KEY -out PLAIN` takes a passphrase off one that has it"),
        error => cannot(&files.key).why(error.to_string()),
    })?;
    let provider = Arc::new(ring::default_provider());
    let versions = [&version::TLS13, &version::TLS12];
    let built = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config = built.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => cannot(&files.key)
            .why(format!("it is not the key of the certificate in {}", files.certificate.display()))
            .mend("name the two files that were made together"),
        error => cannot(&files.certificate).why(error.to_string()),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn cannot(path: &Path) -> Error {
    Error::new(Kind::InvalidArgument, format!("cannot use {} for TLS", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| cannot(path).why(error.to_string()).mend("name a file that the process may read"))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(cannot(path).why("it is larger than a certificate or key can be"));
    }
    Ok(bytes)
}
