//! What a name on the command line means: a path on a mount, or `bucket/key` of a store.

use super::arguments::Global;
use crate::control::{FSTYPE, KernelMount, Target, all_mounts, keyfold_mounts, mount_of};
use crate::model::{Error, Kind, Result};
use crate::sys::path::existing;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "KEYFOLD_STORE";

/// The store and the target that `name` means.
///
/// With `--store` a name is `bucket/key` unless it begins with `/`, `./` or `../`. Without, a path on a mount comes
/// first, then `bucket/key` of the store in `KEYFOLD_STORE` or of the only one that is mounted.
pub(super) fn target(global: &Global, name: &Path) -> Result<(PathBuf, Target)> {
    let path_like = name.is_absolute() || name.starts_with(".") || name.starts_with("..");
    if path_like || global.store.is_none() {
        if let Some(found) = on_a_mount(name)? {
            return Ok(found);
        }
        if path_like {
            return Err(Error::new(Kind::StoreUnavailable, format!("{} is in no store", name.display()))
                .why("no Keyfold store is mounted there")
                .mend("name a path on a mount, or bucket/key with --store"));
        }
    }
    let store = named(global)?.map_or_else(|| only_mounted(name), Ok)?;
    let text = name.to_str().ok_or_else(not_utf8)?;
    let text = text.strip_prefix("s3://").unwrap_or(text);
    let (bucket, key) = text.split_once('/').unwrap_or((text, ""));
    Ok((store, Target::Key { bucket: bucket.to_owned(), key: key.to_owned() }))
}

/// The store and the name of a bucket that need not exist yet.
pub(super) fn bucket(global: &Global, bucket: &Path) -> Result<(PathBuf, String)> {
    let (store, target) = target(global, bucket)?;
    let name = match &target {
        Target::Key { bucket, key } if key.is_empty() => bucket.clone(),
        Target::Path { path, .. } if !path.is_empty() && !path.contains('/') => path.clone(),
        Target::Store | Target::Key { .. } | Target::Path { .. } => {
            return Err(Error::new(Kind::InvalidArgument, format!("{} is no bucket", bucket.display()))
                .why("a bucket is a name without '/', or a directory directly below the mount point")
                .mend("`keyfold bucket ls` lists the buckets"));
        }
    };
    Ok((store, name))
}

/// The store and the target that `name` means; without a name, the whole store.
pub(super) fn target_or_store(global: &Global, name: Option<&Path>) -> Result<(PathBuf, Target)> {
    match name {
        Some(name) => target(global, name),
        None => Ok((store(global, None)?, Target::Store)),
    }
}

/// The store that `place` means: its directory, a path on a mount of it, or without one what is at hand.
pub(super) fn store(global: &Global, place: Option<&Path>) -> Result<PathBuf> {
    if let Some(place) = place {
        if let Some((store, _)) = on_a_mount(place)? {
            return Ok(store);
        }
        return whole(place);
    }
    if let Some(store) = named(global)? {
        return Ok(store);
    }
    if let Some((store, _)) = on_a_mount(Path::new("."))? {
        return Ok(store);
    }
    only_mounted(Path::new("the store"))
}

/// The directory in `--store` or the environment.
pub(super) fn named(global: &Global) -> Result<Option<PathBuf>> {
    let variable = || std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    global.store.clone().or_else(variable).map(|store| whole(&store)).transpose()
}

fn whole(store: &Path) -> Result<PathBuf> {
    store.canonicalize().map_err(|error| {
        Error::new(Kind::StoreUnavailable, format!("cannot find the store {}", store.display()))
            .why(error.to_string())
            .mend("make one with `keyfold init DIR`, or name the right directory")
    })
}

/// Stores that are mounted, each once.
pub(super) fn mounted() -> Result<Vec<PathBuf>> {
    let mut stores: Vec<PathBuf> = keyfold_mounts()?.into_iter().map(|mount| mount.source).collect();
    stores.sort();
    stores.dedup();
    Ok(stores)
}

fn only_mounted(name: &Path) -> Result<PathBuf> {
    let mut stores = mounted()?;
    if stores.len() == 1
        && let Some(store) = stores.pop()
    {
        return Ok(store);
    }
    let why = if stores.is_empty() { "no store is mounted" } else { "more than one store is mounted" };
    Err(Error::new(Kind::StoreUnavailable, format!("cannot tell which store {} is in", name.display()))
        .why(why)
        .mend("name it with --store DIR or KEYFOLD_STORE, or use a path on a mount"))
}

fn on_a_mount(path: &Path) -> Result<Option<(PathBuf, Target)>> {
    let mounts = all_mounts()?;
    let found = |path: &Path| mount_of(path, &mounts).filter(|(mount, _)| mount.fstype == FSTYPE);
    // The name itself is not followed: it may be a symbolic link in the store.
    let nearest = resolve(path)?;
    if let Some((mount, below)) = found(&nearest) {
        return on(mount, &below).map(Some);
    }
    match path.canonicalize() {
        Ok(whole) => found(&whole).map(|(mount, below)| on(mount, &below)).transpose(),
        Err(_) => Ok(None),
    }
}

fn on(mount: &KernelMount, below: &Path) -> Result<(PathBuf, Target)> {
    if !mount.source.is_absolute() {
        return Err(Error::new(
            Kind::StoreUnavailable,
            format!("cannot find the store at {}", mount.mountpoint.display()),
        )
        .why(format!("it is mounted as {:?}, which is no directory's path", mount.source.display()))
        .mend("name the object as bucket/key with --store DIR"));
    }
    let path = below.to_str().ok_or_else(not_utf8)?.trim_matches('/').to_owned();
    Ok((mount.source.clone(), Target::Path { mount: mount.device.clone(), path }))
}

/// The path from the root on, as it stands: what it leads to need not be there.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::io("cannot find the current directory", error))
}

/// The whole path, links followed above its last part, as far as it exists.
fn resolve(path: &Path) -> Result<PathBuf> {
    let whole = absolute(path)?;
    let Some(name) = whole.file_name() else { return Ok(whole.canonicalize().unwrap_or(whole)) };
    let above = whole.parent().unwrap_or(Path::new("/"));
    Ok(existing(above).join(name))
}

fn not_utf8() -> Error {
    Error::new(Kind::InvalidName, "cannot use the name").why("it is not UTF-8, and keys are (KEY-14)")
}
