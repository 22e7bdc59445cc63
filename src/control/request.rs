//! What can be asked of a store: one request a connection, the same whether a process answers or the caller itself.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Version of the protocol: two releases that cannot understand each other say so instead of guessing.
pub const PROTOCOL: u32 = 1;

/// A request and the protocol it is written in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// [`PROTOCOL`] of the sender.
    pub protocol: u32,
    /// What is asked; read only when the protocol is known.
    pub request: serde_json::Value,
}

impl Envelope {
    /// Wraps a request of this release.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self { protocol: PROTOCOL, request: serde_json::to_value(request).unwrap_or_default() }
    }
}

/// What a request is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Target {
    /// The whole store.
    Store,
    /// A bucket, or below it a key as S3 names it; ending in `/` for a prefix.
    Key {
        /// Bucket.
        bucket: String,
        /// Key or prefix; empty for the bucket itself.
        key: String,
    },
    /// A path below a mount's root, as `ls` shows it.
    Path {
        /// The mount's device number, as `/proc/self/mountinfo` has it.
        mount: String,
        /// The path, without `/` before or behind; empty for the mount's root.
        path: String,
    },
}

/// Which version of an object.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Which {
    /// The current one, or the verb's own default.
    #[default]
    Current,
    /// The one with this id.
    Version(String),
    /// The one that was current at this RFC 3339 instant.
    At(String),
}

/// One set of name-value pairs of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Attribute {
    /// Tags.
    Tags,
    /// System headers and user metadata.
    Metadata,
}

/// What to do with pairs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Edit {
    /// Show these, or all when none is named.
    Get(Vec<String>),
    /// Set these and keep the others.
    Set(Vec<(String, String)>),
    /// Remove these.
    Remove(Vec<String>),
    /// Remove all.
    Clear,
}

/// One of the two things that protect a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Protection {
    /// Until when it is kept.
    Retention,
    /// Whether it is held.
    LegalHold,
}

/// What to do with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LockEdit {
    /// Show it.
    Get,
    /// Set it: `MODE TIME`, or `ON` or `OFF`.
    Set(String),
    /// Remove it.
    Remove,
}

/// What to do with storage classes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ClassEdit {
    /// Show them.
    Get,
    /// Move objects to this one; new files in a directory get it.
    Set(String),
    /// New files in a directory get that of the directory above.
    Clear,
}

/// How archived objects are to be restored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Thaw {
    /// For how many days.
    pub days: u32,
    /// How fast: `Expedited`, `Standard` or `Bulk`.
    pub tier: String,
}

/// Everything that can be asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// How the store and its mounts are.
    Status,
    /// The errors that errnos could not explain.
    Errors {
        /// Only those of one bucket or below one key.
        target: Target,
    },
    /// Every bucket.
    Buckets,
    /// One bucket with its settings and usage.
    BucketShow {
        /// Its name.
        bucket: String,
    },
    /// Makes a bucket.
    BucketCreate {
        /// Its name.
        bucket: String,
        /// With object lock, and so with versioning.
        #[serde(default)]
        object_lock: bool,
    },
    /// Deletes an empty bucket.
    BucketDelete {
        /// Its name.
        bucket: String,
        /// Only say whether it could be done.
        dry_run: bool,
    },
    /// One setting of a bucket.
    SettingGet {
        /// The bucket.
        bucket: String,
        /// The setting.
        setting: String,
    },
    /// Sets or, without a value, removes a setting.
    SettingSet {
        /// The bucket.
        bucket: String,
        /// The setting.
        setting: String,
        /// A word, or a document's JSON.
        value: Option<String>,
        /// `SERIAL CODE` of a second factor.
        #[serde(default)]
        mfa: Option<String>,
    },
    /// What lies below a target.
    List {
        /// Where.
        target: Target,
        /// Also what lies deeper.
        recursive: bool,
        /// Also noncurrent versions and delete markers.
        versions: bool,
        /// As it was at this RFC 3339 instant.
        at: Option<String>,
    },
    /// All that is known of one object, directory or bucket.
    Stat {
        /// Which.
        target: Target,
        /// Which version.
        which: Which,
    },
    /// An object's versions, newest first.
    Versions {
        /// Which.
        target: Target,
    },
    /// Makes an older version's bytes the current version.
    Restore {
        /// Which.
        target: Target,
        /// Which version; `Current` for the newest that is not current.
        which: Which,
    },
    /// Removes the delete marker on top of a name.
    Undelete {
        /// Which.
        target: Target,
        /// Also everything deleted below it.
        recursive: bool,
    },
    /// Deletes one version for good.
    Purge {
        /// Which.
        target: Target,
        /// Its id.
        version: String,
        /// Only say what would be deleted.
        dry_run: bool,
        /// Also one that GOVERNANCE retains.
        #[serde(default)]
        bypass_governance: bool,
        /// `SERIAL CODE` of a second factor.
        #[serde(default)]
        mfa: Option<String>,
    },
    /// Reads or changes what protects a version.
    Lock {
        /// Of which object.
        target: Target,
        /// Of which version; the current one when none is named.
        version: Option<String>,
        /// Which protection.
        protection: Protection,
        /// What to do.
        edit: LockEdit,
        /// Also against GOVERNANCE.
        bypass_governance: bool,
    },
    /// Reads or changes tags or metadata.
    Pairs {
        /// Of which object.
        target: Target,
        /// Which set of pairs.
        attribute: Attribute,
        /// Of which version, for tags.
        version: Option<String>,
        /// What to do.
        edit: Edit,
    },
    /// Shows or changes storage classes.
    Class {
        /// Of which object, or of new files in which directory.
        target: Target,
        /// Of which version.
        version: Option<String>,
        /// Of every object below.
        recursive: bool,
        /// What to do.
        edit: ClassEdit,
        /// Only say what would be moved.
        dry_run: bool,
    },
    /// Restores archived objects, or tells how their restores are.
    Thaw {
        /// Which.
        target: Target,
        /// Which version.
        version: Option<String>,
        /// Everything archived below.
        recursive: bool,
        /// How; nothing is asked for without.
        ask: Option<Thaw>,
    },
    /// How much lies below a target.
    Usage {
        /// Where.
        target: Target,
        /// Also noncurrent versions.
        versions: bool,
    },
    /// Proves the store's invariants.
    Fsck,
    /// Copies the whole store, as it is at one moment, into a backup directory.
    Backup {
        /// The directory; absolute.
        to: PathBuf,
        /// Share files with the store by hard links.
        link: bool,
        /// Remove the oldest backups beyond so many.
        keep: Option<u32>,
        /// Only say what would be done.
        dry_run: bool,
    },
    /// Mends what can be mended.
    Repair {
        /// Only say what would be done.
        dry_run: bool,
    },
    /// Frees all that can be freed.
    Gc {
        /// Only say how much that would be.
        dry_run: bool,
    },
    /// The zones, and how they are doing.
    Zones,
    /// Takes an empty directory for a zone that is lost.
    ZoneAdopt {
        /// Its name.
        name: String,
    },
    /// Gives all files the copies that they want.
    ZonesRepair,
    /// Pauses or resumes compaction in the background.
    Compaction {
        /// Which.
        pause: bool,
    },
    /// Reads everything against its checksums, past every cache.
    Scrub {
        /// Bytes a second at most.
        rate: Option<u64>,
    },
    /// Pauses scrub in the background, or lets it go on.
    ScrubPause {
        /// Which of both.
        paused: bool,
    },
    /// What buckets were used for in a month.
    Metered {
        /// The month, `YYYY-MM`; without, the one that goes on.
        month: Option<String>,
        /// Of that bucket only.
        bucket: Option<String>,
    },
    /// What a bucket's analytics configurations have come to.
    Analyze {
        /// The bucket.
        bucket: String,
        /// That configuration only.
        id: Option<String>,
    },
    /// What a bucket's lifecycle rules will do.
    LifecyclePreview {
        /// The bucket.
        bucket: String,
        /// Until this RFC 3339 instant or day; without, for a year.
        until: Option<String>,
    },
    /// What the rules have in mind for one version, and why.
    LifecycleExplain {
        /// Of which object.
        target: Target,
        /// Of which version; without, the newest.
        version: Option<String>,
    },
    /// Does now what rules want done.
    LifecycleRun {
        /// In these buckets; in all when none is named.
        buckets: Vec<String>,
        /// As of this RFC 3339 instant or day.
        now: Option<String>,
        /// Only say what would be done.
        dry_run: bool,
    },
    /// The change feed.
    Events {
        /// Only changes of this bucket.
        bucket: Option<String>,
        /// Only changes after this number; without, the newest few.
        after: Option<u64>,
        /// Wait for more.
        follow: bool,
    },
    /// Writes current objects as plain files.
    Export {
        /// What.
        target: Target,
        /// Into which directory; absolute.
        to: PathBuf,
        /// As it was at this RFC 3339 instant.
        at: Option<String>,
    },
    /// About vaults.
    Vault(VaultRequest),
    /// Every device of the account's root that shows one-time codes, without secrets.
    MfaDevices,
    /// Registers such a device; the answer has its secret.
    MfaAdd {
        /// Its name.
        name: String,
    },
    /// Removes such a device.
    MfaRemove {
        /// Its name.
        name: String,
        /// Only say whether it could be removed.
        dry_run: bool,
    },
    /// Every user.
    Users,
    /// Adds a user.
    UserAdd {
        /// The user's name.
        user: String,
        /// The uid; without, that of the machine's user of that name.
        uid: Option<u32>,
        /// The gid; without, that of the machine's user of that name, or a number like the uid.
        gid: Option<u32>,
        /// Whether the user may make buckets.
        create_buckets: bool,
    },
    /// Removes a user and the user's access keys.
    UserRemove {
        /// The user's name.
        user: String,
        /// Only say what would be removed.
        dry_run: bool,
    },
    /// Every access key, without secrets.
    AccessKeys {
        /// Only this user's.
        user: Option<String>,
    },
    /// Makes an access key; the answer has its secret.
    AccessKeyCreate {
        /// Whose; without, the owner's.
        user: Option<String>,
    },
    /// Has requests signed with an access key taken or refused.
    AccessKeyEnable {
        /// Its id.
        access_key: String,
        /// Which of both.
        enabled: bool,
    },
    /// Deletes an access key.
    AccessKeyDelete {
        /// Its id.
        access_key: String,
        /// Only say whether it could be deleted.
        dry_run: bool,
    },
    /// A URL that lets whoever holds it make one request.
    Presign {
        /// Of which object, there or not.
        target: Target,
        /// Which version.
        version: Option<String>,
        /// To write it instead of reading it.
        put: bool,
        /// For how many seconds.
        expires: u64,
        /// Where the S3 API is served.
        endpoint: String,
        /// In which region.
        region: String,
        /// Signed with the access key of this id; without, with the owner's oldest that is enabled.
        access_key: Option<String>,
    },
    /// Mounts the store once more, in the process that owns it.
    Mount {
        /// Where; absolute.
        mountpoint: PathBuf,
        /// The `-o` texts.
        options: Vec<String>,
    },
    /// Unmounts; the process ends with its last mount.
    Unmount {
        /// Where; absolute.
        mountpoint: PathBuf,
        /// Also when files are open: they stay readable until they are closed.
        lazy: bool,
    },
    /// Publishes and syncs everything, answers with the mounts, takes them away, also from who uses them, and ends the
    /// process: another is about to take its place.
    Stop,
}

/// What can be asked of vaults.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum VaultRequest {
    /// Every vault.
    List,
    /// One vault, with its policies.
    Show {
        /// Its name.
        vault: String,
    },
    /// Makes a vault.
    Create {
        /// Its name.
        vault: String,
    },
    /// Deletes a vault that is empty, and was when it was looked through last.
    Delete {
        /// Its name.
        vault: String,
        /// Only say whether it could be deleted.
        dry_run: bool,
    },
    /// The archives of a vault.
    Archives {
        /// Its name.
        vault: String,
    },
    /// Puts a file's bytes in as an archive.
    Upload {
        /// The vault's name.
        vault: String,
        /// The file, an absolute path.
        from: PathBuf,
        /// What is said of it.
        description: String,
    },
    /// Writes an archive's bytes into a new file.
    Download {
        /// The vault's name.
        vault: String,
        /// The archive's id.
        archive: String,
        /// The file, an absolute path.
        to: PathBuf,
    },
    /// Deletes an archive.
    DeleteArchive {
        /// The vault's name.
        vault: String,
        /// The archive's id.
        archive: String,
        /// Only say whether it could be deleted.
        dry_run: bool,
    },
    /// Sets and removes tags of a vault.
    Tag {
        /// Its name.
        vault: String,
        /// Tags to set.
        set: Vec<(String, String)>,
        /// Keys of tags to remove.
        remove: Vec<String>,
    },
    /// Sets a vault's access policy, or removes it.
    Policy {
        /// Its name.
        vault: String,
        /// The document.
        policy: Option<String>,
    },
    /// Begins to lock a vault; the answer has the id that completes it.
    LockInitiate {
        /// Its name.
        vault: String,
        /// The document.
        policy: String,
    },
    /// Makes the lock of a vault one for good.
    LockComplete {
        /// Its name.
        vault: String,
        /// The id of the lock.
        id: String,
    },
    /// Gives up the lock of a vault.
    LockAbort {
        /// Its name.
        vault: String,
    },
}

impl VaultRequest {
    /// Whether it reads or writes the machine's files.
    #[must_use]
    pub const fn is_of_the_machine(&self) -> bool {
        matches!(self, Self::Upload { .. } | Self::Download { .. })
    }
}

impl Request {
    /// Whether it acts on the machine's files with the process's own rights, not only on the store.
    #[must_use]
    pub const fn is_of_the_machine(&self) -> bool {
        match self {
            Self::Backup { .. } | Self::Export { .. } | Self::Mount { .. } | Self::Unmount { .. } | Self::Stop => true,
            Self::Vault(request) => request.is_of_the_machine(),
            Self::Status
            | Self::Errors { .. }
            | Self::Buckets
            | Self::BucketShow { .. }
            | Self::BucketCreate { .. }
            | Self::BucketDelete { .. }
            | Self::SettingGet { .. }
            | Self::SettingSet { .. }
            | Self::List { .. }
            | Self::Stat { .. }
            | Self::Versions { .. }
            | Self::Restore { .. }
            | Self::Undelete { .. }
            | Self::Purge { .. }
            | Self::Pairs { .. }
            | Self::Lock { .. }
            | Self::Class { .. }
            | Self::Thaw { .. }
            | Self::Usage { .. }
            | Self::Metered { .. }
            | Self::Analyze { .. }
            | Self::Fsck
            | Self::Repair { .. }
            | Self::Gc { .. }
            | Self::Zones
            | Self::ZoneAdopt { .. }
            | Self::ZonesRepair
            | Self::Compaction { .. }
            | Self::Scrub { .. }
            | Self::ScrubPause { .. }
            | Self::LifecyclePreview { .. }
            | Self::LifecycleExplain { .. }
            | Self::LifecycleRun { .. }
            | Self::Events { .. }
            | Self::MfaDevices
            | Self::MfaAdd { .. }
            | Self::MfaRemove { .. }
            | Self::Users
            | Self::UserAdd { .. }
            | Self::UserRemove { .. }
            | Self::AccessKeys { .. }
            | Self::AccessKeyCreate { .. }
            | Self::AccessKeyEnable { .. }
            | Self::AccessKeyDelete { .. }
            | Self::Presign { .. } => false,
        }
    }

    /// Whether it may change what a mount shows.
    #[must_use]
    pub const fn changes_what_is_shown(&self) -> bool {
        match self {
            Self::BucketCreate { .. } | Self::SettingSet { .. } | Self::Restore { .. } | Self::Undelete { .. } => true,
            Self::Lock { edit, .. } => !matches!(edit, LockEdit::Get),
            Self::BucketDelete { dry_run, .. }
            | Self::Purge { dry_run, .. }
            | Self::Repair { dry_run }
            | Self::LifecycleRun { dry_run, .. } => !*dry_run,
            Self::Pairs { edit, .. } => !matches!(edit, Edit::Get(_)),
            _ => false,
        }
    }

    /// Whether only a process that serves mounts can do it.
    #[must_use]
    pub const fn needs_a_process(&self) -> bool {
        matches!(self, Self::Mount { .. } | Self::Unmount { .. } | Self::Compaction { .. } | Self::Stop)
    }
}
