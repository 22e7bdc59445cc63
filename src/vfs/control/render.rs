//! Texts of control files.

use super::{Control, ControlNode};
use crate::model::{Error, Held, Kind, Ledger, Result, Usage};
use crate::store::PartInfo;
use serde::Serialize;
use std::collections::BTreeMap;

/// The whole text of a file as it is now.
pub(super) fn render(control: &Control, node: &ControlNode) -> Result<Vec<u8>> {
    let store = &control.store;
    match node {
        ControlNode::RootStatus => json(&store.status()?),
        ControlNode::RootMetrics => Ok(store.metrics_text(&control.metrics)?.into_bytes()),
        ControlNode::RootErrors => lines(&store.complaints(None)),
        ControlNode::BucketErrors(bucket) => {
            let bucket = store.bucket_by_id(*bucket)?;
            lines(&store.complaints(Some(bucket.name.as_str())))
        }
        ControlNode::BucketStats(id) => {
            let (bucket, ledger) = (store.bucket_by_id(*id)?, store.ledger(*id)?);
            json(&Stats {
                bucket: bucket.name.as_str(),
                created: bucket.created.rfc3339(),
                versioning: bucket.versioning.status(),
                quota: bucket.quota,
                usage: ledger.usage,
                classes: classes(&ledger),
            })
        }
        ControlNode::BucketPlan(bucket) => super::plan::text(store, store.bucket_by_id(*bucket)?.name.as_str()),
        ControlNode::BucketDocument(bucket, _) => {
            let bucket = store.bucket_by_id(*bucket)?;
            let text = node.document().and_then(|document| document.read(store, &bucket));
            Ok(text.unwrap_or_default().into_bytes())
        }
        ControlNode::Upload(bucket, id) => {
            let upload = store.upload(*bucket, *id)?;
            let parts = store.list_parts(*id, 0, PARTS_MAX)?.parts;
            json(&Upload {
                upload: upload.id.to_string(),
                key: upload.key,
                initiated: upload.initiated.rfc3339(),
                bytes: parts.iter().map(|part| part.size).sum(),
                parts: parts.iter().map(Part::of).collect(),
            })
        }
        ControlNode::Scratch(_, id) => {
            let bytes = control.scratch.bytes(*id);
            Ok(bytes.map(|bytes| bytes.lock().clone()).unwrap_or_default())
        }
        ControlNode::RootEvents | ControlNode::BucketEvents(_) => control.read(node, 0, usize::MAX),
        ControlNode::RootDir
        | ControlNode::RootJobs
        | ControlNode::BucketDir(_)
        | ControlNode::Uploads(_)
        | ControlNode::At(_)
        | ControlNode::AtTime(..) => Err(Error::new(Kind::IsDirectory, "a control directory has no text")),
    }
}

/// Most parts of an upload (MPU-1).
const PARTS_MAX: usize = 10_000;

/// `uploads/ID.json`.
#[derive(Serialize)]
struct Upload {
    upload: String,
    key: String,
    initiated: String,
    bytes: u64,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    number: u32,
    size: u64,
    etag: String,
    modified: String,
}

impl Part {
    fn of(part: &PartInfo) -> Self {
        Self { number: part.number, size: part.size, etag: part.etag.to_string(), modified: part.modified.rfc3339() }
    }
}

/// `stats.json`.
#[derive(Serialize)]
struct Stats<'a> {
    bucket: &'a str,
    created: String,
    versioning: Option<&'static str>,
    quota: Option<u64>,
    #[serde(flatten)]
    usage: Usage,
    /// By class, of those that it has anything of; none while that is not counted yet.
    classes: Option<BTreeMap<&'static str, Class>>,
}

/// What of a class a bucket holds.
#[derive(Serialize)]
struct Class {
    objects: i64,
    bytes: i64,
    noncurrent: i64,
    noncurrent_bytes: i64,
}

fn classes(ledger: &Ledger) -> Option<BTreeMap<&'static str, Class>> {
    let class = |held: &Held| Class {
        objects: held.objects,
        bytes: held.bytes,
        noncurrent: held.noncurrent,
        noncurrent_bytes: held.noncurrent_bytes,
    };
    let some = ledger.classes.iter().filter(|(_, held)| **held != Held::default());
    ledger.complete.then(|| some.map(|(name, held)| (name.name(), class(held))).collect())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::new(Kind::Io, "cannot write the control file's text").why(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

fn lines(values: &[impl Serialize]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for value in values {
        serde_json::to_writer(&mut text, value)
            .map_err(|error| Error::new(Kind::Io, "cannot write the control file's text").why(error.to_string()))?;
        text.push(b'\n');
    }
    Ok(text)
}
