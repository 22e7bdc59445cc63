//! Names in a directory for the parts of keys, and back: every key is in sight, no two share a name (KEY-7 to KEY-14).
//!
//! | part of a key | name | rule |
//! | --- | --- | --- |
//! | ordinary | itself | |
//! | object `a` beside directory `a` | `.@obj:` and the directory's name | KEY-8 |
//! | body of the marker `dir/` | `dir/.@self` | KEY-7 |
//! | empty, `.`, `..` | `.@empty`, `.@dot`, `.@dotdot` | KEY-9, KEY-10 |
//! | holds NUL | `.@x` and the part, `%` and ASCII control characters as `%00` | KEY-11 |
//! | a reserved name | `.@r` and the part | KEY-13 |
//! | begins with `.@` | one more `@`: `.@@...` | KEY-13 |
//! | any of these, the name over 255 bytes | `.@h`, half the part's SHA-256 in hex, `-` and the part's end | KEY-12 |
//!
//! Of the rows from KEY-9 to KEY-13 the upper wins. A part has one spelling and [`read`] takes no other, so the
//! mapping is a bijection.

use crate::crypto::sha256;
use crate::model::{Error, Kind, Result};
use std::borrow::Cow;
use std::fmt::Write;

/// Longest name in a directory, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

const ESCAPE: &str = ".@";
/// Name of the body of a directory's own marker.
pub(super) const SELF_BODY: &str = ".@self";
const OBJECT: &str = ".@obj:";
const EMPTY: &str = ".@empty";
const DOT: &str = ".@dot";
const DOT_DOT: &str = ".@dotdot";
const PERCENT: &str = ".@x";
const HASHED: &str = ".@h";
const RESERVED: &str = ".@r";
const DOUBLED: &str = ".@@";

/// Longest reserved name: its escape must fit beside a shadowing directory.
const RESERVED_BYTES_MAX: usize = 200;
/// Most bytes of a long part's end that its name repeats.
const TAIL_BYTES_MAX: usize = 40;

/// The names a mount keeps for itself (GEN-6): `.versions` in every directory, `.keyfold` in a bucket's root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reserved {
    versions_dir: String,
    control_dir: Option<String>,
}

impl Reserved {
    /// The reserved names of a bucket's root.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for a name no directory can hold, one that begins with `.@`, or twice the same.
    pub fn new(versions_dir: &str, control_dir: &str) -> Result<Self> {
        for name in [versions_dir, control_dir] {
            let why = match name {
                "" | "." | ".." => "it is no name of its own".to_owned(),
                _ if name.contains(['/', '\0']) => "it holds a '/' or a NUL".to_owned(),
                _ if name.starts_with(ESCAPE) => format!("names beginning {ESCAPE:?} are escapes (KEY-13)"),
                _ if name.len() > RESERVED_BYTES_MAX => format!("it is longer than {RESERVED_BYTES_MAX} bytes"),
                _ if versions_dir == control_dir => "the two hidden directories need two names".to_owned(),
                _ => continue,
            };
            return Err(Error::new(Kind::InvalidArgument, format!("cannot call a hidden directory {name:?}"))
                .why(why)
                .mend("choose a name such as .versions or .keyfold"));
        }
        Ok(Self { versions_dir: versions_dir.to_owned(), control_dir: Some(control_dir.to_owned()) })
    }

    /// The reserved names of directories below the root, where the control directory's name is free.
    #[must_use]
    pub fn below_root(&self) -> Self {
        Self { versions_dir: self.versions_dir.clone(), control_dir: None }
    }

    /// Name of the hidden directory of versions.
    #[must_use]
    pub fn versions_dir(&self) -> &str {
        &self.versions_dir
    }

    /// Name of the hidden directory of control files, where there is one.
    #[must_use]
    pub fn control_dir(&self) -> Option<&str> {
        self.control_dir.as_deref()
    }

    fn holds(&self, part: &str) -> bool {
        part == self.versions_dir || self.control_dir() == Some(part)
    }
}

impl Default for Reserved {
    fn default() -> Self {
        Self { versions_dir: ".versions".to_owned(), control_dir: Some(".keyfold".to_owned()) }
    }
}

/// What a name in a directory stands for. Parts have no trailing `/`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spelled<'a> {
    /// The directory of that part, or without one the object. The empty part is a directory's (KEY-9).
    Part(Cow<'a, str>),
    /// The object of that part, provided that a directory has the part's name (KEY-8).
    Object(Cow<'a, str>),
    /// The part with this [`long_hash`] (KEY-12), the object if `object` or without a directory. A component is
    /// found only if [`show`] gives it this very name: the end and the row of KEY-8 must fit as well.
    Long {
        /// First half of the part's SHA-256.
        hash: [u8; 16],
        /// Whether the name is that of an object beside a directory (KEY-8).
        object: bool,
    },
    /// The body of the directory's own marker (KEY-7).
    SelfBody,
    /// The hidden directory of versions (GEN-6).
    Versions,
    /// The hidden directory of control files (GEN-6).
    Control,
}

/// The name a component has in its directory (KEY-8 to KEY-13); one ending in `/` is a directory's.
/// `shadowed`: the component is an object's, and a directory of the same part stands beside it.
#[must_use]
pub fn show<'a>(component: &'a str, shadowed: bool, reserved: &Reserved) -> Cow<'a, str> {
    match component.strip_suffix('/') {
        Some(part) => spell(part, false, reserved),
        None => spell(component, shadowed, reserved),
    }
}

/// What a name stands for: the inverse of [`show`].
///
/// # Errors
/// [`Kind::InvalidName`] when it is not UTF-8 (KEY-14), [`Kind::KeyTooLong`] over 255 bytes,
/// [`Kind::InvalidArgument`] when it begins with `.@` and spells no part. Nothing can stand under such a name: a
/// look-up answers that it is not there, and only what would make it shows the error.
pub fn read<'a>(name: &'a [u8], reserved: &Reserved) -> Result<Spelled<'a>> {
    let name = str::from_utf8(name).map_err(|_| not_utf8(name))?;
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::new(Kind::KeyTooLong, format!("cannot use a name of {} bytes", name.len()))
            .why(format!("a name in a directory has at most {NAME_BYTES_MAX} bytes"))
            .mend("choose a shorter name; a key with a longer part can be made through S3"));
    }
    if name == reserved.versions_dir {
        return Ok(Spelled::Versions);
    }
    if reserved.control_dir() == Some(name) {
        return Ok(Spelled::Control);
    }
    if name == SELF_BODY {
        return Ok(Spelled::SelfBody);
    }
    let (spelling, object) = name.strip_prefix(OBJECT).map_or((name, false), |rest| (rest, true));
    if let Some(hash) = long(spelling) {
        return Ok(Spelled::Long { hash, object });
    }
    match unescape(spelling) {
        Some(part) if spell(&part, object, reserved) != name || name.contains('/') => Err(no_spelling(name)),
        Some(part) if !object => Ok(Spelled::Part(part)),
        Some(part) if !part.is_empty() => Ok(Spelled::Object(part)),
        _ => Err(no_spelling(name)),
    }
}

/// The hash under which a part is found by its long name (KEY-12), `None` when all its names are short.
/// It depends on the part alone, so an index may keep it.
#[must_use]
pub fn long_hash(part: &str) -> Option<[u8; 16]> {
    // Escaped, a byte takes three at most; reserved names are short.
    if OBJECT.len() + PERCENT.len() + 3 * part.len() <= NAME_BYTES_MAX {
        return None;
    }
    let name = escape(part).unwrap_or(Cow::Borrowed(part));
    (OBJECT.len() + name.len() > NAME_BYTES_MAX).then(|| hash(part))
}

/// The error for making a name that stands only for what exists: [`Spelled::Long`], and [`Spelled::Object`] without
/// a directory beside it.
#[must_use]
pub fn not_made_by_name(name: &str) -> Error {
    Error::new(Kind::InvalidArgument, format!("cannot make {name:?}"))
        .why("names beginning .@h or .@obj: show keys that exist: a part over 255 bytes (KEY-12), an object beside a directory (KEY-8)")
        .mend("choose another name, or make the key through S3")
}

fn spell<'a>(part: &'a str, object: bool, reserved: &Reserved) -> Cow<'a, str> {
    let room = NAME_BYTES_MAX - if object { OBJECT.len() } else { 0 };
    let mut name = match escape(part) {
        Some(name) => name,
        None if reserved.holds(part) => format!("{RESERVED}{part}").into(),
        None => Cow::Borrowed(part),
    };
    if name.len() > room {
        name = hashed(part).into();
    }
    if object { format!("{OBJECT}{name}").into() } else { name }
}

/// The escape of a part that needs one whatever is reserved, without regard to length.
fn escape(part: &str) -> Option<Cow<'static, str>> {
    Some(match part {
        "" => EMPTY.into(),
        "." => DOT.into(),
        ".." => DOT_DOT.into(),
        _ if part.contains('\0') => percent(part).into(),
        _ => format!("{DOUBLED}{}", part.strip_prefix(ESCAPE)?).into(),
    })
}

/// Undoes [`spell`] except for [`hashed`]; the caller checks that the part is spelled like this.
fn unescape(spelling: &str) -> Option<Cow<'_, str>> {
    Some(match spelling {
        EMPTY => "".into(),
        DOT => ".".into(),
        DOT_DOT => "..".into(),
        _ if !spelling.starts_with(ESCAPE) => spelling.into(),
        _ => {
            if let Some(rest) = spelling.strip_prefix(DOUBLED) {
                format!("{ESCAPE}{rest}").into()
            } else if let Some(rest) = spelling.strip_prefix(RESERVED) {
                rest.into()
            } else {
                unpercent(spelling.strip_prefix(PERCENT)?)?.into()
            }
        }
    })
}

fn percent(part: &str) -> String {
    let mut name = PERCENT.to_owned();
    for c in part.chars() {
        if c == '%' || c.is_ascii_control() {
            let _ = write!(name, "%{:02X}", u32::from(c));
        } else {
            name.push(c);
        }
    }
    name
}

fn unpercent(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut part = pieces.next()?.to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        part.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        part.push_str(rest);
    }
    Some(part)
}

fn hash(part: &str) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&sha256(part.as_bytes())[..16]);
    half
}

fn hashed(part: &str) -> String {
    let tail = &part[part.ceil_char_boundary(part.len().saturating_sub(TAIL_BYTES_MAX))..];
    let tail = tail.replace(|c: char| c.is_ascii_control(), "_");
    format!("{HASHED}{:032x}-{tail}", u128::from_be_bytes(hash(part)))
}

fn long(spelling: &str) -> Option<[u8; 16]> {
    let (digits, tail) = spelling.strip_prefix(HASHED)?.split_at_checked(32)?;
    let lower_hex = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let tail = tail.strip_prefix('-')?;
    (lower_hex && tail.len() <= TAIL_BYTES_MAX).then(|| u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes))?
}

fn not_utf8(name: &[u8]) -> Error {
    Error::new(Kind::InvalidName, format!("cannot use the name \"{}\"", name.escape_ascii()))
        .why("it is not UTF-8, and keys are (KEY-14)")
        .mend("rename it first, for example with convmv")
}

fn no_spelling(name: &str) -> Error {
    let error = Error::new(Kind::InvalidArgument, format!("cannot use the name {name:?}"));
    let Some(rest) = name.strip_prefix(ESCAPE) else {
        return error.why("no directory can hold it").mend("choose another name");
    };
    let doubled = format!("{DOUBLED}{rest}");
    error.why("names beginning .@ spell parts of keys that cannot be names, and this one spells none (KEY-13)").mend(
        if doubled.len() > NAME_BYTES_MAX {
            "choose another name".to_owned()
        } else {
            format!("write {doubled:?} for a key's part that is really {name:?}")
        },
    )
}

#[cfg(test)]
mod tests;
