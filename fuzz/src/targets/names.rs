//! Targets for names: spellings of keys on the mount, extended attributes, tags as query text.

use keyfold::index::{DentRecord, decode, encode};
use keyfold::model::{FileKind, Ino, Object, Posix, Seq, Timestamp, VersionId};
use keyfold::vfs::spelling::{NAME_BYTES_MAX, Reserved, Spelled, long_hash, read, show};
use keyfold::vfs::xattr;

/// Any bytes as a name: refused, or the one spelling of what it stands for. Any text as a part of a key: a name that any
/// directory can hold, which reads back; two components never share one.
pub fn spelling(data: &[u8]) {
    let root = Reserved::default();
    for reserved in [&root, &root.below_root()] {
        let name = match read(data, reserved) {
            Ok(Spelled::Part(part)) => Some(show(&part, false, reserved).into_owned()),
            Ok(Spelled::Object(part)) => Some(show(&part, true, reserved).into_owned()),
            _ => None,
        };
        if let Some(name) = name {
            assert_eq!(name.as_bytes(), data);
        }
        let (one, other) = data.split_at(data.len() / 2);
        let (Ok(one), Ok(other)) = (str::from_utf8(one), str::from_utf8(other)) else { continue };
        if let (Some(first), Some(second)) = (component(one, reserved), component(other, reserved)) {
            let twins = one.trim_end_matches('/') == other.trim_end_matches('/');
            assert!(twins || first != second, "{one:?} and {other:?} are both {first:?}");
        }
    }
    let (versions_dir, control_dir) = data.split_at(data.len() / 2);
    if let (Ok(versions_dir), Ok(control_dir)) = (str::from_utf8(versions_dir), str::from_utf8(control_dir))
        && let Ok(reserved) = Reserved::new(versions_dir, control_dir)
    {
        for name in [versions_dir, control_dir] {
            assert_ne!(component(name, &reserved).as_deref(), Some(name), "a key's part has a reserved name");
        }
    }
}

/// The name of a component, checked; `None` when it is none: without a part, or with a `/` within.
fn component(text: &str, reserved: &Reserved) -> Option<String> {
    let part = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() || part.contains('/') {
        return None;
    }
    let mut names = Vec::new();
    for shadowed in [false, true] {
        if shadowed && text.ends_with('/') {
            continue;
        }
        let name = show(text, shadowed, reserved).into_owned();
        assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX && name != "." && name != "..");
        assert!(!name.contains(['/', '\0']));
        match read(name.as_bytes(), reserved) {
            Ok(Spelled::Part(back)) => assert!(!shadowed && back == part),
            Ok(Spelled::Object(back)) => assert!(shadowed && back == part),
            Ok(Spelled::Long { hash, object }) => assert!(object == shadowed && long_hash(part) == Some(hash)),
            other => panic!("{text:?} is {name:?}, which is {other:?}"),
        }
        names.push(name);
    }
    names.dedup();
    assert!(text.ends_with('/') || names.len() == 2, "{text:?} beside a directory has the directory's name");
    names.into_iter().next()
}

/// Up to the first NUL the name of an attribute, behind it the value: refused, or set so that setting it again changes
/// nothing, removing it works, and the object's record reads back.
pub fn xattrs(data: &[u8]) {
    let (name, value) = match data.iter().position(|byte| *byte == 0) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &data[..0]),
    };
    let mut object = object();
    if xattr::apply(&mut object, name, value).is_err() {
        assert_eq!(object, self::object(), "a refused value changed something");
        let _ = xattr::withdraw(&mut object, name);
        return;
    }
    assert!(xattr::refused(name).is_none());
    assert_eq!(xattr::apply(&mut object, name, value).ok(), Some(false), "set to the same it changed");
    let record = DentRecord::Object { object: object.clone(), draft: false };
    assert_eq!(decode::<DentRecord>(&encode(&record)).ok(), Some(record));
    let _ = xattr::withdraw(&mut object, name);
}

/// Any text as tags: refused, or a set whose text reads back.
pub fn tags_query(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(tags) = xattr::from_query(text) {
        assert_eq!(xattr::from_query(&xattr::to_query(&tags)).ok(), Some(tags));
    }
}

/// An empty object.
pub(super) fn object() -> Object {
    let now = Timestamp::new(1_795_312_800, 0);
    Object::empty(Ino(21), Seq(20), VersionId::Null, &Posix::new(FileKind::File, 0o644, 1000, 100, now), now)
}
