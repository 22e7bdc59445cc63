//! The door to the kernel: decodes requests, calls [`crate::vfs`], replies. All of `fuser` is in here.
//!
//! One thread reads the requests and answers all that cannot block, in the order the kernel sent them; what can wait
//! for the disk goes to a `pool` whose workers reply by themselves. When the one is held up all the same, because the
//! disk hangs, another goes on (see `relay`). The order matters: a `release` must be done
//! before the next `open` of the same file is looked at, or two sessions would be taken for one. (A measurement says
//! that one reader is also the fastest on few processors; handlers that ran on several woke the wrong one.)
//!
//! Asked of the kernel: parallel directory operations, readdirplus when it pays, truncation in `open`, cached
//! symbolic links, set-id bits cleared by us. Not asked: the writeback cache (it loses time and hides sizes), locks
//! (the kernel's own are right for one mount, and a blocking lock in a daemon cannot be killed). Passthrough is for
//! what never changes (see `passing`). Permission bits are checked by the kernel (`default_permissions`), because
//! [`crate::vfs`] does not; where root alone may enter, root's rights are all that counts.
//!
//! Names and attributes are cached without limit: this process is the only writer, and what other doors change is
//! told by the `notifier`. It sends everything twice, because a reply on its way to the kernel may cross the first.

mod adapter;
mod convert;
pub mod mount;
mod notifier;
mod passing;
mod pool;
mod relay;
mod reply;
mod wakeful;

pub use mount::{Mount, MountSettings};
