//! Keys of the families, ordered as their users need them.
//!
//! `dent` keys are the directory's id, big-endian, then the component as it is: inside one directory their
//! byte order is S3's order of whole keys, since a directory's component keeps its `/` (LIST-1). `ver` keys
//! need an end mark before the version, so a component's NUL is written `00 FF` and its end `00 00`.

use crate::model::{BucketId, ContentId, DirId, KEY_BYTES_MAX, Month, Seq, Timestamp, UploadId};

/// An id as an eight-byte big-endian key.
#[must_use]
pub fn id_key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

/// The id in an eight-byte key.
#[must_use]
pub fn id_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

/// A content's key.
#[must_use]
pub fn content_key(id: ContentId) -> [u8; 8] {
    id_key(id.0)
}

/// Key of a live name.
#[must_use]
pub fn dent_key(dir: DirId, component: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(8 + component.len());
    key.extend_from_slice(&id_key(dir.0));
    key.extend_from_slice(component.as_bytes());
    key
}

/// Lower and upper bound (exclusive) of a directory's live names.
#[must_use]
pub fn dent_bounds(dir: DirId) -> (Vec<u8>, Vec<u8>) {
    (id_key(dir.0).to_vec(), after_dir(dir))
}

/// A key behind all of a directory's.
fn after_dir(dir: DirId) -> Vec<u8> {
    dir.0.checked_add(1).map_or_else(|| vec![0xff; 8 + 2 * KEY_BYTES_MAX], |next| id_key(next).to_vec())
}

/// Whether it is what keys have between their `/`, with the `/` behind it: disk bytes that say otherwise are damage, and
/// would lead out of their directory where names become paths.
#[must_use]
pub fn is_component(text: &str) -> bool {
    let part = text.strip_suffix('/').unwrap_or(text);
    !text.is_empty() && text.len() <= KEY_BYTES_MAX && !part.contains('/')
}

/// The directory a `dent` or `ver` key belongs to.
#[must_use]
pub fn dir_of(key: &[u8]) -> Option<DirId> {
    id_of(key.get(..8)?).map(DirId)
}

/// The component in a `dent` key; `None` when it is none.
#[must_use]
pub fn component_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(8..)?).ok().filter(|component| is_component(component))
}

/// The smallest component after `component`.
#[must_use]
pub fn next_name(component: &str) -> String {
    let mut next = component.to_owned();
    next.push('\0');
    next
}

fn escaped_component(component: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(component.len() + 2);
    for byte in component.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
    out
}

fn ver_name_key(dir: DirId, component: &str) -> Vec<u8> {
    let mut key = id_key(dir.0).to_vec();
    key.extend_from_slice(&escaped_component(component));
    key
}

/// Key of an older version: newest first within a name.
#[must_use]
pub fn ver_key(dir: DirId, component: &str, seq: Seq) -> Vec<u8> {
    let mut key = ver_name_key(dir, component);
    key.extend_from_slice(&id_key(!seq.0));
    key
}

/// Bounds of a name's older versions.
#[must_use]
pub fn ver_bounds(dir: DirId, component: &str) -> (Vec<u8>, Vec<u8>) {
    let lower = ver_name_key(dir, component);
    let mut upper = lower.clone();
    upper.extend_from_slice(&[0xff; 9]);
    (lower, upper)
}

/// Bounds of all older versions in a directory, beginning with the names from `from` on.
#[must_use]
pub fn ver_dir_bounds(dir: DirId, from: &str) -> (Vec<u8>, Vec<u8>) {
    let mut lower = ver_name_key(dir, from);
    lower.truncate(lower.len() - 2);
    (lower, after_dir(dir))
}

/// Directory, component and sequence number in a `ver` key.
#[must_use]
pub fn ver_parts(key: &[u8]) -> Option<(DirId, String, Seq)> {
    let dir = dir_of(key)?;
    let (name, seq) = key.get(8..)?.split_last_chunk::<8>()?;
    let component = unescaped(name.strip_suffix(&[0, 0])?)?;
    let component = String::from_utf8(component).ok().filter(|component| is_component(component))?;
    Some((dir, component, Seq(!u64::from_be_bytes(*seq))))
}

/// What [`escaped_component`] made, without its end.
fn unescaped(escaped: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        out.push(byte);
        if byte == 0 && bytes.next() != Some(&0xff) {
            return None;
        }
    }
    Some(out)
}

/// Key of a version that time is about to change: by the second that is not before `at`, then as in `ver`.
#[must_use]
pub fn due_key(at: Timestamp, dir: DirId, component: &str, seq: Seq) -> Vec<u8> {
    let secs = at.secs.saturating_add(i64::from(at.nanos > 0)).max(0).unsigned_abs();
    [&id_key(secs)[..], &ver_key(dir, component, seq)].concat()
}

/// When the version of a `due` key is to change, in seconds since 1970, and where it is.
#[must_use]
pub fn due_parts(key: &[u8]) -> Option<(i64, DirId, String, Seq)> {
    let secs = i64::try_from(id_of(key.get(..8)?)?).ok()?;
    let (dir, component, seq) = ver_parts(key.get(8..)?)?;
    Some((secs, dir, component, seq))
}

/// Key of what a bucket was used for in a month.
#[must_use]
pub fn meter_key(month: Month, bucket: BucketId) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&month.number().to_be_bytes());
    key[4..].copy_from_slice(&id_key(bucket.0));
    key
}

/// The month and bucket in such a key.
#[must_use]
pub fn meter_parts(key: &[u8]) -> Option<(Month, BucketId)> {
    let (month, bucket) = key.split_at_checked(4)?;
    Some((Month::numbered(u32::from_be_bytes(month.try_into().ok()?)), BucketId(id_of(bucket)?)))
}

/// Lower and upper bound (exclusive) of a month's.
#[must_use]
pub fn meter_bounds(month: Month) -> ([u8; 4], [u8; 4]) {
    (month.number().to_be_bytes(), month.next().number().to_be_bytes())
}

/// Key under which an upload is listed: by bucket and key, then in the order of initiation.
#[must_use]
pub fn upload_name_key(bucket: BucketId, key: &str, upload: UploadId) -> Vec<u8> {
    let mut name = id_key(bucket.0).to_vec();
    name.extend_from_slice(&escaped_component(key));
    name.extend_from_slice(&id_key(upload.0));
    name
}

/// A bound behind all of a bucket's.
#[must_use]
pub fn upload_names_end(bucket: BucketId) -> Vec<u8> {
    after_dir(DirId(bucket.0))
}

/// The key and the upload in such a key.
#[must_use]
pub fn upload_name_parts(name: &[u8]) -> Option<(String, UploadId)> {
    let (key, upload) = name.get(8..)?.split_last_chunk::<8>()?;
    let key = unescaped(key.strip_suffix(&[0, 0])?)?;
    Some((String::from_utf8(key).ok()?, UploadId(u64::from_be_bytes(*upload))))
}

/// Key of an upload's part.
#[must_use]
pub fn part_key(upload: UploadId, number: u32) -> Vec<u8> {
    let mut key = id_key(upload.0).to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The part number in such a key.
#[must_use]
pub fn part_number_of(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(key.get(8..)?.try_into().ok()?))
}

/// Something that may be shared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RefKey {
    /// A content, by versions.
    Content(u64),
    /// A tree node, by nodes and contents.
    Node(u64),
    /// A run, by extents: segment and offset.
    Run(u64, u32),
    /// A file of its own, by extents.
    Solo(u64),
}

impl RefKey {
    /// Its key in the `refs` family.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        let (tag, id) = match self {
            Self::Content(id) => (b'c', id),
            Self::Node(id) => (b'n', id),
            Self::Run(segment, _) => (b'r', segment),
            Self::Solo(id) => (b's', id),
        };
        let mut key = vec![tag];
        key.extend_from_slice(&id_key(id));
        if let Self::Run(_, offset) = self {
            key.extend_from_slice(&offset.to_be_bytes());
        }
        key
    }

    /// The thing a `refs` key names.
    #[must_use]
    pub fn parse(key: &[u8]) -> Option<Self> {
        let (tag, rest) = key.split_first()?;
        match tag {
            b'c' => Some(Self::Content(id_of(rest)?)),
            b'n' => Some(Self::Node(id_of(rest)?)),
            b's' => Some(Self::Solo(id_of(rest)?)),
            b'r' => Some(Self::Run(id_of(rest.get(..8)?)?, u32::from_be_bytes(rest.get(8..)?.try_into().ok()?))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn component() -> impl Strategy<Value = String> {
        proptest::string::string_regex("[\0\u{1}\\-.a0b\u{e9}\u{ffff}]{1,4}/?|/").unwrap()
    }

    #[test]
    fn format_md_shows_a_real_version_key() {
        let text = include_str!("FORMAT.md");
        let block = text.split("```text hex").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let bytes: Vec<u8> = block.split_whitespace().map(|hex| u8::from_str_radix(hex, 16).unwrap()).collect();
        assert_eq!(bytes, ver_key(DirId(18), "cat.jpg", Seq(258)));
        for family in super::super::Family::ALL {
            assert!(text.contains(&format!("| `{}` |", family.name())), "{family:?} is not drawn");
        }
    }

    proptest! {
        #[test]
        fn ver_keys_read_back(name in component(), dir in any::<u64>(), seq in any::<u64>()) {
            let key = ver_key(DirId(dir), &name, Seq(seq));
            prop_assert_eq!(ver_parts(&key), Some((DirId(dir), name, Seq(seq))));
        }

        #[test]
        fn due_keys_read_back_and_sort_by_time(
            name in component(), dir in any::<u64>(), seq in any::<u64>(), a in 0..1i64 << 40, b in 0..1i64 << 40,
        ) {
            let key = |secs| due_key(Timestamp::new(secs, 0), DirId(dir), &name, Seq(seq));
            prop_assert_eq!(due_parts(&key(a)), Some((a, DirId(dir), name.clone(), Seq(seq))));
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert_eq!(due_key(Timestamp::new(a, 1), DirId(dir), &name, Seq(seq)), key(a + 1));
        }

        #[test]
        fn ver_keys_sort_by_name_then_newest_first(a in component(), b in component(), s in 0..9u64, t in 0..9u64) {
            let by_key = ver_key(DirId(1), &a, Seq(s)).cmp(&ver_key(DirId(1), &b, Seq(t)));
            prop_assert_eq!(by_key, a.as_bytes().cmp(b.as_bytes()).then(t.cmp(&s)));
            let (lower, upper) = ver_bounds(DirId(1), &a);
            let key = ver_key(DirId(1), &b, Seq(t));
            prop_assert_eq!(lower <= key && key < upper, a == b);
        }

        /// LIST-1: walking directories in the order of their components gives the order of whole keys.
        #[test]
        fn list_1_tree_order_is_the_order_of_whole_keys(keys in prop::collection::btree_set("[a.0/\\-\0]{1,6}", 0..40)) {
            let mut tree: Vec<Vec<&str>> = keys.iter().map(|key| key.split_inclusive('/').collect()).collect();
            tree.sort_by(|a, b| {
                let differ = a.iter().zip(b.iter()).find(|(x, y)| x != y);
                differ.map_or(a.len().cmp(&b.len()), |(x, y)| x.as_bytes().cmp(y.as_bytes()))
            });
            let walked: Vec<String> = tree.iter().map(|parts| parts.concat()).collect();
            prop_assert_eq!(walked, keys.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn ref_keys_read_back(id in any::<u64>(), offset in any::<u32>()) {
            for key in [RefKey::Content(id), RefKey::Node(id), RefKey::Run(id, offset), RefKey::Solo(id)] {
                prop_assert_eq!(RefKey::parse(&key.bytes()), Some(key));
            }
        }
    }
}
