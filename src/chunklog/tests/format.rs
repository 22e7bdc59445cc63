//! FORMAT.md against the code, every bit, and arbitrary bytes.

use super::super::format::footer::{self, Entry, TRAILER_BYTES, Trailer};
use super::super::format::header::{self, HEADER_BYTES, SegmentHeader};
use super::super::format::journal::{self, RawRun};
use super::super::format::note::{Note, Stretch};
use super::super::format::run::{self, Layout, Payload, RunHead};
use super::super::format::sum::{self, Sum};
use super::super::format::{Binder, Flaw};
use super::super::packed::{Packer, unpack};
use super::super::{Class, Owned, Owner, SegmentId, SoloId, Written};
use super::STORE;
use crate::model::StorageClass::Standard;
use crate::model::Timestamp;
use proptest::prelude::*;

const SEGMENT: SegmentId = SegmentId(0x7_0000_012a);
const SOLO: SoloId = SoloId(0x7_0000_012b);

fn sample_header() -> SegmentHeader {
    let created = Timestamp::new(1_795_312_800, 5);
    SegmentHeader {
        store: STORE,
        id: SEGMENT,
        class: Class::Expires(20_779),
        storage: Standard,
        packed: false,
        created,
    }
}

fn bind() -> Binder {
    Binder::segment(&STORE, SEGMENT)
}

fn written() -> Written {
    Written { length: 65_548, base: 1, time: 1_795_312_800, order: 3, last: true, note: false }
}

fn run_head(offset: u32, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let owner = Owner { ino: 11, seq: 2, logical: 65_536, written: written(), key_tail: key };
    run::encode_head(&mut out, &bind(), SEGMENT, offset, &owner, &Payload::plain(payload));
    out
}

fn footer_of(at: u32) -> (Vec<Entry>, Vec<u8>) {
    let entries = vec![Entry { offset: 4096, len: 12, ino: 11, seq: 2, logical: 65_536 }];
    let bytes = footer::encode(&bind(), &STORE, SEGMENT, at, &entries);
    (entries, bytes)
}

fn decode_footer(bytes: &[u8], at: u64) -> Result<Vec<Entry>, Flaw> {
    let cut = bytes.len().checked_sub(TRAILER_BYTES).ok_or(Flaw::Short)?;
    let trailer = Trailer::decode(&bytes[cut..], &bind(), &STORE, SEGMENT, at + bytes.len() as u64)?;
    trailer.decode_directory(&bytes[..cut], &bind())
}

/// The bytes of a hex example of FORMAT.md.
fn example(name: &str) -> Vec<u8> {
    let text = include_str!("../FORMAT.md");
    let (_, rest) = text.split_once(&format!("```hex {name}\n")).unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    block.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    let rows = bytes.chunks(16).map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "));
    rows.collect::<Vec<_>>().join("\n")
}

fn is_example(name: &str, bytes: &[u8]) {
    assert!(example(name) == bytes, "FORMAT.md should show for {name}:\n{}\n", hex(bytes));
}

#[test]
fn format_md_shows_a_real_segment_header() {
    is_example("segment-header", &sample_header().encode()[..64]);
    let mut bytes = example("segment-header");
    bytes.resize(HEADER_BYTES, 0);
    assert_eq!(SegmentHeader::decode(&bytes), Ok(sample_header()));
}

#[test]
fn format_md_shows_a_real_journal_entry() {
    let run = RawRun { segment: SEGMENT, offset: 4096, bytes: b"KFR1....".to_vec() };
    let bytes = journal::encode(&STORE, 8192, 4, 6, b"a batch", std::slice::from_ref(&run));
    is_example("journal-entry", &bytes[..80]);
    let entry = journal::decode(&STORE, 8192, &bytes).unwrap();
    assert_eq!((entry.before, entry.commit, &entry.batch[..], entry.runs), (4, 6, &b"a batch"[..], vec![run]));
}

#[test]
fn format_md_shows_a_real_run() {
    let bytes = run_head(4096, b"b/k", b"hello, world");
    is_example("run", &bytes);
    let head = RunHead::decode(&example("run"), &bind(), SEGMENT, 4096).unwrap();
    assert_eq!((head.head, head.len, head.total(), head.ino, head.seq), (128, 12, 144, 11, 2));
    assert_eq!((head.logical, head.written, head.key_tail.as_slice()), (65_536, written(), b"b/k".as_slice()));
}

#[test]
fn format_md_shows_a_real_packed_run() {
    let bytes = example("packed-run");
    let head = RunHead::decode(&bytes, &bind(), SEGMENT, 4096).unwrap_or_else(|flaw| {
        let packed = Packer::new(3).unwrap().pack(&b"keyfold ".repeat(32)).unwrap();
        let payload = packed.payload();
        panic!("{flaw}: FORMAT.md should show\n{}\n", hex(&[packed_head(&payload), payload.stored.to_vec()].concat()))
    });
    assert_eq!((head.head, head.len, head.places.frame(0)), (128, 256, 0..head.places.stored()));
    let stored = &bytes[128..128 + head.places.stored() as usize];
    let payload = Payload { len: 256, stored, frames: &[stored.len() as u32] };
    assert_eq!(packed_head(&payload), bytes[..128]);
    let mut plain = [0; 256];
    assert!(unpack(stored, 256, 0, &mut plain) && plain[..] == b"keyfold ".repeat(32));
}

fn packed_head(payload: &Payload<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let owner = Owner { ino: 11, seq: 2, logical: 65_536, written: written(), key_tail: b"b/k" };
    run::encode_head(&mut out, &bind(), SEGMENT, 4096, &owner, payload);
    out
}

#[test]
fn format_md_shows_a_real_trailer() {
    let (entries, bytes) = footer_of(4096 + 144);
    is_example("trailer", &bytes[bytes.len() - TRAILER_BYTES..]);
    assert_eq!(decode_footer(&bytes, 4096 + 144), Ok(entries));
}

#[test]
fn format_md_shows_a_real_sum() {
    let bind = Binder::solo(&STORE, SOLO);
    let mut hasher = sum::frame_hasher(&bind, 0);
    hasher.update(b"hello, world");
    let frames = [hasher.finalize()];
    let owner = Owned { ino: 11, seq: 2, logical: 0, written: written(), key_tail: b"b/k".to_vec() };
    is_example("sum", &sum::encode(&bind, &STORE, SOLO, (Standard, Class::Hot), 12, &owner.as_owner(), &frames));
    let found = Sum::decode(&example("sum"), &bind, &STORE, SOLO).unwrap();
    assert_eq!(found, Sum { class: Class::Hot, storage: Standard, len: 12, owner, frames: frames.into() });
    let before = Sum::decode(&example("sum-1"), &bind, &STORE, SOLO).unwrap();
    assert_eq!(before, Sum { owner: Owned::default(), ..found });
}

#[test]
fn format_md_shows_a_real_note() {
    let stretches = Note::Stretches(vec![Stretch { at: 4096, len: 65_536, content: 17, from: 0 }]);
    is_example("note", &stretches.encode());
    let all = [stretches, Note::Name, Note::Moved(b"b/old/".to_vec()), Note::Gone(vec![3, 1 << 40]), Note::Placed];
    for note in all {
        assert_eq!(Note::decode(&note.encode()), Ok(note));
    }
    for len in (0..40).filter(|len| *len != 8) {
        assert!(Note::decode(&example("note")[..len]).is_err(), "{len}");
    }
}

fn each_flip(bytes: &[u8], is_bad: impl Fn(&[u8]) -> bool) {
    let mut bytes = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(is_bad(&bytes), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for len in 0..bytes.len() {
        assert!(is_bad(&bytes[..len]), "length {len}");
    }
}

#[test]
fn every_bit_of_every_structure_counts() {
    each_flip(&sample_header().encode(), |bytes| SegmentHeader::decode(bytes).is_err());
    let small = run_head(4096, b"b/k", b"hello, world");
    each_flip(&small, |bytes| RunHead::decode(bytes, &bind(), SEGMENT, 4096).is_err());
    let paged = run_head(8184, &[b'k'; 1024], &[7; 200_000]);
    each_flip(&paged, |bytes| RunHead::decode(bytes, &bind(), SEGMENT, 8184).is_err());
    let packed = packed_head(&Payload { len: 131_072, stored: &[7; 65_546], frames: &[10, 65_536] });
    each_flip(&packed, |bytes| RunHead::decode(bytes, &bind(), SEGMENT, 4096).is_err());
    each_flip(&footer_of(4240).1, |bytes| decode_footer(bytes, 4240).is_err());
    let solo = Binder::solo(&STORE, SOLO);
    let owner = Owner { key_tail: b"bucket/key", written: written(), ..Owner::default() };
    let summed = sum::encode(&solo, &STORE, SOLO, (Standard, Class::Hot), 140_000, &owner, &[1, 2, 3]);
    each_flip(&summed, |bytes| Sum::decode(bytes, &solo, &STORE, SOLO).is_err());
}

#[test]
fn structures_of_another_place_do_not_verify() {
    let bytes = run_head(4096, b"b/k", b"hello, world");
    let elsewhere = SegmentId(SEGMENT.0 + 1);
    assert!(RunHead::decode(&bytes, &bind(), SEGMENT, 4104).is_err());
    assert!(RunHead::decode(&bytes, &Binder::segment(&STORE, elsewhere), elsewhere, 4096).is_err());
    assert!(RunHead::decode(&bytes, &Binder::segment(&[1; 16], SEGMENT), SEGMENT, 4096).is_err());
    assert_ne!(bind().crc(4096, 0, b"x"), bind().crc(4096, 1, b"x"));
    assert_ne!(bind().crc(4096, 0, b"x"), bind().crc(4104, 0, b"x"));
}

proptest! {
    #[test]
    fn run_heads_read_back(
        at in 0u32..1 << 27,
        key in proptest::collection::vec(any::<u8>(), 0..1500),
        len in prop_oneof![1usize..20_000, 65_530usize..65_545, 60_000usize..400_000],
    ) {
        let offset = at * 8;
        let payload = vec![at as u8; len];
        let bytes = run_head(offset, &key, &payload);
        let head = RunHead::decode(&bytes, &bind(), SEGMENT, offset).unwrap();
        prop_assert_eq!(&head.key_tail[..], &key[key.len().saturating_sub(1024)..]);
        prop_assert_eq!((head.head as usize, head.len as usize), (bytes.len(), len));
        prop_assert_eq!(Layout::of(offset, len as u32, head.key_tail.len()).total, head.total());
        prop_assert!(len < 65_536 || (offset + head.head).is_multiple_of(4096));
        prop_assert_eq!(head.total() % 8, 0);
    }

    #[test]
    fn decoders_survive_any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..6000), which in 0usize..5, at in any::<u32>()) {
        // A right magic number lets more of them through to the fields.
        let magic: &[u8] = [&b"KEYFOLD1"[..], b"KFR1", b"KFSEAL01", b"KFSOLO01", b""][which];
        let count = magic.len().min(bytes.len());
        bytes[..count].copy_from_slice(&magic[..count]);
        prop_assert!(SegmentHeader::decode(&bytes).is_err());
        prop_assert!(RunHead::decode(&bytes, &bind(), SEGMENT, at).is_err());
        prop_assert!(Trailer::decode(&bytes, &bind(), &STORE, SEGMENT, u64::from(at)).is_err());
        prop_assert!(Sum::decode(&bytes, &Binder::solo(&STORE, SOLO), &STORE, SOLO).is_err());
        let _ = Note::decode(&bytes);
    }

    /// One byte changed on purpose, checksums set right: an error or a value, never a panic, whatever the field.
    #[test]
    fn decoders_survive_forged_fields(place in any::<prop::sample::Index>(), value in any::<[u8; 4]>(), which in 0usize..6) {
        let solo = Binder::solo(&STORE, SOLO);
        let mut bytes = match which {
            0 => sample_header().encode()[..64].to_vec(),
            1 => run_head(4096, b"b/k", &[7; 70_000])[..192].to_vec(),
            5 => packed_head(&Payload { len: 70_000, stored: &[7; 4474], frames: &[10, 4464] }),
            2 => footer_of(4240).1,
            3 => sum::encode(&solo, &STORE, SOLO, (Standard, Class::Hot), 140_000, &Owner::default(), &[1, 2, 3]),
            _ => {
                let run = RawRun { segment: SEGMENT, offset: 4096, bytes: vec![7; 100] };
                journal::encode(&STORE, 0, 4, 6, b"a batch", &[run])
            }
        };
        let at = place.index(bytes.len() - 3);
        bytes[at..at + 4].copy_from_slice(&value);
        match which {
            0 => {
                bytes.resize(HEADER_BYTES, 0);
                header::reseal(&mut bytes);
                let _ = SegmentHeader::decode(&bytes);
            }
            1 | 5 => {
                bytes.resize(8192, 0);
                run::reseal(&mut bytes, &bind(), 4096);
                if let Ok(head) = RunHead::decode(&bytes, &bind(), SEGMENT, 4096) {
                    let places = (0..head.frames.len() as u32).map(|frame| head.places.frame(frame));
                    prop_assert_eq!(places.fold(0, |end, place| place.end.max(end)), head.places.stored());
                }
            }
            2 => {
                footer::reseal(&mut bytes, &bind(), 4240);
                let _ = decode_footer(&bytes, 4240);
            }
            3 => {
                sum::reseal(&mut bytes, &solo);
                let _ = Sum::decode(&bytes, &solo, &STORE, SOLO);
            }
            _ => {
                journal::reseal(&mut bytes, &STORE, 0);
                let _ = journal::decode(&STORE, 0, &bytes);
            }
        }
    }
}
