//! MFA delete: what needs a code, whose, and that one is taken once (MFA).

use super::harness::*;
use keyfold::access::{Access, Principal, serial};
use keyfold::crypto::totp;
use keyfold::model::Versioning::{Enabled, Suspended};
use keyfold::model::{Kind, Leave, UserName};
use keyfold::store::{Condition, DeleteOne, Document, Store};
use keyfold::sys::entropy::SystemEntropy;
use std::sync::Arc;

const CODE: Leave = Leave { governance: false, mfa: true };
const NONE: Leave = Leave { governance: false, mfa: false };

fn access(store: &Arc<Store>) -> Access {
    Access::new(Arc::clone(store), Arc::new(SystemEntropy))
}

/// What base32 stands for.
fn plain(text: &str) -> Vec<u8> {
    let letter = |byte: u8| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".bytes().position(|other| other == byte).unwrap();
    let bits: Vec<usize> = text.bytes().flat_map(|byte| (0..5).rev().map(move |bit| letter(byte) >> bit & 1)).collect();
    bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | *bit as u8)).collect()
}

fn code(secret: &[u8], store: &Store, steps: i64) -> String {
    let step = store.now().secs / 30 + steps;
    format!("{:06}", totp(secret, u64::try_from(step).unwrap()))
}

#[test]
fn mfa_3_mfa_4_mfa_5_a_code_is_the_roots_and_is_taken_once() {
    let home = Home::new();
    let mut store = home.open();
    let phone = UserName::parse("phone").unwrap();
    let made = access(&store).create_device(&phone).unwrap();
    assert_eq!(made.serial, serial(&phone));
    assert!(made.uri.expose().starts_with("otpauth://totp/") && made.uri.expose().contains(made.secret.expose()));
    let secret = plain(made.secret.expose());
    assert_eq!(secret.len(), 20);
    assert_eq!(access(&store).create_device(&phone).err().unwrap().kind(), Kind::AlreadyExists);
    let take = |store: &Arc<Store>, serial: &str, code: &str| {
        access(store).take_code(&Principal::Owner, &format!("{serial} {code}")).map_err(|error| error.kind())
    };
    let now = code(&secret, &store, 0);
    // MFA-3: nobody else's.
    let anna = Principal::User { name: UserName::parse("anna").unwrap(), uid: 7, gid: 7, makes_buckets: true };
    for who in [anna, Principal::Anonymous] {
        let taken = access(&store).take_code(&who, &format!("{} {now}", made.serial));
        assert_eq!(taken.unwrap_err().kind(), Kind::Denied);
    }
    let wrong = format!("{:06}", (now.parse::<u32>().unwrap() + 1) % 1_000_000);
    for (serial, code) in [
        (made.serial.as_str(), wrong.as_str()),
        ("arn:aws:iam::000000000000:mfa/other", &now),
        ("", &now),
        (&made.serial, ""),
        (&made.serial, &now[1..]),
        (&made.serial, &format!(" {now}")),
        (&made.serial, &format!("+{}", &now[1..])),
        (&made.serial, &code(&secret, &store, 2)),
        (&made.serial, &code(&secret, &store, -2)),
    ] {
        assert_eq!(take(&store, serial, code), Err(Kind::Denied), "{serial} {code}");
    }
    // MFA-5: once, also after a crash; the one before it never after it.
    let before = code(&secret, &store, -1);
    take(&store, &made.serial, &now).unwrap();
    for again in [&now, &before] {
        assert_eq!(take(&store, &made.serial, again), Err(Kind::Denied));
    }
    drop(store);
    store = home.open();
    assert_eq!(take(&store, &made.serial, &now), Err(Kind::Denied));
    home.clock.advance_millis(30_000);
    take(&store, "phone", &code(&secret, &store, 0)).unwrap();
    store.delete_mfa_device(&phone).unwrap();
    home.clock.advance_millis(30_000);
    assert_eq!(take(&store, &made.serial, &code(&secret, &store, 0)), Err(Kind::Denied));
    refused(store.delete_mfa_device(&phone), Kind::NoSuchEntity);
    fsck(&store);
}

#[test]
fn mfa_1_mfa_2_what_needs_a_code_and_what_does_not() {
    let (_home, store) = Home::with_bucket(Enabled);
    let first = put(&store, "f", b"one");
    refused(store.set_versioning_with(B, Enabled, Some(true), NONE), Kind::Denied);
    assert_eq!(store.bucket(B).unwrap().mfa_delete, None);
    store.set_versioning_with(B, Enabled, Some(true), CODE).unwrap();
    // Reads, writes and markers need none (MFA-2).
    put(&store, "f", b"two");
    let marker = delete(&store, "f").version.unwrap();
    assert_eq!(versions(&store, "f").len(), 3);
    for version in [first.version, marker] {
        let one = |leave| DeleteOne { key: key("f"), version: Some(version), condition: Condition::Always, leave };
        refused(store.delete_with(B, &one(NONE)), Kind::Denied);
        let place = versions(&store, "f").iter().find(|found| found.version == version).unwrap().seq;
        refused(store.delete_version(&[root(&store)], "f", version, place), Kind::Denied);
        store.delete_with(B, &one(CODE)).unwrap();
    }
    assert_eq!(get(&store, "f").unwrap(), b"two");
    delete(&store, "f");
    refused(store.undelete(&[root(&store)], "f"), Kind::Denied);
    for (to, mfa) in [(Suspended, None), (Enabled, Some(false)), (Suspended, Some(true))] {
        refused(store.set_versioning_with(B, to, mfa, NONE), Kind::Denied);
    }
    // MFA-8: told once it was said.
    let document = Document::named("versioning").unwrap();
    let told = |store: &Store| document.read(store, &store.bucket(B).unwrap()).unwrap();
    assert!(told(&store).contains("\"MFADelete\": \"Enabled\""), "{}", told(&store));
    let off = br#"{"Status":"Enabled","MFADelete":"Disabled"}"#;
    refused(document.replace(&store, &store.bucket(B).unwrap(), off), Kind::Denied);
    refused(document.replace(&store, &store.bucket(B).unwrap(), br#"{"MFADelete":"Disabled"}"#), Kind::InvalidArgument);
    document.replace_with(&store, &store.bucket(B).unwrap(), off, CODE).unwrap();
    assert!(told(&store).contains("\"MFADelete\": \"Disabled\""));
    purge(&store, "f", marker);
    fsck(&store);
}

#[test]
fn mfa_7_lifecycle_rules_and_mfa_delete_exclude_each_other() {
    let (_home, store) = Home::with_bucket(Enabled);
    store.set_document(B, "lifecycle", Some("{}".to_owned())).unwrap();
    refused(store.set_versioning_with(B, Enabled, Some(true), CODE), Kind::InvalidState);
    store.set_document(B, "lifecycle", None).unwrap();
    store.set_versioning_with(B, Enabled, Some(true), CODE).unwrap();
    refused(store.set_document(B, "lifecycle", Some("{}".to_owned())), Kind::InvalidState);
    store.set_document(B, "tagging", Some("{\"TagSet\":[]}".to_owned())).unwrap();
    store.set_versioning_with(B, Enabled, Some(false), CODE).unwrap();
    store.set_document(B, "lifecycle", Some("{}".to_owned())).unwrap();
}

#[test]
fn mfa_4_codes_cannot_be_guessed_one_after_the_other() {
    let home = Home::new();
    let mut store = home.open();
    let made = access(&store).create_device(&UserName::parse("phone").unwrap()).unwrap();
    let secret = plain(made.secret.expose());
    let take = |store: &Arc<Store>, code: &str| {
        access(store)
            .take_code(&Principal::Owner, &format!("{} {code}", made.serial))
            .map_err(|error| error.to_string())
    };
    for _ in 0..5 {
        assert!(take(&store, &code(&secret, &store, 7)).unwrap_err().contains("shows"), "no wait yet");
    }
    // Also the right one, and also after a restart, until the time is over.
    drop(store);
    store = home.open();
    let refused = take(&store, &code(&secret, &store, 0)).unwrap_err();
    assert!(refused.contains("5 wrong codes") && refused.contains("wait 10 seconds"), "{refused}");
    home.clock.advance_millis(10_000);
    assert!(take(&store, &code(&secret, &store, 7)).unwrap_err().contains("shows"));
    home.clock.advance_millis(19_000);
    assert!(take(&store, &code(&secret, &store, 0)).unwrap_err().contains("wait 1 seconds"));
    home.clock.advance_millis(1000);
    take(&store, &code(&secret, &store, 0)).unwrap();
    home.clock.advance_millis(60_000);
    assert!(take(&store, &code(&secret, &store, 7)).unwrap_err().contains("shows"), "the count began anew");
    take(&store, &code(&secret, &store, 0)).unwrap();
}
