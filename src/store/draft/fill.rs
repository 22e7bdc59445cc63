//! A body as the bytes of a draft.

use super::Draft;
use crate::model::{Error, Kind, Result};
use std::io::Read as _;

impl Draft {
    /// Appends all of a body.
    pub(in crate::store) fn fill(&mut self, mut body: &mut dyn std::io::Read) -> Result<()> {
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            let read = std::io::Read::take(&mut body, 1 << 20).read_to_end(&mut chunk);
            if read.map_err(broken_off)? == 0 {
                return Ok(());
            }
            self.write_at(self.size, &chunk)?;
        }
    }
}

/// Why a body could not be read: its sender hung up, or something else failed.
fn broken_off(error: std::io::Error) -> Error {
    let what = "cannot read the object's body";
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::new(Kind::IncompleteBody, what).why("it broke off (SIZE-6)"),
        _ => Error::io(what, error),
    }
}
