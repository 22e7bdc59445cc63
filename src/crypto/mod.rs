//! Ciphers and digests over buffers: knows neither files nor keys' owners, holds no state and no locks.

mod digest;
mod opaque;
mod seal;
mod summer;
mod totp;
mod tree_hash;

pub use digest::{Crc64, crc32c, crc64_combine, crc64_zeros, hex, sha256};
pub use opaque::Opaque;
pub use seal::{Sealer, hmac_sha256};
pub use summer::{Md5, Summer, combine, md5};
pub use totp::{TOTP_STEP_SECONDS, base32, totp};
pub use tree_hash::TreeHash;
