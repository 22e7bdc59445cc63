//! Each rule of the style bites: a bad sample is found, a good one is let pass.

use super::documents::missing_tests;
use super::rules::unproven;
use super::source::{Finding, Source};
use super::{
    LINES_MAX, MACHINE_PATHS, commented_out, house, leftovers, length, machines, packages, packages_without_rooms,
    purpose, seam, unreachable,
};

/// The lines a rule finds in a sample.
fn lines(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
    rule(&Source::new(path, text)).iter().map(|finding| finding.line).collect()
}

#[test]
fn an_import_up_or_sideways_is_found() {
    let found = |path, text| lines(house, path, text);
    assert_eq!(found("src/index/db.rs", "use crate::store::Store;"), [1], "up");
    assert_eq!(found("src/index/db.rs", "\nuse crate::chunklog::Segment;"), [2], "sideways");
    assert_eq!(found("src/index/db.rs", "use crate::{model::Key, store::{Put, Get}};"), [1, 1], "in a tree");
    assert_eq!(found("src/index/mod.rs", "use super::store::Store;"), [1], "by super");
    assert_eq!(
        found("src/index/db.rs", "mod tests {\nuse super::super::super::store;\n}"),
        [2],
        "from a module inside"
    );
    assert_eq!(found("src/index/db.rs", "fn f() -> crate::store::Put { 1 }"), [1], "by its whole path");
    assert_eq!(found("src/config/mod.rs", "use crate::sys::Clock;"), [1], "config sees the model only");
    assert_eq!(found("src/gateway/mod.rs", "use crate::vfs::Tree;"), [1], "a door is no way to another");
    assert_eq!(found("src/utils/mod.rs", "use crate::model::Key;"), [1], "a room that is not in the house");
    assert_eq!(found("src/index/db.rs", "use keyfold::model::Key;"), [1], "by the library's outer name");
}

#[test]
fn an_import_down_is_fine() {
    let good = "//! Never crate::store::Put.\nuse crate::model::Key;\nuse crate::index::scan;\nuse super::store;\n\
                const A: &str = \"crate::store::Put\"; /* crate::store */ const B: &str = r#\"\"crate::store::Put\"#;\n\
                const C: char = '\"'; fn f<'a>(x: &'a str) -> char { '\\'' } mod tests { use super::super::scan; }";
    assert_eq!(lines(house, "src/index/db.rs", good), [0; 0]);
    assert_eq!(lines(house, "src/fuse/mod.rs", "use crate::vfs::Tree;"), [0; 0]);
    assert_eq!(lines(house, "src/lib.rs", "pub use crate::store::Store;"), [0; 0]);
}

#[test]
fn a_package_outside_its_rooms_is_found() {
    let found = |path, text| lines(packages, path, text);
    assert_eq!(found("src/store/put.rs", "use rocksdb::DB;"), [1]);
    assert_eq!(found("src/store/put.rs", "use {std::fmt, rocksdb::{self, DB}};"), [1, 1]);
    assert_eq!(found("src/store/put.rs", "use rocksdb as r;"), [1]);
    assert_eq!(found("src/store/put.rs", "extern crate rocksdb;"), [1]);
    assert_eq!(found("src/store/put.rs", "fn f(db: &::rocksdb::DB) {}"), [1]);
    assert_eq!(found("src/store/put.rs", "#[tokio::test]\nasync fn f() {}"), [1]);
    assert_eq!(found("src/sys/disk.rs", "fn f() { libc::fsync(1); }"), [1], "named nowhere");
    assert_eq!(found("src/main.rs", "fn main() { clap::Command::new(1) }"), [1], "the crate's root is no room");
}

#[test]
fn a_lock_beside_the_seam_is_found() {
    let found = |path, text| lines(seam, path, text);
    assert_eq!(found("src/store/put.rs", "use parking_lot::Mutex;"), [1]);
    assert_eq!(found("src/index/db.rs", "use std::sync::{Arc, atomic::AtomicU64};"), [1]);
    assert_eq!(found("src/vfs/io.rs", "fn f(at: &std::sync::atomic::AtomicBool) {}"), [1]);
    assert_eq!(found("src/chunklog/log.rs", "fn f() {}\nfn g() { std::thread::yield_now(); }"), [2]);
    assert_eq!(found("src/vfs/io.rs", "use std::sync::Mutex;"), [1]);
}

#[test]
fn the_seam_and_other_rooms_are_fine() {
    let found = |path, text| lines(seam, path, text);
    assert_eq!(
        found("src/store/put.rs", "use crate::sys::sync::Mutex;\nuse std::sync::{Arc, OnceLock, Weak};"),
        [0; 0]
    );
    assert_eq!(found("src/fuse/pool.rs", "use parking_lot::Mutex;"), [0; 0]);
    assert_eq!(found("src/index/tests.rs", "use std::sync::atomic::AtomicU64;"), [0; 0]);
    assert_eq!(found("src/store/put.rs", "mod tests {\nuse std::thread;\n}"), [0; 0]);
}

#[test]
fn a_package_in_its_rooms_is_fine() {
    let found = |path, text| lines(packages, path, text);
    assert_eq!(found("src/index/db.rs", "use rocksdb::DB;\nuse serde::Serialize;"), [0; 0]);
    assert_eq!(found("src/store/put.rs", "use std::time;\nfn f(t: time::Duration, u: std::time::Instant) {}"), [0; 0]);
    assert_eq!(found("src/store/mod.rs", "mod time;\npub use time::Stamp;"), [0; 0], "a module of its own");
    assert_eq!(found("src/store/put.rs", "use std::{fmt, time::Duration};"), [0; 0], "a path's later part");
    assert_eq!(found("src/store/put.rs", "fn f() { <A as B>::libc::g(); a.time(); }"), [0; 0]);
}

#[test]
fn a_dependency_without_rooms_is_found() {
    let manifest =
        "[package]\nname = 1\n[dependencies]\ncrc-fast = 1\nleft-pad = 1\n[dev-dependencies]\nproptest = 1\n";
    assert_eq!(lines(packages_without_rooms, "Cargo.toml", manifest), [5]);
}

#[test]
fn a_file_nobody_compiles_is_found() {
    let tree = [
        ("src/lib.rs", "//! mod lost;\npub mod a; mod inline { mod c; }"),
        ("src/a/mod.rs", "mod b;"),
        ("src/a/b.rs", "mod d;"),
        ("src/a/b/d.rs", ""),
        ("src/inline/c.rs", ""),
        ("src/lost.rs", ""),
        ("tests/suite/forgotten.rs", ""),
        ("tests/other.rs", ""),
    ];
    let found = unreachable(&tree.map(|(path, text)| Source::new(path, text)));
    let paths: Vec<_> = found.iter().map(|finding| finding.path.to_string_lossy()).collect();
    assert_eq!(paths, ["src/lost.rs", "tests/suite/forgotten.rs"]);
}

#[test]
fn a_file_without_a_purpose_is_found() {
    for text in ["", "use std::fmt;", "//! Keys.", "// What it is for.", "\n//! What it is for."] {
        assert_eq!(lines(purpose, "src/a.rs", text), [1], "{text:?}");
    }
    assert_eq!(lines(purpose, "src/a.rs", "//! What it is for.\n"), [0; 0]);
}

#[test]
fn a_file_that_is_too_long_is_found() {
    assert_eq!(lines(length, "src/a.rs", &"x\n".repeat(LINES_MAX + 1)), [LINES_MAX + 1]);
    assert_eq!(lines(length, "src/a.rs", &"x\n".repeat(LINES_MAX)), [0; 0]);
}

#[test]
fn things_left_half_done_are_found() {
    let found = |text: &str| lines(leftovers, "src/a.rs", &text.replace('%', ""));
    assert_eq!(found("fn f() {\n    todo!(\"later\")\n}"), [2]);
    assert_eq!(found("fn f() { unimplemented!() }"), [1]);
    assert_eq!(found("#[test]\n#[ignore]\nfn f() {}"), [2]);
    assert_eq!(found("#[ignore = \"slow\"]\nfn f() {}"), [1]);
    assert_eq!(found("#[cfg_attr(unix, ignore)]\nfn f() {}"), [1]);
    assert_eq!(found("// FIX%ME: wrong\n/* a\nXX%X */"), [1, 3]);
    assert_eq!(found("// TO%DO: later"), [1]);
    assert_eq!(found("// TO%DO(ann): later\nlet ignore = f(\"TO%DO\"); // like mkstemp(fXXXX%XX)"), [0; 0]);
}

#[test]
fn commented_out_code_is_found() {
    let code = "fn f() {\n// let a = 1;\n// if a {\n// }\n// b();\n}";
    assert_eq!(lines(commented_out, "src/a.rs", code), [2]);
    let prose = "// Why;\n// and so on;\n// but not more.\n/// a;\n/// b;\n/// c;\n// d;\nf();\n// e;\n";
    assert_eq!(lines(commented_out, "src/a.rs", prose), [0; 0]);
}

#[test]
fn a_path_of_one_machine_is_found() {
    for path in MACHINE_PATHS {
        assert_eq!(lines(machines, "src/a.rs", &format!("\nlet a = \"{path}x\";")), [2]);
        assert_eq!(lines(machines, "src/a.rs", &format!("see https://example.org{path}x, ~{path}x, a{path}")), [0; 0]);
    }
}

#[test]
fn a_rule_without_test_and_reason_is_found() {
    let sources = [
        Source::new("src/store/a.rs", "/// LC-1\nfn lc_2_x() {}\n#[cfg(test)]\nmod tests {\n// LC-3 to LC-5\n}"),
        Source::new("tests/suite/engine/a.rs", "fn lc_6_and_lc_7_hold() {}\n// XLC-8, slc_9, LC-10x, LC-11, LC-99"),
        Source::new("src/a/tests/b.rs", "fn lc_12_to_lc_14() {}"),
    ];
    let found = |page: &str| -> Vec<String> {
        let page = Source::new("RULES.md", page);
        unproven(&[("LC", 15)], &page, &sources).iter().map(|finding| finding.what.clone()).collect()
    };
    let missing = |rules: &[u32]| -> Vec<String> {
        rules.iter().map(|n| format!("LC-{n} has no test that names it and no line here")).collect()
    };
    assert_eq!(found(""), missing(&[1, 2, 8, 9, 15]));
    assert_eq!(found("| LC-1, LC-2 | not yet |\n| LC-8 to LC-9 | why |"), missing(&[15]));
    let bad = found("| LC-1 to LC-2 | |\n| LC-8 | why |\n| LC-9 | why |\n| LC-15 | why |\n| LC-7 | why |");
    assert_eq!(bad, ["nothing is said of LC-1 to LC-2", "LC-7 has a test: take it out"]);
}

#[test]
fn a_test_that_is_named_and_not_there_is_found() {
    let tests =
        "#[test]\n#[cfg(unix)]\nfn one_of_them() {}\nfn no_such_test() {}\nmod within {\n#[test]\nfn two() {}\n}";
    let sources = [
        Source::new("tests/suite/engine/rounds.rs", tests),
        Source::new("tests/suite/engine/mod.rs", ""),
        Source::new("tests/schedules/main.rs", ""),
        Source::new("tests/schedules/rounds.rs", "#[test]\nfn third_of_all_tests() {}"),
        Source::new("src/index/tests.rs", "proptest! {\n#[test]\nfn any(n in 0..9) {}\n}"),
    ];
    let found = |text: &str| -> Vec<usize> {
        missing_tests(&Source::new("A.md", text), &sources).iter().map(|finding| finding.line).collect()
    };
    let good = "`engine::rounds`, `engine::`, `engine::rounds::one_of_them`\n`rounds::within::two` `one_of_them`, `one_of_...`\n\
                `cargo nextest run engine::rounds schedules::`, `schedules::...tests`, `index::tests::any`\n\
                `two`, `KEYFOLD_LONG_FORM`, `a_b`, `engine/rounds.rs`, no_such_test";
    assert_eq!(found(good), [0; 0]);
    for bad in ["engine::rounds::no_such_test", "one_of_these", "one_of_...x", "rounds::two", "gine::rounds", "a::b"] {
        assert_eq!(found(&format!("\n| what | `{bad}` |")), [2], "{bad}");
    }
}
