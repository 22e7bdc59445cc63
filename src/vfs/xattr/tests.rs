//! Attributes over objects made by hand: table, lists, values and edits that need no store.

mod stored;

use super::get::{of_object, plain};
use super::list::present;
use super::names::{Class, Name, Place, What, classify, find, markdown, rows};
use super::{Target, XattrList, apply, refused, withdraw};
use crate::model::{DirId, FileKind, Ino, Kind, Object, Posix, Seq, Timestamp, VersionId};
use crate::store::FileEntry;

pub(super) fn object() -> Object {
    let now = Timestamp::new(1_700_000_000, 0);
    let posix = Posix::new(FileKind::File, 0o644, 0, 0, now);
    Object::empty(Ino(20), Seq(1), VersionId::Id([0xab; 16]), &posix, now)
}

fn file(object: Object, draft: bool) -> Target {
    let entry = FileEntry { object, draft, nlink: 1 };
    Target::File { dir: DirId(16), component: "f".into(), entry, pending: false }
}

fn value(object: &Object, own: &str) -> Option<String> {
    let (row, rest) = find(Place::File, own).unwrap();
    of_object(object, false, &row, rest)
}

#[test]
fn names_are_own_foreign_or_never_offered() {
    assert_eq!(classify(b"user.s3.etag"), Name::Own("etag"));
    assert_eq!(classify(b"s3.etag"), Name::Own("etag"));
    assert_eq!(classify(b"user.s3.\xff"), Name::Own(""));
    assert_eq!(classify(b"user.s3x"), Name::Foreign);
    assert_eq!(classify(b"user.note"), Name::Foreign);
    assert_eq!(classify(b"trusted.x"), Name::Foreign);
    for never in ["system.posix_acl_access", "system.posix_acl_default", "security.selinux", "security.capability"] {
        assert_eq!(refused(never.as_bytes()).unwrap().kind(), Kind::Unsupported, "{never}");
    }
    assert!(refused(b"user.note").is_none() && refused(b"user.s3.etag").is_none());
}

#[test]
fn every_name_of_the_interface_is_in_the_table() {
    for (place, names) in [
        (
            Place::File,
            "meta.x tag.x content-type content-encoding content-language content-disposition cache-control expires tags \
             metadata storage-class retention legal-hold acl encryption encryption-key website-redirect restore \
             version-id etag is-latest last-modified owner checksum.crc32 checksum.crc32c checksum.crc64nvme \
             checksum.sha1 checksum.sha256 checksum-type parts expiration replication-status archive-status \
             access-tier key key.b64 info",
        ),
        (Place::Dir, "rbytes rentries noncurrent-bytes key info"),
        (
            Place::Bucket,
            "versioning object-lock region default-retention quota lifecycle policy acl ownership public-access-block \
             cors website replication notification logging inventory analytics encryption tagging request-payment \
             accelerate intelligent-tiering rbytes info",
        ),
        (Place::Root, "rbytes rentries noncurrent-bytes info"),
    ] {
        for name in names.split_whitespace() {
            assert!(find(place, name).is_some(), "{name} on {place:?}");
        }
    }
    assert!(find(Place::File, "versioning").is_none() && find(Place::File, "meta.").is_none());
    assert!(find(Place::File, "nonsense").is_none() && find(Place::File, "").is_none());
    for place in [Place::File, Place::Version, Place::Dir, Place::Bucket, Place::Root] {
        let names: Vec<&str> = rows(place).map(|row| row.name).collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len(), "{place:?}");
    }
    assert!(markdown().contains("| `tag.KEY` | object, version, directory | carried by copies |"));
}

#[test]
fn tag_1_and_tag_2_one_tag_at_a_time() {
    let mut object = object();
    assert!(apply(&mut object, b"user.s3.tag.team", b"blue").unwrap());
    assert!(!apply(&mut object, b"s3.tag.team", b"blue").unwrap(), "the same value is no change");
    for n in 1..10 {
        apply(&mut object, format!("user.s3.tag.k{n}").as_bytes(), b"v").unwrap();
    }
    assert_eq!(apply(&mut object, b"user.s3.tag.eleven", b"v").unwrap_err().kind(), Kind::TooManyTags);
    assert_eq!(apply(&mut object, b"user.s3.tag.a*b", b"v").unwrap_err().kind(), Kind::InvalidTag);
    assert_eq!(value(&object, "tag.team").as_deref(), Some("blue"));
    assert!(withdraw(&mut object, b"user.s3.tag.team").unwrap());
    assert_eq!(withdraw(&mut object, b"user.s3.tag.team").unwrap_err().kind(), Kind::NotSet);
    assert_eq!(object.tags.len(), 9);
}

#[test]
fn tag_5_the_whole_set_at_once() {
    let mut object = object();
    assert!(apply(&mut object, b"user.s3.tags", b"b=2&a=x%20y").unwrap());
    assert_eq!(value(&object, "tags").as_deref(), Some("a=x%20y&b=2"));
    assert_eq!(apply(&mut object, b"user.s3.tags", b"a=%zz").unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(object.tags.len(), 2, "a refused value changes nothing");
    assert!(apply(&mut object, b"user.s3.tags", b"").unwrap());
    assert_eq!(value(&object, "tags").as_deref(), Some(""));
}

#[test]
fn meta_2_and_meta_3_pairs_and_the_whole_map() {
    let mut object = object();
    assert!(apply(&mut object, b"user.s3.meta.Title", b"Blue").unwrap());
    assert_eq!(value(&object, "meta.title").as_deref(), Some("Blue"));
    assert_eq!(apply(&mut object, b"user.s3.meta.x", &[b'v'; 3000]).unwrap_err().kind(), Kind::MetadataTooLarge);
    assert_eq!(apply(&mut object, b"user.s3.meta.x", b"\xff").unwrap_err().kind(), Kind::InvalidArgument);
    apply(&mut object, b"user.s3.content-type", b"text/plain").unwrap();
    assert!(apply(&mut object, b"user.s3.metadata", br#"{"a":"1","b":"2"}"#).unwrap());
    assert_eq!(value(&object, "metadata").as_deref(), Some(r#"{"a":"1","b":"2"}"#));
    assert_eq!(value(&object, "content-type").as_deref(), Some("text/plain"), "headers are not part of the map");
    for bad in [&b"[]"[..], b"{", br#"{"a":1}"#, br#"{"no name":"v"}"#] {
        assert_eq!(apply(&mut object, b"user.s3.metadata", bad).unwrap_err().kind(), Kind::InvalidArgument);
    }
    assert!(withdraw(&mut object, b"user.s3.metadata").unwrap());
    assert_eq!(value(&object, "metadata").as_deref(), Some("{}"));
    assert_eq!(apply(&mut object, b"user.s3.website-redirect", b"nowhere").unwrap_err().kind(), Kind::InvalidArgument);
    assert!(apply(&mut object, b"user.s3.website-redirect", b"/there").unwrap());
}

#[test]
fn settings_without_an_engine_and_computed_names_are_refused() {
    let mut object = object();
    for later in ["retention", "legal-hold", "acl", "encryption", "encryption-key", "nonsense", "versioning"] {
        let name = format!("user.s3.{later}");
        assert_eq!(apply(&mut object, name.as_bytes(), b"x").unwrap_err().kind(), Kind::Unsupported, "{later}");
    }
    for row in rows(Place::File).filter(|row| row.class == Class::Computed) {
        let name = format!("user.s3.{}", row.name);
        assert_eq!(apply(&mut object, name.as_bytes(), b"x").unwrap_err().kind(), Kind::NotPermitted, "{name}");
    }
    assert!(!apply(&mut object, b"user.s3.storage-class", b"STANDARD").unwrap());
    assert!(apply(&mut object, b"user.s3.storage-class", b"GLACIER").unwrap());
    assert_eq!(apply(&mut object, b"user.s3.storage-class", b"STANDARD").unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(apply(&mut object, b"user.s3.restore", b"days=1").unwrap_err().kind(), Kind::NotArchived);
    assert_eq!(apply(&mut object, b"user.s3.storage-class", b"COLD").unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(apply(&mut object, b"system.posix_acl_access", b"").unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn ver_11_a_delete_marker_has_no_tags_and_takes_none() {
    let mut marker = Object { marker: true, ..object() };
    assert_eq!(apply(&mut marker, b"user.s3.tag.a", b"b").unwrap_err().kind(), Kind::IsMarker);
    assert_eq!((value(&marker, "tags"), value(&marker, "etag")), (None, None));
    assert_eq!(value(&marker, "version-id"), Some("ab".repeat(16)));
}

#[test]
fn computed_values_of_an_object() {
    let mut object = object();
    assert_eq!(value(&object, "etag").as_deref(), Some("d41d8cd98f00b204e9800998ecf8427e"));
    assert_eq!(value(&object, "is-latest").as_deref(), Some("true"));
    assert_eq!(value(&object, "last-modified").as_deref(), Some("2023-11-14T22:13:20.000Z"));
    assert_eq!(value(&object, "parts"), None);
    object.etag.parts = 3;
    object.superseded = Some(object.modified);
    assert_eq!(
        (value(&object, "parts").as_deref(), value(&object, "is-latest").as_deref()),
        (Some("3"), Some("false"))
    );
    let draft = file(object, true);
    let (row, _) = find(Place::File, "version-id").unwrap();
    assert_eq!(plain(&draft, &row, ""), None, "S3 has not seen a draft");
}

#[test]
fn listed_names_are_settable_and_have_values() {
    let mut object = object();
    apply(&mut object, b"user.s3.tag.team", b"blue").unwrap();
    apply(&mut object, b"user.s3.meta.title", b"T").unwrap();
    apply(&mut object, b"user.s3.content-type", b"text/plain").unwrap();
    let target = file(object.clone(), false);
    let names = |list: XattrList| -> Vec<String> {
        let rows = rows(Place::File).filter(|row| super::list::shown(row, list));
        rows.flat_map(|row| present(&target, &row, None).into_iter().map(move |rest| format!("{}{rest}", row.name)))
            .collect()
    };
    assert_eq!(names(XattrList::Copy), ["meta.title", "tag.team", "content-type"]);
    assert_eq!(names(XattrList::User), ["meta.title", "tag.team"]);
    let all = names(XattrList::All);
    for name in ["tags", "metadata", "storage-class", "etag", "version-id", "checksum.crc64nvme", "key", "info"] {
        assert!(all.iter().any(|known| known == name), "{name}");
    }
    for name in names(XattrList::Copy) {
        let value = value(&object, &name).unwrap();
        let mut copy = super::tests::object();
        assert!(apply(&mut copy, format!("user.s3.{name}").as_bytes(), value.as_bytes()).unwrap(), "{name}");
    }
    assert!(rows(Place::File).any(|row| matches!(row.what, What::Later)));
}
