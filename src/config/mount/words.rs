//! The words of `-o`: one table says what each means; parsing and hints derive from it.

use super::{Atime, Durability, Raw, XattrList};
use crate::config::{parse_address, parse_local_address};
use crate::model::{BucketName, Error, Kind, ObjectKey, Result, parse_duration, parse_rfc3339};
use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

/// Most threads that may serve one mount.
const THREADS_MAX: usize = 64;

/// What a word does.
pub(super) enum Word {
    /// Means something to fstab, mount(8) or systemd, nothing here.
    Ignored,
    /// Stands alone.
    Flag(fn(&mut Raw)),
    /// Its value's shape, and what takes it.
    Value(&'static str, fn(&mut Raw, &str) -> Result<()>),
    /// Not in this release, and what to do instead.
    Unsupported(&'static str),
}

use Word::{Flag, Ignored, Unsupported, Value};

/// Every word, by its name with underscores.
pub(super) const WORDS: &[(&str, Word)] = &[
    ("bucket", Value("NAME[/PREFIX]", |raw, text| set(&mut raw.settings.bucket, bucket(text)))),
    ("as_of", Value("TIME", |raw, text| set(&mut raw.settings.as_of, parse_rfc3339(text)))),
    ("ro", Flag(|raw| raw.settings.read_only = true)),
    ("rw", Flag(|raw| raw.settings.read_only = false)),
    ("allow_other", Flag(|raw| raw.settings.allow_other = true)),
    ("allow_root", Flag(|raw| raw.settings.allow_root = true)),
    ("default_permissions", Flag(|raw| raw.settings.default_permissions = true)),
    ("uid", Value("NUMBER", |raw, text| set(&mut raw.settings.uid, id(text)))),
    ("gid", Value("NUMBER", |raw, text| set(&mut raw.settings.gid, id(text)))),
    ("umask", Value("OCTAL", |raw, text| set(&mut raw.umask, mask(text)))),
    ("fmask", Value("OCTAL", |raw, text| set(&mut raw.settings.fmask, mask(text)))),
    ("dmask", Value("OCTAL", |raw, text| set(&mut raw.settings.dmask, mask(text)))),
    ("atime", Flag(|raw| raw.settings.atime = Atime::Relative)),
    ("noatime", Flag(|raw| raw.settings.atime = Atime::Never)),
    ("relatime", Flag(|raw| raw.settings.atime = Atime::Relative)),
    ("norelatime", Flag(|raw| raw.settings.atime = Atime::Always)),
    ("strictatime", Flag(|raw| raw.settings.atime = Atime::Always)),
    ("nostrictatime", Flag(|raw| raw.settings.atime = Atime::Relative)),
    (
        "durability",
        Value("fsync|close", |raw, text| {
            raw.settings.durability = one_of(text, &[("fsync", Durability::Fsync), ("close", Durability::Close)])?;
            Ok(())
        }),
    ),
    ("publish_interval", Value("DURATION", |raw, text| set(&mut raw.settings.publish_interval, interval(text)))),
    (
        "xattr_list",
        Value("copy|user|all", |raw, text| {
            let words = [("copy", XattrList::Copy), ("user", XattrList::User), ("all", XattrList::All)];
            raw.settings.xattr_list = one_of(text, &words)?;
            Ok(())
        }),
    ),
    ("versions_dir", Value("NAME", |raw, text| set(&mut raw.versions_dir, Ok(text.to_owned())))),
    ("control_dir", Value("NAME", |raw, text| set(&mut raw.control_dir, Ok(text.to_owned())))),
    ("show_hidden", Flag(|raw| raw.settings.show_hidden = true)),
    ("fsname", Value("TEXT", |raw, text| set(&mut raw.settings.fsname, Ok(text.to_owned())))),
    (
        "subtype",
        Value("TEXT", |raw, text| {
            text.clone_into(&mut raw.settings.subtype);
            Ok(())
        }),
    ),
    ("dev", Flag(|raw| raw.settings.dev = true)),
    ("nodev", Flag(|raw| raw.settings.dev = false)),
    ("suid", Flag(|raw| raw.settings.suid = true)),
    ("nosuid", Flag(|raw| raw.settings.suid = false)),
    ("exec", Flag(|raw| raw.settings.exec = true)),
    ("noexec", Flag(|raw| raw.settings.exec = false)),
    ("threads", Value("NUMBER", |raw, text| set(&mut raw.settings.threads, threads(text)))),
    ("s3", Value("IP:PORT", |raw, text| set(&mut raw.settings.endpoint.s3, parse_address(text)))),
    ("s3_cert", Value("FILE", |raw, text| set(&mut raw.settings.endpoint.certificate, whole_path(text)))),
    ("s3_key", Value("FILE", |raw, text| set(&mut raw.settings.endpoint.key, whole_path(text)))),
    ("admin", Value("IP:PORT", |raw, text| set(&mut raw.settings.endpoint.admin, parse_local_address(text)))),
    ("remount", Unsupported("changing a mount is not in this release: unmount it and mount it anew")),
    ("sync", Unsupported("it is not in this release: durability=close is nearest")),
    ("dirsync", Unsupported("it is not in this release: fsync of the directory does it")),
    ("auto_unmount", Unsupported("it is not in this release: `keyfold umount` clears what a killed mount leaves")),
    ("max_read", Unsupported("it is not in this release: reads have the kernel's largest size")),
    ("auto", Ignored),
    ("noauto", Ignored),
    ("user", Ignored),
    ("users", Ignored),
    ("nouser", Ignored),
    ("owner", Ignored),
    ("noowner", Ignored),
    ("group", Ignored),
    ("nogroup", Ignored),
    ("defaults", Ignored),
    ("async", Ignored),
    ("diratime", Ignored),
    ("nodiratime", Ignored),
    ("lazytime", Ignored),
    ("nolazytime", Ignored),
    ("_netdev", Ignored),
    ("nofail", Ignored),
    ("comment", Ignored),
];

fn set<T>(slot: &mut Option<T>, value: Result<T>) -> Result<()> {
    *slot = Some(value?);
    Ok(())
}

fn bad(why: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Kind::InvalidArgument, "cannot use the value").why(why)
}

fn bucket(text: &str) -> Result<(BucketName, String)> {
    let (name, prefix) = text.split_once('/').unwrap_or((text, ""));
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    let prefix = format!("{prefix}{slash}");
    if !prefix.is_empty() {
        ObjectKey::parse(&prefix)?;
    }
    Ok((BucketName::parse(name)?, prefix))
}

/// Whoever mounts in the background, or for another mount's process, is in another directory.
fn whole_path(text: &str) -> Result<PathBuf> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err(bad("it is no whole path, from / on")) }
}

fn id(text: &str) -> Result<u32> {
    // The highest number means "unchanged" to chown(2).
    text.parse().ok().filter(|id| *id < u32::MAX).ok_or_else(|| bad("it is no numeric id"))
}

fn mask(text: &str) -> Result<u16> {
    let octal = text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let bits = if octal { u16::from_str_radix(text, 8).ok() } else { None };
    bits.filter(|bits| *bits <= 0o777).ok_or_else(|| bad("it is no octal number from 0 to 777"))
}

fn interval(text: &str) -> Result<Duration> {
    let interval = parse_duration(text)?;
    if interval < Duration::from_secs(1) {
        return Err(bad("a version at most every second (1s)"));
    }
    Ok(interval)
}

fn threads(text: &str) -> Result<usize> {
    let count = text.parse().ok().filter(|count| (1..=THREADS_MAX).contains(count));
    count.ok_or_else(|| bad(format!("it is no number from 1 to {THREADS_MAX}")))
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        bad(format!("it is one of {}", known.join(", ")))
    })
}
