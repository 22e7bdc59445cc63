//! Extended attributes: everything S3 knows of an object within reach of `getfattr` and `setfattr`.
//!
//! One [`TABLE`] of names with class and places drives get, set, list, `info` and the documentation. Listed names
//! are settable, because tools that copy attributes fail on a listed one that is not. Own names are `user.s3.X`,
//! with the unlisted alias `s3.X`; other `user.*` and `trusted.*` names are the user's and are stored as they are;
//! `system.*` and `security.*` are refused by [`refused`] before anything is looked up.
//!
//! Knows: the store. May not know: inode numbers of the mount, handles, the kernel's protocol.
//! Locks: none; one tag or one metadata pair is changed inside a transaction of the store's (TAG-5).

mod apply;
mod get;
mod info;
mod list;
mod lock;
mod names;
mod pending;
mod set;
mod tagging;
mod tree;

#[cfg(test)]
mod tests;

pub use apply::{apply, withdraw};
pub use get::get;
pub use list::list;
pub use names::{ALIAS, Class, NAME_BYTES_MAX, PREFIX, Place, Row, TABLE, What, markdown};
pub use pending::Pending;
pub use set::{remove, set};
pub use tagging::{from_query, to_query};

use crate::model::{Bucket, DirId, Error, Kind, Object, Result};
use crate::store::{Directory, FileEntry, Store};
use names::{Name, classify};

/// What an attribute stands on. Snapshots: the caller reads them just before.
#[derive(Clone, Debug)]
pub enum Target {
    /// The mount's root when it shows all buckets.
    Root,
    /// A bucket and its root directory.
    Bucket(Bucket, Directory),
    /// A directory below a bucket.
    Dir(Directory),
    /// A name that is not a directory.
    File {
        /// The directory it lies in.
        dir: DirId,
        /// Its component there.
        component: String,
        /// What the name stands for. With `pending`, the session's view of the object, earlier edits folded in.
        entry: FileEntry,
        /// Whether a write session is open over it: edits go to the version that session makes.
        pending: bool,
    },
    /// An entry of `.versions`.
    Version {
        /// Directories of that path, live and dead.
        dirs: Vec<DirId>,
        /// The name's component.
        component: String,
        /// The version.
        object: Object,
    },
}

impl Target {
    /// Which rows of the table apply.
    #[must_use]
    pub const fn place(&self) -> Place {
        match self {
            Self::Root => Place::Root,
            Self::Bucket(..) => Place::Bucket,
            Self::Dir(_) => Place::Dir,
            Self::File { .. } => Place::File,
            Self::Version { .. } => Place::Version,
        }
    }

    /// The same without a write session over it.
    pub(super) fn settled(mut self) -> Self {
        if let Self::File { pending, .. } = &mut self {
            *pending = false;
        }
        self
    }

    /// The object whose tags and metadata show: a directory's is its marker.
    fn object(&self) -> Option<&Object> {
        match self {
            Self::Root | Self::Bucket(..) => None,
            Self::Dir(dir) => dir.marker.as_ref(),
            Self::File { entry, .. } => Some(&entry.object),
            Self::Version { object, .. } => Some(object),
        }
    }

    /// Whether S3 has not seen it yet: it has no version, tag or date to tell.
    const fn is_draft(&self) -> bool {
        matches!(self, Self::File { entry: FileEntry { draft: true, .. }, .. })
    }

    /// Whether edits belong to an open session's own version, which is not there yet. A draft is edited in place: it
    /// has no version that an edit could spoil.
    const fn folds(&self) -> bool {
        matches!(self, Self::File { pending: true, entry: FileEntry { draft: false, .. }, .. })
    }

    /// Bucket and key; an empty key for a bucket.
    fn path(&self, store: &Store) -> Result<Option<(Bucket, String)>> {
        let below =
            |dir: DirId, component: &str| store.path_of(dir).map(|(bucket, prefix)| Some((bucket, prefix + component)));
        match self {
            Self::Root => Ok(None),
            Self::Bucket(bucket, _) => Ok(Some((bucket.clone(), String::new()))),
            Self::Dir(dir) => below(dir.id, ""),
            Self::File { dir, component, .. } => below(*dir, component),
            Self::Version { dirs, component, .. } => match dirs.first() {
                Some(dir) => below(*dir, component),
                None => Ok(None),
            },
        }
    }
}

/// Which names `listxattr` shows (`-o xattr_list=`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum XattrList {
    /// Those a copy carries: every tool that copies attributes works.
    #[default]
    Copy,
    /// The user's own only: tags, user metadata and foreign names.
    User,
    /// All; sets and removals of computed names are then accepted and ignored, so that tools still work.
    All,
}

/// How the caller sees attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct XattrView {
    /// Which names are listed.
    pub list: XattrList,
    /// Whether `trusted.*` names are listed: the caller has `CAP_SYS_ADMIN`. The kernel guards the values itself.
    pub trusted: bool,
}

/// What a set or a removal did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetEffect {
    /// Nothing changed: the value was that already.
    Unchanged,
    /// A computed name under `xattr_list=all`: accepted, nothing done.
    Ignored,
    /// Stored; no version was made (META-6).
    Stored,
    /// Metadata changed: this is the current version now (META-5).
    Rewritten(Box<Object>),
    /// Nothing was stored, since a write session is open over a published object: the value is valid, and the caller
    /// folds it into the version the session makes, with [`apply()`] or [`withdraw`], when it is published or inside
    /// [`Store::edit_own`] once that version is current.
    Fold,
}

/// The refusal of a name that is never offered, known without any look-up; `None` when the name may exist.
///
/// `system.posix_acl_*` in particular: accepting it would make `cp -p` and `mv` lose modes, refusing it makes them
/// fall back to `chmod`.
#[must_use]
pub fn refused(name: &[u8]) -> Option<Error> {
    (classify(name) == Name::Never).then(|| {
        Error::new(Kind::Unsupported, "attributes outside user.* and trusted.* are not offered").why(
            "modes and owners are kept by chmod and chown; system.* and security.* have no place in an object store",
        )
    })
}

/// Whether it is about where a version's bytes lie, or protects it: that is set in `.versions`, too. No byte and no name changes.
#[must_use]
pub fn is_of_a_version(name: &[u8]) -> bool {
    let Name::Own(own) = classify(name) else { return false };
    let of_it = |what| matches!(what, What::StorageClass | What::Restore | What::Retention | What::LegalHold);
    names::find(Place::Version, own).is_some_and(|(row, _)| of_it(row.what))
}

fn not_set() -> Error {
    Error::new(Kind::NotSet, "the attribute is not set")
}

/// The name for messages; bytes that are not UTF-8 are replaced.
fn spelled(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
