//! Lifecycle rules from a shell: set with an editor or `cat`, seen before, watched with `ls`, in a store whose days are short.

use super::bench::Bench;
use std::process::Command;
use std::time::{Duration, Instant};

/// A mounted store whose days take that long.
fn quick(day: &str) -> Bench {
    let bench = Bench::new();
    bench.ok(&["init".as_ref(), "--debug-clock".as_ref(), bench.store.as_os_str()]);
    let settings = bench.store.join("keyfold.toml");
    let text = std::fs::read_to_string(&settings).unwrap() + &format!("day = \"{day}\"\n");
    std::fs::write(settings, text).unwrap();
    bench.mount();
    bench
}

/// Runs a script in a directory of the mount; what it printed.
#[track_caller]
fn sh(bench: &Bench, script: &str) -> String {
    let output = Command::new("sh").arg("-ec").arg(script).current_dir(&bench.mountpoint).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until a script succeeds.
#[track_caller]
fn until(bench: &Bench, script: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        let mut command = Command::new("sh");
        let status = command.arg("-ec").arg(script).current_dir(&bench.mountpoint).output().unwrap().status;
        if status.success() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not within a minute: {script}\n{}", sh(bench, "cat .keyfold/errors; cat .keyfold/status.json"));
}

#[test]
fn lc_35_sources_are_archived_and_thumbnails_expire() {
    let bench = quick("100ms");
    sh(
        &bench,
        r#"mkdir photos; cd photos
        mkdir sources thumbs
        cat > .keyfold/lifecycle.json <<END
{"Rules": [
 {"ID": "archive", "Status": "Enabled", "Filter": {"Prefix": "sources/"},
  "Transitions": [{"Days": 60, "StorageClass": "GLACIER"}]},
 {"ID": "thumbs", "Status": "Enabled", "Filter": {"And": {"Prefix": "thumbs/", "ObjectSizeGreaterThan": 0}},
  "Transitions": [{"Days": 30, "StorageClass": "ONEZONE_IA"}], "Expiration": {"Days": 60}}
]}
END
        head -c 200000 /dev/zero > sources/a.jpg
        head -c 20000 /dev/zero > thumbs/a.jpg
        getfattr -n user.s3.etag --only-values sources/a.jpg > ../../etag
        getfattr -n user.s3.expiration --only-values thumbs/a.jpg | grep -q 'rule-id="thumbs"'
        ! getfattr -n user.s3.expiration sources/a.jpg 2> /dev/null"#,
    );
    let preview = bench.ok(&["lifecycle", "preview", "photos"]);
    for word in ["to GLACIER", "to ONEZONE_IA", "delete", "photos/sources/a.jpg", "1 object"] {
        assert!(preview.contains(word), "{word}: {preview}");
    }
    let preview = sh(&bench, "cat photos/.keyfold/lifecycle.preview");
    for word in ["  to GLACIER   ", "  to ONEZONE_IA", "  delete ", " sources/a.jpg null\n", "200000 bytes  archive"] {
        assert!(preview.contains(word), "{word:?}: {preview}");
    }
    let explained = bench.ok(&["lifecycle", "explain", "photos/sources/a.jpg"]);
    assert!(explained.contains("next: to GLACIER on ") && explained.contains("by the rule archive"), "{explained}");
    assert!(explained.contains(r#"its key does not begin with "thumbs/""#), "{explained}");
    until(&bench, "test $(getfattr -n user.s3.storage-class --only-values photos/thumbs/a.jpg) = ONEZONE_IA");
    until(&bench, "test ! -e photos/thumbs/a.jpg");
    until(&bench, "test $(getfattr -n user.s3.storage-class --only-values photos/sources/a.jpg) = GLACIER");
    sh(&bench, "cd photos; test $(getfattr -n user.s3.etag --only-values sources/a.jpg) = $(cat ../../etag)");
    let events = bench.json(&["events", "tail", "--after", "0"]);
    let names: Vec<_> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    for (event, count) in [("LifecycleTransition", 2), ("LifecycleExpiration:Delete", 1), ("ObjectRemoved:Delete", 0)] {
        assert_eq!(names.iter().filter(|name| **name == event).count(), count, "LC-32, {event}: {names:?}");
    }
    let status = bench.json(&["status"]);
    assert!(status[0]["lifecycle"]["total"]["moved"].as_u64() >= Some(2), "{status:?}");
    assert!(sh(&bench, "cat .keyfold/metrics").contains("keyfold_lifecycle_deeds{action=\"transition\"} 2"));
    sh(&bench, "cd photos; rm .keyfold/lifecycle.json; grep -q 'no lifecycle rules' .keyfold/lifecycle.preview");
    bench.umount();
    assert_eq!(bench.ok(&["fsck"]), "");
}

#[test]
fn a_file_that_is_open_for_writing_is_left_alone() {
    use std::io::Write as _;
    let bench = quick("1s");
    sh(&bench, "mkdir logs; cd logs; echo one > app.log; echo one > idle.log");
    let at = |name: &str| bench.mountpoint.join("logs").join(name);
    let mut open = std::fs::File::options().append(true).open(at("app.log")).unwrap();
    let rules = r#"{"Rules":[{"Status":"Enabled","Filter":{"Prefix":""},"Expiration":{"Days":2}}]}"#;
    std::fs::write(bench.mountpoint.join("logs/.keyfold/lifecycle.json"), rules).unwrap();
    until(&bench, "test ! -e logs/idle.log");
    // Days after it was due.
    std::thread::sleep(Duration::from_secs(2));
    open.write_all(b"two\n").unwrap();
    drop(open);
    assert_eq!(std::fs::read_to_string(at("app.log")).unwrap(), "one\ntwo\n");
    until(&bench, "test ! -e logs/app.log");
    bench.umount();
    assert_eq!(bench.ok(&["fsck"]), "");
}

#[test]
fn lc_36_what_was_deleted_comes_back_until_its_history_ends() {
    let bench = quick("40ms");
    sh(
        &bench,
        r#"mkdir docs; setfattr -n user.s3.versioning -v Enabled docs; cd docs
        cat > .keyfold/lifecycle.json <<END
{"Rules": [{"ID": "old", "Status": "Enabled", "Filter": {},
 "NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "StorageClass": "STANDARD_IA"},
                                  {"NoncurrentDays": 180, "StorageClass": "DEEP_ARCHIVE"}],
 "NoncurrentVersionExpiration": {"NoncurrentDays": 365},
 "Expiration": {"ExpiredObjectDeleteMarker": true}}]}
END
        head -c 200000 /dev/zero > kept; head -c 200000 /dev/zero > gone; rm kept gone
        rm .versions/kept/*~deleted; test $(wc -c < kept) = 200000"#,
    );
    let class = |class: &str| {
        format!(
            "cd docs/.versions/gone; test $(getfattr -n user.s3.storage-class --only-values $(ls | grep -v deleted)) = {class}"
        )
    };
    until(&bench, &class("STANDARD_IA"));
    until(&bench, &class("DEEP_ARCHIVE"));
    until(&bench, "test ! -e docs/.versions/gone");
    assert_eq!(sh(&bench, "ls docs; ls docs/.versions/kept | wc -l"), "kept\n1\n");
    bench.umount();
    assert_eq!(bench.ok(&["fsck"]), "");
}

#[test]
fn lc_1_nonsense_is_refused_while_it_is_written_and_the_old_rules_stay() {
    let bench = quick("1h");
    let rule = r#"{"Rules":[{"ID":"r","Status":"Enabled","Filter":{},"Expiration":{"Days":DAYS}}]}"#;
    let good = rule.replace("DAYS", "7");
    std::fs::create_dir(bench.mountpoint.join("bkt")).unwrap();
    let file = bench.mountpoint.join("bkt/.keyfold/lifecycle.json");
    std::fs::write(&file, &good).unwrap();
    let shown = std::fs::read_to_string(&file).unwrap();
    assert!(shown.contains("\"Days\": 7"), "{shown}");
    let refused = std::fs::write(&file, rule.replace("DAYS", "0")).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), shown);
    let errors = sh(&bench, "tail -n 1 bkt/.keyfold/errors");
    assert!(errors.contains("at least 1 (LC-10)"), "{errors}");
    // By an editor: a temporary file, renamed.
    sh(
        &bench,
        "cd bkt/.keyfold; sed 's/7/9/' lifecycle.json > .lifecycle.json.new; mv .lifecycle.json.new lifecycle.json",
    );
    assert!(bench.ok(&["bucket", "get", "bkt", "lifecycle"]).contains("\"Days\": 9"));
    sh(&bench, "getfattr -n user.s3.lifecycle --only-values bkt | grep -q 'Days.: 9'");
    bench.fails(2, &["bucket", "set", "bkt", "lifecycle", r#"{"Rules":[]}"#]);
    bench.ok(&["bucket", "set", "bkt", "versioning", "Enabled"]);
    let warned = bench.run(&["bucket", "set", "bkt", "lifecycle", &good]);
    assert!(warned.err.contains("NoncurrentVersionExpiration") && warned.status == Some(0), "VER-20: {warned:?}");
    assert!(sh(&bench, "cat bkt/.keyfold/errors").contains("VER-20"));
    sh(&bench, "rm bkt/.keyfold/lifecycle.json; ! cat bkt/.keyfold/lifecycle.json 2> /dev/null");
    bench.fails(3, &["lifecycle", "preview", "bkt"]);
    bench.umount();
}

#[test]
fn lc_37_a_killed_process_leaves_nothing_out_and_does_nothing_twice() {
    let bench = quick("100ms");
    sh(
        &bench,
        r#"mkdir bkt; cd bkt; for i in $(seq 400); do echo $i > f$i; done; sync -f f1
        echo '{"Rules":[{"ID":"r","Status":"Enabled","Filter":{"Prefix":"f"},"Expiration":{"Days":1}}]}' > .keyfold/lifecycle.json"#,
    );
    for _ in 0..2 {
        let pid = bench.pid().to_string();
        std::thread::sleep(Duration::from_millis(150));
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        super::bench::until("the mount is dead", || std::fs::metadata(&bench.mountpoint).is_err());
        bench.ok(&["mount".as_ref(), "--replace".as_ref(), bench.store.as_os_str(), bench.mountpoint.as_os_str()]);
    }
    until(&bench, "test $(ls bkt | wc -l) = 0");
    let events = bench.json(&["events", "tail", "--after", "0"]);
    let mut gone: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "LifecycleExpiration:Delete")
        .filter_map(|event| event["key"].as_str())
        .collect();
    gone.sort_unstable();
    let count = gone.len();
    gone.dedup();
    assert_eq!((gone.len(), count), (400, 400));
    bench.umount();
    assert_eq!(bench.ok(&["fsck"]), "");
}

#[test]
fn a_run_by_hand_says_what_it_did_or_would_do() {
    let bench = quick("1h");
    bench.umount();
    let rules = r#"{"Rules":[{"ID":"r","Status":"Enabled","Filter":{},"Expiration":{"Date":"2020-01-01"}}]}"#;
    bench.ok(&["bucket", "create", "bkt"]);
    bench.mount();
    sh(&bench, "echo one > bkt/f");
    bench.umount();
    bench.ok(&["bucket", "set", "bkt", "lifecycle", rules]);
    let would = bench.json(&["lifecycle", "run", "--dry-run", "bkt"]);
    assert_eq!((would[0]["action"].as_str(), would[0]["dry_run"].as_bool()), (Some("delete"), Some(true)), "{would:?}");
    assert_eq!(bench.json(&["ls", "bkt"]).len(), 1);
    for now in [&["--now=2100-01-01"][..], &["--now", "2100-01-01"]] {
        let early = bench.fails(2, &[&["lifecycle", "run"], now, &["bkt"]].concat());
        assert!(early.contains("--dry-run"), "{early}");
    }
    let done = bench.json(&["lifecycle", "run", "--now", "bkt"]);
    assert_eq!((done[0]["key"].as_str(), done[1]["deleted"].as_u64()), (Some("f"), Some(1)), "{done:?}");
    assert!(bench.json(&["ls", "bkt"]).is_empty());
    assert!(bench.ok(&["lifecycle", "run"]).contains("nothing is due"));
}

#[test]
fn gen_2_short_days_are_refused_in_a_store_that_was_not_made_so() {
    let bench = Bench::new();
    bench.ok(&["init".as_ref(), bench.store.as_os_str()]);
    std::fs::write(bench.store.join("keyfold.toml"), "[debug]\nday = \"10s\"\n").unwrap();
    assert!(bench.fails(2, &["status"]).contains("--debug-clock"));
}

#[test]
fn it_6_looking_at_a_file_and_tagging_it_is_no_use_of_it() {
    let bench = quick("200ms");
    sh(
        &bench,
        "mkdir bkt; setfattr -n user.s3.storage-class -v INTELLIGENT_TIERING bkt; head -c 131072 /dev/zero > bkt/f",
    );
    let tier = |tier: &str| format!("test $(getfattr -n user.s3.access-tier --only-values bkt/f) = {tier}");
    let looks = "ls -l bkt/f; setfattr -n user.s3.tag.at -v $(date +%N) bkt/f; getfattr -n user.s3.info bkt/f";
    // It sinks while it is looked at.
    until(&bench, &format!("{looks} > /dev/null; ! {}", tier("FREQUENT")));
    sh(&bench, "cat bkt/f > /dev/null");
    until(&bench, &tier("FREQUENT"));
    bench.umount();
    assert_eq!(bench.ok(&["fsck"]), "");
}
