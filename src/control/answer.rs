//! Frames of an answer: rows and notes, then the end or an error. Errors cross the socket whole.

use super::Row;
use crate::model::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

/// Takes what a verb has to say while it works.
pub trait Reply {
    /// One row of data.
    ///
    /// # Errors
    /// When nobody listens any more: the verb stops.
    fn row(&mut self, row: Row) -> Result<()>;

    /// A word to the person about progress, or about something left out.
    ///
    /// # Errors
    /// As [`Reply::row`].
    fn note(&mut self, text: &str) -> Result<()>;

    /// Whether somebody still listens, for verbs that wait.
    ///
    /// # Errors
    /// When nobody does.
    fn alive(&mut self) -> Result<()>;
}

/// One frame from the process that answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Data.
    Row(Row),
    /// A word to the person.
    Note(String),
    /// Nothing, to see whether somebody listens.
    Alive,
    /// The verb is done.
    Done,
    /// The verb failed.
    Failed(Failure),
}

/// An error on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The kind's name in this source.
    pub kind: String,
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// The way out.
    pub mend: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: format!("{:?}", error.kind()),
            what: error.what().to_owned(),
            why: error.reason().to_owned(),
            mend: error.remedy().map(str::to_owned),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let known = Kind::ALL.iter().find(|kind| format!("{kind:?}") == failure.kind);
        let error = Self::new(known.copied().unwrap_or(Kind::Io), failure.what).why(failure.why);
        match failure.mend {
            Some(mend) => error.mend(mend),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Failure};
    use crate::model::{Error, Kind};

    #[test]
    fn errors_of_every_kind_cross_the_socket_whole() {
        for kind in Kind::ALL {
            let error = Error::new(*kind, "cannot do it").why("so it is").mend("do else");
            let text = serde_json::to_string(&Answer::Failed(Failure::from(&error))).unwrap();
            let Answer::Failed(failure) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
            let back = Error::from(failure);
            assert_eq!((back.kind(), back.to_string()), (*kind, error.to_string()));
        }
    }
}
