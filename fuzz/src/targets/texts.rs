//! Targets for what people write: settings, options, documents, times, ids, names of buckets and keys; and for the files of
//! a backup directory that are text.

use keyfold::access::PostPolicy;
use keyfold::backup::{Record, check_place};
use keyfold::config::{MountSettings, StoreSettings};
use keyfold::model::{
    BucketName, FileKind, Ino, Object, ObjectKey, Posix, Seq, Timestamp, VersionId, parse_duration, parse_rfc3339,
    parse_size,
};
use keyfold::store::DOCUMENTS;
use keyfold::store::check_format;
use keyfold::store::lifecycle::{BucketState, LifecycleDocument, Version};
use keyfold::sys::process::Identity;
use keyfold::vfs::control::parse_instant;
use std::collections::BTreeMap;

fn text(data: &[u8]) -> &str {
    str::from_utf8(data).unwrap_or_default()
}

/// Any bytes as what a backup directory says of itself and of a generation, which reads back, and as a generation's name:
/// none, or one behind which others come.
pub fn backup_files(data: &[u8]) {
    let record = Record::parse(data);
    assert_eq!(serde_json::to_vec(&record).ok().map(|again| Record::parse(&again)), Some(record));
    if let (_, Some(next)) = check_place(data) {
        let last = next.ends_with(&format!("-{}", u32::MAX));
        assert!(last || check_place(next.as_bytes()).1.is_some_and(|behind| behind != next));
    }
}

/// Any bytes as a bucket's document: valid or refused. The first byte says which.
pub fn bucket_document(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let documents: Vec<_> = DOCUMENTS.iter().filter(|document| document.is_built()).collect();
    let document = documents[usize::from(*kind) % documents.len()];
    if document.check("account", data).is_ok() {
        assert!(serde_json::from_slice::<serde_json::Value>(data).is_ok());
        if document.name == "lifecycle" {
            rules(data);
        }
    }
}

/// Rules that are valid: as they are stored they say the same, and what they decide has its time.
fn rules(data: &[u8]) {
    let Ok(document) = LifecycleDocument::parse(data) else { return };
    assert_eq!(LifecycleDocument::parse(document.text().as_bytes()).ok().as_ref(), Some(&document));
    let Ok(rules) = document.check() else { return };
    let posix = Posix::new(FileKind::File, 0o644, 0, 0, Timestamp::default());
    let object = Object::empty(Ino(1), Seq(1), VersionId::Null, &posix, Timestamp::default());
    let (version, bucket) = (Version::of("logs/a", &object), BucketState::default());
    if let Some(next) = rules.next(bucket, &version, Timestamp::default()) {
        assert!(rules.due(bucket, &version, next.at).is_some());
    }
}

/// Any bytes as the FORMAT file.
pub fn format_file(data: &[u8]) {
    let _ = check_format(data);
}

/// Any text as the line of a store's lock: none, or a process that prints the same again.
pub fn lock_line(data: &[u8]) {
    if let Some(identity) = Identity::parse(text(data)) {
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
    }
}

/// Any first line as a form's policy, the others as its fields: refused, or a form that it refuses with a field more, and
/// when it has expired.
pub fn post_policy(data: &[u8]) {
    let (json, fields) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let Ok(policy) = PostPolicy::parse(json) else { return };
    let pairs = text(fields).lines().map(|line| line.split_once('=').unwrap_or((line, "")));
    let mut fields: BTreeMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if policy.judge("bkt", &fields, Timestamp::default()).is_ok() {
        assert!(policy.judge("bkt", &fields, Timestamp::new(i64::MAX, 0)).is_err());
        let more = "n".repeat(data.len());
        fields.insert(more, String::new());
        assert!(policy.judge("bkt", &fields, Timestamp::default()).is_err());
    }
}

/// Any text as the store's settings.
pub fn keyfold_toml(data: &[u8]) {
    for debug_clock in [false, true] {
        let _ = StoreSettings::parse(text(data), debug_clock);
    }
}

/// Any lines as the texts of `-o` flags.
pub fn mount_options(data: &[u8]) {
    let _ = MountSettings::parse(text(data).split('\n'));
}

/// Any text as a version's id, a bucket's name, a key, a duration, a size: refused, or what prints the same.
pub fn model_names(data: &[u8]) {
    let text = text(data);
    if let Some(id) = VersionId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(name) = BucketName::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!(!text.contains(['/', '\0']) && !text.starts_with('.'));
    }
    if let Ok(key) = ObjectKey::parse(text) {
        let (mut parts, last) = key.split();
        parts.push(last);
        assert_eq!(parts.concat(), text);
    }
    let _ = (parse_duration(text), parse_size(text));
}

/// Any text as a time: refused, or an instant whose own forms read back. Any 12 bytes as an instant that is printed.
pub fn times(data: &[u8]) {
    for stamp in [parse_rfc3339(text(data)), parse_instant(text(data))].into_iter().flatten() {
        assert_eq!(parse_rfc3339(&stamp.sortable()).ok(), Some(stamp));
        assert_eq!(parse_rfc3339(&stamp.rfc3339()).map(Timestamp::millis).ok(), Some(stamp.millis()));
    }
    if let Some((secs, rest)) = data.split_first_chunk::<8>()
        && let Some(nanos) = rest.first_chunk::<4>()
    {
        let stamp = Timestamp::new(i64::from_le_bytes(*secs), u32::from_le_bytes(*nanos));
        let _ = (stamp.rfc3339(), stamp.sortable(), stamp.millis());
    }
}
