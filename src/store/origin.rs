//! Whose bytes a write session puts into the log. Nothing of it is read in daily work: an index that is lost can be built
//! again from it (`rebuild`).

use super::Store;
use super::ids::OpenNumber;
use crate::chunklog::format::note::{NOTE_HEAD_BYTES, Note, STRETCH_BYTES, Stretch};
use crate::chunklog::{Owner, RUN_BYTES_MAX, Written};
use crate::model::{ContentId, DirId, Ino, Object, Seq};

/// Stretches that one run has room for.
const STRETCHES_MAX: usize = (RUN_BYTES_MAX as usize - NOTE_HEAD_BYTES) / STRETCH_BYTES;

enum Place {
    In(DirId, String),
    Key(Vec<u8>),
}

/// The name a session's bytes are about to have.
pub(super) enum Named<'a> {
    /// In a directory.
    In(DirId, &'a str),
    /// A bucket and a key.
    Key(&'a str, &'a str),
}

/// What a session says of itself in the log.
pub(super) struct Origin {
    ino: Ino,
    place: Option<Place>,
    /// Bucket and key, found out when they are first needed.
    key: Option<Vec<u8>>,
    /// That of the content it is about to make, drawn when its first bytes are written.
    number: Option<OpenNumber>,
    order: u32,
}

/// A content as it is at a write.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub length: u64,
    pub base: ContentId,
    /// Whether the write completes it.
    pub last: bool,
}

impl Origin {
    pub(super) const fn of(ino: Ino) -> Self {
        Self { ino, place: None, key: None, number: None, order: 0 }
    }

    /// The file and the name it is about to have.
    pub(super) fn is_at(&mut self, ino: Ino, at: (DirId, &str)) {
        self.ino = ino;
        if !matches!(&self.place, Some(Place::In(dir, name)) if (*dir, name.as_str()) == at) {
            self.place = Some(Place::In(at.0, at.1.to_owned()));
            self.key = None;
        }
    }

    /// The name it is about to have, when no inode is known yet.
    pub(super) fn has_key(&mut self, bucket: &str, key: &str) {
        self.place = Some(Place::Key(whole_key(bucket, key)));
        self.key = None;
    }

    /// Whether its publication under its name takes the place of that file's version; a body that is put by its key takes
    /// that of any.
    pub(super) fn takes_place_of(&self, ino: Ino) -> bool {
        matches!(self.place, Some(Place::Key(_))) || self.ino == ino
    }

    /// The name it is about to have, once it is known.
    pub(super) fn named(&self) -> Option<Named<'_>> {
        match self.place.as_ref()? {
            Place::In(dir, name) => Some(Named::In(*dir, name)),
            Place::Key(whole) => {
                let (bucket, key) = std::str::from_utf8(whole).ok()?.split_once('/')?;
                Some(Named::Key(bucket, key))
            }
        }
    }

    /// The number of the content it makes.
    pub(super) fn number(&mut self, store: &Store) -> u64 {
        self.number.get_or_insert_with(|| store.ids.take_open()).get()
    }

    /// The content it makes, when the log has something of it.
    pub(super) fn in_log(&self) -> Option<ContentId> {
        self.number.as_ref().filter(|_| self.order > 0).map(|number| ContentId(number.get()))
    }

    /// The next content begins.
    pub(super) fn renew(&mut self) {
        (self.key, self.number, self.order) = (None, None, 0);
    }

    /// The number of a write that begins now: what it puts down lies above what earlier ones did.
    pub(super) const fn next(&mut self) -> u32 {
        self.order += 1;
        self.order
    }

    /// What the runs of write number `order` say; each adds where it lies.
    pub(super) fn owner(&mut self, store: &Store, state: State, order: u32) -> Owner<'_> {
        let seq = self.number(store);
        if self.key.is_none() {
            self.key = self.place.as_ref().and_then(|place| match place {
                Place::Key(key) => Some(key.clone()),
                Place::In(dir, name) => store.key_at(*dir, name),
            });
        }
        let written = store.written(state, order);
        Owner { ino: self.ino.0, seq, logical: 0, written, key_tail: self.key.as_deref().unwrap_or_default() }
    }
}

pub(super) fn whole_key(bucket: &str, key: &str) -> Vec<u8> {
    format!("{bucket}/{key}").into_bytes()
}

impl Store {
    /// Bucket and key of a name, when it can be told.
    pub(super) fn key_at(&self, dir: DirId, name: &str) -> Option<Vec<u8>> {
        let (bucket, prefix) = self.path_of(dir).ok()?;
        Some(whole_key(bucket.name.as_str(), &(prefix + name)))
    }

    fn written(&self, state: State, order: u32) -> Written {
        let time = u32::try_from(self.now().secs).unwrap_or(0);
        Written { length: state.length, base: state.base.0, time, order, last: state.last, note: false }
    }

    /// Writes down the stretches of a content that lie elsewhere.
    pub(super) fn note_stretches(&self, owner: &Owner<'_>, stretches: &[Stretch]) {
        if stretches.is_empty() {
            self.note(owner, &Note::Stretches(Vec::new()));
        }
        for stretches in stretches.chunks(STRETCHES_MAX) {
            self.note(owner, &Note::Stretches(stretches.to_vec()));
        }
    }

    /// Writes down that an object has got the bytes of another.
    pub(super) fn note_copy(&self, object: &Object, bucket: &str, key: &str) {
        if object.size > self.settings.inline_max {
            let key = whole_key(bucket, key);
            let state = State { length: object.size, base: object.content, last: true };
            let written = self.written(state, 1);
            let owner = Owner { ino: object.ino.0, seq: object.seq.0, written, key_tail: &key, ..Owner::default() };
            self.note(&owner, &Note::Name);
        }
    }

    /// Has it written down that a content got its key with a later number than its own.
    pub(super) fn note_place(&self, commit: u64, object: &Object, seq: Seq, key: Option<Vec<u8>>) {
        let Some(key) = key else { return };
        let state = State { length: object.size, base: object.content, last: true };
        let written = self.written(state, 1);
        let owner = Owner { ino: object.ino.0, seq: seq.0, written, key_tail: &key, ..Owner::default() };
        self.note_later(commit, &owner, Note::Placed);
    }

    /// Has it written down that names moved, from and to, each with its number.
    pub(super) fn note_moves(&self, commit: u64, bucket: &str, moves: &[(String, String)], numbers: &[u64]) {
        for ((from, to), seq) in moves.iter().zip(numbers) {
            let (from, to) = (whole_key(bucket, from), whole_key(bucket, to));
            self.note_later(commit, &Owner { seq: *seq, ..self.notice(&to) }, Note::Moved(from));
        }
    }

    /// What a note says of itself that is of no one content.
    pub(super) fn notice<'a>(&self, key_tail: &'a [u8]) -> Owner<'a> {
        let state = State { length: 0, base: ContentId::EMPTY, last: false };
        Owner { written: self.written(state, 1), key_tail, ..Owner::default() }
    }
}
