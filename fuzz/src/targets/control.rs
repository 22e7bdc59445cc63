//! Target for the store's socket: frames, requests and answers.

use keyfold::control::{Answer, Envelope, Request, read_frame, write_frame};

/// Any bytes as frames, and as what a frame holds: refused, or what reads back when it is written.
pub fn frame(data: &[u8]) {
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes();
    for bytes in [data, &[&len, data].concat()] {
        let mut from = bytes;
        while let Ok(Some(envelope)) = read_frame::<Envelope>(&mut from) {
            // What no request is may hold numbers that JSON does not carry exactly.
            if let Ok(request) = serde_json::from_value::<Request>(envelope.request) {
                let envelope = Envelope::new(request.clone());
                let mut out = Vec::new();
                if write_frame(&mut out, &envelope).is_ok() {
                    assert_eq!(read_frame::<Envelope>(&mut out.as_slice()).ok(), Some(Some(envelope.clone())));
                }
                assert_eq!(serde_json::from_value::<Request>(envelope.request).ok(), Some(request));
            }
        }
        let mut from = bytes;
        while let Ok(Some(answer)) = read_frame::<Answer>(&mut from) {
            let mut out = Vec::new();
            if write_frame(&mut out, &answer).is_ok() {
                assert_eq!(read_frame::<Answer>(&mut out.as_slice()).ok(), Some(Some(answer)));
            }
        }
    }
}
