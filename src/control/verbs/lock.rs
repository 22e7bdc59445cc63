//! `retention` and `legal-hold`: what protects a version (LOCK).

use crate::control::place::{self, History, name};
use crate::control::{ActRow, Host, LockEdit, PairRow, Protection, Reply, Row, Target, Which};
use crate::model::{Error, Kind, Leave, Result, Retention, parse_hold, show_hold};
use crate::store::{Locked, Store};

pub(super) fn lock(
    store: &Store,
    host: &dyn Host,
    (target, version): (&Target, Option<&str>),
    protection: Protection,
    edit: LockEdit,
    leave: Leave,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (bucket, key, entry) = place::object_key(store, host, target)?;
    let about = name(&bucket, key.as_str());
    let which = match version.map(place::version_id).transpose()?.or(entry) {
        Some(id) => Which::Version(id.to_string()),
        None => Which::Current,
    };
    let history = place::versions_for(store, &bucket, &key, &which)?;
    let History { dirs, component, .. } = &history;
    let found = place::pick(&history, &which, &about)?;
    let of = Locked::name(dirs, component, Some((found.version, found.seq)));
    let changed = match (protection, &edit) {
        (_, LockEdit::Get) => {
            let (name, value) = match protection {
                Protection::Retention => ("retention", found.lock.retention.map(|retention| retention.to_string())),
                Protection::LegalHold => ("legal-hold", found.lock.hold.map(|hold| show_hold(hold).to_owned())),
            };
            let value = value.ok_or_else(|| {
                Error::new(Kind::NoObjectLock, format!("{about} has no {name}"))
                    .why("nobody set it (LOCK-11)")
                    .mend(format!("`keyfold {name} set` sets it, in a bucket with object lock"))
            })?;
            return reply.row(Row::Pair(PairRow { name: name.to_owned(), value }));
        }
        (Protection::Retention, LockEdit::Set(text)) => {
            store.set_retention(&of, Some(Retention::parse(text)?), leave)?
        }
        (Protection::Retention, LockEdit::Remove) => store.set_retention(&of, None, leave)?,
        (Protection::LegalHold, LockEdit::Set(text)) => store.set_legal_hold(&of, Some(parse_hold(text)?))?,
        (Protection::LegalHold, LockEdit::Remove) => store.set_legal_hold(&of, None)?,
    };
    let act = if matches!(edit, LockEdit::Set(_)) { "set" } else { "removed" };
    let version = Some(changed.version.to_string());
    reply.row(Row::Act(ActRow { act: act.to_owned(), on: about, version, ..ActRow::default() }))
}
