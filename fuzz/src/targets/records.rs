//! Targets for the index: records of every family and keys of every shape.

use keyfold::index::{
    Change, ContentRecord, DentRecord, DirRecord, DirStat, DirSum, InodeRecord, MeterRecord, Node, OpenSession,
    PartRecord, Record, RefKey, SegRecord, UploadRecord, VerRecord, component_of, decode, dent_bounds, dent_key,
    dir_of, due_parts, encode, id_key, id_of, next_name, part_key, part_number_of, upload_name_key, upload_name_parts,
    ver_bounds, ver_dir_bounds, ver_key, ver_parts,
};
use keyfold::model::{
    AccessKey, Bucket, BucketId, DirId, Ledger, MfaDevice, ObjectSums, Seq, Timestamp, UploadId, User,
};
use std::fmt::Debug;

/// The record's version in front, so that the fields are reached.
fn record<R: Record + PartialEq + Debug>(fields: &[u8]) {
    sound::<R>(&[&[R::VERSION], fields].concat());
}

fn sound<R: Record + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(found) = decode::<R>(bytes) {
        assert_eq!(decode::<R>(&encode(&found)).ok(), Some(found));
    }
}

/// Any bytes as a record: an error, or what encodes to something that reads back the same. The first byte says which
/// record the rest is taken for.
pub fn records(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 26 {
        0 => record::<Bucket>(data),
        1 => record::<DentRecord>(data),
        2 => record::<VerRecord>(data),
        3 => record::<DirRecord>(data),
        4 => record::<DirStat>(data),
        5 => record::<InodeRecord>(data),
        6 => record::<ContentRecord>(data),
        7 => record::<Node>(data),
        8 => record::<SegRecord>(data),
        9 => record::<UploadRecord>(data),
        10 => record::<PartRecord>(data),
        11 => record::<Ledger>(data),
        12 => record::<Change>(data),
        13 => record::<OpenSession>(data),
        14 => record::<u64>(data),
        15 => record::<ObjectSums>(data),
        // As the first format version had it.
        16 => sound::<UploadRecord>(&[&[1], data].concat()),
        17 => record::<User>(data),
        18 => record::<AccessKey>(data),
        19 => sound::<ObjectSums>(&[&[1], data].concat()),
        20 => record::<MfaDevice>(data),
        21 => record::<Timestamp>(data),
        22 => record::<MeterRecord>(data),
        23 => sound::<Ledger>(&[&[1], data].concat()),
        24 => record::<DirSum>(data),
        // Another format version, or none at all.
        _ => {
            let _ = decode::<DentRecord>(data);
            let _ = decode::<u64>(data);
        }
    }
}

/// Any bytes as a key: refused, or what makes the same key again. Two names never share a key, and each lies within its
/// own bounds.
pub fn keys(data: &[u8]) {
    if let (Some((key, upload)), Some(bucket)) = (upload_name_parts(data), dir_of(data)) {
        assert_eq!(upload_name_key(BucketId(bucket.0), &key, upload), data);
    }
    if let Some((_, dir, component, seq)) = due_parts(data) {
        assert_eq!(ver_key(dir, &component, seq), data[8..]);
    }
    if let Some((dir, component, seq)) = ver_parts(data) {
        assert_eq!(ver_key(dir, &component, seq), data);
        assert_eq!(dir_of(data), Some(dir));
        let (lower, upper) = ver_bounds(dir, &component);
        assert!(lower.as_slice() <= data && data < upper.as_slice());
        let (lower, upper) = ver_dir_bounds(dir, &component);
        assert!(lower.as_slice() <= data && data < upper.as_slice());
    }
    if let (Some(dir), Some(component)) = (dir_of(data), component_of(data)) {
        assert_eq!(dent_key(dir, component), data);
        let (lower, upper) = dent_bounds(dir);
        assert!(lower.as_slice() <= data && data < upper.as_slice());
        assert!(dent_key(dir, component) < dent_key(dir, &next_name(component)));
    }
    if let Some(key) = RefKey::parse(data) {
        assert_eq!(key.bytes(), data);
    }
    if let (Some(number), Some(upload)) = (part_number_of(data), data.get(..8).and_then(id_of)) {
        assert_eq!(part_key(UploadId(upload), number), data);
    }
    if let Some(id) = id_of(data) {
        assert_eq!(id_key(id), data);
    }
    let (one, other) = data.split_at(data.len() / 2);
    if let (Ok(one), Ok(other)) = (str::from_utf8(one), str::from_utf8(other)) {
        let key = |name: &str| ver_key(DirId(1), name, Seq(1));
        assert_eq!(key(one) == key(other), one == other);
        assert_eq!(key(one).cmp(&key(other)), one.cmp(other));
    }
}
