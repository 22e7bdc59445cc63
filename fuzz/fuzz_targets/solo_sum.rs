//! Any bytes as the checksums of a one-object file: an error, or what encodes to the same bytes.
#![no_main]

use keyfold::chunklog::SoloId;
use keyfold::chunklog::format::Binder;
use keyfold::chunklog::format::sum::{Sum, encode, reseal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let store = b"0123456789abcdef";
    let id = SoloId(0x7_0000_012b);
    let bind = Binder::solo(store, id);
    let _ = Sum::decode(data, &bind, store, id);
    let mut bytes = data.to_vec();
    reseal(&mut bytes, &bind);
    if let Ok(sum) = Sum::decode(&bytes, &bind, store, id) {
        let again = encode(&bind, store, id, sum.class, sum.len, &sum.frames);
        assert_eq!(Sum::decode(&again, &bind, store, id), Ok(sum));
    }
});
