//! How fast the engine is below every door: appending, committing, looking up, listing.
//!
//! Nothing of the kernel's FUSE is in it; `mount.sh` measures that. Stores lie in TMPDIR, on whose disk the durable rows
//! depend.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on says where")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use keyfold::chunklog::{ChunkLog, Class, Owner, Settings as LogSettings, Tier};
use keyfold::model::{BucketName, DirId, FileKind, ObjectKey, Posix};
use keyfold::store::{ListRequest, Options, PosixChange, PutOptions, Session, Store};
use keyfold::sys::clock::SystemClock;
use keyfold::sys::disk::OsDisk;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Names in the directory that is looked up and listed.
const NAMES: u64 = 100_000;
/// Bytes appended to a log before the next one takes its place.
const LOG_BYTES_MAX: u64 = 2 << 30;

struct Bench {
    store: Arc<Store>,
    root: DirId,
    posix: Posix,
    next: AtomicU64,
    _dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("store");
        Store::init(&place, &Options::system()).unwrap();
        let store = Store::open(&place, Options::system()).unwrap();
        let posix = |kind| Posix::new(kind, 0o755, 0, 0, store.now());
        let made = store.create_bucket(&BucketName::parse("bench").unwrap(), &posix(FileKind::Directory)).unwrap();
        let posix = posix(FileKind::File);
        Self { store, root: made.root, posix, next: AtomicU64::new(0), _dir: dir }
    }

    fn name(&self) -> String {
        format!("name-{:09}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// What `open(O_CREAT)`, `write` and `close` on the mount do.
    fn create(&self, bytes: &[u8]) {
        let name = self.name();
        let ino = self.store.create_draft(self.root, &name, &self.posix).unwrap().object.ino;
        let mut draft = self.store.draft(None).unwrap();
        draft.write_at(0, bytes).unwrap();
        let mut session = Session::new();
        self.store.publish((self.root, &name), ino, &mut draft, &mut session, &PosixChange::default()).unwrap();
        self.store.seal(session).unwrap();
    }

    /// Names that are there, in no order.
    fn some_name(&self) -> String {
        let n = self.next.fetch_add(0x9e37_79b9, Ordering::Relaxed) % NAMES;
        format!("name-{n:09}")
    }
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("chunklog append");
    for bytes in [4 << 10, 64 << 10, 1 << 20] {
        let data = vec![0x5a; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        let name = if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) };
        group.bench_function(name, |b| {
            b.iter_custom(|count| {
                let mut spent = Duration::ZERO;
                let mut left = count;
                while left > 0 {
                    let now = left.min(LOG_BYTES_MAX / bytes as u64);
                    let dir = tempfile::tempdir().unwrap();
                    let disk = Arc::new(OsDisk::new(dir.path()));
                    let log = ChunkLog::open(disk, LogSettings::new([1; 16], 1, Arc::new(SystemClock))).unwrap();
                    let start = Instant::now();
                    for _ in 0..now {
                        black_box(log.append(Tier(0), Class::Hot, &[(Owner::default(), &data)]).unwrap());
                    }
                    spent += start.elapsed();
                    left -= now;
                }
                spent
            });
        });
    }
    group.finish();
}

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    group.throughput(Throughput::Elements(1));
    let bytes = [7; 4096];
    let bench = Bench::new();
    group.bench_function("create, write 4 KiB, publish, seal", |b| b.iter(|| bench.create(&bytes)));
    for threads in [1, 8] {
        let bench = Bench::new();
        let put = || {
            let key = ObjectKey::parse(&bench.name()).unwrap();
            bench.store.put("bench", &key, &mut bytes.as_slice(), &PutOptions::default()).unwrap();
        };
        group.bench_function(format!("durable put of 4 KiB, {threads} threads"), |b| {
            b.iter_custom(|count| {
                let left = AtomicU64::new(count);
                let take = |n: u64| n.checked_sub(1);
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| {
                            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                                put();
                            }
                        });
                    }
                });
                start.elapsed()
            });
        });
    }
    group.finish();
}

fn read(c: &mut Criterion) {
    let bench = Bench::new();
    for _ in 0..NAMES {
        let name = bench.name();
        bench.store.make_node(bench.root, &name, &bench.posix).unwrap();
    }
    bench.store.sync().unwrap();
    let mut group = c.benchmark_group("read, 100k names");
    group.throughput(Throughput::Elements(1));
    group.bench_function("lookup", |b| {
        b.iter_batched(
            || bench.some_name(),
            |name| assert!(bench.store.lookup(bench.root, &name).unwrap().is_some()),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("lookup of a name that is not there", |b| {
        b.iter_batched(
            || bench.some_name() + "-",
            |name| assert!(bench.store.lookup(bench.root, &name).unwrap().is_none()),
            BatchSize::SmallInput,
        );
    });
    group.throughput(Throughput::Elements(1000));
    let somewhere = || format!("name-{:09}", bench.next.fetch_add(0x9e37_79b9, Ordering::Relaxed) % (NAMES - 2000));
    group.bench_function("list 1,000", |b| {
        b.iter_batched(
            || ListRequest { after: Some(somewhere()), limit: 1000, ..ListRequest::default() },
            |request| assert_eq!(bench.store.list("bench", &request).unwrap().objects.len(), 1000),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("readdir page of 1,000", |b| {
        b.iter_batched(
            somewhere,
            |after| assert_eq!(bench.store.entries(bench.root, Some(&after), 1000).unwrap().len(), 1000),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group! {
    name = engine;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = append, commit, read
}
criterion_main!(engine);
