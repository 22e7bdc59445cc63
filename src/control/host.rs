//! What a verb needs from the process it runs in: its mounts, and how names are spelled on them.

use super::row::{ActRow, MountRow};
use crate::model::{Bucket, Error, Kind, Result, VersionId};
use crate::store::Store;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where a path below a mount leads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Spot {
    /// The bucket; none for the root of a mount of all buckets.
    pub bucket: Option<String>,
    /// The key without a trailing `/` unless it names a directory for certain; empty for the bucket itself.
    pub key: String,
    /// The version, for an entry of a `.versions` directory.
    pub version: Option<VersionId>,
}

/// Verbs that wait for what may never come, at once.
const WAITING_MAX: usize = 32;

/// Places for verbs that wait for what may never come: fewer than are served at once, so that others are too.
#[derive(Clone, Debug)]
pub struct Waiting(Arc<AtomicUsize>);

/// A verb's place among those; free again when dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Default for Waiting {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(WAITING_MAX)))
    }
}

impl Waiting {
    /// A place.
    ///
    /// # Errors
    /// [`Kind::StoreBusy`] when all are taken.
    pub fn take(&self) -> Result<Place> {
        match self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1)) {
            Ok(_) => Ok(Place(Arc::clone(&self.0))),
            Err(_) => Err(Error::new(Kind::StoreBusy, "cannot wait for more to come")
                .why(format!("{WAITING_MAX} others do so already"))
                .mend("end one of them, such as an `events tail --follow`, or ask without waiting")),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// The process around a verb.
pub trait Host: Send + Sync {
    /// Where a path of a mount leads; `device` names the mount as the kernel does.
    ///
    /// # Errors
    /// [`Kind::StoreUnavailable`](crate::model::Kind::StoreUnavailable) when this process does not serve the mount;
    /// what spelling says of the path.
    fn locate(&self, device: &str, path: &str) -> Result<Spot>;

    /// The name a component has in a plain directory. `shadowed`: an object beside a directory of the same name;
    /// `at_root`: in the root of a bucket, where one more name is reserved.
    fn file_name(&self, component: &str, shadowed: bool, at_root: bool) -> String;

    /// A bucket's setting as JSON; `None` when it is not set.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](crate::model::Kind::InvalidArgument) when there is no such setting.
    fn setting(&self, store: &Store, bucket: &Bucket, setting: &str) -> Result<Option<String>>;

    /// Replaces a bucket's setting, or removes it without a text.
    ///
    /// # Errors
    /// What is wrong with the text; the old one stays.
    fn change_setting(&self, store: &Store, bucket: &Bucket, setting: &str, text: Option<&str>) -> Result<()>;

    /// The mounts this process serves.
    fn mounts(&self) -> Vec<MountRow>;

    /// Mounts the store.
    ///
    /// # Errors
    /// Why it cannot.
    fn mount(&self, mountpoint: &Path, options: &[String]) -> Result<MountRow>;

    /// Unmounts one mount, publishing what is open.
    ///
    /// # Errors
    /// When nothing of this process is mounted there, or it is busy.
    fn unmount(&self, mountpoint: &Path, lazy: bool) -> Result<ActRow>;

    /// Begins to end the process, with everything durable, for another to take its place; the mounts it serves.
    ///
    /// # Errors
    /// When something cannot be made durable: the process goes on.
    fn hand_over(&self) -> Result<Vec<MountRow>>;

    /// Places for verbs that wait for what may never come.
    fn waiting(&self) -> Waiting;

    /// Whether the process is ending: verbs that wait stop waiting.
    fn is_stopping(&self) -> bool;
}
