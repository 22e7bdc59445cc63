//! Control files: settings and state of buckets and of the store as small files (`BUCKET/.keyfold/`,
//! `MOUNT/.keyfold/`).
//!
//! A virtual tree of [`ControlNode`]s. Reading takes a snapshot at open ([`Control::render`]) or, for files that
//! grow, pieces by offset ([`Control::read`]). A bucket's documents ([`DOCUMENTS`]) are replaced as a whole: what is
//! written is checked as soon as it is whole, and the old document stays until a valid one is there.
//!
//! Knows: the store. May not know: inode numbers, handles, the kernel's protocol.
//! Locks, all leaves towards the store: `feeds`, then one file of events; the temporary files'; the texts that are open.

mod events;
mod instant;
mod node;
mod plan;
mod render;
mod scratch;
mod texts;
mod writer;

#[cfg(test)]
mod tests;

pub use instant::parse_instant;
pub use node::{ControlAttr, ControlNode};
pub use writer::{DocumentWriter, ScratchWriter, Writer};

use crate::model::{BucketId, Error, Kind, Result, UploadId};
use crate::store::{DOCUMENTS, Document, Store};
use crate::sys::sync::Mutex;
use crate::telemetry::Metrics;
use events::Events;
use node::{BUCKET_NAMES, ROOT_NAMES};
use scratch::Scratch;
use std::collections::HashMap;
use std::sync::Arc;
use texts::Texts;

/// The control files of one mount.
pub struct Control {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    scratch: Scratch,
    texts: Texts,
    feeds: Mutex<HashMap<Option<BucketId>, Arc<Mutex<Events>>>>,
}

impl Control {
    /// The control files over `store`.
    #[must_use]
    pub fn new(store: Arc<Store>, metrics: Arc<Metrics>) -> Self {
        let (scratch, texts) = (Scratch::default(), Texts::default());
        Self { store, metrics, scratch, texts, feeds: Mutex::default() }
    }

    /// What `name` is in the control directory `dir`; `None` when nothing is there.
    ///
    /// # Errors
    /// When the store cannot be read, or the bucket is gone.
    pub fn lookup(&self, dir: &ControlNode, name: &str) -> Result<Option<ControlNode>> {
        match dir {
            ControlNode::RootDir => {
                Ok(ROOT_NAMES.iter().find(|(known, _)| *known == name).map(|(_, node)| node.clone()))
            }
            ControlNode::BucketDir(bucket) => self.lookup_in_bucket(*bucket, name),
            ControlNode::Uploads(bucket) => {
                let number = name.strip_suffix(".json").and_then(|number| number.parse().ok()).map(UploadId);
                let Some(id) = number.filter(|id| file_of(*id) == name) else { return Ok(None) };
                match self.store.upload(*bucket, id) {
                    Ok(_) => Ok(Some(ControlNode::Upload(*bucket, id))),
                    Err(error) if error.kind() == Kind::NoSuchUpload => Ok(None),
                    Err(error) => Err(error),
                }
            }
            // The future is not known yet.
            ControlNode::At(bucket) => Ok(parse_instant(name)
                .ok()
                .filter(|at| *at <= self.store.now())
                .map(|at| ControlNode::AtTime(*bucket, at))),
            _ => Ok(None),
        }
    }

    fn lookup_in_bucket(&self, bucket: BucketId, name: &str) -> Result<Option<ControlNode>> {
        if let Some((_, node)) = BUCKET_NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Some(node(bucket)));
        }
        if let Some(document) = Document::of_file(name) {
            let set = document.is_set(&self.store.bucket_by_id(bucket)?);
            return Ok(set.then_some(ControlNode::BucketDocument(bucket, document.name)));
        }
        Ok(self.scratch.find(bucket, name).map(|id| ControlNode::Scratch(bucket, id)))
    }

    /// Names and nodes of a control directory, sorted. Documents are there when they are set.
    ///
    /// # Errors
    /// As [`Control::lookup`].
    pub fn list(&self, dir: &ControlNode) -> Result<Vec<(String, ControlNode)>> {
        let mut entries: Vec<(String, ControlNode)> = Vec::new();
        match dir {
            ControlNode::RootDir => {
                entries.extend(ROOT_NAMES.iter().map(|(name, node)| ((*name).to_owned(), node.clone())));
            }
            ControlNode::BucketDir(id) => {
                let bucket = self.store.bucket_by_id(*id)?;
                entries.extend(BUCKET_NAMES.iter().map(|(name, node)| ((*name).to_owned(), node(*id))));
                for document in DOCUMENTS.iter().filter(|document| document.is_set(&bucket)) {
                    let node = ControlNode::BucketDocument(*id, document.name);
                    entries.push((format!("{}.json", document.name), node));
                }
                let scratch = self.scratch.list(*id).into_iter();
                entries.extend(scratch.map(|(name, number)| (name, ControlNode::Scratch(*id, number))));
            }
            ControlNode::Uploads(bucket) => entries = uploads(&self.store, *bucket)?,
            _ => {}
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    /// What `stat` says of a node.
    ///
    /// # Errors
    /// When the store cannot be read, or the bucket is gone.
    pub fn attr(&self, node: &ControlNode) -> Result<ControlAttr> {
        use crate::model::FileKind;
        let bucket = node.bucket().map(|bucket| self.store.bucket_by_id(bucket)).transpose()?;
        let modified = match (node, bucket) {
            (ControlNode::AtTime(_, at), _) => *at,
            (_, Some(bucket)) if !node.is_live() => bucket.created,
            _ => self.store.now(),
        };
        let size = match (node, node.kind()) {
            (_, FileKind::Directory) => 0,
            (ControlNode::RootEvents, _) => self.events(None).lock().size(&*self.store)?,
            (ControlNode::BucketEvents(bucket), _) => self.events(Some(*bucket)).lock().size(&*self.store)?,
            _ => self.render(node)?.len() as u64,
        };
        Ok(ControlAttr { kind: node.kind(), mode: node.mode(), size, modified })
    }

    /// The whole text of a file as it is now; for [`ControlNode::is_live`] files use [`Control::read`].
    ///
    /// # Errors
    /// When the store cannot be read, or the bucket is gone; [`Kind::IsDirectory`].
    pub fn render(&self, node: &ControlNode) -> Result<Vec<u8>> {
        render::render(self, node)
    }

    /// The same, shared by all who have it open.
    ///
    /// # Errors
    /// As [`Control::render`].
    pub fn text(&self, node: &ControlNode) -> Result<Arc<Vec<u8>>> {
        Ok(self.texts.share(node, self.render(node)?))
    }

    /// Up to `len` bytes of a file at `at`, as it is now; none at its end. The way to read live files.
    ///
    /// # Errors
    /// As [`Control::render`].
    pub fn read(&self, node: &ControlNode, at: u64, len: usize) -> Result<Vec<u8>> {
        match node {
            ControlNode::RootEvents => self.events(None).lock().read(&*self.store, at, len),
            ControlNode::BucketEvents(bucket) => self.events(Some(*bucket)).lock().read(&*self.store, at, len),
            _ => Ok(slice(&self.render(node)?, at, len)),
        }
    }

    fn events(&self, bucket: Option<BucketId>) -> Arc<Mutex<Events>> {
        let mut feeds = self.feeds.lock();
        Arc::clone(feeds.entry(bucket).or_insert_with(|| Arc::new(Mutex::new(Events::new(bucket)))))
    }

    /// `open(O_CREAT)` of a name that is not there: a document that is not set, or an editor's temporary file.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a document without an engine, [`Kind::InvalidArgument`] for a name that is neither,
    /// [`Kind::NotPermitted`] outside a bucket's control directory.
    pub fn create(&self, dir: &ControlNode, name: &str) -> Result<ControlNode> {
        let bucket = bucket_dir(dir)?;
        if let Some(node) = self.lookup_in_bucket(bucket, name)? {
            return Ok(node);
        }
        if let Some(document) = Document::of_file(name) {
            writable(&self.store, bucket, document, "create")?;
            return Ok(ControlNode::BucketDocument(bucket, document.name));
        }
        self.scratch.create(bucket, name, Vec::new()).map(|id| ControlNode::Scratch(bucket, id))
    }

    /// Opens a file for writing. `keep`: begin with the present text (`O_RDWR` or `O_APPEND` without `O_TRUNC`);
    /// without it a document begins empty, because it is replaced as a whole.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a document without an engine, [`Kind::NotPermitted`] for what is read-only.
    pub fn write(&self, node: &ControlNode, keep: bool) -> Result<Writer> {
        match (node, node.document()) {
            (ControlNode::BucketDocument(bucket, _), Some(document)) => {
                let text = if keep { self.render(node)? } else { Vec::new() };
                DocumentWriter::open(Arc::clone(&self.store), *bucket, document, text).map(Writer::Document)
            }
            (ControlNode::Scratch(_, id), _) => {
                let bytes = self.scratch.bytes(*id).ok_or_else(|| Error::new(Kind::NoSuchKey, "the file has gone"))?;
                if !keep {
                    bytes.lock().clear();
                }
                Ok(Writer::Scratch(ScratchWriter(bytes)))
            }
            _ => Err(read_only()),
        }
    }

    /// Removes a temporary file, unsets a document, or aborts an upload (MPU-10).
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`], [`Kind::InvalidState`] for versioning (VER-1), [`Kind::NotPermitted`] for what is read-only.
    pub fn remove(&self, dir: &ControlNode, name: &str) -> Result<()> {
        if let ControlNode::Uploads(_) = dir {
            return match self.lookup(dir, name)? {
                Some(ControlNode::Upload(_, upload)) => self.store.abort_upload(upload),
                _ => Err(Error::new(Kind::NoSuchKey, "there is no such upload")),
            };
        }
        let id = bucket_dir(dir)?;
        match self.lookup_in_bucket(id, name)? {
            None => Err(Error::new(Kind::NoSuchKey, "there is no such control file")),
            Some(ControlNode::Scratch(..)) => self.scratch.remove(id, name),
            Some(node) => match node.document() {
                Some(document) => document.unset(&self.store, &self.store.bucket_by_id(id)?),
                None => Err(read_only()),
            },
        }
    }

    /// Renames within a bucket's control directory, as editors do: a temporary file over a document replaces it, if
    /// it is valid; a document to a temporary name is copied there and stays in force until its replacement is valid.
    ///
    /// # Errors
    /// As [`Document::replace`], and [`Kind::NotPermitted`] for every other pair.
    pub fn rename(&self, dir: &ControlNode, from: &str, to: &str) -> Result<()> {
        let id = bucket_dir(dir)?;
        let source = self.lookup_in_bucket(id, from)?;
        let source = source.ok_or_else(|| Error::new(Kind::NoSuchKey, "there is no such control file"))?;
        if from == to {
            return Ok(());
        }
        match (&source, Document::of_file(to)) {
            (ControlNode::Scratch(_, number), Some(document)) => {
                let bytes = self.scratch.bytes(*number).map(|bytes| bytes.lock().clone()).unwrap_or_default();
                document.replace(&self.store, &self.store.bucket_by_id(id)?, &bytes)?;
                self.scratch.remove(id, from)
            }
            (ControlNode::Scratch(..), None) => self.scratch.rename(id, from, to),
            (ControlNode::BucketDocument(..), None) => {
                let text = self.render(&source)?;
                self.scratch.create(id, to, text).map(|_| ())
            }
            _ => Err(read_only()),
        }
    }
}

/// Names and nodes of a bucket's uploads.
fn uploads(store: &Store, bucket: BucketId) -> Result<Vec<(String, ControlNode)>> {
    let uploads = store.uploads(store.bucket_by_id(bucket)?.name.as_str())?;
    Ok(uploads.iter().map(|upload| (file_of(upload.id), ControlNode::Upload(bucket, upload.id))).collect())
}

fn file_of(upload: UploadId) -> String {
    format!("{upload}.json")
}

fn bucket_dir(dir: &ControlNode) -> Result<BucketId> {
    match dir {
        ControlNode::BucketDir(bucket) => Ok(*bucket),
        _ => Err(Error::new(Kind::NotPermitted, "cannot make or remove anything in this control directory")
            .why("only a bucket's .keyfold holds settings")),
    }
}

/// Refuses a document without an engine, and tells the error ring: the errno looks as if it explained itself.
fn writable(store: &Store, bucket: BucketId, document: &Document, op: &str) -> Result<()> {
    document.writable().inspect_err(|error| {
        let bucket = store.bucket_by_id(bucket).ok().map(|bucket| bucket.name.to_string());
        store.complain(op, bucket.as_deref(), &format!(".keyfold/{}.json", document.name), error);
    })
}

fn read_only() -> Error {
    Error::new(Kind::NotPermitted, "cannot change this control file").why("the store writes it itself")
}

/// Up to `len` bytes of `text` at `at`.
fn slice(text: &[u8], at: u64, len: usize) -> Vec<u8> {
    let start = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
    text[start..start.saturating_add(len).min(text.len())].to_vec()
}
