//! The spelling of names: examples of every rule, and the bijection on tricky parts.

use super::{NAME_BYTES_MAX, Reserved, Spelled, long_hash, not_made_by_name, read, show};
use crate::model::Kind;
use proptest::prelude::*;
use std::collections::HashMap;

fn root() -> Reserved {
    Reserved::default()
}

fn part(text: &str) -> Spelled<'_> {
    Spelled::Part(text.into())
}

/// Directory's name, object's name, shadowed object's name.
fn names(text: &str) -> [String; 3] {
    let dir = format!("{text}/");
    [show(&dir, false, &root()), show(text, false, &root()), show(text, true, &root())].map(Into::into)
}

#[test]
fn key_8_an_object_beside_its_directory() {
    assert_eq!(names("a"), ["a", "a", ".@obj:a"]);
    assert_eq!(names("."), [".@dot", ".@dot", ".@obj:.@dot"]);
    assert_eq!(show("a/", true, &root()), "a", "a directory is never shadowed");
    assert_eq!(read(b".@obj:a", &root()).unwrap(), Spelled::Object("a".into()));
    assert_eq!(read(b".@obj:.@x%00", &root()).unwrap(), Spelled::Object("\0".into()));
}

#[test]
fn key_7_key_9_and_key_10_parts_that_are_no_names() {
    assert_eq!(read(b".@self", &root()).unwrap(), Spelled::SelfBody);
    for (text, name) in [("", ".@empty"), (".", ".@dot"), ("..", ".@dotdot")] {
        assert_eq!(show(&format!("{text}/"), false, &root()), name);
        assert_eq!(read(name.as_bytes(), &root()).unwrap(), part(text));
    }
}

#[test]
fn key_11_nul_and_its_neighbours() {
    for (text, name) in [("a\0b", ".@xa%00b"), ("100%\0é\n", ".@x100%25%00é%0A"), (".@\0", ".@x.@%00")] {
        assert_eq!(show(text, false, &root()), name);
        assert_eq!(read(name.as_bytes(), &root()).unwrap(), part(text));
    }
}

#[test]
fn key_12_long_parts_are_found_by_hash_and_keep_their_end() {
    let text = format!("{}.tar.gz", "ä".repeat(200));
    let [dir, object, shadowed] = names(&text);
    assert_eq!(dir, object);
    assert!(dir.starts_with(".@h") && dir.ends_with("ä.tar.gz") && dir.len() <= 80, "{dir}");
    assert_eq!(shadowed, format!(".@obj:{dir}"));
    let hash = long_hash(&text).unwrap();
    assert_eq!(read(dir.as_bytes(), &root()).unwrap(), Spelled::Long { hash, object: false });
    assert_eq!(read(shadowed.as_bytes(), &root()).unwrap(), Spelled::Long { hash, object: true });
    assert_eq!(not_made_by_name(&dir).kind(), Kind::InvalidArgument);
}

#[test]
fn key_12_names_turn_long_at_256_bytes_escapes_included() {
    let long = |name: &str| name.strip_prefix(".@obj:").unwrap_or(name).starts_with(".@h");
    for (text, plain, shadowed) in [
        ("a".repeat(249), false, false),
        ("a".repeat(250), false, true),
        ("a".repeat(255), false, true),
        ("a".repeat(256), true, true),
        (format!(".@{}", "a".repeat(252)), false, true),
        (format!(".@{}", "a".repeat(253)), true, true),
        ("\0".repeat(82), false, false),
        ("\0".repeat(84), false, true),
        ("\0".repeat(85), true, true),
    ] {
        let [_, object, beside] = names(&text);
        assert_eq!((long(&object), long(&beside)), (plain, shadowed), "{text:?}");
        assert_eq!(long_hash(&text).is_some(), shadowed, "{text:?}");
    }
}

#[test]
fn key_13_escapes_and_reserved_names_of_real_parts() {
    for (text, name) in [
        (".@", ".@@"),
        (".@@", ".@@@"),
        (".@empty", ".@@empty"),
        (".versions", ".@r.versions"),
        (".keyfold", ".@r.keyfold"),
    ] {
        assert_eq!(show(text, false, &root()), name);
        assert_eq!(read(name.as_bytes(), &root()).unwrap(), part(text));
    }
    assert_eq!(names(".versions")[2], ".@obj:.@r.versions");
    assert_eq!(read(b".versions", &root()).unwrap(), Spelled::Versions);
    assert_eq!(read(b".keyfold", &root()).unwrap(), Spelled::Control);
    assert_eq!(read(b".keyfold", &root().below_root()).unwrap(), part(".keyfold"));
    assert_eq!(show(".keyfold", false, &root().below_root()), ".keyfold");
    let other = Reserved::new("_old", "#").unwrap();
    assert_eq!(show(".versions", false, &other), ".versions");
    assert_eq!(read(b".@r_old", &other).unwrap(), part("_old"));
}

#[test]
fn key_13_a_name_that_is_no_ones_spelling_is_refused() {
    let long = format!(".@h{}-x", "0".repeat(32));
    let (upper, tailless) = (long.replace(".@h0", ".@hA"), long.replace("-x", ""));
    for name in [
        ".@",
        ".@foo",
        ".@x",
        ".@xa",
        ".@x%41%00",
        ".@x%0",
        ".@x%+0",
        ".@x%2F%00",
        ".@x%c3%a9%00",
        ".@r",
        ".@rfoo",
        ".@obj:",
        ".@obj:.",
        ".@obj:.@empty",
        ".@obj:.@self",
        ".@obj:.@obj:a",
        ".@obj:.versions",
        &upper,
        &tailless,
        "",
        ".",
        "..",
        "a/b",
        "\0",
    ]
    .map(|name: &str| name.as_bytes())
    {
        assert_eq!(read(name, &root()).unwrap_err().kind(), Kind::InvalidArgument, "{}", name.escape_ascii());
    }
    let error = read(b".@foo", &root()).unwrap_err();
    assert!(error.remedy().unwrap().contains("\".@@foo\""), "{error}");
}

#[test]
fn key_14_names_are_utf_8_and_at_most_255_bytes() {
    assert_eq!(read(b"caf\xe9", &root()).unwrap_err().kind(), Kind::InvalidName);
    assert_eq!(read(&[b'a'; 256], &root()).unwrap_err().kind(), Kind::KeyTooLong);
    assert_eq!(read(&[b'a'; 255], &root()).unwrap(), part(&"a".repeat(255)));
}

#[test]
fn gen_6_reserved_names_are_names() {
    let long = "x".repeat(201);
    for (versions, control) in
        [("", "c"), ("v", ".."), ("a/b", "c"), ("v", "\0"), (".@v", "c"), ("same", "same"), ("v", &long)]
    {
        assert_eq!(
            Reserved::new(versions, control).unwrap_err().kind(),
            Kind::InvalidArgument,
            "{versions:?} {control:?}"
        );
    }
}

/// Parts that come near every branch: escapes' own letters, long runs, other parts' names.
fn tricky() -> impl Strategy<Value = String> {
    let pieces = vec![
        ".",
        "..",
        ".@",
        "@",
        "\0",
        "%",
        "%00",
        "x",
        "h",
        "r",
        "obj:",
        "self",
        "empty",
        "dot",
        "-",
        "é",
        "\u{1f9fa}",
        "\n",
        "\x7f",
        ".versions",
        ".keyfold",
        "0123456789abcdef",
        "a",
    ];
    let short = prop::collection::vec(prop::sample::select(pieces), 0..6).prop_map(|pieces| pieces.concat());
    let near_limit = (0..5usize, 70..260usize, prop::sample::select(vec!["\0", "a", "é", "%"]))
        .prop_map(|(start, count, unit)| format!("{}{}", ["", ".@", "\0", "x", "é"][start], unit.repeat(count)));
    let wild = "[^/]{0,40}";
    let base = prop_oneof![4 => short, 2 => near_limit, 2 => wild].boxed();
    let named = (base.clone(), any::<bool>())
        .prop_map(|(text, shadowed)| show(&text, shadowed, &Reserved::default()).into_owned());
    prop_oneof![4 => base, 1 => named]
}

/// Whether `name` leads back to the part.
fn leads_back(name: &str, text: &str, object: bool, reserved: &Reserved) -> bool {
    match read(name.as_bytes(), reserved).unwrap() {
        Spelled::Part(part) => !object && part == text,
        Spelled::Object(part) => object && part == text,
        Spelled::Long { hash, object: beside } => beside == object && long_hash(text) == Some(hash),
        Spelled::SelfBody | Spelled::Versions | Spelled::Control => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn key_13_decode_of_encode_is_the_key(text in tricky(), deep: bool) {
        let reserved = if deep { root().below_root() } else { root() };
        for shadowed in [false, true] {
            if shadowed && text.is_empty() {
                continue;
            }
            let name = show(&text, shadowed, &reserved);
            prop_assert!(name.len() <= NAME_BYTES_MAX && !name.is_empty() && !name.contains(['/', '\0']), "{:?}", name);
            prop_assert!(leads_back(&name, &text, shadowed, &reserved), "{:?} {:?}", text, name);
        }
        let directory = format!("{text}/");
        prop_assert_eq!(show(&directory, false, &reserved), show(&text, false, &reserved));
    }

    #[test]
    fn key_13_no_two_components_share_a_name(texts in prop::collection::hash_set(tricky(), 1..40)) {
        let mut seen = HashMap::new();
        for text in &texts {
            for shadowed in [false, true] {
                let before = seen.insert(show(text, shadowed, &root()).into_owned(), text);
                prop_assert_eq!(before, None, "{:?}", text);
            }
        }
    }

    #[test]
    fn key_13_a_name_that_reads_is_the_one_spelling(name in tricky()) {
        match read(name.as_bytes(), &root()) {
            Ok(Spelled::Part(text)) => prop_assert_eq!(show(&text, false, &root()), name.as_str()),
            Ok(Spelled::Object(text)) => prop_assert_eq!(show(&text, true, &root()), name.as_str()),
            Ok(_) | Err(_) => {}
        }
    }

    #[test]
    fn key_2_and_key_20_ordinary_names_are_shown_unchanged(name in "[^/\0]{1,60}") {
        let special = name.starts_with(".@") || [".", "..", ".versions", ".keyfold"].contains(&name.as_str());
        prop_assume!(!special && name.len() <= NAME_BYTES_MAX);
        prop_assert_eq!(show(&name, false, &root()), name.as_str());
        prop_assert_eq!(read(name.as_bytes(), &root()).unwrap(), part(&name));
    }
}
