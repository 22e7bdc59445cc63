//! Vaults: drawers of archives that nobody can overwrite, each under a policy that can be locked for good (VAULT).
//!
//! Pure: what a vault is told, and what that comes to at an instant. What an archive is, the store knows.

use crate::model::{ACCOUNT, Error, Kind, REGION, Result, TagSet, Timestamp};
use crate::store::policy::{Holds, Opinion, Policy, Request, Vocabulary};
use serde::{Deserialize, Serialize};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// What can be done to a vault that policies speak of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VaultAction {
    /// See what it is and what it holds.
    Describe,
    /// Delete it.
    Delete,
    /// Put an archive in.
    Upload,
    /// Take an archive's bytes out.
    Retrieve,
    /// Delete an archive.
    DeleteArchive,
    /// Set tags.
    AddTags,
    /// Remove tags.
    RemoveTags,
}

impl VaultAction {
    /// The name that policies know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Describe => "glacier:DescribeVault",
            Self::Delete => "glacier:DeleteVault",
            Self::Upload => "glacier:UploadArchive",
            Self::Retrieve => "glacier:GetJobOutput",
            Self::DeleteArchive => "glacier:DeleteArchive",
            Self::AddTags => "glacier:AddTagsToVault",
            Self::RemoveTags => "glacier:RemoveTagsFromVault",
        }
    }
}

/// Every action that a vault's policy may name. What concerns the policies themselves they cannot deny: a lock that is not complete
/// can always be given up.
const ACTIONS: [&str; 7] = [
    VaultAction::Describe.name(),
    VaultAction::Delete.name(),
    VaultAction::Upload.name(),
    VaultAction::Retrieve.name(),
    VaultAction::DeleteArchive.name(),
    VaultAction::AddTags.name(),
    VaultAction::RemoveTags.name(),
];

const AGE: &str = "glacier:ArchiveAgeInDays";
const TAG: &str = "glacier:ResourceTag/";
const KEYS: [(&str, Holds); 6] = [
    (AGE, Holds::Numbers),
    (TAG, Holds::Text),
    ("aws:CurrentTime", Holds::Instants),
    ("aws:EpochTime", Holds::Seconds),
    ("aws:PrincipalArn", Holds::Arns),
    ("aws:PrincipalAccount", Holds::Text),
];

/// What is kept of a vault beside its archives.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Vault {
    /// Whether its record was lost, and with it what its policies denied: nothing goes, and nothing comes.
    #[serde(default)]
    pub sealed: bool,
    /// Tags, which its policies may look at.
    #[serde(default)]
    pub tags: TagSet,
    #[serde(default)]
    access: Option<String>,
    #[serde(default)]
    lock: Option<VaultLock>,
    /// When an archive was put in or deleted last.
    #[serde(default)]
    written: Option<Timestamp>,
    /// What the midnight before the last write saw.
    #[serde(default)]
    inventory: Option<Inventory>,
}

/// A lock of a vault: its policy, and how far it has come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VaultLock {
    /// What completes it.
    pub id: String,
    /// The document.
    pub policy: String,
    /// When it was installed.
    pub initiated: Timestamp,
    /// When it was completed.
    pub completed: Option<Timestamp>,
}

/// How far a lock has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockState {
    /// In force for a trial, which ends then (VAULT-2, VAULT-3).
    InProgress {
        /// When the id expires and the policy goes.
        expires: Timestamp,
    },
    /// In force for good (VAULT-5).
    Locked,
}

/// What a vault held at a midnight (UTC).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Inventory {
    /// Which.
    pub at: Timestamp,
    /// Archives.
    pub archives: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl VaultLock {
    /// When it is given up, unless it is completed before.
    const fn expires(&self) -> Timestamp {
        Timestamp { secs: self.initiated.secs.saturating_add(DAY_SECONDS), nanos: self.initiated.nanos }
    }
}

impl Vault {
    /// The record of a vault whose own is lost or cannot be read.
    #[must_use]
    pub fn sealed() -> Self {
        Self { sealed: true, ..Self::default() }
    }

    /// A vault's ARN, as policies name it.
    #[must_use]
    pub fn arn(name: &str) -> String {
        format!("arn:aws:glacier:{REGION}:{ACCOUNT}:vaults/{name}")
    }

    /// Reads a policy for a vault of that name.
    ///
    /// # Errors
    /// [`Kind::MalformedPolicy`].
    pub fn policy(name: &str, text: &str) -> Result<Policy> {
        let (arn, root) = (Self::arn(name), root());
        Policy::parse(text, &Vocabulary { actions: &ACTIONS, keys: &KEYS, resource: &arn, askers: &[&root] })
    }

    /// The access policy: set, changed and removed at any time, unlike that of a lock (VAULT-1).
    #[must_use]
    pub fn access(&self) -> Option<&str> {
        self.access.as_deref()
    }

    /// Sets or removes the access policy.
    ///
    /// # Errors
    /// [`Kind::MalformedPolicy`]; [`Kind::Denied`] when the record was lost.
    pub fn set_access(&mut self, name: &str, policy: Option<&str>) -> Result<()> {
        if self.sealed {
            return Err(sealed(name));
        }
        policy.map_or(Ok(()), |text| Self::policy(name, text).map(drop))?;
        self.access = policy.map(str::to_owned);
        Ok(())
    }

    /// Its lock as it stands when `now` is the latest instant that was seen: one that was not completed within 24 hours is none (VAULT-3).
    #[must_use]
    pub fn lock_at(&self, now: Timestamp) -> Option<(&VaultLock, LockState)> {
        let lock = self.lock.as_ref()?;
        let state = match lock.completed {
            Some(_) => LockState::Locked,
            None => LockState::InProgress { expires: Some(lock.expires()).filter(|expires| now < *expires)? },
        };
        Some((lock, state))
    }

    /// Installs a lock's policy, which is in force from now on and is to be completed with `id` before the instant that is returned
    /// (VAULT-2, VAULT-3).
    ///
    /// # Errors
    /// [`Kind::Denied`] where there is a lock already (VAULT-4, VAULT-5); [`Kind::MalformedPolicy`] (VAULT-1).
    pub fn initiate(&mut self, name: &str, id: &str, policy: &str, now: Timestamp) -> Result<Timestamp> {
        if self.sealed {
            return Err(sealed(name));
        }
        let refused = |why: &'static str, mend: &'static str| {
            Err(Error::new(Kind::Denied, format!("cannot begin to lock the vault {name}")).why(why).mend(mend))
        };
        match self.lock_at(now) {
            Some((_, LockState::Locked)) => return refused(LOCKED, "make another vault for what needs another policy"),
            Some((_, LockState::InProgress { .. })) => {
                return refused("a lock of it is in progress (VAULT-4)", "complete it, or abort it first");
            }
            None => {}
        }
        Self::policy(name, policy)?;
        let (id, policy) = (id.to_owned(), policy.to_owned());
        let lock = VaultLock { id, policy, initiated: now, completed: None };
        let expires = lock.expires();
        self.lock = Some(lock);
        Ok(expires)
    }

    /// Makes the lock in progress one for good (VAULT-3). Once more with the same id changes nothing (VAULT-9).
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`] without a lock; with a wrong id [`Kind::InvalidArgument`] while it is in progress, and
    /// [`Kind::Denied`] when it is complete (VAULT-9).
    pub fn complete(&mut self, name: &str, id: &str, now: Timestamp) -> Result<()> {
        let refused = |kind, why: &'static str, mend: &'static str| {
            Err(Error::new(kind, format!("cannot complete the lock of the vault {name}")).why(why).mend(mend))
        };
        let look = "`keyfold vault show` tells how the lock stands";
        match self.lock_at(now) {
            None => refused(
                Kind::NoSuchVault,
                "none is in progress; one that is not completed within 24 hours is given up",
                "begin again",
            ),
            Some((lock, state)) if lock.id != id => match state {
                LockState::InProgress { .. } => {
                    refused(Kind::InvalidArgument, "that is not the id of the lock in progress (VAULT-9)", look)
                }
                LockState::Locked => refused(Kind::Denied, LOCKED, look),
            },
            Some((_, LockState::Locked)) => Ok(()),
            Some((lock, LockState::InProgress { .. })) => {
                self.lock = Some(VaultLock { completed: Some(now), ..lock.clone() });
                Ok(())
            }
        }
    }

    /// Gives up a lock in progress; where there is none, nothing changes (VAULT-4).
    ///
    /// # Errors
    /// [`Kind::Denied`] when it is complete.
    pub fn abort(&mut self, name: &str, now: Timestamp) -> Result<()> {
        if let Some((_, LockState::Locked)) = self.lock_at(now) {
            return Err(Error::new(Kind::Denied, format!("cannot abort the lock of the vault {name}"))
                .why(LOCKED)
                .mend("what it denies stays denied; make another vault for other needs"));
        }
        self.lock = None;
        Ok(())
    }

    /// Whether the account's root may do something at `now`, with an archive that was made then where it is about one: whatever no policy
    /// denies (IAM-3, VAULT-6). `reckoned` is the latest instant that was seen, by which trials of locks end.
    ///
    /// # Errors
    /// [`Kind::Denied`], naming policy and statement.
    pub fn judge(
        &self,
        name: &str,
        action: VaultAction,
        archive: Option<Timestamp>,
        (now, reckoned): (Timestamp, Timestamp),
    ) -> Result<()> {
        if self.sealed && !matches!(action, VaultAction::Describe | VaultAction::Retrieve) {
            return Err(sealed(name));
        }
        let root = root();
        let mut context = vec![
            ("aws:currenttime".to_owned(), vec![now.rfc3339()]),
            ("aws:epochtime".to_owned(), vec![now.secs.to_string()]),
            ("aws:principalarn".to_owned(), vec![root.clone()]),
            ("aws:principalaccount".to_owned(), vec![ACCOUNT.to_owned()]),
        ];
        let age = |made: Timestamp| now.secs.saturating_sub(made.secs).max(0) / DAY_SECONDS;
        context.extend(archive.map(|made| (AGE.to_ascii_lowercase(), vec![age(made).to_string()])));
        let tag = |(key, value): (&str, &str)| (format!("{TAG}{key}").to_ascii_lowercase(), vec![value.to_owned()]);
        context.extend(self.tags.iter().map(tag));
        let arn = Self::arn(name);
        let request = Request { principal: Some(&root), action: action.name(), resource: &arn, context: &context };
        let locked = self.lock_at(reckoned).map(|(lock, _)| ("lock policy", &lock.policy));
        for (which, text) in locked.into_iter().chain(self.access.as_ref().map(|text| ("access policy", text))) {
            // What cannot be read any more may have denied it.
            let policy = Self::policy(name, text).map_err(|error| {
                Error::corrupt(format!("cannot read the {which} of the vault {name}"), error.to_string())
            })?;
            if let (Opinion::Deny, sid) = policy.ask(&request) {
                let statement = sid.map_or_else(|| "a statement".to_owned(), |sid| format!("the statement {sid:?}"));
                return Err(Error::new(Kind::Denied, format!("{} in the vault {name} is denied", action.name()))
                    .why(format!("{statement} of its {which} denies it"))
                    .mend("`keyfold vault show` prints its policies"));
            }
        }
        Ok(())
    }

    /// What it held at the last midnight, which is when vaults are looked through; `held` is what it holds now. A vault that was made
    /// since has not been looked through.
    #[must_use]
    pub fn inventory(&self, created: Timestamp, held: (u64, u64), now: Timestamp) -> Option<Inventory> {
        let midnight = Timestamp { secs: now.secs.div_euclid(DAY_SECONDS) * DAY_SECONDS, nanos: 0 };
        if created >= midnight {
            return None;
        }
        match self.written {
            Some(written) if written >= midnight => self.inventory,
            _ => Some(Inventory { at: midnight, archives: held.0, bytes: held.1 }),
        }
    }

    /// Notes that something is written at `now`, to a vault that held this much until then.
    pub fn write(&mut self, created: Timestamp, held: (u64, u64), now: Timestamp) {
        self.inventory = self.inventory(created, held, now);
        self.written = self.written.max(Some(now));
    }

    /// Whether it may be deleted: it was empty when it was looked through last, and was not written since (VAULT-7).
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`], saying why not.
    pub fn may_go(&self, name: &str, created: Timestamp, held: (u64, u64), now: Timestamp) -> Result<()> {
        let why = match self.inventory(created, held, now) {
            _ if held.0 > 0 => "it holds archives",
            None if self.written.is_some() => {
                "it was written since it was made, and is looked through at midnight (UTC)"
            }
            Some(seen) if self.written >= Some(seen.at) => {
                "it was written since it was looked through at the last midnight (UTC)"
            }
            None | Some(_) => return Ok(()),
        };
        Err(Error::new(Kind::InvalidArgument, format!("cannot delete the vault {name}"))
            .why(format!("{why} (VAULT-7)"))
            .mend("delete its archives, then the vault on the next day"))
    }
}

/// Who alone asks for vaults.
fn root() -> String {
    format!("arn:aws:iam::{ACCOUNT}:root")
}

fn sealed(name: &str) -> Error {
    Error::new(Kind::Denied, format!("the vault {name} takes no changes"))
        .why("its record was damaged, and what its policies denied is not known any more")
        .mend("its archives can be read: `keyfold vault get`; a backup of the store may have its policies")
}

const LOCKED: &str = "its lock is complete, and can never be changed or removed by anybody (VAULT-5)";

#[cfg(test)]
mod tests {
    use super::{DAY_SECONDS, Kind, LockState, Timestamp, Vault, VaultAction};
    use serde_json::{Value, json};

    const NAME: &str = "ledger";

    fn at(secs: i64) -> Timestamp {
        Timestamp { secs, nanos: 0 }
    }

    /// Whether an archive of that instant may be deleted.
    fn judge(vault: &Vault, made: i64, now: i64) -> crate::model::Result<()> {
        vault.judge(NAME, VaultAction::DeleteArchive, Some(at(made)), (at(now), at(now)))
    }

    fn policy(statement: &Value) -> String {
        let mut whole = json!({"Sid": "keep", "Effect": "Deny", "Principal": "*", "Action": "glacier:DeleteArchive",
            "Resource": "arn:aws:glacier:us-east-1:000000000000:vaults/ledger"});
        whole.as_object_mut().unwrap().extend(statement.as_object().unwrap().clone());
        json!({"Version": "2012-10-17", "Statement": [whole]}).to_string()
    }

    #[test]
    fn vault_2_vault_3_a_policy_is_in_force_from_its_beginning_and_goes_after_a_day() {
        let mut vault = Vault::default();
        let deny = |vault: &Vault, now| judge(vault, 0, now).map_err(|e| e.kind());
        assert_eq!(deny(&vault, 9), Ok(()));
        vault.initiate(NAME, "one", &policy(&json!({})), at(10)).unwrap();
        assert_eq!(deny(&vault, 10), Err(Kind::Denied));
        assert_eq!(deny(&vault, 9 + DAY_SECONDS), Err(Kind::Denied));
        assert_eq!(deny(&vault, 10 + DAY_SECONDS), Ok(()));
        assert_eq!(vault.complete(NAME, "one", at(10 + DAY_SECONDS)).unwrap_err().kind(), Kind::NoSuchVault);
        vault.initiate(NAME, "two", &policy(&json!({})), at(11 + DAY_SECONDS)).unwrap();
        vault.complete(NAME, "two", at(12 + DAY_SECONDS)).unwrap();
        assert_eq!(deny(&vault, 1000 * DAY_SECONDS), Err(Kind::Denied));
    }

    #[test]
    fn vault_4_vault_5_vault_9_which_words_are_taken_in_which_state() {
        let text = policy(&json!({}));
        let mut vault = Vault::default();
        let kind = |result: crate::model::Result<()>| result.map_err(|error| error.kind());
        let begin = |vault: &mut Vault, id, now| vault.initiate(NAME, id, &text, at(now)).map(drop);
        assert_eq!(kind(vault.abort(NAME, at(0))), Ok(()));
        assert_eq!(kind(vault.complete(NAME, "a", at(0))), Err(Kind::NoSuchVault));
        assert_eq!(kind(begin(&mut vault, "a", 0)), Ok(()));
        assert!(
            matches!(vault.lock_at(at(1)), Some((_, LockState::InProgress { expires })) if expires == at(DAY_SECONDS))
        );
        assert_eq!(kind(begin(&mut vault, "b", 1)), Err(Kind::Denied));
        assert_eq!(kind(vault.complete(NAME, "b", at(1))), Err(Kind::InvalidArgument));
        assert_eq!(kind(vault.abort(NAME, at(1))), Ok(()));
        assert_eq!(kind(vault.abort(NAME, at(1))), Ok(()));
        assert_eq!(kind(begin(&mut vault, "c", 2)), Ok(()));
        assert_eq!(kind(vault.complete(NAME, "c", at(2))), Ok(()));
        assert_eq!(kind(vault.complete(NAME, "c", at(3))), Ok(()));
        assert_eq!(kind(vault.complete(NAME, "b", at(3))), Err(Kind::Denied));
        assert_eq!(kind(vault.abort(NAME, at(3))), Err(Kind::Denied));
        assert_eq!(kind(begin(&mut vault, "d", 3)), Err(Kind::Denied));
        let lock = vault.lock_at(at(i64::MAX)).unwrap();
        assert_eq!((lock.1, lock.0.id.as_str(), lock.0.completed), (LockState::Locked, "c", Some(at(2))));
    }

    #[test]
    fn vault_6_by_age_and_by_tag() {
        let mut vault = Vault::default();
        let year = json!({"Condition": {"NumericLessThanEquals": {"glacier:ArchiveAgeInDays": "365"}}});
        vault.initiate(NAME, "a", &policy(&year), at(0)).unwrap();
        vault.complete(NAME, "a", at(0)).unwrap();
        let deny = |vault: &Vault, now| judge(vault, 5, now).is_err();
        assert!(deny(&vault, 4) && deny(&vault, 4 + 366 * DAY_SECONDS));
        assert!(!deny(&vault, 5 + 366 * DAY_SECONDS));
        assert!(vault.judge(NAME, VaultAction::Upload, None, (at(0), at(0))).is_ok());
        let held = json!({"Condition": {"StringLike": {"glacier:ResourceTag/LegalHold": ["true", ""]}}});
        vault.access = Some(policy(&held));
        assert!(!deny(&vault, 1000 * DAY_SECONDS));
        vault.tags.set("LegalHold", "true").unwrap();
        let refused = judge(&vault, 0, 1000 * DAY_SECONDS).unwrap_err();
        assert!(refused.reason().contains("\"keep\" of its access policy"), "{refused}");
    }

    #[test]
    fn vault_1_only_policies_about_this_vault_are_taken() {
        let mut vault = Vault::default();
        for bad in [
            json!({"Resource": "arn:aws:glacier:us-east-1:000000000000:vaults/other"}),
            json!({"Action": "s3:DeleteObject"}),
            json!({"Condition": {"NumericLessThan": {"glacier:Age": 1}}}),
            json!({"Sid": "x".repeat(20 << 10)}),
        ] {
            let refused = vault.initiate(NAME, "a", &policy(&bad), at(0)).unwrap_err();
            assert_eq!(refused.kind(), Kind::MalformedPolicy, "{bad}");
            assert!(vault.lock_at(at(0)).is_none());
        }
    }

    #[test]
    fn vault_7_only_a_vault_that_was_seen_empty_and_not_written_since_goes() {
        let (made, noon) = (at(3), at(DAY_SECONDS / 2));
        let later = |days: i64| at(noon.secs + days * DAY_SECONDS);
        let goes = |vault: &Vault, held, now| vault.may_go(NAME, made, held, now).is_ok();
        let mut vault = Vault::default();
        assert!(goes(&vault, (0, 0), at(4)) && goes(&vault, (0, 0), later(3)));
        vault.write(made, (0, 0), noon);
        assert_eq!(vault.inventory(made, (1, 10), noon), None);
        assert!(!goes(&vault, (1, 10), later(1)));
        assert_eq!(
            vault.inventory(made, (1, 10), later(1)).map(|seen| (seen.at, seen.archives)),
            Some((at(DAY_SECONDS), 1))
        );
        vault.write(made, (1, 10), later(1));
        // Empty again, and not yet seen so: what was seen last stays what it was.
        assert!(!goes(&vault, (0, 0), later(1)));
        assert_eq!(vault.inventory(made, (0, 0), later(1)).map(|seen| seen.archives), Some(1));
        vault.write(made, (0, 0), later(1));
        assert_eq!(vault.inventory(made, (2, 0), later(1)).map(|seen| seen.archives), Some(1));
        assert!(goes(&vault, (0, 0), later(2)));
    }
}
