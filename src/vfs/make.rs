//! `mkdir`, `mknod`, `symlink`, `link`, `unlink`, `rmdir`.

use super::errno::{Errno, Fault, Outcome};
use super::lookup::{Caller, Lookup};
use super::node::{NodeRef, View, What};
use super::tree::Found;
use super::{Attr, Vfs};
use crate::model::{BucketName, DirId, Error, FileKind, Kind, Posix};
use crate::store::{Directory, Entry, PosixChange, Session};

/// What `mknod` makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MakeNode {
    /// A file, fifo, socket, device or symbolic link.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u16,
    /// Device number of a device.
    pub rdev: u32,
    /// Target of a symbolic link.
    pub target: Vec<u8>,
}

impl Vfs {
    /// Makes a directory; at the top of a whole store, a bucket.
    ///
    /// # Errors
    /// `EEXIST`, `EINVAL` for a bad bucket name, `EROFS`, or what the store says.
    pub fn mkdir(&self, caller: Caller, parent: u64, name: &[u8], mode: u16) -> std::result::Result<Lookup, Errno> {
        let node = self.node(parent)?;
        let _mine = self.mine(&node);
        self.told("mkdir", || self.path_in(&node, name), self.mkdir_in(caller, &node, name, mode))
    }

    fn mkdir_in(&self, caller: Caller, parent: &NodeRef, name: &[u8], mode: u16) -> Outcome<Lookup> {
        if let What::Control(_) = *parent.what {
            return Err(Errno::EPERM.into());
        }
        self.writable()?;
        if *parent.what == What::Buckets(View::Live) {
            let name = BucketName::parse(&String::from_utf8_lossy(name))?;
            let posix = Posix::new(FileKind::Directory, mode, caller.uid, caller.gid, self.store.now());
            let bucket = self.store.create_bucket(&name, &posix)?;
            return Ok(self.dir_lookup(View::Live, bucket.root, true)?);
        }
        let (dir, root) = Self::live_dir(parent)?;
        let component = self.new_component(dir, root, name, true)?;
        let posix = self.new_posix(caller, dir, FileKind::Directory, mode)?;
        let made = self.store.make_dir(dir, &component, &posix)?;
        Ok(self.arrive(View::Live, dir, &component, &Entry::Dir(made))?)
    }

    /// Makes a file without opening it, a special file or a symbolic link.
    ///
    /// # Errors
    /// `EEXIST`, `EROFS`, or what the store says.
    pub fn mknod(
        &self,
        caller: Caller,
        parent: u64,
        name: &[u8],
        make: MakeNode,
    ) -> std::result::Result<Lookup, Errno> {
        let node = self.node(parent)?;
        let _mine = self.mine(&node);
        self.told("mknod", || self.path_in(&node, name), self.mknod_in(caller, &node, name, make))
    }

    fn mknod_in(&self, caller: Caller, parent: &NodeRef, name: &[u8], make: MakeNode) -> Outcome<Lookup> {
        self.writable()?;
        let (dir, root) = Self::live_dir(parent)?;
        let component = self.new_component(dir, root, name, false)?;
        let mut posix = self.new_posix(caller, dir, make.kind, make.mode)?;
        posix.rdev = make.rdev;
        posix.target = make.target;
        if make.kind != FileKind::File {
            let file = self.store.make_node(dir, &component, &posix)?;
            return Ok(self.arrive(View::Live, dir, &component, &Entry::File(file))?);
        }
        let file = self.store.create_draft(dir, &component, &posix)?;
        let mut draft = self.store.draft(None)?;
        let mut session = Session::new();
        let at = (dir, component.as_str());
        self.store.publish(at, file.object.ino, &mut draft, &mut session, &PosixChange::default())?;
        self.store.seal(session)?;
        let entry = self.store.lookup(dir, &component)?.ok_or(Fault::Bare(Errno::ENOENT))?;
        Ok(self.arrive(View::Live, dir, &component, &entry)?)
    }

    /// Gives a file one more name.
    ///
    /// # Errors
    /// `EXDEV` across buckets, `EPERM` for what is not a present file, or what the store says.
    pub fn link(&self, id: u64, parent: u64, name: &[u8]) -> std::result::Result<Lookup, Errno> {
        let node = self.node(id)?;
        let above = self.node(parent)?;
        let _mine = self.mine(&node);
        self.told("link", || self.path_in(&above, name), self.link_in(&node, &above, name))
    }

    fn link_in(&self, node: &NodeRef, parent: &NodeRef, name: &[u8]) -> Outcome<Lookup> {
        self.writable()?;
        let (dir, root) = Self::live_dir(parent)?;
        let Some(ino) = node.ino() else { return Err(Errno::EPERM.into()) };
        let component = self.new_component(dir, root, name, false)?;
        let mut places = node.places.lock();
        let mut failed = Fault::Bare(Errno::ENOENT);
        let names: Vec<_> = self.names(&places, ino).collect::<Result<_, _>>()?;
        for (from, known) in names {
            match self.store.link(ino, (from, &known), (dir, &component)) {
                Ok(file) => {
                    places.add(dir, &component);
                    drop(places);
                    return Ok(self.arrive(View::Live, dir, &component, &Entry::File(file))?);
                }
                Err(error) if error.kind() == Kind::NoSuchKey => failed = error.into(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(failed)
    }

    /// Removes a name that is not a directory; in history, a version for good.
    ///
    /// # Errors
    /// `EISDIR`, `EPERM` for a locked version, or what the store says.
    pub fn unlink(&self, parent: u64, name: &[u8]) -> std::result::Result<(), Errno> {
        let node = self.node(parent)?;
        let _mine = self.mine(&node);
        self.told("unlink", || self.path_in(&node, name), self.unlink_in(&node, name))
    }

    fn unlink_in(&self, parent: &NodeRef, name: &[u8]) -> Outcome<()> {
        if let What::Control(_) = *parent.what {
            return self.unlink_control(parent, name);
        }
        self.writable()?;
        if let What::Versions { dirs, part } = &*parent.what {
            return self.purge(dirs, part, name);
        }
        let (dir, root) = Self::live_dir(parent)?;
        match self.find(View::Live, dir, root, name)? {
            None => Err(Errno::ENOENT.into()),
            Some(Found::Entry(_, Entry::Dir(_)) | Found::Versions | Found::Control) => Err(Errno::EISDIR.into()),
            // The directory stays, and its marker without bytes: `rm -r` goes on to remove them.
            Some(Found::MarkerBody) => Ok(self.store.empty_marker(dir)?),
            Some(Found::Entry(component, Entry::File(file))) => {
                let ino = file.object.ino;
                let node = self.nodes.held(ino.0, What::File);
                let mut places = node.places.lock();
                let ended = self.at_its_end((dir, &component), &file)?;
                let removed = self.store.remove(dir, &component)?;
                places.remove(dir, &component, Some(ended).filter(|_| removed.nlink == 0));
                drop(places);
                self.settle(dir);
                Ok(())
            }
        }
    }

    /// Removes an empty directory; at the top of a whole store, a bucket.
    ///
    /// # Errors
    /// `ENOTEMPTY`, also for a bucket that holds only versions or markers (BKT-12), or what the store says.
    pub fn rmdir(&self, parent: u64, name: &[u8]) -> std::result::Result<(), Errno> {
        let node = self.node(parent)?;
        let _mine = self.mine(&node);
        self.told("rmdir", || self.path_in(&node, name), self.rmdir_in(&node, name))
    }

    fn rmdir_in(&self, parent: &NodeRef, name: &[u8]) -> Outcome<()> {
        if let What::Control(_) = *parent.what {
            return Err(Errno::EPERM.into());
        }
        self.writable()?;
        if *parent.what == What::Buckets(View::Live) {
            let name = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
            if self.settings.reserved.control_dir() == Some(name) {
                return Err(Errno::EPERM.into());
            }
            return Ok(self.store.delete_bucket(name)?);
        }
        let (dir, root) = Self::live_dir(parent)?;
        match self.find(View::Live, dir, root, name)? {
            None => Err(Errno::ENOENT.into()),
            Some(Found::Entry(component, Entry::Dir(directory))) => {
                let number = self.dir_number(directory.id, false, View::Live);
                let node = self.nodes.get(number);
                let places = node.as_ref().map(|node| node.places.lock());
                self.store.remove_dir(dir, &component)?;
                if let Some(mut places) = places {
                    places.set_removed(removed_dir(number, &directory));
                }
                // KEY-8: an object that was shadowed has its name back.
                self.unshadowed(dir, &component)?;
                self.settle(dir);
                Ok(())
            }
            Some(Found::Entry(..) | Found::MarkerBody) => Err(Errno::ENOTDIR.into()),
            Some(Found::Versions | Found::Control) => Err(Errno::EPERM.into()),
        }
    }

    fn unshadowed(&self, dir: DirId, component: &str) -> Result<(), Error> {
        let part = component.strip_suffix('/').unwrap_or(component);
        if !part.is_empty() && self.store.lookup(dir, part)?.is_some() {
            self.name_is_stale(dir, part);
        }
        Ok(())
    }
}

/// What `fstat` tells of a directory that was removed.
pub(super) fn removed_dir(number: u64, directory: &Directory) -> Attr {
    Attr { nlink: 0, ..Attr::of_dir(number, directory) }
}
