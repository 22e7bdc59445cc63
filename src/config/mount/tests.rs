//! Mount options: what fstab, mount(8) and people write.

use super::{Atime, Durability, MountSettings, WORDS, Word, XattrList, split};
use crate::model::{BucketName, Kind, Result, Timestamp};
use std::collections::HashSet;
use std::time::Duration;

fn parse(options: &str) -> Result<MountSettings> {
    MountSettings::parse([options])
}

/// The one error's reason.
fn complaint(options: &str) -> String {
    parse(options).unwrap_err().reason().to_owned()
}

#[test]
fn nothing_said_is_the_default() {
    for nothing in
        ["", ",", "rw", "defaults,_netdev,nofail,x-systemd.automount,X-mount.mkdir,comment=a\\,b,user=jo,noauto"]
    {
        assert_eq!(parse(nothing).unwrap(), MountSettings::default(), "{nothing}");
    }
    assert_eq!(MountSettings::parse([]).unwrap(), MountSettings::default());
}

#[test]
fn every_option_is_taken() {
    let got = MountSettings::parse([
        "bucket=photos/2024/05,ro,allow_other,default-permissions,uid=1000,gid=100,umask=022,fmask=0133,noatime",
        "durability=close,publish_interval=5m,xattr-list=all,versions_dir=.old,control_dir=.ctl,show_hidden",
        "fsname=my store,subtype=kf,dev,suid,noexec,threads=4,as_of=2026-01-02T03:04:05Z",
    ])
    .unwrap();
    let want = MountSettings {
        bucket: Some((BucketName::parse("photos").unwrap(), "2024/05/".into())),
        as_of: Some(Timestamp::new(1_767_323_045, 0)),
        read_only: true,
        allow_other: true,
        default_permissions: true,
        uid: Some(1000),
        gid: Some(100),
        fmask: Some(0o133),
        dmask: Some(0o022),
        atime: Atime::Never,
        durability: Durability::Close,
        publish_interval: Some(Duration::from_secs(300)),
        xattr_list: XattrList::All,
        reserved: crate::vfs::spelling::Reserved::new(".old", ".ctl").unwrap(),
        show_hidden: true,
        fsname: Some("my store".into()),
        subtype: "kf".into(),
        dev: true,
        suid: true,
        exec: false,
        threads: Some(4),
        ..MountSettings::default()
    };
    assert_eq!(got, want);
}

#[test]
fn the_last_word_wins_but_the_past_stays_read_only() {
    let settings = parse("ro,rw,noexec,exec,noatime,strictatime,uid=1,uid=2,allow_root").unwrap();
    assert!(!settings.read_only && settings.exec && settings.allow_root);
    assert_eq!((settings.atime, settings.uid), (Atime::Always, Some(2)));
    assert!(parse("as_of=2026-01-02T03:04:05Z,rw").unwrap().read_only);
}

#[test]
fn key_9_prefixes_keep_their_slashes() {
    for (text, prefix) in
        [("abc", ""), ("abc/", ""), ("abc/x", "x/"), ("abc/x/", "x/"), ("abc//", "/"), ("abc/x//y", "x//y/")]
    {
        assert_eq!(parse(&format!("bucket={text}")).unwrap().bucket.unwrap().1, prefix, "{text}");
    }
    assert!(complaint(&format!("bucket=abc/{}", "x".repeat(1024))).contains("1024"));
}

#[test]
fn commas_stand_in_values_after_a_backslash_or_between_quotes() {
    for text in [r"fsname=a\,b\\", r#"fsname="a,b\\""#, r#""fsname=a,b\\""#] {
        assert_eq!(parse(text).unwrap().fsname.as_deref(), Some(r"a,b\"), "{text}");
    }
    assert_eq!(
        split(r#"a="say ""hi"", x"y,b==,c"#).unwrap(),
        [("a".into(), Some("say \"hi\", xy".into())), ("b".into(), Some("=".into())), ("c".into(), None),]
    );
    assert!(complaint("fsname=\"a,ro").contains("quote"));
    assert!(complaint("fsname=a\\").contains("backslash"));
}

#[test]
fn an_unknown_word_names_the_nearest() {
    for (word, hint) in [
        ("alow_other", "allow_other"),
        ("no_atime", "noatime"),
        ("allow", "allow_other"),
        ("durabilty=close", "durability"),
        ("publish=1h", "publish_interval"),
        ("nofial", "nofail"),
        ("RO", "ro"),
        ("show-hiden", "show_hidden"),
    ] {
        let reason = complaint(word);
        assert!(reason.contains(&format!("the nearest is {hint:?}")), "{word}: {reason}");
    }
}

#[test]
fn all_complaints_come_at_once() {
    let error = MountSettings::parse([
        "uid=jo,umask=888,ro=1,bucket=Abc,nonsense,as_of=yesterday",
        "threads=0,publish_interval=10,xattr_list=some,gid,versions_dir=..,allow_other,allow_root,s3=:9000",
    ])
    .unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    let reasons: Vec<_> = error.reason().split("; ").collect();
    assert_eq!(reasons.len(), 13, "{error}");
    for (reason, start) in
        reasons.iter().zip(["uid=", "umask=", "ro takes", "bucket=", "there is no", "as_of=", "threads="])
    {
        assert!(reason.starts_with(start), "{reason}");
    }
}

#[test]
fn what_this_release_lacks_is_unsupported() {
    for options in ["remount,ro", "sync", "auto_unmount"] {
        let error = parse(options).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.reason().contains("not in this release"), "{error}");
    }
}

#[test]
fn an_endpoint_is_an_address_with_a_port() {
    let address = |text: &str| parse(text).unwrap().endpoint.s3.unwrap().to_string();
    assert_eq!(address("s3=127.0.0.1:9000"), "127.0.0.1:9000");
    assert_eq!(address("s3=localhost:0"), "127.0.0.1:0");
    assert_eq!(address("s3=[::1]:9000"), "[::1]:9000");
    for bad in ["s3", "s3=9000", "s3=:9000", "s3=example.com:9000", "s3=127.0.0.1", "s3=127.0.0.1:65536"] {
        assert_eq!(parse(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
    }
}

#[test]
fn an_endpoint_has_a_certificate_by_whole_paths() {
    let endpoint =
        parse("s3=127.0.0.1:0,s3_cert=/etc/k/cert.pem,s3-key=/etc/k/key.pem,admin=127.0.0.1:9001").unwrap().endpoint;
    assert_eq!(endpoint.certificate, Some("/etc/k/cert.pem".into()));
    assert_eq!(endpoint.key, Some("/etc/k/key.pem".into()));
    assert_eq!(endpoint.admin, Some(([127, 0, 0, 1], 9001).into()));
    for bad in [
        "s3=127.0.0.1:0,s3_cert=cert.pem,s3_key=/k/key.pem",
        "s3=127.0.0.1:0,s3_cert=/k/cert.pem",
        "s3_cert=/k/cert.pem,s3_key=/k/key.pem",
        "admin=0.0.0.0:9001",
    ] {
        assert_eq!(parse(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
    }
}

#[test]
fn values_are_bounded() {
    for bad in [
        "uid=4294967295",
        "gid=-1",
        "umask=1000",
        "fmask=+7",
        "threads=65",
        "publish_interval=999ms",
        "control_dir=a/b",
        "fsname=",
        "versions_dir=.keyfold",
        "durability=CLOSE",
        "umask",
    ] {
        assert_eq!(parse(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
    }
}

#[test]
fn the_table_of_words_is_in_order() {
    let names: HashSet<_> = WORDS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), WORDS.len(), "each word once");
    assert!(WORDS.iter().all(|(name, _)| !name.contains('-')), "names are looked up with underscores");
    assert!(WORDS.iter().any(|(_, word)| matches!(word, Word::Unsupported(_))));
}
