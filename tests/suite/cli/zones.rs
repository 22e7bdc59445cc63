//! Zones as a person has them: a mount whose disks go, come back and are replaced.

use super::bench::{Bench, until};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Larger than what lies in a segment.
const LARGE: usize = 5 << 20;

/// A mounted store with the zones `one` and `two` besides its own directory.
struct Site {
    bench: Bench,
    zones: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let (bench, zones) = (Bench::new(), tempfile::tempdir().unwrap());
        bench.ok(&["init".as_ref(), bench.store.as_os_str()]);
        let site = Self { bench, zones };
        let (one, two) = (site.zone("one"), site.zone("two"));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&two).unwrap();
        let settings = format!(
            "[zones]\none = {one:?}\ntwo = {two:?}\n[class.STANDARD]\nzones = ['one', 'two']\n[class.ONEZONE_IA]\nzones = ['one']\n"
        );
        site.write_settings(&settings);
        site.bench.ok(&["bucket", "create", "photos"]);
        site.bench.mount();
        site
    }

    fn write_settings(&self, settings: &str) {
        std::fs::write(self.bench.store.join("keyfold.toml"), settings).unwrap();
    }

    fn zone(&self, name: &str) -> PathBuf {
        self.zones.path().join(name)
    }

    fn away(&self, name: &str) -> PathBuf {
        self.zones.path().join(format!("{name} is away"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bench.mountpoint.join("photos").join(name)
    }

    /// Writes a small file and a large one, durably.
    fn write(&self, names: [&str; 2]) {
        for (name, len) in names.into_iter().zip([50_000, LARGE]) {
            std::fs::write(self.file(name), bytes(name, len)).unwrap();
            File::open(self.file(name)).unwrap().sync_all().unwrap();
        }
    }

    fn reads(&self, names: [&str; 2]) {
        for (name, len) in names.into_iter().zip([50_000, LARGE]) {
            let (mut file, mut read) = (File::open(self.file(name)).unwrap(), Vec::new());
            // Not what the kernel remembers.
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
            file.read_to_end(&mut read).unwrap();
            assert!(read == bytes(name, len), "{name}");
        }
    }

    fn state(&self, name: &str) -> String {
        let row = self.bench.json(&["zones"]).into_iter().find(|row| row["name"] == name).unwrap();
        row["state"].as_str().unwrap().to_owned()
    }

    fn short_files(&self) -> u64 {
        self.bench.json(&["status"])[0]["short_files"].as_u64().unwrap()
    }
}

fn bytes(name: &str, len: usize) -> Vec<u8> {
    name.bytes().cycle().zip(0..len).map(|(byte, n)| byte ^ (n / 999) as u8).collect()
}

/// Files of the log below a directory, with their sizes.
fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for top in ["seg", "solo"] {
        for shard in std::fs::read_dir(dir.join(top)).into_iter().flatten() {
            for file in std::fs::read_dir(shard.unwrap().path()).unwrap() {
                let file = file.unwrap();
                found.push((file.path().strip_prefix(dir).unwrap().to_owned(), file.metadata().unwrap().len()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn sc_1_a_zone_is_deleted_while_mounted_and_refilled_when_it_is_back() {
    let site = Site::new();
    let bench = &site.bench;
    site.write(["before", "large before"]);
    let rows = bench.json(&["classes"]);
    let standard = rows.iter().find(|row| row["class"] == "STANDARD").unwrap();
    assert_eq!((standard["copies"].as_u64(), standard["lies_in"].as_array().unwrap().len()), (Some(2), 2));
    assert_eq!((site.state("one").as_str(), site.short_files()), ("there", 0));

    // It goes, for good.
    std::fs::remove_dir_all(site.zone("one")).unwrap();
    site.reads(["before", "large before"]);
    site.write(["meanwhile", "large meanwhile"]);
    site.reads(["meanwhile", "large meanwhile"]);
    assert_eq!(site.state("one"), "lost");
    assert!(site.short_files() > 0);
    let told = bench.ok(&["zones"]);
    assert!(told.contains("its directory is not there"), "{told}");
    let refused = bench.fails(5, &["zones", "--adopt", "two"]);
    assert!(refused.contains("it is not lost"), "{refused}");
    assert!(bench.run(&["doctor"]).out.contains("one since"));

    // An empty one takes its place when somebody says so.
    std::fs::create_dir(site.zone("one")).unwrap();
    assert_eq!(site.state("one"), "lost");
    bench.ok(&["zones", "--adopt", "one"]);
    bench.ok(&["zones", "--repair"]);
    until("every file has its copies", || site.short_files() == 0 && site.state("one") == "there");
    site.write(["after", "large after"]);

    // The other is away for a while: what it missed comes by itself.
    std::fs::rename(site.zone("two"), site.away("two")).unwrap();
    for names in [["before", "large before"], ["meanwhile", "large meanwhile"], ["after", "large after"]] {
        site.reads(names);
    }
    until("it is noticed", || site.state("two") == "lost");
    site.write(["later", "large later"]);
    std::fs::rename(site.away("two"), site.zone("two")).unwrap();
    until("it is whole again", || site.state("two") == "there" && site.short_files() == 0);
    bench.umount();
    assert!(files(&site.zone("one")) == files(&site.zone("two")) && files(&bench.store).is_empty());
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
}

#[test]
fn a_zone_is_left_out_when_nothing_lies_in_it_and_none_lies_in_the_store() {
    let site = Site::new();
    let bench = &site.bench;
    site.write(["small", "large"]);
    bench.ok(&["class", "set", "photos/large", "ONEZONE_IA"]);
    bench.ok(&["gc"]);
    bench.umount();
    let (one, two) = (site.zone("one"), site.zone("two"));
    site.write_settings(&format!("[zones]\ntwo = {two:?}\n[class.STANDARD]\nzones = ['two']\n"));
    let refused = bench.fails(5, &["status"]);
    assert!(refused.contains("without zone one") && refused.contains("keyfold zones --repair"), "{refused}");
    site.write_settings(&format!("[zones]\none = {one:?}\ntwo = {two:?}\n[class.STANDARD]\nzones = ['two']\n"));
    bench.ok(&["zones", "--repair"]);
    assert!(files(&one).is_empty());
    site.write_settings(&format!("[zones]\ntwo = {two:?}\n[class.STANDARD]\nzones = ['two']\n"));
    bench.mount();
    site.reads(["small", "large"]);
    bench.umount();
    let inside = bench.store.join("inside");
    site.write_settings(&format!("[zones]\ntwo = {two:?}\nthree = {inside:?}\n"));
    assert!(bench.fails(2, &["status"]).contains("the store's own directory"));
}
