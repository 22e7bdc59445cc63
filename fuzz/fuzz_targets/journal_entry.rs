//! Any bytes as an entry of the journal: an error, or runs and a batch that are in it.
#![no_main]

use keyfold::chunklog::format::journal::{decode, reseal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let store = b"0123456789abcdef";
    let _ = decode(store, 0, data);
    let mut bytes = data.to_vec();
    // A length that fits, so that most inputs get further than the first field.
    bytes.resize(bytes.len().next_multiple_of(4096).max(4096), 0);
    let len = u32::try_from(bytes.len()).unwrap_or(4096).to_le_bytes();
    bytes[8..12].copy_from_slice(&len);
    bytes[..4].copy_from_slice(b"KFJ1");
    reseal(&mut bytes, store, 0);
    if let Ok(entry) = decode(store, 0, &bytes) {
        let runs: usize = entry.runs.iter().map(|run| run.bytes.len()).sum();
        assert!(entry.batch.len() + runs < bytes.len());
    }
});
