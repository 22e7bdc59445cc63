//! A store directory that a stranger handed over, and a stranger at its socket: neither harms anything but the store.
//!
//! The built program runs with little memory and little time. It may refuse, and say why; it may not panic, hang, take all
//! memory, write outside the store and the export's directory, or read what a link leads to.

mod files;
mod records;
mod socket;

use super::bench::Bench;
use crate::engine::harness::copy;
use crate::long;
use keyfold::model::{BucketName, DirId, FileKind, ObjectKey, Posix, Timestamp, Versioning};
use keyfold::store::{Options, PutOptions, Session, Store};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// MiB of address space: RocksDB's threads take most of it.
const ADDRESS_MAX: u32 = 3072;
/// Far more than an honest store of this size takes.
const SECONDS_MAX: u32 = 60;

/// Runs the program within those bounds; its status and what it printed.
#[track_caller]
fn bounded(store: &Path, args: &[&str]) -> (i32, String) {
    let script = format!("ulimit -v $(({ADDRESS_MAX} * 1024)); exec timeout -s KILL {SECONDS_MAX} \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_keyfold")]).args(args);
    command.env("KEYFOLD_STORE", store).env_remove("NOTIFY_SOCKET").env("NO_COLOR", "1");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let status = output.status.code().unwrap_or(-1);
    // 0 to 7 is what commands end with: a panic ends with 101, a signal with more than 128.
    assert!((0..=7).contains(&status) && !text.contains("panicked"), "{args:?} ended with {status}: {text}");
    (status, text)
}

/// All that only reads, and an export into `out`.
fn look(store: &Path, out: &Path) {
    let always = [&["fsck"][..], &["ls", "plain", "--recursive"], &["ls", "plain", "--recursive", "--versions"]];
    let besides = [
        &["status"][..],
        &["bucket", "ls"],
        &["ls", "plain", "--recursive", "--at", "2100-01-01T00:00:00Z"],
        &["du", "plain/d", "--versions"],
        &["events"],
    ];
    for args in always.iter().chain(besides.iter().filter(|_| long())) {
        bounded(store, args);
    }
    bounded(store, &["export", out.to_str().unwrap()]);
}

/// Bytes and names below a directory; links as what they say.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let bytes = if meta.is_dir() {
                open.push(path.clone());
                b"a directory".to_vec()
            } else if meta.is_file() {
                std::fs::read(&path).unwrap()
            } else {
                std::fs::read_link(&path).map(|to| to.into_os_string().into_encoded_bytes()).unwrap_or_default()
            };
            found.insert(path, bytes);
        }
    }
    found
}

/// A sound store, and a directory beside it that nothing may touch.
struct Stranger {
    bench: Bench,
    outside: PathBuf,
    root: DirId,
}

impl Stranger {
    /// A store with inline bytes, runs in a closed segment, a tree of extents, a file of its own, history.
    fn new() -> Self {
        let bench = Bench::new();
        let outside = bench.store.with_file_name("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "not yours").unwrap();
        Store::init(&bench.store, &Options::system()).unwrap();
        let store = Store::open(&bench.store, Options::system()).unwrap();
        let posix = |kind| Posix::new(kind, 0o644, 1000, 100, Timestamp::new(1_795_312_800, 0));
        let bucket = store.create_bucket(&BucketName::parse("plain").unwrap(), &posix(FileKind::Directory)).unwrap();
        store.set_versioning("plain", Versioning::Enabled).unwrap();
        for (key, len) in [("inline", 12), ("inline", 30), ("d/run", 10_000), ("d/solo", 5 << 20)] {
            let key = ObjectKey::parse(key).unwrap();
            store.put("plain", &key, &mut &vec![7; len][..], &PutOptions::default()).unwrap();
        }
        let made = store.create_draft(bucket.root, "tree", &posix(FileKind::File)).unwrap();
        let mut draft = store.draft(None).unwrap();
        (0..100u64).for_each(|n| draft.write_at(n * 24_576, &[3; 4096]).unwrap());
        let mut session = Session::new();
        store.publish((bucket.root, "tree"), made.object.ino, &mut draft, &mut session, &Default::default()).unwrap();
        store.seal(session).unwrap();
        store.close().unwrap();
        Self { bench, outside, root: bucket.root }
    }

    /// A copy of the store, for one case.
    fn copy(&self, name: &str) -> PathBuf {
        let store = self.bench.store.with_file_name(name);
        copy(&self.bench.store, &store);
        store
    }

    /// Where that case may be exported to.
    fn out(&self, name: &str) -> PathBuf {
        self.bench.store.with_file_name(format!("{name}-out"))
    }
}

#[test]
fn a_sound_store_is_sound_within_the_bounds() {
    let stranger = Stranger::new();
    let store = stranger.copy("sound");
    let (status, text) = bounded(&store, &["fsck"]);
    assert_eq!(status, 0, "{text}");
    look(&store, &stranger.out("sound"));
    assert!(stranger.out("sound").join("plain/d/solo").is_file());
}
