//! What the log is told beside bytes: in which order things happened, what moved, what is gone; and that it lasts.

use super::harness::{
    B, Home, begin_upload, compact, delete, fsck, get, key, make_bucket, pattern, posix, put, put_if, put_in_parts,
    put_part, read, reap, refused, rewrite_file, root, versions, write_file,
};
use super::rebuild::{log_files, rebuild, rebuilt};
use keyfold::backup::{Plan, Watch, make, restore};
use keyfold::chunklog::format::header::SegmentHeader;
use keyfold::chunklog::format::note::{Note, Stretch};
use keyfold::chunklog::{ChunkLog, Class, Owner, Settings, Tier, Written};
use keyfold::index::{Family, id_key};
use keyfold::model::{FileKind, Kind, Versioning};
use keyfold::store::{
    Condition, Finding, Identity, Options, PosixChange, PutOptions, RenameHow, Reserve, Session, Store,
};
use keyfold::sys::disk::{DiskCall, OsDisk};
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A second bucket of a rebuilt store: its files are told apart from those that were lost and found.
const LOST: &str = "lost-found";

fn found_again(store: &Arc<Store>) -> Vec<Vec<u8>> {
    let page = super::harness::all_versions(store, LOST, 1000);
    page.iter().map(|entry| read(store, &entry.object).unwrap()).collect()
}

#[test]
fn a_small_stage_is_no_end_of_it() {
    let (mut home, store) = Home::with_bucket(Versioning::Unversioned);
    for n in 0..200 {
        put(&store, &format!("name {n}"), &pattern(5000, n));
    }
    let mut made = write_file(&store, root(&store), "file", &pattern(5000, 1));
    for n in 0..400 {
        made = rewrite_file(&store, root(&store), "file", &made, |draft| draft.write_at(n, &[9]).unwrap());
    }
    drop(store);
    home.stage_bytes = Some(64 << 10);
    let told = rebuilt(&home);
    assert_eq!((told.files, told.findings.len()), (201, 0), "{told:?}");
    home.stage_bytes = None;
    let store = home.open();
    assert!(get(&store, "file").unwrap() == [vec![9; 400], pattern(5000, 1).split_off(400)].concat());
}

#[test]
fn what_is_gone_is_told_when_that_is_durable() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let made = write_file(&store, root(&store), "removed", &pattern(20_000, 1));
    write_file(&store, root(&store), "kept", &pattern(20_000, 2));
    rewrite_file(&store, root(&store), "removed", &made, |draft| draft.write_at(0, b"edited").unwrap());
    store.sync().unwrap();
    store.remove(root(&store), "removed").unwrap();
    reap(&store);
    store.abandon();
    home.forget();
    let mut bytes = pattern(20_000, 1);
    bytes[..6].copy_from_slice(b"edited");
    assert!(get(&home.open(), "removed").unwrap() == bytes, "nobody has waited for the removal");
    let told = rebuilt(&home);
    assert_eq!(told.files, 2, "{told:?}");
    assert!(get(&home.open(), "removed").unwrap() == bytes);
}

/// The last to be committed is current, whenever its first bytes came into the log.
#[test]
fn versions_follow_the_order_of_commits() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    let made = write_file(&store, root(&store), "file", &pattern(20_000, 1));
    let mut slow = store.draft(Some(&made)).unwrap();
    slow.is_at(made.ino, (root(&store), "file"));
    // In pieces, which come into the log at once.
    (0..500).for_each(|n| slow.write_at(n * 20_000, &pattern(10_000, n)).unwrap());
    rewrite_file(&store, root(&store), "file", &made, |draft| draft.write_at(0, &pattern(20_000, 3)).unwrap());
    let at = (root(&store), "file");
    store.publish(at, made.ino, &mut slow, &mut Session::new(), &PosixChange::default()).unwrap();
    drop(slow);
    // By key, with another put in the midst of it.
    struct Slow(Arc<Store>, u64);
    impl Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if self.1 == 5 << 20 {
                put(&self.0, "key", &pattern(20_000, 4));
            }
            let len = buf.len().min(1 << 16).min(usize::try_from((6 << 20) - self.1).unwrap());
            buf[..len].fill(7);
            self.1 += len as u64;
            Ok(len)
        }
    }
    store.put(B, &key("key"), &mut Slow(Arc::clone(&store), 0), &PutOptions::default()).unwrap();
    let shown = |store: &Arc<Store>| -> Vec<Vec<u8>> {
        ["file", "key"]
            .iter()
            .flat_map(|name| versions(store, name))
            .map(|object| read(store, &object).unwrap())
            .collect()
    };
    let before = shown(&store);
    assert_eq!(before.len(), 5);
    drop(store);
    let told = rebuilt(&home);
    assert!(told.findings.is_empty(), "{told:?}");
    let store = home.open();
    assert!(shown(&store) == before);
    fsck(&store);
}

#[test]
fn a_write_that_was_refused_does_not_win() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put(&store, "name", &pattern(20_000, 1));
    refused(put_if(&store, "name", &pattern(30_000, 2), Condition::Absent), Kind::PreconditionFailed);
    let made = write_file(&store, root(&store), "file", &pattern(20_000, 3));
    let mut draft = store.draft(Some(&made)).unwrap();
    draft.is_at(made.ino, (root(&store), "file"));
    draft.write_at(0, &pattern(30_000, 4)).unwrap();
    store.settle(&mut draft).unwrap();
    drop(draft);
    // What was put into the log of one that became short enough for the index.
    let short = write_file(&store, root(&store), "short", &pattern(20_000, 5));
    rewrite_file(&store, root(&store), "short", &short, |draft| {
        draft.write_at(0, &pattern(6 << 20, 6)).unwrap();
        draft.truncate(100).unwrap();
    });
    drop(store);
    let told = rebuilt(&home);
    assert_eq!((told.unnamed, told.left_out), (0, 0), "{told:?}");
    let store = home.open();
    assert!(get(&store, "name").unwrap() == pattern(20_000, 1));
    assert!(get(&store, "file").unwrap() == pattern(20_000, 3));
    assert!(get(&store, "short").map_or(true, |bytes| bytes == pattern(20_000, 5)));
}

#[test]
fn a_file_of_its_own_completes_what_it_is_a_part_of() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    let made = write_file(&store, root(&store), "file", &pattern(20_000, 1));
    let before = log_files(&home);
    rewrite_file(&store, root(&store), "file", &made, |draft| {
        draft.truncate(0).unwrap();
        draft.write_at(0, &pattern(5 << 20, 2)).unwrap();
        draft.write_at(100, b"edited").unwrap();
    });
    store.sync().unwrap();
    store.abandon();
    home.forget();
    // The process died before the checksums came.
    let sums: Vec<_> =
        log_files(&home).into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "sum")).collect();
    assert!(!sums.is_empty() && sums.iter().all(|path| !before.contains(path)));
    sums.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let told = rebuilt(&home);
    assert_eq!(told.unfinished, 1, "{told:?}");
    assert!(get(&home.open(), "file").unwrap() == pattern(20_000, 1));
}

#[test]
fn copies_of_copies_have_no_end() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let mut last = write_file(&store, root(&store), "100", &pattern(20_000, 1));
    for n in (0..100).rev() {
        let content = Arc::new(store.open_content(&last).unwrap());
        let name = format!("{n:03}");
        let made = store.create_draft(root(&store), &name, &posix(FileKind::File)).unwrap();
        last = rewrite_file(&store, root(&store), &name, &made.object, |draft| {
            draft.copy_from(0, &content, 0, 20_000).unwrap();
        });
    }
    drop(store);
    let told = rebuilt(&home);
    assert_eq!((told.files, told.findings.len()), (101, 0), "{told:?}");
    let store = home.open();
    for n in 0..=100 {
        assert!(get(&store, &format!("{n:03}")).unwrap() == pattern(20_000, 1), "{n}");
    }
    fsck(&store);
}

#[test]
fn what_is_written_after_a_note_lies_over_it() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let made = write_file(&store, root(&store), "file", &pattern(60_000, 1));
    let grown = write_file(&store, root(&store), "grown", &pattern(20_000, 2));
    rewrite_file(&store, root(&store), "file", &made, |draft| {
        draft.punch(5000, 20_000).unwrap();
        // A publication that came to nothing.
        store.settle(draft).unwrap();
        draft.write_at(8000, &pattern(3000, 3)).unwrap();
    });
    let mut file = pattern(60_000, 1);
    file[5000..25_000].fill(0);
    file[8000..11_000].copy_from_slice(&pattern(3000, 3));
    rewrite_file(&store, root(&store), "grown", &grown, |draft| {
        draft.truncate(10_000).unwrap();
        draft.truncate(5 << 20).unwrap();
        store.settle(draft).unwrap();
        draft.write_at(10_000, &pattern((5 << 20) - 10_000, 4)).unwrap();
    });
    let bytes = [pattern(20_000, 2)[..10_000].to_vec(), pattern((5 << 20) - 10_000, 4)].concat();
    drop(store);
    let told = rebuilt(&home);
    assert!(told.findings.is_empty(), "{told:?}");
    let store = home.open();
    assert!(get(&store, "file").unwrap() == file);
    assert!(get(&store, "grown").unwrap() == bytes);
}

/// What lay between went with its segment.
#[test]
fn what_a_file_had_before_shows_through_what_is_gone() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let made = write_file(&store, root(&store), "file", &pattern(60_000, 1));
    (0..12).for_each(|n| drop(put(&store, &format!("before {n}"), &pattern(150_000, n))));
    let made = rewrite_file(&store, root(&store), "file", &made, |draft| draft.write_at(0, &[2; 9000]).unwrap());
    (0..12).for_each(|n| drop(put(&store, &format!("behind {n}"), &pattern(150_000, n))));
    rewrite_file(&store, root(&store), "file", &made, |draft| draft.write_at(0, &[3; 9000]).unwrap());
    for n in 0..12 {
        delete(&store, &format!("before {n}"));
        delete(&store, &format!("behind {n}"));
    }
    compact(&store);
    drop(store);
    let told = rebuilt(&home);
    assert!(told.findings.iter().all(|finding| finding.what.contains("had before")), "{told:?}");
    assert_eq!(told.findings.len(), 1, "{told:?}");
    let bytes = [vec![3; 9000], pattern(60_000, 1).split_off(9000)].concat();
    assert!(get(&home.open(), "file").unwrap() == bytes);
}

/// Completed uploads and renames are told for as long as there is something to tell.
#[test]
fn what_was_told_lasts() {
    let (mut home, mut store) = Home::with_bucket(Versioning::Unversioned);
    put_in_parts(&store, "whole", &[pattern(5 << 20, 9), pattern(100_000, 10)]);
    write_file(&store, root(&store), "0", &pattern(6 << 20, 11));
    put(&store, "deleted", &pattern(20_000, 12));
    delete(&store, "deleted");
    // What it shows of a content that is gone from the index was told with that.
    let mut punched = pattern(60_000, 13);
    let made = write_file(&store, root(&store), "punched", &punched);
    let made = rewrite_file(&store, root(&store), "punched", &made, |draft| {
        draft.punch(5000, 20_000).unwrap();
        draft.write_at(40_000, &[1; 100]).unwrap();
    });
    rewrite_file(&store, root(&store), "punched", &made, |draft| draft.write_at(50_000, &[2; 100]).unwrap());
    punched[5000..25_000].fill(0);
    punched[40_000..40_100].fill(1);
    punched[50_000..50_100].fill(2);
    compact(&store);
    let mut first = None;
    for n in 0..40 {
        let (from, to) = (n.to_string(), (n + 1).to_string());
        store.rename((root(&store), &from), (root(&store), &to), RenameHow::Replace).unwrap();
        drop(store);
        home.close();
        if n == 0 {
            let files = note_files(&home);
            flip(&files[0], 20);
            first = Some(files[0].clone());
        }
        if n == 16 {
            home.reserve = Reserve::Bytes(1 << 60);
            let store = home.open();
            reap(&store);
            drop(store);
            home.close();
            home.reserve = Reserve::Auto;
            assert!(note_files(&home).len() >= 16, "nothing is written where there is no room");
        }
        store = home.open();
        compact(&store);
    }
    fsck(&store);
    drop(store);
    home.close();
    let notes = log_files(&home).len();
    assert!(notes < 30, "many files of notes have become few: {notes}");
    assert!(!first.unwrap().exists(), "a damaged one, too");
    assert!(home.dir.path().join("quarantine").exists());
    let moves = moves(&home);
    assert!(moves.len() == 40 && moves.is_sorted(), "in the order in which they were written: {moves:?}");
    let told = rebuilt(&home);
    assert_eq!((told.files, told.unnamed, told.findings.len()), (3, 0, 0), "{told:?}");
    // Once more: what it was built from is still there.
    let told = rebuilt(&home);
    assert_eq!((told.files, told.unnamed, told.findings.len()), (3, 0, 0), "{told:?}");
    let store = home.open();
    assert!(get(&store, "punched").unwrap() == punched);
    assert!(get(&store, "whole").unwrap() == [pattern(5 << 20, 9), pattern(100_000, 10)].concat());
    assert!(get(&store, "40").unwrap() == pattern(6 << 20, 11));
    fsck(&store);
}

/// The files of notes.
fn note_files(home: &Home) -> Vec<PathBuf> {
    let is_notes = |path: &PathBuf| {
        let head = std::fs::read(path).unwrap();
        SegmentHeader::decode(&head).is_ok_and(|header| header.class == Class::Notes)
    };
    log_files(home).into_iter().filter(is_notes).collect()
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
}

#[test]
fn a_damaged_header_costs_no_note() {
    for while_open in [false, true] {
        let (home, store) = Home::with_bucket(Versioning::Unversioned);
        write_file(&store, root(&store), "file", &pattern(20_000, 1));
        store.rename((root(&store), "file"), (root(&store), "moved"), RenameHow::Replace).unwrap();
        store.sync().unwrap();
        drop(store);
        home.close();
        let notes = note_files(&home);
        assert_eq!(notes.len(), 1);
        let damage = || flip(&notes[0], 20);
        if !while_open {
            damage();
        }
        let store = home.open();
        std::thread::sleep(std::time::Duration::from_millis(300));
        if while_open {
            damage();
        }
        compact(&store);
        drop(store);
        home.close();
        assert!(notes[0].exists(), "{while_open}");
        rebuilt(&home);
        assert!(get(&home.open(), "moved").unwrap() == pattern(20_000, 1));
        assert!(notes[0].exists());
    }
}

fn log_of(home: &Home) -> ChunkLog {
    let uuid = Identity::of(home.dir.path()).unwrap().uuid();
    let settings = Settings::new(uuid, 77, home.options().clock);
    ChunkLog::open(Arc::new(OsDisk::new(home.dir.path())), settings).unwrap()
}

/// The numbers of what moved, in the order of the log.
fn moves(home: &Home) -> Vec<u64> {
    let log = log_of(home);
    let mut found = Vec::new();
    for (id, _) in log.segment_files().unwrap() {
        let mut runs = Vec::new();
        log.scan(id, &mut |run| runs.push(run)).unwrap();
        for run in runs.into_iter().filter(|run| run.owner.written.note) {
            let mut payload = vec![0; run.run.len as usize];
            log.read(run.run, 0, &mut payload).unwrap();
            if matches!(Note::decode(&payload), Ok(Note::Moved(_))) {
                found.push(run.owner.seq);
            }
        }
    }
    found
}

/// A repair took the mark back that the reaper had seen: nobody tells the log of it.
#[test]
fn what_is_not_freed_is_not_told_to_be_gone() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let made = put(&store, "name", &pattern(20_000, 1));
    drop(store);
    home.close();
    crate::tamper::tamper(home.dir.path(), |tx| {
        tx.put_bytes(Family::Gone, &[b"c", &id_key(made.content.0)[..]].concat(), vec![]);
    });
    let store = Store::open(home.dir.path(), Options { workers: false, ..home.options() }).unwrap();
    let reader = store.open_content(&made).unwrap();
    reap(&store);
    let mended = store.repair(false, &mut |_| {}).unwrap();
    assert!(mended.iter().any(|finding| finding.invariant == "gone-is-nobodys"), "{mended:?}");
    drop(reader);
    reap(&store);
    store.sync().unwrap();
    reap(&store);
    store.close().unwrap();
    drop(store);
    rebuilt(&home);
    assert!(get(&home.open(), "name").unwrap() == pattern(20_000, 1));
}

struct Silent;

impl Watch for Silent {
    fn progress(&mut self, _: &str) -> keyfold::model::Result<()> {
        Ok(())
    }

    fn damage(&mut self, finding: Finding) -> keyfold::model::Result<()> {
        panic!("{}", finding.what);
    }
}

/// A backup has what was told of what is in it, and nothing of what came after.
#[test]
fn a_backup_can_be_rebuilt() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    write_file(&store, root(&store), "file", &pattern(20_000, 1));
    put(&store, "kept", &pattern(20_000, 2));
    store.rename((root(&store), "file"), (root(&store), "moved"), RenameHow::Replace).unwrap();
    let to = home.dir.path().with_extension("backups");
    let plan = Plan { to: to.clone(), link: false, keep: None, dry_run: false };
    let generation = make(&store, &plan, &mut Silent).unwrap().generation;
    delete(&store, "kept");
    reap(&store);
    store.sync().unwrap();
    drop(store);
    home.close();
    let again = Home::new();
    std::fs::remove_dir_all(again.dir.path()).unwrap();
    restore(&generation, again.dir.path(), &again.options(), &mut Silent).unwrap();
    std::fs::remove_dir_all(to).unwrap();
    let told = rebuilt(&again);
    assert_eq!((told.files, told.unnamed, told.findings.len()), (2, 0, 0), "{told:?}");
    let store = again.open();
    assert!(get(&store, "moved").unwrap() == pattern(20_000, 1));
    assert!(get(&store, "kept").unwrap() == pattern(20_000, 2));
}

#[test]
fn what_has_no_name_is_kept() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put_part(&store, begin_upload(&store, "whole"), 1, &pattern(6 << 20, 1));
    put(&store, "named", &pattern(20_000, 2));
    drop(store);
    let told = rebuilt(&home);
    assert_eq!((told.files, told.unnamed, told.unclaimed), (2, 1, 1), "{told:?}");
    for _ in 0..2 {
        let store = home.open();
        reap(&store);
        assert!(found_again(&store) == [pattern(6 << 20, 1)]);
        assert!(get(&store, "named").unwrap() == pattern(20_000, 2));
        fsck(&store);
    }
}

/// What an opening would sweep lies in quarantine: nothing is deleted.
#[test]
fn files_of_no_use_are_set_aside() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put(&store, "deleted", &pattern(20_000, 1));
    put(&store, "long", &pattern(6 << 20, 2));
    drop(store);
    home.close();
    let before: Vec<_> = log_files(&home).into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect();
    let store = home.open();
    put(&store, "named", &pattern(20_000, 3));
    delete(&store, "deleted");
    delete(&store, "long");
    reap(&store);
    drop(store);
    home.close();
    // As if the process had died before the files went.
    let gone: Vec<_> = before.into_iter().filter(|(_, path)| !path.exists()).collect();
    assert_eq!(gone.len(), 3, "a segment, a file and its checksums");
    gone.iter().for_each(|(bytes, path)| std::fs::write(path, bytes).unwrap());
    let told = rebuilt(&home);
    assert_eq!((told.files, told.moved), (1, 2), "{told:?}");
    let quarantine = told.quarantine.unwrap();
    for (bytes, path) in gone {
        let aside = quarantine.join(path.strip_prefix(home.dir.path()).unwrap());
        assert!(std::fs::read(aside).unwrap() == bytes, "{}", path.display());
    }
    let after = log_files(&home);
    let store = home.open();
    reap(&store);
    drop(store);
    home.close();
    assert!(after.iter().all(|path| path.exists()), "an opening deletes nothing");
}

#[test]
fn numbers_are_not_used_twice() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    let mut made = write_file(&store, root(&store), "file", &pattern(20_000, 0));
    for n in 1..4 {
        made =
            rewrite_file(&store, root(&store), "file", &made, |draft| draft.write_at(0, &pattern(20_000, n)).unwrap());
    }
    // Versions that the log knows nothing of.
    for n in 0..20 {
        store.set_metadata((root(&store), "file"), &super::compare::meta(Some(&n.to_string()))).unwrap();
    }
    let ids =
        |store: &Store| -> Vec<_> { versions(store, "file").iter().map(|object| object.version.to_string()).collect() };
    let before: HashSet<_> = ids(&store).into_iter().collect();
    drop(store);
    rebuilt(&home);
    let store = home.open();
    let after = ids(&store);
    assert_eq!(after.len(), 4);
    assert!(after.iter().all(|id| !before.contains(id)), "{before:?} {after:?}");
}

#[test]
fn what_a_rebuild_left_half_done_is_not_kept() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put(&store, "name", &pattern(20_000, 1));
    drop(store);
    home.close();
    let half = home.dir.path().join("meta.new");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("000007.sst"), [1; 5000]).unwrap();
    let told = rebuild(&home);
    assert!(!told.quarantine.unwrap().join("meta.new").exists() && !half.exists());
    assert!(get(&home.open(), "name").unwrap() == pattern(20_000, 1));
}

/// A rename is told when it is durable, by whoever made that so: nothing is written with names locked.
#[test]
fn a_rename_writes_nothing_to_the_log() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    write_file(&store, root(&store), "file", &pattern(20_000, 1));
    store.sync().unwrap();
    let before = log_files(&home);
    store.rename((root(&store), "file"), (root(&store), "moved"), RenameHow::Replace).unwrap();
    assert_eq!(log_files(&home), before);
    store.sync().unwrap();
    assert_eq!(log_files(&home).len(), before.len() + 1);
    store.abandon();
    home.forget();
    rebuilt(&home);
    assert!(get(&home.open(), "moved").unwrap() == pattern(20_000, 1));
}

#[test]
fn a_note_that_could_not_be_written_is_no_damage() {
    let mut unseen = 0;
    for n in 0..8 {
        let home = Home::simulated();
        let store = home.open();
        make_bucket(&store, B);
        write_file(&store, root(&store), "file", &pattern(20_000, 1));
        store.sync().unwrap();
        store.rename((root(&store), "file"), (root(&store), "moved"), RenameHow::Replace).unwrap();
        home.disk().fail(DiskCall::Write, n, 1, 5);
        if store.sync().is_ok() && store.status().unwrap().read_only.is_none() {
            unseen += usize::from(!home.disk().is_armed());
            home.disk().heal();
            fsck(&store);
        }
    }
    assert!(unseen > 0, "no write failed that nobody had to be told of");
}

/// Notes that no store wrote: neither memory nor time goes to them without bounds.
#[test]
fn hostile_notes_cost_little() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put(&store, "dir/name", &pattern(20_000, 1));
    let other = put(&store, "other", &pattern(20_000, 2)).content.0;
    drop(store);
    home.close();
    let log = log_of(&home);
    let note = |seq: u64, key: &[u8], length: u64, note: &Note| {
        let written = Written { length, note: true, last: true, order: 1, ..Written::default() };
        let owner = Owner { seq, written, key_tail: key, ..Owner::default() };
        log.append(Tier(0), Class::Notes, &[(owner, &note.encode())]).unwrap();
    };
    for n in 0..3000 {
        note(1 << 20 | n, format!("{B}/dir/a/").as_bytes(), 0, &Note::Moved(format!("{B}/dir/").into_bytes()));
    }
    // Each shows all of the one before in every stretch, and the first is made of many pieces.
    const MANY: u64 = 100_000;
    let first = 1 << 21;
    let piece = |at| Stretch { at, len: 1, content: if at % 2 == 0 { other } else { 0 }, from: 0 };
    note(first, b"", MANY, &Note::Stretches((0..MANY).map(piece).collect()));
    for n in 1..3 {
        let shown = |at| Stretch { at: at * MANY, len: MANY, content: first + n - 1, from: 0 };
        let stretches = Note::Stretches((0..MANY).map(shown).collect());
        note(first + n, format!("{B}/bomb {n}").as_bytes(), MANY * MANY, &stretches);
    }
    log.close().unwrap();
    drop(log);
    let told = rebuild(&home);
    let store = home.open();
    assert!(get(&store, "other").unwrap() == pattern(20_000, 2));
    assert!(found_again(&store).contains(&pattern(20_000, 1)), "{told:?}");
    assert!(told.findings.iter().any(|finding| finding.what.contains("too many pieces")), "{told:?}");
}
