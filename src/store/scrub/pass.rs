//! A pass of scrub: which file comes next, what is checked in one step, and what of it is damage.

use super::super::Store;
use super::super::open::META_DIR;
use super::super::publish::{segment_key, solo_key};
use super::{Place, ScrubFinding, Suspect};
use crate::chunklog::{Flawed, Reach, Scrubbed, SegmentId, SoloId};
use crate::index::{Family, Read, SegRecord, Table, TableFlaw, check_table, decode, dir_of, id_key, id_of};
use crate::model::{Result, Timestamp};
use crate::sys::disk::Access;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// Suspects kept before their names are looked for; those of the first step with any are named at once.
const SUSPECTS_MAX: usize = 256;
/// Findings kept of a pass; all are counted.
const FINDINGS_KEPT: usize = 256;

/// What is checked after what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Part {
    Journal,
    Tables,
    Segments,
    Solos,
    Over,
    /// The index's list of tables and its logs, which come after the journal.
    Appended,
}

/// A pass over everything that counts, as far as it has come. It goes on wherever it was, also in another process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScrubPass {
    pub(super) started: Timestamp,
    part: Part,
    /// The file that comes next, or one of a larger number, and where in it.
    pub(super) file: u64,
    pub(super) at: u64,
    pub(super) bytes: u64,
    /// About how many bytes there are.
    pub(super) total: u64,
    suspects: Vec<Suspect>,
    pub(super) findings: Vec<ScrubFinding>,
    pub(super) found: u64,
}

impl ScrubPass {
    /// Bytes checked, and about how many there are to check.
    #[must_use]
    pub const fn progress(&self) -> (u64, u64) {
        (self.bytes, if self.total > self.bytes { self.total } else { self.bytes })
    }

    /// Whether all is checked.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.part == Part::Over
    }

    /// Whether something was found: errors come in clusters.
    #[must_use]
    pub fn has_found(&self) -> bool {
        self.found > 0 || !self.suspects.is_empty()
    }

    /// After so many bytes of a file: goes on within it, with the file behind it, or with the next part.
    pub(super) fn go_on(&mut self, file: u64, bytes: u64, within: Option<u64>, next: Part) {
        self.bytes = self.bytes.saturating_add(bytes);
        (self.part, self.file, self.at) = match (within, file.checked_add(1)) {
            (Some(at), _) => (self.part, file, at),
            (None, Some(behind)) => (self.part, behind, 0),
            (None, None) => (next, 0, 0),
        };
    }

    /// Notes a suspect, unless it is noted already.
    pub(super) fn suspect(&mut self, suspect: Suspect) {
        let file = suspect.place.file(&suspect.what);
        let told =
            |finding: &ScrubFinding| (&finding.file, finding.at, finding.len) == (&file, suspect.at, suspect.len);
        if !self.suspects.contains(&suspect) && !self.findings.iter().any(told) {
            self.suspects.push(suspect);
        }
    }

    /// Findings so far.
    #[must_use]
    pub const fn found(&self) -> u64 {
        self.found
    }
}

impl Store {
    /// A pass that has checked nothing yet.
    ///
    /// # Errors
    /// When the disk cannot be asked how much there is.
    pub fn new_scrub_pass(&self) -> Result<ScrubPass> {
        let tables: u64 = self.index.tables()?.iter().map(|table| table.bytes).sum();
        Ok(ScrubPass {
            started: self.now(),
            part: Part::Journal,
            file: 0,
            at: 0,
            bytes: 0,
            total: tables + self.log.file_bytes()?,
            suspects: Vec::new(),
            findings: Vec::new(),
            found: 0,
        })
    }

    /// Checks about `budget` bytes of the pass, of one file; returns what was found, named. Files that go meanwhile are
    /// done: whatever the log lets go, the index has let go before.
    ///
    /// # Errors
    /// When the index cannot be read, or the process is ending: the pass is to be thrown away.
    pub fn scrub_step(&self, pass: &mut ScrubPass, budget: u64) -> Result<Vec<ScrubFinding>> {
        self.checks_go_on("scrub")?;
        let clean = pass.suspects.is_empty() && pass.found == 0;
        match pass.part {
            Part::Journal => {
                let found = self.journal.lock().scrub();
                pass.suspects.extend(found.map(|flaw| Suspect::of(Place::Journal, flaw)));
                (pass.part, pass.file, pass.at) = (Part::Appended, 0, 0);
            }
            Part::Appended => {
                if !self.scrub_appended(pass, budget)? {
                    (pass.part, pass.file, pass.at) = (Part::Tables, 0, 0);
                }
            }
            Part::Tables => self.scrub_table(pass, budget)?,
            Part::Segments => self.scrub_log(pass, budget, Part::Solos)?,
            Part::Solos => self.scrub_log(pass, budget, Part::Over)?,
            Part::Over => return Ok(Vec::new()),
        }
        let enough = clean || pass.suspects.len() >= SUSPECTS_MAX || pass.is_over();
        if pass.suspects.is_empty() || !enough {
            return Ok(Vec::new());
        }
        let suspects = std::mem::take(&mut pass.suspects);
        let findings = self.judge(&suspects)?;
        pass.found = pass.found.saturating_add(findings.len() as u64);
        let room = FINDINGS_KEPT.saturating_sub(pass.findings.len());
        pass.findings.extend(findings.iter().take(room).cloned());
        Ok(findings)
    }

    fn scrub_table(&self, pass: &mut ScrubPass, budget: u64) -> Result<()> {
        let Some(table) = self.index.tables()?.into_iter().find(|table| table.number >= pass.file) else {
            (pass.part, pass.file, pass.at) = (Part::Segments, 0, 0);
            return Ok(());
        };
        if table.number > pass.file {
            pass.at = 0;
        }
        let place = Place::Table(table.name.clone(), table.family.clone());
        let flaws = match self.disk.open(&Path::new(META_DIR).join(&table.name), Access::Direct) {
            Ok(file) => {
                let checked = check_table(&*file, pass.at, budget)?;
                pass.go_on(table.number, checked.bytes, checked.next, Part::Segments);
                checked.flaws
            }
            Err(error) => {
                pass.go_on(table.number, 0, None, Part::Segments);
                let why =
                    if error.kind() == ErrorKind::NotFound { "it is missing".to_owned() } else { error.to_string() };
                vec![TableFlaw { at: 0, len: table.bytes, what: "table", why, keys: None }]
            }
        };
        for flaw in flaws {
            let what = match &flaw.keys {
                Some((after, until)) => format!("{}{}", flaw.what, self.between(&table, after, until)),
                None => flaw.what.to_owned(),
            };
            let (at, len, why) = (flaw.at, flaw.len, flaw.why);
            pass.suspect(Suspect { place: place.clone(), at, len, what, why, reach: Reach::Nothing });
        }
        Ok(())
    }

    /// Which names lie between two keys of a table, in words.
    fn between(&self, table: &Table, after: &[u8], until: &[u8]) -> String {
        if table.family != Family::Dent.name() && table.family != Family::Ver.name() {
            return String::new();
        }
        let name = |key: &[u8]| {
            let (bucket, prefix) = self.path_of(dir_of(key)?).ok()?;
            // A bound may be cut, and be followed by bytes of RocksDB's or a version's.
            let component: String =
                String::from_utf8_lossy(key.get(8..)?).chars().take_while(|c| !c.is_control()).collect();
            Some(format!("{}/{prefix}{component}", bucket.name))
        };
        match (name(after), name(until)) {
            (Some(after), Some(until)) => format!(" of names behind {after} up to {until}"),
            (None, Some(until)) => format!(" of names up to {until}"),
            (Some(after), None) => format!(" of names behind {after}"),
            (None, None) => String::new(),
        }
    }

    /// One file of the log, of those the index says have live bytes; `next` comes when there is none left.
    fn scrub_log(&self, pass: &mut ScrubPass, budget: u64, next: Part) -> Result<()> {
        let kind = if next == Part::Solos { b'g' } else { b's' };
        let Some(file) = self.next_live(kind, pass.file)? else {
            (pass.part, pass.file, pass.at) = (next, 0, 0);
            return Ok(());
        };
        if file > pass.file {
            pass.at = 0;
        }
        let place = if kind == b'g' { Place::Segment(file) } else { Place::Solo(file) };
        let checked = match place {
            Place::Solo(id) => self.log.scrub_solo(SoloId(id), pass.at, budget),
            _ => self.log.scrub_segment(SegmentId(file), pass.at, budget),
        };
        let checked =
            checked.unwrap_or_else(|error| Scrubbed { flaws: vec![lost(kind, error.reason())], ..Scrubbed::default() });
        if checked.missing {
            // Whoever removes a file holds this lock, and has told the index first.
            let _alone = self.reaping.lock();
            if self.is_live(&place)? {
                pass.suspects.push(Suspect::of(place, lost(kind, "the file is missing")));
            }
            pass.go_on(file, 0, None, next);
            return Ok(());
        }
        pass.go_on(file, checked.bytes, checked.next, next);
        checked.flaws.into_iter().for_each(|flaw| pass.suspect(Suspect::of(place.clone(), flaw)));
        Ok(())
    }

    /// The first file of a kind from a number on that has live bytes.
    fn next_live(&self, kind: u8, from: u64) -> Result<Option<u64>> {
        let lower = [&[kind][..], &id_key(from)].concat();
        for found in self.index.scan(Family::Seg, &lower, &[kind + 1])? {
            let (key, value) = found?;
            let record: SegRecord = decode(&value)?;
            if record.live_bytes > 0 {
                return Ok(key.get(1..).and_then(id_of));
            }
        }
        Ok(None)
    }

    /// Whether anything lives in a file still.
    fn is_live(&self, place: &Place) -> Result<bool> {
        let key = match place {
            Place::Segment(id) => segment_key(*id),
            Place::Solo(id) => solo_key(*id),
            Place::Table(name, _) => return Ok(self.index.tables()?.iter().any(|table| table.name == *name)),
            Place::Appended(name) => return self.is_there(name),
            Place::Journal => return Ok(true),
        };
        Ok(self.index.record::<SegRecord>(Family::Seg, &key)?.unwrap_or_default().live_bytes > 0)
    }

    /// Of suspects those that are damage, with the objects they hurt. Runs that nothing refers to are none: a power cut
    /// may have left them half written, and compaction leaves them behind.
    fn judge(&self, suspects: &[Suspect]) -> Result<Vec<ScrubFinding>> {
        let hurt = self.who_is_hurt(suspects).inspect_err(|error| {
            tracing::warn!(%error, "what scrub found cannot be named");
        });
        self.checks_go_on("scrub")?;
        let mut findings = Vec::new();
        for (n, suspect) in suspects.iter().enumerate() {
            let named = hurt.as_ref().ok().and_then(|hurt| hurt.get(n));
            let counts = match (suspect.reach, named) {
                (Reach::Nothing, _) | (_, None) => self.is_live(&suspect.place)?,
                (_, Some(hurt)) => !hurt.objects.is_empty(),
            };
            if counts {
                let (objects, more) = named.map(|hurt| (hurt.objects.clone(), hurt.more)).unwrap_or_default();
                let what = format!("{}: {}", suspect.what, suspect.why);
                let (at, len) = (suspect.at, suspect.len);
                findings.push(ScrubFinding { file: suspect.place.file(&suspect.what), at, len, what, objects, more });
            }
        }
        Ok(findings)
    }
}

impl Suspect {
    fn of(place: Place, flaw: Flawed) -> Self {
        let Flawed { at, len, what, why, reach } = flaw;
        Self { place, at, len, what: what.to_owned(), why, reach }
    }
}

/// All of a file of the log.
fn lost(kind: u8, why: &str) -> Flawed {
    let reach = if kind == b'g' { Reach::Runs } else { Reach::Solo(0, u64::MAX) };
    Flawed { at: 0, len: u64::MAX, what: "file", why: why.to_owned(), reach }
}
