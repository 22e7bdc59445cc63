//! What each fuzz target does with any bytes: decodes them and, where there is an encoder, goes there and back. Bytes
//! are either refused or understood; a panic is a finding. The fuzzer runs these, and so does a test over the corpus.

mod control;
mod formats;
mod log;
mod names;
mod records;
mod store;
mod tables;
mod texts;
mod view;

pub use log::{Said, Tamper, untampered};
pub use store::{Planted, sound_records, unplanted};
pub use view::{Call, calls_as_bytes};

/// Takes any bytes; panics when it finds something.
pub type Target = fn(&[u8]);

/// Every target by name, which is that of its directory in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("backup_files", texts::backup_files),
    ("bucket_document", texts::bucket_document),
    ("control_frame", control::frame),
    ("format_file", texts::format_file),
    ("index_keys", records::keys),
    ("index_log", tables::log),
    ("index_records", records::records),
    ("index_table", tables::table),
    ("journal_entry", formats::journal_entry),
    ("keyfold_toml", texts::keyfold_toml),
    ("lock_line", texts::lock_line),
    ("log", log::log),
    ("model_names", texts::model_names),
    ("mount_options", texts::mount_options),
    ("note", formats::note),
    ("packed_frame", formats::packed_frame),
    ("post_policy", texts::post_policy),
    ("rebuild", log::rebuild),
    ("repair", store::repair),
    ("run_head", formats::run_head),
    ("segment_footer", formats::segment_footer),
    ("segment_header", formats::segment_header),
    ("solo_sum", formats::solo_sum),
    ("spelling", names::spelling),
    ("store", store::store),
    ("tags_query", names::tags_query),
    ("times", texts::times),
    ("view", view::view),
    ("xattrs", names::xattrs),
];

/// Cuts `len` bytes off, fewer at the end.
fn cut<'a>(data: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (head, rest) = data.split_at(data.len().min(len));
    *data = rest;
    head
}

/// Cuts so many bytes off for a number.
fn number(data: &mut &[u8], bytes: usize) -> u64 {
    cut(data, bytes).iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
