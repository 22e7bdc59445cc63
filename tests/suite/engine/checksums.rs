//! Checksums that clients promise, and those that are kept: SUM, SIZE-2, SIZE-6, COPY-11.

use super::harness::{
    B, Home, delete, fsck, get, key, pattern, purge, put, reap, refused, rewrite_file, root, versions,
};
use keyfold::crypto::{Summer, md5};
use keyfold::model::ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::model::{ChecksumAlgorithm, ETag, Kind, Metadata, Object, ObjectKey, ObjectSum, ObjectSums, Result, Sum};
use keyfold::store::{BODY_BYTES_MAX, CopyOptions, Promise, PutOptions, RenameHow, Store, Trailer};
use std::io::Read;
use std::sync::Arc;

/// No bytes, in the index, a run, a file of its own.
const SIZES: [usize; 4] = [0, 700, 70_000, (9 << 20) + 5];

fn put_as(store: &Arc<Store>, name: &str, body: &mut dyn Read, promise: Promise) -> Result<Object> {
    store.put(B, &key(name), body, &PutOptions { promise, ..PutOptions::default() })
}

fn with(sum: Sum) -> Promise {
    Promise { sums: vec![sum], ..Promise::default() }
}

fn kept(store: &Store, object: &Object) -> ObjectSum {
    let ObjectSums { sum, parts, .. } = store.sums(object).unwrap();
    assert_eq!(parts, []);
    sum.unwrap()
}

#[test]
fn sum_1_the_tag_is_the_md5_of_the_bytes() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for size in SIZES {
        let bytes = pattern(size, 1);
        let object = put(&store, "f", &bytes);
        assert_eq!(object.etag, ETag { digest: md5(&bytes), parts: 0 }, "{size}");
        assert_eq!(store.get(B, &key("f"), None).unwrap().etag, object.etag);
    }
    fsck(&store);
}

#[test]
fn sum_6_sum_7_size_6_a_body_that_is_not_as_promised_leaves_nothing() {
    let (_home, store) = Home::with_bucket(Enabled);
    put(&store, "there", b"before");
    for size in SIZES {
        let bytes = pattern(size, 2);
        let refuse = |promise: Promise, kind: Kind| {
            for name in ["there", "new/dir/f"] {
                refused(put_as(&store, name, &mut &bytes[..], promise.clone()), kind);
            }
        };
        for algorithm in ChecksumAlgorithm::ALL {
            refuse(with(Summer::of(*algorithm, b"others")), Kind::BadDigest);
            // One that is right does not excuse one that is not.
            let sums = vec![Summer::of(*algorithm, &bytes), Summer::of(Sha1, b"others")];
            refuse(Promise { sums, ..Promise::default() }, Kind::BadDigest);
        }
        refuse(Promise { md5: Some(md5(b"others")), ..Promise::default() }, Kind::BadDigest);
        let len = size as u64;
        refuse(Promise { length: Some(len + 1), ..Promise::default() }, Kind::IncompleteBody);
        if size > 0 {
            refuse(Promise { length: Some(len - 1), ..Promise::default() }, Kind::IncompleteBody);
        }
        let mut broken = bytes.chain(Broken);
        refused(put_as(&store, "there", &mut broken, Promise::default()), Kind::IncompleteBody);
        reap(&store);
        assert_eq!(store.status().unwrap().solos, 0, "{size}");
    }
    assert_eq!(get(&store, "there").unwrap(), b"before");
    assert_eq!(versions(&store, "there").len(), 1);
    assert!(store.resolve_dir(&store.bucket(B).unwrap(), "new/").unwrap().is_none());
    fsck(&store);
}

/// A body whose sender hangs up.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

#[test]
fn sum_7_a_body_as_promised_is_stored() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for size in SIZES {
        let bytes = pattern(size, 3);
        for algorithm in ChecksumAlgorithm::ALL {
            let sum = Summer::of(*algorithm, &bytes);
            let promise = Promise { length: Some(size as u64), md5: Some(md5(&bytes)), ..with(sum) };
            let object = put_as(&store, "f", &mut &bytes[..], promise).unwrap();
            assert_eq!(kept(&store, &object), ObjectSum::whole(sum));
            assert!(get(&store, "f").unwrap() == bytes);
        }
    }
    fsck(&store);
}

#[test]
fn size_2_a_body_over_the_limit_is_not_read() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let promise = Promise { length: Some(BODY_BYTES_MAX + 1), ..Promise::default() };
    refused(put_as(&store, "f", &mut Broken, promise), Kind::EntityTooLarge);
}

/// A body behind which a checksum comes.
struct Trailing<'a> {
    bytes: &'a [u8],
    trailer: Trailer,
    sum: Option<Sum>,
}

impl Read for Trailing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.bytes.read(buf)?;
        if let (0, Some(sum)) = (read, self.sum) {
            self.trailer.tell(sum);
        }
        Ok(read)
    }
}

#[test]
fn sum_13_a_checksum_behind_the_body_is_compared() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for size in SIZES {
        let bytes = pattern(size, 4);
        let (right, wrong) = (Summer::of(Crc32c, &bytes), Summer::of(Crc32c, b"others"));
        let send = |sum: Option<Sum>| {
            let trailer = Trailer::new();
            let promise = Promise { trailer: Some((Crc32c, trailer.clone())), ..Promise::default() };
            put_as(&store, "f", &mut Trailing { bytes: &bytes, trailer, sum }, promise)
        };
        refused(send(Some(wrong)), Kind::BadDigest);
        refused(send(None), Kind::IncompleteBody);
        refused(send(Some(Summer::of(Crc32, &bytes))), Kind::IncompleteBody);
        refused(get(&store, "f"), Kind::NoSuchKey);
        let object = send(Some(right)).unwrap();
        assert_eq!(kept(&store, &object), ObjectSum::whole(right));
        delete(&store, "f");
    }
    reap(&store);
    fsck(&store);
}

#[test]
fn sum_8_sum_16_what_is_kept_goes_with_the_bytes() {
    let (home, store) = Home::with_bucket(Enabled);
    let bytes = pattern(70_000, 5);
    let plain = put(&store, "plain", &bytes);
    assert_eq!(kept(&store, &plain), ObjectSum::whole(Summer::of(Crc64Nvme, &bytes)), "SUM-8");
    let sum = ObjectSum::whole(Summer::of(Sha256, &bytes));
    let empty = ObjectSum::whole(Summer::of(Crc32, b""));
    put_as(&store, "d/f", &mut &bytes[..], with(sum.sum)).unwrap();
    put_as(&store, "empty", &mut &b""[..], with(empty.sum)).unwrap();
    drop(store);
    let store = home.open();
    let now = |name: &str| store.get(B, &key(name), None).unwrap();
    let first = now("d/f");
    assert_eq!((kept(&store, &first), kept(&store, &now("empty"))), (sum, empty));
    assert_eq!((now("empty").size, now("empty").etag), (0, ETag::EMPTY), "SIZE-5");

    let mut meta = Metadata::default();
    meta.set_user("title", "x").unwrap();
    let dir = super::harness::dir(&store, "d/");
    let again = store.set_metadata((dir, "f"), &meta).unwrap();
    let copy = store.copy(&first, B, &key("copy"), &CopyOptions::default()).unwrap();
    store.rename((dir, "f"), (root(&store), "moved"), RenameHow::Replace).unwrap();
    for object in [&again, &copy, &now("moved")] {
        assert_eq!((kept(&store, object), object.etag), (sum, first.etag));
    }
    // An edit makes other bytes; the version below still has its own.
    let edited = rewrite_file(&store, root(&store), "copy", &copy, |draft| draft.write_at(0, b"y").unwrap());
    assert_eq!(store.sums(&edited).unwrap(), ObjectSums::default());
    let value = store.checksum(&edited).unwrap();
    assert_eq!(kept(&store, &edited), ObjectSum::whole(Sum::Crc64Nvme(value.to_be_bytes())), "once it was found out");
    assert_eq!(kept(&store, &copy), sum);
    let filled = rewrite_file(&store, root(&store), "empty", &now("empty"), |draft| draft.write_at(0, b"z").unwrap());
    assert_eq!(kept(&store, &filled), ObjectSum::whole(Summer::of(Crc64Nvme, b"z")));
    fsck(&store);
    for name in ["moved", "copy", "empty", "plain"] {
        versions(&store, name).iter().for_each(|object| purge(&store, name, object.version));
    }
    reap(&store);
    // Nothing is kept of bytes that are gone.
    fsck(&store);
}

#[test]
fn an_edit_that_takes_the_place_of_a_content_leaves_nothing_of_it() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let bytes = pattern(300_000, 6);
    let object = put_as(&store, "f", &mut &bytes[..], with(Summer::of(Sha1, &bytes))).unwrap();
    let edited = rewrite_file(&store, root(&store), "f", &object, |draft| draft.write_at(5, b"edit").unwrap());
    assert_eq!(store.sums(&edited).unwrap(), ObjectSums::default());
    reap(&store);
    fsck(&store);
}

#[test]
fn copy_11_a_copy_has_another_checksum_when_one_is_asked_for() {
    let (_home, store) = Home::with_bucket(Enabled);
    for size in SIZES {
        let bytes = pattern(size, 7);
        let source = put_as(&store, "a", &mut &bytes[..], with(Summer::of(Crc32, &bytes))).unwrap();
        let copy = |algorithm: Option<ChecksumAlgorithm>| {
            let how = CopyOptions { checksum: algorithm, ..CopyOptions::default() };
            store.copy(&source, B, &ObjectKey::parse("b").unwrap(), &how).unwrap()
        };
        for (asked, algorithm) in
            [(None, Crc32), (Some(Crc32), Crc32), (Some(Sha256), Sha256), (Some(Crc64Nvme), Crc64Nvme)]
        {
            let made = copy(asked);
            assert_eq!(kept(&store, &made), ObjectSum::whole(Summer::of(algorithm, &bytes)));
            assert_eq!((made.etag, made.size), (source.etag, source.size));
            assert!(get(&store, "b").unwrap() == bytes);
        }
        assert_eq!(kept(&store, &source), ObjectSum::whole(Summer::of(Crc32, &bytes)));
    }
    assert_eq!(store.status().unwrap().solos, 1, "the bytes are shared");
    fsck(&store);
}
