//! A load of S3 requests against servers that run already, in turn, and what came of it as a table.
//!
//! `s3.sh` starts the servers and calls it; alone:
//!
//! ```text
//! cargo bench --bench s3 -- [--rounds N] [--seconds S] [--jobs "put get"] [--keys N] NAME=HOST:PORT,KEY,SECRET ...
//! cargo bench --bench s3 -- fill STORE BUCKET N
//! ```
//!
//! The first side is compared with the others. Requests are signed by version 4 with an unsigned body, as clients do over
//! TLS; each connection is kept and has a thread of its own. `fill` makes N keys of no bytes in a store that nobody serves.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on says where")]
#![allow(clippy::expect_used, reason = "the same")]
#![allow(clippy::panic, reason = "the same")]

use keyfold::crypto::{hmac_sha256, sha256};
use keyfold::model::{BucketName, FileKind, ObjectKey, Posix};
use keyfold::store::{Options, PutOptions, Store};
use keyfold::sys::clock::{Clock, SystemClock};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const BUCKET: &str = "load";
const REGION: &str = "us-east-1";
/// What a request's head has to fit into.
const HEAD_BYTES_MAX: usize = 16 * KIB;
/// Threads that fill a store, so that they share rounds.
const FILLERS: u64 = 64;

/// A server.
struct Side {
    name: String,
    address: String,
    key: String,
    secret: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Put,
    Get,
    /// A piece of a large object.
    Range,
    /// All keys of the bucket that was filled, a page after the other, once.
    List,
}

#[derive(Clone, Copy)]
struct Job {
    kind: Kind,
    /// Bytes of a body.
    bytes: usize,
    connections: usize,
}

/// Objects of a size that are there to be read.
const fn there(bytes: usize) -> u64 {
    match bytes {
        0..MIB => 2000,
        MIB..=0x3f_ffff => 64,
        _ => 4,
    }
}

/// The large object that pieces are read of.
const LARGE: usize = 64 * MIB;

fn jobs(wanted: &str, keys: u64) -> Vec<Job> {
    let mut jobs = vec![];
    let mut add = |kind, bytes, connections: &[usize]| {
        jobs.extend(connections.iter().map(|&connections| Job { kind, bytes, connections }));
    };
    for word in wanted.split_whitespace() {
        match word {
            "put" => [4 * KIB, MIB].into_iter().for_each(|bytes| add(Kind::Put, bytes, &[1, 8, 32])),
            "get" => [4 * KIB, MIB].into_iter().for_each(|bytes| add(Kind::Get, bytes, &[1, 8, 32])),
            "large" => {
                add(Kind::Put, LARGE, &[1, 8]);
                add(Kind::Get, LARGE, &[1, 8]);
            }
            "range" => add(Kind::Range, MIB, &[1, 8, 32]),
            "list" if keys > 0 => add(Kind::List, 0, &[1]),
            _ => panic!("{word} is no job: put get large range list, which wants --keys"),
        }
    }
    jobs
}

impl Job {
    fn name(&self, keys: u64) -> String {
        let size =
            |bytes: usize| if bytes < MIB { format!("{} KiB", bytes / KIB) } else { format!("{} MiB", bytes / MIB) };
        match self.kind {
            Kind::Put => format!("PUT {}", size(self.bytes)),
            Kind::Get => format!("GET {}", size(self.bytes)),
            Kind::Range => format!("GET {} of {}", size(self.bytes), size(LARGE)),
            Kind::List => format!("list {keys} keys by 1,000"),
        }
    }
}

/// A connection that is kept, and what signs its requests.
struct Connection<'a> {
    side: &'a Side,
    stream: TcpStream,
    /// What came behind a head.
    buffer: Vec<u8>,
    day: String,
    signing: [u8; 32],
}

impl<'a> Connection<'a> {
    fn new(side: &'a Side) -> Self {
        let stream = TcpStream::connect(&side.address).unwrap_or_else(|error| panic!("{}: {error}", side.name));
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let day = now()[..8].to_owned();
        let signing = [day.as_str(), REGION, "s3", "aws4_request"]
            .iter()
            .fold(format!("AWS4{}", side.secret).into_bytes(), |key, part| hmac_sha256(&key, part.as_bytes()).to_vec());
        Self { side, stream, buffer: vec![0; 256 * KIB], day, signing: signing.try_into().unwrap() }
    }

    fn head(&self, method: &str, path: &str, query: &str, range: Option<(usize, usize)>, bytes: usize) -> String {
        let (now, host, day) = (now(), &self.side.address, &self.day);
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{now}\n\n{signed}\nUNSIGNED-PAYLOAD"
        );
        let scope = format!("{day}/{REGION}/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex(&sha256(canonical.as_bytes())));
        let signature = hex(&hmac_sha256(&self.signing, text.as_bytes()));
        let mark = if query.is_empty() { "" } else { "?" };
        let mut head = format!(
            "{method} {path}{mark}{query} HTTP/1.1\r\nHost: {host}\r\nx-amz-date: {now}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}\r\n",
            self.side.key
        );
        if let Some((from, to)) = range {
            write!(head, "Range: bytes={from}-{}\r\n", to - 1).unwrap();
        }
        if method == "PUT" {
            write!(head, "Content-Length: {bytes}\r\n").unwrap();
        }
        head.push_str("\r\n");
        head
    }

    /// Sends a request and takes its answer; the length of its body, which `keep` gets.
    fn ask(&mut self, head: &str, body: &[u8], keep: Option<&mut Vec<u8>>) -> u64 {
        self.try_ask(head, body, keep).unwrap_or_else(|why| panic!("{}: {why}\n{head}", self.side.name))
    }

    fn try_ask(&mut self, head: &str, body: &[u8], keep: Option<&mut Vec<u8>>) -> Result<u64, String> {
        if body.len() < 64 * KIB {
            self.stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        } else {
            self.stream.write_all(head.as_bytes()).unwrap();
            self.stream.write_all(body).unwrap();
        }
        self.answer(keep)
    }

    fn answer(&mut self, mut keep: Option<&mut Vec<u8>>) -> Result<u64, String> {
        let mut filled = 0;
        let head = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).map_err(|error| error.to_string())?;
            filled += read;
            if let Some(at) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if read == 0 || filled > HEAD_BYTES_MAX {
                return Err("the answer has no head".to_owned());
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: u64 = length.and_then(|digits| digits.parse().ok()).ok_or_else(|| format!("no length: {text}"))?;
        let first = &self.buffer[head..filled];
        if let Some(keep) = &mut keep {
            keep.extend_from_slice(first);
        }
        let good = matches!(text.get(9..12), Some("200" | "204" | "206"));
        let mut left = length - first.len() as u64;
        let mut said = if good { vec![] } else { first.to_vec() };
        while left > 0 {
            let read = self.stream.read(&mut self.buffer).map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the answer ended early".to_owned());
            }
            left -= read as u64;
            if let Some(keep) = &mut keep {
                keep.extend_from_slice(&self.buffer[..read]);
            }
            if !good {
                said.extend_from_slice(&self.buffer[..read]);
            }
        }
        if good { Ok(length) } else { Err(format!("{text}{}", String::from_utf8_lossy(&said))) }
    }

    fn put(&mut self, key: &str, body: &[u8]) {
        let head = self.head("PUT", &format!("/{BUCKET}/{key}"), "", None, body.len());
        self.ask(&head, body, None);
    }

    fn get(&mut self, key: &str, range: Option<(usize, usize)>) -> u64 {
        let head = self.head("GET", &format!("/{BUCKET}/{key}"), "", range, 0);
        self.ask(&head, &[], None)
    }

    /// Lists a bucket to its end; how many keys there are, and what each page took.
    fn list(&mut self, bucket: &str) -> (u64, Vec<Duration>) {
        let (mut keys, mut took, mut token, mut page) = (0, vec![], String::new(), vec![]);
        loop {
            let query = format!("{token}list-type=2&max-keys=1000");
            let begun = Instant::now();
            page.clear();
            let head = self.head("GET", &format!("/{bucket}"), &query, None, 0);
            self.ask(&head, &[], Some(&mut page));
            took.push(begun.elapsed());
            let text = std::str::from_utf8(&page).unwrap();
            keys += text.matches("<Key>").count() as u64;
            let next = text.split("<NextContinuationToken>").nth(1).and_then(|rest| rest.split('<').next());
            let Some(next) = next else { return (keys, took) };
            token = format!("continuation-token={}&", escaped(next));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
        out
    })
}

/// The time as signatures have it.
fn now() -> String {
    format!("{}Z", &SystemClock.now().sortable()[..15])
}

/// Bytes that no disk and no wire makes smaller.
fn body(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut word).flatten().take(bytes).collect()
}

/// What a job came to on a side.
struct Measured {
    /// Requests a second, bytes a second, keys a second: whatever the job counts.
    rate: f64,
    /// Milliseconds of half of the requests, and of 99 of 100.
    half: f64,
    most: f64,
}

/// Makes a bucket and what is read of it.
fn prepare(side: &Side, jobs: &[Job]) {
    let mut connection = Connection::new(side);
    let head = connection.head("PUT", &format!("/{BUCKET}"), "", None, 0);
    // One that is there already will do.
    let _ = connection.try_ask(&head, &[], None);
    let mut sizes: Vec<usize> = jobs.iter().filter(|job| job.kind == Kind::Get).map(|job| job.bytes).collect();
    if jobs.iter().any(|job| job.kind == Kind::Range) {
        sizes.push(LARGE);
    }
    sizes.sort_unstable();
    sizes.dedup();
    for bytes in sizes {
        let body = body(bytes);
        let (next, all) = (AtomicU64::new(0), there(bytes));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut connection = Connection::new(side);
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= all {
                            return;
                        }
                        connection.put(&format!("there-{bytes}/{n}"), &body);
                    }
                });
            }
        });
    }
}

fn run(side: &Side, job: Job, seconds: f64, round: usize, keys: u64) -> Measured {
    if job.kind == Kind::List {
        let begun = Instant::now();
        let (found, took) = Connection::new(side).list("filled");
        assert_eq!(found, keys, "{} lists another number of keys", side.name);
        return measured(took, keys as f64, begun.elapsed());
    }
    let (ready, body) = (Barrier::new(job.connections), body(if job.kind == Kind::Put { job.bytes } else { 0 }));
    // Of large ones a few are written again and again.
    let names = if job.bytes < MIB { u64::MAX } else { there(job.bytes) };
    let begun = std::sync::OnceLock::new();
    let each = |number: usize| {
        let mut connection = Connection::new(side);
        let mut took = vec![];
        ready.wait();
        let end = *begun.get_or_init(Instant::now) + Duration::from_secs_f64(seconds);
        let mut state = number as u64 * 7919 + round as u64;
        loop {
            let start = Instant::now();
            if start >= end && !took.is_empty() {
                return took;
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chance = state >> 33;
            match job.kind {
                Kind::Put => {
                    let n = took.len() as u64 % names;
                    connection.put(&format!("put-{}/{round}-{}-{number}-{n}", job.bytes, job.connections), &body);
                }
                Kind::Get => {
                    let key = format!("there-{}/{}", job.bytes, chance % there(job.bytes));
                    assert_eq!(connection.get(&key, None), job.bytes as u64);
                }
                Kind::Range => {
                    let from = chance as usize % (LARGE - job.bytes);
                    let key = format!("there-{LARGE}/0");
                    assert_eq!(connection.get(&key, Some((from, from + job.bytes))), job.bytes as u64);
                }
                Kind::List => unreachable!("lists run alone"),
            }
            took.push(start.elapsed());
        }
    };
    let all: Vec<Duration> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..job.connections).map(|number| scope.spawn(move || each(number))).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let spent = begun.get().unwrap().elapsed();
    let each = if job.bytes < MIB { 1.0 } else { job.bytes as f64 / MIB as f64 };
    let count = all.len() as f64 * each;
    measured(all, count, spent)
}

fn measured(mut took: Vec<Duration>, count: f64, spent: Duration) -> Measured {
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    Measured { rate: count / spent.as_secs_f64(), half: at(0.5), most: at(0.99) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn table(sides: &[Side], jobs: &[Job], found: &BTreeMap<(usize, usize), Vec<Measured>>, keys: u64) {
    let mut head = vec!["job".to_owned(), "connections".to_owned(), "unit".to_owned()];
    head.extend(sides.iter().map(|side| side.name.clone()));
    head.extend(sides[1..].iter().map(|side| format!("to {}", side.name)));
    head.extend(sides.iter().map(|side| format!("{} p50, p99 ms", side.name)));
    let mut rows = vec![head];
    for (at, job) in jobs.iter().enumerate() {
        let of = |side: usize, value: fn(&Measured) -> f64| {
            found.get(&(at, side)).map(|all| median(all.iter().map(value).collect()))
        };
        let unit = match job.kind {
            Kind::List => "key/s",
            _ if job.bytes < MIB => "op/s",
            _ => "MiB/s",
        };
        let mut row = vec![job.name(keys), job.connections.to_string(), unit.to_owned()];
        let dash = || "-".to_owned();
        row.extend(
            (0..sides.len()).map(|side| of(side, |one| one.rate).map_or_else(dash, |rate| format!("{rate:.0}"))),
        );
        let ours = of(0, |one| one.rate);
        row.extend((1..sides.len()).map(|side| {
            ours.zip(of(side, |one| one.rate)).map_or_else(dash, |(us, them)| format!("{:.2}", us / them))
        }));
        row.extend((0..sides.len()).map(|side| {
            of(side, |one| one.half)
                .zip(of(side, |one| one.most))
                .map_or_else(dash, |(half, most)| format!("{half:.2}, {most:.2}"))
        }));
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(column, (cell, width))| {
                    if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        println!("{}", cells.join("  "));
    }
}

/// Makes keys of no bytes in a new bucket of a store that nobody serves.
fn fill(store: &Path, bucket: &str, count: u64) {
    let store = Store::open(store, Options::system()).unwrap();
    let root = Posix::new(FileKind::Directory, 0o755, 0, 0, store.now());
    store.create_bucket(&BucketName::parse(bucket).unwrap(), &root).unwrap();
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..FILLERS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    let key = ObjectKey::parse(&format!("a-directory/a-key-of-some-length-{n:09}")).unwrap();
                    store.put(bucket, &key, &mut std::io::empty(), &PutOptions::default()).unwrap();
                }
            });
        }
    });
}

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench").peekable();
    if words.next_if(|word| word == "fill").is_some() {
        let words: Vec<String> = words.collect();
        let [store, bucket, count] = words.as_slice() else { panic!("usage: fill STORE BUCKET N") };
        return fill(Path::new(store), bucket, count.parse().unwrap());
    }
    let (mut rounds, mut seconds, mut wanted, mut keys) = (3, 3.0, "put get large range".to_owned(), 0);
    let mut sides = vec![];
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--rounds" => rounds = value().parse().unwrap(),
            "--seconds" => seconds = value().parse().unwrap(),
            "--jobs" => wanted = value(),
            "--keys" => keys = value().parse().unwrap(),
            _ => {
                let (name, rest) = word.split_once('=').expect("a side is NAME=HOST:PORT,KEY,SECRET");
                let parts: Vec<&str> = rest.split(',').collect();
                let [address, key, secret] = parts[..] else { panic!("a side is NAME=HOST:PORT,KEY,SECRET") };
                let own = str::to_owned;
                sides.push(Side { name: own(name), address: own(address), key: own(key), secret: own(secret) });
            }
        }
    }
    assert!(!sides.is_empty(), "there is nobody to ask: name sides as NAME=HOST:PORT,KEY,SECRET");
    let jobs = jobs(&wanted, keys);
    for side in &sides {
        prepare(side, &jobs);
    }
    let mut found: BTreeMap<(usize, usize), Vec<Measured>> = BTreeMap::new();
    for round in 0..rounds {
        for (at, job) in jobs.iter().enumerate() {
            for turn in 0..sides.len() {
                // Another begins each time.
                let side = (turn + round) % sides.len();
                if job.kind != Kind::List || side == 0 {
                    let measured = run(&sides[side], *job, seconds, round, keys);
                    found.entry((at, side)).or_default().push(measured);
                }
            }
        }
    }
    table(&sides, &jobs, &found, keys);
}
