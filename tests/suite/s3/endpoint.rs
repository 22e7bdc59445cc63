//! The endpoint's life: start, ends, crashes, what it says of itself.

use super::harness::{Served, new_key};
use crate::mount::KEYFOLD;
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

/// GEN-3, GEN-4.
#[test]
fn gen_3_errors_are_xml_with_ids_and_heads_have_none() {
    let served = Served::start();
    let answer = served.client.raw(b"GET /bkt/a%20b?x=1 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 403 "), "{answer}");
    let id = head.split("x-amz-request-id: ").nth(1).unwrap().lines().next().unwrap();
    assert!(body.contains("<Code>AccessDenied</Code>") && body.contains("<Resource>/bkt/a%20b</Resource>"), "{body}");
    assert!(body.contains(&format!("<RequestId>{id}</RequestId>")) && head.contains("x-amz-id-2: "), "{answer}");
    let answer = served.client.raw(b"HEAD /bkt/k HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn an_operation_that_is_not_built_says_so() {
    let served = Served::start();
    let client = &served.client;
    client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let said = client.script(
        "refused.py",
        &["get_object_torrent", "delete_public_access_block", "delete_bucket_ownership_controls"],
    );
    assert_eq!(said, "501 NotImplemented\n".repeat(3));
}

#[test]
fn sigterm_lets_a_request_that_runs_end_and_takes_no_other() {
    let mut served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let mut upload = served.client.script("slow.py", &["head", "bkt/k", "11"]);
    let mut stream = TcpStream::connect(served.client.address).unwrap();
    upload.push_str("\r\n");
    stream.write_all(upload.as_bytes()).unwrap();
    stream.write_all(b"hello ").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    served.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(300));
    assert!(TcpStream::connect(served.client.address).is_err(), "nobody new is let in");
    stream.write_all(b"world").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(served.ended().success());
    let listed = Command::new(KEYFOLD).arg("--store").arg(served.store()).args(["ls", "bkt"]).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains('k'), "{listed:?}");
}

#[test]
fn an_address_that_is_taken_and_a_store_that_is_served_are_told() {
    let served = Served::start();
    let address = served.client.address.to_string();
    let other = served.aside("other");
    let begun = Instant::now();
    let run =
        |dir: &std::path::Path| Command::new(KEYFOLD).args(["serve", "--s3", &address]).arg(dir).output().unwrap();
    let taken = run(&other);
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(taken.status.code() == Some(5) && said.contains("something listens there already"), "{said}");
    let busy = run(&served.store());
    assert_eq!(busy.status.code(), Some(6), "{}", String::from_utf8_lossy(&busy.stderr));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// Every upload that was completed is there after a crash, and of the others nothing (MPU-7, SIZE-6).
#[test]
fn mpu_7_kill_9_during_uploads_leaves_whole_objects_only() {
    let mut served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    for round in 0..2 {
        let done = served.aside(&format!("done-{round}"));
        std::thread::scope(|scope| {
            let (client, done) = (&served.client, done.to_str().unwrap());
            let uploading = scope.spawn(move || client.script("crash.py", &["write", "bkt", done]));
            let end = Instant::now() + Duration::from_secs(60);
            while std::fs::read_to_string(done).is_ok_and(|text| text.lines().count() < 6)
                || !std::path::Path::new(done).exists()
            {
                assert!(Instant::now() < end);
                std::thread::sleep(Duration::from_millis(20));
            }
            served.signal(Signal::SIGKILL);
            uploading.join().unwrap();
        });
        served.crash();
        served.client.script("crash.py", &["check", "bkt", done.to_str().unwrap()]);
    }
    let checked = served.keyfold(&["fsck"]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn keys_that_are_taken_away_open_nothing_any_more() {
    let served = Served::start();
    let client = &served.client;
    client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let key = new_key(&served.store(), None);
    assert!(served.keyfold(&["access-key", "disable", &key.id]).status.success());
    let said = super::harness::Client { address: client.address, key, authority: None }
        .script("refused.py", &["list_buckets"]);
    assert_eq!(said, "403 InvalidAccessKeyId\n");
}

/// Refused before its body was read, a request spoils neither its own answer nor the connection.
#[test]
fn a_refused_upload_leaves_the_connection_fit_for_the_next() {
    let served = Served::start();
    let mut stream = TcpStream::connect(served.client.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for round in 0..3 {
        let head = format!("PUT /bkt/{round} HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(&vec![b'x'; 1_000_000]).unwrap();
        let mut answer = String::new();
        while !answer.contains("</Error>") {
            let mut piece = [0; 4096];
            let len = stream.read(&mut piece).unwrap();
            assert!(len > 0, "{round}: {answer}");
            answer.push_str(&String::from_utf8_lossy(&piece[..len]));
        }
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains(&format!("/bkt/{round}")), "{answer}");
    }
}
