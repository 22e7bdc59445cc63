//! Zones and what the classes of storage ask of them, as tiers.

use super::{Reader, Setting, line_of, outside, wrong_type};
use crate::model::{Error, Kind, Result, StorageClass};
use crate::store::TierSettings;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::{Spanned, Value};

/// The store's own directory as a zone.
const HOME: &str = "home";
/// Copies of a file where nobody says how many, if there are as many zones (SC-1).
const COPIES: usize = 3;
const LEVEL_MAX: i64 = 19;

/// A directory that is meant to be a disk of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    /// What the classes call it.
    pub name: String,
    /// Where it is; absolute.
    pub path: PathBuf,
}

pub(super) type Zones = BTreeMap<Spanned<String>, Spanned<Value>>;
pub(super) type Classes = BTreeMap<Spanned<String>, Class>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "a table such as [class.STANDARD]")]
pub(super) struct Class {
    zones: Setting,
    copies: Setting,
    compression: Setting,
}

/// What a class asks for.
#[derive(Clone, PartialEq, Eq)]
struct Wishes {
    zones: Vec<usize>,
    copies: usize,
    compression: i32,
}

/// The zones besides the store's own directory, in the order of their names.
pub(super) fn zones(reader: &mut Reader<'_>, raw: Zones) -> Vec<Zone> {
    let mut zones = Vec::new();
    for (name, path) in raw {
        let line = line_of(reader.text, name.span().start);
        let name = name.into_inner();
        let named =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if name == HOME {
            reader
                .complaints
                .add(format!("line {line}: zones.{HOME}: this is the store's own directory, wherever that is"));
        } else if !named(&name) {
            reader.complaints.add(format!("line {line}: zones: a name has letters, digits, - and _, unlike `{name}`"));
        }
        let mut place = PathBuf::new();
        reader.take(&format!("zones.{name}"), Some(path), &mut place, |value| match value.as_str() {
            Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
            Some(_) => Err(unusable("it is not an absolute path")),
            None => Err(wrong_type(value, "a path such as \"/mnt/nvme/keyfold\"")),
        });
        zones.push(Zone { name, path: place });
    }
    zones
}

/// What the classes of storage ask for: those that ask for the same share a tier.
pub(super) fn tiers(reader: &mut Reader<'_>, zones: &[Zone], raw: Classes) -> Vec<TierSettings> {
    let names: Vec<&str> = std::iter::once(HOME).chain(zones.iter().map(|zone| zone.name.as_str())).collect();
    let mut given: BTreeMap<&str, Class> = BTreeMap::new();
    for (name, class) in raw {
        let line = line_of(reader.text, name.span().start);
        match StorageClass::named(name.get_ref()) {
            Some(known) => drop(given.insert(known.name(), class)),
            None => {
                let known = StorageClass::ALL.iter().map(|class| class.name());
                let near = super::super::nearest(name.get_ref(), known).unwrap_or_default();
                let why =
                    format!("line {line}: class.{}: there is no such class, perhaps {near} is meant", name.get_ref());
                reader.complaints.add(why);
            }
        }
    }
    let common = Wishes { zones: vec![0], copies: 1, compression: 0 };
    let standard = wishes(reader, &names, StorageClass::Standard, given.remove(StorageClass::Standard.name()), &common);
    let mut tiers: Vec<(Wishes, Vec<StorageClass>)> = vec![(standard.clone(), vec![StorageClass::Standard])];
    for class in StorageClass::ALL.iter().filter(|class| **class != StorageClass::Standard) {
        let wished = wishes(reader, &names, *class, given.remove(class.name()), &standard);
        match tiers.iter_mut().find(|(tier, _)| *tier == wished) {
            Some((_, classes)) => classes.push(*class),
            None => tiers.push((wished, vec![*class])),
        }
    }
    let tier = |(Wishes { zones, copies, compression }, classes)| TierSettings { classes, zones, copies, compression };
    tiers.into_iter().map(tier).collect()
}

fn wishes(
    reader: &mut Reader<'_>,
    names: &[&str],
    class: StorageClass,
    given: Option<Class>,
    standard: &Wishes,
) -> Wishes {
    let one_zone = class == StorageClass::OnezoneIa;
    let Class { zones, copies, compression } = given.unwrap_or_default();
    let setting = |key: &str| format!("class.{}.{key}", class.name());
    let mut wished = standard.clone();
    if one_zone {
        wished.zones.truncate(1);
    }
    let own_zones = zones.is_some();
    reader.take(&setting("zones"), zones, &mut wished.zones, |value| zone_list(value, names, one_zone));
    if own_zones || one_zone {
        wished.copies = COPIES.min(wished.zones.len());
    }
    let most = wished.zones.len();
    reader.take(&setting("copies"), copies, &mut wished.copies, |value| {
        let copies = value.as_integer().ok_or_else(|| wrong_type(value, "a number such as 2"))?;
        let copies = usize::try_from(copies).ok().filter(|copies| (1..=most).contains(copies));
        copies.ok_or_else(|| unusable(format!("each copy lies in another zone, and the class has {most}")))
    });
    reader.take(&setting("compression"), compression, &mut wished.compression, |value| {
        let level = value.as_integer().ok_or_else(|| wrong_type(value, "a level such as 3"))?;
        let level = Some(level).filter(|level| (0..=LEVEL_MAX).contains(level));
        level.and_then(|level| i32::try_from(level).ok()).ok_or_else(|| outside(0, LEVEL_MAX))
    });
    wished
}

fn zone_list(value: &Value, names: &[&str], one_zone: bool) -> Result<Vec<usize>> {
    let list = || wrong_type(value, "a list of zones such as [\"home\", \"fast\"]");
    let mut zones = Vec::new();
    for zone in value.as_array().ok_or_else(list)? {
        let name = zone.as_str().ok_or_else(list)?;
        let place = names.iter().position(|known| *known == name);
        let place = place.ok_or_else(|| unusable(format!("[zones] does not have `{name}`")))?;
        if zones.contains(&place) {
            return Err(unusable(format!("`{name}` is in it twice")));
        }
        zones.push(place);
    }
    match zones.len() {
        0 => Err(unusable("bytes must lie somewhere")),
        2.. if one_zone => Err(unusable("the class lives in one zone (SC-3)")),
        _ => Ok(zones),
    }
}

fn unusable(why: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, "cannot use the value").why(why.into())
}

#[cfg(test)]
mod tests {
    use super::super::StoreSettings;
    use crate::model::StorageClass::{self, GlacierIr, OnezoneIa, Standard, StandardIa};
    use crate::store::TierSettings;
    use std::path::Path;

    fn tiers(text: &str) -> Vec<TierSettings> {
        StoreSettings::parse(text, false).unwrap().tiers
    }

    #[test]
    fn without_classes_there_is_one_tier() {
        assert_eq!(tiers(""), [TierSettings::default()]);
        assert_eq!(tiers("[class.STANDARD]\n[class.GLACIER]\ncompression = 0\n"), [TierSettings::default()]);
    }

    #[test]
    fn sc_1_sc_3_classes_share_tiers_and_one_zone_stays_one() {
        let text = "[zones]\nslow = '/mnt/b'\nfast = '/mnt/a'\n[class.STANDARD]\nzones = ['home', 'slow', 'fast']\n\
                    [class.GLACIER_IR]\ncompression = 3\n[class.STANDARD_IA]\nzones = ['slow', 'home']\n";
        let settings = StoreSettings::parse(text, false).unwrap();
        let zones: Vec<_> = settings.zones.iter().map(|zone| (zone.name.as_str(), zone.path.as_path())).collect();
        assert_eq!(zones, [("fast", Path::new("/mnt/a")), ("slow", Path::new("/mnt/b"))]);
        let apart = |class: &StorageClass| [GlacierIr, OnezoneIa, StandardIa].contains(class);
        let rest: Vec<_> = StorageClass::ALL.iter().copied().filter(|class| !apart(class)).collect();
        let tier = |classes: Vec<_>, zones: &[usize], copies, compression| TierSettings {
            classes,
            zones: zones.to_vec(),
            copies,
            compression,
        };
        assert_eq!(
            settings.tiers,
            [
                tier(rest, &[0, 2, 1], 3, 0),
                tier(vec![StandardIa], &[2, 0], 2, 0),
                tier(vec![OnezoneIa], &[0], 1, 0),
                tier(vec![GlacierIr], &[0, 2, 1], 3, 3),
            ]
        );
        assert_eq!(tiers("zones.b = '/b'\n[class.STANDARD]\nzones = ['home', 'b']\ncopies = 1\n")[0].copies, 1);
        assert_eq!(settings.tiers[0].name(), Standard);
    }

    #[test]
    fn all_complaints_come_at_once() {
        let text = "[zones]\nhome = '/a'\n\"a b\" = '/b'\nrel = 'c'\nnum = 5\n\
                    [class.STANDART]\n[class.STANDARD]\nzones = ['home', 'none']\ncopies = 2\n\
                    [class.ONEZONE_IA]\nzones = ['home', 'rel']\ncompression = 20\n\
                    [class.GLACIER]\nzones = ['rel', 'rel']\n[class.GLACIER_IR]\nzones = []\ncopies = 'all'\n";
        let reason = StoreSettings::parse(text, false).unwrap_err().reason().to_owned();
        for said in [
            "line 2: zones.home",
            "line 3: zones",
            "line 4: zones.rel",
            "line 5: zones.num",
            "line 6: class.STANDART: there is no such class, perhaps STANDARD is meant",
            "line 8: class.STANDARD.zones: [zones] does not have `none`",
            "line 9: class.STANDARD.copies",
            "line 11: class.ONEZONE_IA.zones",
            "line 12: class.ONEZONE_IA.compression: it is not from 0 to 19",
            "line 14: class.GLACIER.zones: `rel` is in it twice",
            "line 16: class.GLACIER_IR.zones",
            "line 17: class.GLACIER_IR.copies",
        ] {
            assert!(reason.contains(said), "{said}: {reason}");
        }
        assert!(StoreSettings::parse("[class.GLACIER]\nlevel = 3\n", false).is_err());
    }
}
