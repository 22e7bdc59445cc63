//! What a write session tells the log of itself, and what it takes over from there.

use super::{Draft, Piece};
use crate::chunklog::format::note::Stretch;
use crate::index::Extent;
use crate::model::{ContentId, DirId, Ino, Result, StorageClass};
use crate::store::origin::State;

impl Draft {
    /// What the log is told of the whole.
    pub(super) fn state(&self, last: bool) -> State {
        let base = self.base.as_ref().filter(|_| self.base_len > 0).map_or(ContentId::EMPTY, |base| base.id());
        State { length: self.size, base, last }
    }

    /// The stretches that show neither what it has put into the log nor its base, but for those where neither has anything.
    pub(super) fn elsewhere(&self) -> Vec<Stretch> {
        let mut out: Vec<Stretch> = Vec::new();
        let mut add = |next: Stretch| match out.last_mut() {
            _ if next.len == 0 => {}
            Some(last)
                if last.at + last.len == next.at
                    && last.content == next.content
                    && (next.content == 0 || last.from + last.len == next.from) =>
            {
                last.len += next.len;
            }
            _ => out.push(next),
        };
        let zeros = |at: u64, end: u64| Stretch { at, len: end.saturating_sub(at), content: 0, from: 0 };
        // Cut off and grown again: what is not written since reads as zeros.
        let cut = self.cut.unwrap_or(u64::MAX).max(self.base_len);
        let mut done = 0;
        for (at, piece) in &self.pieces {
            add(zeros(done.max(cut), *at));
            done = at + piece.len();
            match piece {
                Piece::Buffer(_) | Piece::Fresh(_) => {}
                Piece::Zeros(_) => add(zeros(*at, done)),
                Piece::Shared { content, at: from, len } => {
                    add(Stretch { at: *at, len: *len, content: content.id().0, from: *from });
                }
            }
        }
        add(zeros(done.max(cut), self.size));
        out
    }

    /// Lets the log know whose bytes come: the file `ino` at its name.
    pub fn is_at(&mut self, ino: Ino, at: (DirId, &str)) {
        self.origin.is_at(ino, at);
    }

    /// The same for what is put by its key.
    pub(in crate::store) fn has_key(&mut self, bucket: &str, key: &str) {
        self.origin.has_key(bucket, key);
    }

    /// Lets its bytes lie where those of the class of storage do that it is about to have. A hint: what comes to lie elsewhere is
    /// moved later.
    pub fn has_class(&mut self, class: StorageClass) {
        self.tier = self.store.log.tier_of(class);
    }

    /// The same of one that takes the place of a version of that class on a mount: what leaves an archive is none.
    pub fn rewrites(&mut self, class: StorageClass) {
        self.has_class(match class {
            StorageClass::Glacier | StorageClass::DeepArchive => StorageClass::Standard,
            class => class,
        });
    }

    /// Whether what it has put into the log lies elsewhere than bytes of a class do.
    pub(in crate::store) fn is_apart(&self, class: StorageClass) -> bool {
        self.tier != self.store.log.tier_of(class)
    }

    /// Whether it shows bytes of other contents than its base.
    pub(in crate::store) const fn shares(&self) -> bool {
        self.shares
    }

    /// Takes bytes that the log has and no content names, when an index is built anew. They stay there, whatever becomes of
    /// this.
    pub(in crate::store) fn lay(&mut self, at: u64, extent: Extent) -> Result<()> {
        let end = Self::check_end(at, extent.len)?;
        self.lent = true;
        self.extend(end)?;
        self.carve(at, end);
        self.pieces.insert(at, Piece::Fresh(extent));
        self.running = None;
        Ok(())
    }

    /// The number of the content that it will be.
    pub(in crate::store) fn number(&mut self) -> u64 {
        self.origin.number(&self.store)
    }
}
