//! Target for the file view: any calls of the kernel's with any names, values and numbers. Whatever was asked for, the store
//! stays sound, and what a directory lists is there and could be a name.

use super::store::{SOUND, options};
use super::{cut, number};
use keyfold::model::{FileKind, Timestamp};
use keyfold::store::Store;
use keyfold::telemetry::Metrics;
use keyfold::vfs::spelling::NAME_BYTES_MAX;
use keyfold::vfs::{Caller, Errno, MakeNode, OpenHow, ROOT, RenameHow, SetAttr, Settings, Vfs, Whence, XattrFlags};
use std::sync::Arc;

/// A call: which, on which of the nodes met so far and which other, a number, a name and a value.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub kind: u8,
    pub node: u8,
    pub other: u8,
    pub number: u64,
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

const ME: Caller = Caller { uid: 1000, gid: 100 };
const HOW: OpenHow =
    OpenHow { read: true, write: true, append: false, truncate: false, sync: false, exclusive: false, exec: false };
/// Kinds of calls.
const KINDS: u8 = 24;
/// Calls of one input, nodes remembered, entries looked at of a directory.
const CALLS_MAX: usize = 100;
const NODES_MAX: usize = 64;
const ENTRIES_MAX: usize = 100;
/// Bytes that a file is made longer by writing.
const FILE_MAX: u64 = 1 << 50;

/// What bytes say is called.
fn calls(mut data: &[u8]) -> Vec<Call> {
    let mut out = Vec::new();
    while let [kind, node, other, name, value, rest @ ..] = data {
        data = rest;
        let number = number(&mut data, 8);
        let name = cut(&mut data, usize::from(*name)).to_vec();
        let value = cut(&mut data, usize::from(*value)).to_vec();
        out.push(Call { kind: *kind, node: *node, other: *other, number, name, value });
    }
    out.truncate(CALLS_MAX);
    out
}

/// The bytes that say that; of longer names and values the beginning.
pub fn calls_as_bytes(calls: &[Call]) -> Vec<u8> {
    let mut out = Vec::new();
    for Call { kind, node, other, number, name, value } in calls {
        let (name, value) = (&name[..name.len().min(255)], &value[..value.len().min(255)]);
        out.extend([*kind, *node, *other, name.len() as u8, value.len() as u8]);
        out.extend(number.to_le_bytes());
        out.extend(name);
        out.extend(value);
    }
    out
}

/// Whether the kernel would hand it on as a name.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

/// Refused or done, both are right.
fn done<T>(_: &Result<T, Errno>) {}

struct Kernel {
    vfs: Arc<Vfs>,
    nodes: Vec<u64>,
    handles: Vec<u64>,
}

/// Any bytes as calls, on a mount of all buckets.
pub fn view(data: &[u8]) {
    let disk = SOUND.crash(0);
    // The view looks at the directory, which must be a real one.
    let store = Store::open_simulated(Arc::new(disk), &std::env::temp_dir(), options()).expect("a sound store opens");
    let vfs = Vfs::new(Arc::clone(&store), Arc::new(Metrics::new()), Settings::default()).expect("a view of it");
    let mut kernel = Kernel { vfs, nodes: vec![ROOT], handles: Vec::new() };
    for name in [&b"plain"[..], b"versioned"] {
        kernel.find(ROOT, name);
    }
    for call in calls(data) {
        kernel.call(&call);
    }
    for handle in std::mem::take(&mut kernel.handles) {
        let _ = kernel.vfs.flush(handle);
        kernel.vfs.release(handle);
    }
    kernel.vfs.publish_all();
    for node in kernel.nodes.clone() {
        kernel.list(node, 0);
    }
    drop(kernel);
    store.sync().expect("a disk in memory");
    while store.reap().expect("a disk in memory") {}
    let found = store.fsck(&mut |_| {}).expect("a disk in memory");
    assert!(found.is_empty(), "{found:#?}");
    store.close().expect("a disk in memory");
}

impl Kernel {
    fn node(&self, number: u8) -> u64 {
        self.nodes[usize::from(number) % self.nodes.len()]
    }

    fn handle(&self, number: u8) -> u64 {
        self.handles.get(usize::from(number) % self.handles.len().max(1)).copied().unwrap_or(u64::from(number))
    }

    fn know(&mut self, node: u64) {
        if self.nodes.len() < NODES_MAX {
            self.nodes.push(node);
        }
    }

    fn find(&mut self, node: u64, name: &[u8]) {
        if let Ok(Some(found)) = self.vfs.lookup(node, name) {
            self.know(found.node);
        }
    }

    fn call(&mut self, call: &Call) {
        let Call { kind, number, name, value, .. } = call;
        let (node, other, handle) = (self.node(call.node), self.node(call.other), self.handle(call.other));
        let named = match kind % KINDS {
            0 | 1 | 3 | 10 | 11 | 13 => is_name(name),
            2 => is_name(name) && !value.is_empty() && !value.contains(&0),
            12 => is_name(name) && is_name(value),
            14..=16 => !name.is_empty() && !name.contains(&0),
            _ => true,
        };
        if !named {
            return;
        }
        let vfs = Arc::clone(&self.vfs);
        let flags = XattrFlags { create: number & 1 != 0, replace: number & 2 != 0 };
        match kind % KINDS {
            0 => self.find(node, name),
            1 => vfs.mkdir(ME, node, name, *number as u16 & 0o7777).into_iter().for_each(|made| self.know(made.node)),
            2 => {
                const MADE: &[FileKind] = &[FileKind::File, FileKind::Fifo, FileKind::Symlink, FileKind::CharDevice];
                let kind = MADE[*number as usize % MADE.len()];
                let make = MakeNode { kind, mode: 0o640, rdev: *number as u32, target: value.clone() };
                vfs.mknod(ME, node, name, make).into_iter().for_each(|made| self.know(made.node));
            }
            3 => {
                if let Ok((found, opening)) = vfs.create(ME, node, name, 0o644, HOW) {
                    self.know(found.node);
                    self.handles.push(opening.fh);
                    let _ = vfs.write(opening.fh, 0, value, false);
                }
            }
            4 => {
                let how = OpenHow { write: number & 1 != 0, append: number & 2 != 0, truncate: number & 4 != 0, ..HOW };
                vfs.open(ME, node, how).into_iter().for_each(|opening| self.handles.push(opening.fh));
            }
            5 => done(&vfs.write(handle, number % FILE_MAX, value, true)),
            6 => drop(vfs.read(handle, *number, &mut [0; 5000])),
            7 => done(&vfs.flush(handle)),
            8 => done(&vfs.fsync(handle)),
            9 => {
                self.handles.retain(|known| *known != handle);
                vfs.release(handle);
            }
            10 => done(&vfs.unlink(node, name)),
            11 => done(&vfs.rmdir(node, name)),
            12 => {
                let how = [RenameHow::Replace, RenameHow::NoReplace, RenameHow::Exchange][*number as usize % 3];
                done(&vfs.rename((node, name), (other, value), how));
            }
            13 => vfs.link(node, other, name).into_iter().for_each(|made| self.know(made.node)),
            14 => done(&vfs.setxattr(node, name, value, flags)),
            15 => done(&vfs.removexattr(node, name)),
            16 => done(&vfs.getxattr(node, name)),
            17 => {
                for name in vfs.listxattr(node, true).unwrap_or_default().split(|byte| *byte == 0) {
                    let _ = vfs.getxattr(node, name);
                }
            }
            18 => self.list(node, *number),
            19 => {
                let time = Timestamp::new(number.cast_signed(), value.len() as u32);
                let set = |bit: u64| number & bit != 0;
                let change = SetAttr {
                    mode: set(1).then_some(*number as u16 & 0o7777),
                    uid: set(2).then_some(ME.uid),
                    gid: set(4).then_some(ME.gid),
                    size: set(8).then_some(number % FILE_MAX),
                    atime: set(16).then_some(time),
                    mtime: set(32).then_some(time),
                };
                done(&vfs.setattr(ME, node, Some(handle).filter(|_| set(64)), change));
            }
            20 => done(&vfs.fallocate(ME, handle, number % FILE_MAX, value.len() as u64, i32::from(call.node))),
            21 => {
                let from = (self.handle(call.node), number % FILE_MAX);
                done(&vfs.copy_file_range(ME, from, (handle, value.len() as u64), number >> 40));
            }
            22 => {
                let whence = if call.node.is_multiple_of(2) { Whence::Data } else { Whence::Hole };
                done(&vfs.lseek(handle, *number, whence));
            }
            _ => {
                done(&vfs.getattr(node));
                done(&vfs.readlink(node));
                done(&vfs.statfs(node));
            }
        }
    }

    /// Reads a directory from a position on; what it lists from its beginning is there.
    fn list(&mut self, node: u64, from: u64) {
        let Ok(stream) = self.vfs.opendir(node) else { return };
        let mut names = Vec::new();
        let told = self.vfs.readdir(stream, from, |entry| {
            names.push(entry.name.clone());
            names.len() < ENTRIES_MAX
        });
        self.vfs.releasedir(stream);
        for name in names.iter().filter(|name| *name != "." && *name != "..") {
            assert!(
                !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(['/', '\0']),
                "{name:?} is listed"
            );
            if from == 0 && told.is_ok() {
                let found = self.vfs.lookup(node, name.as_bytes());
                assert!(matches!(found, Ok(Some(_))), "{name:?} is listed, and looking it up is {found:?}");
            }
        }
    }
}
