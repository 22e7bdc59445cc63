//! Devices of the account's root that show one-time codes: made, listed, removed, and their codes taken once (MFA).

use super::keys::Opened;
use super::{Access, Principal, Secret};
use crate::crypto::{TOTP_STEP_SECONDS, base32, totp};
use crate::model::{ACCOUNT, Error, Kind, MfaDevice, Result, Timestamp, UserName};
use zeroize::Zeroizing;

/// Bytes of a device's secret: those of a SHA-1.
const SECRET_BYTES: usize = 20;
/// Steps that a device's clock may be off, either way.
const STEPS_OFF: u64 = 1;
/// Wrong codes in a row that nobody has to wait for.
const WRONG_FREE: u32 = 5;
/// Seconds to wait after each further one, times how many these are; an hour at most.
const WAIT_SECONDS: i64 = 10;
const WAIT_SECONDS_MAX: i64 = 3600;

/// A device that was just made.
pub struct NewDevice {
    /// Its serial number, as requests name it.
    pub serial: String,
    /// Its secret in base32.
    pub secret: Secret,
    /// The same as applications read it.
    pub uri: Secret,
}

/// The serial number of a device.
#[must_use]
pub fn serial(name: &UserName) -> String {
    format!("arn:aws:iam::{ACCOUNT}:mfa/{name}")
}

fn denied(why: &'static str) -> Error {
    Error::new(Kind::Denied, "the second factor is refused")
        .why(why)
        .mend("give the serial number of one of the root's devices, a blank, and the six digits that it shows now")
}

impl Access {
    /// Registers a device of the account's root. Nothing shows its secret again. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] when the name is taken, else as [`Access::create_key`].
    pub fn create_device(&self, name: &UserName) -> Result<NewDevice> {
        self.store.writable()?;
        let sealer = self.sealer_to_make()?;
        let (mut plain, mut nonce) = (Zeroizing::new([0; SECRET_BYTES]), [0; 12]);
        self.entropy.fill(plain.as_mut_slice())?;
        self.entropy.fill(&mut nonce)?;
        let sealed = sealer.seal(&nonce, &about(name), plain.as_slice())?;
        let device = MfaDevice {
            created: self.store.now(),
            nonce,
            sealed,
            last_step: 0,
            wrong: 0,
            last_wrong: Timestamp::default(),
        };
        self.store.add_mfa_device(name, &device)?;
        let secret = base32(plain.as_slice());
        let uri =
            format!("otpauth://totp/Keyfold:{name}?secret={secret}&issuer=Keyfold&algorithm=SHA1&digits=6&period=30");
        Ok(NewDevice { serial: serial(name), secret: Secret::new(secret), uri: Secret::new(uri) })
    }

    /// Takes `SERIAL CODE` as the second factor of the account's root: the code is one that the device shows now, or showed or
    /// will show within a step of 30 seconds, and was not taken before (MFA-4, MFA-5). That it was taken is durable when this
    /// returns.
    ///
    /// # Errors
    /// [`Kind::Denied`] for anything else, and of anybody else (MFA-3).
    pub fn take_code(&self, who: &Principal, text: &str) -> Result<()> {
        if *who != Principal::Owner {
            return Err(denied("it is the account root's, and the request is another's (MFA-3)"));
        }
        let wrong = || denied("no device of that serial number shows that code, or it was used already (MFA-4, MFA-5)");
        let (said, code) = text.split_once(' ').ok_or_else(wrong)?;
        let six = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
        let code: u32 = code.parse().ok().filter(|_| six).ok_or_else(wrong)?;
        let name = said.strip_prefix(&format!("arn:aws:iam::{ACCOUNT}:mfa/")).unwrap_or(said);
        let name = UserName::parse(name).map_err(|_| wrong())?;
        let device = match self.store.mfa_device(&name) {
            Err(error) if error.kind() == Kind::NoSuchEntity => return Err(wrong()),
            device => device?,
        };
        if let Some(secs) = wait(&device, self.store.now()) {
            return Err(Error::new(Kind::Denied, "the second factor is refused")
                .why(format!("{} wrong codes were given for the device in a row", device.wrong))
                .mend(format!("wait {secs} seconds, then give the code that it shows")));
        }
        let plain = self.open_sealed(&Opened { nonce: &device.nonce, about: &about(&name), sealed: &device.sealed })?;
        let now = u64::try_from(self.store.now().secs.div_euclid(TOTP_STEP_SECONDS)).unwrap_or(0);
        let mut steps = now.saturating_sub(STEPS_OFF)..=now.saturating_add(STEPS_OFF);
        let Some(step) = steps.find(|step| *step > device.last_step && totp(&plain, *step) == code) else {
            self.store.count_wrong_code(&name)?;
            return Err(wrong());
        };
        if self.store.use_mfa_step(&name, step)? { Ok(()) } else { Err(wrong()) }
    }
}

/// Seconds until a device's codes are compared again, after too many wrong ones. A clock that was set back makes nobody wait
/// for it.
fn wait(device: &MfaDevice, now: Timestamp) -> Option<i64> {
    let over = i64::from(device.wrong.checked_sub(WRONG_FREE)?) + 1;
    let passed = now.secs.checked_sub(device.last_wrong.secs).filter(|passed| *passed >= 0)?;
    let left = (over * WAIT_SECONDS).min(WAIT_SECONDS_MAX) - passed;
    (left > 0).then_some(left)
}

/// What a secret is bound to: no record opens as another's, nor as an access key's.
fn about(name: &UserName) -> Vec<u8> {
    ["mfa\0", name.as_str()].concat().into_bytes()
}
