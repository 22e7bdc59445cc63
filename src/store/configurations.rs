//! Documents that are lists of configurations, each with an Id of its own, which S3 sets and deletes one by one (IT-10, SCA-1).

use super::Store;
use crate::model::{Bucket, Error, Kind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// Most configurations of a bucket (IT-10, SCA-1).
const CONFIGURATIONS_MAX: usize = 1000;
/// Longest Id of a configuration, in characters.
pub(super) const ID_CHARS_MAX: usize = 64;

/// One of a list.
pub trait Configuration: Send + 'static {
    /// What it is called.
    fn id(&self) -> &str;

    /// Checks it.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`], [`Kind::InvalidTag`] for what it cannot say.
    fn check(&self) -> Result<()>;
}

/// A document that is a list of them.
pub trait Configurations: Default + Serialize + DeserializeOwned {
    /// What it lists.
    type One: Configuration;
    /// The document's name.
    const DOCUMENT: &'static str;
    /// The rule that says how many there may be.
    const RULE: &'static str;

    /// The list.
    fn list(&mut self) -> &mut Vec<Self::One>;

    /// Whether it says that there are more.
    fn is_truncated(&self) -> bool;

    /// The configurations.
    fn configurations(&self) -> &[Self::One];

    /// Checks it.
    ///
    /// # Errors
    /// As [`Configurations::check_list`] and [`Configuration::check`].
    fn check(&self) -> Result<()> {
        self.check_list()?;
        self.configurations().iter().try_for_each(Configuration::check)
    }

    /// Checks what it says of all together.
    ///
    /// # Errors
    /// [`Kind::TooManyConfigurations`], and [`Kind::InvalidArgument`] for two with one Id, or for a page of a list that goes on.
    fn check_list(&self) -> Result<()> {
        let all = self.configurations();
        if self.is_truncated() {
            return Err(bad::<Self>("it is one page of a list that goes on".to_owned()));
        }
        if all.len() > CONFIGURATIONS_MAX {
            let (count, rule) = (all.len(), Self::RULE);
            let why = format!("it has {count} configurations, a bucket has at most {CONFIGURATIONS_MAX} ({rule})");
            return Err(Error::new(Kind::TooManyConfigurations, cannot_set::<Self>()).why(why));
        }
        let mut seen = BTreeSet::new();
        for configuration in all {
            if !seen.insert(configuration.id()) {
                return Err(bad::<Self>(format!("the Id {:?} stands there twice", configuration.id())));
            }
        }
        Ok(())
    }
}

/// The refusal of a document, or of one of its configurations.
pub(super) fn bad<D: Configurations>(why: String) -> Error {
    Error::new(Kind::InvalidArgument, cannot_set::<D>()).why(why)
}

fn cannot_set<D: Configurations>() -> String {
    format!("cannot set the bucket's {}", D::DOCUMENT)
}

/// A bucket's document; none where it is not set or cannot be read.
pub(super) fn configurations_of<D: Configurations>(bucket: &Bucket) -> Option<D> {
    serde_json::from_str(bucket.documents.get(D::DOCUMENT)?).ok()
}

impl Store {
    /// Puts a configuration in the place of the one with that Id, or beside the others, or takes that one away; nothing comes
    /// in between. Says whether there was one.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`], and as [`Configurations::check`]; the old ones stay.
    pub fn set_configuration<D: Configurations>(&self, bucket: &str, id: &str, new: Option<D::One>) -> Result<bool> {
        // The others may be of a release that took what this one does not.
        new.as_ref().map_or(Ok(()), Configuration::check)?;
        let mut was_there = false;
        self.edit_document(bucket, D::DOCUMENT, |text| {
            let mut document: D = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            let before = document.configurations().len();
            document.list().retain(|one| one.id() != id);
            was_there = document.configurations().len() < before;
            document.list().extend(new);
            document.check_list()?;
            let text = serde_json::to_string_pretty(&document).unwrap_or_default() + "\n";
            Ok(Some(text).filter(|_| !document.configurations().is_empty()))
        })?;
        Ok(was_there)
    }
}
