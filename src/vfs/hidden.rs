//! `.keyfold` as nodes: the control files of a bucket and of the mount's root, and the views of the past below `at`.

use super::control::{ControlNode, Writer};
use super::errno::{Errno, Fault, Outcome};
use super::handle::Open;
use super::lookup::{Keep, Lookup};
use super::node::{Node, NodeRef, View, What, virtual_number};
use super::open::{OpenHow, Opening};
use super::setattr::SetAttr;
use super::{Attr, Vfs};
use crate::model::{DirId, FileKind, Posix, Result};
use crate::sys::sync::Mutex;
use std::sync::Arc;

/// An open control file.
pub(super) enum ControlFile {
    /// Its text when it was opened.
    Text(Arc<Vec<u8>>),
    /// A file that grows: each read asks anew.
    Live(ControlNode),
    /// Open for writing.
    Writer(Writer),
}

fn control(node: &Node) -> Outcome<&ControlNode> {
    match &*node.what {
        What::Control(control) => Ok(control),
        _ => Err(Errno::ENOTDIR.into()),
    }
}

fn text(name: &[u8]) -> Outcome<&str> {
    std::str::from_utf8(name).map_err(|_| Fault::Bare(Errno::EILSEQ))
}

impl Vfs {
    /// The control directory of a bucket's root directory.
    pub(super) fn control_of(&self, dir: DirId) -> Result<What> {
        Ok(What::Control(ControlNode::BucketDir(self.store.directory(dir)?.bucket)))
    }

    /// Looks a name up below the control directory.
    pub(super) fn look_in_control(&self, dir: &ControlNode, name: &[u8]) -> Outcome<Option<Lookup>> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        match self.control.lookup(dir, name)? {
            None => Ok(None),
            Some(ControlNode::AtTime(bucket, at)) => {
                let root = self.store.bucket_by_id(bucket)?.root;
                Ok(Some(self.dir_lookup(View::Past(at), root, true)?))
            }
            Some(found) => self.virtual_lookup(What::Control(found)).map(Some),
        }
    }

    /// Attributes of a control file or directory.
    pub(super) fn control_attr(&self, node: &Node) -> Outcome<Attr> {
        let known = self.control.attr(control(node)?)?;
        let posix = Posix::new(known.kind, known.mode, self.owner.0, self.owner.1, known.modified);
        let attr = Attr::of(node.id, &posix);
        Ok(match known.kind {
            FileKind::Directory => Attr { nlink: 2, ..attr },
            _ => Attr { size: known.size, blocks: super::attr::blocks(known.size), ..attr },
        })
    }

    /// Entries of a control directory.
    pub(super) fn control_items(&self, dir: &ControlNode) -> Outcome<Vec<(String, FileKind, What)>> {
        let entries = self.control.list(dir)?;
        Ok(entries.into_iter().map(|(name, node)| (name, node.kind(), What::Control(node))).collect())
    }

    /// Opens a control file.
    pub(super) fn open_control(&self, node: &NodeRef, how: OpenHow) -> Outcome<Opening> {
        let what = control(node)?;
        if what.kind() == FileKind::Directory {
            return Err(Errno::EISDIR.into());
        }
        let file = if how.write {
            let keep = !how.truncate && (how.read || how.append);
            ControlFile::Writer(self.control.write(what, keep)?)
        } else if what.is_live() {
            ControlFile::Live(what.clone())
        } else {
            ControlFile::Text(self.control.text(what)?)
        };
        let fh = self.handles.add(NodeRef::clone(node), Open::Control(Mutex::new(file)));
        // Sizes are not known beforehand and contents change by themselves: the kernel keeps no pages.
        Ok(Opening { fh, keep_cache: false, direct: true, no_flush: !how.write, lasting: false })
    }

    /// Makes a control file and opens it.
    pub(super) fn create_control(&self, parent: &Node, name: &[u8], how: OpenHow) -> Outcome<(Lookup, Opening)> {
        self.writable()?;
        let made = What::Control(self.control.create(control(parent)?, text(name)?)?);
        let node = self.nodes.hold(virtual_number(&made), made);
        let opened = self.open_control(&node, OpenHow { truncate: true, ..how }).map(|opening| {
            // A document that has no text yet is nowhere, and yet it is open.
            let posix = Posix::new(FileKind::File, 0o644, self.owner.0, self.owner.1, self.store.now());
            let attr = self.masked(Attr::of(node.id, &posix));
            (Lookup { node: node.id, attr, name_keep: Keep::Never, attr_keep: Keep::Never }, opening)
        });
        if opened.is_err() {
            self.nodes.forget(node.id, 1);
        }
        opened
    }

    /// Reads an open control file.
    pub(super) fn read_control(&self, file: &mut ControlFile, at: u64, len: usize) -> Outcome<Vec<u8>> {
        Ok(match file {
            ControlFile::Text(text) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
                text[from..from.saturating_add(len).min(text.len())].to_vec()
            }
            ControlFile::Live(node) => self.control.read(node, at, len)?,
            ControlFile::Writer(writer) => writer.read_at(at, len),
        })
    }

    /// Writes an open control file.
    pub(super) fn write_control(file: &mut ControlFile, at: u64, data: &[u8]) -> Outcome<()> {
        match file {
            ControlFile::Writer(writer) => Ok(writer.write_at(at, data)?),
            ControlFile::Text(_) | ControlFile::Live(_) => Err(Errno::EBADF.into()),
        }
    }

    /// A document that is whole takes effect.
    pub(super) fn flush_control(file: &mut ControlFile) -> Outcome<()> {
        match file {
            ControlFile::Writer(writer) => Ok(writer.flush()?),
            ControlFile::Text(_) | ControlFile::Live(_) => Ok(()),
        }
    }

    /// Cuts an open control file; other attributes are taken and left as they are, so that editors and `cp -p` go on.
    pub(super) fn set_control_attr(&self, node: &NodeRef, fh: Option<u64>, change: SetAttr) -> Outcome<Attr> {
        self.writable()?;
        if let Some(size) = change.size {
            let handle = fh.map(|fh| self.handles.get(fh)).transpose()?;
            match handle.as_ref().map(|handle| &handle.open) {
                Some(Open::Control(file)) => match &mut *file.lock() {
                    ControlFile::Writer(writer) => writer.truncate(size)?,
                    ControlFile::Text(_) | ControlFile::Live(_) => return Err(Errno::EINVAL.into()),
                },
                // truncate(2) of a path before it is written anew: the document stays until a valid one is there.
                _ if control(node)?.document().is_some() => {}
                _ => self.control.write(control(node)?, true)?.truncate(size)?,
            }
        }
        let attr = self.control_attr(node).or_else(|fault| match fault {
            // Being made: not there yet.
            Fault::Store(error) if error.kind() == crate::model::Kind::NotSet => {
                let posix = Posix::new(FileKind::File, 0o644, self.owner.0, self.owner.1, self.store.now());
                Ok(Attr::of(node.id, &posix))
            }
            fault => Err(fault),
        })?;
        Ok(self.masked(attr))
    }

    /// Removes a control file: a document is unset.
    pub(super) fn unlink_control(&self, parent: &Node, name: &[u8]) -> Outcome<()> {
        self.writable()?;
        Ok(self.control.remove(control(parent)?, text(name)?)?)
    }

    /// Renames within a control directory, as editors do.
    pub(super) fn rename_control(&self, from: (&NodeRef, &[u8]), to: (&NodeRef, &[u8])) -> Outcome<()> {
        self.writable()?;
        if *from.0.what != *to.0.what {
            return Err(Errno::EXDEV.into());
        }
        Ok(self.control.rename(control(from.0)?, text(from.1)?, text(to.1)?)?)
    }
}
