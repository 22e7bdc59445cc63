//! Names for what was found: people know buckets and keys, not numbers.

use super::census::Census;
use crate::index::{
    DentRecord, Family, Read, RefKey, VerRecord, component_of, decode, dir_of, id_of, part_number_of, ver_parts,
};
use crate::model::{ContentId, DirId, NUMBER_IN_USE_MAX, Object, Result};

impl Census {
    /// `bucket/key` of a name, as far as the directories above it are known.
    pub fn place(&self, dir: DirId, name: &str) -> String {
        let mut parts = vec![name];
        let mut id = dir;
        // A key is at most 1024 bytes; parents that form a ring would lead nowhere.
        for _ in 0..1024 {
            let Some(record) = self.dirs.get(&id) else {
                parts.reverse();
                return format!("directory {id}: {}", parts.concat());
            };
            if record.parent == id {
                break;
            }
            parts.push(&record.name);
            id = record.parent;
        }
        parts.reverse();
        let bucket = self.dirs.get(&id).and_then(|root| self.buckets.get(&root.bucket));
        let bucket = bucket.map_or_else(|| format!("directory {id}:"), |bucket| bucket.name.to_string());
        format!("{bucket}/{}", parts.concat())
    }

    /// A directory's path.
    pub fn dir_place(&self, dir: DirId) -> String {
        self.place(dir, "")
    }

    /// What a record is of.
    pub fn describe(&self, family: Family, key: &[u8]) -> String {
        let number = || id_of(key.get(..8).unwrap_or_default()).unwrap_or(0);
        match family {
            Family::Dent => match (dir_of(key), component_of(key)) {
                (Some(dir), Some(name)) => format!("the name {}", self.place(dir, name)),
                (Some(dir), None) => format!("a name in {}", self.dir_place(dir)),
                _ => "a name".to_owned(),
            },
            Family::Ver => match ver_parts(key) {
                Some((dir, name, seq)) => format!("an older version of {} (place {seq})", self.place(dir, &name)),
                None => "an older version".to_owned(),
            },
            Family::Dir | Family::DirStat if self.dirs.contains_key(&DirId(number())) => {
                format!("the {} record of {}", family.name(), self.dir_place(DirId(number())))
            }
            Family::Part => format!("part {} of upload {}", part_number_of(key).unwrap_or(0), number()),
            Family::Refs => match RefKey::parse(key) {
                Some(key) => format!("the number of holders of {key:?}"),
                None => "a number of holders".to_owned(),
            },
            Family::Sys => format!("the store's number {:?}", String::from_utf8_lossy(key)),
            Family::Bucket => match key.split_first() {
                Some((b'n', name)) => format!("the bucket name {:?}", String::from_utf8_lossy(name)),
                Some((_, id)) => format!("bucket {}", id_of(id).unwrap_or(0)),
                None => "a bucket".to_owned(),
            },
            Family::Seg => super::files::file_name(key),
            Family::User => format!("the user {:?}", String::from_utf8_lossy(key)),
            Family::Mfa => format!("the device {:?}", String::from_utf8_lossy(key)),
            Family::AccessKey => format!("the access key {:?}", String::from_utf8_lossy(key)),
            _ => format!("the {} record of {}", family.name(), number()),
        }
    }
}

/// The highest number that is in use, when the index no longer says which come next.
pub(in crate::store) fn highest_number(read: &impl Read) -> Result<u64> {
    let mut highest = 0;
    // One that none reaches is damage.
    let mut see = |number: u64| highest = if number <= NUMBER_IN_USE_MAX { number.max(highest) } else { highest };
    let of = |object: &Object| [object.seq.0, object.ino.0, object.content.number()];
    for found in read.scan(Family::Dent, &[], &[0xff; 1100])? {
        if let Ok(DentRecord::Object { object: found, .. }) = decode(&found?.1) {
            of(&found).into_iter().for_each(&mut see);
        }
    }
    for found in read.scan(Family::Ver, &[], &[0xff; 1100])? {
        let (key, value) = found?;
        if let Ok(VerRecord::Object(found)) = decode(&value) {
            of(&found).into_iter().for_each(&mut see);
        }
        see(ver_parts(&key).map_or(0, |(_, _, seq)| seq.0));
    }
    for family in [Family::Dir, Family::Ino, Family::Content, Family::Node, Family::Upload, Family::Unsealed] {
        for found in read.scan(family, &[], &[0xff; 9])? {
            let id = id_of(&found?.0).unwrap_or(0);
            see(if family == Family::Content { ContentId(id).number() } else { id });
        }
    }
    for found in read.scan(Family::Bucket, b"i", b"j")? {
        see(found?.0.get(1..).and_then(id_of).unwrap_or(0));
    }
    Ok(highest)
}
