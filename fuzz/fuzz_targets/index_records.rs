//! Any bytes as a record or a key of the index: an error, or what encodes to something that reads back the same.
#![no_main]

use keyfold::index::{
    Change, ContentRecord, DentRecord, DirRecord, DirStat, InodeRecord, Node, PartRecord, Record, RefKey, SegRecord,
    UploadRecord, VerRecord, decode, dir_of, encode, ver_key, ver_parts,
};
use keyfold::model::{Bucket, Usage};
use libfuzzer_sys::fuzz_target;
use std::fmt::Debug;

fn record<R: Record + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(found) = decode::<R>(bytes) {
        assert_eq!(decode::<R>(&encode(&found)).ok(), Some(found));
    }
}

// The first byte says what the rest is taken for.
fuzz_target!(|data: (u8, &[u8])| {
    let (kind, data) = data;
    // Format version 1 in front, so that the fields are reached.
    let bytes = [&[1], data].concat();
    match kind % 16 {
        0 => record::<Bucket>(&bytes),
        1 => record::<DentRecord>(&bytes),
        2 => record::<VerRecord>(&bytes),
        3 => record::<DirRecord>(&bytes),
        4 => record::<DirStat>(&bytes),
        5 => record::<InodeRecord>(&bytes),
        6 => record::<ContentRecord>(&bytes),
        7 => record::<Node>(&bytes),
        8 => record::<SegRecord>(&bytes),
        9 => record::<UploadRecord>(&bytes),
        10 => record::<PartRecord>(&bytes),
        11 => record::<Usage>(&bytes),
        12 => record::<Change>(&bytes),
        13 => {
            if let Some((dir, component, seq)) = ver_parts(data) {
                assert_eq!(ver_key(dir, &component, seq), data);
                assert_eq!(dir_of(data), Some(dir));
            }
        }
        14 => {
            if let Some(key) = RefKey::parse(data) {
                assert_eq!(key.bytes(), data);
            }
        }
        // Another format version, or none at all.
        _ => {
            let _ = decode::<DentRecord>(data);
            let _ = decode::<u64>(data);
        }
    }
});
