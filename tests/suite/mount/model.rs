//! Random operations on a mount and on a tree in memory, compared whole after every step.

mod tree;

use self::tree::Tree;
use super::{Mounted, long};
use nix::errno::Errno;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

type At = Vec<String>;

/// One step. Bytes are what `pattern` makes of the seed.
#[derive(Clone, Debug)]
pub enum Op {
    Create(At, u64, usize),
    Write(At, usize, u64, usize),
    Append(At, u64, usize),
    Truncate(At, usize),
    Copy(At, At),
    Rename(At, At),
    Link(At, At),
    Symlink(At),
    Unlink(At),
    Mkdir(At),
    Rmdir(At),
    Remount,
    /// Everything is synced, then the process killed.
    Crash,
}

fn path() -> impl Strategy<Value = At> {
    prop_oneof![4 => vec("[a-c]{1,2}", 1..2), 4 => vec("[a-c]", 2..3), 1 => vec("[ab]", 3..4)]
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![0..20_usize, 4090..4100_usize, 65_530..65_540_usize, 0..300_000_usize]
}

fn op() -> impl Strategy<Value = Op> {
    let seed = 1..1_000_000_u64;
    prop_oneof![
        6 => (path(), seed.clone(), len()).prop_map(|(at, seed, len)| Op::Create(at, seed, len)),
        4 => (path(), len(), seed.clone(), len()).prop_map(|(at, from, seed, len)| Op::Write(at, from, seed, len)),
        2 => (path(), seed, len()).prop_map(|(at, seed, len)| Op::Append(at, seed, len)),
        2 => (path(), len()).prop_map(|(at, len)| Op::Truncate(at, len)),
        2 => (path(), path()).prop_map(|(from, to)| Op::Copy(from, to)),
        6 => (path(), path()).prop_map(|(from, to)| Op::Rename(from, to)),
        3 => (path(), path()).prop_map(|(from, to)| Op::Link(from, to)),
        1 => path().prop_map(Op::Symlink),
        3 => path().prop_map(Op::Unlink),
        6 => path().prop_map(Op::Mkdir),
        2 => path().prop_map(Op::Rmdir),
        1 => Just(Op::Remount),
        1 => Just(Op::Crash),
    ]
}

fn below(root: &Path, at: &At) -> PathBuf {
    at.iter().fold(root.to_owned(), |path, name| path.join(name))
}

/// Opens for writing, through no symbolic link.
fn open() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(nix::libc::O_NOFOLLOW);
    options
}

/// The step on the mount.
fn real(root: &Path, op: &Op) -> io::Result<()> {
    let at = |at: &At| below(root, at);
    match op {
        Op::Create(path, seed, len) => {
            let mut file = open().create(true).truncate(true).open(at(path))?;
            file.write_all(&super::pattern(*seed, *len))
        }
        Op::Write(path, from, seed, len) => {
            open().open(at(path))?.write_all_at(&super::pattern(*seed, *len), *from as u64)
        }
        Op::Append(path, seed, len) => {
            let mut options = open();
            options.append(true).open(at(path))?.write_all(&super::pattern(*seed, *len))
        }
        Op::Truncate(path, len) => open().open(at(path))?.set_len(*len as u64),
        Op::Copy(from, to) => {
            let source = OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(at(from))?;
            if source.metadata()?.is_dir() {
                return Err(Errno::EISDIR.into());
            }
            let target = open().create(true).truncate(true).open(at(to))?;
            copy(&source, &target)
        }
        Op::Rename(from, to) => fs::rename(at(from), at(to)),
        Op::Link(from, to) => fs::hard_link(at(from), at(to)),
        Op::Symlink(path) => symlink("nowhere", at(path)),
        Op::Unlink(path) => fs::remove_file(at(path)),
        Op::Mkdir(path) => fs::create_dir(at(path)),
        Op::Rmdir(path) => fs::remove_dir(at(path)),
        Op::Remount | Op::Crash => Ok(()),
    }
}

fn copy(source: &File, target: &File) -> io::Result<()> {
    while super::harness::copy_file_range(source, None, target, None, 1 << 20)? > 0 {}
    Ok(())
}

fn case(mounted: &RefCell<Mounted>, root: &Path, ops: &[Op]) -> Result<(), TestCaseError> {
    fs::create_dir(root).map_err(|error| TestCaseError::fail(format!("{}: {error}", root.display())))?;
    let mut tree = Tree::default();
    for (step, op) in ops.iter().enumerate() {
        match op {
            Op::Remount => mounted.borrow_mut().restart(),
            Op::Crash => {
                mounted.borrow().sh(&format!("find {} ! -type l -exec sync {{}} +", root.display()));
                mounted.borrow_mut().crash();
            }
            _ => {}
        }
        let want = tree.apply(op);
        let got = real(root, op).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()));
        prop_assert_eq!(got, want, "step {}: {:?}", step, op);
        if let Err(difference) = tree.compare(root) {
            return Err(TestCaseError::fail(format!("after step {step}, {op:?}: {difference}")));
        }
    }
    mounted.borrow_mut().restart();
    tree.compare(root).map_err(|difference| TestCaseError::fail(format!("after the remount: {difference}")))
}

fn compare(mounted: Mounted) {
    let cases = if long() { 150 } else { 10 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mounted = RefCell::new(mounted);
    let number = RefCell::new(0);
    let done = TestRunner::new(config).run(&vec(op(), 1..60), |ops| {
        *number.borrow_mut() += 1;
        let root = mounted.borrow().path(&format!("case-{}", number.borrow()));
        case(&mounted, &root, &ops)
    });
    if let Err(failure) = done {
        panic!("{failure}");
    }
    mounted.borrow().fsck();
}

#[test]
fn a_bucket_without_versions_is_a_tree_of_files() {
    compare(Mounted::start());
}

#[test]
fn a_bucket_with_versions_is_the_same_tree() {
    compare(Mounted::versioned());
}
