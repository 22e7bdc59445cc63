//! Listings of uploads and of their parts, page by page (MPU-12).

use super::{PartInfo, Upload, need_upload, parts_from, sum_of_part};
use crate::index::{Family, Read, UploadRecord, decode, id_of};
use crate::model::{Result, UploadId};
use crate::store::Store;
use crate::store::list::{PAGE_MAX, group_of, lower_bound};

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

impl Store {
    /// Parts with numbers after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`Kind::NoSuchUpload`](crate::model::Kind::NoSuchUpload).
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
    /// [`Kind::NoSuchBucket`](crate::model::Kind::NoSuchBucket).
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

    /// A page of a bucket's uploads.
    ///
    /// # Errors
    /// As [`Store::uploads`].
    pub fn list_uploads(&self, bucket: &str, request: &ListUploads) -> Result<UploadPage> {
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
