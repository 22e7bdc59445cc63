//! What cannot be is refused at once, in three parts: what, why, mend.

use super::harness::KEYFOLD;
use super::{Mounted, text};
use std::fs;
use std::process::{Command, Output};

/// The three parts of an error on stderr, which holds nothing else.
#[track_caller]
fn parts(stderr: &str) -> [String; 3] {
    let lines: Vec<&str> = stderr.lines().collect();
    let part = |at: usize, name: &str| {
        let line = lines.get(at).copied().unwrap_or_default();
        line.strip_prefix(name).unwrap_or_else(|| panic!("no {name:?} in {stderr}")).to_owned()
    };
    assert_eq!(lines.len(), 3, "{stderr}");
    [part(0, "error: "), part(1, "why: "), part(2, "mend: ")]
}

fn keyfold(args: &[&str]) -> Output {
    Command::new(KEYFOLD).args(args).output().unwrap()
}

#[test]
fn a_second_process_on_a_store_is_refused_or_joins() {
    let mounted = Mounted::start();
    // The engine itself, as any other program that opens the store.
    let error = keyfold::store::Store::open(&mounted.store(), keyfold::store::Options::system()).err().unwrap();
    assert_eq!(error.kind(), keyfold::model::Kind::StoreBusy);
    assert!(error.reason().contains(&mounted.pid().to_string()), "{error}");
    // A second mount is served by the process that owns the store, and ends without it.
    let second = mounted.aside("second");
    fs::create_dir(&second).unwrap();
    let output = Command::new(KEYFOLD).arg("mount").arg(mounted.store()).arg(&second).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::write(second.join("bkt/f"), b"seen by both").unwrap();
    assert_eq!(fs::read(mounted.path("f")).unwrap(), b"seen by both");
    fs::write(mounted.path("f"), b"changed, and of another length").unwrap();
    assert_eq!(fs::read(second.join("bkt/f")).unwrap(), b"changed, and of another length");
    let output = Command::new(KEYFOLD).arg("umount").arg(&second).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read_dir(&second).unwrap().count(), 0);
    assert_eq!(fs::read(mounted.path("f")).unwrap(), b"changed, and of another length");
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let mut mounted = Mounted::start();
    mounted.umount();
    let format = mounted.store().join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replace("\"keyfold\": 1", "\"keyfold\": 99")).unwrap();
    let refused = mounted.try_mount().unwrap_err();
    let said: Vec<&str> = refused
        .lines()
        .filter(|line| line.contains("error: ") || line.contains("why: ") || line.contains("mend: "))
        .collect();
    assert!(said.len() >= 3, "{refused}");
    assert!(refused.contains("99") && refused.contains("newer"), "{refused}");
    let output = keyfold(&["ls", "--store", mounted.store().to_str().unwrap()]);
    let [_, why, mend] = parts(&super::text(&output.stderr));
    assert!(why.contains("99") && mend.contains("newer"), "{why} {mend}");
    assert_eq!(output.status.code(), Some(6));
    fs::write(&format, text).unwrap();
    mounted.restart();
}

#[test]
fn bad_options_and_places_are_refused_before_anything_is_made() {
    let mounted = Mounted::unmounted();
    let (store, root) = (mounted.store(), mounted.root());
    let (store, root) = (store.to_str().unwrap(), root.to_str().unwrap());
    let refused = |args: &[&str]| {
        let output = keyfold(args);
        assert!(!output.status.success(), "{args:?}");
        parts(&text(&output.stderr))
    };
    let [_, why, _] = refused(&["mount", store, root, "-o", "show_hiden"]);
    assert!(why.contains("show_hidden"), "the nearest word is named: {why}");
    refused(&["mount", store, root, "-o", "as_of=yesterday"]);
    refused(&["mount", store, root, "-o", "bucket=No_Such"]);
    let [_, why, _] = refused(&["mount", store, "/nonexistent/place"]);
    assert!(!why.is_empty());
    assert!(!mounted.store().exists(), "a refused mount makes no store");
    fs::create_dir(mounted.store()).unwrap();
    fs::write(mounted.store().join("a file"), b"of somebody").unwrap();
    refused(&["mount", store, root]);
    assert_eq!(fs::read_dir(mounted.store()).unwrap().count(), 1);
}

#[test]
fn a_bad_bucket_name_is_explained() {
    let mounted = Mounted::start();
    let output = mounted.try_sh("mkdir $M/Photos_2026");
    assert!(text(&output.stderr).contains("Invalid argument"));
    let output = mounted.keyfold(&["bucket", "create", "--store", mounted.store().to_str().unwrap(), "Photos_2026"]);
    let [what, why, mend] = parts(&text(&output.stderr));
    assert!(what.contains("Photos_2026") && why.contains('P') && mend.contains("3 to 63"), "{what} {why} {mend}");
    assert!(mounted.errors().contains("Photos_2026"));
}

#[test]
fn a_mount_in_use_is_not_unmounted_and_goes_on() {
    let mut mounted = Mounted::start();
    let file = fs::File::create(mounted.path("f")).unwrap();
    let output = keyfold(&["umount", mounted.root().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5));
    let [_, why, mend] = parts(&text(&output.stderr));
    assert!(why.contains("use") && mend.contains("--lazy"), "{why} {mend}");
    fs::write(mounted.path("g"), b"still served").unwrap();
    drop(file);
    mounted.umount();
}

/// Who just ended is gone in a moment. On a busy machine that moment may be long, so not each time has to do.
#[test]
fn a_mount_that_is_in_use_for_a_moment_is_unmounted() {
    let mut mounted = Mounted::start();
    let mut said = vec![];
    for _ in 0..5 {
        let file = fs::File::create(mounted.path("f")).unwrap();
        let busy = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(150));
            drop(file);
        });
        let output = keyfold(&["umount", mounted.root().to_str().unwrap()]);
        busy.join().unwrap();
        if output.status.success() {
            mounted.gone();
            mounted.restart();
            assert_eq!(fs::read(mounted.path("f")).unwrap(), b"");
            return;
        }
        said.push(text(&output.stderr));
    }
    panic!("{said:?}");
}

#[test]
fn a_dead_mount_is_told_and_cleared() {
    let mut mounted = Mounted::start();
    fs::write(mounted.path("f"), b"x").unwrap();
    fs::File::open(mounted.path("f")).unwrap().sync_all().unwrap();
    mounted.die();
    let (store, root) = (mounted.store(), mounted.root());
    let refused = keyfold(&["mount", store.to_str().unwrap(), root.to_str().unwrap()]);
    let [_, _, mend] = parts(&text(&refused.stderr));
    assert!(mend.contains("--replace") || mend.contains("umount"), "{mend}");
    let output = keyfold(&["umount", root.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    mounted.restart();
    assert_eq!(fs::read(mounted.path("f")).unwrap(), b"x");
}
