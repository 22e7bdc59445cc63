//! What hinders the store: work that fails and is tried again until it succeeds. Each such time is told once when it begins
//! and once when it is over, however often the work is tried meanwhile.

use super::Store;
use crate::model::{Error, Kind, Result, Timestamp};
use crate::sys::sync::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;

/// After how many milliseconds a durability round hinders the store although nothing has failed.
const SILENT: i64 = 5000;

/// Work that fails at present, or for which the disk takes long.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Hindrance {
    /// What is tried again and again: `sync`, `journal`, `free`, `sweep` (what a crash left), `compact`, `scrub`.
    pub work: &'static str,
    /// Since when it fails, RFC 3339.
    pub since: String,
    /// Why it failed last.
    pub why: String,
}

struct Failure {
    since: Timestamp,
    kind: Kind,
    why: String,
}

/// By the name of the work. A lock that is taken alone.
#[derive(Default)]
pub(super) struct Hindrances(Mutex<BTreeMap<&'static str, Failure>>);

impl Store {
    /// Takes note of how an attempt at `work` went that is repeated if it failed. It succeeded: what hindered it is over. It
    /// failed: that is told, unless it was told already of a failure of this kind.
    pub fn tried<T>(&self, work: &'static str, done: Result<T>) -> Option<T> {
        match done {
            Ok(done) => {
                self.goes_on_with(work);
                Some(done)
            }
            Err(error) => {
                self.hindered_in(work, &error);
                None
            }
        }
    }

    pub(super) fn hindered_in(&self, work: &'static str, error: &Error) {
        {
            let mut failures = self.hindrances.0.lock();
            let since = failures.get(work).map(|failure| (failure.since, failure.kind));
            let failure = Failure {
                since: since.map_or_else(|| self.now(), |(since, _)| since),
                kind: error.kind(),
                why: error.to_string(),
            };
            failures.insert(work, failure);
            if since.is_some_and(|(_, kind)| kind == error.kind()) {
                return;
            }
        }
        self.complain(work, None, "", error);
    }

    pub(super) fn goes_on_with(&self, work: &'static str) {
        let mut failures = self.hindrances.0.lock();
        // Nothing is tried any more once nothing may be changed.
        if failures.is_empty() || self.stopped.get().is_some() {
            return;
        }
        let Some(failure) = failures.remove(work) else { return };
        drop(failures);
        self.tell_that_it_is_over(work, failure.since, failure.kind, &failure.why);
    }

    /// What hinders the store now.
    #[must_use]
    pub fn hindrances(&self) -> Vec<Hindrance> {
        let silent = self.silent();
        let failures = self.hindrances.0.lock();
        let hindrance = |(work, failure): (&&'static str, &Failure)| Hindrance {
            work,
            since: failure.since.rfc3339(),
            why: failure.why.clone(),
        };
        let silent = silent.filter(|silent| !failures.contains_key(silent.work));
        failures.iter().map(hindrance).chain(silent).collect()
    }

    /// That the disk does not answer: nothing fails, everybody waits, and a person asks why.
    fn silent(&self) -> Option<Hindrance> {
        let since = self.rounds.running_since()?;
        let waited = self.now().millis() - since.millis();
        (waited >= SILENT).then(|| Hindrance {
            work: "sync",
            since: since.rfc3339(),
            why: format!("the store's disk has not taken what is written to it for {} s", waited / 1000),
        })
    }
}
