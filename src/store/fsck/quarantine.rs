//! Records that a repair takes out of the index, kept in the store's directory as they were.

use crate::index::Family;
use crate::model::{Error, Result};
use crate::store::Store;
use base64::Engine as _;
use std::path::{Path, PathBuf};

/// The directory of what repairs have taken out, in the store.
pub(in crate::store) const QUARANTINE: &str = "quarantine";

/// A record as the index had it.
pub(super) struct Aside {
    pub family: Family,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

impl Store {
    /// Keeps records in a new file of the quarantine, durable when it returns: JSON lines of family, key and value, the
    /// latter two in base64.
    pub(super) fn keep_aside(&self, records: &[Aside]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let text: String = records.iter().map(line).collect();
        let dir = Path::new(QUARANTINE);
        let failed = |error| Error::io("cannot keep damaged records in the store's quarantine", error);
        self.disk.create_dir_all(dir).map_err(failed)?;
        self.disk.sync_dir(Path::new("")).map_err(failed)?;
        let path = self.quarantine_file();
        let file = self.disk.create_new(&path).map_err(failed)?;
        file.write_at(0, text.as_bytes()).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        self.disk.sync_dir(dir).map_err(failed)
    }

    /// Each repair of each opening has a file of its own.
    fn quarantine_file(&self) -> PathBuf {
        let time = self.now().rfc3339().replace(':', "");
        Path::new(QUARANTINE).join(format!("records-{time}-{:08x}-{}.jsonl", self.epoch, self.ids.take()))
    }
}

fn line(record: &Aside) -> String {
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    // Neither a family's name nor base64 has anything that JSON would escape.
    format!(
        "{{\"family\":\"{}\",\"key\":\"{}\",\"value\":\"{}\"}}\n",
        record.family.name(),
        base64(&record.key),
        base64(&record.value)
    )
}
