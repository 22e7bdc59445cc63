//! Temporary files that editors and copy tools put beside a document: kept in memory, gone with the mount.

use crate::model::{BucketId, Error, Kind, Result};
use crate::store::{DOCUMENT_BYTES_MAX, DOCUMENTS};
use crate::sys::sync::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most temporary files of one bucket.
const FILES_MAX: usize = 64;

/// The bytes of a temporary file, shared by its name and those who have it open.
pub(super) type Bytes = Arc<Mutex<Vec<u8>>>;

/// All temporary files of a mount. Lock: a leaf, taken alone.
#[derive(Default)]
pub(super) struct Scratch(Mutex<Files>);

#[derive(Default)]
struct Files {
    next: u64,
    names: BTreeMap<(BucketId, String), u64>,
    bytes: HashMap<u64, Bytes>,
}

impl Scratch {
    /// The number of the file called `name`.
    pub fn find(&self, bucket: BucketId, name: &str) -> Option<u64> {
        self.0.lock().names.get(&(bucket, name.to_owned())).copied()
    }

    /// The bytes of a file.
    pub fn bytes(&self, id: u64) -> Option<Bytes> {
        self.0.lock().bytes.get(&id).cloned()
    }

    /// Names and numbers of a bucket's files.
    pub fn list(&self, bucket: BucketId) -> Vec<(String, u64)> {
        let files = self.0.lock();
        let of_bucket = files.names.iter().filter(|((owner, _), _)| *owner == bucket);
        of_bucket.map(|((_, name), id)| (name.clone(), *id)).collect()
    }

    /// Makes a file, replacing one of that name.
    pub fn create(&self, bucket: BucketId, name: &str, bytes: Vec<u8>) -> Result<u64> {
        if !is_temporary(name) {
            return Err(not_a_setting(name));
        }
        let mut files = self.0.lock();
        if files.names.keys().filter(|(owner, _)| *owner == bucket).count() >= FILES_MAX {
            return Err(Error::new(Kind::Full, format!("cannot make {name:?} in the control directory"))
                .why(format!("it holds {FILES_MAX} temporary files already"))
                .mend("remove those that are no longer needed"));
        }
        files.next += 1;
        let id = files.next;
        if let Some(before) = files.names.insert((bucket, name.to_owned()), id) {
            files.bytes.remove(&before);
        }
        files.bytes.insert(id, Arc::new(Mutex::new(bytes)));
        Ok(id)
    }

    /// Gives a file another name, replacing one that has it.
    pub fn rename(&self, bucket: BucketId, from: &str, to: &str) -> Result<()> {
        if !is_temporary(to) {
            return Err(not_a_setting(to));
        }
        let mut files = self.0.lock();
        let id = files.names.remove(&(bucket, from.to_owned())).ok_or_else(|| gone(from))?;
        if let Some(before) = files.names.insert((bucket, to.to_owned()), id).filter(|before| *before != id) {
            files.bytes.remove(&before);
        }
        Ok(())
    }

    /// Removes a file; those who have it open keep its bytes.
    pub fn remove(&self, bucket: BucketId, name: &str) -> Result<()> {
        let mut files = self.0.lock();
        let id = files.names.remove(&(bucket, name.to_owned())).ok_or_else(|| gone(name))?;
        files.bytes.remove(&id);
        Ok(())
    }
}

/// Puts `new` at `at`, with zeros before it when the file is shorter.
pub(super) fn put(bytes: &mut Vec<u8>, at: u64, new: &[u8]) -> Result<()> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let end = at.saturating_add(new.len());
    resize(bytes, bytes.len().max(end) as u64)?;
    bytes[at..end].copy_from_slice(new);
    Ok(())
}

/// Cuts the file, or fills it with zeros.
pub(super) fn resize(bytes: &mut Vec<u8>, size: u64) -> Result<()> {
    if size > DOCUMENT_BYTES_MAX as u64 {
        return Err(Error::new(Kind::EntityTooLarge, "cannot write so much into a control file")
            .why(format!("a document has at most {DOCUMENT_BYTES_MAX} bytes")));
    }
    bytes.resize(size as usize, 0);
    Ok(())
}

/// Whether editors, `sed -i`, `rsync` or `patch` would use `name` for a while: `.tagging.json.swp`, `4913`,
/// `tagging.json~`, `sedAbC123`, `#tagging.json#`, `tagging.json.XXXXXX`. Anything else is a typing mistake.
#[must_use]
pub(super) fn is_temporary(name: &str) -> bool {
    let sed =
        name.strip_prefix("sed").is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|b| b.is_ascii_alphanumeric()));
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let beside = DOCUMENTS.iter().any(|document| {
        let rest = name.strip_prefix(document.name).and_then(|rest| rest.strip_prefix(".json"));
        rest.is_some_and(|rest| !rest.is_empty())
    });
    let ends = [".tmp", ".swp", ".swx", ".bak", ".orig", "~"].iter().any(|end| name.ends_with(end));
    sed || digits || beside || ends || name.starts_with(['.', '#'])
}

fn not_a_setting(name: &str) -> Error {
    let known: Vec<&str> =
        DOCUMENTS.iter().filter(|document| document.is_built()).map(|document| document.name).collect();
    Error::new(Kind::InvalidArgument, format!("cannot make {name:?} in the control directory"))
        .why("no setting has that name")
        .mend(format!("the settings are NAME.json with NAME one of {}", known.join(", ")))
}

fn gone(name: &str) -> Error {
    Error::new(Kind::NoSuchKey, format!("there is no {name:?} in the control directory"))
}

#[cfg(test)]
mod tests {
    use super::{BucketId, DOCUMENT_BYTES_MAX, Kind, Scratch, is_temporary, put};

    #[test]
    fn names_of_editors_are_taken_and_typing_mistakes_are_not() {
        for name in [
            ".tagging.json.swp",
            "4913",
            "tagging.json~",
            "sedAbC123",
            "#tagging.json#",
            ".#tagging.json",
            "tagging.json.Xy12ab",
            ".tagging.json.Xy12ab",
            "tagging.json.tmp",
            "tagging.json-",
        ] {
            assert!(is_temporary(name), "{name}");
        }
        for name in ["tagging.json", "tagings.json", "tagging", "events", "sedan", "notes", "", "sed-12345"] {
            assert!(!is_temporary(name), "{name}");
        }
    }

    #[test]
    fn temporary_files_are_renamed_replaced_and_removed() {
        let (scratch, bucket) = (Scratch::default(), BucketId(1));
        let a = scratch.create(bucket, "a~", b"one".to_vec()).unwrap();
        let b = scratch.create(bucket, "b~", Vec::new()).unwrap();
        let open = scratch.bytes(b).unwrap();
        scratch.rename(bucket, "a~", "b~").unwrap();
        assert_eq!((scratch.find(bucket, "a~"), scratch.find(bucket, "b~")), (None, Some(a)));
        assert!(scratch.bytes(b).is_none() && open.lock().is_empty(), "who has it open keeps it");
        assert_eq!(scratch.find(BucketId(2), "b~"), None);
        scratch.remove(bucket, "b~").unwrap();
        assert_eq!(scratch.remove(bucket, "b~").unwrap_err().kind(), Kind::NoSuchKey);
        assert_eq!(scratch.create(bucket, "lifcycle.json", Vec::new()).unwrap_err().kind(), Kind::InvalidArgument);
    }

    #[test]
    fn writes_fill_gaps_and_are_bounded() {
        let mut bytes = b"abc".to_vec();
        put(&mut bytes, 5, b"x").unwrap();
        put(&mut bytes, 1, b"B").unwrap();
        assert_eq!(bytes, b"aBc\0\0x");
        assert_eq!(put(&mut bytes, DOCUMENT_BYTES_MAX as u64, b"x").unwrap_err().kind(), Kind::EntityTooLarge);
        assert!(put(&mut bytes, u64::MAX, b"x").is_err());
    }
}
