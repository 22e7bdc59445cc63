//! What the fuzzer begins with: what the real encoders write, and texts as people write them.

use super::targets::{Call, Planted, Said, Tamper, calls_as_bytes, sound_records, unplanted, untampered};
use keyfold::chunklog::format::header::SegmentHeader;
use keyfold::chunklog::format::note::{Note, Stretch};
use keyfold::chunklog::format::{Binder, footer, journal, run, sum};
use keyfold::chunklog::{Class, Owner, RawRun, SegmentId, SoloId, Written};
use keyfold::config::STORE_TEMPLATE;
use keyfold::control::{Answer, Attribute, Edit, Envelope, Failure, Request, Target, Which};
use keyfold::index::{Change, DentRecord, Family, Index, SegRecord, Settings, Tx, decode, dent_key, dir_of, encode};
use keyfold::model::{BucketId, ETag, Error, Kind, StorageClass, Timestamp, VersionId};
use std::path::{Path, PathBuf};

type Seeds = Vec<(&'static str, Vec<u8>)>;

const STORE: &[u8; 16] = b"0123456789abcdef";
const SEGMENT: SegmentId = SegmentId(0x7_0000_012a);
const SOLO: SoloId = SoloId(0x7_0000_012b);

/// Every seed: its target and its bytes.
pub fn all() -> Seeds {
    let mut seeds = [log(), index(), control(), texts(), tampered(), views(), tables()].concat();
    for (from, to) in [("store", "repair"), ("rebuild", "log")] {
        let same: Seeds = seeds.iter().filter(|(of, _)| *of == from).map(|(_, seed)| (to, seed.clone())).collect();
        seeds.extend(same);
    }
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
        let header = SegmentHeader {
            store: *STORE,
            id: SEGMENT,
            created,
            class,
            storage: StorageClass::Standard,
            packed: false,
        };
        ("segment_header", header.encode())
    });
    let mut seeds = headers.to_vec();
    let written = Written { length: 65_548, base: 1, time: 1_795_312_800, order: 3, last: true, note: false };
    let owner = Owner { ino: 11, seq: 2, logical: 65_536, written, key_tail: b"b/k" };
    for len in [1, 12, 70_000] {
        let mut head = Vec::new();
        run::encode_head(&mut head, &bind, SEGMENT, 4096, &owner, &run::Payload::plain(&vec![b'x'; len]));
        seeds.push(("run_head", at(4096, &head)));
    }
    let mut head = Vec::new();
    let packed = run::Payload { len: 131_072, stored: &[7; 65_546], frames: &[10, 65_536] };
    run::encode_head(&mut head, &bind, SEGMENT, 4096, &owner, &packed);
    seeds.push(("run_head", at(4096, &head)));
    // 32 times `keyfold ` as a frame of zstd.
    let frame = b"\x28\xb5\x2f\xfd\x60\0\0\x7d\0\0\x40keyfold \x01\0\xf5\x51\x85\x0b";
    seeds.push(("packed_frame", [&255_u16.to_le_bytes()[..], frame].concat()));
    for runs in [0, 1, 5] {
        let entry = |n: u32| footer::Entry { offset: 4096 + n * 256, len: 12, ino: 11, seq: 2, logical: n.into() };
        let entries: Vec<_> = (0..runs).map(entry).collect();
        let end = 4096 + runs * 256;
        seeds.push(("segment_footer", at(end, &footer::encode(&bind, STORE, SEGMENT, end, &entries))));
    }
    for frames in [0, 1, 3] {
        let crcs = vec![7; frames];
        let (bind, len) = (Binder::solo(STORE, SOLO), frames as u64 * 65_536);
        let bytes = sum::encode(&bind, STORE, SOLO, (StorageClass::Standard, Class::Hot), len, &owner, &crcs);
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
        (Family::Bucket | Family::Refs | Family::Sys | Family::UploadName | Family::Due, _) => Some(14),
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
        (Family::Sums, _) => Some(15),
        (Family::User, _) => Some(17),
        (Family::AccessKey, _) => Some(18),
        (Family::Mfa, _) => Some(20),
        (Family::Meter, _) => Some(22),
        (Family::DirSum | Family::DirTally, _) => Some(24),
        (Family::Gone, _) => None,
    };
    for (family, key, value) in &records {
        if let (Some(kind), Some([_, body @ ..])) = (kind(*family, key), value.as_deref()) {
            seeds.push(("index_records", [&[kind], body].concat()));
        }
        if matches!(family, Family::Dent | Family::Ver | Family::Refs | Family::Part | Family::Dir | Family::UploadName)
        {
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
    // Files of the log with the largest number there is.
    for kind in [b'g', b's'] {
        let last = (Family::Seg, [&[kind][..], &[0xff; 8]].concat(), Some(encode(&SegRecord { live_bytes: 1 })));
        seeds.push(("store", unplanted(&[last])));
    }
    // A store's records one by one, a family at a time, and without some of them.
    for family in Family::ALL {
        let of: Vec<Planted> = records.iter().filter(|(found, _, _)| found == family).cloned().collect();
        let without: Vec<Planted> = of.iter().map(|(family, key, _)| (*family, key.clone(), None)).collect();
        seeds.extend([of, without].iter().filter(|of| !of.is_empty()).map(|of| ("store", unplanted(of))));
    }
    seeds
}

/// What strangers may do to a log: a little of each, and what one kind of note tells that cannot be.
fn tampered() -> Seeds {
    let said = |ino, seq, length, key: &str| Said {
        ino,
        seq,
        written: Written { length, time: 1_795_312_800, order: 1, last: true, ..Written::default() },
        key: key.as_bytes().to_vec(),
        ..Said::default()
    };
    let note = |seq, note: &Note, key: &str| {
        let mut said = said(0, seq, 100, key);
        (said.written.note, said.written.base) = (true, 1 << 21);
        Tamper::Run(said, note.encode())
    };
    let run = |seq| Tamper::Run(said(1 << 21, seq, 100, "plain/stranger"), vec![8; 100]);
    let (mut over, mut far) = (said(1 << 22, (1 << 22) + 1, u64::MAX, "versioned/b/run"), said(7, 9, 10, "solo/far"));
    (over.written.base, over.logical) = ((1 << 22) + 1, u64::MAX - 10);
    far.far = true;
    let stretch = |content, len| Stretch { at: 50, len, content, from: 10 };
    let all = [
        vec![run(1 << 21), Tamper::Run(over, vec![9; 20]), Tamper::Solo(far, vec![8; 10])],
        vec![run(1 << 21), run(1 << 21), run((1 << 21) + 1), note((1 << 21) + 2, &Note::Name, "plain/other")],
        vec![
            run(1 << 21),
            note(
                (1 << 21) + 1,
                &Note::Stretches(vec![stretch(1 << 21, 1 << 40), stretch((1 << 21) + 1, 5)]),
                "plain/x",
            ),
        ],
        vec![run(1 << 21), note((1 << 21) + 3, &Note::Moved(b"plain/".to_vec()), "plain/below/")],
        vec![run(1 << 21), note(1, &Note::Placed, "../out"), note(5, &Note::Gone(vec![1 << 21, 1 << 20]), "")],
    ];
    let mut seeds: Seeds = all.iter().map(|all| ("rebuild", untampered(all))).collect();
    for file in 0..8 {
        let lay = |at, sealed| Tamper::Lay { file, at, sealed, bytes: vec![0x5a] };
        seeds.push(("rebuild", untampered(&[Tamper::Cut { file, at: 5000 }])));
        seeds.push(("rebuild", untampered(&[lay(60, true), lay(4150, true), lay(9000, false)])));
    }
    seeds
}

/// Calls as programs make them: on the root (node 0), the two buckets (1 and 2) and what is found from there on.
fn views() -> Seeds {
    let call = |kind: u8, node: u8, number: u64, name: &str, value: &str| Call {
        kind,
        node,
        other: node,
        number,
        name: name.into(),
        value: value.into(),
    };
    let across =
        |kind: u8, (node, other): (u8, u8), name: &str, value: &str| Call { other, ..call(kind, node, 0, name, value) };
    let all = [
        vec![call(0, 1, 0, "inline", ""), call(4, 3, 1, "", ""), call(5, 0, 3, "", "bytes"), call(7, 0, 0, "", "")],
        vec![
            call(3, 2, 0, "new", "some"),
            call(19, 3, 8 + 4096, "", ""),
            call(8, 0, 0, "", ""),
            call(10, 2, 0, "new", ""),
        ],
        vec![
            call(1, 0, 0o755, "bucket", ""),
            call(1, 3, 0o755, "dir", ""),
            call(11, 3, 0, "dir", ""),
            call(18, 0, 0, "", ""),
        ],
        vec![across(12, (1, 1), "d", "moved"), across(12, (2, 2), "inline", "d"), call(18, 1, 0, "", "")],
        vec![
            call(2, 1, 2, "link", "inline"),
            call(0, 1, 0, "link", ""),
            call(23, 3, 0, "", ""),
            across(13, (3, 2), "hard", ""),
        ],
        vec![
            call(0, 2, 0, ".versions", ""),
            call(18, 3, 0, "", ""),
            call(0, 3, 0, "inline", ""),
            call(18, 4, 0, "", ""),
        ],
        vec![call(0, 1, 0, ".keyfold", ""), call(18, 3, 0, "", ""), call(3, 3, 0, "tagging.json", "{\"TagSet\":[]}")],
        vec![
            call(14, 1, 0, "user.s3.versioning", "Enabled"),
            call(14, 1, 0, "user.s3.tagging", "{}"),
            call(17, 1, 0, "", ""),
        ],
        vec![
            call(14, 1, 0, "user.colour", "green"),
            call(16, 1, 0, "user.s3.info", ""),
            call(15, 1, 0, "user.colour", ""),
        ],
        vec![
            call(0, 1, 0, "made", ""),
            call(14, 3, 1, "user.s3.tag.a", "b"),
            call(14, 3, 0, "user.x", "y"),
            call(17, 3, 0, "", ""),
        ],
        vec![
            call(0, 1, 0, "tree", ""),
            call(4, 3, 1, "", ""),
            call(20, 3, 4096, "", "xxxxxxxx"),
            call(21, 0, 9 << 40, "", ""),
        ],
        vec![
            call(0, 2, 0, "d", ""),
            call(10, 3, 0, "e", ""),
            call(14, 2, 0, "user.s3.retention", "x"),
            call(22, 0, 5, "", ""),
        ],
    ];
    all.iter().map(|calls| ("view", calls_as_bytes(calls))).collect()
}

/// Tables that RocksDB writes, of some records and of many; and its log of some.
fn tables() -> Seeds {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("meta"), Settings::default()).unwrap();
    let put = |family: Family, keys: u32| {
        let put = |tx: &mut Tx<'_>| {
            (0..keys).for_each(|key| tx.put_bytes(family, &key.to_be_bytes(), vec![key as u8; 24]));
            Ok(())
        };
        index.transact(put).unwrap();
    };
    let write = || {
        let _ = index.seal();
        let sealed = index.sealed().unwrap().unwrap();
        index.write_sealed(sealed, true).unwrap();
    };
    let read = |name: &Path| std::fs::read(dir.path().join("meta").join(name)).unwrap();
    for keys in [3, 5] {
        put(Family::Content, keys);
        write();
    }
    let names =
        std::fs::read_dir(dir.path().join("meta")).unwrap().map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let logs = names.filter(|name| name.extension().is_some_and(|end| end == "log"));
    let mut seeds: Seeds = logs.map(|name| ("index_log", read(&name))).collect();
    put(Family::Dent, 1000);
    write();
    index.compact().unwrap();
    let tables = index.tables().unwrap();
    let small = tables.iter().filter(|found| found.bytes < 16 << 10);
    seeds.extend(small.map(|found| ("index_table", read(Path::new(&found.name)))));
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
            mfa: None,
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
            "backup_files",
            &[
                "{\"keyfold_backups\":1,\"store\":\"00112233445566778899aabbccddeeff\"}",
                "{\"created\":\"2026-11-22T02:05:55Z\",\"commit\":7,\"files\":3,\"linked\":true,\"damaged\":[\"seg/00/x\"]}",
                "20261122T020555Z",
                "20261122T020555Z-4294967295",
            ],
        ),
        (
            "bucket_document",
            &[
                "\0{\"Status\":\"Enabled\"}",
                "\u{1}{\"Rules\":[{\"Status\":\"Enabled\",\"Filter\":{\"Prefix\":\"logs/\"},\"Expiration\":{\"Days\":3}}]}",
                "\u{7}{\"TagSet\":[{\"Key\":\"a\",\"Value\":\"b\"}]}",
                &deep,
            ],
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
            "post_policy",
            &[
                "{\"expiration\": \"2026-12-01T12:00:00.000Z\", \"conditions\": [{\"bucket\": \"bkt\"}, [\"starts-with\", \"$key\", \"a/\"], \
                 [\"eq\", \"$acl\", \"\\$private\"], [\"content-length-range\", 1, \"1024\"]]}\nkey=a/b\nacl=$private\nx-ignore-me=1",
                "{\"expiration\": \"2026-12-01T12:00:00Z\", \"conditions\": [[\"starts-with\", \"$Content-Type\", \"image/\"]]}\n\
                 content-type=image/png,image/gif",
                "{\"expiration\": \"2026-12-01\", \"conditions\": [{}]}",
            ],
        ),
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
