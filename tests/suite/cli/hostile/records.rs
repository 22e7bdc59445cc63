//! Records that no release writes: names that lead elsewhere, rings, lengths beyond all bounds, shared nodes that spell out
//! more bytes than there are.

use super::{Stranger, bounded, everything, look};
use keyfold::index::{
    self, Body, ContentRecord, DentRecord, DirRecord, Extent, Family, Index, InodeRecord, Node, Read, Record, Source,
    VerRecord, content_key, dent_key, encode, id_key, ver_key,
};
use keyfold::model::{Bucket, Checksum, ContentId, DirId, Ino, Object, Seq, Timestamp};
use std::path::Path;
use std::process::Command;

type Planted = Vec<(Family, Vec<u8>, Vec<u8>)>;

/// Numbers that the sound store does not use.
const FREE: u64 = 900_000;

fn plant(store: &Path, records: Planted) {
    let index = Index::open(&store.join("meta"), index::Settings::default()).unwrap();
    let put = index.transact(|tx| {
        records.into_iter().for_each(|(family, key, value)| tx.put_bytes(family, &key, value));
        Ok(())
    });
    put.unwrap();
    let _ = index.seal();
    let sealed = index.sealed().unwrap().unwrap();
    index.write_sealed(sealed, true).unwrap();
}

fn read<R: Record>(store: &Path, family: Family, key: &[u8]) -> R {
    let index = Index::open(&store.join("meta"), index::Settings::default()).unwrap();
    index.record(family, key).unwrap().unwrap()
}

/// What cases are made of: the sound store's own records.
struct Model {
    root: DirId,
    bucket: Bucket,
    dir: DirRecord,
    below: DirId,
    object: Object,
}

impl Model {
    fn of(stranger: &Stranger) -> Self {
        let (store, root) = (&stranger.bench.store, stranger.root);
        let DentRecord::Dir(below) = read(store, Family::Dent, &dent_key(root, "d/")) else {
            panic!("d/ is a directory")
        };
        let DentRecord::Object { object, .. } = read(store, Family::Dent, &dent_key(root, "inline")) else {
            panic!("inline is an object")
        };
        let dir: DirRecord = read(store, Family::Dir, &id_key(below.0));
        let bucket = read(store, Family::Bucket, &[b"i", &id_key(dir.bucket.0)[..]].concat());
        Self { root, bucket, dir, below, object }
    }

    fn dent(&self, dir: DirId, component: &[u8], record: &DentRecord) -> (Family, Vec<u8>, Vec<u8>) {
        (Family::Dent, [&id_key(dir.0), component].concat(), encode(record))
    }

    fn named(&self, component: &[u8]) -> Planted {
        let record = DentRecord::Object { object: self.object.clone(), draft: false };
        vec![self.dent(self.root, component, &record)]
    }

    fn dir_record(&self, id: DirId, parent: DirId, name: &str) -> (Family, Vec<u8>, Vec<u8>) {
        let record = DirRecord { parent, name: name.to_owned(), ..self.dir.clone() };
        (Family::Dir, id_key(id.0).to_vec(), encode(&record))
    }

    /// An object `hostile` whose content is this.
    fn content(&self, size: u64, body: Body, nodes: Vec<(u64, Node)>) -> Planted {
        let content = ContentRecord { size, stored: size.min(1 << 40), crc64: Checksum(None), body };
        let object =
            Object { content: ContentId(FREE), size, ino: Ino(FREE), crc64: Checksum(None), ..self.object.clone() };
        let nodes = nodes.into_iter().map(|(id, node)| (Family::Node, id_key(id).to_vec(), encode(&node)));
        let mut records: Planted = nodes.collect();
        records.push((Family::Content, content_key(ContentId(FREE)).to_vec(), encode(&content)));
        records.push(self.dent(self.root, b"hostile", &DentRecord::Object { object, draft: false }));
        records
    }
}

const HOLE: Extent = Extent { len: 4096, source: Source::Hole };

fn run(len: u64, skip: u32) -> Extent {
    Extent { len, source: Source::Run { segment: 0x1_0000_0001, offset: 4096, len: 1 << 20, skip } }
}

#[test]
fn names_lead_nowhere() {
    let stranger = Stranger::new();
    let model = Model::of(&stranger);
    let long = "n".repeat(300);
    let mut bucket = model.bucket.clone();
    let mut bytes = encode(&bucket);
    // A bucket's name is checked when it is read: only bytes can say another.
    let at = bytes.windows(5).position(|window| window == b"plain").unwrap();
    bytes[at..at + 5].copy_from_slice(b"../ou");
    bucket.documents.insert("tagging".to_owned(), "[".repeat(100_000));
    let bucket_key = [b"i", &id_key(bucket.id.0)[..]].concat();
    let object = VerRecord::Object(Object { seq: Seq(5), ..model.object.clone() });
    let cases: Vec<(&str, Planted)> = vec![
        ("up", model.named(b"../../outside/x")),
        ("up-dir", {
            let id = DirId(FREE);
            let name = "../../outside/";
            vec![
                model.dent(model.root, name.as_bytes(), &DentRecord::Dir(id)),
                model.dir_record(id, model.root, name),
                model.dent(id, b"x", &DentRecord::Object { object: model.object.clone(), draft: false }),
            ]
        }),
        ("absolute", model.named(stranger.outside.join("x").to_str().unwrap().as_bytes())),
        ("dots", [model.named(b".."), model.named(b"."), model.named(b"...")].concat()),
        ("empty", model.named(b"")),
        ("nul", model.named(b"a\0../b")),
        ("no-text", model.named(b"\xff\xfe")),
        ("long", [model.named(long.as_bytes()), model.named(&[b'k'; 5000])].concat()),
        ("control", model.named(b"\x1b[2J\n\r")),
        ("history", vec![(Family::Ver, ver_key(model.root, "../../outside/x", Seq(5)), encode(&object))]),
        ("bucket", vec![(Family::Bucket, bucket_key.clone(), bytes)]),
        ("document", vec![(Family::Bucket, bucket_key, encode(&bucket))]),
        ("links", {
            let names = (0..100_000u64).map(|n| (model.root, format!("../{n}"))).collect();
            let inode = InodeRecord { object: model.object.clone(), draft: false, names };
            vec![
                (Family::Ino, id_key(FREE).to_vec(), encode(&inode)),
                model.dent(model.root, b"link", &DentRecord::Link(Ino(FREE))),
            ]
        }),
    ];
    let before = everything(&stranger.outside);
    for (name, records) in cases {
        let store = stranger.copy(name);
        plant(&store, records);
        look(&store, &stranger.out(name));
        assert_eq!(everything(&stranger.outside), before, "{name}");
        let out = stranger.out(name);
        let astray = std::fs::read_dir(out.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
        let known = ["store", "mnt", "outside"];
        let astray: Vec<_> = astray
            .filter(|found| !known.iter().any(|known| found == known) && !found.to_str().unwrap().starts_with(name))
            .collect();
        assert!(astray.is_empty(), "{name}: {astray:?}");
        std::fs::remove_dir_all(&store).unwrap();
        let _ = std::fs::remove_dir_all(&out);
    }
}

#[test]
fn rings_of_directories_end() {
    let stranger = Stranger::new();
    let model = Model::of(&stranger);
    let sound = bounded(&stranger.bench.store, &["ls", "plain", "--recursive"]);
    let (one, other) = (DirId(FREE), DirId(FREE + 1));
    let ghost = |dir| VerRecord::Ghost { dir, died: Timestamp::new(1, 0) };
    let cases: Vec<(&str, Planted)> = vec![
        // A directory that holds those above it, twice, so that each turn doubles the paths.
        ("above", {
            let names = [&b"x/"[..], b"y/"];
            let up = |to| names.map(|name| model.dent(model.below, name, &DentRecord::Dir(to)));
            [up(model.root), up(model.below)].concat()
        }),
        ("itself", vec![model.dir_record(model.below, model.below, "d/")]),
        ("root", vec![model.dent(model.root, b"", &DentRecord::Dir(model.root))]),
        (
            "pair",
            vec![
                model.dent(model.root, b"one/", &DentRecord::Dir(one)),
                model.dir_record(one, other, "one/"),
                model.dent(one, b"other/", &DentRecord::Dir(other)),
                model.dir_record(other, one, "other/"),
                model.dent(other, b"one/", &DentRecord::Dir(one)),
            ],
        ),
        ("ghosts", {
            let key =
                |name: &str, seq| (Family::Ver, ver_key(model.below, name, Seq(seq)), encode(&ghost(model.below)));
            vec![
                key("g/", 5),
                key("g/", 6),
                key("h/", 7),
                (Family::Ver, ver_key(model.below, "up/", Seq(8)), encode(&ghost(model.root))),
            ]
        }),
        ("deep", {
            let id = |n: u64| if n == 0 { model.root } else { DirId(FREE + n) };
            let level = |n: u64| {
                [model.dent(id(n), b"z/", &DentRecord::Dir(id(n + 1))), model.dir_record(id(n + 1), id(n), "z/")]
            };
            (0..20_000).flat_map(level).collect()
        }),
        (
            "last",
            vec![
                model.dent(model.root, b"last/", &DentRecord::Dir(DirId(u64::MAX))),
                model.dir_record(DirId(u64::MAX), model.root, "last/"),
            ],
        ),
    ];
    for (name, records) in cases {
        let store = stranger.copy(name);
        plant(&store, records);
        // A name that leads back is none.
        if ["above", "pair", "ghosts"].contains(&name) {
            assert_eq!(bounded(&store, &["ls", "plain", "--recursive"]), sound, "{name}");
        }
        look(&store, &stranger.out(name));
        std::fs::remove_dir_all(&store).unwrap();
        let _ = Command::new("rm").arg("-rf").arg(stranger.out(name)).status();
    }
}

#[test]
fn contents_take_no_more_than_there_is() {
    let stranger = Stranger::new();
    let model = Model::of(&stranger);
    const LAST: u64 = i64::MAX as u64;
    // Each level has 64 times the one below it, all the same node: few records, more bytes than all disks hold.
    let laughs = |leaf: Vec<Extent>, levels: u64| {
        let len: u64 = leaf.iter().map(|extent| extent.len).sum();
        let mut nodes = vec![(FREE, Node::Leaf(leaf))];
        for level in 1..=levels {
            let below = len * 64u64.pow(u32::try_from(level).unwrap() - 1);
            nodes.push((FREE + level, Node::Inner(vec![(below, FREE + level - 1); 64])));
        }
        (len * 64u64.pow(u32::try_from(levels).unwrap()), Body::Tree(FREE + levels), nodes)
    };
    let case = |(size, body, nodes)| model.content(size, body, nodes);
    // A child has more, or less, than its parent says; with ten levels of 64 that would be found 2^60 times.
    let liars = |said: u64| {
        let mut nodes = vec![(FREE, Node::Leaf(vec![HOLE]))];
        nodes.extend((1..=9).map(|level| (FREE + level, Node::Inner(vec![(said, FREE + level - 1); 64]))));
        (said * 64, Body::Tree(FREE + 9), nodes)
    };
    let cases: Vec<(&str, Planted)> = vec![
        ("hole", case((LAST, Body::Extents(vec![Extent { len: LAST, source: Source::Hole }]), vec![]))),
        ("inline", case((LAST, Body::Inline(b"short".to_vec()), vec![]))),
        ("too-long", case((u64::MAX, Body::Extents(vec![run(u64::MAX, 0), run(u64::MAX, 0)]), vec![]))),
        ("none", case((1, Body::Extents(vec![run(0, 0); 100]), vec![]))),
        ("beyond", case((4096, Body::Extents(vec![run(4096, u32::MAX - 1)]), vec![]))),
        ("short", case((1 << 40, Body::Extents(vec![HOLE]), vec![]))),
        (
            "solo",
            case((2, Body::Extents(vec![Extent { len: 2, source: Source::Solo { id: 1, at: u64::MAX } }]), vec![])),
        ),
        ("itself", case((LAST, Body::Tree(FREE), vec![(FREE, Node::Inner(vec![(LAST / 64, FREE); 64]))]))),
        ("missing", case((4096, Body::Tree(FREE), vec![]))),
        ("holes", case(laughs(vec![HOLE; 64], 6))),
        ("liars-less", case(liars(1))),
        ("liars-more", case(liars(1 << 50))),
    ];
    for (name, records) in cases {
        let store = stranger.copy(name);
        plant(&store, records);
        bounded(&store, &["fsck"]);
        let out = stranger.out(name);
        let (status, said) = bounded(&store, &["export", out.to_str().unwrap(), "plain/hostile"]);
        if name == "inline" {
            // What is not there is damage, and no zeros.
            assert!(status == 7 && said.contains("not as many as it says"), "{status}: {said}");
        }
        // It goes like any other: what it shares is let go of once.
        let version = bounded(&store, &["versions", "plain/hostile"]);
        bounded(
            &store,
            &["purge", "plain/hostile", "--version", version.1.split_whitespace().next().unwrap_or("null")],
        );
        bounded(&store, &["fsck"]);
        std::fs::remove_dir_all(&store).unwrap();
    }
}

#[test]
fn numbers_at_their_end_are_refused() {
    let stranger = Stranger::new();
    for key in ["epoch", "ids", "seq", "synced"] {
        for number in [u64::MAX, u64::MAX - 1, 1 << 63] {
            let name = format!("{key}-{number}");
            let store = stranger.copy(&name);
            // `seq` is written by the planting itself: its last word is the record's.
            plant(&store, vec![(Family::Sys, key.as_bytes().to_vec(), encode(&number))]);
            bounded(&store, &["fsck"]);
            bounded(&store, &["bucket", "create", "another"]);
            std::fs::remove_dir_all(&store).unwrap();
        }
    }
}
