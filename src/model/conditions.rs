//! Conditions of reads and of copies' sources, judged by what an object says (COND-1 to COND-3, COND-11).

use super::{ETag, Error, Kind, Object, Result, Timestamp};

/// The value of an `If-Match` or `If-None-Match`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tags {
    /// `*`: any object.
    Any,
    /// One of these. Tags that no object of ours can have are left out.
    These(Vec<ETag>),
}

impl Tags {
    /// Reads a header: `*`, or tags with commas between them, in quotes or without. A weak one (`W/`) is taken for the
    /// strong one: the same bytes are meant.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        let mut parts = header.split(',').map(str::trim);
        if parts.clone().any(|part| part == "*") {
            return Self::Any;
        }
        Self::These(parts.by_ref().filter_map(|part| ETag::parse(part.strip_prefix("W/").unwrap_or(part))).collect())
    }

    fn has(&self, tag: ETag) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.contains(&tag),
        }
    }
}

/// What a read, or a copy of its source, asks of the version it is about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// `If-Match`
    pub matches: Option<Tags>,
    /// `If-None-Match`
    pub none_match: Option<Tags>,
    /// `If-Modified-Since`
    pub modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`
    pub unmodified_since: Option<Timestamp>,
}

/// What conditions come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// They hold.
    Holds,
    /// The caller has these bytes: 304.
    NotModified,
    /// They do not: 412.
    Failed,
}

impl Conditions {
    /// For GET and HEAD. A tag decides where there is one, whatever the time says (COND-2, COND-3).
    #[must_use]
    pub fn of_read(&self, object: &Object) -> Verdict {
        // Headers tell whole seconds.
        let since = |time: Timestamp| object.modified.secs > time.secs;
        let unchanged = match (&self.matches, self.unmodified_since) {
            (Some(tags), _) => tags.has(object.etag),
            (None, Some(time)) => !since(time),
            (None, None) => true,
        };
        let changed = match (&self.none_match, self.modified_since) {
            (Some(tags), _) => !tags.has(object.etag),
            (None, Some(time)) => since(time),
            (None, None) => true,
        };
        match (unchanged, changed) {
            (false, _) => Verdict::Failed,
            (true, false) => Verdict::NotModified,
            (true, true) => Verdict::Holds,
        }
    }

    /// For the source of a copy (COND-11).
    ///
    /// # Errors
    /// [`Kind::PreconditionFailed`] when they do not hold.
    pub fn of_source(&self, object: &Object) -> Result<()> {
        match self.of_read(object) {
            Verdict::Holds => Ok(()),
            Verdict::NotModified | Verdict::Failed => {
                Err(Error::new(Kind::PreconditionFailed, "a condition on the copy's source does not hold").why(
                    format!(
                        "the source has the tag {} and was last modified at {}",
                        object.etag,
                        object.modified.rfc3339()
                    ),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Conditions, ETag, Kind, Object, Tags, Timestamp, Verdict};
    use crate::model::{FileKind, Ino, Posix, Seq, VersionId};

    const TAG: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const OTHER: &str = "\"00000000000000000000000000000000-2\"";

    /// An object modified half a second after second 100.
    fn object() -> Object {
        let at = Timestamp::new(100, 500_000_000);
        Object::empty(Ino(1), Seq(2), VersionId::Null, &Posix::new(FileKind::File, 0o644, 0, 0, at), at)
    }

    #[test]
    fn cond_1_to_cond_3_and_cond_11_table() {
        use Verdict::{Failed, Holds, NotModified};
        let at = |secs: i64| Some(Timestamp::new(secs, 0));
        let (same, other) = (Some(TAG), Some(OTHER));
        // If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since.
        let table = [
            (None, None, None, None, Holds),
            (same, None, None, None, Holds),
            (other, None, None, None, Failed),
            (Some("*"), None, None, None, Holds),
            (None, same, None, None, NotModified),
            (None, other, None, None, Holds),
            (None, Some("*"), None, None, NotModified),
            (None, None, at(99), None, Holds),
            (None, None, at(100), None, NotModified),
            (None, None, None, at(99), Failed),
            (None, None, None, at(100), Holds),
            (same, None, None, at(99), Holds),
            (other, None, None, at(100), Failed),
            (None, same, at(99), None, NotModified),
            (None, other, at(100), None, Holds),
            (other, same, None, None, Failed),
            (same, same, None, None, NotModified),
        ];
        for (matches, none, since, unmodified, verdict) in table {
            let conditions = Conditions {
                matches: matches.map(Tags::parse),
                none_match: none.map(Tags::parse),
                modified_since: since,
                unmodified_since: unmodified,
            };
            assert_eq!(conditions.of_read(&object()), verdict, "{conditions:?}");
            let copied = conditions.of_source(&object()).map_err(|error| error.kind());
            let wanted = if verdict == Holds { Ok(()) } else { Err(Kind::PreconditionFailed) };
            assert_eq!(copied, wanted, "{conditions:?}");
        }
    }

    #[test]
    fn cond_1_several_tags_in_one_header() {
        let both = Tags::These(vec![ETag::EMPTY, ETag { digest: [0; 16], parts: 2 }]);
        assert_eq!(Tags::parse(&format!("W/\"{TAG}\" ,{OTHER}")), both);
        assert_eq!(Tags::parse("\"not ours\", x"), Tags::These(vec![]));
        assert_eq!(Tags::parse(&format!("{TAG}, *")), Tags::Any);
        assert!(!Tags::parse("").has(ETag::EMPTY));
    }
}
