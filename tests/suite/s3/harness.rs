//! A served store, with or without a mount, and clients that talk to it; all of it is gone after the test.

use crate::mount::{Group, KEYFOLD, Mounted, end, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a process may take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(60);

/// An access key.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    pub secret: String,
}

/// Makes an access key, of the store's owner or of a user.
pub fn new_key(store: &Path, user: Option<&str>) -> Key {
    let mut command = Command::new(KEYFOLD);
    command.arg("--store").arg(store).args(["--json", "access-key", "create"]);
    if let Some(user) = user {
        command.args(["--user", user]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let key: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let member = |name: &str| key[name].as_str().unwrap().to_owned();
    Key { id: member("access_key"), secret: member("secret") }
}

/// A client's view of an endpoint.
pub struct Client {
    pub address: SocketAddr,
    pub key: Key,
    /// The file with the authority that the endpoint's certificate is from; without one it speaks no TLS.
    pub authority: Option<PathBuf>,
}

impl Client {
    fn variables(&self, command: &mut Command) {
        command
            .env("AWS_ACCESS_KEY_ID", &self.key.id)
            .env("AWS_SECRET_ACCESS_KEY", &self.key.secret)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null());
        if let Some(authority) = &self.authority {
            command.env("AWS_CA_BUNDLE", authority);
        }
    }

    pub fn endpoint(&self) -> String {
        format!("http{}://{}", if self.authority.is_some() { "s" } else { "" }, self.address)
    }

    /// Runs a script of `tests/suite/s3`, which must end well; what it printed.
    #[track_caller]
    pub fn script(&self, name: &str, arguments: &[&str]) -> String {
        self.python(&std::env::current_dir().unwrap(), name, arguments)
    }

    /// The same, in a directory of its own.
    #[track_caller]
    pub fn script_within(&self, within: &Path, name: &str) -> String {
        self.python(within, name, &[])
    }

    #[track_caller]
    fn python(&self, within: &Path, name: &str, arguments: &[&str]) -> String {
        expect(&self.command_of(name).args(arguments).current_dir(within).output().unwrap(), name)
    }

    /// A script of `tests/suite/s3`, to be run.
    pub fn command_of(&self, name: &str) -> Command {
        let mut command = Command::new(clients().join("python3"));
        command.arg(scripts().join(name));
        self.variables(&mut command);
        command
    }

    /// Runs the AWS command line, which must end well; what it printed.
    #[track_caller]
    pub fn aws(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(clients().join("aws"));
        command.args(arguments);
        self.variables(&mut command);
        expect(&command.output().unwrap(), &arguments.join(" "))
    }

    /// Runs a script of bash of `tests/suite/s3` in the directory `within`, with the mount of the same store at `$MOUNT`; it must end
    /// well. `program` is what it is about, which must be installed.
    #[track_caller]
    pub fn shell(&self, name: &str, program: &str, within: &Path, mount: &Path) {
        let mut places = vec![clients()];
        places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let installed = places.iter().any(|place| place.join(program).exists());
        assert!(installed, "{program} is not installed: run mount-scripts/deps.sh test");
        let mut command = Command::new("bash");
        command.arg(scripts().join(name)).current_dir(within);
        self.variables(&mut command);
        command.env("PATH", std::env::join_paths(places).unwrap());
        command.env("S3_HOST", self.address.to_string()).env("MOUNT", mount);
        expect(&command.output().unwrap(), name);
    }

    /// Sends bytes and returns what is answered until the other end closes, or nothing comes for a while.
    pub fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        text(&answer)
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/s3")
}

/// Where `mount-scripts/deps.sh test` puts the clients; a machine that has them otherwise says where.
fn clients() -> PathBuf {
    let cache = || std::env::var_os("KEYFOLD_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/keyfold");
    let installed = cache().unwrap_or_else(home).join("s3-clients/bin");
    let places = [std::env::var_os("KEYFOLD_S3_CLIENTS").map(PathBuf::from), Some(installed)];
    let found = places.into_iter().flatten().find(|place| place.join("aws").exists());
    found.expect("the clients are not installed: run mount-scripts/deps.sh test")
}

#[track_caller]
fn expect(output: &Output, what: &str) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{what}\nended with {}\nstdout: {out}\nstderr: {err}", output.status);
    out
}

/// A store that `keyfold serve` serves.
pub struct Served {
    dir: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
    pub client: Client,
    /// Where it tells of itself, when it was asked to.
    pub admin: Option<SocketAddr>,
}

impl Served {
    #[track_caller]
    pub fn start() -> Self {
        Self::begin(Command::new(KEYFOLD), "", &[])
    }

    /// The same, in a control group from its first instruction on.
    #[track_caller]
    pub fn start_in(group: &Group) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]).arg(group.dir()).arg(KEYFOLD);
        Self::begin(command, "", &[])
    }

    /// With more arguments for `keyfold serve`.
    #[track_caller]
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::configured("", arguments)
    }

    /// The same of a store whose `keyfold.toml` says this.
    #[track_caller]
    pub fn configured(settings: &str, arguments: &[&str]) -> Self {
        Self::begin(Command::new(KEYFOLD), settings, arguments)
    }

    #[track_caller]
    fn begin(keyfold: Command, settings: &str, arguments: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("keyfold-s3-").tempdir().unwrap();
        let store = dir.path().join("store");
        let made = Command::new(KEYFOLD).arg("init").arg(&store).output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        let key = new_key(&store, None);
        std::fs::write(store.join("keyfold.toml"), settings).unwrap();
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let (child, address, admin) = serve(keyfold, &store, &dir.path().join("log"), &arguments);
        let client = Client { address, key, authority: None };
        Self { dir, arguments, child: Some(child), client, admin }
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub fn aside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.aside("log")).unwrap_or_default()
    }

    /// A client with another key.
    pub fn client_of(&self, user: &str) -> Client {
        let key = new_key(&self.store(), Some(user));
        Client { address: self.client.address, key, authority: self.client.authority.clone() }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap();
    }

    /// How the process ended that was told to.
    pub fn ended(&mut self) -> ExitStatus {
        end(&mut self.child.take().unwrap())
    }

    /// Kills the process without warning and serves the store anew.
    #[track_caller]
    pub fn crash(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let (child, address, admin) = serve(Command::new(KEYFOLD), &self.store(), &self.aside("log"), &self.arguments);
        (self.child, self.admin) = (Some(child), admin);
        self.client.address = address;
    }

    /// Runs keyfold on the store.
    pub fn keyfold(&self, arguments: &[&str]) -> Output {
        Command::new(KEYFOLD).arg("--store").arg(self.store()).args(arguments).output().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if std::thread::panicking() {
            eprintln!("--- log of the endpoint\n{}", self.log());
        }
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let status = end(&mut child);
        if !std::thread::panicking() {
            assert!(status.success(), "the endpoint's process ended with {status}\n{}", self.log());
        }
    }
}

#[track_caller]
fn serve(
    mut command: Command,
    store: &Path,
    log: &Path,
    arguments: &[String],
) -> (Child, SocketAddr, Option<SocketAddr>) {
    command.args(["serve", "--json", "--s3", "127.0.0.1:0"]).args(arguments).arg(store);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log).unwrap());
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let told: serde_json::Value =
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{}", std::fs::read_to_string(log).unwrap()));
    let address = |url: &serde_json::Value| url.as_str()?.split_once("://")?.1.parse().ok();
    (child, address(&told["endpoint"]).unwrap(), address(&told["admin"]))
}

/// A mounted store that serves S3 from the same process, with the bucket `bkt`.
pub fn mounted() -> (Mounted, Client) {
    mounted_with("s3=127.0.0.1:0", None)
}

/// The same with these options; `authority` is the file that a certificate among them is from.
pub fn mounted_with(options: &str, authority: Option<PathBuf>) -> (Mounted, Client) {
    let mounted = Mounted::bare(options);
    std::fs::create_dir(mounted.root().join("bkt")).unwrap();
    let client = of_mounted(&mounted);
    (mounted, Client { authority, ..client })
}

/// A client of a mount that serves S3, with a new key.
pub fn of_mounted(mounted: &Mounted) -> Client {
    let until = Instant::now() + PATIENCE;
    let address = loop {
        let said = mounted.stderr();
        let place = said.split_once("serves S3 address=").and_then(|(_, rest)| rest.split_whitespace().next());
        if let Some(address) = place.and_then(|place| place.parse().ok()) {
            break address;
        }
        assert!(Instant::now() < until, "nobody says where S3 is served: {said}");
        std::thread::sleep(Duration::from_millis(10));
    };
    Client { address, key: new_key(&mounted.store(), None), authority: None }
}
