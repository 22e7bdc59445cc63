//! Extended attributes of nodes: which target they stand on, and the calls.

use super::Vfs;
use super::errno::{Errno, Fault, Outcome};
use super::node::{Node, NodeRef, What};
use super::session::Opened;
use super::xattr::{self, SetEffect, Target, XattrView};
use crate::model::{Error, Ino, Object};
use crate::store::again;

/// How `setxattr` treats a name that is there already, or is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct XattrFlags {
    /// It must be new.
    pub create: bool,
    /// It must exist.
    pub replace: bool,
}

impl Vfs {
    fn xattr_view(&self, trusted: bool) -> XattrView {
        XattrView { list: self.settings.xattr_list, trusted }
    }

    fn target(&self, node: &Node) -> Outcome<Target> {
        Ok(match &*node.what {
            What::Buckets(_) => Target::Root,
            What::Dir { dir, root, view } => {
                let directory = self.directory(*view, *dir)?;
                if *root {
                    Target::Bucket(self.store.bucket_by_id(directory.bucket)?, directory)
                } else {
                    Target::Dir(directory)
                }
            }
            What::File => {
                // Both as of one moment: what is published is pending no more.
                let slot = node.opened.lock();
                let mut entry = self.file(node)?;
                let mut pending = false;
                if let Some(opened) = slot.as_deref() {
                    pending = opened.is_dirty() || opened.has_published();
                    // What no longer fits is told when it is published.
                    let _ = opened.edits.put_over(&mut entry.object);
                }
                drop(slot);
                if entry.nlink == 0 {
                    // Only its handles see it: edits stay with the node.
                    pending = true;
                    entry.draft = false;
                }
                let places = node.places.lock();
                let named = self.names(&places, Ino(node.id)).next().transpose()?;
                let ended = places.last().and_then(|last| last.place.clone());
                let (dir, component) = named.or(ended).ok_or(Fault::Bare(Errno::ESTALE))?;
                Target::File { dir, component, entry, pending }
            }
            What::PastFile { dir, component, .. } => {
                Target::Version { dirs: vec![*dir], component: component.to_string(), object: self.fixed_object(node)? }
            }
            What::Version { dirs, component, .. } => Target::Version {
                dirs: dirs.to_vec(),
                component: component.to_string(),
                object: self.fixed_object(node)?,
            },
            What::History(_) | What::Versions { .. } | What::MarkerBody { .. } | What::Control(_) => {
                return Err(Errno::EOPNOTSUPP.into());
            }
        })
    }

    /// The value of an attribute.
    ///
    /// # Errors
    /// `ENODATA` when it is not set, `EOPNOTSUPP` for names never offered.
    pub fn getxattr(&self, id: u64, name: &[u8]) -> std::result::Result<Vec<u8>, Errno> {
        if xattr::refused(name).is_some() {
            return Err(Errno::EOPNOTSUPP);
        }
        let node = self.node(id)?;
        let get = || -> Outcome<Vec<u8>> { Ok(xattr::get(&self.store, &self.target(&node)?, name)?) };
        self.told("getxattr", || self.path(&node), again(get, Fault::is_replaced))
    }

    /// The names set on a node, each followed by NUL.
    ///
    /// # Errors
    /// What the store says.
    pub fn listxattr(&self, id: u64, trusted: bool) -> std::result::Result<Vec<u8>, Errno> {
        let node = self.node(id)?;
        if let What::History(_) | What::Versions { .. } | What::MarkerBody { .. } | What::Control(_) = *node.what {
            return Ok(Vec::new());
        }
        let list =
            || -> Outcome<Vec<u8>> { Ok(xattr::list(&self.store, &self.target(&node)?, &self.xattr_view(trusted))?) };
        self.told("listxattr", || self.path(&node), list())
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// As INTERFACE section 5 lists them.
    pub fn setxattr(&self, id: u64, name: &[u8], value: &[u8], flags: XattrFlags) -> std::result::Result<(), Errno> {
        if xattr::refused(name).is_some() {
            return Err(Errno::EOPNOTSUPP);
        }
        let node = self.node(id)?;
        let set = || {
            self.edit_xattr(&node, name, Some(value), |target| {
                xattr::set(&self.store, target, name, value, flags.create, flags.replace, &self.xattr_view(true))
            })
        };
        let _mine = self.mine(&node);
        self.told("setxattr", || self.path(&node), set())
    }

    /// Removes an attribute.
    ///
    /// # Errors
    /// `ENODATA` when it is not set, else as [`Vfs::setxattr`].
    pub fn removexattr(&self, id: u64, name: &[u8]) -> std::result::Result<(), Errno> {
        if xattr::refused(name).is_some() {
            return Err(Errno::EOPNOTSUPP);
        }
        let node = self.node(id)?;
        let remove = || {
            self.edit_xattr(&node, name, None, |target| {
                xattr::remove(&self.store, target, name, &self.xattr_view(true))
            })
        };
        let _mine = self.mine(&node);
        self.told("removexattr", || self.path(&node), remove())
    }

    fn edit_xattr(
        &self,
        node: &NodeRef,
        name: &[u8],
        value: Option<&[u8]>,
        edit: impl Fn(&Target) -> Result<SetEffect, Error>,
    ) -> Outcome<()> {
        self.writable()?;
        if let Some(error) = Self::unchangeable(node)
            && !(matches!(&*node.what, What::Version { .. }) && xattr::is_of_a_version(name))
        {
            return Err(error.into());
        }
        let target = self.target(node)?;
        let mut effect = edit(&target)?;
        if effect == SetEffect::Fold && !self.fold(node, name, value)? {
            effect = edit(&target.settled())?;
        }
        if let SetEffect::Rewritten(object) = effect {
            node.now_cached(object.content.0);
        }
        Ok(())
    }

    /// Sets an attribute of the version a session is writing: in place once it is published, else with what it publishes
    /// next. Whether there was such a version: another door may have put its own in its place, or the session is over.
    fn fold(&self, node: &Node, name: &[u8], value: Option<&[u8]>) -> Outcome<bool> {
        let Some(ino) = node.ino() else { return Err(Errno::EINVAL.into()) };
        let mut slot = node.opened.lock();
        let file = self.file(node)?;
        if let Some(opened) = slot.as_deref_mut()
            && !file.draft
            && (opened.is_dirty() || file.nlink == 0 && !opened.has_published())
        {
            opened.edits.note(name, value);
            opened.ctime = Some(self.store.now());
            return Ok(true);
        }
        let session = slot.as_deref().and_then(Opened::published);
        let edit = |object: &mut Object| -> Result<(), Error> {
            match value {
                Some(value) => xattr::apply(object, name, value)?,
                None => xattr::withdraw(object, name)?,
            };
            Ok(())
        };
        let mut places = node.places.lock();
        match self.under_a_name(&places, ino, |at| self.store.edit_own(at, ino, session, edit))? {
            Some((_, Some(object))) => places.now_seen(object),
            Some((_, None)) => return Ok(false),
            None => edit(&mut places.nameless().ok_or(Fault::Bare(Errno::ESTALE))?.object)?,
        }
        Ok(true)
    }
}
