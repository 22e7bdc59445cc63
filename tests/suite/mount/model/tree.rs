//! A tree of files in memory, small enough to be seen to be right; its errors are Linux's.

use super::Op;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

type Id = usize;

#[derive(Debug)]
enum Node {
    Dir(BTreeMap<String, Id>),
    File(Vec<u8>),
    Link,
}

/// All nodes that ever were; the first is the root.
#[derive(Debug)]
pub struct Tree(Vec<Node>);

impl Default for Tree {
    fn default() -> Self {
        Self(vec![Node::Dir(BTreeMap::new())])
    }
}

type Outcome<T = ()> = Result<T, Errno>;

impl Tree {
    fn dir(&self, id: Id) -> Outcome<&BTreeMap<String, Id>> {
        match &self.0[id] {
            Node::Dir(entries) => Ok(entries),
            Node::File(_) => Err(Errno::ENOTDIR),
            // It leads nowhere.
            Node::Link => Err(Errno::ENOENT),
        }
    }

    /// The directories on the way, and what has the last name there.
    fn walk(&self, at: &[String]) -> Outcome<(Vec<Id>, Option<Id>)> {
        let (last, above) = at.split_last().ok_or(Errno::EINVAL)?;
        let mut way = vec![0];
        for name in above {
            let next = *self.dir(way[way.len() - 1])?.get(name).ok_or(Errno::ENOENT)?;
            self.dir(next)?;
            way.push(next);
        }
        let found = self.dir(way[way.len() - 1])?.get(last).copied();
        Ok((way, found))
    }

    fn set(&mut self, at: &[String], way: &[Id], id: Option<Id>) {
        let Node::Dir(entries) = &mut self.0[way[way.len() - 1]] else { return };
        match id {
            Some(id) => entries.insert(at[at.len() - 1].clone(), id),
            None => entries.remove(&at[at.len() - 1]),
        };
    }

    fn make(&mut self, at: &[String], node: Node) -> Outcome {
        let (way, found) = self.walk(at)?;
        if found.is_some() {
            return Err(Errno::EEXIST);
        }
        self.0.push(node);
        self.set(at, &way, Some(self.0.len() - 1));
        Ok(())
    }

    fn file(&mut self, at: &[String], create: bool) -> Outcome<&mut Vec<u8>> {
        let (_, mut found) = self.walk(at)?;
        if create && found.is_none() {
            self.make(at, Node::File(vec![]))?;
            found = Some(self.0.len() - 1);
        }
        match &mut self.0[found.ok_or(Errno::ENOENT)?] {
            Node::File(bytes) => Ok(bytes),
            Node::Dir(_) => Err(Errno::EISDIR),
            Node::Link => Err(Errno::ELOOP),
        }
    }

    /// The step in memory.
    pub fn apply(&mut self, op: &Op) -> Outcome {
        let body = |seed: &u64, len: &usize| super::super::pattern(*seed, *len);
        match op {
            Op::Create(at, seed, len) => *self.file(at, true)? = body(seed, len),
            Op::Write(at, from, seed, len) => {
                let bytes = self.file(at, false)?;
                if *len > 0 {
                    bytes.resize(bytes.len().max(from + len), 0);
                    bytes[*from..from + len].copy_from_slice(&body(seed, len));
                }
            }
            Op::Append(at, seed, len) => self.file(at, false)?.extend(body(seed, len)),
            Op::Truncate(at, len) => self.file(at, false)?.resize(*len, 0),
            Op::Copy(from, to) => {
                let (_, source) = self.walk(from)?;
                let bytes = self.file(from, false)?.clone();
                let target = self.file(to, true)?;
                *target = bytes;
                // Onto itself: it was emptied before it was read.
                if self.walk(to)?.1 == source {
                    self.file(to, false)?.clear();
                }
            }
            Op::Rename(from, to) => self.rename(from, to)?,
            Op::Link(from, to) => {
                let id = self.walk(from)?.1.ok_or(Errno::ENOENT)?;
                let (way, found) = self.walk(to)?;
                match (&self.0[id], found) {
                    (_, Some(_)) => return Err(Errno::EEXIST),
                    (Node::Dir(_), _) => return Err(Errno::EPERM),
                    _ => self.set(to, &way, Some(id)),
                }
            }
            Op::Symlink(at) => self.make(at, Node::Link)?,
            Op::Mkdir(at) => self.make(at, Node::Dir(BTreeMap::new()))?,
            Op::Unlink(at) => {
                let (way, found) = self.walk(at)?;
                if let Node::Dir(_) = self.0[found.ok_or(Errno::ENOENT)?] {
                    return Err(Errno::EISDIR);
                }
                self.set(at, &way, None);
            }
            Op::Rmdir(at) => {
                let (way, found) = self.walk(at)?;
                match &self.0[found.ok_or(Errno::ENOENT)?] {
                    Node::Dir(entries) if entries.is_empty() => self.set(at, &way, None),
                    Node::Dir(_) => return Err(Errno::ENOTEMPTY),
                    Node::File(_) | Node::Link => return Err(Errno::ENOTDIR),
                }
            }
            Op::Remount | Op::Crash => {}
        }
        Ok(())
    }

    fn rename(&mut self, from: &[String], to: &[String]) -> Outcome {
        let (way, moved) = self.walk(from)?;
        let (target_way, replaced) = self.walk(to)?;
        let moved = moved.ok_or(Errno::ENOENT)?;
        if target_way.contains(&moved) {
            return Err(Errno::EINVAL);
        }
        if let Some(replaced) = replaced {
            if way.contains(&replaced) {
                return Err(Errno::ENOTEMPTY);
            }
            if replaced == moved {
                return Ok(());
            }
            match (&self.0[moved], &self.0[replaced]) {
                (Node::Dir(_), Node::Dir(entries)) if !entries.is_empty() => return Err(Errno::ENOTEMPTY),
                (Node::Dir(_), Node::Dir(_)) => {}
                (Node::Dir(_), _) => return Err(Errno::ENOTDIR),
                (_, Node::Dir(_)) => return Err(Errno::EISDIR),
                _ => {}
            }
        }
        self.set(from, &way, None);
        self.set(to, &target_way, Some(moved));
        Ok(())
    }

    fn links(&self, id: Id) -> u64 {
        let entries = self.0.iter().enumerate().filter_map(|(dir, node)| match node {
            Node::Dir(entries) if dir == 0 || self.is_there(dir) => Some(entries),
            _ => None,
        });
        entries.flat_map(BTreeMap::values).filter(|entry| **entry == id).count() as u64
    }

    fn is_there(&self, id: Id) -> bool {
        self.0.iter().any(|node| matches!(node, Node::Dir(entries) if entries.values().any(|entry| *entry == id)))
    }

    /// What is different on the disk.
    pub fn compare(&self, root: &Path) -> Result<(), String> {
        self.compare_dir(0, root)
    }

    fn compare_dir(&self, id: Id, path: &Path) -> Result<(), String> {
        let Node::Dir(entries) = &self.0[id] else { return Ok(()) };
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let mut names = vec![];
        for entry in fs::read_dir(path).map_err(|error| failed(path, error))? {
            names.push(entry.map_err(|error| failed(path, error))?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        if !names.iter().eq(entries.keys()) {
            return Err(format!("{} holds {names:?}, not {:?}", path.display(), entries.keys()));
        }
        for (name, id) in entries {
            let path = path.join(name);
            let meta = fs::symlink_metadata(&path).map_err(|error| failed(&path, error))?;
            match &self.0[*id] {
                Node::Dir(_) if meta.is_dir() => self.compare_dir(*id, &path)?,
                Node::Link if meta.is_symlink() => {}
                Node::File(bytes) if meta.is_file() => {
                    let found = fs::read(&path).map_err(|error| failed(&path, error))?;
                    if meta.len() != bytes.len() as u64 || found != *bytes {
                        let at = found.iter().zip(bytes).position(|(found, want)| found != want);
                        let (told, read, want) = (meta.len(), found.len(), bytes.len());
                        return Err(format!(
                            "{}: {told} bytes told, {read} read, {want} wanted, first difference at {at:?}",
                            path.display()
                        ));
                    }
                    if meta.nlink() != self.links(*id) {
                        return Err(format!("{}: {} links, not {}", path.display(), meta.nlink(), self.links(*id)));
                    }
                }
                node => return Err(format!("{}: {:?}, not {node:?}", path.display(), meta.file_type())),
            }
        }
        Ok(())
    }
}
