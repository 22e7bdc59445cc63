//! Scrub through the built binary: damage below the system's cache of file pages, which hides it from everybody else, and
//! the command as people use it.

use super::harness::KEYFOLD;
use super::{Mounted, pattern, text};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BLOCK: u64 = 4096;

/// A store on a disk whose blocks can be changed while the system's cache keeps what they held.
struct Rotting {
    mounted: Mounted,
    image: File,
}

impl Rotting {
    fn start() -> Self {
        let mut mounted = Mounted::unmounted();
        let path = mounted.aside("image");
        File::create(&path).unwrap().set_len(400 << 20).unwrap();
        let image = path.to_str().unwrap().to_owned();
        let made = Command::new("mkfs.ext4").args(["-q", "-b", "4096", "-O", "^has_journal", &image]).status();
        assert!(made.unwrap().success());
        mounted.on_disk(|at| {
            let status = Command::new("mount").args(["-o", "loop,nodiscard", &image]).arg(at).status();
            assert!(status.unwrap().success());
            fs::remove_dir(at.join("lost+found")).unwrap();
        });
        mounted.remount("");
        fs::create_dir(mounted.path("")).unwrap();
        xattr::set(mounted.path(""), "user.s3.versioning", b"Enabled").unwrap();
        let image = OpenOptions::new().read(true).write(true).open(path).unwrap();
        Self { mounted, image }
    }

    /// Where on the disk a byte of a file lies.
    fn on_disk(&self, path: &Path, at: u64) -> u64 {
        let output = Command::new("filefrag").args(["-e", "-b4096", "-v"]).arg(path).output().unwrap();
        let said = text(&output.stdout);
        for line in said.lines() {
            let numbers: Vec<u64> = line
                .split([':', '.', ' '])
                .filter(|word| !word.is_empty())
                .map_while(|word| word.parse().ok())
                .collect();
            let [_, first, last, block, ..] = numbers[..] else { continue };
            if (first..=last).contains(&(at / BLOCK)) {
                return (block + at / BLOCK - first) * BLOCK + at % BLOCK;
            }
        }
        panic!("{} has no byte {at} on the disk: {said}", path.display());
    }

    /// Changes a byte of a file on the disk while the cache goes on to show the old one.
    fn rot(&self, path: &Path, at: u64) {
        let before = fs::read(path).unwrap();
        let place = self.on_disk(path, at);
        let mut byte = [0];
        self.image.read_exact_at(&mut byte, place).unwrap();
        self.image.write_all_at(&[byte[0] ^ 0x20], place).unwrap();
        assert!(fs::read(path).unwrap() == before, "the cache shows the damage");
    }

    /// The findings of `keyfold scrub`, each a row of JSON.
    #[track_caller]
    fn scrub(&self) -> Vec<serde_json::Value> {
        let store = self.mounted.store();
        let output = self.mounted.keyfold(&["scrub", "--json", store.to_str().unwrap()]);
        let rows: Vec<_> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let status = if rows.is_empty() { 0 } else { 7 };
        assert_eq!(output.status.code(), Some(status), "{}", text(&output.stderr));
        rows
    }
}

/// The files below a directory that end so.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn find(bytes: &[u8], part: &[u8]) -> u64 {
    bytes.windows(part.len()).position(|window| window == part).expect("the bytes are there") as u64
}

#[test]
fn damage_below_the_cache_is_found_in_every_structure() {
    let mut rotting = Rotting::start();
    let mounted = &mut rotting.mounted;
    let (small, large) = (pattern(1, 150_001), pattern(2, 20 << 20));
    fs::write(mounted.path("small"), &small).unwrap();
    fs::write(mounted.path("large"), &large).unwrap();
    for n in 0..50 {
        fs::write(mounted.path(&format!("little {n}")), pattern(n, 700)).unwrap();
    }
    mounted.restart();
    // Opening has written tables; what the kernel still had to write is on the disk.
    assert!(Command::new("sync").arg("-f").arg(mounted.store()).status().unwrap().success());
    let store = rotting.mounted.store();
    let segment = files(&store.join("seg"), "seg").remove(0);
    let bytes = fs::read(&segment).unwrap();
    let number = |at: usize| u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
    let payload = find(&bytes, &small[..40]);
    // Of 150,001 bytes the head ends in zeros up to a page, and behind its table of three frames.
    let head = (4096..payload).rev().step_by(8).find_map(|at| {
        let at = usize::try_from(at / 8 * 8).unwrap();
        (bytes[at..].starts_with(b"KFR1") && at as u64 + number(at + 8) == payload).then_some(at as u64)
    });
    let head = head.expect("the run has a head");
    let trailer = bytes.len() as u64 - 64;
    let directory = number(trailer as usize + 40);
    let object = files(&store.join("solo"), "obj").remove(0);
    let sum = object.with_extension("sum");
    let mut tables = files(&store.join("meta"), "sst");
    tables.sort_by_key(|path| path.metadata().unwrap().len());
    let table = tables.pop().unwrap();
    let cases: [(&str, &Path, u64, Option<&str>); 13] = [
        // First: RocksDB may make others of its tables after each look as of one commit, as a check is.
        ("table of the index", &table, 40, None),
        ("segment header", &segment, 30, None),
        ("spare room of the header", &segment, 3000, None),
        ("run head", &segment, head + 33, Some("small")),
        ("key in the head", &segment, head + 97, Some("small")),
        ("table of frames", &segment, head + 96 + 16 + 30, Some("small")),
        ("room before the payload", &segment, payload - 2, Some("small")),
        ("payload", &segment, payload + 70_000, Some("small")),
        ("padding behind the payload", &segment, payload + 150_001 + 3, Some("small")),
        ("directory", &segment, directory + 5, None),
        ("trailer", &segment, trailer + 2, None),
        ("one-object file", &object, (13 << 20) + 5, Some("large")),
        ("its checksums", &sum, 100, Some("large")),
    ];
    assert_eq!(rotting.scrub(), [] as [serde_json::Value; 0]);
    for (what, path, at, hurts) in cases {
        rotting.rot(path, at);
        let rows = rotting.scrub();
        let inside = path.strip_prefix(&store).unwrap().to_str().unwrap();
        let row = rows.iter().find(|row| {
            let (from, len) = (row["at"].as_u64().unwrap(), row["len"].as_u64().unwrap());
            row["file"].as_str().unwrap().starts_with(inside) && from <= at && at - from < len
        });
        let row = row.unwrap_or_else(|| panic!("{what}: byte {at} of {inside} is not in {rows:?}"));
        let told: Vec<_> =
            row["objects"].as_array().unwrap().iter().map(|object| object["key"].as_str().unwrap()).collect();
        assert_eq!(told, hurts.into_iter().collect::<Vec<_>>(), "{what}: {row}");
        if matches!(what, "payload" | "one-object file") {
            // Who reads through the cache sees nothing: that is why scrub does not.
            rotting.mounted.fsck();
            let name = if what == "payload" { "small" } else { "large" };
            let body = if what == "payload" { &small } else { &large };
            assert!(fs::read(rotting.mounted.path(name)).unwrap() == *body);
            let errors = rotting.mounted.errors();
            assert!(errors.lines().any(|line| line.contains(name) && line.contains(inside)), "{errors}");
        }
        rotting.rot(path, at);
    }
    assert_eq!(rotting.scrub(), [] as [serde_json::Value; 0]);
}

/// A scrub by hand that takes its time.
struct Slow(Child);

impl Slow {
    fn start(store: &Path) -> Self {
        let mut command = Command::new(KEYFOLD);
        command.args(["scrub", "--rate", "64KiB"]).arg(store);
        Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_command_at_a_time_and_an_interrupted_one_ends() {
    let mounted = Mounted::start();
    fs::write(mounted.path("f"), pattern(3, 20 << 20)).unwrap();
    mounted.sh("sync f");
    let store = mounted.store();
    let place = store.to_str().unwrap();
    let state = || {
        let output = mounted.keyfold(&["status", "--json", place]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        status["scrub"]["state"].as_str().unwrap().to_owned()
    };
    let mut slow = Slow::start(&store);
    until("scrub runs", || state() == "by hand");
    let second = mounted.keyfold(&["scrub", place]);
    assert_eq!(second.status.code(), Some(5), "{}", text(&second.stderr));
    assert!(text(&second.stderr).contains("another command"), "{}", text(&second.stderr));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(slow.0.id().cast_signed()), nix::sys::signal::SIGINT).unwrap();
    slow.0.wait().unwrap();
    until("scrub ends", || state() == "idle");
    let mut said = String::new();
    slow.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.is_empty(), "progress is for terminals: {said:?}");

    let whole = mounted.keyfold(&["scrub", place]);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stderr));
    assert!(text(&whole.stdout).is_empty() && text(&whole.stderr).starts_with("no damage found in 20"), "{whole:?}");
    let paused = mounted.keyfold(&["scrub", "--pause", place]);
    assert_eq!((paused.status.code(), state()), (Some(0), "paused".to_owned()));
    assert_eq!(mounted.keyfold(&["scrub", "--resume", place]).status.code(), Some(0));
    assert_eq!(state(), "idle");
    let metrics = fs::read_to_string(mounted.root().join(".keyfold/metrics")).unwrap();
    assert!(metrics.contains("keyfold_scrub_passes{} 1") || metrics.contains("keyfold_scrub_passes 1"), "{metrics}");
    for wrong in
        [&["scrub", "--rate", "0", place][..], &["scrub", "--rate", "fast", place], &["scrub", "--pause", "--resume"]]
    {
        assert_eq!(mounted.keyfold(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_store_that_nobody_serves_is_scrubbed_too() {
    let mut mounted = Mounted::start();
    let body = pattern(4, 100_000);
    fs::write(mounted.path("f"), &body).unwrap();
    mounted.umount();
    let store = mounted.store();
    let place = store.to_str().unwrap();
    assert_eq!(mounted.keyfold(&["scrub", place]).status.code(), Some(0));
    let segment = files(&store.join("seg"), "seg").remove(0);
    let bytes = fs::read(&segment).unwrap();
    let at = find(&bytes, &body[..40]) + 70_000;
    let file = OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_all_at(&[!bytes[at as usize]], at).unwrap();
    let output = mounted.keyfold(&["scrub", place]);
    assert_eq!(output.status.code(), Some(7));
    let (said, aside) = (text(&output.stdout), text(&output.stderr));
    assert!(said.contains("seg/") && said.contains("bkt/f"), "{said}");
    assert!(aside.starts_with("1 damaged place in"), "{aside}");
    let errors = mounted.keyfold(&["errors", "--json"]);
    assert!(text(&errors.stdout).contains("scrub found damage in seg/"), "{errors:?}");
}

#[test]
fn the_background_finds_damage_on_its_own() {
    let mut mounted = Mounted::start();
    let body = pattern(5, 12 << 20);
    fs::write(mounted.path("f"), &body).unwrap();
    mounted.umount();
    let settings = mounted.store().join("keyfold.toml");
    fs::write(&settings, "[care]\nscrub_every = '1s'\nscrub_rate = '1GiB'\n").unwrap();
    let object = files(&mounted.store().join("solo"), "obj").remove(0);
    let file = OpenOptions::new().write(true).open(&object).unwrap();
    file.write_all_at(&[!body[7_000_000]], 7_000_000).unwrap();
    mounted.restart();
    until("the background tells of it", || mounted.errors().contains("scrub found damage"));
    let errors = mounted.errors();
    assert!(errors.contains("\"f\"") && errors.contains("solo/"), "{errors}");
    // The next passes find it too and do not tell it again.
    until("two more passes", || {
        let output = mounted.keyfold(&["status", "--json", mounted.store().to_str().unwrap()]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        status["scrub"]["passes"].as_u64().unwrap() >= 3 && status["scrub"]["last_findings"] == 1
    });
    assert_eq!(mounted.errors().matches("scrub found damage").count(), 1);
    fs::write(&settings, "[care]\nscrub_every = 'off'\n").unwrap();
    mounted.restart();
    assert_eq!(fs::read_dir(format!("/proc/{}/task", mounted.pid())).unwrap().filter(is_scrub).count(), 0);
}

fn is_scrub(task: &std::io::Result<fs::DirEntry>) -> bool {
    let name = task.as_ref().map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default());
    name.is_ok_and(|name| name.starts_with("keyfold-scrub"))
}
