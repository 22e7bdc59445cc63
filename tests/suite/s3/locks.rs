//! Object lock at every door: over HTTP alone, and each way of each door against each lock, root's too (LOCK).

use super::harness::{Client, Served, mounted};
use crate::mount::Mounted;
use nix::errno::Errno;
use serde_json::Value;
use std::fs;

fn script(client: &Client, act: &str, told: Option<&Value>) -> String {
    let told = told.map(Value::to_string);
    let arguments: Vec<&str> = std::iter::once(act).chain(told.as_deref()).collect();
    client.script("locks.py", &arguments)
}

/// LOCK-1, LOCK-2, LOCK-4 to LOCK-11, LOCK-16 to LOCK-18.
#[test]
fn lock_1_to_lock_18_over_http() {
    script(&Served::start().client, "alone", None);
}

/// The entry of a version in `.versions`.
fn entry(mounted: &Mounted, name: &str, version: &str) -> String {
    let entries = mounted.versions(name);
    let found = entries.iter().find(|entry| entry.ends_with(version));
    format!(".versions/{name}/{}", found.unwrap_or_else(|| panic!("{name}: {version} is not in {entries:?}")))
}

/// Every way that a mount has, as root.
fn attack_mount(mounted: &Mounted, told: &Value) {
    for (name, version) in told.as_object().unwrap() {
        let path = entry(mounted, name, version.as_str().unwrap());
        let refused = |script: &str| {
            let output = mounted.try_sh(script);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains("Operation not permitted"), "{script}: {said}");
        };
        refused(&format!("rm -f {path}"));
        let removed = fs::remove_file(mounted.path(&path)).unwrap_err();
        assert_eq!(Errno::from_raw(removed.raw_os_error().unwrap()), Errno::EPERM, "{name}");
        if name != "hold" {
            refused(&format!("setfattr -x user.s3.retention {path}"));
            refused(&format!("setfattr -n user.s3.retention -v 'GOVERNANCE 2027-01-01T00:00:00Z' {path}"));
        }
        // What makes other versions, markers and names.
        mounted.sh(&format!(
            "echo over > {name}; truncate -s 0 {name}; ln {name} {name}.link; mv {name} {name}.moved; rm {name}.link;
             echo other > {name}; mv {name}.moved {name}; cp {path} {name}; rm {name}; mv {path} {name}; rm -rf {name}"
        ));
        assert_eq!(mounted.sh(&format!("cat {path}")), *name);
    }
    let errors = mounted.errors();
    assert!(errors.contains("LOCK-5") && errors.contains("LOCK-12"), "{errors}");
    let fails = |script: &str| assert!(!mounted.try_sh(script).status.success(), "{script}");
    fails("setfattr -n user.s3.versioning -v Suspended $M/bkt");
    fails("setfattr -x user.s3.object-lock $M/bkt");
    fails("rm .keyfold/object-lock.json");
    // A shell does not ask how a close went.
    fails("echo '{\"Status\": \"Suspended\"}' > .keyfold/versioning.json; grep -q Suspended .keyfold/versioning.json");
    fails("rm -rf .versions 2>/dev/null; test ! -e .versions/hold");
    fails("rmdir $M/bkt");
    // Directories stay where they are, and what copies instead works.
    mounted.sh("mkdir d; echo in > d/f; mv d e; test \"$(cat e/f)\" = in; test ! -e d; rm -r e");
}

/// Every way that the command line has.
fn attack_shell(mounted: &Mounted, told: &Value) {
    let fails = |status: i32, arguments: &[&str]| {
        let ran = mounted.keyfold_aside(arguments);
        assert_eq!(ran.status.code(), Some(status), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    for (name, version) in told.as_object().unwrap() {
        let (key, version) = (format!("bkt/{name}"), version.as_str().unwrap());
        let bypasses: &[&[&str]] = if name == "governance" { &[&[]] } else { &[&[], &["--bypass-governance"]] };
        for bypass in bypasses {
            let with = |arguments: &[&str]| fails(4, &[arguments, &["--version", version], *bypass].concat());
            with(&["purge", &key]);
            with(&["purge", &key, "--dry-run"]);
        }
        if name == "compliance" || name == "all" {
            let bypass = "--bypass-governance";
            fails(4, &["retention", "--version", version, "rm", &key, bypass]);
            fails(4, &["retention", "--version", version, "set", &key, "GOVERNANCE", "2099-01-01T00:00:00Z", bypass]);
            fails(4, &["retention", "--version", version, "set", &key, "COMPLIANCE", "2027-01-01T00:00:00Z", bypass]);
        }
    }
    fails(5, &["bucket", "rm", "bkt"]);
    fails(5, &["bucket", "set", "bkt", "versioning", "Suspended"]);
    fails(5, &["bucket", "unset", "bkt", "object-lock"]);
    for care in [&["fsck", "--repair"][..], &["gc"], &["undelete", "bkt/hold"]] {
        let ran = mounted.keyfold_aside(care);
        assert!(ran.status.success(), "{care:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

#[test]
fn lock_3_to_lock_14_no_door_destroys_a_locked_version_and_a_crash_neither() {
    let (mut mounted, client) = mounted();
    fs::remove_dir(mounted.path("")).unwrap();
    let told: Value = serde_json::from_str(&script(&client, "make", None)).unwrap();
    for attack in [attack_mount, attack_shell, |_: &Mounted, _: &Value| {}] {
        attack(&mounted, &told);
        script(&client, "check", Some(&told));
        script(&client, "attack", Some(&told));
        script(&client, "check", Some(&told));
        mounted.fsck();
    }
    mounted.sh("sync");
    mounted.crash();
    let client = super::harness::of_mounted(&mounted);
    script(&client, "check", Some(&told));
    script(&client, "end", Some(&told));
    mounted.fsck();
}

/// INTERFACE sections 5 to 7: attributes, control files and verbs say and set the same.
#[test]
fn lock_8_lock_12_attributes_documents_and_verbs_are_one() {
    let mounted = Mounted::start();
    let keyfold = |arguments: &[&str]| {
        let ran = mounted.keyfold_aside(arguments);
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    keyfold(&["bucket", "create", "books", "--object-lock"]);
    assert!(keyfold(&["bucket", "get", "books", "object-lock"]).contains("\"ObjectLockEnabled\": \"Enabled\""));
    mounted.sh(r#"no() { if "$@" 2>/dev/null; then echo "it was done: $*" >&2; return 1; fi; }
        cd $M/books; test "$(getfattr -n user.s3.versioning --only-values .)" = Enabled
        no getfattr -n user.s3.default-retention .
        setfattr -n user.s3.default-retention -v 'GOVERNANCE 3 days' .
        grep -q '"Days": 3' .keyfold/object-lock.json
        sed -i 's/"Days": 3/"Days": 4/' .keyfold/object-lock.json
        test "$(getfattr -n user.s3.default-retention --only-values .)" = 'GOVERNANCE 4 days'
        no bash -c "echo '{}' > .keyfold/object-lock.json"
        echo one > f; sleep 0.2; test $(ls .versions/f | wc -l) = 1; getfattr -n user.s3.retention --only-values f | grep -q '^GOVERNANCE 20'
        no getfattr -n user.s3.legal-hold f
        setfattr -n user.s3.legal-hold -v ON f; setfattr -n user.s3.legal-hold -v OFF f
        no setfattr -n user.s3.legal-hold -v maybe f
        setfattr -n user.s3.retention -v 'COMPLIANCE 2099-01-01T00:00:00Z' f
        getfattr -n user.s3.info --only-values f | grep -q '"retention": "COMPLIANCE 2099'
        old=$(printf '%s\n' .versions/f/* | sed -n 1p); echo newer > f
        setfattr -n user.s3.legal-hold -v ON $old; test "$(getfattr -n user.s3.legal-hold --only-values $old)" = ON
        setfattr -x user.s3.legal-hold $old; no setfattr -n user.s3.tag.a -v b $old
        no setfattr -x user.s3.retention $old
        setfattr -n user.s3.retention -v 'COMPLIANCE 2099-01-01T00:00:00Z' f; setfattr -n user.s3.legal-hold -v OFF f
        setfattr -x user.s3.default-retention .; echo two > g; no getfattr -n user.s3.retention g"#);
    assert_eq!(keyfold(&["retention", "get", "books/f"]), "COMPLIANCE 2099-01-01T00:00:00.000Z\n");
    assert_eq!(keyfold(&["legal-hold", "get", "books/f"]), "OFF\n");
    keyfold(&["legal-hold", "rm", "books/f"]);
    assert_eq!(mounted.keyfold_aside(&["legal-hold", "get", "books/f"]).status.code(), Some(3));
    keyfold(&["retention", "set", "books/g", "GOVERNANCE", "2099-01-01T00:00:00Z"]);
    assert_eq!(mounted.keyfold_aside(&["retention", "rm", "books/g"]).status.code(), Some(4));
    keyfold(&["retention", "set", "books/g", "GOVERNANCE", "2098-01-01T00:00:00Z", "--bypass-governance"]);
    keyfold(&["retention", "rm", "books/g", "--bypass-governance"]);
    assert_eq!(mounted.keyfold_aside(&["retention", "get", "books/g"]).status.code(), Some(3));
    // LOCK-11.
    mounted.sh("echo x > f");
    assert!(!mounted.try_sh("setfattr -n user.s3.retention -v 'GOVERNANCE 2099-01-01T00:00:00Z' f").status.success());
    assert_eq!(mounted.keyfold_aside(&["legal-hold", "set", "bkt/f", "ON"]).status.code(), Some(2));
    mounted.fsck();
}

/// What stays behind when a file is renamed is another file when it comes back.
#[test]
fn lock_3_versions_that_a_rename_left_come_back_as_files_of_their_own() {
    let mounted = Mounted::bare("");
    let made = mounted.keyfold(&["bucket", "create", "--object-lock", "bkt"]);
    assert!(made.status.success(), "{made:?}");
    mounted.sh("cd $M/bkt; echo 1 > f; echo 2 > f; mv f g; rm .versions/f/*~deleted; rm \"$(printf '%s\\n' .versions/f/* | tail -n 1)\"");
    let read = |name: &str| std::fs::read_to_string(mounted.path(name)).unwrap();
    let left = read("f");
    assert!(["1\n", "2\n"].contains(&left.as_str()), "{left:?}");
    assert_eq!(read("g"), "2\n");
    mounted.sh("cd $M/bkt; test $(stat -c %i f) != $(stat -c %i g); echo 3 > g; echo 4 > f");
    assert_eq!((read("f"), read("g")), ("4\n".to_owned(), "3\n".to_owned()));
    mounted.fsck();
}
