//! Any bytes as the head of a run: an error, or a head whose sizes agree with each other.
#![no_main]

use keyfold::chunklog::format::Binder;
use keyfold::chunklog::format::run::{HEAD_BYTES_MAX, KEY_TAIL_MAX, RunHead, reseal};
use keyfold::chunklog::{RUN_BYTES_MAX, SegmentId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u32, &[u8])| {
    let (offset, data) = data;
    let segment = SegmentId(0x7_0000_012a);
    let bind = Binder::segment(b"0123456789abcdef", segment);
    let _ = RunHead::decode(data, &bind, segment, offset);
    let mut bytes = data.to_vec();
    reseal(&mut bytes, &bind, offset);
    if let Ok(head) = RunHead::decode(&bytes, &bind, segment, offset) {
        assert!(head.len >= 1 && head.len <= RUN_BYTES_MAX);
        assert!(head.head as usize <= HEAD_BYTES_MAX && head.key_tail.len() <= KEY_TAIL_MAX);
        assert_eq!(head.frames.len(), head.len.div_ceil(65_536) as usize);
        assert!(head.total() >= head.head + head.len);
    }
});
