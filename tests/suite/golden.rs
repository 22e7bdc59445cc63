//! A store that format 1 wrote, kept in the repository: every later release opens it, finds it sound and reads the same.
//!
//! `golden/format-1.tar.xz` is the store and `golden/format-1.txt` all that could be read from it when it was written.
//! Both are made by `KEYFOLD_MAKE_GOLDEN=DIR cargo nextest run makes_the_golden_store` and then never again: a change
//! that needs a new archive is a change of the format, and gets its own number.

mod dump;

use crate::entropy::Counted;
use keyfold::model::{
    BucketName, FileKind, Ino, Metadata, ObjectKey, Posix, StorageClass, SystemHeader, TagSet, Versioning,
};
use keyfold::store::{
    CompleteOptions, CompletePart, Condition, CopyOptions, Draft, Options, PosixChange, Promise, PutOptions, RenameHow,
    Session, Settings, Store, UploadOptions, XattrMode,
};
use keyfold::sys::clock::ManualClock;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// 2026-01-01T00:00:00Z
const BEGINNING: i64 = 1_767_225_600;

fn options(clock: &Arc<ManualClock>) -> Options {
    Options {
        // Small segments, so that the store has some that are sealed.
        settings: Settings { segment_bytes: 1 << 20, ..Settings::default() },
        clock: Arc::clone(clock) as _,
        entropy: Arc::new(Counted::new()),
        ..Options::system()
    }
}

/// Bytes that tell where they belong and pack well.
fn text(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|n| if n % 4096 < 8 { (n / 4096) as u8 ^ seed } else { seed }).collect()
}

struct Maker {
    store: Arc<Store>,
    clock: Arc<ManualClock>,
}

impl Maker {
    /// A second passes, so that every change has a time of its own.
    fn tick(&self) {
        self.clock.advance_millis(1001);
    }

    fn bucket(&self, name: &str) {
        self.tick();
        let posix = Posix::new(FileKind::Directory, 0o755, 0, 0, self.store.now());
        self.store.create_bucket(&BucketName::parse(name).unwrap(), &posix).unwrap();
    }

    fn put_with(&self, bucket: &str, key: &str, bytes: &[u8], options: &PutOptions) {
        self.tick();
        self.store.put(bucket, &ObjectKey::parse(key).unwrap(), &mut &*bytes, options).unwrap();
    }

    fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        self.put_with(bucket, key, bytes, &PutOptions::default());
    }

    fn delete(&self, bucket: &str, key: &str) {
        self.tick();
        self.store.delete(bucket, &ObjectKey::parse(key).unwrap(), None, Condition::Always).unwrap();
    }

    fn copy(&self, from: (&str, &str), to: (&str, &str)) {
        self.tick();
        let object = self.store.get(from.0, &ObjectKey::parse(from.1).unwrap(), None).unwrap();
        self.store.copy(&object, to.0, &ObjectKey::parse(to.1).unwrap(), &CopyOptions::default()).unwrap();
    }

    /// What a write session on the mount does to a file: `change` edits the bytes.
    fn edit(&self, bucket: &str, name: &str, change: impl FnOnce(&mut Draft)) {
        let session = self.edit_unsealed(bucket, name, change);
        self.store.seal(session).unwrap();
    }

    fn edit_unsealed(&self, bucket: &str, name: &str, change: impl FnOnce(&mut Draft)) -> Session {
        self.tick();
        let root = self.store.bucket(bucket).unwrap().root;
        let (ino, base) = match self.store.get(bucket, &ObjectKey::parse(name).unwrap(), None) {
            Ok(object) => (object.ino, Some(object)),
            Err(_) => {
                let posix = Posix::new(FileKind::File, 0o640, 1000, 100, self.store.now());
                (self.store.create_draft(root, name, &posix).unwrap().object.ino, None)
            }
        };
        let mut draft = self.store.draft(base.as_ref()).unwrap();
        change(&mut draft);
        let mut session = Session::new();
        self.store.publish((root, name), ino, &mut draft, &mut session, &PosixChange::default()).unwrap();
        session
    }

    /// A bucket that was never versioned: every way to keep bytes and names.
    fn plain(&self) {
        let store = &self.store;
        self.bucket("plain");
        self.put("plain", "empty", b"");
        self.put("plain", "inline.txt", b"a few bytes that lie in the index");
        self.put("plain", "run.bin", &text(1, 100_000));
        self.put("plain", "several-runs.bin", &text(2, 3 << 20));
        self.put("plain", "solo.bin", &text(3, 5 << 20));
        // Scattered writes: more extents than a record takes, then so many that the tree has two levels.
        let scatter = |draft: &mut Draft, count: u64| {
            for n in 0..count {
                draft.write_at(n * 24_576, &text(n as u8, 4096)).unwrap();
            }
        };
        self.edit("plain", "tree.bin", |draft| scatter(draft, 20));
        self.edit("plain", "deep-tree.bin", |draft| scatter(draft, 100));
        self.copy(("plain", "deep-tree.bin"), ("plain", "deep-tree.copy"));
        self.edit("plain", "deep-tree.bin", |draft| {
            draft.write_at(500_000, &text(9, 10_000)).unwrap();
            draft.punch(100_000, 60_000).unwrap();
        });
        self.edit("plain", "solo.bin", |draft| draft.write_at(2 << 20, &text(4, 8192)).unwrap());
        self.edit("plain", "sparse.bin", |draft| {
            draft.truncate(1 << 30).unwrap();
            draft.write_at(1 << 29, b"in the middle of a gigabyte of nothing").unwrap();
        });
        self.put("plain", "gone.bin", &text(5, 50_000));
        self.delete("plain", "gone.bin");
        for key in ["a", "a/b", "a//b", "dots/./../x", "caf\u{e9}/\u{1f4c1}", "marker-with-body/", "ends-in-nul\0"] {
            self.put("plain", key, key.as_bytes());
        }
        self.put("plain", &format!("long/{}", "n".repeat(400)), b"a part no directory entry can hold");
        let mut described = PutOptions { class: StorageClass::GlacierIr, ..PutOptions::default() };
        described.metadata.set_system(SystemHeader::ContentType, "image/png").unwrap();
        described.metadata.set_system(SystemHeader::CacheControl, "max-age=60").unwrap();
        described.metadata.set_user("photographer", "Zo\u{eb}").unwrap();
        described.tags.set("project", "golden").unwrap();
        described.tags.set("empty", "").unwrap();
        self.put_with("plain", "described.png", b"not really a picture", &described);
        self.files();
        self.tick();
        let text = r#"{"Rules":[{"ID":"one","Status":"Enabled","Filter":{},"Expiration":{"Days":30}}]}"#;
        store.set_document("plain", "lifecycle", Some(text.to_owned())).unwrap();
    }

    /// What only the mount makes: directories, links, special files, attributes, drafts.
    fn files(&self) {
        let store = &self.store;
        let root = store.bucket("plain").unwrap().root;
        let now = || {
            self.tick();
            store.now()
        };
        let made = store.make_dir(root, "made/", &Posix::new(FileKind::Directory, 0o2750, 1000, 100, now())).unwrap();
        let kinds = [
            ("pipe", FileKind::Fifo, 0, ""),
            ("socket", FileKind::Socket, 0, ""),
            ("null", FileKind::CharDevice, 0x103, ""),
            ("disk", FileKind::BlockDevice, 0x800, ""),
            ("symlink", FileKind::Symlink, 0, "../inline.txt"),
        ];
        for (name, kind, rdev, target) in kinds {
            let mut posix = Posix::new(kind, 0o600, 1000, 100, now());
            posix.rdev = rdev;
            posix.target = target.into();
            store.make_node(made.id, name, &posix).unwrap();
        }
        self.put("plain", "linked", b"one file, three names");
        let ino = store.get("plain", &ObjectKey::parse("linked").unwrap(), None).unwrap().ino;
        for (dir, name) in [(root, "linked-too"), (made.id, "linked-below")] {
            self.tick();
            store.link(ino, (root, "linked"), (dir, name)).unwrap();
        }
        let attributes = PosixChange { mode: Some(0o4711), uid: Some(12), gid: Some(34), ..PosixChange::default() };
        self.tick();
        store.set_posix((root, "linked"), ino, &attributes).unwrap();
        store.set_xattr((root, "linked"), ino, b"user.colour", b"green\0blue", XattrMode::Any).unwrap();
        store.set_xattr((root, "made/"), Ino(made.id.0), b"trusted.note", b"a directory's", XattrMode::Any).unwrap();
        store.create_draft(root, "draft", &Posix::new(FileKind::File, 0o600, 1000, 100, now())).unwrap();
    }

    /// Versions, markers, a directory that is only history, a name that moved.
    fn versioned(&self) {
        let store = &self.store;
        self.bucket("versioned");
        self.put("versioned", "before", b"written before versioning was enabled");
        store.set_versioning("versioned", Versioning::Enabled).unwrap();
        self.put("versioned", "before", b"and after");
        for n in 0..4 {
            self.put("versioned", "letter", &text(b'a' + n, 2000 * (usize::from(n) + 1)));
        }
        let root = store.bucket("versioned").unwrap().root;
        let mut tags = TagSet::new();
        tags.set("draft", "second").unwrap();
        let second = store.versions(&[root], "letter").unwrap()[2].version;
        store.set_tags((root, "letter"), Some(second), &tags).unwrap();
        self.tick();
        let mut metadata = Metadata::default();
        metadata.set_user("edited", "without a change of its bytes").unwrap();
        store.set_metadata((root, "letter"), &metadata).unwrap();
        self.put("versioned", "deleted", b"under a marker");
        self.delete("versioned", "deleted");
        self.put("versioned", "back", b"deleted and undeleted");
        self.delete("versioned", "back");
        self.tick();
        store.undelete(&[root], "back").unwrap();
        self.delete("versioned", "never/was/here");
        for name in ["one", "two", "below/three"] {
            self.put("versioned", &format!("ghost/{name}"), name.as_bytes());
        }
        for name in ["one", "two", "below/three"] {
            self.delete("versioned", &format!("ghost/{name}"));
        }
        self.put("versioned", "old-name", b"first");
        self.put("versioned", "old-name", b"second");
        self.put("versioned", "new-name", b"was there before");
        self.tick();
        store.rename((root, "old-name"), (root, "new-name"), RenameHow::Replace).unwrap();
        self.edit("versioned", "large", |draft| draft.write_at(0, &text(6, 5 << 20)).unwrap());
        self.edit("versioned", "large", |draft| draft.write_at(draft.size(), &text(7, 5000)).unwrap());
        self.copy(("versioned", "large"), ("plain", "shared-with-versioned"));
        self.put("versioned", "twin", b"a file with two names and history");
        let ino = store.get("versioned", &ObjectKey::parse("twin").unwrap(), None).unwrap().ino;
        self.tick();
        store.link(ino, (root, "twin"), (root, "twin-too")).unwrap();
        self.edit("versioned", "twin", |draft| draft.write_at(0, b"A").unwrap());
    }

    fn suspended(&self) {
        self.bucket("suspended");
        self.put("suspended", "kept", b"null");
        self.store.set_versioning("suspended", Versioning::Enabled).unwrap();
        self.put("suspended", "kept", b"with an id");
        self.put("suspended", "removed", b"with an id");
        self.store.set_versioning("suspended", Versioning::Suspended).unwrap();
        self.put("suspended", "kept", b"null again");
        self.delete("suspended", "removed");
    }

    /// A completed upload, and one in progress.
    fn uploads(&self) {
        let mut tags = TagSet::new();
        tags.set("from", "create").unwrap();
        let options = UploadOptions { tags, ..UploadOptions::default() };
        let begin = |key: &str| {
            self.tick();
            let key = ObjectKey::parse(key).unwrap();
            self.store.create_upload("versioned", &key, &options).unwrap()
        };
        let part = |upload, number, bytes: &[u8]| {
            self.tick();
            let info = self.store.put_part(upload, number, &mut &*bytes, &Promise::default()).unwrap();
            CompletePart { number, etag: info.etag, sum: None }
        };
        let done = begin("from-parts");
        let parts = [part(done, 1, &text(8, 5 << 20)), part(done, 7, b"the last part")];
        self.tick();
        self.store.complete_upload("versioned", done, &parts, &CompleteOptions::default()).unwrap();
        let open = begin("uploads/in-progress");
        part(open, 1, &text(10, 70_000));
        part(open, 3, b"three");
        part(open, 3, b"three again");
    }
}

fn make(dir: &Path) {
    let clock = Arc::new(ManualClock::at(BEGINNING));
    Store::init(dir, &options(&clock)).unwrap();
    let open = || Maker { store: Store::open(dir, options(&clock)).unwrap(), clock: Arc::clone(&clock) };
    let maker = open();
    maker.plain();
    maker.versioned();
    maker.store.close().unwrap();
    drop(maker);
    // A second opening: RocksDB has tables and a log, the segments two epochs.
    let maker = open();
    maker.suspended();
    maker.uploads();
    // A session that published and was never ended, as a crash leaves it.
    let session = maker.edit_unsealed("plain", "unsealed", |draft| draft.write_at(0, b"published").unwrap());
    maker.store.close().unwrap();
    drop((session, maker));
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(status.success(), "{command:?} ended with {status}");
}

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/golden")
}

/// What an opening at a later time reads.
fn read(dir: &Path) -> String {
    let clock = Arc::new(ManualClock::at(BEGINNING + 86_400));
    let store = Store::open(dir, options(&clock)).unwrap();
    let findings = store.fsck(&mut |_| {}).unwrap();
    assert!(findings.is_empty(), "fsck finds {findings:#?}");
    let text = dump::text(&store);
    store.close().unwrap();
    text
}

/// Writes the archive and the text into the directory that KEYFOLD_MAKE_GOLDEN names. Without it, checks that the
/// maker still works: what it makes is sound and reads alike before and after another opening.
#[test]
fn makes_the_golden_store() {
    let work = tempfile::tempdir().unwrap();
    let store = work.path().join("store");
    make(&store);
    if let Some(out) = std::env::var_os("KEYFOLD_MAKE_GOLDEN") {
        let archive = Path::new(&out).join("format-1.tar.xz");
        run(Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"])
            .args(["--exclude=LOCK", "--exclude=LOG*", "-cJf"])
            .arg(archive)
            .arg("-C")
            .arg(work.path())
            .arg("store"));
        std::fs::write(Path::new(&out).join("format-1.txt"), read(&store)).unwrap();
    }
    let first = read(&store);
    assert_same(&first, &read(&store));
}

#[test]
fn a_store_of_format_1_reads_as_when_it_was_written() {
    let work = tempfile::tempdir().unwrap();
    run(Command::new("tar").arg("-xJf").arg(golden().join("format-1.tar.xz")).arg("-C").arg(work.path()));
    let wanted = std::fs::read_to_string(golden().join("format-1.txt")).unwrap();
    assert_same(&wanted, &read(&work.path().join("store")));
}

/// Counters of classes are not there, and nothing wrong is told meanwhile; what comes while they are counted counts once.
#[test]
fn classes_of_a_store_of_format_1_are_counted_later() {
    let work = tempfile::tempdir().unwrap();
    run(Command::new("tar").arg("-xJf").arg(golden().join("format-1.tar.xz")).arg("-C").arg(work.path()));
    let clock = Arc::new(ManualClock::at(BEGINNING + 86_400));
    let open = || Store::open(&work.path().join("store"), options(&clock)).unwrap();
    let ledger = |store: &Arc<Store>, bucket: &str| store.ledger(store.bucket(bucket).unwrap().id).unwrap();
    let store = open();
    assert!(!ledger(&store, "plain").complete && ledger(&store, "plain").usage.objects > 0);
    assert_eq!(store.sum_below(store.bucket("plain").unwrap().root).unwrap(), None);
    store.put("plain", &ObjectKey::parse("new").unwrap(), &mut &b"new"[..], &PutOptions::default()).unwrap();
    store.delete("plain", &ObjectKey::parse("inline.txt").unwrap(), None, Condition::Always).unwrap();
    assert_eq!(store.fsck(&mut |_| {}).unwrap(), []);
    store.close().unwrap();
    drop(store);
    clock.advance_millis(40 * 86_400_000);
    let store = open();
    assert!(!ledger(&store, "plain").complete);
    store.count_once().unwrap();
    for bucket in ["plain", "versioned", "suspended"] {
        let ledger = ledger(&store, bucket);
        let sum = |of: fn(&keyfold::model::Held) -> i64| ledger.classes.iter().map(|(_, held)| of(held)).sum::<i64>();
        assert!(ledger.complete);
        assert_eq!((sum(|held| held.objects), sum(|held| held.bytes)), (ledger.usage.objects, ledger.usage.bytes));
        assert_eq!(sum(|held| held.noncurrent_bytes), ledger.usage.noncurrent_bytes);
        let below = store.sum_below(store.bucket(bucket).unwrap().root).unwrap().unwrap();
        assert_eq!((below.entries, below.bytes), (ledger.usage.objects, ledger.usage.bytes));
        assert_eq!(below.noncurrent_bytes, ledger.usage.noncurrent_bytes);
    }
    assert_eq!(store.fsck(&mut |_| {}).unwrap(), []);
    // Time counts from when classes are known, of what is there then.
    clock.advance_millis(3 * 86_400_000);
    let used = |month| {
        let metered = store.metered_in(keyfold::model::Month::parse(month).unwrap()).unwrap();
        let of = metered.into_iter().find(|metered| metered.bucket.as_str() == "suspended")?;
        Some((of.meter.classes.iter().map(|(_, used)| used.byte_time).sum::<u128>(), of.begun.is_some()))
    };
    let usage = ledger(&store, "suspended").usage;
    let bytes = u128::try_from(usage.bytes + usage.noncurrent_bytes).unwrap();
    assert_eq!((used("2026-01"), used("2026-02")), (None, Some((bytes * 3 * 86_400 * 1_000_000_000, true))));
    store.close().unwrap();
}

/// As a backup is; what later releases keep is not there.
#[test]
fn a_store_of_format_1_can_be_opened_to_be_read_only() {
    let work = tempfile::tempdir().unwrap();
    run(Command::new("tar").arg("-xJf").arg(golden().join("format-1.tar.xz")).arg("-C").arg(work.path()));
    let options = Options { read_only: true, ..options(&Arc::new(ManualClock::at(BEGINNING + 86_400))) };
    let store = Store::open(&work.path().join("store"), options).unwrap();
    for key in ["inline.txt", "deep-tree.bin", "empty"] {
        let object = store.get("plain", &ObjectKey::parse(key).unwrap(), None).unwrap();
        assert!(store.sums(&object).unwrap().parts.is_empty(), "{key}");
    }
    assert_eq!(store.uploads("versioned").unwrap().len(), 1);
    // What was never counted is not told as if it were nothing.
    let refused = store.metered_in(keyfold::model::Month::parse("2026-01").unwrap()).unwrap_err();
    assert_eq!(refused.kind(), keyfold::model::Kind::InvalidState);
    assert_eq!(store.sum_below(store.bucket("plain").unwrap().root).unwrap(), None);
    store.close().unwrap();
}

/// Its log does not say whose its bytes are: they are there, and nothing is wrong with what is made of them.
#[test]
fn an_index_can_be_built_of_the_log_of_format_1() {
    let work = tempfile::tempdir().unwrap();
    run(Command::new("tar").arg("-xJf").arg(golden().join("format-1.tar.xz")).arg("-C").arg(work.path()));
    let store = work.path().join("store");
    std::fs::remove_dir_all(store.join("meta")).unwrap();
    let clock = Arc::new(ManualClock::at(BEGINNING + 1_000_000));
    let told = Store::rebuild(&store, options(&clock), (0, 0), false, &mut |_| {}).unwrap();
    assert!(told.files > 5 && told.unnamed == told.files, "{told:?}");
    assert!(told.findings.is_empty() && told.bytes > 8 << 20, "{told:?}");
    let store = Store::open(&store, options(&clock)).unwrap();
    assert_eq!(store.fsck(&mut |_| {}).unwrap(), []);
    store.close().unwrap();
}

/// Says which lines differ: the whole texts would hide it.
#[track_caller]
fn assert_same(wanted: &str, found: &str) {
    let lost: Vec<&str> = wanted.lines().filter(|line| !found.lines().any(|other| other == *line)).collect();
    let new: Vec<&str> = found.lines().filter(|line| !wanted.lines().any(|other| other == *line)).collect();
    assert!(wanted == found, "lost:\n{}\nnew:\n{}", lost.join("\n"), new.join("\n"));
}
