//! Listings of uploads and of their parts, page by page (MPU-12).

use super::{PartInfo, Upload, need_upload, parts_from, sum_of_part};
use crate::index::{
    Family, Read, UploadRecord, decode, id_key, id_of, next_name, upload_name_key, upload_name_parts, upload_names_end,
};
use crate::model::{BucketId, Error, Kind, Result, UploadId};
use crate::store::Store;
use crate::store::bucket::need_bucket;
use crate::store::list::{PAGE_MAX, after_group, group_of, lower_bound};

/// Says that every upload has a name in the order of listings.
pub(in crate::store) const UPLOADS_KEY: &str = "uploads";
/// Uploads that are named in one commit: a few MiB.
const NAMED_AT_ONCE: usize = 10_000;

/// Which uploads to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListUploads {
    /// Their keys begin with it.
    pub prefix: String,
    /// As in [`ListRequest`](crate::store::ListRequest).
    pub delimiter: Option<String>,
    /// Keys after this one, or its uploads after `upload_marker`.
    pub key_marker: Option<String>,
    /// Uploads of the key marker that were begun after this one; counts for nothing without a key marker.
    pub upload_marker: Option<UploadId>,
    /// Entries at most, uploads and prefixes together; cut to 1,000.
    pub limit: usize,
}

/// A page of uploads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UploadPage {
    /// Uploads by key, then in the order in which they were begun.
    pub uploads: Vec<Upload>,
    /// Rolled-up prefixes.
    pub prefixes: Vec<String>,
    /// Markers for the next page; `None` at the end.
    pub next: Option<(String, Option<UploadId>)>,
}

/// A page of an upload's parts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PartPage {
    /// Parts by number.
    pub parts: Vec<PartInfo>,
    /// The number that the next page is after; `None` at the end.
    pub next: Option<u32>,
}

/// Whether every upload has a name.
pub(super) fn are_named(read: &impl Read) -> Result<bool> {
    match Store::sys_number(read, UPLOADS_KEY) {
        Err(error) if error.kind() == Kind::Corrupt => Ok(false),
        said => Ok(said?.is_some()),
    }
}

impl Store {
    /// Names the uploads of a store that was last written before there were names of them, some at a time and as long as there is
    /// room; one that is cut short goes on from the beginning when it is opened again. What has no name is listed without.
    ///
    /// # Errors
    /// When the index has failed.
    pub(in crate::store) fn name_uploads(&self) -> Result<()> {
        let named = || -> Result<()> {
            let mut from = if are_named(&self.index)? { None } else { Some(Vec::new()) };
            while let Some(lower) = from.take() {
                from = self.name_some(&lower)?;
            }
            Ok(())
        };
        match named() {
            Err(error) if self.index.has_failed() => Err(error),
            Err(error) => {
                tracing::warn!(%error, "uploads in progress have no names yet: listings of them take longer");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Names uploads from a key on, and says so behind the last; where to go on.
    fn name_some(&self, lower: &[u8]) -> Result<Option<Vec<u8>>> {
        let (mut names, mut next) = (Vec::new(), None);
        for (n, found) in self.index.scan(Family::Upload, lower, &[0xff; 9])?.enumerate() {
            let (key, value) = found?;
            if n == NAMED_AT_ONCE {
                next = Some(key.to_vec());
                break;
            }
            // A record that cannot be read is told of where it is looked for.
            if let (Some(id), Ok(record)) = (id_of(&key), decode::<UploadRecord>(&value)) {
                names.push(upload_name_key(record.bucket, &record.key, UploadId(id)));
            }
        }
        if !names.is_empty() && self.is_scarce() {
            return Err(Error::new(Kind::Full, "cannot name uploads").why("little room is left on the store's disk"));
        }
        self.transact(|tx| {
            names.iter().for_each(|name| tx.put(Family::UploadName, name, &1u64));
            if next.is_none() {
                tx.put(Family::Sys, UPLOADS_KEY.as_bytes(), &1u64);
            }
            Ok(())
        })?;
        if !names.is_empty() {
            self.sync()?;
        }
        Ok(next)
    }

    /// Parts with numbers after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`Kind::NoSuchUpload`].
    pub fn list_parts(&self, upload: UploadId, after: u32, limit: usize) -> Result<PartPage> {
        self.index.at_once(|view| {
            need_upload(view, upload)?;
            let mut found = parts_from(view, upload, after.saturating_add(1), limit.saturating_add(1))?;
            let more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().map(|(number, _)| *number).filter(|_| more);
            let parts = found
                .into_iter()
                .map(|(number, part)| Ok(PartInfo::of(number, &part, sum_of_part(view, &part)?)))
                .collect::<Result<_>>()?;
            Ok(PartPage { parts, next })
        })
    }

    /// All of a bucket's uploads by key, then in the order in which they were begun.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn uploads(&self, bucket: &str) -> Result<Vec<Upload>> {
        let bucket = self.bucket(bucket)?;
        let mut out = Vec::new();
        for found in self.index.scan(Family::Upload, &[], &[0xff; 9])? {
            let (key, value) = found?;
            match (id_of(&key), decode::<UploadRecord>(&value)) {
                (Some(id), Ok(record)) if record.bucket == bucket.id => out.push(Upload::of(UploadId(id), record)),
                (_, Ok(_)) => {}
                (_, Err(error)) => self.spoiled((Family::Upload, &key), None, &error),
            }
        }
        // Numbers are given out in the order of initiation.
        out.sort_by(|a, b| a.key.cmp(&b.key).then(a.id.cmp(&b.id)));
        Ok(out)
    }

    /// A page of a bucket's uploads, for as much work as it is long.
    ///
    /// # Errors
    /// As [`Store::uploads`].
    pub fn list_uploads(&self, bucket: &str, request: &ListUploads) -> Result<UploadPage> {
        if !are_named(&self.index)? {
            return self.list_unnamed_uploads(bucket, request);
        }
        self.index.at_once(|view| self.page_of(view, need_bucket(view, bucket)?.id, request))
    }

    fn page_of(&self, read: &impl Read, bucket: BucketId, request: &ListUploads) -> Result<UploadPage> {
        let (prefix, delimiter) = (request.prefix.as_str(), request.delimiter.as_deref());
        let limit = request.limit.min(PAGE_MAX);
        let mut page = UploadPage::default();
        if limit == 0 {
            return Ok(page);
        }
        let after = lower_bound(request.key_marker.as_deref(), prefix, delimiter);
        let mut from = match (request.key_marker.as_deref(), request.upload_marker) {
            (Some(key), Some(marker)) if key.starts_with(prefix) && after == next_name(key) => {
                upload_name_key(bucket, key, UploadId(marker.0.saturating_add(1)))
            }
            _ => upload_name_key(bucket, &after, UploadId(0)),
        };
        let end = upload_names_end(bucket);
        loop {
            let mut past_group = None;
            for found in read.scan(Family::UploadName, &from, &end)? {
                let Some((key, id)) = upload_name_parts(&found?.0) else { continue };
                if !key.starts_with(prefix) {
                    break;
                }
                let group = group_of(&key, prefix, delimiter);
                let record: Option<UploadRecord> = match read.record(Family::Upload, &id_key(id.0)) {
                    Ok(record) => record,
                    Err(error) => {
                        self.spoiled((Family::Upload, &id_key(id.0)), None, &error);
                        None
                    }
                };
                // A name that is another's is told of by fsck.
                let its_own = |record: &UploadRecord| record.bucket == bucket && record.key == key;
                let Some(record) = record.filter(its_own) else { continue };
                if page.uploads.len() + page.prefixes.len() == limit {
                    return Ok(page);
                }
                if let Some(group) = group {
                    page.next = Some((group.to_owned(), None));
                    page.prefixes.push(group.to_owned());
                    past_group = after_group(group);
                    break;
                }
                page.next = Some((key, Some(id)));
                page.uploads.push(Upload::of(id, record));
            }
            match past_group {
                Some(next) => from = upload_name_key(bucket, &next, UploadId(0)),
                None => break,
            }
        }
        page.next = None;
        Ok(page)
    }

    /// The same of a store that is only read and was last written before there were names of uploads.
    fn list_unnamed_uploads(&self, bucket: &str, request: &ListUploads) -> Result<UploadPage> {
        let (prefix, delimiter) = (request.prefix.as_str(), request.delimiter.as_deref());
        let limit = request.limit.min(PAGE_MAX);
        let from = lower_bound(request.key_marker.as_deref(), prefix, delimiter);
        let is_after = |upload: &Upload| match (&request.key_marker, request.upload_marker) {
            (Some(key), Some(marker)) if upload.key == *key => upload.id > marker,
            _ => upload.key >= from,
        };
        let mut page = UploadPage::default();
        let mut uploads = self.uploads(bucket)?;
        uploads.retain(|upload| upload.key.starts_with(prefix) && is_after(upload));
        if limit == 0 {
            return Ok(page);
        }
        for upload in uploads {
            let group = group_of(&upload.key, prefix, delimiter).map(str::to_owned);
            if group.is_some() && page.prefixes.last() == group.as_ref() {
                continue;
            }
            if page.uploads.len() + page.prefixes.len() == limit {
                return Ok(page);
            }
            if let Some(group) = group {
                page.next = Some((group.clone(), None));
                page.prefixes.push(group);
            } else {
                page.next = Some((upload.key.clone(), Some(upload.id)));
                page.uploads.push(upload);
            }
        }
        page.next = None;
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, NAMED_AT_ONCE, Read, Store, UPLOADS_KEY, UploadRecord, id_key, upload_name_parts};
    use crate::model::{BucketId, Metadata, ObjectLock, Seq, StorageClass, TagSet, Timestamp};
    use crate::store::Options;
    use crate::sys::disk::MemDisk;
    use std::path::Path;
    use std::sync::Arc;

    #[test]
    fn mpu_12_every_upload_gets_its_name_however_many_there_are() {
        let (disk, place) = (MemDisk::new(), Path::new("simulated"));
        let options = || Options { workers: false, ..Options::system() };
        Store::init_on(&disk, place, &options()).unwrap();
        let store = Store::open_simulated(Arc::new(disk), place, options()).unwrap();
        let count = 2 * NAMED_AT_ONCE as u64 + 1;
        let record = |n: u64| UploadRecord {
            bucket: BucketId(17),
            key: format!("{:05}", count - n),
            initiated: Timestamp::default(),
            seq: Seq(n),
            metadata: Metadata::default(),
            tags: TagSet::new(),
            class: StorageClass::default(),
            checksum: None,
            lock: ObjectLock::NONE,
        };
        let made = store.index.transact(|tx| {
            (0..count).for_each(|n| tx.put(Family::Upload, &id_key(n), &record(n)));
            tx.delete(Family::Sys, UPLOADS_KEY.as_bytes());
            Ok(())
        });
        made.unwrap();
        for _ in 0..2 {
            store.name_uploads().unwrap();
            let names = store.index.scan(Family::UploadName, &[], &[0xff; 9]).unwrap();
            let named: Vec<u64> = names.map(|found| upload_name_parts(&found.unwrap().0).unwrap().1.0).collect();
            assert!(named.into_iter().eq((0..count).rev()));
            assert!(super::are_named(&store.index).unwrap());
        }
    }
}
