//! The steps of a random history that take more than one call: write sessions, renames, uploads.

use super::compare::{meta, tags};
use super::harness::{B, key, posix};
use super::machine::{Place, World, done};
use super::model::Bucket;
use super::ops::{Edit, KEYS, overlay, punch};
use keyfold::model::{ChecksumAlgorithm, ChecksumType, ETag, FileKind, Kind, Object, Result};
use keyfold::store::{
    CompleteOptions, CompletePart, Draft, Entry, PosixChange, Promise, RenameHow, Session, UploadOptions,
};
use std::sync::Arc;

impl World {
    pub fn session(&mut self, name: &str, edits: &[Edit]) -> Result<()> {
        let Some(at) = self.place(name).filter(|_| !name.ends_with('/')) else { return Ok(()) };
        let (object, mut bytes) = match self.store.lookup(at.0, at.1)? {
            Some(Entry::File(file)) if file.draft => (file.object, Vec::new()),
            Some(Entry::File(file)) => (file.object, self.model.current(name).unwrap().bytes.to_vec()),
            _ if self.model.is_taken(name) => return Ok(()),
            _ => {
                self.model.drafts.insert(name.to_owned());
                self.commit();
                (self.store.create_draft(at.0, at.1, &posix(FileKind::File))?.object, Vec::new())
            }
        };
        let mut draft = self.store.draft(Some(&object))?;
        let mut session = Session::new();
        for edit in edits.iter().chain([&Edit::Publish]) {
            match edit {
                Edit::Write(pos, len) => {
                    let new = self.bytes(*len);
                    draft.write_at(*pos as u64, &new)?;
                    overlay(&mut bytes, *pos, &new);
                }
                Edit::Truncate(size) => {
                    draft.truncate(*size as u64)?;
                    bytes.resize(*size, 0);
                }
                Edit::Punch(pos, len) => {
                    draft.punch(*pos as u64, *len as u64)?;
                    punch(&mut bytes, *pos, *len);
                }
                Edit::Copy(pos, from_key, from, len) => {
                    let from_key = KEYS[from_key % KEYS.len()];
                    let Some(source) = self.model.current(from_key).cloned() else { continue };
                    let object = self.store.get(B, &key(from_key), None)?;
                    let content = Arc::new(self.store.open_content(&object)?);
                    let end = source.bytes.len().min(from + len);
                    let new = &source.bytes[(*from).min(end)..end];
                    assert_eq!(draft.copy_from(*pos as u64, &content, *from as u64, *len as u64)?, new.len() as u64);
                    overlay(&mut bytes, *pos, new);
                }
                Edit::Compact => super::harness::try_compact(&self.store)?,
                Edit::Publish => {
                    self.publish(at, name, &object, &mut draft, &mut session, &bytes)?;
                }
            }
            let mut seen = vec![0xee; bytes.len() + 1];
            assert_eq!(draft.read_at(0, &mut seen)?, bytes.len());
            assert!(seen[..bytes.len()] == bytes[..], "a session reads back what it wrote: {edit:?}");
        }
        self.store.seal(session)?;
        self.commit();
        Ok(())
    }

    fn publish(
        &mut self,
        at: Place<'_>,
        name: &str,
        object: &Object,
        draft: &mut Draft,
        session: &mut Session,
        bytes: &[u8],
    ) -> Result<()> {
        let first = !session.has_published();
        self.store.publish(at, object.ino, draft, session, &PosixChange::default())?;
        let bytes = Arc::new(bytes.to_vec());
        if first {
            let (tag, meta) =
                self.model.current(name).map(|old| (old.tag.clone(), old.meta.clone())).unwrap_or_default();
            self.model.push(name, bytes, tag, meta);
        } else {
            self.model.keys.get_mut(name).unwrap().versions[0].bytes = bytes;
        }
        self.commit();
        Ok(())
    }

    pub fn rename(&mut self, from: &str, to: &str, how: RenameHow) -> Result<()> {
        let mut after = self.model.clone();
        let (Some(a), Some(b)) = (self.place(from), self.place(to)) else { return Ok(()) };
        let Some(can) = after.rename_file(from, to, how) else { return Ok(()) };
        self.renamed(a, b, how, can, after)
    }

    pub fn rename_dir(&mut self, from: &str, to: &str, how: RenameHow) -> Result<()> {
        let mut after = self.model.clone();
        let (Some(a), Some(b)) = (self.place(from), self.place(to)) else { return Ok(()) };
        let Some(can) = after.rename_dir(from, to, how) else { return Ok(()) };
        self.renamed(a, b, how, can, after)
    }

    fn renamed(&mut self, a: Place<'_>, b: Place<'_>, how: RenameHow, can: bool, after: Bucket) -> Result<()> {
        done(self.store.rename(a, b, how), can, || format!("{a:?} {b:?} {how:?}"))?;
        self.model = after;
        self.commit();
        Ok(())
    }

    pub fn upload(&mut self, name: &str, parts: usize, end: usize) -> Result<()> {
        let label = Some("up");
        let checksum = Some((ChecksumAlgorithm::Crc32c, Some(ChecksumType::FullObject)));
        let options = UploadOptions { metadata: meta(label), tags: tags(label), checksum, ..UploadOptions::default() };
        let upload = self.store.create_upload(B, &key(name), &options)?;
        let mut named = Vec::new();
        let mut whole = Vec::new();
        for number in 1..=parts {
            let bytes = self.bytes(if number < parts { 5 << 20 } else { end });
            let part = self.store.put_part(upload, number as u32 * 3, &mut &bytes[..], &Promise::default())?;
            named.push(CompletePart { number: part.number, etag: part.etag, sum: None });
            whole.extend_from_slice(&bytes);
        }
        let wrong = [CompletePart { number: 2, etag: ETag::EMPTY, sum: None }];
        let refused = self.store.complete_upload(B, upload, &wrong, &CompleteOptions::default());
        match refused {
            Err(error) if error.kind() == Kind::InvalidPart => {}
            refused => drop(done(refused, false, || "a part that is not there".to_owned())?),
        }
        if whole.len() % 3 == 0 {
            self.store.abort_upload(upload)?;
        } else {
            self.store.complete_upload(B, upload, &named, &CompleteOptions::default())?;
            self.model.push(name, Arc::new(whole), Some("up".into()), Some("up".into()));
        }
        self.durable();
        Ok(())
    }
}
