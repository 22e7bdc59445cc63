//! From a path on a mount to a key: names are read as the mount shows them.

use crate::control::Spot;
use crate::model::{Bucket, Error, Kind, Result, VersionId};
use crate::store::{Entry, Store};
use crate::vfs::spelling::{self, Reserved, Spelled};

/// Entries read in one step when a long name is looked for.
const STEP: usize = 1000;

/// Where a path below a mount's root leads. `root`: the mount's bucket and prefix.
pub(super) fn locate(store: &Store, root: Option<&(String, String)>, reserved: &Reserved, path: &str) -> Result<Spot> {
    let mut names = path.split('/').filter(|name| !name.is_empty() && *name != ".").peekable();
    let (bucket, prefix) = match root {
        Some((bucket, prefix)) => (bucket.clone(), prefix.clone()),
        None => match names.next() {
            None => return Ok(Spot::default()),
            Some(name) if Some(name) == reserved.control_dir() => return Err(control_file(path)),
            Some(name) => (name.to_owned(), String::new()),
        },
    };
    let mut at_root = prefix.is_empty();
    // The directory's prefix, ending in `/` or empty.
    let mut key = prefix;
    // Within `.versions`, after the name: what follows is one of its versions.
    let mut history = false;
    let bucket_record = store.bucket(&bucket)?;
    while let Some(name) = names.next() {
        let below = reserved.below_root();
        let reserved = if at_root { reserved } else { &below };
        at_root = false;
        let is_last = names.peek().is_none();
        let part = match spelling::read(name.as_bytes(), reserved)? {
            Spelled::Versions => {
                history = true;
                continue;
            }
            Spelled::Control => return Err(control_file(path)),
            Spelled::SelfBody => return Ok(Spot { bucket: Some(bucket), key, version: None }),
            Spelled::Part(part) => part.into_owned(),
            Spelled::Object(part) if is_last => {
                return Ok(Spot { bucket: Some(bucket), key: key + &part, version: None });
            }
            Spelled::Object(part) => part.into_owned(),
            Spelled::Long { object, .. } => long(store, &bucket_record, &key, (name, object), reserved)?,
        };
        if history {
            // DIR/.versions/NAME, then an entry of NAME's history or NAME's own `.versions`.
            let entry = names.peek().and_then(|entry| version(entry));
            if let Some(version) = entry {
                return Ok(Spot { bucket: Some(bucket), key: key + &part, version: Some(version) });
            }
            history = false;
        }
        key.push_str(&part);
        if !is_last || part.is_empty() {
            key.push('/');
        }
    }
    Ok(Spot { bucket: Some(bucket), key, version: None })
}

/// The version in `TIME~VERSIONID`; a marker's name has `~deleted` behind.
fn version(entry: &str) -> Option<VersionId> {
    let (_, rest) = entry.split_once('~')?;
    VersionId::parse(rest.strip_suffix("~deleted").unwrap_or(rest))
}

/// The part with that long name: names that hash are found among those that are there.
fn long(
    store: &Store,
    bucket: &Bucket,
    prefix: &str,
    (name, object): (&str, bool),
    reserved: &Reserved,
) -> Result<String> {
    if let Some(dir) = store.resolve_dir(bucket, prefix)? {
        let mut after: Option<String> = None;
        loop {
            let entries = store.entries(dir, after.as_deref(), STEP)?;
            for (component, entry) in &entries {
                let is_file = matches!(entry, Entry::File(_));
                let shown = |shadowed| spelling::show(component, shadowed, reserved) == name;
                if (is_file && object && shown(true)) || (!object && shown(false)) {
                    return Ok(component.trim_end_matches('/').to_owned());
                }
            }
            match entries.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => break,
            }
        }
    }
    Err(Error::new(Kind::NoSuchKey, format!("there is no {name:?} below {}/{prefix}", bucket.name))
        .why("no key's part has that name")
        .mend("name the object as bucket/key with --store"))
}

fn control_file(path: &str) -> Error {
    Error::new(Kind::InvalidArgument, format!("cannot use {path}"))
        .why("it is one of the mount's control files, not an object")
        .mend("read or write it as a file")
}
