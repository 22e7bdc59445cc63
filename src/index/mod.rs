//! The index: an ordered key-value store with serialised transactions over RocksDB.
//!
//! Committed changes live in a stage in memory until a durability round writes them to RocksDB as one
//! synced batch. That order lets the owner of the data sync it first, so no record on disk ever points at
//! bytes that are not there. Readers never take a lock: they merge the stage, the stage being written and
//! RocksDB, and ask a [`View`] what must be as of one commit. One transaction runs at a time and sees everything before it, which is how preconditions hold.
//!
//! May not know: the chunk log, S3's rules. Locks: `commit` (one transaction), nothing else is taken inside.
#![doc = include_str!("FORMAT.md")]

mod appended;
mod backend;
mod cache;
mod codec;
mod db;
mod earlier;
mod family;
mod keys;
mod memory;
mod records;
mod rocks;
mod salvage;
mod scan;
mod stage;
mod table;
mod tx;
mod unjournaled;
mod view;
mod weight;

/// How an index is mended whose files are damaged.
pub const MEND: &str = "`keyfold fsck --repair STORE` makes a new index of what can be read of it, \
     `keyfold fsck --rebuild STORE` one of the data alone; or put the store back from a backup";

/// Whether an error says that the index's files are damaged, so that [`salvage`] may help.
#[must_use]
pub fn is_broken(error: &crate::model::Error) -> bool {
    error.remedy() == Some(MEND)
}

#[cfg(test)]
mod tests;

pub use appended::check_appended;
#[doc(hidden)]
pub use appended::reseal_appended;
pub use codec::{Record, decode, encode, fields, unknown_version};
pub use db::{Index, Sealed, Settings, Table};
pub use family::Family;
pub use keys::{
    RefKey, component_of, content_key, dent_bounds, dent_key, dir_of, due_key, due_parts, id_key, id_of, is_component,
    meter_bounds, meter_key, meter_parts, next_name, part_key, part_number_of, upload_name_key, upload_name_parts,
    upload_names_end, ver_bounds, ver_dir_bounds, ver_key, ver_parts,
};
pub use records::{
    Body, Change, ContentRecord, DentRecord, DirRecord, DirStat, Extent, InodeRecord, MeterRecord, Node, OpenSession,
    PartRecord, SegRecord, Source, UploadRecord, VerRecord,
};
pub use salvage::{Salvaged, salvage};
pub use scan::Scan;
#[doc(hidden)]
pub use table::reseal_table;
pub use table::{TableChecked, TableFlaw, check_table};
pub use tx::{Read, Tx};
pub use unjournaled::{CURRENT, LIST, cut_strays, name_list};
pub use view::{OneCommit, View, reads_of_thread};
pub use weight::{DirSum, NameWeight, weight_of_name, weight_of_version};
