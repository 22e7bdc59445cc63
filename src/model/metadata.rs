//! Metadata: S3's system headers and the user's own pairs, with their budget (META-1 to META-9).

use super::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Budget of user metadata: UTF-8 bytes of all names and values (META-3).
pub const METADATA_BYTES_MAX: usize = 2048;

/// The system headers a user may set (META-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum SystemHeader {
    /// `Content-Type`; `binary/octet-stream` when not set (META-9).
    ContentType,
    /// `Content-Encoding`
    ContentEncoding,
    /// `Content-Language`
    ContentLanguage,
    /// `Content-Disposition`
    ContentDisposition,
    /// `Cache-Control`
    CacheControl,
    /// `Expires`
    Expires,
    /// `x-amz-website-redirect-location`
    WebsiteRedirect,
}

impl SystemHeader {
    /// All of them, with the names that xattrs and the command line use.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::ContentType, "content-type"),
        (Self::ContentEncoding, "content-encoding"),
        (Self::ContentLanguage, "content-language"),
        (Self::ContentDisposition, "content-disposition"),
        (Self::CacheControl, "cache-control"),
        (Self::Expires, "expires"),
        (Self::WebsiteRedirect, "website-redirect"),
    ];

    /// The header called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(header, _)| *header)
    }

    /// Whether a copy on the file system carries it (INTERFACE section 5: all but the redirect).
    #[must_use]
    pub fn carried(self) -> bool {
        self != Self::WebsiteRedirect
    }
}

/// An object version's metadata.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Metadata {
    system: BTreeMap<SystemHeader, String>,
    user: BTreeMap<String, String>,
}

impl Metadata {
    /// Sets a system header; an empty value removes it.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] when the value is not printable ASCII, [`Kind::MetadataTooLarge`] over 2 KiB
    /// in all (META-4).
    pub fn set_system(&mut self, header: SystemHeader, value: &str) -> Result<()> {
        if value.is_empty() {
            self.system.remove(&header);
            return Ok(());
        }
        if value.bytes().any(|byte| !(0x20..0x7f).contains(&byte)) {
            return Err(Error::new(Kind::InvalidArgument, "cannot set a system header")
                .why("its value holds bytes outside printable ASCII (META-4)")
                .mend("keep such text in user.s3.meta.NAME"));
        }
        let before = self.system.insert(header, value.to_owned());
        let size: usize = self.system.values().map(String::len).sum();
        if size > METADATA_BYTES_MAX {
            match before {
                Some(before) => self.system.insert(header, before),
                None => self.system.remove(&header),
            };
            return Err(too_large("system metadata", size));
        }
        Ok(())
    }

    /// A system header's value, when set.
    #[must_use]
    pub fn system(&self, header: SystemHeader) -> Option<&str> {
        self.system.get(&header).map(String::as_str)
    }

    /// Sets one user pair; names are stored in lower case (META-2).
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for a name that is no header token, [`Kind::MetadataTooLarge`] over the budget.
    pub fn set_user(&mut self, name: &str, value: &str) -> Result<()> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(Error::new(Kind::InvalidArgument, format!("cannot name user metadata {name:?}"))
                .why("a name is letters, digits and !#$%&'*+-.^_`|~")
                .mend("choose a name that can be an HTTP header"));
        }
        let name = name.to_ascii_lowercase();
        let before = self.user.insert(name.clone(), value.to_owned());
        let size = self.user_bytes();
        if size > METADATA_BYTES_MAX {
            match before {
                Some(before) => self.user.insert(name, before),
                None => self.user.remove(&name),
            };
            return Err(too_large("user metadata", size));
        }
        Ok(())
    }

    /// Removes one user pair; whether it was there.
    pub fn remove_user(&mut self, name: &str) -> bool {
        self.user.remove(&name.to_ascii_lowercase()).is_some()
    }

    /// A user pair's value.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&str> {
        self.user.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// All user pairs, by name.
    pub fn user_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.user.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All system headers that are set.
    pub fn system_pairs(&self) -> impl Iterator<Item = (SystemHeader, &str)> {
        self.system.iter().map(|(header, value)| (*header, value.as_str()))
    }

    fn user_bytes(&self) -> usize {
        self.user.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

fn too_large(which: &str, size: usize) -> Error {
    Error::new(Kind::MetadataTooLarge, format!("cannot store the {which}"))
        .why(format!("it would take {size} bytes, the limit is {METADATA_BYTES_MAX} (META-3)"))
        .mend("shorten it, or keep long text in an ordinary user.* attribute")
}

#[cfg(test)]
mod tests {
    use super::{Kind, Metadata, SystemHeader};

    #[test]
    fn meta_2_and_meta_3_names_are_lower_case_and_bytes_bounded() {
        let mut meta = Metadata::default();
        meta.set_user("Title", &"x".repeat(2043)).unwrap();
        assert_eq!(meta.user("tITLE").map(str::len), Some(2043));
        assert_eq!(meta.set_user("a", "").unwrap_err().kind(), Kind::MetadataTooLarge);
        assert_eq!(meta.user_pairs().count(), 1, "a refused pair leaves nothing behind");
        assert!(meta.set_user("no space", "v").is_err());
    }

    #[test]
    fn meta_4_system_values_are_ascii() {
        let mut meta = Metadata::default();
        meta.set_system(SystemHeader::ContentType, "text/plain").unwrap();
        assert!(meta.set_system(SystemHeader::ContentType, "é").is_err());
        assert_eq!(meta.system(SystemHeader::ContentType), Some("text/plain"));
        meta.set_system(SystemHeader::ContentType, "").unwrap();
        assert_eq!(meta.system(SystemHeader::ContentType), None);
    }
}
