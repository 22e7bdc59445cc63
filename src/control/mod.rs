//! The verbs of the command line, each written once: run on a store that the caller just opened, or over the store's
//! Unix socket in the process that owns it.
//!
//! Owns the protocol (requests, rows, frames) and the verbs; the socket's server is `node`'s. May not know: terminals,
//! kernels. Takes no locks. Bytes from the socket are bounded and never trusted.

mod answer;
mod frame;
mod host;
mod mounts;
mod place;
mod request;
mod row;
mod serve;
mod socket;
mod verbs;

pub use answer::{Answer, Failure, Reply};
pub use frame::{FRAME_BYTES_MAX, read_frame, write_frame};
pub use host::{Host, Place, Spot, Waiting};
pub use mounts::{FSTYPE, KernelMount, all_mounts, keyfold_mounts, mount_of};
pub use request::{
    Attribute, ClassEdit, Edit, Envelope, LockEdit, PROTOCOL, Protection, Request, Target, Thaw, VaultRequest, Which,
};
pub use row::{
    AccessKeyRow, ActRow, ActionRow, AgeRow, AnalysisRow, ArchiveRow, BackupRow, BucketRow, ClassRow, ComplaintRow,
    DamageRow, EntryRow, EventRow, FindingRow, HurtRow, MeterRow, MfaRow, MountRow, ObjectRow, OutlookRow, PairRow,
    PlanDayRow, PlanRow, ProgressRow, Row, RuleRow, RunRow, SettingRow, TallyRow, UrlRow, UsageRow, UserRow,
    VaultArchiveRow, VaultLockRow, VaultRow, VersionRow,
};
pub use serve::{Caller, serve};
pub use socket::{Address, Connection, SOCKET, connect};
pub use verbs::{handle, list_backups, restore_backup};
