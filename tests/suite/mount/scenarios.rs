//! The five stories this filesystem is for, each from a shell's point of view.

use super::past::instant;
use super::{Mounted, long, names_in};
use std::fs::{self, File};
use std::time::{Duration, Instant};

/// Overwriting 4 KiB in the middle of a large file costs about 4 KiB, and both versions are whole.
#[test]
fn a_small_change_of_a_large_file_costs_little() {
    let mounted = Mounted::versioned();
    let mib = if long() { 2048 } else { 256 };
    let middle = mib * 256 / 2;
    mounted.sh(&format!(
        "openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 -in /dev/zero 2> /dev/null | head -c {mib}M > $T/source || true; cat $T/source > big; sha256sum < $T/source > $T/one
         sync big; sha256sum < big | cmp - $T/one"
    ));
    let stored = || mounted.sh("du -s -B1 $T/store | cut -f1").trim().parse::<u64>().unwrap();
    let files = || mounted.sh("find $T/store -type f -printf '%b blocks, %s bytes: %P\\n'");
    let (before, files_before) = (stored(), files());
    mounted.sh(&format!("head -c 4096 /dev/urandom > $T/patch; dd if=$T/patch of=big bs=4k seek={middle} conv=notrunc,fsync status=none; sha256sum < big > $T/two"));
    let grown = stored().saturating_sub(before);
    assert!(grown < 1 << 20, "the store grew by {grown} bytes\n{files_before}\n{}", files());
    let versions = mounted.versions("big");
    assert_eq!(versions.len(), 2);
    mounted.sh(&format!("sha256sum < .versions/big/{} | cmp - $T/one; sha256sum < .versions/big/{} | cmp - $T/two; ! cmp -s $T/one $T/two", versions[1], versions[0]));
    let patched = mounted.sh(&format!("dd if=big bs=4k skip={middle} count=1 status=none | cmp - $T/patch"));
    assert_eq!(patched, "");
}

/// A tree of 10,000 files is deleted and comes back, with nothing but a shell.
#[test]
fn a_deleted_tree_comes_back() {
    let mounted = Mounted::versioned();
    mounted.sh("mkdir -p tree; cd tree; for d in $(seq 100); do mkdir -p d$((d % 10))/s$d; (cd d$((d % 10))/s$d; for f in $(seq 100); do echo $d $f > f$f; done); done
        find . -type f | sort | xargs sha256sum > $T/sums; test $(wc -l < $T/sums) = 10000");
    let then = instant(&mounted);
    mounted.sh("rm -rf tree; test ! -e tree");
    // By the marker on top of each name.
    mounted.sh("back() { local below; find \"$1/.versions\" -mindepth 2 -maxdepth 2 -name '*~deleted' -delete
            for below in \"$1\"/.versions/*/; do if test -d \"$below.versions\"; then back \"${below%/}\"; fi; done; }
        back .versions/tree; cd tree; sha256sum --quiet -c $T/sums; test $(find . -type f | wc -l) = 10000");
    // And out of the past.
    mounted.sh(&format!("rm -rf tree; cp -a .keyfold/at/{then}/tree tree; cd tree; sha256sum --quiet -c $T/sums; test $(find . -type f | wc -l) = 10000"));
    mounted.fsck();
}

/// Makes a directory with that many files.
pub(super) fn fill(dir: &std::path::Path, files: usize) {
    fs::create_dir(dir).unwrap();
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                for number in (part..files).step_by(4) {
                    fs::write(dir.join(format!("file-{number:06}")), b"x").unwrap();
                }
            });
        }
    });
}

/// Renaming a directory is one commit, whatever is in it, also when the process is killed right after.
#[test]
fn a_large_directory_is_renamed_at_once() {
    let mut mounted = Mounted::versioned();
    let files = if long() { 100_000 } else { 20_000 };
    fill(&mounted.path("old"), files);
    File::open(mounted.path("old")).unwrap().sync_all().unwrap();
    let status = |field: &str| -> u64 {
        let text = fs::read(mounted.root().join(".keyfold/status.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()[field].as_u64().unwrap()
    };
    let before = status("staged_bytes");
    let since = Instant::now();
    fs::rename(mounted.path("old"), mounted.path("new")).unwrap();
    let took = since.elapsed();
    let after = status("staged_bytes");
    assert!(!long() || took < Duration::from_millis(50), "{took:?}");
    assert!(after.saturating_sub(before) < 16 << 10, "the commit has {} bytes", after - before);
    assert!(!mounted.path("old").exists() && mounted.path(&format!("new/file-{:06}", files - 1)).exists());
    // Killed at once, it is at the one name or at the other, whole.
    for round in 0..3 {
        let here = if mounted.path("old").exists() { "old" } else { "new" };
        let there = if here == "old" { "new" } else { "old" };
        fs::rename(mounted.path(here), mounted.path(there)).unwrap();
        if round == 2 {
            File::open(mounted.path("")).unwrap().sync_all().unwrap();
        }
        mounted.crash();
        let now = names_in(&mounted.path(""));
        assert_eq!(now.len(), 1, "{now:?}");
        assert!(round < 2 || now == [there], "a synced rename is lost");
        assert_eq!(names_in(&mounted.path(&now[0])).len(), files);
        assert_eq!(fs::read(mounted.path(&format!("{}/file-000007", now[0]))).unwrap(), b"x");
    }
    mounted.fsck();
}

/// `getfattr -n user.s3.info` tells all, on whatever it is asked of.
#[test]
fn getfattr_tells_everything() {
    let mounted = Mounted::versioned();
    mounted.sh("mkdir d; echo 1 > d/f; echo 2 > d/f; setfattr -n user.s3.tag.project -v apollo d/f");
    for (place, words) in [
        (
            "d/f",
            &["\"type\": \"object\"", "project=apollo", "\"version-id\"", "\"etag\"", "\"checksum.crc64nvme\""][..],
        ),
        ("$(ls -d d/.versions/f/* | head -1)", &["\"type\": \"version\"", "\"version-id\"", "\"is-latest\""]),
        ("d", &["\"type\": \"directory\"", "\"rbytes\": 2", "\"rentries\": 1", "\"noncurrent-bytes\": 2"]),
        (".", &["\"type\": \"bucket\"", "\"versioning\": \"Enabled\""]),
    ] {
        let said = mounted.sh(&format!("getfattr -n user.s3.info --only-values {place}"));
        for word in words {
            assert!(said.contains(word), "{place}: no {word} in {said}");
        }
    }
}

/// A mount of the past beside one of the present: `diff` says what changed.
#[test]
fn the_past_is_compared_with_the_present() {
    let mounted = Mounted::versioned();
    mounted.sh("mkdir d; echo same > d/same; echo one > d/changed; echo was > d/gone");
    let then = instant(&mounted);
    mounted.sh("echo two > d/changed; rm d/gone; echo new > d/new");
    let past = mounted.aside("past");
    fs::create_dir(&past).unwrap();
    let options = format!("as_of={then}");
    let output = mounted.keyfold(&["mount", mounted.store().to_str().unwrap(), past.to_str().unwrap(), "-o", &options]);
    assert!(output.status.success(), "{}", super::text(&output.stderr));
    let diff = super::text(&mounted.try_sh("diff -r $T/past/bkt .").stdout);
    mounted.sh("cp $T/past/bkt/d/gone d/gone; umount $T/past");
    let lines: Vec<&str> =
        diff.lines().filter(|line| !line.starts_with("diff -r") && *line != "---" && *line != "1c1").collect();
    assert_eq!(lines.len(), 4, "{diff}");
    assert!(
        lines[..2] == ["< one", "> two"] && lines[2].contains("past/bkt/d: gone") && lines[3].contains("./d: new"),
        "{diff}"
    );
    assert_eq!(mounted.sh("cat d/gone"), "was\n");
}
