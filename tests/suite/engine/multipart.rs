//! Multipart uploads: MPU-1 to MPU-10.

use super::harness::{B, Home, fsck, get, key, make_bucket, pattern, put, put_part, reap, refused, versions};
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::model::{ETag, Kind, Metadata, StorageClass, TagSet, UploadId};
use keyfold::store::{CompletePart, Condition, Store};

const MIN: usize = 5 << 20;

fn begin(store: &Store, name: &str) -> UploadId {
    store.create_upload(B, &key(name), &Metadata::default(), &TagSet::new(), StorageClass::StandardIa).unwrap()
}

#[test]
fn mpu_1_mpu_3_mpu_5_mpu_7_parts_make_the_object() {
    let (home, store) = Home::with_bucket(Enabled);
    let upload = begin(&store, "d/big");
    let first = pattern(MIN + 3, 1);
    put_part(&store, upload, 1, b"replaced");
    let parts = [put_part(&store, upload, 1, &first), put_part(&store, upload, 14, b"tail")];
    put_part(&store, upload, 5, b"not named");
    refused(store.put_part(upload, 0, &mut &b""[..], None), Kind::InvalidArgument);
    refused(store.put_part(upload, 10_001, &mut &b""[..], None), Kind::InvalidArgument);
    refused(get(&store, "d/big"), Kind::NoSuchKey);
    assert_eq!(store.list_parts(upload, 1, 9).unwrap().iter().map(|part| part.number).collect::<Vec<_>>(), [5, 14]);
    let begun = store.list_uploads(B).unwrap()[0].initiated;
    home.later();
    let object = store.complete_upload(B, upload, &parts, Condition::Always, None).unwrap();
    assert_eq!((object.modified, object.class), (begun, StorageClass::StandardIa), "META-14, MPU-6");
    assert!(get(&store, "d/big").unwrap() == [&first[..], b"tail"].concat());
    refused(store.list_parts(upload, 0, 9), Kind::NoSuchUpload);
    reap(&store);
    fsck(&store);
}

#[test]
fn mpu_2_mpu_4_what_complete_refuses() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let upload = begin(&store, "f");
    let (one, two) = (put_part(&store, upload, 1, b"small"), put_part(&store, upload, 2, b"last"));
    let complete = |parts: &[CompletePart]| store.complete_upload(B, upload, parts, Condition::Always, None);
    refused(complete(&[]), Kind::InvalidArgument);
    refused(complete(&[two, one]), Kind::InvalidPartOrder);
    refused(complete(&[one, one]), Kind::InvalidPartOrder);
    refused(complete(&[CompletePart { number: 3, ..one }]), Kind::InvalidPart);
    refused(complete(&[CompletePart { etag: ETag::EMPTY, ..one }]), Kind::InvalidPart);
    refused(complete(&[one, two]), Kind::EntityTooSmall);
    put(&store, "f", b"x");
    refused(store.complete_upload(B, upload, &[two], Condition::Absent, None), Kind::PreconditionFailed);
    make_bucket(&store, "other");
    refused(store.complete_upload("other", upload, &[two], Condition::Always, None), Kind::NoSuchUpload);
    complete(&[two]).unwrap();
    assert_eq!(get(&store, "f").unwrap(), b"last");
    fsck(&store);
}

#[test]
fn mpu_10_mpu_13_aborted_uploads_free_their_parts() {
    let (_home, store) = Home::with_bucket(Enabled);
    let (one, two) = (begin(&store, "f"), begin(&store, "f"));
    put_part(&store, one, 1, &pattern(MIN, 3));
    let kept = put_part(&store, two, 7, &pattern(MIN, 4));
    refused(store.delete_bucket(B), Kind::BucketNotEmpty);
    store.abort_upload(one).unwrap();
    refused(store.abort_upload(one), Kind::NoSuchUpload);
    refused(store.put_part(one, 1, &mut &b"x"[..], None), Kind::NoSuchUpload);
    reap(&store);
    assert_eq!(store.status().unwrap().solos, 1, "the space of the aborted one is back");
    store.complete_upload(B, two, &[kept], Condition::Always, None).unwrap();
    assert!(versions(&store, "f").len() == 1 && store.list_uploads(B).unwrap().is_empty());
    fsck(&store);
}
