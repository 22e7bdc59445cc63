//! Protection: what a client may send, how slowly, and how many of them there may be (SHD-1, SHD-2).

use super::harness::Served;
use std::io::{Read, Write};
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

/// More connections than are kept: those on which nothing moves make room, and a good client is served all the while.
#[test]
fn shd_2_a_flood_of_idle_connections_hinders_nobody() {
    let served = Served::start();
    served.client.aws(&["s3api", "create-bucket", "--bucket", "bkt"]);
    let mut idle = Vec::new();
    for n in 0..2_600 {
        let mut stream = TcpStream::connect(served.client.address).unwrap();
        if n % 2 == 0 {
            // Half a head.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n");
        }
        idle.push(stream);
        if n == 2_000 {
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
