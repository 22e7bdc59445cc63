//! `user.s3.info`: everything in one JSON object, which is how a person finds the names.

use super::Target;
use super::get::{document_of, kept, value};
use super::list::present;
use super::names::{Class, Place, Row, What, rows};
use crate::model::{ObjectSum, Result};
use crate::store::Store;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use std::sync::Arc;

/// A longer document is named, not shown: a value is 64 KiB at most.
const DOCUMENT_BYTES_MAX: usize = 2048;

/// Fields in the order they were added.
struct Fields(Vec<(String, Value)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// One pretty JSON object: `type`, `bucket`, then each attribute under its name below `user.s3.`. A name that can
/// be set and is not is `null`; names without an engine are left out.
pub(super) fn info(store: &Arc<Store>, target: &Target) -> Result<String> {
    let place = target.place();
    let mut fields = Fields(vec![("type".to_owned(), kind(target).into())]);
    if let Some((bucket, _)) = target.path(store)? {
        fields.0.push(("bucket".to_owned(), bucket.name.as_str().into()));
    }
    if let Target::File { entry, pending, .. } = target {
        fields.0.push(("size".to_owned(), entry.object.size.into()));
        fields.0.push(("stored".to_owned(), entry.object.stored.into()));
        if let Ok(Some(bytes)) = store.disk_bytes(&entry.object) {
            fields.0.push(("on-disk".to_owned(), bytes.into()));
        }
        fields.0.push(("published".to_owned(), (!entry.draft && !pending).into()));
    }
    if let Target::Version { object, .. } = target {
        fields.0.push(("size".to_owned(), object.size.into()));
    }
    let kept = kept(store, target)?;
    for row in rows(place) {
        add(&mut fields, store, target, &row, kept)?;
    }
    Ok(serde_json::to_string_pretty(&fields).unwrap_or_default())
}

const fn kind(target: &Target) -> &'static str {
    match target {
        Target::File { entry, .. } if entry.draft => "draft",
        Target::Version { object, .. } if object.marker => "delete-marker",
        other => other.place().word(),
    }
}

fn add(fields: &mut Fields, store: &Arc<Store>, target: &Target, row: &Row, kept: Option<ObjectSum>) -> Result<()> {
    match row.what {
        What::Info | What::Later => return Ok(()),
        What::Document(document) => {
            if let Some(text) = document_of(store, target, document) {
                let shown = if text.len() > DOCUMENT_BYTES_MAX {
                    format!("{} bytes: read .keyfold/{}.json", text.len(), document.name).into()
                } else {
                    serde_json::from_str(&text).unwrap_or(Value::String(text))
                };
                fields.0.push((row.name.to_owned(), shown));
            }
            return Ok(());
        }
        What::Expiration => {
            if let Some(text) = value(store, target, row, "")? {
                fields.0.push((row.name.to_owned(), String::from_utf8_lossy(&text).into_owned().into()));
            }
            return Ok(());
        }
        // Never read a whole object only to describe it.
        What::Crc64Nvme if target.object().is_none_or(|object| object.crc64.0.is_none()) => return Ok(()),
        _ => {}
    }
    let set = present(target, row, kept);
    if set.is_empty() && !row.is_family() && row.class != Class::Computed && target.place() != Place::Version {
        fields.0.push((row.name.to_owned(), Value::Null));
    }
    for rest in set {
        let Some(bytes) = value(store, target, row, rest)? else { continue };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let typed = match row.what {
            What::IsLatest => Value::Bool(text == "true"),
            What::Parts | What::Rbytes | What::Rentries | What::NoncurrentBytes => {
                text.parse::<i64>().map_or(Value::Null, Value::from)
            }
            What::Metadata => serde_json::from_str(&text).unwrap_or(Value::Null),
            _ => Value::String(text),
        };
        fields.0.push((format!("{}{rest}", row.name), typed));
    }
    Ok(())
}
