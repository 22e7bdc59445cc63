//! Everything that can be read from a store, as lines of text in a fixed order.

use keyfold::crypto::Crc64;
use keyfold::model::{Bucket, DirId, Object};
use keyfold::store::{Entry, ListVersions, Store};
use std::fmt::Write;
use std::sync::Arc;

macro_rules! line {
    ($out:expr, $($text:tt)*) => { writeln!($out, $($text)*).unwrap() };
}

/// Bytes read at once.
const STEP: usize = 1 << 20;
/// A longer object is read at both ends and where its data begins.
const WHOLE_MAX: u64 = 64 << 20;

/// The store as text.
pub fn text(store: &Arc<Store>) -> String {
    let mut out = String::new();
    for bucket in store.buckets().unwrap() {
        describe(store, &bucket, &mut out);
    }
    for (seq, change) in store.changes(0, usize::MAX).unwrap() {
        let name = store.bucket_by_id(change.bucket).unwrap().name;
        let (event, key, from, version) = (&change.event, &change.key, &change.from, change.version);
        line!(
            out,
            "change {seq} {} {event} {name} {key:?} from {from:?} version {version} size {} etag {}",
            change.time.rfc3339(),
            change.size,
            change.etag
        );
    }
    out
}

fn describe(store: &Arc<Store>, bucket: &Bucket, out: &mut String) {
    let usage = store.usage(bucket.id).unwrap();
    let (name, status) = (&bucket.name, bucket.versioning.status());
    line!(out, "bucket {name} id {} created {} versioning {status:?}", bucket.id, bucket.created.rfc3339());
    line!(out, "  {usage:?}");
    for (document, text) in &bucket.documents {
        line!(out, "  document {document} {text}");
    }
    walk(store, bucket.root, "", out);
    let (mut key_marker, mut version_marker) = (None, None);
    loop {
        // Pages of few entries, so that the markers are used.
        let request = ListVersions { key_marker, version_marker, limit: 7, ..ListVersions::default() };
        let page = store.list_versions(name.as_str(), &request).unwrap();
        for entry in &page.versions {
            let latest = if entry.is_latest { " latest" } else { "" };
            line!(out, "  version {:?} {}{latest}", entry.key, entry.object.version);
            object(store, &entry.object, out);
        }
        match page.next {
            Some((key, version)) => (key_marker, version_marker) = (Some(key), version),
            None => break,
        }
    }
    for upload in store.uploads(name.as_str()).unwrap() {
        line!(out, "  upload {} {:?} {}", upload.id, upload.key, upload.initiated.rfc3339());
        for part in store.list_parts(upload.id, 0, usize::MAX).unwrap().parts {
            line!(out, "    part {} size {} etag {} {}", part.number, part.size, part.etag, part.modified.rfc3339());
        }
    }
}

/// The live tree, as the mount shows it.
fn walk(store: &Arc<Store>, dir: DirId, prefix: &str, out: &mut String) {
    for (component, entry) in store.entries(dir, None, usize::MAX).unwrap() {
        let path = format!("{prefix}{component}");
        match entry {
            Entry::File(file) => {
                let kind = file.object.posix.kind;
                line!(
                    out,
                    "  file {path:?} {kind:?} ino {} links {} draft {}",
                    file.object.ino,
                    file.nlink,
                    file.draft
                );
            }
            Entry::Dir(found) => {
                let (posix, stat) = (&found.posix, &found.stat);
                let xattrs = pairs(found.xattrs.iter());
                line!(
                    out,
                    "  dir {path:?} id {} mode {:o} owner {}:{} live {} subdirs {} mtime {} marker {} xattrs {xattrs}",
                    found.id,
                    posix.mode,
                    posix.uid,
                    posix.gid,
                    stat.live,
                    stat.subdirs,
                    stat.mtime.rfc3339(),
                    found.marker.is_some()
                );
                walk(store, found.id, &path, out);
            }
        }
    }
}

fn object(store: &Arc<Store>, object: &Object, out: &mut String) {
    let posix = &object.posix;
    let marker = if object.marker { " marker" } else { "" };
    line!(
        out,
        "    seq {} ino {} size {} stored {} etag {} class {}{marker}",
        object.seq,
        object.ino,
        object.size,
        object.stored,
        object.etag,
        object.class.name()
    );
    line!(
        out,
        "    modified {} since {} superseded {:?}",
        object.modified.rfc3339(),
        object.since.rfc3339(),
        object.superseded.map(keyfold::model::Timestamp::rfc3339)
    );
    line!(
        out,
        "    {:?} mode {:o} owner {}:{} rdev {:x} target {:?} times {} {} {} {}",
        posix.kind,
        posix.mode,
        posix.uid,
        posix.gid,
        posix.rdev,
        String::from_utf8_lossy(&posix.target),
        posix.atime.rfc3339(),
        posix.mtime.rfc3339(),
        posix.ctime.rfc3339(),
        posix.btime.rfc3339()
    );
    for (header, value) in object.metadata.system_pairs() {
        line!(out, "    header {header:?} {value:?}");
    }
    for (name, value) in object.metadata.user_pairs() {
        line!(out, "    meta {name} {value:?}");
    }
    for (name, value) in object.tags.iter() {
        line!(out, "    tag {name} {value:?}");
    }
    if object.xattrs.iter().next().is_some() {
        line!(out, "    xattrs {}", pairs(object.xattrs.iter()));
    }
    if !object.marker {
        line!(out, "    bytes {} crc64 {:?}", bytes(store, object), object.crc64.0.map(hex));
    }
}

fn hex(value: u64) -> String {
    format!("{value:016x}")
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{:?}", pairs.map(|(name, value)| (text(name), text(value))).collect::<Vec<_>>())
}

/// The checksum of the bytes as they are read, not as they are remembered; and where data and holes begin.
fn bytes(store: &Arc<Store>, object: &Object) -> String {
    let content = store.open_content(object).unwrap();
    let mut crc = Crc64::new();
    let mut buf = vec![0; STEP];
    let mut add = |from: u64, to: u64| {
        let mut at = from;
        while at < to {
            let want = usize::try_from(to - at).unwrap().min(STEP);
            let read = content.read_at(at, &mut buf[..want]).unwrap();
            assert_eq!(read, want, "a read ended at {at} of {}", object.size);
            crc.update(&buf[..read]);
            at += read as u64;
        }
    };
    let data = content.seek_data(0).unwrap();
    if object.size <= WHOLE_MAX {
        add(0, object.size);
    } else {
        let begins = data.unwrap_or(0);
        add(0, STEP as u64);
        add(begins, begins + STEP as u64);
        add(object.size - STEP as u64, object.size);
    }
    let hole = content.seek_hole(0).unwrap();
    format!("{} data at {data:?} hole at {hole}", hex(crc.value()))
}
