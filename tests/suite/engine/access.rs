//! Users, access keys and what they may do, and what of them outlives damage, removal and a look from outside.

use super::harness::{B, Home, fsck};
use crate::tamper::tamper;
use keyfold::access::{Access, Endpoint, Presign, Principal, Resource};
use keyfold::index::{Family, Read};
use keyfold::model::{
    AccessKey, BucketName, FileKind, Ino, Kind, ObjectKey, Posix, Result, Timestamp, UserName, parse_rfc3339,
};
use keyfold::store::{ACCESS_KEY_FILE, Options, PosixChange, Store};
use keyfold::sys::entropy::SystemEntropy;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

const GET: &str = "s3:GetObject";
const LIST: &str = "s3:ListAllMyBuckets";

/// Numbers that no machine gives a user who runs tests.
const ANNA: (u32, u32) = (70_001, 70_101);
const BERT: (u32, u32) = (70_002, 70_102);

fn access(store: &Arc<Store>) -> Access {
    Access::new(Arc::clone(store), Arc::new(SystemEntropy))
}

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn bucket(store: &Store, name: &str, uid: u32) {
    let posix = Posix::new(FileKind::Directory, 0o755, uid, uid, store.now());
    store.create_bucket(&BucketName::parse(name).unwrap(), &posix).unwrap();
}

fn kind<T>(result: Result<T>) -> Kind {
    result.err().unwrap().kind()
}

#[test]
fn auth_1_auth_6_a_key_is_taken_while_it_is_enabled_and_its_user_is_there() {
    let home = Home::new();
    let store = home.open();
    let (door, verb) = (access(&store), access(&store));
    let own = verb.create_key(None).unwrap();
    let (id, secret) = (own.id.as_str(), own.secret.clone());
    assert_eq!(door.credential(id).unwrap().unwrap(), own);
    assert_eq!((own.principal.clone(), secret.expose().len(), id.len()), (Principal::Owner, 40, 20));
    // What a verb changes holds for the next request.
    verb.enable_key(id, false).unwrap();
    assert_eq!(door.credential(id).unwrap(), None);
    verb.enable_key(id, true).unwrap();
    assert_eq!(door.credential(id).unwrap().unwrap().secret, secret);
    verb.delete_key(id).unwrap();
    assert_eq!(door.credential(id).unwrap(), None);
    for gone in [kind(verb.delete_key(id)), kind(verb.enable_key(id, true)), kind(verb.key("nonsense"))] {
        assert_eq!(gone, Kind::NoSuchEntity);
    }
    for none in ["", "KF", "../access.key", "KF234567ABCDEFGHIJKL", &"K".repeat(5000)] {
        assert_eq!(door.credential(none).unwrap(), None, "{none}");
    }

    verb.add_user(&name("anna"), ANNA, false).unwrap();
    let hers = verb.create_key(Some(&name("anna"))).unwrap();
    let (uid, gid) = ANNA;
    let anna = Principal::User { name: name("anna"), uid, gid, makes_buckets: false };
    assert_eq!(door.credential(&hers.id).unwrap().unwrap().principal, anna);
    assert_eq!(
        (anna.arn().unwrap().as_str(), door.posix(&anna).unwrap()),
        ("arn:aws:iam::000000000000:user/anna", ANNA)
    );
    assert_eq!(verb.remove_user(&name("anna")).unwrap(), 1);
    assert_eq!(door.credential(&hers.id).unwrap(), None);
    // Another of the name is somebody else.
    verb.add_user(&name("anna"), BERT, false).unwrap();
    assert_eq!(door.credential(&hers.id).unwrap(), None);
    assert_eq!(kind(verb.create_key(Some(&name("nobody")))), Kind::NoSuchEntity);
}

#[test]
fn auth_1_keys_outlive_the_process_and_no_two_are_alike() {
    let home = Home::new();
    let store = home.open();
    let made: Vec<_> = (0..50).map(|_| access(&store).create_key(None).unwrap()).collect();
    let ids: BTreeSet<_> = made.iter().map(|key| key.id.clone()).collect();
    let secrets: BTreeSet<_> = made.iter().map(|key| key.secret.expose().to_owned()).collect();
    assert_eq!((ids.len(), secrets.len()), (50, 50));
    let nonces: BTreeSet<_> = access(&store).keys().unwrap().into_iter().map(|(_, key)| key.nonce).collect();
    assert_eq!(nonces.len(), 50);
    drop(store);
    let store = home.open();
    for key in made {
        assert_eq!(access(&store).credential(&key.id).unwrap().unwrap(), key);
    }
    fsck(&store);
}

#[test]
fn users_have_names_and_uids_of_their_own() {
    let home = Home::new();
    let store = home.open();
    let access = access(&store);
    access.add_user(&name("anna"), ANNA, true).unwrap();
    assert_eq!(kind(access.add_user(&name("anna"), BERT, true)), Kind::AlreadyExists);
    assert_eq!(kind(access.add_user(&name("bert"), ANNA, true)), Kind::AlreadyExists);
    // Who may do everything is no user.
    let owner = access.posix(&Principal::Owner).unwrap();
    assert_eq!(kind(access.add_user(&name("root"), (0, 0), true)), Kind::InvalidArgument);
    assert_eq!(kind(access.add_user(&name("own"), owner, true)), Kind::InvalidArgument);
    access.add_user(&name("bert"), BERT, false).unwrap();
    let listed: Vec<_> = access.users().unwrap().into_iter().map(|(name, user)| (name.to_string(), user.uid)).collect();
    assert_eq!(listed, [("anna".to_owned(), ANNA.0), ("bert".to_owned(), BERT.0)]);
    access.remove_user(&name("bert")).unwrap();
    assert_eq!(kind(access.remove_user(&name("bert"))), Kind::NoSuchEntity);
    assert_eq!(kind(access.posix(&Principal::Anonymous)), Kind::Denied);
}

#[test]
fn iam_3_iam_16_a_user_has_the_buckets_of_the_users_uid_and_no_others() {
    let home = Home::new();
    let store = home.open();
    let access = access(&store);
    access.add_user(&name("anna"), ANNA, false).unwrap();
    let anna = access.create_key(Some(&name("anna"))).unwrap().principal;
    bucket(&store, "hers", ANNA.0);
    bucket(&store, "others", BERT.0);
    let seen = |who: &Principal| -> Vec<String> {
        access.buckets(who).unwrap().iter().map(|bucket| bucket.name.to_string()).collect()
    };
    assert_eq!(
        (seen(&Principal::Owner), seen(&anna)),
        (vec!["hers".to_owned(), "others".to_owned()], vec!["hers".to_owned()])
    );
    assert_eq!(kind(access.buckets(&Principal::Anonymous)), Kind::Denied);
    let may = |who: &Principal, on: Resource<'_>| access.authorize(who, GET, on).map_err(|error| error.kind());
    for on in [Resource::Bucket("hers"), Resource::Object("hers", "k")] {
        assert_eq!((may(&anna, on), may(&Principal::Owner, on)), (Ok(()), Ok(())));
        assert_eq!(may(&Principal::Anonymous, on), Err(Kind::Denied));
    }
    // Whether the key is there makes no difference.
    store.put("others", &ObjectKey::parse("k").unwrap(), &mut &b"x"[..], &Default::default()).unwrap();
    let told = |key| access.authorize(&anna, GET, Resource::Object("others", key)).unwrap_err().to_string();
    assert_eq!(told("k"), told("n").replace("others/n", "others/k"));
    assert_eq!(may(&anna, Resource::Object("others", "k")), Err(Kind::Denied));
    assert_eq!(may(&anna, Resource::Bucket("none")), Err(Kind::NoSuchBucket));
    assert_eq!(access.authorize(&anna, LIST, Resource::Account).map_err(|error| error.kind()), Ok(()));
    // `chown` on a mount gives a bucket away.
    let root = store.bucket("others").unwrap().root;
    let given = PosixChange { uid: Some(ANNA.0), ..PosixChange::default() };
    store.set_posix((root, ""), Ino(root.0), &given).unwrap();
    assert_eq!((may(&anna, Resource::Object("others", "k")), seen(&anna).len()), (Ok(()), 2));
}

#[test]
fn secrets_are_not_to_be_found_on_the_disk_without_the_key_file() {
    let home = Home::new();
    let store = home.open();
    let made = access(&store).create_key(None).unwrap();
    drop(store);
    home.close();
    let path = home.dir.path().join(ACCESS_KEY_FILE);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut open = vec![home.dir.path().to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let secret = made.secret.expose().as_bytes();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{}", path.display());
        }
    }

    // Gone, the keys are dead, and told of; no new one is sealed beside them.
    let aside = home.dir.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    let store = home.open();
    let door = access(&store);
    assert_eq!(kind(door.credential(&made.id)), Kind::Corrupt);
    assert_eq!(kind(door.create_key(None)), Kind::Corrupt);
    // Back in its place it is used at once.
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(door.credential(&made.id).unwrap().unwrap(), made);
    // Without keys nothing needs the old file.
    std::fs::remove_file(&path).unwrap();
    door.delete_key(&made.id).unwrap();
    let new = door.create_key(None).unwrap();
    assert_eq!(door.credential(&new.id).unwrap().unwrap(), new);
}

/// Who can write to the index, and has no key file, cannot give a secret that he knows to somebody else.
#[test]
fn a_sealed_secret_is_one_keys_and_one_users() {
    let home = Home::new();
    let store = home.open();
    let verb = access(&store);
    verb.add_user(&name("anna"), ANNA, false).unwrap();
    let (own, hers) = (verb.create_key(None).unwrap(), verb.create_key(Some(&name("anna"))).unwrap());
    drop((verb, store));
    home.close();
    tamper(home.dir.path(), |tx| {
        let record = |id: &str| tx.record::<AccessKey>(Family::AccessKey, id.as_bytes()).unwrap().unwrap();
        let (was, known) = (record(&own.id), record(&hers.id));
        tx.put(
            Family::AccessKey,
            own.id.as_bytes(),
            &AccessKey { nonce: known.nonce, sealed: known.sealed.clone(), ..was },
        );
        tx.put(Family::AccessKey, hers.id.as_bytes(), &AccessKey { user: None, ..known });
    });
    let store = home.open();
    for id in [&own.id, &hers.id] {
        assert_eq!(kind(access(&store).credential(id)), Kind::Corrupt);
    }
}

#[test]
fn a_backup_of_a_store_without_users_is_read() {
    let home = Home::new();
    home.open();
    home.close();
    // As a release has left it that knew no users.
    let families = Family::ALL.iter().map(|family| family.name()).chain(["default"]);
    let mut db = rocksdb::DB::open_cf(&rocksdb::Options::default(), home.dir.path().join("meta"), families).unwrap();
    for family in [Family::User, Family::AccessKey] {
        db.drop_cf(family.name()).unwrap();
    }
    drop(db);
    let options = Options { read_only: true, ..home.options() };
    let store = Store::open(home.dir.path(), options).unwrap();
    let door = access(&store);
    assert_eq!((door.users().unwrap(), door.keys().unwrap()), (vec![], vec![]));
    assert_eq!(door.credential("KF234567ABCDEFGHIJKL").unwrap(), None);
    assert_eq!(kind(door.create_key(None)), Kind::ReadOnly);
    assert!(!home.dir.path().join(ACCESS_KEY_FILE).exists());
    store.close().unwrap();
    drop((door, store));
    let store = home.open();
    access(&store).create_key(None).unwrap();
    fsck(&store);
}

#[test]
fn auth_4_auth_6_a_presigned_url_names_its_signer_and_its_end() {
    let home = Home::new();
    let store = home.open();
    bucket(&store, B, 0);
    let key = access(&store).create_key(None).unwrap();
    let endpoint = Endpoint::parse("http://127.0.0.1:9000").unwrap();
    let presign = Presign {
        method: "PUT",
        endpoint: &endpoint,
        region: "eu-central-1",
        bucket: B,
        key: "a b/ü?.txt",
        version: Some("null"),
        expires: Duration::from_secs(60),
    };
    let at = |now: Timestamp| presign.url(&key, now).unwrap();
    let now = parse_rfc3339("2026-11-23T06:30:00.999Z").unwrap();
    let start = format!(
        "http://127.0.0.1:9000/bucket/a%20b/%C3%BC%3F.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F20261123\
         %2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Date=20261123T063000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host\
         &versionId=null&X-Amz-Signature=",
        key.id
    );
    assert!(at(now).starts_with(&start), "{}", at(now));
    assert_eq!(at(now).len(), start.len() + 64);
    assert_ne!(at(now), at(Timestamp::new(now.secs + 1, 0)));
    assert_ne!(at(now), Presign { method: "GET", ..presign }.url(&key, now).unwrap());
}
