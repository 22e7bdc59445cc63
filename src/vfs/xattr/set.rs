//! Setting and removing attributes.

use super::apply::{self, computed, later, unknown};
use super::get::{foreign, of_object, value as read};
use super::names::{Class, Name, Row, What, classify, find};
use super::{SetEffect, Target, XattrList, XattrView, lock, not_set, refused, spelled};
use crate::model::{Bucket, DirId, Error, Ino, Kind, Object, Result, Versioning, parse_size};
use crate::store::{Carried, Mover, RestoreWish, Step, Store, XattrMode, in_one_of};
use std::sync::Arc;

/// Sets the attribute `name`. `create` and `replace` are `XATTR_CREATE` and `XATTR_REPLACE`.
///
/// [`Kind::Unsupported`] of an own name is told to the store's error ring here, because its errno looks as if it
/// explained itself; other refusals are the caller's to tell.
///
/// # Errors
/// [`Kind::Unsupported`] for unknown names and those without an engine, [`Kind::NotPermitted`] for computed ones,
/// [`Kind::AlreadyExists`] and [`Kind::NotSet`] for the two flags, [`Kind::InvalidArgument`],
/// [`Kind::InvalidTag`], [`Kind::TooManyTags`], [`Kind::MetadataTooLarge`], [`Kind::InvalidState`] for the value.
pub fn set(
    store: &Arc<Store>,
    target: &Target,
    name: &[u8],
    value: &[u8],
    create: bool,
    replace: bool,
    view: &XattrView,
) -> Result<SetEffect> {
    let outcome = change(store, target, name, &Edit { value: Some(value), create, replace }, view);
    told(store, target, "setxattr", name, outcome)
}

/// Removes the attribute `name`. Tells the error ring as [`set`] does.
///
/// # Errors
/// [`Kind::NotSet`] when it is not there, else as [`set`].
pub fn remove(store: &Arc<Store>, target: &Target, name: &[u8], view: &XattrView) -> Result<SetEffect> {
    let outcome = change(store, target, name, &Edit { value: None, create: false, replace: true }, view);
    told(store, target, "removexattr", name, outcome)
}

/// A set, or with no value a removal.
struct Edit<'a> {
    value: Option<&'a [u8]>,
    create: bool,
    replace: bool,
}

impl Edit<'_> {
    fn check(&self, exists: bool) -> Result<()> {
        match exists {
            true if self.create => Err(Error::new(Kind::AlreadyExists, "the attribute is set already")),
            false if self.replace => Err(not_set()),
            _ => Ok(()),
        }
    }
}

fn told(store: &Arc<Store>, target: &Target, op: &str, name: &[u8], outcome: Result<SetEffect>) -> Result<SetEffect> {
    if let (Err(error), Name::Own(_)) = (&outcome, classify(name))
        && error.kind() == Kind::Unsupported
    {
        let path = target.path(store).ok().flatten();
        let bucket = path.as_ref().map(|(bucket, _)| bucket.name.as_str());
        let key = path.as_ref().map_or("", |(_, key)| key.as_str());
        store.complain(&format!("{op} {}", spelled(name)), bucket, key, error);
    }
    outcome
}

fn change(store: &Arc<Store>, target: &Target, name: &[u8], edit: &Edit<'_>, view: &XattrView) -> Result<SetEffect> {
    let own = match classify(name) {
        Name::Never => return Err(refused(name).unwrap_or_else(not_set)),
        Name::Foreign => return change_foreign(store, target, name, edit),
        Name::Own(own) => own,
    };
    let (row, rest) = find(target.place(), own).ok_or_else(|| unknown(own))?;
    match row.class {
        Class::Computed if view.list == XattrList::All => return Ok(SetEffect::Ignored),
        Class::Computed => return Err(computed(&row)),
        Class::Carried | Class::Setting => {}
    }
    if matches!(row.what, What::Later) {
        return if edit.value.is_some() { Err(later(own)) } else { Err(not_set()) };
    }
    if edit.create || edit.replace {
        edit.check(read(store, target, &row, rest)?.is_some())?;
    }
    match row.what {
        What::Retention | What::LegalHold => return lock::set(store, target, row.what, edit.value),
        What::StorageClass | What::Restore if !target.folds() && !target.is_draft() => {
            return change_archive(store, target, &row, edit);
        }
        What::StorageClass if target.is_draft() => return change_draft(store, target, &row, edit),
        What::DefaultClass => return change_default_class(store, target, edit),
        _ => {}
    }
    match target {
        Target::Root => Err(unknown(own)),
        Target::Bucket(bucket, _) => change_bucket(store, bucket, &row, edit),
        Target::Version { dirs, component, object } => change_version(store, dirs, component, object, &row, rest, edit),
        Target::Dir(dir) => match &dir.marker {
            Some(marker) => change_object(store, (dir.parent, &dir.name), marker.ino, &row, rest, edit),
            None => Err(Error::new(Kind::Unsupported, format!("cannot set user.s3.{own}"))
                .why("the directory has no object of its own: it exists because keys lie below it")
                .mend("make one with `mkdir`, or by a PUT of the key that ends in /")),
        },
        Target::File { entry, .. } if target.folds() => {
            let mut object = entry.object.clone();
            let changed = apply::edit(&mut object, &row, rest, edit.value)?;
            Ok(if changed { SetEffect::Fold } else { SetEffect::Unchanged })
        }
        Target::File { dir, component, entry, .. } => {
            change_object(store, (*dir, component), entry.object.ino, &row, rest, edit)
        }
    }
}

/// Takes the very version that was looked at to another class, or asks for it to be restored.
fn change_archive(store: &Arc<Store>, target: &Target, row: &Row, edit: &Edit<'_>) -> Result<SetEffect> {
    let (dirs, component, object) = match target {
        Target::File { dir, component, entry, .. } => (std::slice::from_ref(dir), component, &entry.object),
        Target::Version { dirs, component, object } => (dirs.as_slice(), component, object),
        Target::Root | Target::Bucket(..) | Target::Dir(_) => return Err(unknown(row.name)),
    };
    let version = Some((object.version, Some(object.seq)));
    let change = |at: (DirId, &str)| match (row.what, edit.value) {
        (What::Restore, Some(value)) => {
            store.request_restore(at, version, RestoreWish::parse(apply::word(value)?)?).map(|_| SetEffect::Stored)
        }
        (What::Restore, None) => Err(Error::new(Kind::InvalidArgument, "cannot end the restore")
            .why("a restored copy lives until its day comes")
            .mend("ask for another day: days=1")),
        (_, value) => {
            let step = Step { from: None, to: apply::class(value)?, by: Mover::Caller };
            let moved = store.transition(at, version, step)?;
            Ok(if moved.class == object.class { SetEffect::Unchanged } else { SetEffect::Stored })
        }
    };
    in_one_of(dirs, |dir| change((dir, component))).unwrap_or_else(|| Err(gone()))
}

fn gone() -> Error {
    Error::new(Kind::NoSuchVersion, "the version has gone")
}

/// Of a file that is not published yet.
fn change_draft(store: &Arc<Store>, target: &Target, row: &Row, edit: &Edit<'_>) -> Result<SetEffect> {
    let Target::File { dir, component, entry, .. } = target else { return Err(unknown(row.name)) };
    let set = |object: &mut Object| apply::edit(object, row, "", edit.value).map(drop);
    store.edit_own((*dir, component), entry.object.ino, None, set).map(|_| SetEffect::Stored)
}

/// The class of new files in a directory and below it.
fn change_default_class(store: &Arc<Store>, target: &Target, edit: &Edit<'_>) -> Result<SetEffect> {
    let (Target::Dir(dir) | Target::Bucket(_, dir)) = target else { return Err(unknown("storage-class")) };
    let class = edit.value.map(|value| apply::class(Some(value))).transpose()?;
    if class == dir.class {
        return Ok(SetEffect::Unchanged);
    }
    store.set_default_class(dir.id, class).map(|()| SetEffect::Stored)
}

/// Edits the current object of a name, inside of one transaction so that no edit in between is lost.
fn change_object(
    store: &Arc<Store>,
    at: (DirId, &str),
    ino: Ino,
    row: &Row,
    rest: &str,
    edit: &Edit<'_>,
) -> Result<SetEffect> {
    let done = store.edit_carried(at, ino, |object| {
        edit.check(of_object(object, false, row, rest).is_some())?;
        apply::edit(object, row, rest, edit.value)
    })?;
    Ok(match done {
        Carried::Unchanged => SetEffect::Unchanged,
        Carried::Tagged => SetEffect::Stored,
        Carried::Rewritten(object) => SetEffect::Rewritten(object),
    })
}

/// Tags belong to a version and may change (TAG-9); the rest of a version never does (META-5).
fn change_version(
    store: &Arc<Store>,
    dirs: &[DirId],
    component: &str,
    object: &Object,
    row: &Row,
    rest: &str,
    edit: &Edit<'_>,
) -> Result<SetEffect> {
    let set = |version: &mut Object| -> Result<bool> {
        let before = version.tags.clone();
        edit.check(of_object(version, false, row, rest).is_some())?;
        let changed = apply::edit(version, row, rest, edit.value)?;
        if changed && version.tags == before {
            return Err(Error::new(Kind::NotPermitted, format!("cannot set user.s3.{}{rest} on a version", row.name))
                .why("a version's metadata never changes (META-5)")
                .mend("copy the version over the name, then set it there"));
        }
        Ok(changed)
    };
    let done = in_one_of(dirs, |dir| store.edit_tags((dir, component), Some(object.version), set));
    let (_, changed) = done.unwrap_or_else(|| Err(gone()))?;
    Ok(if changed { SetEffect::Stored } else { SetEffect::Unchanged })
}

fn change_bucket(store: &Arc<Store>, bucket: &Bucket, row: &Row, edit: &Edit<'_>) -> Result<SetEffect> {
    match (row.what, edit.value) {
        (What::Versioning, Some(value)) => {
            let to = Versioning::parse(apply::word(value)?)?;
            if to == bucket.versioning {
                return Ok(SetEffect::Unchanged);
            }
            store.set_versioning(bucket.name.as_str(), to)?;
        }
        (What::Versioning, None) => {
            return Err(Error::new(Kind::InvalidState, "cannot remove the bucket's versioning")
                .why("once set it never becomes unversioned again (VER-1)")
                .mend("set it to Suspended"));
        }
        (What::Quota, Some(value)) => store.set_quota(bucket.name.as_str(), Some(parse_size(apply::word(value)?)?))?,
        (What::Quota, None) if bucket.quota.is_none() => return Err(not_set()),
        (What::Quota, None) => store.set_quota(bucket.name.as_str(), None)?,
        (What::DefaultRetention, value) => lock::set_default(store, bucket, value)?,
        (What::Document(document), Some(value)) => document.replace(store, bucket, value)?,
        (What::Document(document), None) => document.unset(store, bucket)?,
        _ => return Err(unknown(row.name)),
    }
    Ok(SetEffect::Stored)
}

/// The user's own attributes go straight to the store: they make no version.
fn change_foreign(store: &Arc<Store>, target: &Target, name: &[u8], edit: &Edit<'_>) -> Result<SetEffect> {
    edit.check(foreign(target, name).is_some())?;
    let (at, ino) = match target {
        Target::Root => {
            return Err(Error::new(Kind::Unsupported, "cannot set attributes on the mount's root")
                .why("the root is no object and no directory of the store"));
        }
        Target::Version { .. } => {
            return Err(Error::new(Kind::NotPermitted, "cannot set attributes on a version")
                .why("entries of .versions are read-only")
                .mend("copy the version over the name, then set it there"));
        }
        Target::File { .. } if target.folds() => return Ok(SetEffect::Fold),
        Target::File { dir, component, entry, .. } => ((*dir, component.as_str()), entry.object.ino),
        Target::Bucket(_, dir) | Target::Dir(dir) => ((dir.parent, dir.name.as_str()), Ino::from(dir.id)),
    };
    match edit.value {
        Some(value) => {
            let mode = match (edit.create, edit.replace) {
                (true, _) => XattrMode::Create,
                (false, true) => XattrMode::Replace,
                (false, false) => XattrMode::Any,
            };
            store.set_xattr(at, ino, name, value, mode)?;
        }
        None => store.remove_xattr(at, ino, name)?,
    }
    Ok(SetEffect::Stored)
}
