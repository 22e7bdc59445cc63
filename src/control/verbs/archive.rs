//! `class` and `thaw`: storage classes of objects and of new files, restores of archived objects.

use super::tree::{Tree, no_directory, prefix_of};
use crate::control::place::{self, Place, name};
use crate::control::{ActRow, ArchiveRow, ClassEdit, Host, Reply, Row, Target, Thaw, Which};
use crate::model::{Bucket, DirId, Error, Kind, Object, ObjectKey, RestoreTier, Result, StorageClass};
use crate::store::{AccessTier, Directory, Entry, Mover, RestoreWish, Step, Store, archived, in_one_of, may_move};
use std::sync::Arc;

/// One version, and where it may lie.
struct Found {
    key: String,
    dirs: Vec<DirId>,
    component: String,
    object: Object,
}

impl Found {
    /// Tries a change in each directory that the version may lie in.
    fn change<T>(&self, change: impl Fn((DirId, &str)) -> Result<T>) -> Result<T> {
        in_one_of(&self.dirs, |dir| change((dir, &self.component)))
            .unwrap_or_else(|| Err(Error::new(Kind::NoSuchVersion, format!("{} was deleted at this moment", self.key))))
    }
}

fn class_of(text: &str) -> Result<StorageClass> {
    StorageClass::named(text).ok_or_else(|| {
        Error::new(Kind::InvalidArgument, format!("there is no storage class {text:?}"))
            .why("it is none of S3's")
            .mend("`keyfold classes` shows them")
    })
}

/// The object, or version, that a key is of.
fn one(store: &Arc<Store>, bucket: &Bucket, key: &str, version: Option<&str>) -> Result<Found> {
    let parsed = ObjectKey::parse(key)?;
    let which = version.map_or(Which::Current, |id| Which::Version(id.to_owned()));
    let history = place::versions_for(store, bucket, &parsed, &which)?;
    let object = place::pick(&history, &which, &name(bucket, key))?.clone();
    Ok(Found { key: key.to_owned(), dirs: history.dirs, component: history.component, object })
}

/// The directory that a key names.
fn directory(store: &Arc<Store>, bucket: &Bucket, key: &str) -> Result<Option<Directory>> {
    let found = Tree::new(store, None).directory(bucket, &prefix_of(key))?;
    found.map(|id| store.directory(id)).transpose()
}

/// Every current object below a place.
fn each_below(
    store: &Arc<Store>,
    (bucket, key): (&Bucket, &str),
    reply: &mut dyn Reply,
    visit: &mut dyn FnMut(&Found, &mut dyn Reply) -> Result<()>,
) -> Result<()> {
    let Some(top) = directory(store, bucket, key)? else {
        let found = one(store, bucket, key, None)?;
        return visit(&found, reply);
    };
    Tree::new(store, None).walk(top.id, &prefix_of(key), reply, &mut |key, entry, reply| {
        let object = match entry {
            Entry::File(file) => file.object.clone(),
            Entry::Dir(_) => return Ok(()),
        };
        let (parents, component) =
            key.rsplit_once('/').map_or(("", key), |(_, last)| (&key[..key.len() - last.len()], last));
        let Some(dir) = Tree::new(store, None).directory(bucket, parents)? else { return Ok(()) };
        visit(&Found { key: key.to_owned(), dirs: vec![dir], component: component.to_owned(), object }, reply)
    })
}

/// What was refused of single objects of a tree, which keeps none of the others back.
#[derive(Default)]
struct Refused {
    count: u64,
    first: Option<Error>,
}

impl Refused {
    /// Tells of a refusal; what is not about one object alone ends the command.
    fn pass_by(&mut self, key: &str, error: Error, reply: &mut dyn Reply) -> Result<()> {
        use Kind::{
            Archived, Conflict, Corrupt, Denied, InvalidArgument, InvalidRequest, InvalidState, IsMarker, Locked,
            NoSuchKey, NoSuchVersion, NotPermitted, Restoring,
        };
        match error.kind() {
            Archived | Conflict | Corrupt | Denied | InvalidArgument | InvalidRequest | InvalidState | IsMarker
            | Locked | NoSuchKey | NoSuchVersion | NotPermitted | Restoring => {
                reply.note(&format!("{key}: {error}"))?;
                self.count += 1;
                self.first.get_or_insert(error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// What the command came to: the kind of the first refusal.
    fn end(self, what: &str) -> Result<()> {
        let Some(first) = self.first else { return Ok(()) };
        let objects = if self.count == 1 { "one object" } else { &format!("{} objects", self.count) };
        Err(Error::new(first.kind(), format!("cannot {what} {objects}"))
            .why(format!("what was refused is told above; first: {}", first.reason())))
    }
}

fn row(key: String, class: &str, object: Option<&Object>) -> ArchiveRow {
    let size = object.map_or(0, |object| object.size);
    let version = object.map(|object| object.version.to_string());
    ArchiveRow { key, class: class.to_owned(), size, version, ..ArchiveRow::default() }
}

/// What is asked of classes.
pub(super) struct How {
    pub(super) version: Option<String>,
    pub(super) recursive: bool,
    pub(super) edit: ClassEdit,
    pub(super) dry_run: bool,
}

pub(super) fn class(
    store: &Arc<Store>,
    host: &dyn Host,
    target: &Target,
    how: &How,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (bucket, key, version) = match place::place(store, host, target)? {
        Place::Store => {
            return Err(Error::new(Kind::InvalidArgument, "cannot do that to the whole store")
                .why("the command is about objects and directories")
                .mend("name a bucket, or what lies in one"));
        }
        Place::Bucket(bucket) => (bucket, String::new(), None),
        Place::Key(bucket, key, version) => (bucket, key, version),
    };
    let version = how.version.clone().or(version.map(|id| id.to_string()));
    let to = match &how.edit {
        ClassEdit::Set(class) => Some(class_of(class)?),
        ClassEdit::Get | ClassEdit::Clear => None,
    };
    if how.recursive {
        let mut count = 0u64;
        let mut bytes = 0u64;
        let mut refused = Refused::default();
        each_below(store, (&bucket, &key), reply, &mut |found, reply| {
            let Some(to) = to else {
                return reply.row(Row::Archive(row(found.key.clone(), found.object.class.name(), Some(&found.object))));
            };
            // Of a tree what can go goes; the rest is where it is, or further down.
            if !may_move(&found.object, to, store.now()) {
                return Ok(());
            }
            if !how.dry_run
                && let Err(error) = step(store, found, to)
            {
                return refused.pass_by(&found.key, error, reply);
            }
            count += 1;
            bytes += found.object.size;
            reply.alive()
        })?;
        return match to {
            None => Ok(()),
            Some(to) => {
                let on = format!("{} to {}", name(&bucket, &key), to.name());
                let act =
                    ActRow { act: "moved".to_owned(), on, count: Some(count), bytes: Some(bytes), ..ActRow::default() };
                reply.row(Row::Act(ActRow { dry_run: how.dry_run, ..act }))?;
                refused.end("move")
            }
        };
    }
    let directory = if version.is_none() { directory(store, &bucket, &key)? } else { None };
    if let Some(directory) = directory {
        return of_directory(store, &directory, (name(&bucket, &key), to), how, reply);
    }
    if how.edit == ClassEdit::Clear {
        return Err(no_directory(&bucket, &key));
    }
    let found = one(store, &bucket, &key, version.as_deref())?;
    let Some(to) = to else {
        return reply.row(Row::Archive(row(found.key.clone(), found.object.class.name(), Some(&found.object))));
    };
    if !how.dry_run {
        step(store, &found, to)?;
    } else if found.object.class != to && !may_move(&found.object, to, store.now()) {
        return Err(Error::new(Kind::InvalidArgument, format!("cannot move the object to {}", to.name()))
            .why(format!("no step leads there from {} (LC-13, LC-14)", found.object.class.name())));
    }
    let on = format!("{} to {}", name(&bucket, &key), to.name());
    let version = Some(found.object.version.to_string());
    reply.row(Row::Act(ActRow { act: "moved".to_owned(), on, version, dry_run: how.dry_run, ..ActRow::default() }))
}

fn step(store: &Store, found: &Found, to: StorageClass) -> Result<()> {
    let version = Some((found.object.version, Some(found.object.seq)));
    let step = Step { from: None, to, by: Mover::Caller };
    found.change(|at| store.transition(at, version, step).map(drop))
}

fn of_directory(
    store: &Store,
    directory: &Directory,
    (on, to): (String, Option<StorageClass>),
    how: &How,
    reply: &mut dyn Reply,
) -> Result<()> {
    if how.edit == ClassEdit::Get {
        let class = store.class_in(directory.id)?;
        return reply.row(Row::Archive(row(on, class.name(), None)));
    }
    if !how.dry_run {
        store.set_default_class(directory.id, to)?;
    }
    let on = format!("{on}: new files are {}", to.map_or("as above", StorageClass::name));
    reply.row(Row::Act(ActRow { act: "set".to_owned(), on, dry_run: how.dry_run, ..ActRow::default() }))
}

/// What is asked of a restore.
pub(super) struct Asked {
    pub(super) version: Option<String>,
    pub(super) recursive: bool,
    pub(super) ask: Option<Thaw>,
}

pub(super) fn thaw(
    store: &Arc<Store>,
    host: &dyn Host,
    target: &Target,
    asked: &Asked,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (bucket, key, version) = match place::place(store, host, target)? {
        Place::Bucket(bucket) if asked.recursive => (bucket, String::new(), None),
        Place::Key(bucket, key, version) => (bucket, key, version),
        Place::Store | Place::Bucket(_) => {
            return Err(Error::new(Kind::InvalidArgument, "cannot restore a whole bucket")
                .why("the command is about one object")
                .mend("use -r for everything below"));
        }
    };
    let wish = match &asked.ask {
        None => None,
        Some(ask) => {
            let tier = RestoreTier::named(&ask.tier).ok_or_else(|| {
                Error::new(Kind::InvalidArgument, format!("there is no tier {:?}", ask.tier))
                    .why("a restore is Expedited, Standard or Bulk (RST-2)")
                    .mend("choose one of them")
            })?;
            Some(RestoreWish { days: Some(ask.days), tier })
        }
    };
    if asked.recursive {
        let mut refused = Refused::default();
        each_below(store, (&bucket, &key), reply, &mut |found, reply| {
            match restore(store, found, wish) {
                Ok(told) => reply.row(Row::Archive(told)),
                // Nothing to be done of it.
                Err(error) if matches!(error.kind(), Kind::NotArchived | Kind::InActiveTier) => reply.alive(),
                Err(error) => refused.pass_by(&found.key, error, reply),
            }
        })?;
        return refused.end("restore");
    }
    let version = asked.version.clone().or(version.map(|id| id.to_string()));
    let found = one(store, &bucket, &key, version.as_deref())?;
    let told = match restore(store, &found, wish) {
        // Back for good: there is nothing of it to tell but that it can be read.
        Err(error) if wish.is_none() && error.kind() == Kind::NotArchived => {
            let readable = row(found.key.clone(), found.object.class.name(), Some(&found.object));
            ArchiveRow { state: Some("restored".to_owned()), ..readable }
        }
        done => done?,
    };
    reply.row(Row::Archive(told))
}

/// Asks for a version to be restored, if that is wished, and tells how it is.
fn restore(store: &Store, found: &Found, wish: Option<RestoreWish>) -> Result<ArchiveRow> {
    let mut object = found.object.clone();
    if let Some(wish) = wish {
        let days = wish.days.filter(|_| object.class != StorageClass::IntelligentTiering);
        let version = Some((object.version, Some(object.seq)));
        match found.change(|at| store.request_restore(at, version, RestoreWish { days, ..wish })) {
            Ok((restored, _)) => object = restored,
            // It runs already: that is what was wanted.
            Err(error) if error.kind() == Kind::Restoring => {}
            Err(error) => return Err(error),
        }
    } else if object.aging.restore.is_none()
        && !matches!(store.access_tier(&object), Some(AccessTier::Archived(_)))
        && archived(&object, store.now()).is_none()
    {
        return Err(Error::new(Kind::NotArchived, format!("{} lies in no archive", found.key)));
    }
    let now = store.now();
    let state = match (archived(&object, now), object.aging.restore) {
        (None, _) => "restored",
        (Some(_), Some(_)) => "restoring",
        (Some(_), None) => "archived",
    };
    let restore = object.aging.restore;
    Ok(ArchiveRow {
        state: Some(state.to_owned()),
        ready: restore.filter(|restore| restore.ready_at > now).map(|restore| restore.ready_at.rfc3339()),
        expires: restore.and_then(|restore| restore.expires).map(|at| at.rfc3339()),
        ..row(found.key.clone(), object.class.name(), Some(&object))
    })
}
