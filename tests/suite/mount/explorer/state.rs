//! What a bucket holds, in words that are the same whether the mount is asked or the engine.

use keyfold::model::{DirId, FileKind, Kind, Object};
use keyfold::store::{Entry, ListVersions, Store};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Names and `name @n` for each version, newest first, with what is to be seen of them.
pub type State = BTreeMap<String, String>;

/// Where there is no bucket yet.
pub fn no_bucket() -> State {
    State::from([(String::new(), "no bucket".to_owned())])
}

fn bytes(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{} bytes {:016x}", bytes.len(), hasher.finish())
}

fn file(what: &str, mode: u32, mtime: (i64, u32), nlink: u64, body: &[u8], attributes: &[String]) -> String {
    let (seconds, nanos) = mtime;
    format!("{what} {mode:o} {seconds}.{nanos:09} {nlink} {} {attributes:?}", bytes(body))
}

fn version(state: &mut State, key: &str, n: usize, id: &str, what: &str) {
    state.insert(format!("{key} @{n:03}"), format!("{id} {what}"));
}

/// The bytes of a file, or where a symbolic link leads.
fn shown(path: &Path) -> Vec<u8> {
    match fs::read_link(path) {
        Ok(target) => target.into_os_string().into_vec(),
        Err(_) => fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    }
}

/// Below a directory of the mount whose key prefix is `prefix`.
pub fn of_mount(dir: &Path, prefix: &str, state: &mut State) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let (path, key) = (entry.path(), format!("{prefix}{}", entry.file_name().to_str().unwrap()));
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            state.insert(format!("{key}/"), "directory".to_owned());
            of_mount(&path, &format!("{key}/"), state);
            continue;
        }
        let what = if meta.is_symlink() { "link" } else { "file" };
        let body = shown(&path);
        let mut attributes: Vec<String> = Vec::new();
        if !meta.is_symlink() {
            for name in xattr::list(&path).unwrap() {
                let value = xattr::get(&path, &name).unwrap().unwrap_or_default();
                attributes.push(format!("{}={}", name.to_string_lossy(), String::from_utf8_lossy(&value)));
            }
        }
        attributes.sort();
        let mtime = (meta.mtime(), meta.mtime_nsec() as u32);
        state.insert(key, file(what, meta.mode() & 0o7777, mtime, meta.nlink(), &body, &attributes));
    }
    history(&dir.join(".versions"), prefix, state);
}

/// The history that is not below a directory that is alive.
fn history(dir: &Path, prefix: &str, state: &mut State) {
    for name in fs::read_dir(dir).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        let key = format!("{prefix}{name}");
        for (n, entry) in fs::read_dir(dir.join(&name)).unwrap().enumerate() {
            let entry = entry.unwrap();
            let text = entry.file_name().into_string().unwrap();
            // Of a directory that is gone.
            if text == ".versions" {
                history(&entry.path(), &format!("{key}/"), state);
                continue;
            }
            let mut parts = text.split('~').skip(1);
            let id = parts.next().unwrap();
            let what = if parts.next().is_some() { "deleted".to_owned() } else { bytes(&shown(&entry.path())) };
            version(state, &key, n, id, &what);
        }
    }
}

fn body(store: &Arc<Store>, object: &Object) -> Result<Vec<u8>, String> {
    if object.posix.kind == FileKind::Symlink {
        return Ok(object.posix.target.clone());
    }
    let content = store.open_content(object).map_err(|error| error.to_string())?;
    let mut bytes = vec![0xee; usize::try_from(content.size()).unwrap()];
    let read = content.read_at(0, &mut bytes).map_err(|error| error.to_string())?;
    if read == bytes.len() { Ok(bytes) } else { Err(format!("{read} of {} bytes", bytes.len())) }
}

/// Of a bucket of a store that nobody changes.
pub fn of_store(store: &Arc<Store>, bucket: &str) -> Result<State, String> {
    let mut state = State::new();
    let root = match store.bucket(bucket) {
        Ok(bucket) => bucket.root,
        Err(error) if error.kind() == Kind::NoSuchBucket => return Ok(no_bucket()),
        Err(error) => return Err(error.to_string()),
    };
    names(store, root, "", &mut state)?;
    let mut request = ListVersions { limit: 1000, ..ListVersions::default() };
    let (mut last, mut n) = (String::new(), 0);
    loop {
        let page = store.list_versions(bucket, &request).map_err(|error| error.to_string())?;
        for entry in page.versions.iter().filter(|entry| !entry.key.ends_with('/')) {
            n = if entry.key == last { n + 1 } else { 0 };
            last.clone_from(&entry.key);
            let what = if entry.object.marker {
                "deleted".to_owned()
            } else {
                bytes(&body(store, &entry.object).map_err(|why| format!("a version of {}: {why}", entry.key))?)
            };
            version(&mut state, &entry.key, n, &entry.object.version.to_string(), &what);
        }
        match page.next {
            None => return Ok(state),
            Some((key, version)) => (request.key_marker, request.version_marker) = (Some(key), version),
        }
    }
}

fn names(store: &Arc<Store>, dir: DirId, prefix: &str, state: &mut State) -> Result<(), String> {
    for (name, entry) in store.entries(dir, None, usize::MAX).map_err(|error| error.to_string())? {
        let key = format!("{prefix}{name}");
        match entry {
            Entry::Dir(below) => {
                state.insert(key.clone(), "directory".to_owned());
                names(store, below.id, &key, state)?;
            }
            Entry::File(found) => {
                let object = &found.object;
                let what = match object.posix.kind {
                    FileKind::Symlink => "link",
                    _ if found.draft => "unpublished file",
                    _ => "file",
                };
                let tags = object.tags.iter().map(|(key, value)| format!("user.s3.tag.{key}={value}"));
                let pairs = object.metadata.user_pairs().map(|(key, value)| format!("user.s3.meta.{key}={value}"));
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                let foreign = object.xattrs.iter().map(|(name, value)| format!("{}={}", text(name), text(value)));
                let mut attributes: Vec<_> = tags.chain(pairs).chain(foreign).collect();
                attributes.sort();
                let body = body(store, object).map_err(|why| format!("{key}: {why}"))?;
                let posix = &object.posix;
                let mtime = (posix.mtime.secs, posix.mtime.nanos);
                let nlink = u64::from(found.nlink);
                state.insert(key, file(what, u32::from(posix.mode), mtime, nlink, &body, &attributes));
            }
        }
    }
    Ok(())
}

/// How `found` differs from `wanted`.
pub fn difference(wanted: &State, found: &State) -> Vec<String> {
    let gone = wanted.iter().filter(|(key, what)| found.get(*key) != Some(what)).map(|(key, what)| {
        let is = found.get(key).map_or("absent", String::as_str);
        format!("{key}: {is}, not {what}")
    });
    let new = found
        .iter()
        .filter(|(key, _)| !wanted.contains_key(*key))
        .map(|(key, what)| format!("{key}: {what}, not absent"));
    gone.chain(new).collect()
}
