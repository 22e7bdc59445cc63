//! Protection: what a client may send, how slowly, and how many of them there may be (SHD-1, SHD-2).

use super::harness::Served;
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn shd_1_heads_are_bounded() {
    let served = Served::start();
    let with =
        |length: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: {}\r\n\r\n", "v".repeat(length));
    let answer = served.client.raw(with(40_000).as_bytes());
    assert!(answer.contains("<Code>RequestHeaderSectionTooLarge</Code>"), "{answer}");
    // What is far beyond is not even read.
    let answer = served.client.raw(with(2 << 20).as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let headers: String = (0..300).map(|n| format!("X-{n}: v\r\n")).collect();
    let answer = served.client.raw(format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n").as_bytes());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let fat = format!(
        "PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\nX-A: {}\r\n\r\n",
        "v".repeat(9000)
    );
    let answer = served.client.raw(fat.as_bytes());
    assert!(answer.contains("<Code>RequestHeaderSectionTooLarge</Code>"), "{answer}");
    let huge = b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5368709121\r\nConnection: close\r\n\r\n";
    assert!(served.client.raw(huge).contains("<Code>EntityTooLarge</Code>"));
    assert!(served.client.raw(b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

/// A body whose end can be seen in two places ends its connection: what a proxy took for its rest is no request.
#[test]
fn shd_2_no_request_hides_in_anothers_body() {
    let served = Served::start();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    let both = format!(
        "PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        5 + hidden.len()
    );
    let answer = served.client.raw(both.as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    for twice in
        ["Content-Length: 3\r\nContent-Length: 4", "Transfer-Encoding: xchunked\r\nContent-Length: 3", "X: a\r\n b"]
    {
        let request = format!("PUT /b/k HTTP/1.1\r\nHost: h\r\n{twice}\r\n\r\nabcd{hidden}");
        let answer = served.client.raw(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1 ").count() == 1, "{twice}: {answer}");
    }
}

/// More connections than are kept: those on which nothing moves make room, and a good client is served all the while.
#[test]
fn shd_2_a_flood_of_idle_connections_hinders_nobody() {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let mut idle = Vec::new();
    for n in 0..1_800 {
        let mut stream = TcpStream::connect(served.client.address).unwrap();
        if n % 2 == 0 {
            // Half a head.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n");
        }
        idle.push(stream);
        if n == 1_200 {
            // Before there are too many, all of them have been idle for a moment.
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    let begun = Instant::now();
    served.client.script("doors.py", &["put", "bkt", "k", "data"]);
    assert_eq!(served.client.script("doors.py", &["get", "bkt", "k"]), "data");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // The first that came were the idlest.
    idle[0].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(matches!(idle[0].read(&mut [0; 16]), Ok(0) | Err(_)));
}

/// A client has so many connections, and its newest is served: the idlest of its own makes room.
#[test]
fn shd_1_a_clients_connections_are_bounded() {
    let served = Served::configured("[s3]\nconnections_per_client = 4\n", &[]);
    let mut idle: Vec<_> = (0..12).map(|_| TcpStream::connect(served.client.address).unwrap()).collect();
    std::thread::sleep(Duration::from_secs(1));
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let mut ended = |n: usize, within: u64| {
        let stream: &mut TcpStream = &mut idle[n];
        stream.set_read_timeout(Some(Duration::from_secs(within))).unwrap();
        let read = stream.read(&mut [0; 16]);
        !read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    };
    assert!(ended(0, 5) && !ended(11, 1));
}

/// An access key has a rate, and so has an address that proves none.
#[test]
fn shd_3_rates_of_keys_and_strangers_are_bounded() {
    let served = Served::configured("[s3]\nrequest_rate = 5\nunsigned_rate = 3\n", &[]);
    let client = &served.client;
    client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    client.aws(&["s3api", "put-object", "--bucket", "bkt", "--key", "k"]);
    std::thread::sleep(Duration::from_millis(1500));
    let said: serde_json::Value = serde_json::from_str(&client.script("protection.py", &["rate"])).unwrap();
    assert!((5..40).contains(&said[0].as_u64().unwrap()), "{said}");
    assert_eq!(said[1], serde_json::json!([[503, true, true]]), "{said}");
    let strange = || client.raw(b"GET /bkt/k HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    let forged = b"GET /bkt/k HTTP/1.1\r\nHost: here\r\nConnection: close\r\nAuthorization: AWS4-HMAC-SHA256 x\r\n\r\n";
    let answers: Vec<_> = (0..10).map(|n| if n % 2 == 0 { strange() } else { client.raw(forged) }).collect();
    let slowed =
        answers.iter().filter(|answer| answer.contains("<Code>SlowDown</Code>") && answer.contains("retry-after: "));
    assert!((5..10).contains(&slowed.count()), "{answers:?}");
    // Who has a key is served meanwhile.
    std::thread::sleep(Duration::from_millis(1200));
    assert!(client.aws(&["s3api", "list-buckets"]).contains("bkt"));
}

#[test]
fn size_2_a_body_of_one_unsigned_chunk_takes_little_memory() {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    served.client.script("protection.py", &["large_chunk", &served.pid().to_string()]);
}

#[test]
fn auth_3_a_body_of_one_signed_chunk_takes_little_memory() {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    served.client.script("protection.py", &["signed_chunk", &served.pid().to_string()]);
}

#[test]
fn auth_9_nothing_is_added_to_a_signed_request() {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    served.client.script("protection.py", &["added"]);
}

#[test]
fn shd_1_documents_that_never_end_leave_room_for_others() {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    served.client.script("protection.py", &["hoard"]);
}

#[test]
fn key_17_documents_are_bounded_and_answers_are_xml() {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    served.client.script("protection.py", &["documents"]);
}

#[test]
fn read_8_ranges_that_are_none_are_ignored() {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let added = served.keyfold(&["user", "add", "other", "--uid", "2001", "--gid", "2001"]);
    assert!(added.status.success(), "{added:?}");
    let other = served.client_of("other").key;
    served.client.script("protection.py", &["ranges", &other.id, &other.secret]);
}

/// Clients that take nothing of what they asked for, more than there is room for, keep nobody from it.
#[test]
fn shd_1_answers_that_nobody_takes_hinder_no_other() {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    served.client.script("protection.py", &["fill"]);
    let url = served.keyfold(&["presign", "bkt/k", "--endpoint", &served.client.endpoint()]);
    let url = crate::mount::text(&url.stdout);
    let path = url.trim().split_once(&served.client.address.to_string()).unwrap().1.to_owned();
    let ask = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", served.client.address);
    let own = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
        let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap().trim();
        kib.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
    };
    let before = own();
    let takers: Vec<_> = (0..250)
        .map(|_| {
            let mut stream = TcpStream::connect(served.client.address).unwrap();
            // What the kernel holds for a client is not the point.
            setsockopt(&stream, sockopt::RcvBuf, &4096).unwrap();
            stream.write_all(ask.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Larger pieces have 64 MiB together, and each answer two small ones besides.
    let most = (0..20).map(|_| (std::thread::sleep(Duration::from_millis(200)), own()).1).max().unwrap();
    assert!(most - before < 150, "answers that nobody takes hold {} MiB", most - before);
    served.client.script("protection.py", &["take"]);
    drop(takers);
}
