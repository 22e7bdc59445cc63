//! Names of attributes as `listxattr` shows them.

use super::get::{has_bytes, kept, plain};
use super::names::{Class, NAME_BYTES_MAX, PREFIX, Row, What, rows};
use super::{Target, XattrList, XattrView};
use crate::model::{ObjectSum, Result, StorageClass};
use crate::store::Store;
use std::sync::Arc;

const TRUSTED: &[u8] = b"trusted.";

/// The names on `target`, each followed by NUL: foreign ones, then own ones as `view` asks.
///
/// # Errors
/// The store's.
pub fn list(store: &Arc<Store>, target: &Target, view: &XattrView) -> Result<Vec<u8>> {
    let mut names = Vec::new();
    let xattrs = match target {
        Target::Root => None,
        Target::Bucket(_, dir) | Target::Dir(dir) => Some(&dir.xattrs),
        Target::File { entry, .. } => Some(&entry.object.xattrs),
        Target::Version { object, .. } => Some(&object.xattrs),
    };
    for name in xattrs.into_iter().flat_map(|xattrs| xattrs.names()) {
        if view.trusted || !name.starts_with(TRUSTED) {
            push(&mut names, &[name]);
        }
    }
    let kept = if matches!(view.list, XattrList::All) { kept(store, target)? } else { None };
    for row in rows(target.place()).filter(|row| shown(row, view.list)) {
        for rest in present(target, &row, kept) {
            push(&mut names, &[PREFIX.as_bytes(), row.name.as_bytes(), rest.as_bytes()]);
        }
    }
    Ok(names)
}

/// A name the platform cannot carry back is left out: `tags` and `metadata` show it.
fn push(names: &mut Vec<u8>, parts: &[&[u8]]) {
    if parts.iter().map(|part| part.len()).sum::<usize>() <= NAME_BYTES_MAX {
        parts.iter().for_each(|part| names.extend_from_slice(part));
        names.push(0);
    }
}

/// Whether a list of that extent shows the row.
pub(super) const fn shown(row: &Row, list: XattrList) -> bool {
    match list {
        XattrList::Copy => matches!(row.class, Class::Carried),
        XattrList::User => matches!(row.what, What::Meta | What::Tag),
        // What is listed must be settable on a copy, and neither locks nor restores are carried over.
        XattrList::All => !matches!(row.what, What::Retention | What::LegalHold | What::Restore),
    }
}

/// What follows the row's name for each attribute of it that is set: `[""]` or `[]` for a row that is no family.
/// Nothing is computed: the crc64nvme is listed where it is not known yet, and reading it will find it out. `kept` is the
/// checksum that is known.
pub(super) fn present<'a>(target: &'a Target, row: &Row, kept: Option<ObjectSum>) -> Vec<&'a str> {
    let object = || target.object();
    match row.what {
        What::Meta => {
            object().into_iter().flat_map(|object| object.metadata.user_pairs()).map(|(name, _)| name).collect()
        }
        What::Tag => object().into_iter().flat_map(|object| object.tags.iter()).map(|(key, _)| key).collect(),
        What::Key | What::KeyB64 | What::Rbytes | What::Rentries | What::NoncurrentBytes | What::Info => vec![""],
        What::Restore => once(has_bytes(target) && object().is_some_and(|object| object.aging.restore.is_some())),
        What::ArchiveStatus => {
            once(has_bytes(target) && object().is_some_and(|object| object.aging.archived.is_some()))
        }
        What::AccessTier => {
            once(has_bytes(target) && object().is_some_and(|object| object.class == StorageClass::IntelligentTiering))
        }
        What::Crc64Nvme | What::ChecksumType => once(has_bytes(target)),
        What::Document(document) => once(matches!(target, Target::Bucket(bucket, _) if document.is_set(bucket))),
        What::Sum(algorithm) => once(kept.is_some_and(|kept| kept.sum.algorithm() == algorithm)),
        _ => once(plain(target, row, "").is_some()),
    }
}

fn once(is: bool) -> Vec<&'static str> {
    if is { vec![""] } else { Vec::new() }
}
