//! The admin address: metrics, health, readiness, and that it is shown where one looks for it.

use super::harness::{Served, mounted_with};
use crate::mount::{KEYFOLD, text};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// Asks the admin address; head and body of the answer.
#[track_caller]
fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[track_caller]
pub fn expect(address: SocketAddr, path: &str, status: u16) -> String {
    let (head, body) = ask(address, &format!("GET {path}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}\n{body}");
    body
}

/// The value of a metric.
#[track_caller]
pub fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

#[test]
fn metrics_tell_of_each_operation() {
    let served = Served::start_with(&["--admin", "127.0.0.1:0"]);
    let (client, admin) = (&served.client, served.admin.unwrap());
    client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    client.script("doors.py", &["put", "bkt", "k", "12345"]);
    client.script("doors.py", &["get", "bkt", "k"]);
    assert_eq!(client.script("doors.py", &["get", "bkt", "absent"]), "NoSuchKey");
    let text = expect(admin, "/-/metrics", 200);
    assert_eq!(value(&text, r#"keyfold_s3_requests_total{op="PutObject"}"#), 1.0);
    assert_eq!(value(&text, r#"keyfold_s3_requests_total{op="GetObject"}"#), 2.0);
    assert_eq!(value(&text, r#"keyfold_s3_errors_total{op="GetObject",code="NoSuchKey"}"#), 1.0);
    assert_eq!(value(&text, r#"keyfold_s3_request_seconds_count{op="GetObject"}"#), 2.0);
    assert!(value(&text, r#"keyfold_s3_write_bytes_total{op="PutObject"}"#) >= 5.0);
    assert!(value(&text, r#"keyfold_s3_read_bytes_total{op="GetObject"}"#) >= 5.0);
    assert_eq!(value(&text, r#"keyfold_bucket_objects{bucket="bkt"}"#), 1.0);
    assert!(text.ends_with("# EOF\n"));
    let (head, _) = ask(admin, "GET /-/metrics");
    assert!(head.to_lowercase().contains("content-type: application/openmetrics-text"), "{head}");
}

#[test]
fn health_and_readiness_are_told_apart() {
    let mut served = Served::start_with(&["--admin", "127.0.0.1:0"]);
    let admin = served.admin.unwrap();
    assert_eq!(expect(admin, "/-/health", 200), "alive\n");
    assert_eq!(expect(admin, "/-/ready", 200), "ready\n");
    assert!(ask(admin, "HEAD /-/ready").0.starts_with("HTTP/1.1 200 "));
    expect(admin, "/", 404);
    assert!(ask(admin, "POST /-/ready").0.starts_with("HTTP/1.1 405 "));
    // A page that a browser shows under another name is not answered.
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.write_all(b"GET /-/metrics HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    // While requests run to their end the process lives and wants no more of them.
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let head = served.client.script("slow.py", &["head", "bkt/k", "11"]);
    let mut upload = TcpStream::connect(served.client.address).unwrap();
    upload.write_all(format!("{head}\r\nhello ").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    served.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(expect(admin, "/-/health", 200), "alive\n");
    assert!(expect(admin, "/-/ready", 503).contains("ending"));
    upload.write_all(b"world").unwrap();
    assert!(served.ended().success());
    assert!(TcpStream::connect(admin).is_err(), "it ends with the process");
}

#[test]
fn a_backup_is_alive_and_not_ready() {
    let served = Served::start();
    let backups = served.aside("backups");
    let backed = served.keyfold(&["backup", backups.to_str().unwrap()]);
    assert!(backed.status.success(), "{backed:?}");
    let generation = std::fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir());
    let mut command = Command::new(KEYFOLD);
    command.args(["serve", "--json", "--s3", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).arg(generation.unwrap());
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut said).unwrap();
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    let admin = told["admin"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    expect(admin, "/-/health", 200);
    assert!(expect(admin, "/-/ready", 503).contains("backup"));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A mount's endpoints are in its status, on the mount and on the command line.
#[test]
fn status_says_where_a_process_is_reached() {
    let (mounted, client) = mounted_with("s3=127.0.0.1:0,admin=127.0.0.1:0", None);
    let shown: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(mounted.root().join(".keyfold/status.json")).unwrap()).unwrap();
    assert_eq!(shown["endpoints"][0]["serves"], "s3");
    assert_eq!(shown["endpoints"][0]["url"], client.endpoint());
    let admin = shown["endpoints"][1]["url"].as_str().unwrap().strip_prefix("http://").unwrap();
    let metrics = expect(admin.parse().unwrap(), "/-/metrics", 200);
    let of_mount = std::fs::read_to_string(mounted.root().join(".keyfold/metrics")).unwrap();
    let names =
        |text: &str| text.lines().filter(|line| line.starts_with("# HELP")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(names(&metrics), names(&of_mount));
    let said = text(&mounted.keyfold(&["status"]).stdout);
    assert!(said.contains(&client.endpoint()) && said.contains(&format!("http://{admin}")), "{said}");
}

#[test]
fn an_admin_address_that_others_reach_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run =
        Command::new(KEYFOLD).args(["serve", "--admin", "0.0.0.0:0"]).arg(dir.path().join("store")).output().unwrap();
    let said = text(&run.stderr);
    assert!(run.status.code() == Some(2) && said.contains("others than this machine reach it"), "{said}");
}

/// SHD-2: who only holds connections open keeps nobody from it: the idlest makes room.
#[test]
fn shd_2_idle_connections_make_room_at_the_admin_address() {
    let served = Served::start_with(&["--admin", "127.0.0.1:0"]);
    let admin = served.admin.unwrap();
    let mut idle: Vec<_> = (0..72).map(|_| TcpStream::connect(admin).unwrap()).collect();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(expect(admin, "/-/health", 200), "alive\n");
    let mut is_open = |n: usize| {
        let stream: &mut TcpStream = &mut idle[n];
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.read(&mut [0; 1]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    assert!(!is_open(0) && is_open(60));
}
