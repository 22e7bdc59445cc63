//! Attributes over a real store.

use super::super::{SetEffect, Target, XattrList, XattrView, get, list, remove, set};
use crate::model::{Bucket, BucketName, FileKind, Kind, ObjectKey, Posix, Result, Versioning};
use crate::store::{Entry, Options, PosixChange, PutOptions, Session, Store};
use std::sync::Arc;

struct World {
    store: Arc<Store>,
    bucket: Bucket,
    _home: tempfile::TempDir,
}

const VIEW: XattrView = XattrView { list: XattrList::Copy, trusted: true };
const ALL: XattrView = XattrView { list: XattrList::All, trusted: true };

impl Drop for World {
    fn drop(&mut self) {
        self.store.close().unwrap();
    }
}

fn world() -> World {
    let home = tempfile::tempdir().unwrap();
    Store::init(home.path(), &Options::system()).unwrap();
    let store = Store::open(home.path(), Options::system()).unwrap();
    let posix = Posix::new(FileKind::Directory, 0o755, 0, 0, store.now());
    let bucket = store.create_bucket(&BucketName::parse("photos").unwrap(), &posix).unwrap();
    let world = World { store, bucket, _home: home };
    for key in ["f", "d/g", "d/e/h"] {
        let key = ObjectKey::parse(key).unwrap();
        world.store.put("photos", &key, &mut &b"abc"[..], &PutOptions::default()).unwrap();
    }
    world
}

impl World {
    fn file(&self) -> Target {
        match self.store.lookup(self.bucket.root, "f").unwrap() {
            Some(Entry::File(entry)) => {
                Target::File { dir: self.bucket.root, component: "f".into(), entry, pending: false }
            }
            _ => panic!("no file"),
        }
    }

    fn bucket(&self) -> Target {
        let bucket = self.store.bucket("photos").unwrap();
        let dir = self.store.directory(bucket.root).unwrap();
        Target::Bucket(bucket, dir)
    }

    fn dir(&self) -> Target {
        match self.store.lookup(self.bucket.root, "d/").unwrap() {
            Some(Entry::Dir(dir)) => Target::Dir(dir),
            _ => panic!("no directory"),
        }
    }

    fn get(&self, target: &Target, name: &str) -> Result<String> {
        get(&self.store, target, name.as_bytes()).map(|value| String::from_utf8(value).unwrap())
    }

    fn set(&self, target: &Target, name: &str, value: &str) -> Result<SetEffect> {
        set(&self.store, target, name.as_bytes(), value.as_bytes(), false, false, &VIEW)
    }

    fn list(&self, target: &Target, view: &XattrView) -> Vec<String> {
        let names = list(&self.store, target, view).unwrap();
        names
            .split(|byte| *byte == 0)
            .map(|name| String::from_utf8(name.to_vec()).unwrap())
            .filter(|n| !n.is_empty())
            .collect()
    }
}

#[test]
fn tag_8_and_meta_5_tags_make_no_version_and_metadata_does() {
    let world = world();
    world.store.set_versioning("photos", Versioning::Enabled).unwrap();
    let before = world.get(&world.file(), "user.s3.version-id").unwrap();
    assert_eq!(world.set(&world.file(), "user.s3.tag.team", "blue").unwrap(), SetEffect::Stored);
    assert_eq!(world.set(&world.file(), "user.s3.tag.team", "blue").unwrap(), SetEffect::Unchanged);
    assert_eq!(world.get(&world.file(), "user.s3.version-id").unwrap(), before);
    assert!(matches!(world.set(&world.file(), "s3.meta.title", "T").unwrap(), SetEffect::Rewritten(_)));
    assert_ne!(world.get(&world.file(), "user.s3.version-id").unwrap(), before);
    assert_eq!(world.get(&world.file(), "user.s3.tags").unwrap(), "team=blue");
    assert_eq!(world.get(&world.file(), "user.s3.metadata").unwrap(), r#"{"title":"T"}"#);
    assert_eq!(world.list(&world.file(), &VIEW), ["user.s3.meta.title", "user.s3.tag.team"]);
    remove(&world.store, &world.file(), b"user.s3.tag.team", &VIEW).unwrap();
    let gone = remove(&world.store, &world.file(), b"user.s3.tag.team", &VIEW).unwrap_err();
    assert_eq!(gone.kind(), Kind::NotSet);
}

#[test]
fn tag_9_a_version_s_tags_may_change_and_its_metadata_may_not() {
    let world = world();
    world.store.set_versioning("photos", Versioning::Enabled).unwrap();
    let key = ObjectKey::parse("f").unwrap();
    world.store.put("photos", &key, &mut &b"new"[..], &PutOptions::default()).unwrap();
    let version = |n: usize| {
        let object = world.store.versions(&[world.bucket.root], "f").unwrap().remove(n);
        Target::Version { dirs: vec![world.bucket.root], component: "f".into(), object }
    };
    assert_eq!(world.set(&version(1), "user.s3.tag.a", "b").unwrap(), SetEffect::Stored);
    assert_eq!(world.get(&version(1), "user.s3.tags").unwrap(), "a=b");
    assert_eq!(world.get(&version(0), "user.s3.tags").unwrap(), "");
    assert_eq!(world.set(&version(1), "user.s3.meta.a", "b").unwrap_err().kind(), Kind::NotPermitted);
    assert_eq!(world.get(&version(1), "user.s3.is-latest").unwrap(), "false");
    assert_eq!(world.get(&version(1), "user.s3.key").unwrap(), "f");
}

#[test]
fn foreign_attributes_are_kept_and_flags_obeyed() {
    let world = world();
    for target in [|world: &World| world.file(), |world: &World| world.dir(), |world: &World| world.bucket()] {
        let flagged = |create, replace| set(&world.store, &target(&world), b"user.note", b"x", create, replace, &VIEW);
        assert_eq!(flagged(false, true).unwrap_err().kind(), Kind::NotSet);
        assert_eq!(flagged(true, false).unwrap(), SetEffect::Stored);
        assert_eq!(flagged(true, false).unwrap_err().kind(), Kind::AlreadyExists);
        assert_eq!(world.get(&target(&world), "user.note").unwrap(), "x");
        assert!(world.list(&target(&world), &VIEW).contains(&"user.note".to_owned()));
        remove(&world.store, &target(&world), b"user.note", &VIEW).unwrap();
        assert_eq!(world.get(&target(&world), "user.note").unwrap_err().kind(), Kind::NotSet);
    }
}

#[test]
fn refusals_and_what_all_ignores() {
    let world = world();
    let kind = |name: &str| world.set(&world.file(), name, "x").unwrap_err().kind();
    assert_eq!(kind("user.s3.etag"), Kind::NotPermitted);
    assert_eq!(kind("user.s3.info"), Kind::NotPermitted);
    assert_eq!(kind("user.s3.nonsense"), Kind::Unsupported);
    assert_eq!(kind("user.s3.acl"), Kind::Unsupported);
    assert_eq!(kind("user.s3.retention"), Kind::InvalidArgument);
    assert_eq!(kind("user.s3.legal-hold"), Kind::InvalidArgument);
    assert_eq!(kind("system.posix_acl_access"), Kind::Unsupported);
    assert_eq!(world.store.complaints(Some("photos")).len(), 2, "what EOPNOTSUPP does not explain");
    assert_eq!(world.get(&world.file(), "user.s3.nonsense").unwrap_err().kind(), Kind::NotSet);
    assert_eq!(world.get(&world.file(), "user.s3.retention").unwrap_err().kind(), Kind::NotSet);
    let ignored = set(&world.store, &world.file(), b"user.s3.etag", b"x", false, false, &ALL).unwrap();
    assert_eq!(ignored, SetEffect::Ignored);
    for name in world.list(&world.file(), &ALL) {
        let value = world.get(&world.file(), &name).unwrap();
        set(&world.store, &world.file(), name.as_bytes(), value.as_bytes(), false, false, &ALL).unwrap();
        remove(&world.store, &world.file(), name.as_bytes(), &ALL).unwrap();
    }
}

#[test]
fn a_pending_session_folds_and_a_draft_is_edited_in_place() {
    let world = world();
    let Target::File { dir, component, entry, .. } = world.file() else { panic!() };
    let ino = entry.object.ino;
    let mut session = Session::new();
    let mut draft = world.store.draft(Some(&entry.object)).unwrap();
    let change = PosixChange::default();
    world.store.publish((dir, "f"), ino, &mut draft, &mut session, &change).unwrap();
    let target = Target::File { dir, component, entry, pending: true };
    for name in ["user.s3.tag.a", "user.s3.meta.a", "user.a"] {
        assert_eq!(world.set(&target, name, "b").unwrap(), SetEffect::Fold, "{name}");
        assert_eq!(world.get(&world.file(), name).unwrap_err().kind(), Kind::NotSet);
        let folded = |object: &mut crate::model::Object| super::super::apply(object, name.as_bytes(), b"b").map(drop);
        assert_eq!(world.store.edit_own((dir, "f"), ino, None, folded).unwrap(), None, "nobody's own version");
        world.store.edit_own((dir, "f"), ino, Some(&session), folded).unwrap().unwrap();
        assert_eq!(world.get(&world.file(), name).unwrap(), "b");
    }
    assert_eq!(world.set(&target, "user.s3.tag.a*", "b").unwrap_err().kind(), Kind::InvalidTag);
    let posix = Posix::new(FileKind::File, 0o644, 0, 0, world.store.now());
    world.store.create_draft(dir, "new", &posix).unwrap();
    let draft = || match world.store.lookup(dir, "new").unwrap() {
        Some(Entry::File(entry)) => Target::File { dir, component: "new".into(), entry, pending: true },
        _ => panic!("no draft"),
    };
    for name in ["user.s3.tag.a", "user.s3.meta.a", "user.a"] {
        assert_ne!(world.set(&draft(), name, "b").unwrap(), SetEffect::Fold, "{name}");
        assert_eq!(world.get(&draft(), name).unwrap(), "b");
    }
    assert_eq!(world.get(&draft(), "user.s3.version-id").unwrap_err().kind(), Kind::NotSet);
}

#[test]
fn key_6_a_directory_s_attributes_are_its_marker_s() {
    let world = world();
    assert_eq!(
        world.set(&world.dir(), "user.s3.tag.a", "b").unwrap_err().kind(),
        Kind::Unsupported,
        "it has no marker"
    );
    world.store.set_versioning("photos", Versioning::Enabled).unwrap();
    let posix = Posix::new(FileKind::Directory, 0o755, 0, 0, world.store.now());
    world.store.make_dir(world.bucket.root, "made/", &posix).unwrap();
    let made = || match world.store.lookup(world.bucket.root, "made/").unwrap() {
        Some(Entry::Dir(dir)) => Target::Dir(dir),
        _ => panic!("no directory"),
    };
    assert_eq!(world.set(&made(), "user.s3.tag.a", "b").unwrap(), SetEffect::Stored);
    assert!(matches!(world.set(&made(), "user.s3.meta.a", "b").unwrap(), SetEffect::Rewritten(_)));
    assert_eq!(world.list(&made(), &VIEW), ["user.s3.meta.a", "user.s3.tag.a"]);
    assert_eq!(world.get(&made(), "user.s3.meta.a").unwrap(), "b");
    remove(&world.store, &made(), b"user.s3.meta.a", &VIEW).unwrap();
    assert_eq!(world.list(&made(), &VIEW), ["user.s3.tag.a"]);
}

#[test]
fn sum_8_info_and_computed_values() {
    let world = world();
    world.set(&world.file(), "user.s3.content-type", "text/plain").unwrap();
    let info: serde_json::Value = serde_json::from_str(&world.get(&world.file(), "user.s3.info").unwrap()).unwrap();
    assert_eq!(
        (info["type"].as_str(), info["key"].as_str(), info["bucket"].as_str()),
        (Some("object"), Some("f"), Some("photos"))
    );
    assert_eq!((info["content-type"].as_str(), info["size"].as_u64()), (Some("text/plain"), Some(3)));
    assert!(info["cache-control"].is_null() && info["retention"].is_null());
    assert!(info.get("acl").is_none());
    use base64::Engine as _;
    let expected = base64::engine::general_purpose::STANDARD.encode(crate::crypto::Crc64::of(b"abc").to_be_bytes());
    assert_eq!(world.get(&world.file(), "user.s3.checksum.crc64nvme").unwrap(), expected);
    assert_eq!(world.get(&world.file(), "user.s3.key.b64").unwrap(), "Zg==");
    assert_eq!(world.get(&world.dir(), "user.s3.key").unwrap(), "d/");
    for target in [world.dir(), world.bucket(), Target::Root] {
        let info: serde_json::Value = serde_json::from_str(&world.get(&target, "user.s3.info").unwrap()).unwrap();
        assert!(info["rbytes"].as_i64().is_some(), "{info}");
    }
    assert_eq!(
        (world.get(&world.dir(), "user.s3.rbytes").unwrap(), world.get(&world.dir(), "user.s3.rentries").unwrap()),
        ("6".into(), "2".into())
    );
    assert_eq!(
        (world.get(&world.bucket(), "user.s3.rbytes").unwrap(), world.get(&Target::Root, "user.s3.rentries").unwrap()),
        ("9".into(), "3".into())
    );
    world.store.set_versioning("photos", Versioning::Enabled).unwrap();
    let key = ObjectKey::parse("d/e/h").unwrap();
    world.store.put("photos", &key, &mut &b"longer"[..], &PutOptions::default()).unwrap();
    world.store.delete("photos", &key, None, crate::store::Condition::Always).unwrap();
    assert_eq!(world.get(&world.dir(), "user.s3.noncurrent-bytes").unwrap(), "9");
    assert_eq!(world.get(&world.dir(), "user.s3.rentries").unwrap(), "1");
}

#[test]
fn ver_1_a_bucket_s_settings() {
    let world = world();
    assert_eq!(world.get(&world.bucket(), "user.s3.versioning").unwrap_err().kind(), Kind::NotSet);
    assert_eq!(world.set(&world.bucket(), "user.s3.versioning", "on").unwrap_err().kind(), Kind::InvalidArgument);
    world.set(&world.bucket(), "user.s3.versioning", "Enabled\n").unwrap();
    assert_eq!(world.get(&world.bucket(), "user.s3.versioning").unwrap(), "Enabled");
    assert_eq!(
        remove(&world.store, &world.bucket(), b"user.s3.versioning", &VIEW).unwrap_err().kind(),
        Kind::InvalidState
    );
    let tags = r#"{"TagSet":[{"Key":"team","Value":"blue"}]}"#;
    world.set(&world.bucket(), "user.s3.tagging", tags).unwrap();
    assert_eq!(world.get(&world.bucket(), "user.s3.tagging").unwrap(), tags);
    assert_eq!(world.set(&world.bucket(), "user.s3.tagging", "{}").unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(world.set(&world.bucket(), "user.s3.policy", "{}").unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(world.list(&world.bucket(), &VIEW), Vec::<String>::new());
    assert_eq!(world.get(&world.bucket(), "user.s3.region").unwrap(), "us-east-1");
}
