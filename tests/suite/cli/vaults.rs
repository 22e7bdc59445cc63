//! `vault`, as a person locks books away with it.

use super::bench::Bench;

#[test]
fn vault_1_to_vault_9_from_a_shell() {
    let bench = Bench::new();
    bench.ok(&["init".as_ref(), bench.store.as_os_str()]);
    bench.ok(&["bucket", "create", "photos"]);
    bench.mount();
    bench.ok(&["vault", "create", "ledgers"]);
    bench.fails(5, &["vault", "create", "ledgers"]);
    bench.fails(2, &["vault", "create", "L"]);
    bench.fails(3, &["vault", "show", "others"]);
    let books = bench.mountpoint.join("photos/books");
    std::fs::write(&books, b"what was earned").unwrap();
    let books = books.to_str().unwrap();
    let pipe = bench.store.with_file_name("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    bench.fails(2, &["vault", "put", "ledgers", pipe.to_str().unwrap()]);
    bench.fails(2, &["vault", "put", "ledgers", "/dev/stdin"]);
    let put = bench.json(&["vault", "put", "ledgers", books, "--description", "of 2026"]).remove(0);
    let id = put["archive"].as_str().unwrap().to_owned();
    assert_eq!((put["bytes"].as_u64(), put["description"].as_str()), (Some(15), Some("of 2026")));
    // VAULT-8: nobody sees it from elsewhere.
    let names = |dir: &std::path::Path| -> Vec<_> {
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(&bench.mountpoint), ["photos"]);
    assert!(!bench.mountpoint.join("ledgers_vault").exists());
    assert!(std::fs::create_dir(bench.mountpoint.join("ledgers_vault")).is_err());
    assert_eq!(bench.ok(&["ls"]).lines().count(), 1);
    assert_eq!(bench.json(&["bucket", "ls"]).len(), 1);
    let policy = bench.store.with_file_name("policy.json");
    let text = r#"{"Version": "2012-10-17", "Statement": {"Sid": "worm", "Effect": "Deny", "Principal": "*",
        "Action": "glacier:DeleteArchive", "Resource": "arn:aws:glacier:us-east-1:000000000000:vaults/ledgers",
        "Condition": {"NumericLessThanEquals": {"glacier:ArchiveAgeInDays": "365"}}}}"#;
    std::fs::write(&policy, text.replace("ArchiveAge", "Age")).unwrap();
    let policy = policy.to_str().unwrap();
    let said = bench.fails(2, &["vault", "lock", "init", "ledgers", "--policy", policy]);
    assert!(said.contains("glacier:AgeInDays") && said.contains("glacier:ArchiveAgeInDays"), "{said}");
    std::fs::write(policy, text).unwrap();
    let lock = bench.json(&["vault", "lock", "init", "ledgers", "--policy", policy]).remove(0);
    bench.fails(4, &["vault", "delete", "ledgers", &id]);
    bench.fails(2, &["vault", "lock", "complete", "ledgers", "wrong"]);
    bench.ok(&["vault", "lock", "abort", "ledgers"]);
    bench.ok(&["vault", "delete", "--dry-run", "ledgers", &id]);
    assert!(lock["lock_id"].as_str().unwrap().len() > 8);
    let lock = bench.json(&["vault", "lock", "init", "ledgers", "--policy", policy]).remove(0);
    bench.ok(&["vault", "lock", "complete", "ledgers", lock["lock_id"].as_str().unwrap()]);
    bench.umount();
    // Whoever asks, and with no process running either.
    let said = bench.fails(4, &["vault", "delete", "ledgers", &id]);
    assert!(said.contains("\"worm\" of its lock policy"), "{said}");
    bench.fails(4, &["vault", "lock", "abort", "ledgers"]);
    bench.fails(4, &["vault", "lock", "init", "ledgers", "--policy", policy]);
    bench.fails(2, &["vault", "rm", "ledgers"]);
    let shown = bench.ok(&["vault", "show", "ledgers"]);
    assert!(shown.contains("Locked") && shown.contains("ArchiveAgeInDays"), "{shown}");
    assert!(bench.ok(&["vault", "ls", "ledgers"]).contains(&id));
    assert!(bench.ok(&["vault", "ls"]).contains("Locked"));
    let out = bench.store.with_file_name("out");
    bench.ok(&["vault", "get", "ledgers", &id, out.to_str().unwrap()]);
    assert_eq!(std::fs::read(&out).unwrap(), b"what was earned");
    bench.fails(1, &["vault", "get", "ledgers", &id, out.to_str().unwrap()]);
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
}
