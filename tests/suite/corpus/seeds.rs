//! What the fuzzer begins with: what the real encoders write, and texts as people write them.

use super::targets::{Planted, sound_records, unplanted};
use keyfold::chunklog::format::header::SegmentHeader;
use keyfold::chunklog::format::note::{Note, Stretch};
use keyfold::chunklog::format::{Binder, footer, journal, run, sum};
use keyfold::chunklog::{Class, Owner, RawRun, SegmentId, SoloId, Written};
use keyfold::config::STORE_TEMPLATE;
use keyfold::control::{Answer, Attribute, Edit, Envelope, Failure, Request, Target, Which};
use keyfold::index::{Change, DentRecord, Family, SegRecord, decode, dent_key, dir_of, encode};
use keyfold::model::{BucketId, ETag, Error, Kind, Timestamp, VersionId};

type Seeds = Vec<(&'static str, Vec<u8>)>;

const STORE: &[u8; 16] = b"0123456789abcdef";
const SEGMENT: SegmentId = SegmentId(0x7_0000_012a);
const SOLO: SoloId = SoloId(0x7_0000_012b);

/// Every seed: its target and its bytes.
pub fn all() -> Seeds {
    let mut seeds = [log(), index(), control(), texts()].concat();
    let repaired: Seeds =
        seeds.iter().filter(|(of, _)| *of == "store").map(|(_, seed)| ("repair", seed.clone())).collect();
    seeds.extend(repaired);
    seeds
}

/// What the targets take for an offset, and the bytes.
fn at(offset: u32, bytes: &[u8]) -> Vec<u8> {
    [&offset.to_le_bytes(), bytes].concat()
}

fn log() -> Seeds {
    let bind = Binder::segment(STORE, SEGMENT);
    let created = Timestamp::new(1_795_312_800, 5);
    let headers = [Class::Hot, Class::Aged(3), Class::Expires(20_779), Class::Held(700)].map(|class| {
        let header = SegmentHeader { store: *STORE, id: SEGMENT, created, class };
        ("segment_header", header.encode())
    });
    let mut seeds = headers.to_vec();
    let written = Written { length: 65_548, base: 1, time: 1_795_312_800, order: 3, last: true, note: false };
    let owner = Owner { ino: 11, seq: 2, logical: 65_536, written, key_tail: b"b/k" };
    for len in [1, 12, 70_000] {
        let mut head = Vec::new();
        run::encode_head(&mut head, &bind, SEGMENT, 4096, &owner, &vec![b'x'; len]);
        seeds.push(("run_head", at(4096, &head)));
    }
    for runs in [0, 1, 5] {
        let entry = |n: u32| footer::Entry { offset: 4096 + n * 256, len: 12, ino: 11, seq: 2, logical: n.into() };
        let entries: Vec<_> = (0..runs).map(entry).collect();
        let end = 4096 + runs * 256;
        seeds.push(("segment_footer", at(end, &footer::encode(&bind, STORE, SEGMENT, end, &entries))));
    }
    for frames in [0, 1, 3] {
        let crcs = vec![7; frames];
        let (bind, len) = (Binder::solo(STORE, SOLO), frames as u64 * 65_536);
        let bytes = sum::encode(&bind, STORE, SOLO, Class::Hot, len, &owner, &crcs);
        seeds.push(("solo_sum", bytes));
    }
    let stretch = Stretch { at: 4096, len: 65_536, content: 17, from: 0 };
    let moved = Note::Moved(b"b/old/".to_vec());
    for note in [Note::Stretches(vec![stretch; 2]), Note::Name, moved, Note::Gone(vec![3, 1 << 40]), Note::Placed] {
        seeds.push(("note", note.encode()));
    }
    for runs in [0, 2] {
        let raw = |n: u32| RawRun { segment: SEGMENT, offset: 4096 + n * 64, bytes: b"KFR1....".to_vec() };
        let raw: Vec<_> = (0..runs).map(raw).collect();
        seeds.push(("journal_entry", journal::encode(STORE, 0, 4, 6, b"a batch", &raw)));
    }
    seeds
}

fn index() -> Seeds {
    let records = sound_records();
    let mut seeds = Vec::new();
    // The number by which the target knows the record.
    let kind = |family: Family, key: &[u8]| match (family, key) {
        (Family::Bucket, [b'i', ..]) => Some(0),
        (Family::Bucket | Family::Refs | Family::Sys, _) => Some(14),
        (Family::Dent, _) => Some(1),
        (Family::Ver, _) => Some(2),
        (Family::Dir, _) => Some(3),
        (Family::DirStat, _) => Some(4),
        (Family::Ino, _) => Some(5),
        (Family::Content, _) => Some(6),
        (Family::Node, _) => Some(7),
        (Family::Seg, _) => Some(8),
        (Family::Upload, _) => Some(9),
        (Family::Part, _) => Some(10),
        (Family::Usage, _) => Some(11),
        (Family::Log, _) => Some(12),
        (Family::Unsealed, _) => Some(13),
        (Family::Gone, _) => None,
    };
    for (family, key, value) in &records {
        if let (Some(kind), Some([_, body @ ..])) = (kind(*family, key), value.as_deref()) {
            seeds.push(("index_records", [&[kind], body].concat()));
        }
        if matches!(family, Family::Dent | Family::Ver | Family::Refs | Family::Part | Family::Dir) {
            seeds.push(("index_keys", key.clone()));
        }
    }
    seeds.push(("index_records", [&[8], &encode(&SegRecord { live_bytes: -1 })[1..]].concat()));
    let change = Change {
        time: Timestamp::new(1_795_312_800, 5),
        event: "ObjectCreated:Put".to_owned(),
        bucket: BucketId(16),
        key: "photos/cat.jpg".to_owned(),
        from: Some("cat.jpg".to_owned()),
        version: VersionId::Id([0xa5; 16]),
        size: 12,
        etag: ETag::EMPTY,
    };
    seeds.push(("index_records", [&[12], &encode(&change)[1..]].concat()));
    // A directory that lies in itself, and a second time beside itself.
    for (_, key, value) in records.iter().filter(|(family, _, _)| *family == Family::Dent) {
        if let (Some(above), Some(Ok(DentRecord::Dir(id)))) = (dir_of(key), value.as_deref().map(decode::<DentRecord>))
        {
            let ring = |dir| (Family::Dent, dent_key(dir, "ring/"), Some(encode(&DentRecord::Dir(id))));
            seeds.push(("store", unplanted(&[ring(id), ring(above)])));
        }
    }
    // A store's records one by one, a family at a time, and without some of them.
    for family in Family::ALL {
        let of: Vec<Planted> = records.iter().filter(|(found, _, _)| found == family).cloned().collect();
        let without: Vec<Planted> = of.iter().map(|(family, key, _)| (*family, key.clone(), None)).collect();
        seeds.extend([of, without].iter().filter(|of| !of.is_empty()).map(|of| ("store", unplanted(of))));
    }
    seeds
}

fn control() -> Seeds {
    let key = |key: &str| Target::Key { bucket: "photos".to_owned(), key: key.to_owned() };
    let path = Target::Path { mount: "0:42".to_owned(), path: "photos/cat".to_owned() };
    let requests = [
        Request::Status,
        Request::Errors { target: Target::Store },
        Request::BucketDelete { bucket: "photos".to_owned(), dry_run: true },
        Request::SettingSet {
            bucket: "photos".to_owned(),
            setting: "tagging".to_owned(),
            value: Some("{}".to_owned()),
        },
        Request::List {
            target: key("a/"),
            recursive: true,
            versions: true,
            at: Some("2026-11-22T02:05:55Z".to_owned()),
        },
        Request::Stat { target: path, which: Which::At("2026-11-22".to_owned()) },
        Request::Pairs {
            target: key("cat"),
            attribute: Attribute::Tags,
            version: Some("null".to_owned()),
            edit: Edit::Set(vec![("a".to_owned(), "b".to_owned())]),
        },
        Request::Events { bucket: None, after: Some(7), follow: true },
        Request::Export { target: Target::Store, to: "/tmp/out".into(), at: None },
        Request::Mount { mountpoint: "/mnt".into(), options: vec!["ro".to_owned()] },
    ];
    let json = |value: &dyn Fn() -> serde_json::Result<Vec<u8>>| ("control_frame", value().unwrap());
    let mut seeds: Seeds =
        requests.map(|request| json(&|| serde_json::to_vec(&Envelope::new(request.clone())))).to_vec();
    let error = Error::new(Kind::NoSuchKey, "cannot find it").why("it is not there").mend("look elsewhere");
    for answer in
        [Answer::Done, Answer::Alive, Answer::Note("a word".to_owned()), Answer::Failed(Failure::from(&error))]
    {
        seeds.push(json(&|| serde_json::to_vec(&answer)));
    }
    seeds
}

fn texts() -> Seeds {
    let deep = "[".repeat(200);
    let names: &[(&str, &[&str])] = &[
        (
            "bucket_document",
            &["\0{\"Status\":\"Enabled\"}", "\u{1}{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"b\"}]}", &deep],
        ),
        (
            "format_file",
            &["{\"keyfold\":1,\"uuid\":\"00112233445566778899aabbccddeeff\",\"id_key\":\"00\",\"incompatible\":[]}"],
        ),
        (
            "keyfold_toml",
            &[STORE_TEMPLATE, "[log]\nsegment_size = '1GiB'\n[disk]\nreserve = '5%'\n[debug]\nday = '10s'\n"],
        ),
        ("lock_line", &["1234 3f0a8c1e-5b0e-4a53-9d58-0c6f6a2b1f10 73025", "1234"]),
        (
            "mount_options",
            &[
                "ro,noatime,uid=1000,umask=022,xattr_list=all",
                "bucket=photos/2026,as_of=2026-11-22T02:05:55Z\ndurability=close,publish_interval=10s",
                "versions_dir=\"a,b\",control_dir=c\\,d,s3=127.0.0.1:9000",
            ],
        ),
        (
            "model_names",
            &["null", "00112233445566778899aabbccddeeff", "my.bucket", "a//b/./../c/", "10s", "256MiB", "192.168.5.4"],
        ),
        (
            "times",
            &[
                "2026-11-22T02:05:55.123456789Z",
                "2026-11-22T02:05:55-23:59",
                "9999-12-31T23:59:59Z",
                "20261122T020555.123456789Z",
                "2026-11-22 02:05",
                "2026-11-22",
            ],
        ),
        (
            "spelling",
            &[".@obj:a", ".@self", ".@empty", ".@dot", ".@x%00a", ".@r.versions", ".@@h", "..a/", "a\0/a\0/", "a/a"],
        ),
        (
            "xattrs",
            &[
                "user.s3.tag.a\0b",
                "user.s3.tags\0a=1&b=2",
                "user.s3.meta.title\0Cat",
                "user.s3.metadata\0{\"title\":\"Cat\"}",
                "user.s3.content-type\0image/png",
                "user.s3.storage-class\0GLACIER_IR",
                "s3.website-redirect\0/x",
                "user.colour\0green",
                "trusted.x\0y",
                "security.selinux\0z",
            ],
        ),
        ("tags_query", &["a=x+y&b=&c%C3%A9=1%2B1", "a=1&a=2", "%zz"]),
    ];
    let seeds = names.iter().flat_map(|(target, texts)| texts.iter().map(|text| (*target, text.as_bytes().to_vec())));
    let long = format!(".@h{}-{}", "0123456789abcdef".repeat(2), "n".repeat(40));
    let spelled = [long, "n".repeat(300), format!("{}/", "%\0".repeat(90))];
    seeds.chain(spelled.map(|text| ("spelling", text.into_bytes()))).collect()
}
