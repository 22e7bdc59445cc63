//! The style, tested: reads the sources and fails on what review would have to catch by eye.
//!
//! Imports point down the house, every external package stays in its rooms, every file is compiled and says its
//! purpose, none is too long, nothing is left half done, and tests that are named are there. `bites` shows that each rule finds what it is for.

mod bites;
mod documents;
mod rules;
mod source;

use self::source::{Finding, Source, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room and the rooms it may import, from the ground up. A room stands below every room that sees it.
const HOUSE: &[(&str, &str)] = &[
    ("model", ""),
    ("sys", "model"),
    ("telemetry", "model"),
    ("crypto", "model sys"),
    ("index", "model sys telemetry crypto"),
    ("chunklog", "model sys telemetry crypto"),
    ("keys", "model sys telemetry crypto index chunklog"),
    ("store", "model sys telemetry crypto index chunklog keys"),
    ("backup", "model sys chunklog store"),
    ("access", "model sys telemetry crypto index chunklog keys store"),
    ("daemon", "model sys telemetry crypto index chunklog keys store access"),
    ("vfs", "model sys telemetry crypto index chunklog keys store access daemon"),
    ("fuse", "model sys telemetry crypto index chunklog keys store access daemon vfs"),
    ("gateway", "model sys telemetry crypto index chunklog keys store access daemon"),
    ("control", "model sys telemetry crypto index chunklog keys store backup access daemon"),
    ("config", "model store vfs"),
    ("node", "model sys telemetry crypto index chunklog keys store access daemon vfs fuse gateway control config"),
    ("cli", "model sys telemetry crypto index chunklog keys store access daemon control config node"),
];

/// Each external package and the rooms that may name it: `*` is every room, nothing is none.
const PACKAGES: &[(&str, &str)] = &[
    ("aes", "crypto"),
    ("aes_gcm", "crypto"),
    ("arc_swap", "index config node"),
    ("async_trait", "gateway"),
    ("base64", "*"),
    ("bytes", "*"),
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("clap_mangen", "cli"),
    ("comfy_table", "cli"),
    ("crc_fast", "crypto"),
    ("crc32fast", "chunklog crypto"),
    ("crossbeam_skiplist", "index"),
    ("fuser", "fuse"),
    ("futures_core", "gateway"),
    ("getrandom", "sys"),
    ("governor", "gateway"),
    ("hmac", "crypto"),
    ("hyper", "gateway"),
    ("hyper_util", "gateway"),
    ("libc", ""),
    ("lru", "index chunklog store vfs"),
    ("lz4_flex", "index"),
    ("md5", "crypto"),
    ("memmap2", "chunklog"),
    ("mimalloc", "sys"),
    ("multer", "gateway"),
    ("nix", "sys fuse"),
    ("parking_lot", "*"),
    ("percent_encoding", "store gateway"),
    ("postcard", "index"),
    ("prometheus_client", "telemetry"),
    ("rocksdb", "index"),
    ("s3s", "gateway"),
    ("serde", "*"),
    ("serde_json", "store backup access daemon vfs fuse gateway control config node cli"),
    ("sha1", "crypto"),
    ("sha2", "crypto"),
    ("shuttle", "sys"),
    ("shuttle_parking_lot", "sys"),
    ("thiserror", "*"),
    ("time", "model"),
    ("tokio", "gateway node daemon"),
    ("tokio_rustls", "gateway"),
    ("toml", "config"),
    ("tracing", "*"),
    ("tracing_subscriber", "telemetry node"),
    ("triomphe", "vfs"),
    ("twox_hash", "index"),
    ("uuid", "sys"),
    ("zeroize", "crypto access"),
    ("zstd", "chunklog"),
];

/// Rooms in which a test may decide who runs when: their locks, atomics and threads come from `sys::sync`.
const SCHEDULED: &str = "index chunklog store vfs";
/// Files of those rooms that may use others, and why.
const UNSCHEDULED: &[(&str, &str)] = &[("src/index/memory.rs", "stands for RocksDB: a leaf that takes no turns")];

/// Longest file, tests included. 400 is the moment to split.
const LINES_MAX: usize = 800;
/// Fewest words of a file's first line.
const PURPOSE_WORDS_MIN: usize = 3;
/// Comment lines in a row that look like statements, from which on they are taken for code.
const CODE_COMMENT_RUN: usize = 3;
/// Where someone's own machine shows through. Split, so that this file does not name them.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];
/// Areas of the rule book whose rules all have a test or a reason, and how many rules each has.
const RULES: &[(&str, u32)] = &[
    ("SC", 17),
    ("IT", 12),
    ("RST", 15),
    ("LC", 38),
    ("SCA", 10),
    ("LOCK", 23),
    ("MFA", 9),
    ("VAULT", 9),
    ("COST", 6),
];
/// Files that cargo compiles from; every other file must be declared by one that is compiled.
const ENTRIES: &[&str] = &["src/lib.rs", "src/main.rs", "tests/suite/main.rs", "tests/schedules/main.rs"];

fn rooms(list: &str) -> BTreeSet<&str> {
    list.split_whitespace().collect()
}

/// Imports point down the house, never up and never sideways.
fn house(source: &Source) -> Vec<Finding> {
    let Some(room) = source.room() else { return vec![] };
    let Some((_, seen)) = HOUSE.iter().find(|(name, _)| *name == room) else {
        return vec![source.finding(1, format!("`{room}` is not a room of the house: give it a place in HOUSE"))];
    };
    let mut findings = vec![];
    for (line, module, path) in source.paths() {
        let absolute: Vec<String> = match path[0].as_str() {
            "crate" => path[1..].to_vec(),
            "self" | "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let named = path.iter().skip_while(|part| matches!(part.as_str(), "self" | "super")).cloned();
                module.iter().take(module.len().saturating_sub(ups)).cloned().chain(named).collect()
            }
            "keyfold" => {
                findings.push(source.finding(line, "the library names itself `crate`, not `keyfold`"));
                continue;
            }
            _ => continue,
        };
        let Some(target) = absolute.first() else { continue };
        let is_room = HOUSE.iter().any(|(name, _)| name == target);
        if is_room && *target != room && !rooms(seen).contains(target.as_str()) {
            findings.push(source.finding(line, format!("`{room}` may not import `{target}`: it sees [{seen}]")));
        }
    }
    findings
}

/// Every external package is named in its rooms only.
fn packages(source: &Source) -> Vec<Finding> {
    let room = source.room().unwrap_or_default();
    let own = source.own_names();
    let mut findings = vec![];
    for (line, _, path) in source.paths() {
        let Some((package, allowed)) = PACKAGES.iter().find(|(package, _)| *package == path[0]) else { continue };
        if own.contains(*package) || *allowed == "*" || rooms(allowed).contains(room.as_str()) {
            continue;
        }
        findings.push(source.finding(line, format!("`{package}` is named outside its rooms [{allowed}]")));
    }
    findings
}

/// Locks, atomics and threads of the scheduled rooms are the seam's, but for tests beside the code.
fn seam(source: &Source) -> Vec<Finding> {
    let scheduled = source.room().is_some_and(|room| rooms(SCHEDULED).contains(room.as_str()));
    let is_test = source.path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
    if !scheduled || is_test || UNSCHEDULED.iter().any(|(path, _)| source.path == Path::new(path)) {
        return vec![];
    }
    let forbidden = |path: &[&str]| match path {
        ["parking_lot" | "loom" | "shuttle" | "crossbeam_utils", ..] | ["std", "thread", ..] => true,
        ["std" | "core", "sync", kind, ..] => {
            matches!(*kind, "atomic" | "Mutex" | "RwLock" | "Condvar" | "Barrier" | "mpsc")
        }
        _ => false,
    };
    let found = source.paths().into_iter().filter(|(_, module, path)| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        forbidden(&path) && !module.iter().any(|name| name == "tests")
    });
    found.map(|(line, _, _)| source.finding(line, "locks, atomics and threads here are those of `sys::sync`")).collect()
}

/// Dependencies in a Cargo.toml that have no rooms yet.
fn packages_without_rooms(manifest: &Source) -> Vec<Finding> {
    let (mut within, mut findings) = (false, vec![]);
    for (line, text) in (1..).zip(manifest.text.lines()) {
        if text.starts_with('[') {
            within = text == "[dependencies]" || (text.starts_with("[target.") && text.ends_with(".dependencies]"));
        } else if let Some((name, _)) = text.split_once('=').filter(|_| within && !text.starts_with('#')) {
            let name = name.trim().split('.').next().unwrap_or_default().replace('-', "_");
            if !PACKAGES.iter().any(|(package, _)| *package == name) {
                findings
                    .push(manifest.finding(line, format!("`{name}` has no rooms: say in PACKAGES who may name it")));
            }
        }
    }
    findings
}

/// Files that no `mod` reaches from one of the entries: nobody compiles them.
fn unreachable(sources: &[Source]) -> Vec<Finding> {
    let by_path: BTreeMap<&Path, &Source> = sources.iter().map(|source| (source.path.as_path(), source)).collect();
    let mut reached = BTreeSet::new();
    let mut open: Vec<PathBuf> = ENTRIES.iter().map(PathBuf::from).collect();
    while let Some(path) = open.pop() {
        let Some(source) = by_path.get(path.as_path()) else { continue };
        let is_root = ENTRIES.iter().any(|entry| path == Path::new(entry)) || path.ends_with("mod.rs");
        let base = if is_root { path.with_file_name("") } else { path.with_extension("") };
        for module in source.declared_modules() {
            let below = module.iter().fold(base.clone(), |dir, part| dir.join(part));
            open.extend(
                [below.with_extension("rs"), below.join("mod.rs")].into_iter().filter(|p| !reached.contains(p)),
            );
        }
        reached.insert(path);
    }
    let within = |path: &Path| path.starts_with("src") || path.starts_with("tests/suite");
    let lost = sources.iter().filter(|source| within(&source.path) && !reached.contains(&source.path));
    lost.map(|source| source.finding(1, "no `mod` declares this file, so nobody compiles it")).collect()
}

/// The first line says the file's purpose.
fn purpose(source: &Source) -> Vec<Finding> {
    let first = source.text.lines().next().unwrap_or_default();
    let words = first.strip_prefix("//! ").map_or(0, |rest| rest.split_whitespace().count());
    if words >= PURPOSE_WORDS_MIN {
        return vec![];
    }
    vec![source.finding(1, format!("the first line is `//! purpose`, in {PURPOSE_WORDS_MIN} words or more"))]
}

/// No file is too long to be read in one sitting.
fn length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if lines <= LINES_MAX {
        return vec![];
    }
    vec![source.finding(LINES_MAX + 1, format!("{lines} lines: split it, {LINES_MAX} is the limit and 400 the moment"))]
}

/// Nothing is left half done: no stubs, no skipped tests, no notes without an owner.
fn leftovers(source: &Source) -> Vec<Finding> {
    let mut findings = vec![];
    for (at, (line, token)) in source.tokens.iter().enumerate() {
        match token {
            Token::Word(word) if matches!(word.as_str(), "todo" | "unimplemented") && source.is(at + 1, '!') => {
                findings.push(source.finding(*line, format!("`{word}!` is a promise, not code")));
            }
            Token::Mark('#') if source.is(at + 1, '[') => {
                let end = (at..source.tokens.len()).find(|end| source.is(*end, ']')).unwrap_or(at);
                let conditional = source.word(at + 2) == Some("cfg_attr");
                let last = if conditional { end } else { at + 3 };
                if (at + 2..last).any(|at| source.word(at) == Some("ignore")) {
                    findings.push(source.finding(*line, "an ignored test proves nothing: mend it or delete it"));
                }
            }
            _ => {}
        }
    }
    for (line, comment) in &source.comments {
        for (offset, text) in comment.lines().enumerate() {
            let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if let Some(word) = [concat!("FIX", "ME"), concat!("XX", "X")].iter().find(|word| words.contains(*word)) {
                findings.push(source.finding(line + offset, format!("`{word}`: mend it now, or file it")));
            }
            let todo = concat!("TO", "DO");
            if words.contains(&todo)
                && !text.split(todo).skip(1).all(|rest| rest.starts_with('(') && !rest.starts_with("()"))
            {
                findings
                    .push(source.finding(line + offset, format!("`{todo}` without an owner: write `{todo}(name)`")));
            }
        }
    }
    findings
}

/// Code that is not wanted is deleted; version control remembers it.
fn commented_out(source: &Source) -> Vec<Finding> {
    let (mut run, mut findings) = (0, vec![]);
    for (line, text) in (1..).zip(source.text.lines()) {
        let text = text.trim();
        let plain = text.starts_with("//") && !text.starts_with("///") && !text.starts_with("//!");
        run = if plain && text.ends_with([';', '{', '}']) { run + 1 } else { 0 };
        if run == CODE_COMMENT_RUN {
            findings.push(source.finding(line + 1 - run, "commented-out code: delete it"));
        }
    }
    findings
}

/// No file names a directory of the machine it was written on.
fn machines(source: &Source) -> Vec<Finding> {
    let mut findings = vec![];
    for (line, text) in (1..).zip(source.text.lines()) {
        for path in MACHINE_PATHS {
            // `/home/me/work/` is somebody's example, not a machine's root.
            let begins = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.~}*".contains(c));
            if text.match_indices(path).any(|(at, _)| begins(at)) {
                findings.push(source.finding(line, format!("`{path}` is a path of one machine")));
            }
        }
    }
    findings
}

/// Everything with one of the endings below the given directories and files, in order.
fn read(places: &[&str], endings: &[&str]) -> Vec<Source> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let mut open: Vec<PathBuf> = places.iter().map(|place| root.join(place)).collect();
    let mut sources = vec![];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file()
            && (endings.is_empty() || endings.iter().any(|ending| path.extension().is_some_and(|e| e == *ending)))
        {
            let text = std::fs::read(&path).unwrap();
            let relative = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            sources.push(Source::new(&relative, &String::from_utf8_lossy(&text)));
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

fn library() -> Vec<Source> {
    let sources = read(&["src"], &["rs"]);
    assert!(sources.len() > 10, "found only {} sources: is this the repository's root?", sources.len());
    sources
}

fn all_rust() -> Vec<Source> {
    read(&["src", "tests", "benches", "fuzz/src"], &["rs"])
}

#[track_caller]
fn assert_none(findings: impl IntoIterator<Item = Finding>) {
    let found: Vec<String> = findings.into_iter().map(|finding| finding.to_string()).collect();
    assert!(found.is_empty(), "{} to mend:\n{}", found.len(), found.join("\n"));
}

#[test]
fn imports_point_down_the_house() {
    assert_none(library().iter().flat_map(house));
}

#[test]
fn packages_stay_in_their_rooms() {
    assert_none(library().iter().flat_map(packages));
}

#[test]
fn what_a_schedule_decides_comes_through_the_seam() {
    assert_none(library().iter().flat_map(seam));
}

#[test]
fn every_dependency_has_rooms() {
    assert_none(read(&["Cargo.toml"], &[]).iter().flat_map(packages_without_rooms));
}

#[test]
fn every_file_is_compiled() {
    assert_none(unreachable(&all_rust()));
}

#[test]
fn every_file_says_its_purpose_first() {
    assert_none(all_rust().iter().flat_map(purpose));
}

#[test]
fn no_file_is_too_long() {
    assert_none(all_rust().iter().flat_map(length));
}

#[test]
fn nothing_is_left_half_done() {
    assert_none(all_rust().iter().flat_map(leftovers));
}

#[test]
fn no_code_is_commented_out() {
    assert_none(all_rust().iter().flat_map(commented_out));
}

#[test]
fn no_file_names_a_machine() {
    let places =
        ["src", "tests", "benches", "mount-scripts", ".ci", ".config", "docs", "Cargo.toml", "deny.toml", "README.md"];
    let endings = ["rs", "md", "toml", "sh", "service", "mount", "plist", "keyfold"];
    let scripts = read(&[".ci/run"], &[]);
    assert_none(read(&places, &endings).iter().chain(&scripts).flat_map(machines));
}

#[test]
fn every_test_that_is_named_is_there() {
    let documents = read(&["tests/RELIABILITY.md"], &[]);
    assert_eq!(documents.len(), 1);
    let sources = all_rust();
    assert_none(documents.iter().flat_map(|document| documents::missing_tests(document, &sources)));
}

#[test]
fn every_rule_has_a_test_or_a_reason() {
    let page = read(&["tests/RULES.md"], &[]);
    let mut sources = all_rust();
    sources.extend(read(&["tests/suite"], &["py", "sh"]));
    assert_none(rules::unproven(RULES, &page[0], &sources));
}

#[test]
fn the_house_stands_on_the_ground() {
    for (at, (room, seen)) in HOUSE.iter().enumerate() {
        for below in rooms(seen) {
            assert!(
                HOUSE[..at].iter().any(|(name, _)| *name == below),
                "`{room}` sees `{below}`, which is not below it"
            );
        }
    }
    for (package, allowed) in PACKAGES {
        let known = |room: &str| room == "*" || HOUSE.iter().any(|(name, _)| *name == room);
        assert!(rooms(allowed).into_iter().all(known), "`{package}` lives in a room that is not in the house");
    }
}
