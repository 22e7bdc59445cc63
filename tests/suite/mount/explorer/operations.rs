//! What a program on the mount does: operations of one or a few steps, each in a directory that the program has to itself.

use super::super::harness::{KEYFOLD, copy_file_range};
use super::super::pattern;
use super::disk::Disk;
use super::judge::Step;
use super::state::{State, of_mount};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What one operation runs in.
pub struct Place<'a> {
    pub dir: PathBuf,
    /// Of the directory.
    pub name: String,
    /// Of its bytes and new names; no two operations of a run have the same.
    pub seed: u64,
    pub versions: bool,
    /// With `durability=close`.
    pub close: bool,
    pub record: &'a mut Record,
}

/// What was done so far, and what the bucket holds now.
pub struct Record {
    pub disk: Disk,
    pub state: State,
    pub steps: Vec<Step>,
}

impl Place<'_> {
    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn bytes(&self, len: usize) -> Vec<u8> {
        pattern(self.seed, len)
    }

    /// One change that a crash shows wholly or not at all. `durable`: it was synced when it was acknowledged.
    pub fn step(&mut self, what: &str, durable: bool, act: impl FnOnce(&Self)) {
        let begun = self.record.disk.position();
        act(self);
        let durable = durable.then(|| self.record.disk.position());
        let prefix = format!("{}/", self.name);
        let state = &mut self.record.state;
        state.retain(|key, _| !key.starts_with(&prefix));
        state.insert(prefix.clone(), "directory".to_owned());
        of_mount(&self.dir, &prefix, state);
        let what = format!("{prefix} {what}");
        self.record.steps.push(Step { what, begun, durable, after: state.clone() });
    }

    /// A change by open, write and close.
    fn session(&mut self, what: &str, act: impl FnOnce(&Self)) {
        self.step(what, self.close, act);
    }

    pub fn replace(&self, name: &str, len: usize) -> File {
        let mut file = File::create(self.at(name)).unwrap();
        file.write_all(&self.bytes(len)).unwrap();
        file
    }

    fn append(&self, name: &str) -> File {
        let mut file = OpenOptions::new().append(true).create(true).open(self.at(name)).unwrap();
        file.write_all(&self.bytes(2000)).unwrap();
        file
    }

    fn patch(&self, name: &str) -> File {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(self.at(name)).unwrap();
        file.write_all_at(&self.bytes(3000), 1000).unwrap();
        file
    }

    fn truncate(&self, name: &str, len: u64) {
        OpenOptions::new().write(true).create(true).truncate(false).open(self.at(name)).unwrap().set_len(len).unwrap();
    }

    fn copy(&self, from: &Path, to: &str) {
        let from = File::open(from).unwrap();
        let to = File::create(self.at(to)).unwrap();
        while copy_file_range(&from, None, &to, None, 1 << 20).unwrap() > 0 {}
    }

    fn sync(&self) {
        File::open(&self.dir).unwrap().sync_all().unwrap();
    }

    /// The history of a file, newest first.
    fn history(&self, name: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.at(".versions").join(name));
        entries.map_or_else(|_| vec![], |entries| entries.map(|entry| entry.unwrap().path()).collect())
    }
}

/// An operation; those it cannot do where another took away what it needs change nothing.
pub type Operation = (&'static str, fn(&mut Place<'_>));

/// Every pair is tried of these, and every triple of the first [`CORE`].
pub const OPERATIONS: &[Operation] = &[
    ("create", |p| p.session("create", |p| drop(p.replace(&format!("n{}", p.seed), 6000)))),
    ("append, fsync", |p| p.step("append, fsync", true, |p| p.append("a").sync_all().unwrap())),
    ("overwrite", |p| p.session("overwrite", |p| drop(p.patch("a")))),
    ("replace", |p| p.session("replace", |p| drop(p.replace("c", 9000)))),
    ("rename over", |p| p.step("rename over", false, |p| drop(fs::rename(p.at("a"), p.at("b"))))),
    ("rename directory", |p| {
        p.step("rename directory", false, |p| {
            let (from, to) = if p.at("d").exists() { ("d", "e") } else { ("e", "d") };
            drop(fs::rename(p.at(from), p.at(to)));
        });
    }),
    ("link", |p| p.step("link", false, |p| drop(fs::hard_link(p.at("b"), p.at(&format!("l{}", p.seed)))))),
    ("unlink", |p| p.step("unlink", false, |p| drop(fs::remove_file(p.at("c"))))),
    ("set tag", |p| {
        p.step("set tag", false, |p| {
            drop(xattr::set(p.at("b"), "user.s3.tag.k", p.seed.to_string().as_bytes()));
        });
    }),
    ("sync directory", |p| p.step("sync directory", true, Place::sync)),
    ("new by rename", |p| {
        p.step("new by rename: write, fsync", true, |p| p.replace("tmp", 5000).sync_all().unwrap());
        p.step("new by rename: rename, sync", true, |p| {
            fs::rename(p.at("tmp"), p.at("a")).unwrap();
            p.sync();
        });
    }),
    ("restore", |p| {
        // An operation before may have taken the name away: then nothing is closed, and nothing promised.
        if let Some(oldest) = p.history("a").last().filter(|oldest| oldest.exists()) {
            p.session("restore", |p| p.copy(oldest, "a"));
        }
    }),
    ("create, fsync", |p| {
        p.step("create, fsync", true, |p| p.replace(&format!("s{}", p.seed), 300).sync_all().unwrap());
    }),
    ("append", |p| p.session("append", |p| drop(p.append("a")))),
    ("write, fsync, write", |p| {
        let file = std::cell::OnceCell::new();
        p.step("write, fsync", true, |p| file.get_or_init(|| p.patch("b")).sync_all().unwrap());
        p.session("the second write", |_| {
            let file = file.into_inner().unwrap();
            file.write_all_at(b"again", 7).unwrap();
        });
    }),
    ("truncate", |p| p.session("truncate", |p| p.truncate("a", 1500))),
    ("extend", |p| p.session("extend", |p| p.truncate("c", 200_000))),
    ("exchange", |p| {
        p.step("exchange", false, |p| {
            let how = RenameFlags::RENAME_EXCHANGE;
            let _ = renameat2(AT_FDCWD, &p.at("b"), AT_FDCWD, &p.at("c"), how);
        });
    }),
    ("make or remove directory", |p| {
        p.step("make or remove directory", false, |p| {
            if fs::create_dir(p.at("z")).is_err() {
                fs::remove_dir(p.at("z")).unwrap();
            }
        });
    }),
    ("set metadata", |p| {
        p.step("set metadata", false, |p| {
            drop(xattr::set(p.at("b"), "user.s3.meta.k", p.seed.to_string().as_bytes()));
        });
    }),
    ("chmod", |p| {
        p.step("chmod", false, |p| drop(fs::set_permissions(p.at("b"), fs::Permissions::from_mode(0o600))));
    }),
    ("symlink", |p| p.step("symlink", false, |p| symlink("a", p.at(&format!("y{}", p.seed))).unwrap())),
    ("copy", |p| {
        if p.at("c").exists() {
            p.session("copy", |p| p.copy(&p.at("c"), &format!("k{}", p.seed)));
        }
    }),
    ("O_SYNC", |p| {
        p.step("O_SYNC", true, |p| {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).custom_flags(nix::libc::O_SYNC).open(p.at("o")).unwrap();
            file.write_all_at(&p.bytes(5000), 0).unwrap();
        });
    }),
    ("delete version", |p| {
        p.step("delete version", false, |p| {
            if p.versions
                && let Some(oldest) = p.history("a").last()
            {
                fs::remove_file(oldest).unwrap();
            }
        });
    }),
    ("append much, fsync", |p| {
        p.step("append much, fsync", true, |p| {
            let mut file = OpenOptions::new().append(true).create(true).open(p.at("c")).unwrap();
            file.write_all(&p.bytes(300_000)).unwrap();
            file.sync_all().unwrap();
        });
    }),
    ("large", |p| {
        let name = format!("g{}", p.seed);
        p.step("large, fsync", true, |p| p.replace(&name, 5 << 20).sync_all().unwrap());
        p.step("large: unlink", false, |p| fs::remove_file(p.at(&name)).unwrap());
    }),
    ("reclaim", |p| {
        // More garbage than is borne, in the segment in which everything else lies too.
        let name = format!("r{}", p.seed);
        p.step("reclaim: write", false, |p| drop(p.replace(&name, 500_000)));
        p.step("reclaim: unlink", false, |p| fs::remove_file(p.at(&name)).unwrap());
        p.step("reclaim: gc", true, |p| {
            let done = Command::new(KEYFOLD).arg("gc").arg(&p.dir).stdout(Stdio::null()).status().unwrap();
            assert!(done.success(), "keyfold gc: {done}");
        });
    }),
];

/// How many of the operations triples are made of.
pub const CORE: usize = 12;
