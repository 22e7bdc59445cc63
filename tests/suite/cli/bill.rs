//! Bills from a shell: what was stored and used, by a list of prices that the store's settings change.

use super::bench::Bench;

fn micros(amount: &serde_json::Value) -> u64 {
    amount.as_str().unwrap().replace('.', "").parse().unwrap()
}

#[test]
fn cost_1_a_bill_explains_each_line_and_adds_up() {
    let bench = Bench::new();
    bench.ok(&["init".as_ref(), bench.store.as_os_str()]);
    bench.ok(&["bucket", "create", "photos"]);
    bench.ok(&["bucket", "create", "music"]);
    let settings = bench.store.join("keyfold.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let priced = text.replace("[prices]", "[prices]\ncurrency = \"EUR\"\nSTANDARD.storage = 1000000000");
    std::fs::write(&settings, &priced).unwrap();
    bench.mount();
    std::fs::write(bench.mountpoint.join("photos/a"), vec![7; 1 << 20]).unwrap();
    std::fs::write(bench.mountpoint.join("music/b"), vec![7; 1 << 20]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let rows = bench.json(&["bill"]);
    let sums: Vec<_> = rows.iter().filter(|row| row["item"] == "total").collect();
    assert_eq!(sums.len(), 3, "{rows:?}");
    for sum in &sums {
        let lines = rows.iter().filter(|row| row["item"] != "total");
        let mine = lines.filter(|row| sum["bucket"].is_null() || row["bucket"] == sum["bucket"]);
        assert_eq!(mine.map(|row| micros(&row["amount"])).sum::<u64>(), micros(&sum["amount"]), "{rows:?}");
    }
    let line = rows.iter().find(|row| row["bucket"] == "photos").unwrap();
    assert_eq!(
        (&line["class"], &line["item"], &line["unit"]),
        (&"STANDARD".into(), &"storage".into(), &"GB-month".into())
    );
    assert_eq!((&line["price"], &line["currency"]), (&"1000000000.000000000".into(), &"EUR".into()));
    assert!(micros(&line["amount"]) > 0, "a second of a megabyte, at that price: {line}");
    let table = bench.ok(&["bill", "--bucket", "photos"]);
    assert!(table.contains("EUR") && table.contains("all buckets") && !table.contains("music"), "{table}");
    let shown = bench.ok(&["bucket", "show", "photos"]);
    assert!(shown.contains("STANDARD"), "{shown}");
    let stats = std::fs::read_to_string(bench.mountpoint.join("photos/.keyfold/stats.json")).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["classes"]["STANDARD"]["bytes"], 1 << 20);
    let metrics = std::fs::read_to_string(bench.mountpoint.join(".keyfold/metrics")).unwrap();
    let gauge = "keyfold_bucket_class_bytes{bucket=\"photos\",class=\"STANDARD\",state=\"current\"} 1048576";
    assert!(metrics.contains(gauge), "{metrics}");
    assert_eq!(bench.json(&["bill", "--month", "2020-01"]).len(), 1);
    bench.fails(2, &["bill", "--month", "2999-01"]);
    bench.fails(2, &["bill", "--month", "january"]);
    bench.fails(3, &["bill", "--bucket", "nowhere"]);
    bench.umount();
    std::fs::write(&settings, text.replace("[prices]", "[prices]\nSTANDARD.put = -1\nGLACIER.gett = 3")).unwrap();
    bench.fails(2, &["bill"]);
}
