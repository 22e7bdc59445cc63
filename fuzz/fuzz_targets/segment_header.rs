//! Any bytes as a segment's header: an error, or a header that encodes to the same bytes.
#![no_main]

use keyfold::chunklog::format::header::{HEADER_BYTES, SegmentHeader, reseal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = SegmentHeader::decode(data);
    // With the checksum set right the fields are reached.
    let mut bytes = data.to_vec();
    bytes.resize(HEADER_BYTES, 0);
    reseal(&mut bytes);
    if let Ok(header) = SegmentHeader::decode(&bytes) {
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }
});
