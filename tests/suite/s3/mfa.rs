//! MFA delete at the doors: over HTTP, on the command line, and on a mount, which has no way to give a code.

use super::harness::{Served, mounted};
use nix::errno::Errno;
use serde_json::Value;
use std::process::Output;

fn device(ran: &Output) -> (String, String) {
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let row: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    assert!(text("uri").starts_with("otpauth://totp/"));
    (text("serial"), text("secret"))
}

#[test]
fn mfa_1_to_mfa_8_over_http() {
    let served = Served::start();
    let (serial, secret) = device(&served.keyfold(&["mfa", "add", "phone", "--json"]));
    served.client.script("mfa.py", &["root", &serial, &secret]);
    assert!(served.keyfold(&["user", "add", "anna", "--uid", "70001", "--create-buckets"]).status.success());
    served.client_of("anna").script("mfa.py", &["other", &serial, &secret]);
    let listed = served.keyfold(&["mfa", "ls"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(&serial) && !listed.contains(&secret), "{listed}");
    assert!(served.keyfold(&["mfa", "rm", "phone"]).status.success());
}

#[test]
fn mfa_1_rm_in_history_is_refused_and_purge_takes_a_code() {
    let (mounted, client) = mounted();
    let (serial, secret) = device(&mounted.keyfold_aside(&["mfa", "add", "phone", "--json"]));
    // Each later than the one before, and within what is taken.
    let code = |steps: &str| client.script("mfa.py", &["code", &serial, &secret, steps]).trim().to_owned();
    let run = |arguments: &[&str]| mounted.keyfold_aside(arguments).status.code();
    let both = r#"{"Status":"Enabled","MFADelete":"Enabled"}"#;
    assert_eq!(run(&["bucket", "set", "bkt", "versioning", both]), Some(4));
    assert_eq!(run(&["bucket", "set", "bkt", "versioning", both, "--mfa", &code("0")]), Some(0));
    mounted.sh("echo one > f; echo two > f; rm f");
    let entries = mounted.versions("f");
    let removed = std::fs::remove_file(mounted.version("f", &entries[2])).unwrap_err();
    assert_eq!(Errno::from_raw(removed.raw_os_error().unwrap()), Errno::EACCES);
    assert!(mounted.errors().contains("MFA-1"), "{}", mounted.errors());
    let version = entries[2].split_once('~').unwrap().1;
    let purge = |mfa: &str| run(&["purge", "bkt/f", "--version", version, "--mfa", mfa]);
    assert_eq!(run(&["purge", "bkt/f", "--version", version]), Some(4));
    let next = code("1");
    assert_eq!((purge(&next), purge(&next)), (Some(0), Some(4)));
    assert_eq!(mounted.versions("f").len(), 2);
    mounted.fsck();
}
