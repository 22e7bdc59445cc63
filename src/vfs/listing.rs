//! What a directory lists, piece by piece: keys, buckets, history, and the entries that are no keys.

use super::Vfs;
use super::control::ControlNode;
use super::errno::Outcome;
use super::node::{Node, View, What};
use super::readdir::Stream;
use super::spelling::show;
use super::tree::kind_of;
use crate::model::{DirId, FileKind};
use crate::store::Entry;
use std::sync::Arc;

/// Begins the marks of entries that are no keys: a component holds no `/` but at its end.
pub(super) const HIDDEN: &str = "//";
const MARK_BODY: &str = "//1";
const MARK_VERSIONS: &str = "//2";
const MARK_CONTROL: &str = "//3";

/// A name and what it leads to, before it is told.
pub(super) struct Item {
    /// What tells the position: a component, or a name in a listing that only the mount makes.
    pub(super) mark: String,
    pub(super) name: String,
    /// An object's that a directory of the same part stands beside.
    pub(super) shadowed: bool,
    pub(super) kind: FileKind,
    pub(super) target: Target,
}

/// What an item leads to.
pub(super) enum Target {
    Entry(Box<Entry>),
    Virtual(What),
    Dir { dir: DirId, view: View },
}

impl Vfs {
    /// Up to `limit` items after a mark; fewer only at the end.
    pub(super) fn items(
        &self,
        node: &Node,
        stream: &mut Stream,
        after: Option<&str>,
        limit: usize,
    ) -> Outcome<Vec<Item>> {
        match &*node.what {
            What::Dir { dir, root, view } => self.dir_items(*view, *dir, *root, after, limit),
            What::Buckets(view) => self.bucket_items(*view, after, limit),
            What::History(dirs) => self.history_items(dirs, after, limit),
            _ => {
                if stream.whole.is_none() {
                    stream.whole = Some(match &*node.what {
                        What::Versions { dirs, part } => self.version_items(dirs, part)?,
                        What::Control(control) => self.control_items(control)?,
                        _ => Vec::new(),
                    });
                }
                let whole = stream.whole.as_deref().unwrap_or_default();
                let from = match after {
                    None => 0,
                    Some(after) => whole.iter().position(|(name, ..)| name == after).map_or(whole.len(), |at| at + 1),
                };
                Ok(whole[from..]
                    .iter()
                    .take(limit)
                    .map(|(name, kind, what)| virtual_item(name, *kind, what.clone()))
                    .collect())
            }
        }
    }

    fn dir_items(&self, view: View, dir: DirId, root: bool, after: Option<&str>, limit: usize) -> Outcome<Vec<Item>> {
        let reserved = self.reserved(root);
        let mut items = Vec::with_capacity(limit);
        let mut from = after;
        let directory = self.directory(view, dir)?;
        if after.is_none_or(|after| after.starts_with(HIDDEN)) {
            // What has no component comes first, marked by what no component begins with.
            for (mark, what, kind) in self.extras(view, dir, root, &directory) {
                if after.is_some_and(|after| after >= mark) {
                    continue;
                }
                let name = match mark {
                    MARK_BODY => ".@self",
                    MARK_VERSIONS => reserved.versions_dir(),
                    _ => reserved.control_dir().unwrap_or_default(),
                };
                let mut item = virtual_item(name, kind, what);
                item.mark = mark.to_owned();
                items.push(item);
            }
            from = None;
        }
        // In the past every object is asked for a directory beside it; in the present only where there are any.
        let may_shadow = view != View::Live || directory.stat.subdirs > 0;
        while items.len() < limit {
            let want = limit - items.len();
            let page = self.page(view, dir, from, want)?;
            let end = page.len() < want;
            for (component, entry) in page {
                let shadowed = may_shadow
                    && !component.ends_with('/')
                    && self.entry(view, dir, &format!("{component}/"))?.is_some();
                let name = show(&component, shadowed, reserved).into_owned();
                let kind = kind_of(&entry);
                items.push(Item { mark: component, name, shadowed, kind, target: Target::Entry(Box::new(entry)) });
            }
            if end {
                break;
            }
            from = items.last().map(|item| item.mark.as_str());
            if items.len() >= limit {
                break;
            }
        }
        Ok(items)
    }

    /// Entries of a directory that are no keys.
    fn extras(
        &self,
        view: View,
        dir: DirId,
        root: bool,
        directory: &crate::store::Directory,
    ) -> Vec<(&'static str, What, FileKind)> {
        let mut extras = Vec::new();
        if directory.marker.as_ref().is_some_and(|marker| marker.size > 0) {
            extras.push((MARK_BODY, What::MarkerBody { dir, view }, FileKind::File));
        }
        if view == View::Live && self.settings.show_hidden {
            extras.push((MARK_VERSIONS, What::History([dir].into()), FileKind::Directory));
            if root && let Ok(control) = self.control_of(dir) {
                extras.push((MARK_CONTROL, control, FileKind::Directory));
            }
        }
        extras
    }

    fn bucket_items(&self, view: View, after: Option<&str>, limit: usize) -> Outcome<Vec<Item>> {
        let mut items = Vec::new();
        let past = matches!(after, Some(after) if !after.starts_with(HIDDEN));
        if self.settings.show_hidden && view == View::Live && after.is_none() {
            let name = self.settings.reserved.control_dir().unwrap_or_default();
            let what = What::Control(ControlNode::RootDir);
            let mut item = virtual_item(name, FileKind::Directory, what);
            item.mark = MARK_CONTROL.to_owned();
            items.push(item);
        }
        for bucket in self.store.buckets()? {
            let name = bucket.name.as_str();
            let told = past && after.is_some_and(|after| name <= after);
            if told || matches!(view, View::Past(at) if bucket.created > at) {
                continue;
            }
            if items.len() == limit {
                break;
            }
            items.push(Item {
                mark: name.to_owned(),
                name: name.to_owned(),
                shadowed: false,
                kind: FileKind::Directory,
                target: Target::Dir { dir: bucket.root, view },
            });
        }
        Ok(items)
    }

    fn history_items(&self, dirs: &Arc<[DirId]>, after: Option<&str>, limit: usize) -> Outcome<Vec<Item>> {
        let mut items = Vec::new();
        let mut from = after.map(str::to_owned);
        while items.len() < limit {
            let want = limit - items.len();
            let page = self.store.names_with_history(dirs, from.as_deref(), want)?;
            let end = page.len() < want;
            from = page.last().map(|found| found.component.clone());
            for found in page {
                let part = found.component.strip_suffix('/').unwrap_or(&found.component);
                // A name that was both a file and a directory is listed once, as what sorts first.
                if part.len() != found.component.len() && self.store.has_versions(dirs, part)? {
                    continue;
                }
                let name = show(part, false, &self.below_root).into_owned();
                let what = What::Versions { dirs: Arc::clone(dirs), part: part.into() };
                let mut item = virtual_item(&name, FileKind::Directory, what);
                item.mark = found.component;
                items.push(item);
            }
            if end {
                break;
            }
        }
        Ok(items)
    }
}

fn virtual_item(name: &str, kind: FileKind, what: What) -> Item {
    Item { mark: name.to_owned(), name: name.to_owned(), shadowed: false, kind, target: Target::Virtual(what) }
}
