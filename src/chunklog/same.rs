//! Whether two files of one name are copies of each other, told without reading all of them: for backups.

use super::format::footer::{self, TRAILER_BYTES};
use super::format::header::HEADER_BYTES;
use crate::sys::disk::DiskFile;
use std::io;

/// Bytes compared in one step.
const STEP: usize = 256 << 10;

/// Whether two segment files of one name hold the same. Their names alone do not tell: a store that was restored from
/// a backup goes on with numbers that the lost one may have used too. Complete segments are told apart by the instant in
/// their header and by their directory's checksum; any others are compared byte by byte.
///
/// # Errors
/// What the disks say.
pub fn same_segment(one: &dyn DiskFile, other: &dyn DiskFile) -> io::Result<bool> {
    let bytes = one.size()?;
    if bytes != other.size()? {
        return Ok(false);
    }
    let Some(end) = bytes.checked_sub(TRAILER_BYTES as u64).filter(|end| *end >= HEADER_BYTES as u64) else {
        return same_bytes(one, other);
    };
    let mut trailer = [0; TRAILER_BYTES];
    one.read_at(end, &mut trailer)?;
    if !trailer.starts_with(footer::MAGIC) {
        return same_bytes(one, other);
    }
    Ok(same_stretch(one, other, 0, HEADER_BYTES)? && same_stretch(one, other, end, TRAILER_BYTES)?)
}

/// Whether two files hold the same bytes.
///
/// # Errors
/// What the disks say.
pub fn same_bytes(one: &dyn DiskFile, other: &dyn DiskFile) -> io::Result<bool> {
    let bytes = one.size()?;
    if bytes != other.size()? {
        return Ok(false);
    }
    let mut at = 0;
    while at < bytes {
        if !same_stretch(one, other, at, STEP)? {
            return Ok(false);
        }
        at += STEP as u64;
    }
    Ok(true)
}

fn same_stretch(one: &dyn DiskFile, other: &dyn DiskFile, at: u64, len: usize) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; len], vec![0; len]);
    let (got, gotten) = (one.read_at(at, &mut left)?, other.read_at(at, &mut right)?);
    Ok(left[..got] == right[..gotten])
}
