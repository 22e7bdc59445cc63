//! Control files: documents that are replaced as a whole, events, errors, state.

use super::{Mounted, errno, names_in, text};
use nix::errno::Errno;
use std::fs;

#[test]
fn versioning_is_read_and_replaced() {
    let mut mounted = Mounted::start();
    let file = mounted.path(".keyfold/versioning.json");
    mounted.sh("echo '{\"Status\": \"Enabled\"}' > .keyfold/versioning.json; echo 1 > f; echo 2 > f");
    assert_eq!(mounted.versions("f").len(), 2);
    assert!(fs::read_to_string(&file).unwrap().contains("Enabled"));
    mounted.restart();
    mounted.sh("sed -i s/Enabled/Suspended/ .keyfold/versioning.json");
    assert_eq!(xattr::get(mounted.path(""), "user.s3.versioning").unwrap().unwrap(), b"Suspended");
}

/// Who is told so must be told by `write`: a shell looks at nothing else.
#[test]
fn what_is_not_valid_is_refused_and_the_old_one_stays() {
    let mounted = Mounted::versioned();
    for bad in ["{\"Status\": \"Perhaps\"}", "{\"Status\": 1}", "[]"] {
        let output = mounted.try_sh(&format!("echo '{bad}' > .keyfold/versioning.json"));
        assert!(!output.status.success(), "{bad}");
        assert!(text(&output.stderr).contains("Invalid argument"), "{}", text(&output.stderr));
    }
    assert!(fs::read_to_string(mounted.path(".keyfold/versioning.json")).unwrap().contains("Enabled"));
    assert!(mounted.errors().contains("versioning"), "{}", mounted.errors());
}

#[test]
fn documents_come_and_go() {
    let mounted = Mounted::start();
    let tags = r#"{"TagSet": [{"Key": "team", "Value": "one"}]}"#;
    mounted.sh(&format!(
        "test ! -e .keyfold/tagging.json; echo '{tags}' > .keyfold/tagging.json; ls .keyfold | grep tagging"
    ));
    let read: serde_json::Value =
        serde_json::from_slice(&fs::read(mounted.path(".keyfold/tagging.json")).unwrap()).unwrap();
    assert_eq!(read, serde_json::from_str::<serde_json::Value>(tags).unwrap());
    // An editor's way: a temporary name, renamed over.
    mounted.sh("sed 's/one/two/' .keyfold/tagging.json > .keyfold/tagging.json~; mv .keyfold/tagging.json~ .keyfold/tagging.json; grep -q two .keyfold/tagging.json
        vim -Nu NONE -i NONE -es -c '%s/two/three/' -c wq .keyfold/tagging.json < /dev/null || true; grep -q three .keyfold/tagging.json
        rm .keyfold/tagging.json; test ! -e .keyfold/tagging.json");
    assert_eq!(errno(fs::create_dir(mounted.path(".keyfold/x"))), Errno::EPERM);
    assert!(fs::remove_dir(mounted.path(".keyfold")).is_err());
}

#[test]
fn events_are_appended_and_tailed() {
    let mounted = Mounted::versioned();
    mounted.sh(
        "timeout 20 tail -n +1 -F .keyfold/events > $T/events 2> /dev/null & pid=$!
        echo 1 > f; echo 2 > f; rm f
        for i in $(seq 100); do grep -q DeleteMarker $T/events && break; sleep 0.1; done; kill $pid; wait $pid || true",
    );
    let events = fs::read_to_string(mounted.aside("events")).unwrap();
    for line in events.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert_eq!(events.matches("ObjectCreated").count(), 2, "{events}");
    assert_eq!(events.matches("DeleteMarkerCreated").count(), 1, "{events}");
    let at = events.find('\n').unwrap() + 1;
    let resumed = mounted.sh(&format!("tail -c +{} .keyfold/events", at + 1));
    assert_eq!(resumed, events[at..], "an offset stays where it is");
}

#[test]
fn errors_are_told_in_three_parts() {
    let mounted = Mounted::start();
    assert_eq!(mounted.errors(), "");
    assert!(fs::create_dir(mounted.root().join("Bad_Name")).is_err());
    let line: serde_json::Value = serde_json::from_str(mounted.errors().lines().next().unwrap()).unwrap();
    for field in ["time", "op", "path", "code", "what", "why", "mend"] {
        assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {line}");
    }
    assert_eq!(line["code"], "InvalidBucketName");
    let told = mounted.keyfold(&["errors", "--json"]);
    assert!(text(&told.stdout).contains("InvalidBucketName"));
}

#[test]
fn state_is_told_in_files() {
    let mounted = Mounted::versioned();
    mounted.sh("echo 1 > f");
    let status: serde_json::Value =
        serde_json::from_slice(&fs::read(mounted.root().join(".keyfold/status.json")).unwrap()).unwrap();
    assert_eq!((status["pid"].as_u64(), status["buckets"].as_u64()), (Some(mounted.pid().into()), Some(1)));
    let stats: serde_json::Value =
        serde_json::from_slice(&fs::read(mounted.path(".keyfold/stats.json")).unwrap()).unwrap();
    assert!(stats.is_object());
    let metrics = fs::read_to_string(mounted.root().join(".keyfold/metrics")).unwrap();
    assert!(metrics.contains("# TYPE ") && metrics.ends_with("# EOF\n"), "{metrics}");
    assert_eq!(names_in(&mounted.path(".keyfold/uploads")).len(), 0);
    mounted.sh("wc -c .keyfold/* $M/.keyfold/* 2> /dev/null > /dev/null || true; cat $M/.keyfold/events > /dev/null");
}
