//! The change feed as a growing file of JSON lines that `tail -f` follows and a reader resumes by offset.
//!
//! Offsets. A line's text follows from its change alone, so its place in the file is the sum of the lengths before
//! it. The file begins with the feed's last [`WINDOW`] commits at the time it is first looked at; from then on, for
//! as long as the process runs, an offset names the same byte. Lines are kept in blocks of whole commits, of which
//! only offset, length and commits are remembered; reading a block makes its lines anew. Should a line be gone from
//! the feed, line feeds stand in its place. After a remount a reader goes on by `seq`, which never changes; lines of
//! one commit share it.

use crate::index::Change;
use crate::model::{BucketId, Result};
use crate::store::Store;
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;

/// Commits before the newest that the file begins with.
const WINDOW: u64 = 65_536;
/// Changes read at a time.
const PAGE: usize = 1024;
/// A block ends with the commit that brings it to so many lines,
const BLOCK_LINES: usize = 64;
/// or that is so many commits after its first.
const BLOCK_COMMITS: u64 = 4096;

/// Whole commits: those after `after` up to `last`.
#[derive(Clone, Copy, Debug)]
struct Block {
    at: u64,
    len: u64,
    after: u64,
    last: u64,
}

/// One `events` file.
pub(super) struct Events {
    /// Only changes of this bucket.
    bucket: Option<BucketId>,
    blocks: Vec<Block>,
    /// Where the tail begins, and the commit before it.
    tail_at: u64,
    tail_after: u64,
    tail: Vec<u8>,
    tail_lines: usize,
    /// The newest commit that was read.
    last: u64,
    started: bool,
    names: HashMap<BucketId, String>,
    /// The block read last.
    recent: Option<(usize, Vec<u8>)>,
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    time: String,
    event: &'a str,
    bucket: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    version: String,
    size: u64,
    etag: String,
}

/// The feed, as far as the file needs it; tests have their own.
pub(super) trait Feed {
    /// Changes after a commit, oldest first, never half of a commit.
    fn after(&self, seq: u64, limit: usize) -> Result<Vec<(u64, Change)>>;
    /// Number of the newest commit.
    fn newest(&self) -> u64;
    /// Name of a bucket.
    fn bucket_name(&self, id: BucketId) -> Option<String>;
}

impl Feed for Store {
    fn after(&self, seq: u64, limit: usize) -> Result<Vec<(u64, Change)>> {
        self.changes(seq, limit)
    }

    fn newest(&self) -> u64 {
        self.wait_changes(0, Duration::ZERO)
    }

    fn bucket_name(&self, id: BucketId) -> Option<String> {
        self.bucket_by_id(id).ok().map(|bucket| bucket.name.to_string())
    }
}

impl Events {
    /// The file of one bucket's changes, or of all.
    pub fn new(bucket: Option<BucketId>) -> Self {
        Self {
            bucket,
            blocks: Vec::new(),
            tail_at: 0,
            tail_after: 0,
            tail: Vec::new(),
            tail_lines: 0,
            last: 0,
            started: false,
            names: HashMap::new(),
            recent: None,
        }
    }

    /// Its length now in bytes.
    pub fn size(&mut self, feed: &impl Feed) -> Result<u64> {
        self.advance(feed)?;
        Ok(self.tail_at + self.tail.len() as u64)
    }

    /// Up to `len` bytes at `at`; none at the end.
    pub fn read(&mut self, feed: &impl Feed, at: u64, len: usize) -> Result<Vec<u8>> {
        self.advance(feed)?;
        let mut out = Vec::new();
        while out.len() < len {
            let (at, left) = (at.saturating_add(out.len() as u64), len - out.len());
            if at >= self.tail_at {
                out.extend(super::slice(&self.tail, at - self.tail_at, left));
                break;
            }
            let number = self.blocks.partition_point(|block| block.at + block.len <= at);
            let Some(block) = self.blocks.get(number).copied() else { break };
            let text = self.block(feed, number, block)?;
            out.extend(super::slice(text, at - block.at, left));
        }
        Ok(out)
    }

    fn advance(&mut self, feed: &impl Feed) -> Result<()> {
        if !self.started {
            self.started = true;
            self.last = feed.newest().saturating_sub(WINDOW);
            self.tail_after = self.last;
        }
        loop {
            let page = feed.after(self.last, PAGE)?;
            if page.is_empty() {
                return Ok(());
            }
            for (seq, change) in page {
                if seq != self.last {
                    self.close_block();
                }
                self.last = seq;
                if self.bucket.is_none_or(|bucket| bucket == change.bucket) {
                    let line = self.line(feed, seq, &change);
                    self.tail.extend(line);
                    self.tail_lines += 1;
                }
            }
        }
    }

    /// Between two commits: makes a block of the tail when it is long enough.
    fn close_block(&mut self) {
        let long = self.tail_lines >= BLOCK_LINES || self.last.saturating_sub(self.tail_after) >= BLOCK_COMMITS;
        if !long {
            return;
        }
        if !self.tail.is_empty() {
            let len = self.tail.len() as u64;
            self.blocks.push(Block { at: self.tail_at, len, after: self.tail_after, last: self.last });
            self.tail_at += len;
        }
        self.tail.clear();
        self.tail_lines = 0;
        self.tail_after = self.last;
    }

    fn block(&mut self, feed: &impl Feed, number: usize, block: Block) -> Result<&[u8]> {
        if self.recent.as_ref().is_none_or(|(recent, _)| *recent != number) {
            let mut text = Vec::new();
            let mut after = block.after;
            'pages: loop {
                let page = feed.after(after, PAGE)?;
                if page.is_empty() {
                    break;
                }
                for (seq, change) in page {
                    if seq > block.last {
                        break 'pages;
                    }
                    after = seq;
                    if self.bucket.is_none_or(|bucket| bucket == change.bucket) {
                        text.extend(self.line(feed, seq, &change));
                    }
                }
            }
            let len = block.len as usize;
            let missing = len.saturating_sub(text.len());
            let mut whole = vec![b'\n'; missing];
            whole.extend(text);
            whole.truncate(len);
            self.recent = Some((number, whole));
        }
        Ok(self.recent.as_ref().map_or(&[], |(_, text)| text))
    }

    fn line(&mut self, feed: &impl Feed, seq: u64, change: &Change) -> Vec<u8> {
        // Remembered, so that a bucket's end does not change the lines before it.
        let name = self
            .names
            .entry(change.bucket)
            .or_insert_with(|| feed.bucket_name(change.bucket).unwrap_or_else(|| format!("#{}", change.bucket)));
        let line = Line {
            seq,
            time: change.time.rfc3339(),
            event: &change.event,
            bucket: name,
            key: &change.key,
            from: change.from.as_deref(),
            version: change.version.to_string(),
            size: change.size,
            etag: change.etag.to_string(),
        };
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{BucketId, Change, Events, Feed, Result};
    use crate::model::{ETag, Timestamp, VersionId};
    use std::cell::RefCell;

    #[derive(Default)]
    struct Made(RefCell<Vec<(u64, Change)>>);

    impl Made {
        fn add(&self, seq: u64, bucket: u64, key: &str) {
            let change = Change {
                time: Timestamp::new(1, 0),
                event: "ObjectCreated:Put".into(),
                bucket: BucketId(bucket),
                key: key.into(),
                from: None,
                version: VersionId::Null,
                size: 3,
                etag: ETag::EMPTY,
            };
            self.0.borrow_mut().push((seq, change));
        }
    }

    impl Feed for Made {
        fn after(&self, after: u64, limit: usize) -> Result<Vec<(u64, Change)>> {
            let mut page: Vec<(u64, Change)> = Vec::new();
            for (seq, change) in self.0.borrow().iter().filter(|(seq, _)| *seq > after) {
                if page.len() >= limit && page.last().is_some_and(|(last, _)| last != seq) {
                    break;
                }
                page.push((*seq, change.clone()));
            }
            Ok(page)
        }

        fn newest(&self) -> u64 {
            self.0.borrow().last().map_or(0, |(seq, _)| *seq)
        }

        fn bucket_name(&self, id: BucketId) -> Option<String> {
            Some(format!("bucket-{id}"))
        }
    }

    #[test]
    fn a_line_tells_what_happened() {
        let feed = Made::default();
        feed.add(7, 1, "a\nb");
        let text = Events::new(None).read(&feed, 0, 4096).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"seq\":7,\"time\":\"1970-01-01T00:00:01.000Z\",\"event\":\"ObjectCreated:Put\",\"bucket\":\"bucket-1\",\
             \"key\":\"a\\nb\",\"version\":\"null\",\"size\":3,\"etag\":\"d41d8cd98f00b204e9800998ecf8427e\"}\n"
        );
    }

    #[test]
    fn an_offset_names_the_same_byte_while_the_file_grows() {
        let feed = Made::default();
        let mut events = Events::new(None);
        let mut whole = Vec::new();
        for seq in 1..500 {
            for n in 0..seq % 4 {
                feed.add(seq, 1, &format!("key-{seq}-{n}"));
            }
            let news = events.read(&feed, whole.len() as u64, 1 << 20).unwrap();
            whole.extend(news);
        }
        assert_eq!(events.size(&feed).unwrap(), whole.len() as u64);
        assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), feed.0.borrow().len());
        for at in (0..whole.len()).step_by(97) {
            let piece = events.read(&feed, at as u64, 300).unwrap();
            assert_eq!(piece, whole[at..(at + 300).min(whole.len())], "{at}");
        }
        assert!(events.read(&feed, whole.len() as u64 + 5, 10).unwrap().is_empty());
    }

    #[test]
    fn lines_that_are_gone_leave_the_rest_where_it_was() {
        let feed = Made::default();
        (1..=300).for_each(|seq| feed.add(seq, 1, "k"));
        let mut events = Events::new(None);
        let whole = events.read(&feed, 0, 1 << 20).unwrap();
        feed.0.borrow_mut().retain(|(seq, _)| *seq > 10);
        let again = events.read(&feed, 0, 1 << 20).unwrap();
        let first = again.iter().position(|byte| *byte != b'\n').unwrap();
        assert!(first > 0 && again[first..] == whole[first..]);
    }

    #[test]
    fn a_bucket_s_file_has_only_its_changes() {
        let feed = Made::default();
        (1..=9000).for_each(|seq| feed.add(seq, seq % 900, "k"));
        let mut events = Events::new(Some(BucketId(3)));
        let text = String::from_utf8(events.read(&feed, 0, 1 << 20).unwrap()).unwrap();
        assert_eq!(text.lines().count(), 10);
        assert!(text.lines().all(|line| line.contains("\"bucket\":\"bucket-3\"")));
        let middle = text.len() as u64 / 2;
        assert_eq!(events.read(&feed, middle, 1 << 20).unwrap(), text.as_bytes()[middle as usize..]);
    }
}
