//! `bucket ...`: buckets and their settings, all by one pattern.

use crate::control::{ActRow, BucketRow, Host, Reply, Row, SettingRow};
use crate::model::{Bucket, BucketName, Error, FileKind, Kind, Posix, Result, Versioning};
use crate::store::Store;
use crate::sys::process;

/// The setting that is not a document but a state of the bucket.
const VERSIONING: &str = "versioning";

/// The documents a bucket can have (INTERFACE section 6).
const DOCUMENTS: &[&str] = &[
    "lifecycle", "policy", "acl", "ownership", "public-access-block", "cors", "website", "replication", "notification",
    "logging", "inventory", "analytics", "object-lock", "encryption", "tagging", "request-payment", "accelerate",
    "intelligent-tiering",
];

pub(super) fn list(store: &Store, reply: &mut dyn Reply) -> Result<()> {
    for bucket in store.buckets()? {
        reply.row(Row::Bucket(row(store, &bucket)?))?;
    }
    Ok(())
}

pub(super) fn show(store: &Store, name: &str, reply: &mut dyn Reply) -> Result<()> {
    reply.row(Row::Bucket(row(store, &store.bucket(name)?)?))
}

pub(super) fn create(store: &Store, name: &str, reply: &mut dyn Reply) -> Result<()> {
    let name = BucketName::parse(name)?;
    // The mount shows it as the store owner's directory.
    let posix = Posix::new(FileKind::Directory, 0o755, process::effective_uid(), process::effective_gid(), store.now());
    let bucket = store.create_bucket(&name, &posix)?;
    act("created", &bucket.name.to_string(), false, reply)
}

pub(super) fn delete(store: &Store, name: &str, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    if dry_run {
        let bucket = store.bucket(name)?;
        let usage = store.usage(bucket.id)?;
        let held = [
            (usage.objects, "objects"),
            (usage.noncurrent, "noncurrent versions"),
            (usage.markers, "delete markers"),
            (usage.uploads, "uploads in progress"),
        ];
        let held: Vec<String> =
            held.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if !held.is_empty() {
            return Err(Error::new(Kind::BucketNotEmpty, format!("the bucket {name} could not be deleted"))
                .why(format!("it holds {} (BKT-12)", held.join(", ")))
                .mend("delete what it holds first"));
        }
    } else {
        store.delete_bucket(name)?;
    }
    act("deleted", name, dry_run, reply)
}

pub(super) fn get(store: &Store, name: &str, setting: &str, reply: &mut dyn Reply) -> Result<()> {
    let bucket = store.bucket(name)?;
    let setting = known(setting)?;
    let value = if setting == VERSIONING {
        bucket.versioning.status().map(str::to_owned)
    } else {
        store.document(name, setting)?
    };
    let value = value.ok_or_else(|| {
        Error::new(Kind::NotSet, format!("{setting} of the bucket {name} is not set"))
            .mend(format!("`keyfold bucket set {name} {setting} VALUE` sets it"))
    })?;
    reply.row(Row::Setting(SettingRow { bucket: name.to_owned(), setting: setting.to_owned(), value }))
}

pub(super) fn set(
    store: &Store,
    host: &dyn Host,
    (name, setting): (&str, &str),
    value: Option<String>,
    reply: &mut dyn Reply,
) -> Result<()> {
    let setting = known(setting)?;
    let done = if value.is_some() { "set" } else { "unset" };
    match value {
        Some(value) if setting == VERSIONING => store.set_versioning(name, versioning(&value)?)?,
        None if setting == VERSIONING => {
            return Err(Error::new(Kind::InvalidState, format!("cannot unset versioning of the bucket {name}"))
                .why("a bucket never becomes unversioned again (VER-1)")
                .mend(format!("`keyfold bucket set {name} versioning Suspended` stops making versions")));
        }
        value => {
            if let Some(text) = &value {
                host.check_document(setting, text)?;
            }
            store.set_document(name, setting, value)?;
        }
    }
    act(done, &format!("{name} {setting}"), false, reply)
}

/// A word, or the document that `get-bucket-versioning` prints.
fn versioning(value: &str) -> Result<Versioning> {
    let word = value.trim();
    let document: Option<serde_json::Value> = serde_json::from_str(word).ok();
    let status = document.as_ref().and_then(|document| document.get("Status")?.as_str());
    Versioning::parse(status.unwrap_or(word))
}

fn known(setting: &str) -> Result<&str> {
    if setting == VERSIONING || DOCUMENTS.contains(&setting) {
        return Ok(setting);
    }
    Err(Error::new(Kind::InvalidArgument, format!("a bucket has no setting {setting:?}"))
        .why(format!("its settings are {VERSIONING}, {}", DOCUMENTS.join(", ")))
        .mend("choose one of them"))
}

fn row(store: &Store, bucket: &Bucket) -> Result<BucketRow> {
    let usage = store.usage(bucket.id)?;
    Ok(BucketRow {
        bucket: bucket.name.to_string(),
        created: bucket.created.rfc3339(),
        versioning: bucket.versioning.status().unwrap_or("Unversioned").to_owned(),
        objects: usage.objects,
        bytes: usage.bytes,
        noncurrent: usage.noncurrent,
        noncurrent_bytes: usage.noncurrent_bytes,
        markers: usage.markers,
        uploads: usage.uploads,
        settings: bucket.documents.keys().cloned().collect(),
    })
}

fn act(act: &str, on: &str, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    reply.row(Row::Act(ActRow { act: act.to_owned(), on: on.to_owned(), dry_run, ..ActRow::default() }))
}
