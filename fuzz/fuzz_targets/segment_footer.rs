//! Any bytes as the end of a segment: an error, or runs in order before the directory.
#![no_main]

use keyfold::chunklog::SegmentId;
use keyfold::chunklog::format::Binder;
use keyfold::chunklog::format::footer::{TRAILER_BYTES, Trailer, reseal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u32, &[u8])| {
    let (at, data) = data;
    let store = b"0123456789abcdef";
    let segment = SegmentId(0x7_0000_012a);
    let bind = Binder::segment(store, segment);
    let read = |bytes: &[u8]| {
        let cut = bytes.len().checked_sub(TRAILER_BYTES)?;
        let file_bytes = u64::from(at) + bytes.len() as u64;
        let trailer = Trailer::decode(&bytes[cut..], &bind, store, segment, file_bytes).ok()?;
        trailer.decode_directory(&bytes[..cut], &bind).ok()
    };
    read(data);
    let mut bytes = data.to_vec();
    reseal(&mut bytes, &bind, at);
    if let Some(entries) = read(&bytes) {
        assert!(entries.is_sorted_by(|a, b| a.offset < b.offset) && entries.iter().all(|entry| entry.offset < at));
    }
});
