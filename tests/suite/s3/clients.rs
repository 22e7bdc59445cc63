//! Clients that people have: boto3 by scripts of this directory, one an area, and the AWS command line.

use super::harness::Served;
use crate::mount::KEYFOLD;
use std::process::Command;

#[test]
fn boto3_buckets() {
    Served::start().client.script("buckets.py", &[]);
}

#[test]
fn boto3_archives() {
    Served::start().client.script("archives.py", &[]);
}

#[test]
fn boto3_cors() {
    Served::start().client.script("cors.py", &[]);
}

#[test]
fn boto3_analytics() {
    Served::start().client.script("analytics.py", &[]);
}

#[test]
fn boto3_lifecycle() {
    Served::start().client.script("lifecycle.py", &[]);
}

/// COST-1, COST-6: what was asked for over HTTP and done is on the bill, what was refused is not.
#[test]
fn cost_6_requests_are_billed_by_tier_and_class_and_failures_are_not() {
    let served = Served::start();
    served.client.script("metered.py", &[]);
    let output = Command::new(KEYFOLD).arg("--store").arg(served.store()).args(["--json", "bill"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let rows: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |class: &str, item: &str| {
        let line = rows.iter().find(|row| row["class"] == class && row["item"] == item);
        line.map(|line| line["quantity"].as_str().unwrap().to_owned())
    };
    // In thousands; a bucket made, one listing, one object and five copies.
    assert_eq!(told("STANDARD", "PUT, COPY, POST, LIST").as_deref(), Some("0.008000"), "{rows:?}");
    assert_eq!(told("ONEZONE_IA", "PUT, COPY, POST, LIST").as_deref(), Some("0.004000"), "{rows:?}");
    assert_eq!(told("ONEZONE_IA", "retrieval"), None);
    assert_eq!(told("STANDARD", "GET and others"), None);
    assert_eq!(told("STANDARD_IA", "PUT, COPY, POST, LIST").as_deref(), Some("0.001000"));
    assert_eq!(told("STANDARD_IA", "GET and others").as_deref(), Some("0.005000"));
    // 9,010 bytes of a GB, of which 6,000 were copied and not sent.
    assert_eq!(told("STANDARD_IA", "retrieval").as_deref(), Some("0.000008"));
    assert_eq!(told("STANDARD_IA", "bytes out").as_deref(), Some("0.000003"));
    assert_eq!(told("STANDARD_IA", "early deletion"), None);
}

#[test]
fn boto3_every_operation() {
    Served::start().client.script("operations.py", &[]);
}

#[test]
fn boto3_objects() {
    Served::start().client.script("objects.py", &[]);
}

#[test]
fn boto3_conditions() {
    Served::start().client.script("conditions.py", &[]);
}

#[test]
fn boto3_listings() {
    Served::start().client.script("listings.py", &[]);
}

#[test]
fn boto3_versions() {
    Served::start().client.script("versions.py", &[]);
}

#[test]
fn boto3_multipart() {
    Served::start().client.script("multipart.py", &[]);
}

#[test]
fn boto3_copies_and_tags() {
    Served::start().client.script("copies.py", &[]);
}

#[test]
fn boto3_checksums() {
    Served::start().client.script("checksums.py", &[]);
}

#[test]
fn boto3_keys() {
    Served::start().client.script("keys.py", &[]);
}

/// Runs a script that is told the key of another user, who may make buckets.
#[track_caller]
fn with_another(script: &str) {
    let served = Served::start();
    let added = served.keyfold(&["user", "add", "other", "--uid", "2001", "--gid", "2001", "--create-buckets"]);
    assert!(added.status.success(), "{added:?}");
    let other = served.client_of("other").key;
    served.client.script(script, &[&other.id, &other.secret]);
}

#[test]
fn boto3_signatures() {
    with_another("auth.py");
}

#[test]
fn meta_1_expires_that_is_no_date() {
    with_another("expires.py");
}

#[test]
fn the_aws_command_line_copies_lists_and_syncs() {
    let served = Served::start();
    let (aws, dir) = (|arguments: &[&str]| served.client.aws(arguments), served.aside("files"));
    std::fs::create_dir(&dir).unwrap();
    let big: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(dir.join("big"), &big).unwrap();
    std::fs::write(dir.join("small file"), "text").unwrap();
    let (dir, back) = (dir.to_str().unwrap(), served.aside("back"));
    aws(&["s3", "mb", "s3://photos"]);
    aws(&["s3", "cp", &format!("{dir}/big"), "s3://photos/in/big"]);
    aws(&["s3", "sync", dir, "s3://photos/synced"]);
    let listed = aws(&["s3", "ls", "--recursive", "s3://photos"]);
    assert!(listed.contains("20000000 in/big") && listed.contains("4 synced/small file"), "{listed}");
    aws(&["s3", "cp", "s3://photos/synced/big", "s3://photos/copied"]);
    aws(&["s3", "mv", "s3://photos/copied", "s3://photos/moved"]);
    aws(&["s3", "sync", "s3://photos", back.to_str().unwrap()]);
    for name in ["in/big", "synced/big", "moved"] {
        assert!(std::fs::read(back.join(name)).unwrap() == big, "{name}");
    }
    aws(&["s3", "rb", "--force", "s3://photos"]);
    assert_eq!(aws(&["s3", "ls"]), "");
}
