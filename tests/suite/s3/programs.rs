//! Programs and libraries that people use over S3, each doing what it is used for: scripts of this directory, one a client.

use super::harness::{Served, mounted};

/// Runs a script of bash whose program talks to the endpoint of a mounted store, and which compares at the mount.
#[track_caller]
fn run(script: &str, program: &str) {
    let (mounted, client) = mounted();
    let within = mounted.aside("client");
    std::fs::create_dir(&within).unwrap();
    client.shell(script, program, &within, &mounted.root());
    mounted.fsck();
}

/// Runs a script of Python, which compares what it reads with what it wrote; the store must be whole afterwards.
#[track_caller]
fn python(script: &str) {
    let served = Served::start();
    let within = served.aside("client");
    std::fs::create_dir(&within).unwrap();
    served.client.script_within(&within, script);
    let checked = served.keyfold(&["fsck"]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn auth_1_s3cmd_syncs_and_copies_and_signs_by_version_4_only() {
    run("s3cmd.sh", "s3cmd");
}

#[test]
fn s5cmd_copies_and_removes_many_at_once() {
    run("s5cmd.sh", "s5cmd");
}

#[test]
fn rclone_syncs_checks_moves_and_reads_old_versions() {
    run("rclone.sh", "rclone");
}

#[test]
fn restic_backs_up_forgets_prunes_checks_and_restores() {
    run("restic.sh", "restic");
}

#[test]
fn s3fs_mounts_a_bucket() {
    run("s3fs.sh", "s3fs");
}

#[test]
fn minio_for_python_puts_copies_composes_and_lists() {
    python("minio_client.py");
}

#[test]
fn pyarrow_writes_and_reads_data_sets() {
    python("arrow.py");
}

#[test]
fn duckdb_writes_and_reads_parquet_and_csv() {
    python("duck.py");
}
