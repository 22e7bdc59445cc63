//! Storage classes as tiers of the log: where bytes of each class go, that they are compressed there, and that they follow
//! when a class changes.

use super::classes::{at, put_in};
use super::harness::*;
use super::rebuild::{log_files, rebuilt};
use keyfold::backup::{Plan, Watch, make, restore};
use keyfold::chunklog::Class;
use keyfold::chunklog::format::header::SegmentHeader;
use keyfold::index::reads_of_thread;
use keyfold::model::StorageClass::{self, Glacier, GlacierIr, IntelligentTiering, OnezoneIa, Standard, StandardIa};
use keyfold::model::{Kind, Object, Versioning};
use keyfold::store::{
    CopyOptions, Document, Finding, Mover, Options, PutOptions, Step, Store, Stretch, TierSettings, check_format,
};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes that a compressor makes a quarter of, at most.
pub fn text(len: usize, seed: u64) -> Vec<u8> {
    let line = |n: usize| format!("{seed} line {n} of a log: nothing of note has happened on this day either\n");
    let mut out: Vec<u8> = (0..).flat_map(|n| line(n).into_bytes()).take(len).collect();
    // Zeros would be holes to somebody.
    out.iter_mut().for_each(|byte| *byte |= 1);
    out
}

/// Three tiers: as it comes, for two classes at level 3, and for archives at level 9.
pub fn tiers() -> Vec<TierSettings> {
    let tier = |classes: &[StorageClass], compression| TierSettings {
        classes: classes.to_vec(),
        compression,
        ..TierSettings::default()
    };
    vec![
        tier(&[Standard, OnezoneIa, IntelligentTiering], 0),
        tier(&[StandardIa, GlacierIr], 3),
        tier(&[Glacier, StorageClass::DeepArchive], 9),
    ]
}

/// A store with tiers, made before it had any.
fn tiered() -> (Home, Arc<Store>) {
    let (mut home, store) = Home::with_bucket(Versioning::Unversioned);
    store.close().unwrap();
    drop(store);
    home.tiers = tiers();
    let store = home.open();
    (home, store)
}

fn step_to(store: &Store, name: &str, object: &Object, to: StorageClass) -> Object {
    store.transition((root(store), name), at(object), Step { from: None, to, by: Mover::Caller }).unwrap()
}

/// Bytes of the log, once everything was moved and freed.
fn log_bytes(store: &Store) -> u64 {
    compact(store);
    store.gc(&mut || true).unwrap();
    let status = store.status().unwrap();
    assert_eq!(status.misplaced_bytes, 0);
    status.segment_bytes + status.solo_bytes
}

#[test]
fn sc_11_bytes_go_where_those_of_their_class_lie() {
    let (mut home, store) = tiered();
    const LEN: usize = 6 << 20;
    // Files of their own where they are as they were sent; runs where they are compressed.
    put_in(&store, "plain", &text(LEN, 1), Standard);
    let plain = store.status().unwrap();
    assert_eq!(plain.solos, 1);
    let cold = put_in(&store, "cold", &text(LEN, 2), GlacierIr);
    let status = store.status().unwrap();
    assert_eq!(status.solos, 1);
    assert!(status.segment_bytes - plain.segment_bytes < LEN as u64 / 3, "{status:?}");
    assert!(store.open_content(&cold).unwrap().solo_file().is_none());
    // What is made on a mount in a directory that names a class, and what rewrites it.
    store.set_default_class(root(&store), Some(StandardIa)).unwrap();
    let file = write_file(&store, root(&store), "file", &text(LEN, 3));
    assert_eq!((file.class, store.status().unwrap().solos), (StandardIa, 1));
    let mut bytes = text(LEN, 3);
    let file = rewrite_file(&store, root(&store), "file", &file, |draft| {
        draft.write_at(LEN as u64, &text(300_000, 4)).unwrap();
        draft.write_at(70_000, &text(70_000, 5)).unwrap();
        draft.punch(200_000, 65_536).unwrap();
        draft.truncate(LEN as u64 + 200_000).unwrap();
    });
    bytes.extend(text(300_000, 4));
    bytes[70_000..140_000].copy_from_slice(&text(70_000, 5));
    bytes[200_000..265_536].fill(0);
    bytes.truncate(LEN + 200_000);
    assert_eq!((file.class, store.status().unwrap().solos), (StandardIa, 1));
    // Uploads, and copies that read their source.
    let upload = keyfold::store::UploadOptions { class: GlacierIr, ..Default::default() };
    let upload = store.create_upload(B, &key("parts"), &upload).unwrap();
    let parts = [text(5 << 20, 6), text(1 << 20, 7)];
    let sent: Vec<_> = parts.iter().zip(1..).map(|(part, n)| put_part(&store, upload, n, part)).collect();
    store.complete_upload(B, upload, &sent, &Default::default()).unwrap();
    let status = store.status().unwrap();
    assert_eq!(status.solos, 1);
    assert!(status.segment_bytes < 3 * LEN as u64 / 2, "{status:?}");
    // Nothing is to be moved, now or when everything was closed.
    compact(&store);
    assert_eq!(store.misplaced_bytes().unwrap(), 0);
    let written = store.status().unwrap().segment_bytes;
    let all = |store: &Arc<Store>| {
        assert!(get(store, "cold").unwrap() == text(LEN, 2) && get(store, "plain").unwrap() == text(LEN, 1));
        assert!(get(store, "file").unwrap() == bytes && get(store, "parts").unwrap() == parts.concat());
        let content = store.open_content(&store.get(B, &key("cold"), None).unwrap()).unwrap();
        for at in [0, 1, 65_535, 65_536, 4_194_303, LEN as u64 - 5] {
            let mut buf = [0; 5];
            content.read_at(at, &mut buf).unwrap();
            assert_eq!(buf, text(LEN, 2)[at as usize..at as usize + 5]);
        }
        fsck(store);
    };
    all(&store);
    store.close().unwrap();
    drop(store);
    let store = home.open();
    all(&store);
    assert_eq!(store.misplaced_bytes().unwrap(), 0);
    assert!(store.status().unwrap().segment_bytes <= written);
    // A store that compresses nothing any more reads it as well.
    store.close().unwrap();
    drop(store);
    home.tiers = vec![TierSettings::default()];
    let store = home.open();
    all(&store);
}

#[test]
fn sc_12_bytes_follow_a_step_and_the_disk_shrinks() {
    let (_home, store) = tiered();
    const LEN: usize = 9 << 20;
    let solo = put_in(&store, "solo", &text(LEN, 1), Standard);
    let mut run = put_in(&store, "run", &text(300_000, 2), Standard);
    // A tree of extents, parts of which are no longer shown.
    for n in 0..100u64 {
        let at = n * 2500;
        run = rewrite_file(&store, root(&store), "run", &run, |draft| draft.write_at(at, &[n as u8 | 1; 700]).unwrap());
    }
    let small = put_in(&store, "small", &text(3000, 3), Standard);
    let seen = get(&store, "run").unwrap();
    let before = log_bytes(&store);
    assert!(before > LEN as u64);
    let open: Vec<_> = [&solo, &run].map(|object| Arc::new(store.open_content(object).unwrap())).into();
    let mut over = store.draft(Some(&solo)).unwrap();
    over.write_at(5, b"drafted").unwrap();

    step_to(&store, "solo", &solo, GlacierIr);
    step_to(&store, "run", &run, StandardIa);
    step_to(&store, "small", &small, GlacierIr);
    assert!(store.misplaced_bytes().unwrap() >= LEN as u64 + 300_000);
    let after = log_bytes(&store);
    assert!(after * 3 < before, "{after} of {before}");
    assert_eq!(store.status().unwrap().solos, 0);
    let read = |content: &keyfold::store::Content| {
        let mut bytes = vec![0; content.size() as usize];
        content.read_at(0, &mut bytes).map(|_| bytes)
    };
    assert!(read(&open[0]).unwrap() == text(LEN, 1) && read(&open[1]).unwrap() == seen);
    let mut drafted = vec![0; LEN];
    over.read_at(0, &mut drafted).unwrap();
    assert!(drafted[..5] == text(5, 1) && &drafted[5..12] == b"drafted" && drafted[12..] == text(LEN, 1)[12..]);
    drop(over);
    assert!(get(&store, "solo").unwrap() == text(LEN, 1) && get(&store, "run").unwrap() == seen);
    assert!(get(&store, "small").unwrap() == text(3000, 3));
    fsck(&store);

    // Upwards by a copy onto itself, which shares the bytes until they follow.
    let up = |name: &str| {
        let from = store.get(B, &key(name), None).unwrap();
        store.copy(&from, B, &key(name), &CopyOptions { class: Standard, ..CopyOptions::default() }).unwrap();
    };
    up("solo");
    up("run");
    let back = log_bytes(&store);
    assert!(back > LEN as u64, "{back}");
    assert!(get(&store, "solo").unwrap() == text(LEN, 1) && get(&store, "run").unwrap() == seen);
    assert!(read(&open[0]).unwrap() == text(LEN, 1));
    fsck(&store);
}

#[test]
fn lc_31_what_a_rule_moves_shrinks_the_disk() {
    let (home, store) = tiered();
    let rule =
        r#"{"Rules":[{"ID":"r","Status":"Enabled","Filter":{},"Transitions":[{"Days":30,"StorageClass":"GLACIER"}]}]}"#;
    Document::named("lifecycle").unwrap().replace(&store, &store.bucket(B).unwrap(), rule.as_bytes()).unwrap();
    put_in(&store, "old", &text(5 << 20, 1), Standard);
    home.clock.advance_millis(32 * 86_400_000);
    let new = put_in(&store, "new", &text(300_000, 2), Standard);
    let before = log_bytes(&store);
    let mut pass = store.new_lifecycle_pass(&store.bucket(B).unwrap(), store.now()).unwrap().unwrap();
    while !pass.is_over() {
        store.step_lifecycle(&mut pass, 1000, false, &mut |_| Ok(())).unwrap();
    }
    assert!(store.misplaced_bytes().unwrap() >= 5 << 20);
    let after = log_bytes(&store);
    assert!(after * 3 < before, "{after} of {before}");
    let old = store.get(B, &key("old"), None).unwrap();
    assert_eq!((old.class, new.class), (Glacier, Standard));
    assert!(get(&store, "old").is_err() && get(&store, "new").unwrap() == text(300_000, 2));
    fsck(&store);
}

#[test]
fn what_classes_share_lies_with_the_first_of_them() {
    let (home, store) = tiered();
    const LEN: usize = 5 << 20;
    let cold = |name: &str| {
        let from = store.get(B, &key(name), None).unwrap();
        let how = CopyOptions { class: GlacierIr, ..CopyOptions::default() };
        store.copy(&from, B, &key(&format!("copy of {name}")), &how).unwrap();
    };
    put_in(&store, "solo", &text(LEN, 1), Standard);
    put_in(&store, "run", &text(3_000_000, 2), Standard);
    cold("solo");
    cold("run");
    let all = log_bytes(&store);
    assert!(all > LEN as u64 && store.status().unwrap().solos == 1, "{all}");
    // A version of another content that shares extents with both.
    let copy = store.get(B, &key("copy of solo"), None).unwrap();
    rewrite_file(&store, root(&store), "copy of solo", &copy, |draft| draft.write_at(9, b"another").unwrap());
    assert!(log_bytes(&store) >= all);
    delete(&store, "run");
    assert!(log_bytes(&store) < all);
    delete(&store, "solo");
    let shrunk = log_bytes(&store);
    assert!(shrunk * 3 < all && store.status().unwrap().solos == 0, "{shrunk} of {all}");
    let mut want = text(LEN, 1);
    want[9..16].copy_from_slice(b"another");
    let check = |store: &Arc<Store>| {
        assert!(get(store, "copy of solo").unwrap() == want);
        assert!(get(store, "copy of run").unwrap() == text(3_000_000, 2));
        fsck(store);
    };
    check(&store);
    store.close().unwrap();
    drop(store);
    check(&home.open());
}

#[test]
fn what_an_older_version_kept_follows_when_that_is_purged() {
    let (_home, store) = tiered();
    store.set_versioning(B, Versioning::Enabled).unwrap();
    const LEN: usize = 5 << 20;
    let old = put_in(&store, "f", &text(LEN, 1), Standard);
    let new = rewrite_file(&store, root(&store), "f", &old, |draft| draft.write_at(7, b"edited").unwrap());
    step_to(&store, "f", &new, GlacierIr);
    assert!(log_bytes(&store) > LEN as u64, "the older version has the bytes too");
    purge(&store, "f", old.version);
    // Nobody asks: what frees its bytes has to tell.
    compact(&store);
    assert_eq!((store.status().unwrap().misplaced_bytes, store.status().unwrap().solos), (0, 0));
    let mut want = text(LEN, 1);
    want[7..13].copy_from_slice(b"edited");
    assert!(get(&store, "f").unwrap() == want);
    fsck(&store);
}

/// Several contents whose leaves lie over one file, which becomes more runs than a node has room for.
#[test]
fn a_file_that_many_versions_share_becomes_runs_below_their_nodes() {
    let (_home, store) = tiered();
    store.set_versioning(B, Versioning::Enabled).unwrap();
    const LEN: usize = 40 << 20;
    let bytes = text(LEN, 1);
    let mut object = put_in(&store, "large", &bytes, Standard);
    let mut objects = vec![object.clone()];
    for n in 0..31u64 {
        object = rewrite_file(&store, root(&store), "large", &object, |draft| {
            draft.write_at(n * 1_290_001, &[n as u8 | 1; 5000]).unwrap();
        });
        objects.push(object.clone());
    }
    for object in &objects {
        step_to(&store, "large", object, GlacierIr);
    }
    let after = log_bytes(&store);
    assert!(after * 4 < LEN as u64 && store.status().unwrap().solos == 0, "{after}");
    fsck(&store);
    let last = versions(&store, "large").remove(0);
    let content = store.open_content(&last).unwrap();
    let mut buf = vec![0; 1 << 20];
    for at in (0..LEN).step_by(3 << 20) {
        content.read_at(at as u64, &mut buf).unwrap();
        let mut want = bytes[at..at + buf.len()].to_vec();
        for n in 0..31usize {
            let (from, to) = (n * 1_290_001, n * 1_290_001 + 5000);
            let (low, high) = (from.max(at), to.min(at + buf.len()));
            if low < high {
                want[low - at..high - at].fill(n as u8 | 1);
            }
        }
        assert!(buf == want, "{at}");
    }
    for old in versions(&store, "large") {
        purge(&store, "large", old.version);
    }
    assert!(log_bytes(&store) < 1 << 20);
    fsck(&store);
}

#[test]
fn a_store_with_one_tier_does_nothing_for_it() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    let object = put_in(&store, "f", &text(300_000, 1), Standard);
    (0..300).for_each(|n| drop(put(&store, &format!("other {n}"), &pattern(5000, n))));
    compact(&store);
    let cost = || {
        let before = reads_of_thread();
        store.compact(&mut |_| true).unwrap();
        reads_of_thread() - before
    };
    let idle = cost();
    step_to(&store, "f", &object, GlacierIr);
    assert!(cost() <= idle, "no names are walked");
    assert_eq!((store.misplaced_bytes().unwrap(), store.status().unwrap().misplaced_bytes), (0, 0));
    // Of several, one that nobody asked: a look when it was opened, and none after.
    let (_home, store) = tiered();
    (0..300).for_each(|n| drop(put(&store, &format!("other {n}"), &pattern(5000, n))));
    compact(&store);
    let before = reads_of_thread();
    put(&store, "one more", &pattern(5000, 1));
    store.compact(&mut |_| true).unwrap();
    assert!(reads_of_thread() - before < 300);
}

#[test]
fn an_older_store_gets_tiers_and_an_older_release_refuses_it() {
    let (mut home, store) = Home::with_bucket(Versioning::Unversioned);
    put_in(&store, "cold", &text(6 << 20, 1), GlacierIr);
    put_in(&store, "warm", &text(6 << 20, 2), Standard);
    assert_eq!(store.status().unwrap().solos, 2);
    store.close().unwrap();
    drop(store);
    let path = home.dir.path().join("FORMAT");
    let format = || std::fs::read_to_string(&path).unwrap();
    let old = format();
    assert!(!old.contains("zstd"));
    home.tiers = tiers();
    let store = home.open();
    // It is there before the first run is.
    assert!(format().contains("\"zstd\"") && check_format(format().as_bytes()).is_ok());
    let unknown = format().replace("zstd", "zstd-2");
    assert_eq!(check_format(unknown.as_bytes()).unwrap_err().kind(), Kind::StoreFormat);
    log_bytes(&store);
    assert_eq!(store.status().unwrap().solos, 1);
    assert!(get(&store, "cold").unwrap() == text(6 << 20, 1) && get(&store, "warm").unwrap() == text(6 << 20, 2));
    store.close().unwrap();
    drop(store);
    // The feature stays when nothing compresses any more, once and no more often.
    home.tiers = vec![TierSettings::default()];
    home.open();
    assert_eq!(format().matches("zstd").count(), 1);
}

/// The one segment with bytes of objects.
fn data_file(home: &Home) -> PathBuf {
    let is_data = |file: &PathBuf| {
        let header = SegmentHeader::decode(&std::fs::read(file).unwrap()).unwrap();
        header.class != Class::Notes
    };
    let files: Vec<_> = log_files(home).into_iter().filter(is_data).collect();
    assert_eq!(files.len(), 1);
    files[0].clone()
}

#[test]
fn damage_of_compressed_bytes_costs_its_range_and_is_told() {
    let (home, store) = tiered();
    let bytes = text(600_000, 1);
    let object = put_in(&store, "f", &bytes, GlacierIr);
    store.close().unwrap();
    drop(store);
    let file = data_file(&home);
    let mut all = std::fs::read(&file).unwrap();
    let magic = |window: &[u8]| window == b"\x28\xb5\x2f\xfd";
    let frames: Vec<usize> = (0..all.len() - 4).filter(|at| magic(&all[*at..at + 4])).collect();
    assert_eq!(frames.len(), 10, "one frame each 64 KiB");
    all[frames[3] + 50] ^= 0x40;
    std::fs::write(&file, all).unwrap();
    let store = home.open();
    let findings: Vec<Finding> = store.fsck(&mut |_| {}).unwrap();
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding.is_loss()), "{findings:?}");
    let content = store.open_content(&object).unwrap();
    assert_eq!(content.read_at(0, &mut vec![0; bytes.len()]).unwrap_err().kind(), Kind::Corrupt);
    let mut saved = Vec::new();
    let mut lost = 0..0;
    content
        .salvage(&mut |at, stretch| {
            match stretch {
                Stretch::Bytes(found) => saved.extend_from_slice(found),
                Stretch::Hole(_) => panic!("nothing was left out"),
                Stretch::Lost(len, _) => {
                    lost = at as usize..(at + len) as usize;
                    saved.extend_from_slice(&bytes[lost.clone()]);
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(saved == bytes);
    assert_eq!(lost, 3 * 65_536..4 * 65_536);
    // What cannot be read stays where it is, and keeps nothing else from moving.
    let other = put_in(&store, "other", &text(300_000, 2), Standard);
    step_to(&store, "other", &other, StandardIa);
    step_to(&store, "f", &object, Glacier);
    compact(&store);
    assert!(get(&store, "other").unwrap() == text(300_000, 2));
}

#[test]
fn an_index_is_built_anew_of_compressed_segments() {
    let (home, store) = tiered();
    put_in(&store, "cold", &text(6 << 20, 1), GlacierIr);
    let moved = put_in(&store, "moved", &text(6 << 20, 2), Standard);
    let made = write_file(&store, root(&store), "file", &text(300_000, 3));
    step_to(&store, "moved", &moved, StandardIa);
    step_to(&store, "file", &made, GlacierIr);
    log_bytes(&store);
    assert!(log_files(&home).iter().all(|file| file.extension().is_some_and(|end| end == "seg")));
    drop(store);
    let told = rebuilt(&home);
    assert!(told.findings.is_empty(), "{told:?}");
    assert_eq!((told.files, told.unnamed), (3, 0), "{told:?}");
    let store = home.open();
    for (name, bytes) in [("cold", text(6 << 20, 1)), ("moved", text(6 << 20, 2)), ("file", text(300_000, 3))] {
        assert!(get(&store, name).unwrap() == bytes, "{name}");
    }
    fsck(&store);
}

#[derive(Default)]
struct Quiet;

impl Watch for Quiet {
    fn progress(&mut self, _text: &str) -> keyfold::model::Result<()> {
        Ok(())
    }

    fn damage(&mut self, finding: Finding) -> keyfold::model::Result<()> {
        panic!("{}", finding.what)
    }
}

#[test]
fn backups_keep_what_is_compressed_as_it_is() {
    let (home, store) = tiered();
    put_in(&store, "cold", &text(6 << 20, 1), GlacierIr);
    put_in(&store, "plain", &text(6 << 20, 2), Standard);
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("backups");
    let plan = || Plan { to: to.clone(), link: false, keep: None, dry_run: false };
    make(&store, &plan(), &mut Quiet).unwrap();
    let generation = keyfold::backup::generations(&to).unwrap().remove(0);
    let generation = generation.dir;
    let format = std::fs::read_to_string(generation.join("FORMAT")).unwrap();
    assert!(format.contains("zstd") && format.contains("backup"), "{format}");
    let kept = Store::open(&generation, Options::system()).unwrap();
    assert!(get(&kept, "cold").unwrap() == text(6 << 20, 1));
    kept.close().unwrap();
    drop(kept);
    let again = place.path().join("again");
    restore(&generation, &again, &Options::system(), &mut Quiet).unwrap();
    let back = Store::open(&again, home.options()).unwrap();
    assert!(get(&back, "cold").unwrap() == text(6 << 20, 1) && get(&back, "plain").unwrap() == text(6 << 20, 2));
    assert!(back.status().unwrap().segment_bytes < 4 << 20);
    fsck(&back);
    back.close().unwrap();
}

/// A move that is broken off at any step goes on, and nothing of it shows.
#[test]
fn a_move_that_is_broken_off_goes_on() {
    let (home, store) = tiered();
    let objects: Vec<Object> = (0..6)
        .map(|n| {
            let len = [300_000, 5 << 20][n as usize % 2];
            store.put(B, &key(&n.to_string()), &mut &text(len, n)[..], &PutOptions::default()).unwrap()
        })
        .collect();
    for (n, object) in objects.iter().enumerate() {
        step_to(&store, &n.to_string(), object, GlacierIr);
    }
    let mut store = store;
    for steps in 0..12 {
        let mut left = steps;
        store
            .compact(&mut |_| {
                left -= 1;
                left >= 0
            })
            .unwrap();
        for n in 0..6u64 {
            let object = store.get(B, &key(&n.to_string()), None).unwrap();
            assert!(read(&store, &object).unwrap() == text(object.size as usize, n), "{steps} {n}");
        }
        if steps % 3 == 0 {
            store.close().unwrap();
            drop(store);
            store = home.open();
        }
        fsck(&store);
    }
    assert!(log_bytes(&store) < 6 << 20);
    assert_eq!(store.status().unwrap().solos, 0);
    fsck(&store);
}
