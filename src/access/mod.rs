//! Who asks, and may they? Users, access keys and the decision that every request of the S3 API runs through.
//!
//! Owns the file `access.key` and what the store's records of users and access keys mean. A secret is needed in clear
//! to check a signature, so it cannot be hashed: it is kept sealed with the key in that file, which is its owner's alone
//! (mode 0600). Who reads the index without that file (a copy of its tables, records in `quarantine/`) learns no secret;
//! who reads the whole store's directory, a whole backup or this process's memory learns them all, as he can read every
//! object there. The file lies in backups beside the index. Without it the keys are dead, and only they: make new ones.
//!
//! Nothing is remembered between requests but the sealing key, so what a verb changes holds for the next request.
//!
//! May not know: HTTP, sockets, terminals. Locks: one that makes the key file, one around the key that was read, each taken alone.

mod authorize;
mod key_file;
mod keys;
mod mfa;
mod post_policy;
mod presign;
mod principal;
mod secret;
mod signature;
mod users;

pub use authorize::{Resource, decided};
pub use keys::Credential;
pub use mfa::{NewDevice, serial};
pub use post_policy::PostPolicy;
pub use presign::{EXPIRES_MAX, Endpoint, Presign};
pub use principal::Principal;
pub use secret::Secret;
pub use signature::{ALGORITHM, SigningKey, is_signature};

use crate::crypto::Sealer;
use crate::store::Store;
use crate::sys::entropy::Entropy;
use parking_lot::RwLock;
use std::sync::Arc;

/// Users, access keys and permissions of one store.
pub struct Access {
    store: Arc<Store>,
    entropy: Arc<dyn Entropy>,
    /// From the key file, once it was needed.
    sealer: RwLock<Option<Arc<Sealer>>>,
}

impl Access {
    /// That of a store; reads nothing yet. Ids and secrets are drawn from `entropy`.
    #[must_use]
    pub fn new(store: Arc<Store>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, entropy, sealer: RwLock::default() }
    }
}
