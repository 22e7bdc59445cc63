//! Multipart uploads: MPU-1 to MPU-15, and the checksums of their parts and objects.

use super::harness::{
    B, Home, data_segments, fsck, get, key, make_bucket, pattern, put, put_in_parts, put_part, reap, refused, versions,
};
use crate::tamper::tamper;
use keyfold::crypto::{Summer, md5};
use keyfold::index::{Family, Read, reads_of_thread};
use keyfold::model::ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use keyfold::model::ChecksumType::{Composite, FullObject};
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::model::{ChecksumAlgorithm, ChecksumType, ETag, Kind, ObjectPart, ObjectSum, StorageClass, UploadId};
use keyfold::store::{
    CompleteOptions, CompletePart, Condition, CopyOptions, ListUploads, Options, Promise, Store, Trailer, UploadOptions,
};
use std::sync::Arc;

const MIN: usize = 5 << 20;

fn begin(store: &Store, name: &str) -> UploadId {
    let options = UploadOptions { class: StorageClass::StandardIa, ..UploadOptions::default() };
    store.create_upload(B, &key(name), &options).unwrap()
}

#[test]
fn mpu_1_mpu_3_mpu_5_mpu_7_parts_make_the_object() {
    let (home, store) = Home::with_bucket(Enabled);
    let upload = begin(&store, "d/big");
    let first = pattern(MIN + 3, 1);
    put_part(&store, upload, 1, b"replaced");
    let parts = [put_part(&store, upload, 1, &first), put_part(&store, upload, 14, b"tail")];
    put_part(&store, upload, 5, b"not named");
    refused(store.put_part(upload, 0, &mut &b""[..], &Promise::default()), Kind::InvalidArgument);
    refused(store.put_part(upload, 10_001, &mut &b""[..], &Promise::default()), Kind::InvalidArgument);
    refused(get(&store, "d/big"), Kind::NoSuchKey);
    assert_eq!(
        store.list_parts(upload, 1, 9).unwrap().parts.iter().map(|part| part.number).collect::<Vec<_>>(),
        [5, 14]
    );
    let begun = store.uploads(B).unwrap()[0].initiated;
    home.later();
    let object = store.complete_upload(B, upload, &parts, &CompleteOptions::default()).unwrap();
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
    let complete = |parts: &[CompletePart]| store.complete_upload(B, upload, parts, &CompleteOptions::default());
    refused(complete(&[]), Kind::InvalidArgument);
    refused(complete(&[two, one]), Kind::InvalidPartOrder);
    refused(complete(&[one, one]), Kind::InvalidPartOrder);
    refused(complete(&[CompletePart { number: 3, ..one }]), Kind::InvalidPart);
    refused(complete(&[CompletePart { etag: ETag::EMPTY, ..one }]), Kind::InvalidPart);
    refused(complete(&[one, two]), Kind::EntityTooSmall);
    put(&store, "f", b"x");
    let absent = CompleteOptions { condition: Condition::Absent, ..CompleteOptions::default() };
    refused(store.complete_upload(B, upload, &[two], &absent), Kind::PreconditionFailed);
    make_bucket(&store, "other");
    refused(store.complete_upload("other", upload, &[two], &CompleteOptions::default()), Kind::NoSuchUpload);
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
    store.abort_upload(one).unwrap();
    refused(store.abort_upload(one), Kind::NoSuchUpload);
    refused(store.put_part(one, 1, &mut &b"x"[..], &Promise::default()), Kind::NoSuchUpload);
    reap(&store);
    assert_eq!(store.status().unwrap().solos, 1, "the space of the aborted one is back");
    store.complete_upload(B, two, &[kept], &CompleteOptions::default()).unwrap();
    assert!(versions(&store, "f").len() == 1 && store.uploads(B).unwrap().is_empty());
    fsck(&store);
}

/// An upload with a checksum, and its parts of the sizes given, numbered from 1 on.
fn summed(
    store: &Arc<Store>,
    checksum: (ChecksumAlgorithm, Option<ChecksumType>),
    sizes: &[usize],
) -> (UploadId, Vec<CompletePart>, Vec<u8>) {
    let options = UploadOptions { checksum: Some(checksum), ..UploadOptions::default() };
    let upload = store.create_upload(B, &key("f"), &options).unwrap();
    let (mut parts, mut whole) = (Vec::new(), Vec::new());
    for (number, size) in (1..).zip(sizes) {
        let bytes = pattern(*size, u64::from(number));
        let sum = Summer::of(checksum.0, &bytes);
        let promise = Promise { sums: vec![sum], ..Promise::default() };
        let made = store.put_part(upload, number, &mut &bytes[..], &promise).unwrap();
        assert_eq!((made.sum, made.etag.digest), (Some(sum), md5(&bytes)));
        parts.push(CompletePart { number, etag: made.etag, sum: Some(sum) });
        whole.extend_from_slice(&bytes);
    }
    (upload, parts, whole)
}

#[test]
fn sum_3_the_tag_is_the_md5_of_the_tags() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for parts in [vec![pattern(10, 1)], vec![pattern(MIN, 1), pattern(MIN, 2), pattern(10, 3)]] {
        let digests: Vec<u8> = parts.iter().flat_map(|part| md5(part)).collect();
        let object = put_in_parts(&store, "f", &parts);
        assert_eq!(object.etag, ETag { digest: md5(&digests), parts: parts.len() as u32 });
        let whole = ObjectSum::whole(Summer::of(Crc64Nvme, &parts.concat()));
        assert_eq!(store.sums(&object).unwrap().sum, Some(whole), "SUM-8");
    }
    fsck(&store);
}

#[test]
fn sum_9_checksums_of_uploads() {
    let (home, store) = Home::with_bucket(Enabled);
    for algorithm in ChecksumAlgorithm::ALL {
        for kind in [None, Some(FullObject), Some(Composite)] {
            let checksum = Some((*algorithm, kind));
            if kind.is_some_and(|kind| !algorithm.allows(kind)) {
                let options = UploadOptions { checksum, ..UploadOptions::default() };
                refused(store.create_upload(B, &key("f"), &options), Kind::InvalidRequest);
                continue;
            }
            let (upload, parts, whole) = summed(&store, (*algorithm, kind), &[MIN, MIN + 1, 9]);
            let kind = kind.unwrap_or(algorithm.usual_type());
            let found = store.find_upload(B, &key("f"), upload).unwrap();
            assert_eq!(found.checksum, Some((*algorithm, kind)));
            let listed = store.list_parts(upload, 0, 9).unwrap().parts;
            assert!(listed.iter().map(|part| part.sum).eq(parts.iter().map(|part| part.sum)));
            let sum = match kind {
                FullObject => ObjectSum::whole(Summer::of(*algorithm, &whole)),
                Composite => {
                    let sums: Vec<u8> = parts.iter().flat_map(|part| part.sum.unwrap().bytes().to_vec()).collect();
                    ObjectSum { sum: Summer::of(*algorithm, &sums), parts: 3 }
                }
            };
            let complete = |options: CompleteOptions| store.complete_upload(B, upload, &parts, &options);
            let wrong = ObjectSum { sum: Summer::of(*algorithm, b"others"), ..sum };
            refused(complete(CompleteOptions { sum: Some(wrong), ..CompleteOptions::default() }), Kind::BadDigest);
            let other = if kind == FullObject { Composite } else { FullObject };
            refused(complete(CompleteOptions { kind: Some(other), ..CompleteOptions::default() }), Kind::BadDigest);
            let size = whole.len() as u64;
            let longer = CompleteOptions { size: Some(size + 1), ..CompleteOptions::default() };
            refused(complete(longer), Kind::InvalidRequest);
            let promised =
                CompleteOptions { sum: Some(sum), kind: Some(kind), size: Some(size), ..CompleteOptions::default() };
            let object = complete(promised).unwrap();
            assert!(get(&store, "f").unwrap() == whole);
            let sums = store.sums(&object).unwrap();
            assert_eq!(sums.sum, Some(sum), "{algorithm:?} {kind:?}");
            let numbered = |part: &ObjectPart| (part.number, part.sum);
            assert!(sums.parts.iter().map(numbered).eq(parts.iter().map(|part| (part.number, part.sum))));
        }
    }
    reap(&store);
    fsck(&store);
    drop(store);
    let store = home.open();
    for object in versions(&store, "f") {
        assert_eq!(store.sums(&object).unwrap().parts.len(), 3);
        store.delete(B, &key("f"), Some(object.version), Condition::Always).unwrap();
    }
    reap(&store);
    fsck(&store);
}

#[test]
fn sum_10_sum_12_what_does_not_go_with_an_upload() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let (upload, parts, _) = summed(&store, (Sha256, None), &[MIN, MIN, 9]);
    let gap = store.complete_upload(B, upload, &[parts[0], parts[2]], &CompleteOptions::default());
    refused(gap, Kind::InvalidRequest);
    let other = Promise { sums: vec![Summer::of(Sha1, b"x")], ..Promise::default() };
    refused(store.put_part(upload, 4, &mut &b"x"[..], &other), Kind::InvalidRequest);
    let trailing = Promise { trailer: Some((Crc32, Trailer::new())), ..Promise::default() };
    refused(store.put_part(upload, 4, &mut &b"x"[..], &trailing), Kind::InvalidRequest);
    let wrong = Promise { sums: vec![Summer::of(Sha256, b"y")], ..Promise::default() };
    refused(store.put_part(upload, 2, &mut &b"x"[..], &wrong), Kind::BadDigest);
    let wrong = CompletePart { sum: Some(Summer::of(Sha256, b"y")), ..parts[1] };
    refused(store.complete_upload(B, upload, &[parts[0], wrong], &CompleteOptions::default()), Kind::InvalidPart);
    let wrong = CompleteOptions { sum: Some(ObjectSum::whole(Summer::of(Crc32, b"y"))), ..CompleteOptions::default() };
    refused(store.complete_upload(B, upload, &parts, &wrong), Kind::InvalidRequest);
    assert_eq!(store.list_parts(upload, 0, 9).unwrap().parts.len(), 3, "a part that was refused replaced none");
    // A part without a promise has the upload's checksum all the same.
    let made = store.put_part(upload, 3, &mut &b"tail"[..], &Promise::default()).unwrap();
    assert_eq!(made.sum, Some(Summer::of(Sha256, b"tail")));
    fsck(&store);
}

#[test]
fn sum_8_the_object_of_an_upload_without_checksums_is_compared() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let bytes = pattern(MIN, 7);
    let source = put(&store, "source", &bytes);
    for (promised, kind) in [(b"others".as_slice(), Some(Kind::BadDigest)), (&bytes[1000..3000], None)] {
        let upload = begin(&store, "f");
        // Of a stretch that is copied nothing is known beforehand.
        let copied = store.copy_part(upload, 1, &source, Some(1000..3000)).unwrap();
        let part = CompletePart { number: 1, etag: copied.etag, sum: None };
        let sum = Some(ObjectSum::whole(Summer::of(Crc64Nvme, promised)));
        let options = CompleteOptions { sum, ..CompleteOptions::default() };
        let done = store.complete_upload(B, upload, &[part], &options);
        assert_eq!(done.as_ref().err().map(|error| error.kind()), kind);
        // COPY-11: a copy that is asked for it has it.
        if let Ok(object) = done {
            let how = CopyOptions { checksum: Some(Crc64Nvme), ..CopyOptions::default() };
            let copied = store.copy(&object, B, &key("copied"), &how).unwrap();
            assert_eq!(store.sums(&copied).unwrap().sum, sum);
        }
    }
    let upload = begin(&store, "g");
    let part = put_part(&store, upload, 1, b"x");
    let sha = CompleteOptions { sum: Some(ObjectSum::whole(Summer::of(Sha1, b"x"))), ..CompleteOptions::default() };
    refused(store.complete_upload(B, upload, &[part], &sha), Kind::InvalidRequest);
    fsck(&store);
}

#[test]
fn read_9_the_parts_of_an_object() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let upload = begin(&store, "f");
    let parts = [put_part(&store, upload, 2, &pattern(MIN, 1)), put_part(&store, upload, 5, b"tail")];
    let object = store.complete_upload(B, upload, &parts, &CompleteOptions::default()).unwrap();
    let at = |number| store.part_of(&object, number).map(|part| (part.at, part.len, part.count));
    assert_eq!((at(2).unwrap(), at(5).unwrap()), ((0, MIN as u64, 2), (MIN as u64, 4, 2)));
    for number in [0, 1, 3, 6] {
        refused(at(number), Kind::InvalidPartNumber);
    }
    let plain = put(&store, "plain", b"whole");
    let part = store.part_of(&plain, 1).unwrap();
    assert_eq!((part.at, part.len, part.count), (0, 5, 0));
    assert_eq!(part.sum, Some(ObjectSum::whole(Summer::of(Crc64Nvme, b"whole"))), "SUM-14");
    refused(store.part_of(&plain, 2), Kind::InvalidPartNumber);
}

#[test]
fn mpu_15_parts_that_are_copied_share_bytes() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let bytes = pattern(12 << 20, 3);
    let source = put(&store, "source", &bytes);
    let options = UploadOptions { checksum: Some((Crc32c, Some(FullObject))), ..UploadOptions::default() };
    let upload = store.create_upload(B, &key("f"), &options).unwrap();
    let ranges = [Some(100..100 + (6 << 20)), None, Some(7..9007)];
    let mut parts = Vec::new();
    let mut whole = Vec::new();
    for (number, range) in (1..).zip(ranges) {
        let part = store.copy_part(upload, number, &source, range.clone()).unwrap();
        let (start, end) = range.map_or((0, bytes.len()), |range| (range.start as usize, range.end as usize));
        assert_eq!((part.size, part.sum), ((end - start) as u64, Some(Summer::of(Crc32c, &bytes[start..end]))));
        whole.extend_from_slice(&bytes[start..end]);
        parts.push(CompletePart { number, etag: part.etag, sum: part.sum });
    }
    for (start, end) in [(5, 5), (0, source.size + 1), (9, 8)] {
        refused(store.copy_part(upload, 9, &source, Some(start..end)), Kind::InvalidRange);
    }
    refused(store.copy_part(upload, 0, &source, None), Kind::InvalidArgument);
    let sum = Some(ObjectSum::whole(Summer::of(Crc32c, &whole)));
    store.complete_upload(B, upload, &parts, &CompleteOptions { sum, ..CompleteOptions::default() }).unwrap();
    store.delete(B, &key("source"), None, Condition::Always).unwrap();
    reap(&store);
    assert!(get(&store, "f").unwrap() == whole);
    assert_eq!((store.status().unwrap().solos, data_segments(&store)), (1, 0), "no data was moved");
    fsck(&store);
}

#[test]
fn mpu_9_complete_asked_for_again_answers_the_same() {
    let (home, store) = Home::with_bucket(Enabled);
    let upload = begin(&store, "f");
    let part = put_part(&store, upload, 1, b"x");
    let complete = |store: &Arc<Store>, parts: &[CompletePart]| {
        store.complete_upload(B, upload, parts, &CompleteOptions::default())
    };
    let object = complete(&store, &[part]).unwrap();
    put(&store, "f", b"later");
    assert_eq!(complete(&store, &[part]).unwrap(), object);
    assert_eq!(versions(&store, "f").len(), 2, "nothing is made again");
    refused(complete(&store, &[CompletePart { etag: ETag::EMPTY, ..part }]), Kind::NoSuchUpload);
    make_bucket(&store, "other");
    let elsewhere = store.complete_upload("other", upload, &[part], &CompleteOptions::default());
    refused(elsewhere, Kind::NoSuchUpload);
    // Copies share its bytes and what is kept of them.
    for (bucket, name) in [(B, "f"), (B, "copy"), ("other", "f")] {
        home.later();
        store.copy(&object, bucket, &key(name), &CopyOptions::default()).unwrap();
    }
    drop(store);
    // Whoever asks later finds it by its key, while it is there.
    let store = home.open();
    let again = |name: &str, parts: &[CompletePart]| store.completed_upload(B, &key(name), upload, parts);
    assert_eq!(again("f", &[part]).unwrap().version, object.version);
    let other = begin(&store, "f");
    refused(store.completed_upload(B, &key("f"), other, &[part]), Kind::NoSuchUpload);
    refused(again("other", &[part]), Kind::NoSuchUpload);
    refused(again("copy", &[part]), Kind::NoSuchUpload);
    refused(store.completed_upload("other", &key("f"), upload, &[part]), Kind::NoSuchUpload);
    refused(again("f", &[CompletePart { etag: ETag::EMPTY, ..part }]), Kind::NoSuchUpload);
    store.delete(B, &key("f"), Some(object.version), Condition::Always).unwrap();
    refused(again("f", &[part]), Kind::NoSuchUpload);
    fsck(&store);
}

#[test]
fn mpu_12_pages_of_uploads_and_parts() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let names = ["a/1", "a/2", "b", "b", "b", "c/x", "z"];
    let begun: Vec<_> = names.iter().map(|name| (*name, begin(&store, name))).collect();
    let pages = |request: ListUploads| {
        let (mut request, mut out) = (request, Vec::new());
        loop {
            let page = store.list_uploads(B, &request).unwrap();
            assert!(page.uploads.len() + page.prefixes.len() <= request.limit);
            let uploads = page.uploads.iter().map(|upload| (upload.key.clone(), Some(upload.id)));
            let mut found: Vec<_> = uploads.chain(page.prefixes.iter().map(|prefix| (prefix.clone(), None))).collect();
            found.sort();
            out.extend(found);
            match page.next {
                None => return out,
                Some((key, upload)) => (request.key_marker, request.upload_marker) = (Some(key), upload),
            }
        }
    };
    let all: Vec<_> = begun.iter().map(|(name, id)| ((*name).to_owned(), Some(*id))).collect();
    let delimited = [&[("a/".to_owned(), None)], &all[2..5], &[("c/".to_owned(), None)], &all[6..]].concat();
    for limit in 1..9 {
        let request = ListUploads { limit, ..ListUploads::default() };
        assert_eq!(pages(request.clone()), all, "{limit}");
        assert_eq!(pages(ListUploads { delimiter: Some("/".into()), ..request.clone() }), delimited, "{limit}");
        assert_eq!(pages(ListUploads { prefix: "a/".into(), ..request.clone() }), all[..2], "{limit}");
        assert_eq!(pages(ListUploads { prefix: "b".into(), ..request.clone() }), all[2..5], "{limit}");
        assert_eq!(pages(ListUploads { key_marker: Some("b".into()), ..request.clone() }), all[5..], "{limit}");
        let ignored = ListUploads { upload_marker: Some(begun[4].1), ..request };
        assert_eq!(pages(ignored), all, "a marker of an upload alone counts for nothing");
    }
    // Where one that a marker names has ended, the next ones follow.
    store.abort_upload(begun[3].1).unwrap();
    let after = ListUploads {
        key_marker: Some("b".into()),
        upload_marker: Some(begun[3].1),
        limit: 9,
        ..ListUploads::default()
    };
    assert_eq!(pages(after), all[4..]);
    assert_eq!(store.list_uploads(B, &ListUploads::default()).unwrap(), Default::default(), "a limit of 0");

    let upload = begun[0].1;
    for number in [1, 2, 7, 9] {
        put_part(&store, upload, number, b"x");
    }
    for limit in 1..6 {
        let (mut after, mut numbers) = (0, Vec::new());
        loop {
            let page = store.list_parts(upload, after, limit).unwrap();
            assert!(page.parts.len() <= limit);
            numbers.extend(page.parts.iter().map(|part| part.number));
            match page.next {
                None => break,
                Some(next) => after = next,
            }
        }
        assert_eq!(numbers, [1, 2, 7, 9]);
    }
    refused(store.find_upload(B, &key("a/2"), upload), Kind::NoSuchUpload);
    assert_eq!(store.find_upload(B, &key("a/1"), upload).unwrap().class, StorageClass::StandardIa);
}

/// MPU-12: however many uploads there are, a page costs what it is long.
#[test]
fn mpu_12_a_page_of_uploads_costs_what_it_is_long() {
    let (home, store) = Home::with_bucket(Unversioned);
    for n in 0..400 {
        begin(&store, &format!("{}/{n:03}", n % 8));
    }
    let cost = |request: &ListUploads| {
        let before = reads_of_thread();
        let page = store.list_uploads(B, request).unwrap();
        (page.uploads.len() + page.prefixes.len(), reads_of_thread() - before)
    };
    let page = ListUploads { limit: 5, key_marker: Some("4/".into()), ..ListUploads::default() };
    for request in [page.clone(), ListUploads { delimiter: Some("/".into()), key_marker: None, ..page }] {
        let (entries, reads) = cost(&request);
        assert!(entries == 5 && reads < 40, "{entries} entries by {reads} reads");
    }
    // A store that an older release wrote: names are made when it is opened, and without them there is the same to see.
    let all = ListUploads { limit: 1000, delimiter: Some("/".into()), prefix: "3".into(), ..ListUploads::default() };
    let plain = ListUploads { delimiter: None, ..all.clone() };
    let pages = |store: &Store| [&all, &plain].map(|request| store.list_uploads(B, request).unwrap());
    let seen = pages(&store);
    assert_eq!(seen[1].uploads.len(), 50);
    drop(store);
    home.close();
    tamper(home.dir.path(), |tx| {
        let names: Vec<_> =
            tx.scan(Family::UploadName, &[], &[0xff; 40]).unwrap().map(|found| found.unwrap().0).collect();
        assert_eq!(names.len(), 400);
        names.iter().for_each(|name| tx.delete(Family::UploadName, name));
        tx.delete(Family::Sys, b"uploads");
    });
    let options = Options { read_only: true, ..home.options() };
    let store = Store::open(home.dir.path(), options).unwrap();
    assert_eq!(pages(&store), seen);
    store.close().unwrap();
    drop(store);
    let store = home.open();
    assert_eq!(pages(&store), seen);
    fsck(&store);
}

#[test]
fn bkt_12_uploads_in_progress_go_with_their_bucket() {
    let (_home, store) = Home::with_bucket(Enabled);
    make_bucket(&store, "other");
    let upload = begin(&store, "f");
    put_part(&store, upload, 1, &pattern(MIN, 3));
    let kept = store.create_upload("other", &key("f"), &UploadOptions::default()).unwrap();
    store.delete_bucket(B).unwrap();
    refused(store.abort_upload(upload), Kind::NoSuchUpload);
    reap(&store);
    assert_eq!(store.status().unwrap().solos, 0, "the space of its parts is back");
    store.abort_upload(kept).unwrap();
    fsck(&store);
}
