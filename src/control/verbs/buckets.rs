//! `bucket ...`: buckets and their settings, all by one pattern.

use crate::control::{ActRow, BucketRow, ClassRow, Host, Reply, Row, SettingRow};
use crate::model::{
    Bucket, BucketName, Error, FileKind, Held, Kind, Leave, Posix, Result, StorageClass, Versioning, parse_size,
    size_text,
};
use crate::store::{Document, Store};
use crate::sys::process;

/// The setting that is a state of the bucket: a word does for it.
const VERSIONING: &str = "versioning";
/// The setting that versioning may leave without effect (VER-20).
const LIFECYCLE: &str = "lifecycle";
/// The setting that is a number of bytes, written like `10GiB`.
const QUOTA: &str = "quota";

pub(super) fn list(store: &Store, reply: &mut dyn Reply) -> Result<()> {
    for bucket in store.buckets()? {
        reply.row(Row::Bucket(row(store, &bucket)?))?;
    }
    Ok(())
}

pub(super) fn show(store: &Store, name: &str, reply: &mut dyn Reply) -> Result<()> {
    reply.row(Row::Bucket(row(store, &store.bucket(name)?)?))
}

pub(super) fn create(store: &Store, name: &str, object_lock: bool, reply: &mut dyn Reply) -> Result<()> {
    let name = BucketName::parse(name)?;
    // The mount shows it as the store owner's directory.
    let posix = Posix::new(FileKind::Directory, 0o755, process::effective_uid(), process::effective_gid(), store.now());
    let bucket =
        if object_lock { store.create_locked_bucket(&name, &posix) } else { store.create_bucket(&name, &posix) }?;
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

pub(super) fn get(store: &Store, host: &dyn Host, (name, setting): (&str, &str), reply: &mut dyn Reply) -> Result<()> {
    let bucket = store.bucket(name)?;
    let value = match setting {
        VERSIONING => Some(state(bucket.versioning).to_owned()),
        QUOTA => bucket.quota.map(size_text),
        _ => host.setting(store, &bucket, setting)?,
    };
    let value = value.ok_or_else(|| {
        Error::new(Kind::NotSet, format!("{setting} of the bucket {name} is not set"))
            .why("nobody set it, or it was removed")
            .mend(format!("`keyfold bucket set {name} {setting} VALUE` sets it"))
    })?;
    reply.row(Row::Setting(SettingRow { bucket: name.to_owned(), setting: setting.to_owned(), value }))
}

pub(super) fn set(
    store: &Store,
    host: &dyn Host,
    (name, setting): (&str, &str),
    value: Option<&str>,
    leave: Leave,
    reply: &mut dyn Reply,
) -> Result<()> {
    let bucket = store.bucket(name)?;
    let done = if value.is_some() { "set" } else { "unset" };
    match value.map(str::trim) {
        Some(word) if setting == VERSIONING && !word.starts_with('{') => {
            let to = Versioning::parse(word)?;
            if to != bucket.versioning {
                store.set_versioning_with(name, to, None, leave)?;
            }
        }
        Some(size) if setting == QUOTA => store.set_quota(name, Some(parse_size(size)?))?,
        None if setting == QUOTA => store.set_quota(name, None)?,
        Some(text) if setting == VERSIONING && leave.mfa => {
            let document =
                Document::named(setting).ok_or_else(|| Error::new(Kind::InvalidArgument, "no such setting"))?;
            document.replace_with(store, &bucket, text.as_bytes(), leave)?;
        }
        text => host.change_setting(store, &bucket, setting, text)?,
    }
    if value.is_some()
        && [VERSIONING, LIFECYCLE].contains(&setting)
        && let Some(advice) = store.advice(&store.bucket(name)?)
    {
        reply.note(&format!("note: {advice}"))?;
    }
    act(done, &format!("{name} {setting}"), false, reply)
}

fn state(versioning: Versioning) -> &'static str {
    versioning.status().unwrap_or("Unversioned")
}

fn row(store: &Store, bucket: &Bucket) -> Result<BucketRow> {
    let ledger = store.ledger(bucket.id)?;
    let usage = ledger.usage;
    let class = |(class, held): (StorageClass, &Held)| ClassRow {
        class: class.name().to_owned(),
        objects: held.objects,
        bytes: held.bytes,
        noncurrent: held.noncurrent,
        noncurrent_bytes: held.noncurrent_bytes,
    };
    let some = || ledger.classes.iter().filter(|(_, held)| **held != Held::default());
    Ok(BucketRow {
        bucket: bucket.name.to_string(),
        created: bucket.created.rfc3339(),
        versioning: state(bucket.versioning).to_owned(),
        objects: usage.objects,
        bytes: usage.bytes,
        noncurrent: usage.noncurrent,
        noncurrent_bytes: usage.noncurrent_bytes,
        markers: usage.markers,
        uploads: usage.uploads,
        upload_bytes: usage.upload_bytes,
        quota: bucket.quota,
        classes: ledger.complete.then(|| some().map(class).collect()),
        settings: bucket.documents.keys().cloned().chain(bucket.lock.map(|_| "object-lock".to_owned())).collect(),
    })
}

fn act(act: &str, on: &str, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    reply.row(Row::Act(ActRow { act: act.to_owned(), on: on.to_owned(), dry_run, ..ActRow::default() }))
}
