//! What is answered: one row a thing. Field names are those of `--json` and stay.

use crate::access::Secret;
use crate::backup::Record;
use crate::model::Meter;
use crate::store::LifecycleTally;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One row of an answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Row {
    /// The store's state: what the engine says of itself, and `mounts`.
    Status(serde_json::Value),
    /// A mount.
    Mount(MountRow),
    /// A line of the error ring.
    Complaint(ComplaintRow),
    /// A bucket.
    Bucket(BucketRow),
    /// A setting of a bucket.
    Setting(SettingRow),
    /// An entry of a listing.
    Entry(EntryRow),
    /// An object or a directory with all that is known of it.
    Object(Box<ObjectRow>),
    /// A version.
    Version(VersionRow),
    /// A tag or a piece of metadata.
    Pair(PairRow),
    /// A storage class, or how a restore is.
    Archive(ArchiveRow),
    /// How much lies somewhere.
    Usage(UsageRow),
    /// What a bucket was used for in a month.
    Meter(Box<MeterRow>),
    /// What an analytics configuration has come to.
    Analysis(AnalysisRow),
    /// Damage.
    Finding(FindingRow),
    /// Damage that scrub found.
    Damage(DamageRow),
    /// How far a long verb has come; not data.
    Progress(ProgressRow),
    /// How much there is of something.
    Tally(TallyRow),
    /// What a lifecycle rule does, would do or will do.
    Plan(PlanRow),
    /// What rules will do on one day.
    PlanDay(PlanDayRow),
    /// What rules have in mind for a version.
    Outlook(OutlookRow),
    /// A pass of rules over a bucket.
    Run(RunRow),
    /// A change.
    Event(EventRow),
    /// A backup.
    Backup(BackupRow),
    /// A user.
    User(UserRow),
    /// An access key.
    AccessKey(AccessKeyRow),
    /// A device that shows one-time codes.
    Mfa(MfaRow),
    /// A vault.
    Vault(VaultRow),
    /// An archive of a vault.
    VaultArchive(VaultArchiveRow),
    /// The id of a lock.
    VaultLock(VaultLockRow),
    /// A presigned URL.
    Url(UrlRow),
    /// A zone.
    Zone(crate::store::ZoneStatus),
    /// Something was done, or would be.
    Act(ActRow),
}

/// A mount.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MountRow {
    /// Where.
    pub mountpoint: PathBuf,
    /// The kernel's device number, `0:51`.
    pub device: Option<String>,
    /// Its root's bucket; none for all buckets.
    pub bucket: Option<String>,
    /// Its root's key prefix.
    pub prefix: String,
    /// The instant it shows.
    pub as_of: Option<String>,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// The `-o` texts it was asked for with.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub options: Vec<String>,
}

/// An error that an errno could not explain.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ComplaintRow {
    /// When.
    pub time: String,
    /// Operation.
    pub op: String,
    /// Bucket, when known.
    pub bucket: Option<String>,
    /// Path below it.
    pub path: String,
    /// S3's code.
    pub code: String,
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// The way out.
    pub mend: Option<String>,
}

/// A bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BucketRow {
    /// Its name.
    pub bucket: String,
    /// When it was made.
    pub created: String,
    /// `Unversioned`, `Enabled` or `Suspended`.
    pub versioning: String,
    /// Current objects.
    pub objects: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Noncurrent versions.
    pub noncurrent: i64,
    /// Their bytes.
    pub noncurrent_bytes: i64,
    /// Delete markers.
    pub markers: i64,
    /// Multipart uploads in progress.
    pub uploads: i64,
    /// Bytes of their parts.
    pub upload_bytes: i64,
    /// Most bytes it may hold.
    pub quota: Option<u64>,
    /// The same by class, of those that it has anything of; `null` while that is not counted yet.
    pub classes: Option<Vec<ClassRow>>,
    /// Names of the documents that are set.
    pub settings: Vec<String>,
}

/// What of a class a bucket holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClassRow {
    /// The class.
    pub class: String,
    /// Current objects.
    pub objects: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Noncurrent versions.
    pub noncurrent: i64,
    /// Their bytes.
    pub noncurrent_bytes: i64,
}

/// What an analytics configuration has come to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AnalysisRow {
    /// The bucket.
    pub bucket: String,
    /// The configuration's name.
    pub id: String,
    /// Its filter in words; empty for all objects.
    pub filter: String,
    /// Whole days observed so far.
    pub days: u64,
    /// `STANDARD` objects by age, then all of them, as of the last 30 days.
    pub groups: Vec<AgeRow>,
    /// The age in days from which on objects were seldom used, by the last day's result.
    pub observed_age: Option<u32>,
    /// The age at which to move objects to `STANDARD_IA`, once that is sure.
    pub recommended_age: Option<u32>,
}

/// Objects of some ages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AgeRow {
    /// Their ages in days, such as `30-44`, or `ALL`.
    pub age: String,
    /// Bytes stored, on the average.
    pub stored: u64,
    /// Bytes read.
    pub read: u64,
    /// Reads and puts.
    pub requests: u64,
    /// Millionths of the bytes stored that were read; none where nothing was stored.
    pub ratio: Option<u64>,
}

/// What a bucket was used for in a month.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MeterRow {
    /// The month, `YYYY-MM`.
    pub month: String,
    /// The bucket, which may be deleted since.
    pub bucket: String,
    /// What it was used for.
    pub meter: Meter,
    /// Since when it was metered, when that is within the month.
    pub begun: Option<String>,
    /// Whether what it stores is not in it, since it could not be counted.
    pub uncounted: bool,
}

/// A setting of a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SettingRow {
    /// The bucket.
    pub bucket: String,
    /// The setting.
    pub setting: String,
    /// Its value: a word or JSON text.
    pub value: String,
}

/// An entry of a listing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EntryRow {
    /// Whole key, or prefix ending in `/`.
    pub key: String,
    /// `object`, `prefix` or `marker`.
    pub kind: String,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// S3's Last-Modified.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub modified: Option<String>,
    /// Entity tag, without quotes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub etag: Option<String>,
    /// Storage class.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<String>,
    /// Version id, where versions are listed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// Whether it is the current version, where versions are listed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latest: Option<bool>,
}

/// The storage class of an object, or of new files in a directory, and how its restore is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ArchiveRow {
    /// Its key.
    pub key: String,
    /// Storage class.
    pub class: String,
    /// Bytes.
    pub size: u64,
    /// Version id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// `archived`, `restoring` or `restored`, where restores are asked about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<String>,
    /// When a copy can be read that cannot be yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ready: Option<String>,
    /// When it cannot be read any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<String>,
}

/// An object or a directory.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ObjectRow {
    /// Its bucket.
    pub bucket: String,
    /// Its key; a directory's ends in `/`.
    pub key: String,
    /// `file`, `directory`, `symlink`, `fifo`, `socket`, `char-device`, `block-device` or `marker`.
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// Bytes it has, holes left out.
    pub stored: u64,
    /// Bytes these take on the disk, where classes of storage compress.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_disk: Option<u64>,
    /// Version id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// Whether it is the current version.
    pub latest: bool,
    /// Entity tag, without quotes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub etag: Option<String>,
    /// S3's Last-Modified.
    pub modified: String,
    /// When a newer version took its place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub superseded: Option<String>,
    /// Storage class.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<String>,
    /// Tier within `INTELLIGENT_TIERING`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tier: Option<String>,
    /// Its restore, as `x-amz-restore` has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restore: Option<String>,
    /// How strictly and until when it is kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retention: Option<String>,
    /// Whether a legal hold is on it: `ON` or `OFF`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub legal_hold: Option<String>,
    /// Inode number.
    pub inode: u64,
    /// Permission bits, octal.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the content.
    pub mtime: String,
    /// A symbolic link's target.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// crc64nvme of the content, base64 as S3 has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crc64nvme: Option<String>,
    /// System headers and user metadata.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Names of foreign extended attributes.
    pub xattrs: Vec<String>,
    /// Entries of a directory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entries: Option<u64>,
}

/// A version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionRow {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its id.
    pub version: String,
    /// `current`, `noncurrent` or `deleted` (a delete marker).
    pub state: String,
    /// When it became the current version.
    pub since: String,
    /// When a newer one took its place.
    pub superseded: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Entity tag, without quotes.
    pub etag: Option<String>,
}

/// A tag or a piece of metadata.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PairRow {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// How much lies somewhere.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct UsageRow {
    /// `bucket/prefix`.
    pub path: String,
    /// Current objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Noncurrent versions, when asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub noncurrent: Option<u64>,
    /// Their bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub noncurrent_bytes: Option<u64>,
    /// Delete markers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub markers: Option<u64>,
}

/// Damage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FindingRow {
    /// The invariant that does not hold.
    pub invariant: String,
    /// What is wrong.
    pub what: String,
    /// What a repair did about it, or would do: `mended`, `quarantined` or `left`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<String>,
}

/// Damage that scrub found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DamageRow {
    /// The file, below the store's directory.
    pub file: String,
    /// The first bad byte in it.
    pub at: u64,
    /// How many bytes from there on cannot be trusted.
    pub len: u64,
    /// What lies there and what is wrong.
    pub what: String,
    /// Objects that have bytes there, some of them when there are many.
    pub objects: Vec<HurtRow>,
    /// How many more there are.
    pub more: u64,
}

/// An object that damage hurts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HurtRow {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its version.
    pub version: String,
}

/// How far a long verb has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ProgressRow {
    /// Bytes done.
    pub bytes: u64,
    /// About how many there are.
    pub total: u64,
}

/// How much there is of something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TallyRow {
    /// Of what.
    pub what: String,
    /// How many.
    pub count: u64,
    /// What to know of it.
    pub note: String,
}

/// What a lifecycle rule does to a version or an upload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlanRow {
    /// Since when it is due.
    pub date: String,
    /// `delete`, `mark`, `replace`, `transition` or `abort`.
    pub action: String,
    /// The storage class of a transition.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// Version id; none of an upload, and of a delete marker that does not exist yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// Its bytes.
    pub bytes: u64,
    /// The rule's ID.
    pub rule: String,
    /// Whether it was only tried.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub dry_run: bool,
}

/// What rules will do on one day, in sum.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlanDayRow {
    /// The day.
    pub date: String,
    /// As in [`PlanRow`].
    pub action: String,
    /// The storage class of a transition.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
    /// To how many objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What rules have in mind for a version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutlookRow {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its id.
    pub version: String,
    /// `current`, `noncurrent` or `deleted` (a delete marker).
    pub state: String,
    /// What comes next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<ActionRow>,
    /// By which rule.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// What each rule says.
    pub rules: Vec<RuleRow>,
}

/// Something that a rule does to a version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActionRow {
    /// As in [`PlanRow`].
    pub action: String,
    /// The storage class of a transition.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
    /// Since when it is due, or will be.
    pub date: String,
}

/// What one rule says of a version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleRow {
    /// Its ID.
    pub rule: String,
    /// What it does.
    pub does: Vec<ActionRow>,
    /// Why it does not, or not sooner.
    pub why: Vec<String>,
}

/// A pass of rules over a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunRow {
    /// The bucket.
    pub bucket: String,
    /// How much was done, or would be.
    #[serde(flatten)]
    pub tally: LifecycleTally,
    /// Whether it was only tried.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub dry_run: bool,
}

/// A change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventRow {
    /// Its number: ask for what comes after it.
    pub seq: u64,
    /// When.
    pub time: String,
    /// S3's event name without `s3:`.
    pub event: String,
    /// Bucket; none when it is deleted since.
    pub bucket: Option<String>,
    /// Key; a directory's ends in `/`.
    pub key: String,
    /// Where it was before, for a rename.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// Version id.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: String,
}

/// A backup, one that was made, or what one would be.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct BackupRow {
    /// Its directory; of one that would be, where it would lie.
    pub backup: PathBuf,
    /// What is known of it.
    #[serde(flatten)]
    pub record: Record,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<f64>,
    /// Whether it was only tried.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub dry_run: bool,
}

/// A user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UserRow {
    /// The user's name.
    pub user: String,
    /// Owner of what the user makes.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Whether the user may make buckets.
    pub create_buckets: bool,
    /// When the user was added.
    pub created: String,
    /// How many access keys the user has.
    pub access_keys: u64,
}

/// An access key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccessKeyRow {
    /// Its id.
    pub access_key: String,
    /// Whose it is; none for the owner's.
    pub user: Option<String>,
    /// Whether requests signed with it are taken.
    pub enabled: bool,
    /// When it was made.
    pub created: String,
    /// Its secret, once: when it is made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret: Option<Secret>,
}

/// A device that shows one-time codes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MfaRow {
    /// Its name.
    pub name: String,
    /// Its serial number, as requests name it.
    pub serial: String,
    /// When it was registered.
    pub created: String,
    /// Its secret in base32, once: when it is made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret: Option<Secret>,
    /// The same as applications read it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uri: Option<Secret>,
}

/// A vault.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VaultRow {
    /// Its name.
    pub vault: String,
    /// As policies name it.
    pub arn: String,
    /// When it was made.
    pub created: String,
    /// Archives it holds.
    pub archives: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was looked through last, archives and bytes that it held then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inventory: Option<(String, u64, u64)>,
    /// `InProgress` or `Locked`, where there is a lock; `Lost` where that is not known any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lock: Option<String>,
    /// When a lock in progress is given up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lock_expires: Option<String>,
    /// The policy of the lock.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lock_policy: Option<String>,
    /// The access policy.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub tags: BTreeMap<String, String>,
}

/// An archive of a vault.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VaultArchiveRow {
    /// Its id.
    pub archive: String,
    /// When it was put in.
    pub created: String,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 tree hash of its bytes.
    pub tree_hash: String,
    /// What was said of it.
    pub description: String,
}

/// The id of a lock that is in progress.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VaultLockRow {
    /// The vault.
    pub vault: String,
    /// What completes the lock.
    pub lock_id: String,
    /// When it is given up.
    pub expires: String,
}

/// A presigned URL.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UrlRow {
    /// The URL.
    pub url: String,
    /// `GET` or `PUT`.
    pub method: String,
    /// When it ends to hold.
    pub expires: String,
    /// The access key it is signed with: it ends to hold with that, too.
    pub access_key: String,
}

/// Something was done, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ActRow {
    /// Past tense: `created`, `deleted`, `restored`, `undeleted`, `purged`, `exported`, `unmounted`, ...
    pub act: String,
    /// To what: `bucket/key` or a path.
    pub on: String,
    /// Which version it made or took.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// How many objects.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
    /// How many bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
    /// Whether it was only tried.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub dry_run: bool,
}

impl Row {
    /// The row as `--json` prints it.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let value = match self {
            Self::Status(value) => return value.clone(),
            Self::Mount(row) => serde_json::to_value(row),
            Self::Complaint(row) => serde_json::to_value(row),
            Self::Bucket(row) => serde_json::to_value(row),
            Self::Setting(row) => serde_json::to_value(row),
            Self::Entry(row) => serde_json::to_value(row),
            Self::Object(row) => serde_json::to_value(row),
            Self::Version(row) => serde_json::to_value(row),
            Self::Pair(row) => serde_json::to_value(row),
            Self::Archive(row) => serde_json::to_value(row),
            Self::Usage(row) => serde_json::to_value(row),
            Self::Meter(row) => serde_json::to_value(row),
            Self::Analysis(row) => serde_json::to_value(row),
            Self::Finding(row) => serde_json::to_value(row),
            Self::Damage(row) => serde_json::to_value(row),
            Self::Progress(row) => serde_json::to_value(row),
            Self::Tally(row) => serde_json::to_value(row),
            Self::Plan(row) => serde_json::to_value(row),
            Self::PlanDay(row) => serde_json::to_value(row),
            Self::Outlook(row) => serde_json::to_value(row),
            Self::Run(row) => serde_json::to_value(row),
            Self::Event(row) => serde_json::to_value(row),
            Self::Backup(row) => serde_json::to_value(row),
            Self::User(row) => serde_json::to_value(row),
            Self::AccessKey(row) => serde_json::to_value(row),
            Self::Mfa(row) => serde_json::to_value(row),
            Self::Vault(row) => serde_json::to_value(row),
            Self::VaultArchive(row) => serde_json::to_value(row),
            Self::VaultLock(row) => serde_json::to_value(row),
            Self::Url(row) => serde_json::to_value(row),
            Self::Zone(row) => serde_json::to_value(row),
            Self::Act(row) => serde_json::to_value(row),
        };
        value.unwrap_or_default()
    }
}
