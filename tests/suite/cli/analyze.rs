//! Storage class analysis from a shell: set with `cat`, fed by reads of the mount, printed as a table, in a store whose days are short.

use super::bench::{Bench, until};

#[test]
fn sca_2_a_table_and_a_plot_tell_what_is_read_by_age() {
    let bench = Bench::new();
    bench.ok(&["init".as_ref(), "--debug-clock".as_ref(), bench.store.as_os_str()]);
    let settings = bench.store.join("keyfold.toml");
    let text = std::fs::read_to_string(&settings).unwrap() + "day = \"200ms\"\n";
    std::fs::write(&settings, text).unwrap();
    bench.ok(&["bucket", "create", "photos"]);
    bench.ok(&["bucket", "create", "reports"]);
    bench.fails(3, &["analyze", "photos"]);
    bench.fails(3, &["analyze", "nowhere"]);
    bench.mount();
    std::fs::write(bench.mountpoint.join("photos/a"), vec![7; 1 << 20]).unwrap();
    let document = r#"{"AnalyticsConfigurationList": [{"Id": "all", "StorageClassAnalysis": {"DataExport": {
      "OutputSchemaVersion": "V_1", "Destination": {"S3BucketDestination": {
      "Format": "CSV", "Bucket": "arn:aws:s3:::reports", "Prefix": "sca-"}}}}}]}"#;
    std::fs::write(bench.mountpoint.join("photos/.keyfold/analytics.json"), document).unwrap();
    assert!(bench.ok(&["bucket", "get", "photos", "analytics"]).contains("sca-"));
    let told = || bench.json(&["analyze", "photos"]).remove(0);
    until("days are told", || {
        std::fs::read(bench.mountpoint.join("photos/a")).unwrap();
        let all = told()["groups"][12].clone();
        told()["days"].as_u64() >= Some(3) && all["read"].as_u64() > Some(0) && all["stored"] == 1 << 20
    });
    let table = bench.ok(&["analyze", "photos", "--id", "all"]);
    assert!(table.contains("0-14") && table.contains("730+") && table.contains("\u{2588}"), "{table}");
    let report = std::fs::read_to_string(bench.mountpoint.join("reports/sca-all.csv")).unwrap();
    assert!(report.starts_with("Date,ConfigId,") && report.lines().count() > 13, "{report}");
    bench.fails(3, &["analyze", "photos", "--id", "none"]);
    bench.ok(&["bucket", "unset", "photos", "analytics"]);
    bench.fails(3, &["analyze", "photos"]);
    bench.umount();
}
