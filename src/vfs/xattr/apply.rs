//! Edits of an object's tags, metadata and foreign attributes in memory: pure, and the one place that reads values.

use super::names::{Class, Name, Place, Row, What, classify, find};
use super::{not_set, refused, tagging};
use crate::model::{Error, Kind, Metadata, Object, Result, StorageClass, SystemHeader};
use crate::store::leads;
use std::collections::BTreeMap;

/// Sets the attribute `name` on `object` in memory; whether anything changed. A refused value changes nothing.
///
/// # Errors
/// As [`super::set()`]: [`Kind::Unsupported`] for an unknown name, [`Kind::NotPermitted`] for a computed one,
/// [`Kind::InvalidArgument`], [`Kind::InvalidTag`], [`Kind::TooManyTags`], [`Kind::MetadataTooLarge`] for the value.
pub fn apply(object: &mut Object, name: &[u8], value: &[u8]) -> Result<bool> {
    route(object, name, Some(value))
}

/// Removes the attribute `name` from `object` in memory; whether anything changed.
///
/// # Errors
/// [`Kind::NotSet`] when it is not there, else as [`apply`].
pub fn withdraw(object: &mut Object, name: &[u8]) -> Result<bool> {
    route(object, name, None)
}

fn route(object: &mut Object, name: &[u8], value: Option<&[u8]>) -> Result<bool> {
    match classify(name) {
        Name::Never => Err(refused(name).unwrap_or_else(not_set)),
        Name::Foreign => match value {
            Some(value) if object.xattrs.get(name) == Some(value) => Ok(false),
            Some(value) => object.xattrs.set(name, value).map(|()| true),
            None => removed(object.xattrs.remove(name)),
        },
        Name::Own(own) => match find(Place::File, own) {
            Some((row, rest)) => edit(object, &row, rest, value),
            None => Err(unknown(own)),
        },
    }
}

/// Sets (`Some`) or removes (`None`) the own attribute of `row`; whether anything changed.
pub(super) fn edit(object: &mut Object, row: &Row, rest: &str, value: Option<&[u8]>) -> Result<bool> {
    if object.marker {
        return Err(Error::new(Kind::IsMarker, "cannot change a delete marker's attributes")
            .why("a delete marker has no data, tags or metadata (VER-11)")
            .mend("remove the marker to bring the object back"));
    }
    if row.class == Class::Computed {
        return Err(computed(row));
    }
    match row.what {
        What::Meta => edit_user(&mut object.metadata, rest, value),
        What::Header(header) => edit_header(&mut object.metadata, header, value),
        What::Metadata => edit_map(&mut object.metadata, value),
        What::Tag => match value {
            None => removed(object.tags.remove(rest)),
            Some(value) => {
                let value = text(value)?;
                if object.tags.get(rest) == Some(value) {
                    return Ok(false);
                }
                object.tags.set(rest, value).map(|()| true)
            }
        },
        What::Tags => {
            let tags = tagging::from_query(word(value.unwrap_or_default())?)?;
            let changed = tags != object.tags;
            object.tags = tags;
            Ok(changed)
        }
        What::StorageClass => edit_class(object, value),
        What::Restore => Err(Error::new(Kind::NotArchived, "cannot restore the object")
            .why("it is being written, and lies in no archive until that is over")),
        What::Later => Err(later(row.name)),
        _ => Err(unknown(row.name)),
    }
}

fn removed(was_there: bool) -> Result<bool> {
    if was_there { Ok(true) } else { Err(not_set()) }
}

fn edit_user(metadata: &mut Metadata, name: &str, value: Option<&[u8]>) -> Result<bool> {
    let Some(value) = value else { return removed(metadata.remove_user(name)) };
    let value = text(value)?;
    if metadata.user(name) == Some(value) {
        return Ok(false);
    }
    metadata.set_user(name, value).map(|()| true)
}

fn edit_header(metadata: &mut Metadata, header: SystemHeader, value: Option<&[u8]>) -> Result<bool> {
    let before = metadata.system(header).map(str::to_owned);
    let Some(value) = value else {
        metadata.set_system(header, "")?;
        return removed(before.is_some());
    };
    let value = word(value)?;
    let starts = |start: &&str| value.starts_with(start);
    if header == SystemHeader::WebsiteRedirect && !value.is_empty() && !["/", "http://", "https://"].iter().any(starts)
    {
        return Err(Error::new(Kind::InvalidArgument, format!("cannot redirect to {value:?}"))
            .why("a redirect is a path that begins with / or a URL that begins with http:// or https://")
            .mend("write it like /new/page or https://example.com/page"));
    }
    metadata.set_system(header, value)?;
    Ok(metadata.system(header) != before.as_deref())
}

/// The whole map: system headers stay, user pairs are those of the JSON object.
fn edit_map(metadata: &mut Metadata, value: Option<&[u8]>) -> Result<bool> {
    let text = word(value.unwrap_or_default())?;
    let pairs: BTreeMap<String, String> = if text.is_empty() {
        BTreeMap::new()
    } else {
        serde_json::from_str(text).map_err(|error| {
            Error::new(Kind::InvalidArgument, "cannot read the metadata map")
                .why(format!("it is not a JSON object of strings: {error}"))
                .mend(r#"write it like {"title":"Blue","author":"Ann"}"#)
        })?
    };
    let mut next = Metadata::default();
    for (header, value) in metadata.system_pairs() {
        next.set_system(header, value)?;
    }
    for (name, value) in &pairs {
        next.set_user(name, value)?;
    }
    let changed = next != *metadata;
    *metadata = next;
    Ok(changed)
}

/// The class that a value names; without one the default.
pub(super) fn class(value: Option<&[u8]>) -> Result<StorageClass> {
    let wanted = word(value.unwrap_or(StorageClass::Standard.name().as_bytes()))?;
    StorageClass::named(wanted).ok_or_else(|| {
        let known: Vec<&str> = StorageClass::ALL.iter().map(|class| class.name()).collect();
        Error::new(Kind::InvalidArgument, format!("cannot set the storage class {wanted:?}"))
            .why("there is no such class")
            .mend(format!("choose one of {}", known.join(", ")))
    })
}

/// Of a version that is being written, which lies in no archive.
fn edit_class(object: &mut Object, value: Option<&[u8]>) -> Result<bool> {
    let to = class(value)?;
    if to == object.class {
        return Ok(false);
    }
    if !leads(object.class, to) {
        return Err(Error::new(Kind::InvalidArgument, format!("cannot move the object to {}", to.name()))
            .why(format!("no step leads there from {} (LC-13, LC-14)", object.class.name()))
            .mend("go down only; upwards leads a copy"));
    }
    object.class = to;
    Ok(true)
}

/// A value that must be text.
pub(super) fn text(value: &[u8]) -> Result<&str> {
    std::str::from_utf8(value).map_err(|_| {
        Error::new(Kind::InvalidArgument, "cannot store the attribute's value")
            .why("it is not UTF-8")
            .mend("keep binary values in an ordinary user.* attribute")
    })
}

/// A value that is one word or line: white space around it does not matter.
pub(super) fn word(value: &[u8]) -> Result<&str> {
    text(value).map(str::trim)
}

pub(super) fn unknown(own: &str) -> Error {
    Error::new(Kind::Unsupported, format!("cannot set user.s3.{own}"))
        .why("there is no such attribute here")
        .mend("getfattr -n user.s3.info --only-values FILE shows the names; other user.* names are free to use")
}

pub(super) fn later(own: &str) -> Error {
    Error::new(Kind::Unsupported, format!("cannot set user.s3.{own}"))
        .why("this release has no engine for it, and would only pretend to obey")
}

pub(super) fn computed(row: &Row) -> Error {
    Error::new(Kind::NotPermitted, format!("cannot set user.s3.{}", row.name))
        .why("the store computes it")
        .mend("mount with xattr_list=all if a tool must be able to set what it has read")
}
