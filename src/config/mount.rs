//! Mount options: `-o` texts, as mount(8), fstab and people write them, into resolved settings (INTERFACE section 2).

mod words;

use self::words::{WORDS, Word};
use super::{Complaints, EndpointSettings, nearest};
use crate::model::{BucketName, Result, Timestamp};
use crate::vfs::spelling::Reserved;
use std::time::Duration;

/// When data of a closed file is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// POSIX: after `fsync`, otherwise within the store's commit interval.
    #[default]
    Fsync,
    /// S3: when `close` returns.
    Close,
}

/// Which xattrs `listxattr` shows; all are readable by name (META).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum XattrList {
    /// What copies carry.
    #[default]
    Copy,
    /// Only the user's own: tags, user metadata, foreign xattrs.
    User,
    /// Computed ones too; to set those does nothing.
    All,
}

/// When a read moves a file's time of last access.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Atime {
    /// Never.
    Never,
    /// When it is older than the last change or a day.
    #[default]
    Relative,
    /// At every read.
    Always,
}

/// What a mount is asked to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MountSettings {
    /// The bucket that is the mount's root and the key prefix below it: empty, or ending in `/`. Without: all buckets.
    pub bucket: Option<(BucketName, String)>,
    /// The instant a read-only view shows; it makes the mount read-only.
    pub as_of: Option<Timestamp>,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// Whether users other than the mount's owner may enter.
    pub allow_other: bool,
    /// Whether only root may enter besides the owner.
    pub allow_root: bool,
    /// Whether the kernel checks mode bits.
    pub default_permissions: bool,
    /// Owner that every file shows instead of its own.
    pub uid: Option<u32>,
    /// Group that every file shows instead of its own.
    pub gid: Option<u32>,
    /// Permission bits that files do not show: `fmask`, else `umask`.
    pub fmask: Option<u16>,
    /// Permission bits that directories do not show: `dmask`, else `umask`.
    pub dmask: Option<u16>,
    /// When reads move the time of last access.
    pub atime: Atime,
    /// When data is durable.
    pub durability: Durability,
    /// After how long a file held open is published; without, only at close.
    pub publish_interval: Option<Duration>,
    /// Which xattrs are listed.
    pub xattr_list: XattrList,
    /// Names of the hidden directories, `versions_dir` and `control_dir` (GEN-6).
    pub reserved: Reserved,
    /// Whether the hidden directories are listed (GEN-6).
    pub show_hidden: bool,
    /// What `df` and `mount` show as the source; the store's path when not given.
    pub fsname: Option<String>,
    /// The part of the filesystem's type after `fuse.`.
    pub subtype: String,
    /// Whether device nodes work.
    pub dev: bool,
    /// Whether set-user-id bits work.
    pub suid: bool,
    /// Whether programs may be run.
    pub exec: bool,
    /// Where the process is reached over HTTP for as long as the mount lasts.
    pub endpoint: EndpointSettings,
    /// Threads that serve the kernel; the mount chooses when not given.
    pub threads: Option<usize>,
}

impl Default for MountSettings {
    fn default() -> Self {
        Self {
            bucket: None,
            as_of: None,
            read_only: false,
            allow_other: false,
            allow_root: false,
            default_permissions: false,
            uid: None,
            gid: None,
            fmask: None,
            dmask: None,
            atime: Atime::default(),
            durability: Durability::default(),
            publish_interval: None,
            xattr_list: XattrList::default(),
            reserved: Reserved::default(),
            show_hidden: false,
            fsname: None,
            subtype: "keyfold".to_owned(),
            dev: false,
            suid: false,
            exec: true,
            endpoint: EndpointSettings::default(),
            threads: None,
        }
    }
}

impl MountSettings {
    /// Reads the texts of all `-o` flags. The last word on a matter wins; `-` and `_` are equal in names. In values
    /// a comma stands after a backslash or between double quotes (a quote there is doubled).
    ///
    /// # Errors
    /// One error with everything that is wrong: [`Kind::Unsupported`](crate::model::Kind::Unsupported) if it is only options this release does not
    /// have, [`Kind::InvalidArgument`](crate::model::Kind::InvalidArgument) otherwise.
    pub fn parse<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut raw = Raw::default();
        let mut complaints = Complaints::default();
        for text in options {
            match split(text) {
                Ok(words) => words.iter().for_each(|(name, value)| raw.take(name, value.as_deref(), &mut complaints)),
                Err(why) => complaints.add(format!("{text:?}: {why}")),
            }
        }
        let settings = raw.resolve(&mut complaints);
        complaints
            .result("cannot mount with these options", "correct them; `keyfold mount --help` lists every option")?;
        Ok(settings)
    }
}

/// What was said so far.
#[derive(Default)]
struct Raw {
    settings: MountSettings,
    umask: Option<u16>,
    versions_dir: Option<String>,
    control_dir: Option<String>,
}

impl Raw {
    fn take(&mut self, name: &str, value: Option<&str>, complaints: &mut Complaints) {
        if name.starts_with("x-") || name.starts_with("X-") {
            return;
        }
        let plain = name.replace('-', "_");
        let Some((name, word)) = WORDS.iter().find(|(known, _)| *known == plain) else {
            let hint = nearest(&plain, WORDS.iter().map(|(known, _)| *known)).unwrap_or_default();
            return complaints.add(format!("there is no option {name:?}, the nearest is {hint:?}"));
        };
        match (word, value) {
            (Word::Ignored, _) => {}
            (Word::Unsupported(why), _) => complaints.add_unsupported(format!("{name}: {why}")),
            (Word::Flag(apply), None) => apply(self),
            (Word::Flag(_), Some(value)) => complaints.add(format!("{name} takes no value, not {value:?}")),
            (Word::Value(shape, _), None | Some("")) => complaints.add(format!("{name} needs a value: {name}={shape}")),
            (Word::Value(_, apply), Some(value)) => {
                if let Err(error) = apply(self, value) {
                    complaints.add_error(&format!("{name}={value:?}"), &error);
                }
            }
        }
    }

    fn resolve(self, complaints: &mut Complaints) -> MountSettings {
        let mut settings = self.settings;
        settings.read_only |= settings.as_of.is_some();
        settings.fmask = settings.fmask.or(self.umask);
        settings.dmask = settings.dmask.or(self.umask);
        if settings.allow_other && settings.allow_root {
            complaints.add("allow_other and allow_root exclude each other".to_owned());
        }
        if let Err(error) = settings.endpoint.check() {
            complaints.add_error("s3_cert,s3_key", &error);
        }
        let versions = self.versions_dir.as_deref().unwrap_or(".versions");
        let control = self.control_dir.as_deref().unwrap_or(".keyfold");
        match Reserved::new(versions, control) {
            Ok(reserved) => settings.reserved = reserved,
            Err(error) => complaints.add_error(&format!("versions_dir={versions:?},control_dir={control:?}"), &error),
        }
        settings
    }
}

/// Cuts a text at commas into names and values.
fn split(text: &str) -> Result<Vec<(String, Option<String>)>, &'static str> {
    let mut words = Vec::new();
    let mut word = (String::new(), None::<String>);
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let (c, plain) = match c {
            '\\' => (chars.next().ok_or("nothing follows its last backslash")?, false),
            '"' if quoted && chars.next_if_eq(&'"').is_some() => ('"', false),
            '"' => {
                quoted = !quoted;
                continue;
            }
            _ => (c, !quoted),
        };
        match &mut word {
            _ if c == ',' && plain => words.push(std::mem::take(&mut word)),
            (_, Some(value)) => value.push(c),
            (_, value @ None) if c == '=' => *value = Some(String::new()),
            (name, None) => name.push(c),
        }
    }
    if quoted {
        return Err("a quote is not closed");
    }
    words.push(word);
    words.retain(|word| *word != (String::new(), None));
    Ok(words)
}

#[cfg(test)]
mod tests;
