//! The workload: every form in which bytes are stored, every way in which they go.

use super::judge::Run;
use crate::engine::compare::meta;
use crate::engine::harness::{B, key, pattern, posix, root};
use keyfold::model::FileKind;
use keyfold::store::{
    CompleteOptions, CompletePart, Condition, CopyOptions, PartInfo, PosixChange, Promise, PutOptions, RenameHow,
    Session, Store, UploadOptions,
};
use std::sync::Arc;

const INLINE: usize = 700;
/// Journalled with the commit.
const SMALL: usize = 20_000;
/// Too long for the journal.
const LARGE: usize = 150_000;
/// A file of its own.
const OWN: usize = (4 << 20) + 9;
const PART: usize = (5 << 20) + 3;

fn bytes(len: usize, seed: u64) -> Arc<Vec<u8>> {
    Arc::new(pattern(len, seed))
}

fn put(run: &mut Run, name: &str, len: usize, seed: u64, label: Option<&str>) {
    let bytes = bytes(len, seed);
    let options = PutOptions { metadata: meta(label), ..PutOptions::default() };
    run.step(
        &format!("put {name} {seed}"),
        true,
        |store| store.put(B, &key(name), &mut &bytes[..], &options),
        |model| model.push(name, Arc::clone(&bytes), None, label.map(str::to_owned)),
    );
}

/// A write session of a new file or over the one that is there, published three times.
fn session(run: &mut Run, name: &str) {
    let at = |store: &Store| root(store);
    let old = run.model.current(name).cloned();
    let made = match old {
        Some(_) => run.step("get", false, |store| store.get(B, &key(name), None), |_| ()),
        None => {
            let make = |store: &Arc<Store>| store.create_draft(at(store), name, &posix(FileKind::File));
            run.step("create_draft", false, make, |_| ()).map(|made| made.object)
        }
    };
    let Some(object) = made else { return };
    let base = old.is_some().then_some(&object);
    let Some(mut draft) = run.step("draft", false, |store| store.draft(base), |_| ()) else { return };
    let mut text = old.map_or_else(Vec::new, |version| version.bytes.to_vec());
    let mut session = Session::new();
    for (n, place, len) in [(0, 0, SMALL), (1, 5000, 100), (2, SMALL / 2, SMALL)] {
        let piece = pattern(len, 40 + n);
        text.resize(text.len().max(place + len), 0);
        text[place..place + len].copy_from_slice(&piece);
        if run.step("write", false, |_| draft.write_at(place as u64, &piece), |_| ()).is_none() {
            return;
        }
        let (shown, again) = (Arc::new(text.clone()), session.has_published());
        let publish = |store: &Arc<Store>| {
            store.publish((at(store), name), object.ino, &mut draft, &mut session, &PosixChange::default())
        };
        let published = run.step(&format!("publish {name} {n}"), false, publish, |model| {
            if again {
                model.keys.get_mut(name).unwrap().versions[0].bytes = shown;
            } else {
                model.push(name, shown, None, None);
            }
        });
        if published.is_none() {
            return;
        }
        if n == 1 {
            run.step("sync", true, |store| store.sync(), |_| ());
        }
    }
    run.step("seal", false, |store| store.seal(session), |_| ());
}

fn upload(run: &mut Run, name: &str) {
    let begin = |store: &Arc<Store>| store.create_upload(B, &key(name), &UploadOptions::default());
    let Some(upload) = run.step("create_upload", true, begin, |_| ()) else { return };
    let bodies = [(1, pattern(PART, 51)), (2, pattern(SMALL, 52))];
    let mut parts = Vec::new();
    for (number, body) in &bodies {
        let part = run.step(
            "put_part",
            true,
            |store| store.put_part(upload, *number, &mut &body[..], &Promise::default()),
            |_| (),
        );
        let Some(PartInfo { number, etag, .. }) = part else { return };
        parts.push(CompletePart { number, etag, sum: None });
    }
    let whole = Arc::new([&bodies[0].1[..], &bodies[1].1].concat());
    run.step(
        "complete_upload",
        true,
        |store| store.complete_upload(B, upload, &parts, &CompleteOptions::default()),
        |model| model.push(name, whole, None, None),
    );
}

fn delete(run: &mut Run, name: &str) {
    run.step(
        &format!("delete {name}"),
        true,
        |store| store.delete(B, &key(name), None, Condition::Always),
        |model| model.delete(name),
    );
}

/// Removes all that a name ever was.
fn purge(run: &mut Run, name: &str) {
    for version in run.versions(name) {
        let Some(at) = run.versions(name).iter().position(|left| *left == version) else { continue };
        run.step(
            &format!("purge {name}"),
            true,
            |store| store.delete(B, &key(name), Some(version), Condition::Always),
            |model| model.purge(name, at),
        );
    }
}

fn reap(run: &mut Run) {
    while run.step("reap", false, |store| store.reap(), |_| ()) == Some(true) {}
}

fn rename(run: &mut Run, from: &str, to: &str) {
    if run.model.current(from).is_some() {
        run.step(
            "rename",
            false,
            |store| store.rename((root(store), from), (root(store), to), RenameHow::Replace),
            |model| model.rename(from, to),
        );
    }
}

fn copy(run: &mut Run, from: &str, to: &str) {
    let Some(source) = run.model.current(from).cloned() else { return };
    run.step(
        "copy",
        true,
        |store| store.copy(&store.get(B, &key(from), None)?, B, &key(to), &CopyOptions::default()),
        |model| model.push(to, source.bytes, source.tag, source.meta),
    );
}

/// What is in the store before: some of it only in the journal.
pub fn before(run: &mut Run) {
    put(run, "old inline", INLINE, 1, None);
    put(run, "old runs", LARGE, 2, None);
    session(run, "old file");
    run.step("sync", true, |store| store.sync(), |_| ());
    for n in 0..3 {
        put(run, &format!("journalled {n}"), SMALL, 5 + n, None);
    }
}

pub fn during(run: &mut Run) {
    put(run, "a/inline", INLINE, 11, None);
    put(run, "a/small", SMALL, 12, None);
    put(run, "a/large", LARGE, 13, None);
    put(run, "own", OWN, 14, None);
    for n in 0..4 {
        put(run, "many", SMALL + n, 20 + n as u64, None);
    }
    session(run, "old file");
    session(run, "new file");
    rename(run, "new file", "renamed");
    copy(run, "old runs", "copied");
    upload(run, "uploaded");
    delete(run, "a/small");
    delete(run, "a/inline");
    purge(run, "own");
    purge(run, "old runs");
    reap(run);
    // The index flushes, and goes on to another log.
    let label = "m".repeat(1900);
    for n in 0..36 {
        put(run, &format!("rich {n}"), 3500, 60 + n, Some(&label));
    }
    for n in 0..4 {
        put(run, &format!("fill {n}"), 2 * LARGE, 100 + n, None);
        purge(run, &format!("fill {n}"));
    }
    purge(run, "a/large");
    purge(run, "uploaded");
    reap(run);
    run.step("compact", false, |store| store.compact(&mut |_| true), |_| ());
    reap(run);
    session(run, "last");
    run.step("sync", true, |store| store.sync(), |_| ());
}
