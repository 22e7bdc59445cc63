//! Forms that browsers send: what they upload, what they are refused for, and that they are requests like any other.

use super::admin::{expect, value};
use super::harness::Served;
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const MIB: u64 = 1 << 20;

fn served() -> Served {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    served
}

#[test]
fn auth_1_a_form_uploads_its_file() {
    served().client.script("post.py", &["answers"]);
}

#[test]
fn auth_1_and_auth_7_a_form_that_may_not_uploads_nothing() {
    let served = served();
    let added = served.keyfold(&["user", "add", "other", "--uid", "2001", "--gid", "2001", "--create-buckets"]);
    assert!(added.status.success(), "{added:?}");
    let other = served.client_of("other");
    other.aws(&["s3api", "create-bucket", "--bucket", "theirs"]);
    served.client.script("post.py", &["refusals", &other.key.id, &other.key.secret]);
    let checked = served.keyfold(&["fsck"]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn size_2_files_of_forms_take_little_memory() {
    let served = served();
    let peak = served.client.script("post.py", &["large", &served.pid().to_string(), "100"]);
    let peak: u64 = peak.trim().parse().unwrap();
    println!("{} MiB was the most memory", peak / MIB);
    assert!(peak < 100 * MIB, "{} MiB", peak / MIB);
}

/// A form with a key is charged to that, one without, or with a wrong signature, to where it comes from.
#[test]
fn shd_3_forms_have_the_rates_of_their_keys_and_of_strangers() {
    let served = Served::configured("[s3]\nrequest_rate = 1000\nunsigned_rate = 2\n", &[]);
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let said = served.client.script("post.py", &["rate"]);
    let answered: Vec<u32> = said.lines().map(|line| line.parse().unwrap()).collect();
    assert!(answered[0] == 40 && answered[1..].iter().all(|answered| *answered < 30), "{answered:?}");
    let served = Served::configured("[s3]\nrequest_rate = 2\n", &[]);
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let said = served.client.script("post.py", &["rate"]);
    let answered: Vec<u32> = said.lines().map(|line| line.parse().unwrap()).collect();
    assert!(answered[0] < 30 && answered[1..] == [40, 40], "{answered:?}");
}

#[test]
fn shd_1_forms_that_are_given_away_hold_up_nobody_else() {
    served().client.script("post.py", &["held"]);
}

#[test]
fn cors_6_the_page_of_a_form_reads_its_answer() {
    served().client.script("post.py", &["crossing"]);
}

#[test]
fn gen_4_a_form_is_counted_and_ends_within_a_drain() {
    let mut served = Served::start_with(&["--admin", "127.0.0.1:0"]);
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let form = served.client.script("post.py", &["form", "k", "1000"]);
    let answer = served.client.raw(form.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let told = expect(served.admin.unwrap(), "/-/metrics", 200);
    assert_eq!(value(&told, r#"keyfold_s3_requests_total{op="PostObject"}"#), 1.0);
    let (begun, rest) = form.split_at(form.len() - 500);
    let mut stream = TcpStream::connect(served.client.address).unwrap();
    stream.write_all(begun.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    served.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(300));
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(served.ended().success());
}
