//! Vaults in the engine: archives that are never overwritten and go only as the policies allow, whatever door is tried (VAULT).

use super::harness::*;
use crate::tamper::tamper;
use keyfold::index::Family;
use keyfold::model::{BucketId, BucketName, DirId, FileKind, Kind, Versioning};
use keyfold::store::{Archive, Condition, LockState, RenameHow, Store, Vault};
use serde_json::{Value, json};
use std::sync::Arc;

const DAY_MILLIS: i64 = 86_400_000;
const NAME: &str = "ledgers";
const BYTES: &[u8] = b"the books of a year";

fn policy(condition: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Sid": "worm", "Effect": "Deny", "Principal": "*",
        "Action": "glacier:DeleteArchive", "Resource": Vault::arn(NAME), "Condition": condition}]})
    .to_string()
}

fn a_year() -> String {
    policy(&json!({"NumericLessThanEquals": {"glacier:ArchiveAgeInDays": "365"}}))
}

fn made() -> (Home, Arc<Store>) {
    let home = Home::simulated();
    let store = home.open();
    make_bucket(&store, B);
    store.create_vault(NAME).unwrap();
    (home, store)
}

fn upload(store: &Arc<Store>, bytes: &[u8]) -> Archive {
    store.upload_archive(NAME, "books", &mut &*bytes).unwrap()
}

fn content(store: &Arc<Store>, id: &str) -> Vec<u8> {
    let (archive, content) = store.open_archive(NAME, id).unwrap();
    let mut bytes = vec![0; usize::try_from(archive.bytes).unwrap()];
    assert_eq!(content.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

/// The directory that the archives lie in, as nobody is told.
fn hidden_root(store: &Store) -> DirId {
    let found =
        (1..100).filter_map(|id| store.bucket_by_id(BucketId(id)).ok()).find(|bucket| bucket.name.vault().is_some());
    found.unwrap().root
}

#[test]
fn vault_2_vault_3_vault_5_a_lock_holds_through_crashes_until_the_age_it_names() {
    let (home, mut store) = made();
    let archive = upload(&store, BYTES);
    let big = pattern(9 << 20, 1);
    let other = upload(&store, &big);
    assert_ne!(archive.id, other.id);
    let (id, _) = store.initiate_vault_lock(NAME, &a_year()).unwrap();
    refused(store.delete_archive(NAME, &archive.id, false), Kind::Denied);
    store.complete_vault_lock(NAME, &id).unwrap();
    for day in [0, 1, 364] {
        drop(store);
        home.lose_power(day);
        home.forget();
        home.clock.advance_millis(i64::try_from(day).unwrap() * DAY_MILLIS);
        store = home.open();
        refused(store.delete_archive(NAME, &archive.id, false), Kind::Denied);
        refused(store.abort_vault_lock(NAME), Kind::Denied);
        refused(store.initiate_vault_lock(NAME, &a_year()), Kind::Denied);
        refused(store.delete_vault(NAME, false), Kind::InvalidArgument);
        assert_eq!(content(&store, &archive.id), BYTES);
        assert_eq!(content(&store, &other.id), big);
        fsck(&store);
    }
    home.clock.advance_millis(DAY_MILLIS);
    store.delete_archive(NAME, &archive.id, true).unwrap();
    assert_eq!(content(&store, &archive.id), BYTES);
    store.delete_archive(NAME, &archive.id, false).unwrap();
    refused(store.open_archive(NAME, &archive.id).map(|(archive, _)| archive), Kind::NoSuchVault);
    refused(store.delete_archive(NAME, &archive.id, false), Kind::NoSuchVault);
    // An archive that comes while the clock is set back is no older for that.
    home.clock.advance_millis(-400 * DAY_MILLIS);
    let late = upload(&store, b"late");
    home.clock.advance_millis(400 * DAY_MILLIS);
    refused(store.delete_archive(NAME, &late.id, false), Kind::Denied);
    fsck(&store);
}

#[test]
fn vault_3_vault_4_a_lock_that_is_not_completed_is_gone_after_a_day() {
    let (home, store) = made();
    let archive = upload(&store, BYTES);
    let (first, expires) = store.initiate_vault_lock(NAME, &a_year()).unwrap();
    assert_eq!(expires.secs - store.now().secs, 86_400);
    refused(store.initiate_vault_lock(NAME, &a_year()), Kind::Denied);
    home.clock.advance_millis(DAY_MILLIS + 1000);
    assert!(store.vault(NAME).unwrap().vault.lock_at(store.now()).is_none());
    refused(store.complete_vault_lock(NAME, &first), Kind::NoSuchVault);
    let (second, _) = store.initiate_vault_lock(NAME, &a_year()).unwrap();
    assert_ne!(first, second);
    refused(store.complete_vault_lock(NAME, &first), Kind::InvalidArgument);
    store.abort_vault_lock(NAME).unwrap();
    store.abort_vault_lock(NAME).unwrap();
    store.delete_archive(NAME, &archive.id, false).unwrap();
    let (third, _) = store.initiate_vault_lock(NAME, &a_year()).unwrap();
    store.complete_vault_lock(NAME, &third).unwrap();
    // VAULT-9
    store.complete_vault_lock(NAME, &third).unwrap();
    refused(store.complete_vault_lock(NAME, &second), Kind::Denied);
    let facts = store.vault(NAME).unwrap();
    assert!(matches!(facts.vault.lock_at(store.now()), Some((_, LockState::Locked))));
}

#[test]
fn vault_7_vault_8_no_other_door_leads_to_an_archive() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    store.create_vault(NAME).unwrap();
    let archive = upload(&store, BYTES);
    let hidden = BucketName::of_vault(NAME).unwrap();
    let name = hidden.as_str();
    // Nobody can say the name of what it lies in.
    refused(BucketName::parse(name), Kind::InvalidBucketName);
    refused(store.bucket(name), Kind::NoSuchBucket);
    refused(store.create_bucket(&hidden, &posix(FileKind::Directory)), Kind::BucketExists);
    refused(store.delete_bucket(name), Kind::NoSuchBucket);
    refused(store.get(name, &key(&archive.id), None), Kind::NoSuchBucket);
    refused(store.delete(name, &key(&archive.id), None, Condition::Always), Kind::NoSuchBucket);
    let over = store.put(name, &key(&archive.id), &mut &b"over"[..], &Default::default());
    refused(over, Kind::NoSuchBucket);
    refused(store.set_quota(name, Some(1)), Kind::NoSuchBucket);
    assert_eq!(store.buckets().unwrap().len(), 1);
    assert!(store.get(B, &key(&archive.id), None).is_err());
    // Who has the directory's number all the same is refused by every change.
    let root_of_vault = hidden_root(&store);
    refused(store.remove(root_of_vault, &archive.id), Kind::Locked);
    let how = RenameHow::Replace;
    put(&store, "o", b"o");
    refused(store.rename((root(&store), "o"), (root_of_vault, &archive.id), how), Kind::CrossBucket);
    refused(store.rename((root_of_vault, &archive.id), (root_of_vault, "x"), how), Kind::Locked);
    let found = file(&store, root_of_vault, &archive.id).object;
    let purged = store.delete_version(&[root_of_vault], &archive.id, found.version, found.seq);
    refused(purged, Kind::Locked);
    assert_eq!(content(&store, &archive.id), BYTES);
    // VAULT-8: what lies in S3's class is no archive of a vault.
    refused(store.open_archive(NAME, "o").map(|(archive, _)| archive), Kind::NoSuchVault);
    assert_eq!(store.archives(NAME, None).unwrap(), std::slice::from_ref(&archive));
    assert_eq!(store.archives(NAME, Some(&archive.id)).unwrap(), []);
    // Nor does making the index anew from the log, which knows no policies.
    drop(store);
    home.close();
    for dry_run in [true, false] {
        let built = Store::rebuild(home.dir.path(), home.options(), (0, 0), dry_run, &mut |_| {});
        refused(built, Kind::Locked);
    }
    let store = home.open();
    assert_eq!(content(&store, &archive.id), BYTES);
    reap(&store);
    compact(&store);
    assert_eq!(content(&store, &archive.id), BYTES);
}

#[test]
fn vault_1_vault_6_access_policy_and_tags() {
    let (_home, store) = made();
    let archive = upload(&store, BYTES);
    let held = policy(&json!({"StringEquals": {"glacier:ResourceTag/LegalHold": "true"}}));
    refused(store.set_vault_policy(NAME, Some("{}")), Kind::MalformedPolicy);
    refused(store.set_vault_policy(NAME, Some(&held.replace(NAME, "others"))), Kind::MalformedPolicy);
    store.set_vault_policy(NAME, Some(&held)).unwrap();
    store.delete_archive(NAME, &archive.id, true).unwrap();
    store.tag_vault(NAME, &[("LegalHold".to_owned(), "true".to_owned())], &[]).unwrap();
    refused(store.delete_archive(NAME, &archive.id, false), Kind::Denied);
    store.tag_vault(NAME, &[], &["LegalHold".to_owned()]).unwrap();
    store.delete_archive(NAME, &archive.id, true).unwrap();
    // A policy that denies everything still leaves itself to be removed, and a lock to be given up.
    let all = json!({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}).to_string();
    store.set_vault_policy(NAME, Some(&all)).unwrap();
    refused(store.vault(NAME).map(drop), Kind::Denied);
    refused(store.archives(NAME, None), Kind::Denied);
    refused(store.open_archive(NAME, &archive.id).map(drop), Kind::Denied);
    refused(store.upload_archive(NAME, "", &mut &b"x"[..]), Kind::Denied);
    refused(store.tag_vault(NAME, &[], &["x".to_owned()]), Kind::Denied);
    store.initiate_vault_lock(NAME, &all).unwrap();
    store.set_vault_policy(NAME, None).unwrap();
    refused(store.open_archive(NAME, &archive.id).map(drop), Kind::Denied);
    store.abort_vault_lock(NAME).unwrap();
    assert_eq!(content(&store, &archive.id), BYTES);
}

#[test]
fn vault_7_a_vault_goes_when_it_was_seen_empty_and_not_written_since() {
    let (home, store) = made();
    refused(store.create_vault(NAME), Kind::BucketExists);
    refused(store.create_vault("Bad_Name"), Kind::InvalidBucketName);
    refused(store.delete_vault("others", false), Kind::NoSuchVault);
    let archive = upload(&store, BYTES);
    let facts = store.vault(NAME).unwrap();
    assert_eq!((facts.archives, facts.bytes, facts.inventory), (1, BYTES.len() as u64, None));
    home.clock.advance_millis(DAY_MILLIS);
    refused(store.delete_vault(NAME, false), Kind::InvalidArgument);
    assert_eq!(store.vault(NAME).unwrap().inventory.unwrap().archives, 1);
    store.delete_archive(NAME, &archive.id, false).unwrap();
    assert_eq!(store.vault(NAME).unwrap().archives, 0);
    refused(store.delete_vault(NAME, false), Kind::InvalidArgument);
    home.clock.advance_millis(DAY_MILLIS);
    store.delete_vault(NAME, true).unwrap();
    store.delete_vault(NAME, false).unwrap();
    refused(store.vault(NAME).map(drop), Kind::NoSuchVault);
    store.create_vault(NAME).unwrap();
    store.delete_vault(NAME, false).unwrap();
    fsck(&store);
}

#[test]
fn an_upload_that_fails_leaves_no_archive() {
    struct Cut(usize);
    impl std::io::Read for Cut {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 > 100 { Err(std::io::Error::other("cut")) } else { Ok(buf.len()) }
        }
    }
    let (_home, store) = made();
    assert!(store.upload_archive(NAME, "", &mut Cut(0)).is_err());
    refused(store.upload_archive(NAME, "é", &mut &b"x"[..]), Kind::InvalidArgument);
    refused(store.upload_archive(NAME, &"x".repeat(1025), &mut &b"x"[..]), Kind::InvalidArgument);
    let most = store.upload_archive(NAME, &"x".repeat(1024), &mut &b""[..]).unwrap();
    assert_eq!(most.tree_hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(store.archives(NAME, None).unwrap(), [most]);
    fsck(&store);
}

#[test]
fn vault_5_a_vault_whose_record_is_lost_lets_nothing_go() {
    for spoiled in [true, false] {
        let (home, store) = Home::with_bucket(Versioning::Unversioned);
        store.create_vault(NAME).unwrap();
        let archive = upload(&store, BYTES);
        let (id, _) = store.initiate_vault_lock(NAME, &a_year()).unwrap();
        store.complete_vault_lock(NAME, &id).unwrap();
        let bucket = (1..100).filter_map(|id| store.bucket_by_id(BucketId(id)).ok());
        let mut bucket = bucket.into_iter().find(|bucket| bucket.name.vault().is_some()).unwrap();
        home.close();
        drop(store);
        tamper(home.dir.path(), |tx| {
            let key = [b"i", &bucket.id.0.to_be_bytes()[..]].concat();
            if spoiled {
                bucket.documents.insert("vault".to_owned(), "{".to_owned());
                tx.put(Family::Bucket, &key, &bucket);
            } else {
                tx.delete(Family::Bucket, &key);
            }
        });
        let store = home.open();
        if !spoiled {
            assert!(!store.repair(false, &mut |_| {}).unwrap().is_empty());
        }
        home.clock.advance_millis(1000 * DAY_MILLIS);
        assert!(store.vault(NAME).unwrap().vault.sealed);
        refused(store.delete_archive(NAME, &archive.id, false), Kind::Denied);
        refused(store.upload_archive(NAME, "", &mut &b"x"[..]), Kind::Denied);
        refused(store.initiate_vault_lock(NAME, &a_year()), Kind::Denied);
        refused(store.set_vault_policy(NAME, None), Kind::Denied);
        refused(store.delete_vault(NAME, false), Kind::Denied);
        assert!(store.bucket("ledgers_vault").is_err());
        assert_eq!(content(&store, &archive.id), BYTES);
        fsck(&store);
    }
}

#[test]
fn vault_8_the_feed_tells_nothing_of_vaults_and_others_of_the_rest() {
    let (_home, store) = made();
    let archive = upload(&store, BYTES);
    put(&store, "o", b"o");
    store.delete_archive(NAME, &archive.id, false).unwrap();
    let told: Vec<_> = store.changes(0, 100).unwrap().into_iter().map(|(_, change)| change.key).collect();
    assert_eq!(told, ["o"]);
}

#[test]
fn vault_6_tags_that_policies_could_not_tell_apart_are_refused() {
    let (_home, store) = made();
    let tag = |key: &str| store.tag_vault(NAME, &[(key.to_owned(), "true".to_owned())], &[]);
    tag("LegalHold").unwrap();
    refused(tag("LEGALHOLD"), Kind::InvalidTag);
    tag("LegalHold").unwrap();
    tag("Other").unwrap();
}

#[test]
fn vault_5_older_releases_do_not_open_a_store_with_vaults() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let format = || std::fs::read_to_string(home.dir.path().join("FORMAT")).unwrap();
    assert!(!format().contains("vaults"));
    store.create_vault(NAME).unwrap();
    store.create_vault("others").unwrap();
    assert_eq!(format().matches("\"vaults\"").count(), 1);
    drop(store);
    home.close();
    home.open().vault(NAME).unwrap();
}
