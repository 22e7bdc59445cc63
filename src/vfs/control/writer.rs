//! Writing a control file: a document as a whole, checked while it is written; or a temporary file.

use super::scratch::{Bytes, put, resize};
use crate::model::{BucketId, Result};
use crate::store::{Document, Store, is_incomplete};
use std::sync::Arc;

/// A control file open for writing. One writer per open; the last whole text wins.
pub enum Writer {
    /// A bucket document.
    Document(DocumentWriter),
    /// A temporary file.
    Scratch(ScratchWriter),
}

impl Writer {
    /// Takes bytes at an offset.
    ///
    /// # Errors
    /// For a document: as soon as the text cannot become valid any more, why. A shell's `echo` sees no other error.
    pub fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Document(writer) => writer.write_at(at, bytes),
            Self::Scratch(writer) => put(&mut writer.0.lock(), at, bytes),
        }
    }

    /// Bytes at an offset, for those who read what they write.
    #[must_use]
    pub fn read_at(&self, at: u64, len: usize) -> Vec<u8> {
        match self {
            Self::Document(writer) => super::slice(&writer.text, at, len),
            Self::Scratch(writer) => super::slice(&writer.0.lock(), at, len),
        }
    }

    /// Length so far in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Document(writer) => writer.text.len() as u64,
            Self::Scratch(writer) => writer.0.lock().len() as u64,
        }
    }

    /// Cuts or lengthens the text.
    ///
    /// # Errors
    /// [`crate::model::Kind::EntityTooLarge`].
    pub fn truncate(&mut self, size: u64) -> Result<()> {
        match self {
            Self::Document(writer) => {
                writer.refused = false;
                writer.dirty = true;
                resize(&mut writer.text, size)
            }
            Self::Scratch(writer) => resize(&mut writer.0.lock(), size),
        }
    }

    /// At `close`, `fsync` and the release: a whole valid document takes effect. Many closes of one open are fine.
    ///
    /// # Errors
    /// When the document is incomplete or invalid; the old one stays. `cp` and `tee` see it at `close`. Told once for
    /// the text as it stands, so the release adds no second line to the error ring.
    pub fn flush(&mut self) -> Result<()> {
        match self {
            Self::Document(writer) => writer.flush(),
            Self::Scratch(_) => Ok(()),
        }
    }
}

/// A temporary file open for writing.
pub struct ScratchWriter(pub(super) Bytes);

/// A document open for writing.
pub struct DocumentWriter {
    store: Arc<Store>,
    bucket: BucketId,
    document: &'static Document,
    text: Vec<u8>,
    /// Bytes were written or cut since the last whole text took effect.
    dirty: bool,
    /// The text as it stands was refused, and the writer was told.
    refused: bool,
}

impl DocumentWriter {
    /// Opens a document; `text` is what it begins with.
    ///
    /// # Errors
    /// [`crate::model::Kind::Unsupported`] when this release has no engine for the document; told to the error ring,
    /// because the errno does not say that.
    pub(super) fn open(
        store: Arc<Store>,
        bucket: BucketId,
        document: &'static Document,
        text: Vec<u8>,
    ) -> Result<Self> {
        super::writable(&store, bucket, document, "open")?;
        Ok(Self { store, bucket, document, text, dirty: false, refused: false })
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let gap = at > self.text.len() as u64;
        put(&mut self.text, at, bytes)?;
        self.dirty = true;
        self.refused = false;
        // Text with a gap, or whose end is still to come, is judged later.
        if gap || is_incomplete(&self.text) {
            return Ok(());
        }
        let checked = self.document.check(&self.store.account_id(), &self.text);
        self.refused = checked.is_err();
        checked
    }

    fn flush(&mut self) -> Result<()> {
        if !self.dirty || self.refused || self.text.is_empty() {
            return Ok(());
        }
        self.refused = true;
        if is_incomplete(&self.text) {
            return Err(self.document.bad("the text ends before the JSON does"));
        }
        let bucket = self.store.bucket_by_id(self.bucket)?;
        self.document.replace(&self.store, &bucket, &self.text)?;
        self.refused = false;
        self.dirty = false;
        Ok(())
    }
}
