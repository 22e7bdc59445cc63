//! `tag` and `meta`: pairs of an object, read and changed by one pattern.

use crate::control::place::{self, name};
use crate::control::{ActRow, Attribute, Edit, Host, PairRow, Reply, Row, Target, Which};
use crate::model::{Error, Kind, Metadata, Object, Result, SystemHeader, TagSet, VersionId};
use crate::store::Store;

/// Forces a name to be user metadata, also one that is a system header's.
const USER: &str = "meta.";

pub(super) fn pairs(
    store: &Store,
    host: &dyn Host,
    target: &Target,
    (attribute, version): (Attribute, Option<&str>),
    edit: Edit,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (bucket, key, entry) = place::object_key(store, host, target)?;
    let about = name(&bucket, key.as_str());
    let version = version.map(place::version_id).transpose()?.or(entry);
    let object = match version {
        None => store.get(bucket.name.as_str(), &key, None)?,
        Some(id) => {
            let which = Which::Version(id.to_string());
            let history = place::versions_for(store, &bucket, &key, &which)?;
            place::pick(&history, &which, &about)?.clone()
        }
    };
    if let Edit::Get(names) = &edit {
        return show(all(&object, attribute), names, &about, reply);
    }
    let at = store.place(bucket.name.as_str(), &key)?.ok_or_else(|| place::no_such_key(&bucket, key.as_str()))?;
    let at = (at.0, at.1.as_str());
    let act = if matches!(edit, Edit::Set(_)) { "set" } else { "removed" };
    let made = match attribute {
        Attribute::Tags => {
            let (object, _) = store.edit_tags(at, version, |object| {
                object.tags = tags(&object.tags, edit)?;
                Ok(true)
            })?;
            object.version
        }
        Attribute::Metadata => {
            not_of_a_version(version)?;
            store
                .edit_metadata(at, |now| {
                    *now = metadata(now, edit)?;
                    Ok(())
                })?
                .version
        }
    };
    reply.row(Row::Act(ActRow { act: act.to_owned(), on: about, version: Some(made.to_string()), ..ActRow::default() }))
}

fn all(object: &Object, attribute: Attribute) -> Vec<PairRow> {
    let pair = |name: &str, value: &str| PairRow { name: name.to_owned(), value: value.to_owned() };
    match attribute {
        Attribute::Tags => object.tags.iter().map(|(name, value)| pair(name, value)).collect(),
        Attribute::Metadata => {
            let system = SystemHeader::ALL.iter();
            let system = system.filter_map(|(header, name)| Some(pair(name, object.metadata.system(*header)?)));
            let user = object.metadata.user_pairs().map(|(name, value)| {
                // Its own name unless a system header has it.
                let shown = if SystemHeader::named(name).is_some() { format!("{USER}{name}") } else { name.to_owned() };
                pair(&shown, value)
            });
            system.chain(user).collect()
        }
    }
}

fn show(pairs: Vec<PairRow>, names: &[String], about: &str, reply: &mut dyn Reply) -> Result<()> {
    if names.is_empty() {
        return pairs.into_iter().try_for_each(|pair| reply.row(Row::Pair(pair)));
    }
    for name in names {
        let found = pairs.iter().find(|pair| pair.name == *name || Some(pair.name.as_str()) == name.strip_prefix(USER));
        let Some(pair) = found else {
            return Err(Error::new(Kind::NotSet, format!("{about} has no {name:?}"))
                .why("it is not set")
                .mend("without a name, all that is set is shown"));
        };
        reply.row(Row::Pair(pair.clone()))?;
    }
    Ok(())
}

fn tags(now: &TagSet, edit: Edit) -> Result<TagSet> {
    let mut tags = now.clone();
    match edit {
        Edit::Set(pairs) => pairs.iter().try_for_each(|(name, value)| tags.set(name, value))?,
        Edit::Remove(names) => names.iter().try_for_each(|name| was_set(tags.remove(name), name))?,
        Edit::Clear => tags = TagSet::new(),
        Edit::Get(_) => {}
    }
    Ok(tags)
}

fn metadata(now: &Metadata, edit: Edit) -> Result<Metadata> {
    let mut metadata = now.clone();
    let header = |name: &str| SystemHeader::named(&name.to_ascii_lowercase());
    let user = |name: &str| name.strip_prefix(USER).unwrap_or(name).to_owned();
    match edit {
        Edit::Set(pairs) => {
            for (name, value) in &pairs {
                match header(name) {
                    Some(header) => metadata.set_system(header, value)?,
                    None => metadata.set_user(&user(name), value)?,
                }
            }
        }
        Edit::Remove(names) => {
            for name in &names {
                let there = match header(name) {
                    Some(header) => {
                        let there = metadata.system(header).is_some();
                        metadata.set_system(header, "")?;
                        there
                    }
                    None => metadata.remove_user(&user(name)),
                };
                was_set(there, name)?;
            }
        }
        Edit::Clear => metadata = Metadata::default(),
        Edit::Get(_) => {}
    }
    Ok(metadata)
}

fn was_set(there: bool, name: &str) -> Result<()> {
    if there {
        return Ok(());
    }
    Err(Error::new(Kind::NotSet, format!("cannot remove {name:?}"))
        .why("it is not set")
        .mend("`get` instead of `rm` shows what is set"))
}

fn not_of_a_version(version: Option<VersionId>) -> Result<()> {
    if version.is_none() {
        return Ok(());
    }
    Err(Error::new(Kind::NotPermitted, "cannot change the metadata of an older version")
        .why("metadata is part of a version; a change makes a new version (META-5)")
        .mend("restore that version first, then change it"))
}
