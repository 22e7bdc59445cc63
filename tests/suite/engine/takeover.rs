//! One session that publishes a large file again and again: what the content before it pointed at changes hands.

use super::harness::{Home, data_segments, file, fsck, get, pattern, purge, put, read, reap, root, versions};
use keyfold::model::Versioning::{Enabled, Suspended, Unversioned};
use keyfold::model::{Kind, Object};
use keyfold::store::{Draft, PosixChange, Session, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const BLOCK: usize = 4096;
const BLOCKS: usize = 300;

/// A session over the file `f`, and what it should hold.
struct Writer<'a> {
    store: &'a Arc<Store>,
    draft: Draft,
    session: Session,
    object: Object,
    bytes: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn over(store: &'a Arc<Store>, object: Object, bytes: Vec<u8>) -> Self {
        Self { store, draft: store.draft(Some(&object)).unwrap(), session: Session::new(), object, bytes }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.draft.write_at(at as u64, bytes).unwrap();
        self.bytes.resize(self.bytes.len().max(at + bytes.len()), 0);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn truncate(&mut self, to: usize) {
        self.draft.truncate(to as u64).unwrap();
        self.bytes.resize(to, 0);
    }

    fn publish(&mut self) {
        let at = (root(self.store), "f");
        let change = PosixChange::default();
        self.object = self.store.publish(at, self.object.ino, &mut self.draft, &mut self.session, &change).unwrap();
    }

    fn seal(self) -> (Object, Vec<u8>) {
        self.store.seal(self.session).unwrap();
        (self.object, self.bytes)
    }
}

/// Blocks that begin with their own number, in a tree of extents.
fn blocks(store: &Arc<Store>) -> (Object, Vec<u8>) {
    let made = put(store, "f", &[]);
    let mut writer = Writer::over(store, made, Vec::new());
    for block in 0..BLOCKS {
        // Neither in sequence nor joined to a neighbour: an extent each.
        let block = block * 7 % BLOCKS;
        writer.write(block * BLOCK, &filled(block, 0));
        writer.publish();
    }
    writer.seal()
}

fn filled(block: usize, generation: usize) -> Vec<u8> {
    let mut bytes = pattern(BLOCK, (block * 1000 + generation) as u64);
    bytes[..8].copy_from_slice(&(block as u64).to_le_bytes());
    bytes
}

#[test]
fn nothing_is_left_for_the_reaper_when_nobody_else_reads() {
    for versioning in [Unversioned, Enabled, Suspended] {
        let (_home, store) = Home::with_bucket(versioning);
        let (object, bytes) = blocks(&store);
        reap(&store);
        let mut writer = Writer::over(&store, object, bytes);
        writer.write(5 * BLOCK, &filled(5, 1));
        writer.publish();
        reap(&store);
        for generation in 2..40 {
            let block = generation * 31 % BLOCKS;
            writer.write(block * BLOCK, &filled(block, generation));
            writer.publish();
            assert!(!store.reap().unwrap(), "{versioning:?}: the commit itself let the content before go");
        }
        fsck(&store);
        let (object, bytes) = writer.seal();
        assert!(read(&store, &object).unwrap() == bytes);
    }
}

#[test]
fn what_versions_readers_and_clones_share_stays() {
    for versioning in [Unversioned, Enabled, Suspended] {
        let (_home, store) = Home::with_bucket(versioning);
        let (mut object, mut bytes) = blocks(&store);
        let first = bytes.clone();
        // Sees the bytes of its time, whatever comes.
        let reader = store.open_content(&object).unwrap();
        let mut kept = Vec::new();
        for round in 0..4usize {
            let mut writer = Writer::over(&store, object, bytes);
            for n in 0..30usize {
                let block = (round * 37 + n * 11) % BLOCKS;
                match n % 10 {
                    7 => writer.truncate((BLOCKS - n) * BLOCK - 100),
                    8 => writer.write(writer.bytes.len() + 3 * BLOCK, &[round as u8; 100]),
                    9 => {
                        // Of the content that the next publication would take over.
                        let from = Arc::new(store.open_content(&writer.object).unwrap());
                        let (to, len) = ((block / 2) * BLOCK + 77, 3 * BLOCK);
                        let copied = writer.draft.copy_from(to as u64, &from, BLOCK as u64, len as u64).unwrap();
                        assert_eq!(copied, len as u64);
                        let moved = writer.bytes[BLOCK..BLOCK + len].to_vec();
                        writer.bytes.resize(writer.bytes.len().max(to + len), 0);
                        writer.bytes[to..to + len].copy_from_slice(&moved);
                    }
                    _ => writer.write(block * BLOCK + n, &filled(block, round * 100 + n)),
                }
                let pinned = (n % 4 == 0).then(|| store.open_content(&writer.object).unwrap());
                writer.publish();
                if let Some(pinned) = pinned {
                    let mut all = vec![0; usize::try_from(pinned.size()).unwrap()];
                    assert_eq!(pinned.read_at(0, &mut all).unwrap(), all.len());
                }
                if n % 7 == 0 {
                    fsck(&store);
                }
                if n % 5 == 0 {
                    reap(&store);
                }
            }
            (object, bytes) = writer.seal();
            kept.push((object.clone(), bytes.clone()));
            assert!(get(&store, "f").unwrap() == bytes);
        }
        let mut seen = vec![0; first.len()];
        assert_eq!(reader.read_at(0, &mut seen).unwrap(), first.len());
        assert!(seen == first);
        drop(reader);
        reap(&store);
        fsck(&store);
        if versioning == Enabled {
            for (object, bytes) in &kept {
                assert!(read(&store, object).unwrap() == *bytes);
            }
        }
        versions(&store, "f").iter().for_each(|object| purge(&store, "f", object.version));
        reap(&store);
        fsck(&store);
        let status = store.status().unwrap();
        assert!(status.solos == 0 && data_segments(&store) <= 1, "nothing is left: {status:?}");
    }
}

#[test]
fn readers_that_come_at_this_moment_find_one_content_or_the_other() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let (object, bytes) = blocks(&store);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2usize)
            .map(|n| {
                let (store, done) = (&store, &done);
                scope.spawn(move || {
                    let mut reads = 0usize;
                    while !done.load(Ordering::Relaxed) || reads < 100 {
                        let object = file(store, root(store), "f").object;
                        let block = (reads * 13 + n) % BLOCKS;
                        reads += 1;
                        let content = match store.open_content(&object) {
                            Ok(content) => content,
                            Err(error) if error.kind() == Kind::NoSuchVersion => continue,
                            Err(error) => panic!("{error}"),
                        };
                        let mut seen = [0; BLOCK];
                        assert_eq!(content.read_at((block * BLOCK) as u64, &mut seen).unwrap(), BLOCK);
                        assert_eq!(seen[..8], (block as u64).to_le_bytes());
                    }
                })
            })
            .collect();
        let mut writer = Writer::over(&store, object, bytes);
        for generation in 1..1500 {
            let block = generation * 31 % BLOCKS;
            writer.write(block * BLOCK, &filled(block, generation));
            writer.publish();
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        let (object, bytes) = writer.seal();
        assert!(read(&store, &object).unwrap() == bytes);
    });
    reap(&store);
    fsck(&store);
}
