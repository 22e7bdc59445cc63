//! Targets for what the chunk log writes: headers, heads of runs, notes, footers, checksums, journal entries.

use super::number;
use keyfold::chunklog::format::header::{HEADER_BYTES, SegmentHeader};
use keyfold::chunklog::format::note::Note;
use keyfold::chunklog::format::run::{HEAD_BYTES_MAX, Payload, RunHead};
use keyfold::chunklog::format::sum::Sum;
use keyfold::chunklog::format::{Binder, footer, header, journal, run, sum};
use keyfold::chunklog::{KEY_TAIL_MAX, Owner, RUN_BYTES_MAX, SegmentId, SoloId, Written, check_frame};

const STORE: &[u8; 16] = b"0123456789abcdef";
const SEGMENT: SegmentId = SegmentId(0x7_0000_012a);
const SOLO: SoloId = SoloId(0x7_0000_012b);

/// Any bytes as a segment's header: an error, or a header that encodes to one that reads the same.
pub fn segment_header(data: &[u8]) {
    let _ = SegmentHeader::decode(data);
    // With the checksum set right the fields are reached.
    let mut bytes = data.to_vec();
    bytes.resize(HEADER_BYTES, 0);
    header::reseal(&mut bytes);
    if let Ok(header) = SegmentHeader::decode(&bytes) {
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }
}

/// Any bytes as the head of a run: an error, or a head whose sizes agree with each other. And as key and payload of a run
/// that is written and read back.
pub fn run_head(mut data: &[u8]) {
    let offset = number(&mut data, 4) as u32;
    let bind = Binder::segment(STORE, SEGMENT);
    let _ = RunHead::decode(data, &bind, SEGMENT, offset);
    let mut bytes = data.to_vec();
    run::reseal(&mut bytes, &bind, offset);
    if let Ok(head) = RunHead::decode(&bytes, &bind, SEGMENT, offset) {
        assert!(head.len >= 1 && head.len <= RUN_BYTES_MAX);
        assert!(head.head as usize <= HEAD_BYTES_MAX && head.key_tail.len() <= KEY_TAIL_MAX);
        assert_eq!(head.frames.len(), head.len.div_ceil(65_536) as usize);
        assert!(head.total() >= head.head + head.places.stored() && head.places.stored() <= head.len);
        for frame in 0..head.frames.len() as u32 {
            let place = head.places.frame(frame);
            assert!(!place.is_empty() && place.len() as u32 <= head.places.plain(frame));
        }
    }
    let (key_tail, payload) = data.split_at(data.len() / 2);
    if !payload.is_empty() {
        let written =
            Written { length: u64::MAX, base: offset.into(), time: offset, order: 4, last: true, note: false };
        let owner = Owner { key_tail, ino: offset.into(), seq: 2, logical: 3, written };
        let mut out = Vec::new();
        run::encode_head(&mut out, &bind, SEGMENT, offset, &owner, &Payload::plain(payload));
        let head = RunHead::decode(&out, &bind, SEGMENT, offset).expect("what was written reads back");
        assert_eq!((head.len as usize, head.ino, head.seq, head.logical), (payload.len(), owner.ino, 2, 3));
        assert_eq!((head.key_tail.as_slice(), head.written), (run::key_tail(key_tail), written));
    }
}

/// Any bytes as a compressed frame of some length: refused, or so many bytes.
pub fn packed_frame(mut data: &[u8]) {
    let len = number(&mut data, 2) as usize + 1;
    let _ = check_frame(data, len);
}

/// Any bytes as a note: an error, or what encodes to one that reads the same.
pub fn note(data: &[u8]) {
    if let Ok(note) = Note::decode(data) {
        assert_eq!(Note::decode(&note.encode()), Ok(note));
    }
}

/// Any bytes as the end of a segment: an error, or runs in order before the directory, which read back when written.
pub fn segment_footer(mut data: &[u8]) {
    let at = number(&mut data, 4) as u32;
    let bind = Binder::segment(STORE, SEGMENT);
    let read = |bytes: &[u8]| {
        let cut = bytes.len().checked_sub(footer::TRAILER_BYTES)?;
        let file_bytes = u64::from(at) + bytes.len() as u64;
        let trailer = footer::Trailer::decode(&bytes[cut..], &bind, STORE, SEGMENT, file_bytes).ok()?;
        let directory = trailer.directory_bytes();
        assert!((directory + footer::TRAILER_BYTES) as u64 <= file_bytes, "a directory larger than the file");
        // It may begin before these bytes do.
        if directory > cut {
            return None;
        }
        trailer.decode_directory(&bytes[..cut], &bind).ok()
    };
    read(data);
    let mut bytes = data.to_vec();
    footer::reseal(&mut bytes, &bind, at);
    if let Some(entries) = read(&bytes) {
        assert!(entries.is_sorted_by(|a, b| a.offset < b.offset) && entries.iter().all(|entry| entry.offset < at));
        assert_eq!(read(&footer::encode(&bind, STORE, SEGMENT, at, &entries)), Some(entries));
    }
}

/// Any bytes as the checksums of a one-object file: an error, or what encodes to the same.
pub fn solo_sum(data: &[u8]) {
    let bind = Binder::solo(STORE, SOLO);
    let _ = Sum::decode(data, &bind, STORE, SOLO);
    let mut bytes = data.to_vec();
    sum::reseal(&mut bytes, &bind);
    if let Ok(sum) = Sum::decode(&bytes, &bind, STORE, SOLO) {
        let again =
            sum::encode(&bind, STORE, SOLO, (sum.storage, sum.class), sum.len, &sum.owner.as_owner(), &sum.frames);
        assert_eq!(Sum::decode(&again, &bind, STORE, SOLO), Ok(sum));
    }
}

/// Any bytes as an entry of the journal: an error, or runs and a batch that are in it and encode to the same.
pub fn journal_entry(data: &[u8]) {
    let _ = journal::total(data);
    let _ = journal::decode(STORE, 0, data);
    let mut bytes = data.to_vec();
    // A length that fits, so that most inputs get further than the first field.
    bytes.resize(bytes.len().next_multiple_of(4096).max(4096), 0);
    let len = u32::try_from(bytes.len()).unwrap_or(4096).to_le_bytes();
    bytes[8..12].copy_from_slice(&len);
    bytes[..4].copy_from_slice(b"KFJ1");
    journal::reseal(&mut bytes, STORE, 0);
    if let Ok(entry) = journal::decode(STORE, 0, &bytes) {
        let runs: usize = entry.runs.iter().map(|run| run.bytes.len()).sum();
        assert!(entry.batch.len() + runs < bytes.len());
        assert!(entry.before < entry.commit && entry.commit < u64::MAX);
        let again = journal::encode(STORE, 0, entry.before, entry.commit, &entry.batch, &entry.runs);
        assert_eq!(journal::decode(STORE, 0, &again), Ok(entry));
    }
}
