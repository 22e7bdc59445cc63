//! TLS at the endpoint: who gets in, certificates that change, what is said of bad ones, and floods (SHD-1, SHD-2).

use super::harness::{Client, Served, mounted_with};
use crate::mount::{KEYFOLD, text};
use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long something may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// An authority, and the certificate and key that it made for the endpoint, as files.
struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        // Whoever has the issuer's name seems to have signed itself.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::Builder::new().prefix("keyfold-tls-").tempdir().unwrap();
        let authority = Self { dir, issuer };
        std::fs::write(authority.root(), authority.issuer.pem()).unwrap();
        authority.certify("cert.pem", "key.pem");
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("root.pem")
    }

    /// Makes a certificate and its key, and puts each in its place.
    fn certify(&self, certificate: &str, key: &str) {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        let made = params.signed_by(&pair, &self.issuer).unwrap();
        for (name, pem) in [(certificate, made.pem()), (key, pair.serialize_pem())] {
            std::fs::write(self.path("new"), pem).unwrap();
            std::fs::rename(self.path("new"), self.path(name)).unwrap();
        }
    }

    /// What `keyfold serve` is told.
    fn arguments(&self) -> [String; 4] {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        ["--s3-cert".into(), path("cert.pem"), "--s3-key".into(), path("key.pem")]
    }

    #[track_caller]
    fn serve(&self) -> Served {
        let arguments = self.arguments();
        let mut served = Served::start_with(&arguments.each_ref().map(String::as_str));
        served.client.authority = Some(self.root());
        served
    }

    /// A connection that has agreed on TLS of one of these versions.
    fn greet(&self, address: SocketAddr, versions: &[&'static SupportedProtocolVersion]) -> std::io::Result<Secured> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.root()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from(address.ip().to_string()).unwrap();
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
        let mut secured = StreamOwned::new(connection, stream);
        while secured.conn.is_handshaking() {
            secured.conn.complete_io(&mut secured.sock)?;
        }
        Ok(secured)
    }

    fn certificate_of(&self, address: SocketAddr) -> Vec<u8> {
        let secured = self.greet(address, &[&version::TLS13]).unwrap();
        secured.conn.peer_certificates().unwrap()[0].to_vec()
    }
}

#[test]
fn clients_get_in_by_tls_and_by_nothing_else() {
    let authority = Authority::new();
    let served = authority.serve();
    let client = &served.client;
    client.aws(&["s3", "mb", "s3://bkt"]);
    client.script("doors.py", &["put", "bkt", "k", "data"]);
    assert_eq!(client.script("doors.py", &["get", "bkt", "k"]), "data");
    for version in [&version::TLS12, &version::TLS13] {
        let mut secured = authority.greet(client.address, &[version]).unwrap();
        assert_eq!(secured.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        secured.write_all(b"GET /bkt/k HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        // Who has read all of an answer does not mind how the connection ends.
        let _ = secured.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    // Without TLS nobody answers, and who trusts another authority does not ask.
    assert!(!client.raw(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").contains("HTTP/1.1"));
    assert!(Authority::new().greet(client.address, &[&version::TLS13]).is_err());
}

#[test]
fn a_certificate_that_is_renewed_is_the_next_clients() {
    let authority = Authority::new();
    let served = authority.serve();
    let address = served.client.address;
    let mut old = authority.greet(address, &[&version::TLS13]).unwrap();
    let first = authority.certificate_of(address);
    // A certificate whose key is another's is none.
    authority.certify("cert.pem", "other.pem");
    let until = Instant::now() + PATIENCE;
    while !served.log().contains("the old certificate is used still") {
        assert!(Instant::now() < until, "nobody has looked: {}", served.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(authority.certificate_of(address), first);
    authority.certify("cert.pem", "key.pem");
    while authority.certificate_of(address) == first {
        assert!(Instant::now() < until + PATIENCE, "the certificate stays: {}", served.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    // Who was in stays in.
    old.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    old.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let authority = Authority::new();
    authority.certify("other-cert.pem", "other-key.pem");
    std::fs::write(authority.path("garbage"), "garbage").unwrap();
    std::fs::write(authority.path("half"), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
    let store = authority.path("store");
    let run = |arguments: &[&str]| {
        let arguments = arguments.iter().map(|argument| match argument.strip_prefix('@') {
            Some(name) => authority.path(name).into_os_string(),
            None => argument.into(),
        });
        let output = Command::new(KEYFOLD).args(["serve", "--s3", "127.0.0.1:0"]).args(arguments).arg(&store).output();
        let output = output.unwrap();
        (output.status.code(), text(&output.stderr))
    };
    for (code, words, certificate, key) in [
        (2, "it is not the key of the certificate", "@cert.pem", "@other-key.pem"),
        (2, "it holds no certificate", "@garbage", "@key.pem"),
        (2, "it holds no private key", "@cert.pem", "@garbage"),
        (2, "cannot use", "@half", "@key.pem"),
        (2, "No such file", "@absent", "@key.pem"),
    ] {
        let (status, said) = run(&["--s3-cert", certificate, "--s3-key", key]);
        assert!(said.contains(words), "{certificate} {key}: {said}");
        assert_eq!(status, Some(code), "{said}");
    }
    let (status, said) = run(&["--s3-cert", "@cert.pem"]);
    assert!(status == Some(2) && said.contains("--s3-key"), "{said}");
}

/// Says hello, and nothing after it.
fn half_open(address: SocketAddr, n: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    if n.is_multiple_of(2) {
        let _ = stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00");
    }
    stream
}

/// Clients that never agree on TLS hinder neither one that does nor the mount.
#[test]
fn shd_2_half_open_connections_hinder_neither_clients_nor_the_mount() {
    let authority = Authority::new();
    let [_, certificate, _, key] = authority.arguments();
    let options = format!("s3=127.0.0.1:0,s3_cert={certificate},s3_key={key}");
    let (mounted, client) = mounted_with(&options, Some(authority.root()));
    let mut open = Vec::new();
    for n in 0..1_800 {
        open.push(half_open(client.address, n));
        if n == 1_200 {
            // Before there are too many, all of them have been idle for a moment.
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    let begun = Instant::now();
    client.script("doors.py", &["put", "bkt", "k", "data"]);
    assert_eq!(std::fs::read_to_string(mounted.root().join("bkt/k")).unwrap(), "data");
    std::fs::write(mounted.root().join("bkt/f"), "file").unwrap();
    assert_eq!(client.script("doors.py", &["get", "bkt", "f"]), "file");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    // The first that came were the idlest, and nobody waits for the last for long.
    let ends = |stream: &mut TcpStream, within: Duration| {
        stream.set_read_timeout(Some(within)).unwrap();
        let ended = stream.read(&mut [0; 16]);
        matches!(&ended, Ok(0)) || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    };
    assert!(ends(&mut open[0], Duration::from_secs(5)));
    assert!(ends(open.last_mut().unwrap(), Duration::from_secs(20)), "who does not agree on TLS is given up");
}

/// The head of a PUT of `length` bytes that is signed.
fn upload(client: &Client, path: &str, length: &str) -> String {
    client.script("slow.py", &["head", path, length]) + "\r\n"
}

#[test]
fn sigterm_drains_connections_that_speak_tls_and_waits_for_no_other() {
    let authority = Authority::new();
    let mut served = authority.serve();
    served.client.aws(&["s3", "mb", "s3://bkt"]);
    let mut secured = authority.greet(served.client.address, &[&version::TLS13]).unwrap();
    secured.write_all(upload(&served.client, "bkt/k", "11").as_bytes()).unwrap();
    secured.write_all(b"hello ").unwrap();
    secured.flush().unwrap();
    let mut silent: Vec<_> = (0..20).map(|n| half_open(served.client.address, n)).collect();
    let mut idle = authority.greet(served.client.address, &[&version::TLS13]).unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    served.signal(Signal::SIGTERM);
    let asked = Instant::now();
    // Half a head, and half a greeting, end at once.
    assert!(matches!(idle.read(&mut [0; 16]), Ok(0) | Err(_)));
    assert!(matches!(silent[0].read(&mut [0; 16]), Ok(0) | Err(_)));
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    secured.write_all(b"world").unwrap();
    let mut answer = String::new();
    let _ = secured.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(served.ended().success());
    assert!(Path::new(&served.store()).exists());
    let listed = served.keyfold(&["ls", "bkt"]);
    assert!(text(&listed.stdout).contains('k'), "{listed:?}");
}
