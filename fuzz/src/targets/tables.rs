//! Target for tables of RocksDB as scrub reads them.

use keyfold::index::{check_table, reseal_table};
use keyfold::sys::disk::{Access, Disk, MemDisk};
use std::path::Path;

const FILE: &str = "table";
/// Stretches that are looked at, each as small as can be: for each the whole list of blocks is read again.
const STEPS_MAX: usize = 8;

/// Any bytes as a table, as they are and with its checksums set right: no more is checked than there is, and each stretch
/// lies behind the one before.
pub fn table(data: &[u8]) {
    let mut sealed = data.to_vec();
    reseal_table(&mut sealed);
    for bytes in [data, &sealed] {
        let disk = MemDisk::new();
        disk.create_new(Path::new(FILE)).expect("a disk in memory");
        let _ = disk.tamper(Path::new(FILE), |all| all.extend_from_slice(bytes));
        let Ok(file) = disk.open(Path::new(FILE), Access::Direct) else { return };
        let mut from = 0;
        for _ in 0..STEPS_MAX {
            let Ok(checked) = check_table(&*file, from, 1) else { return };
            assert!(checked.bytes <= 3 * bytes.len() as u64 + 128);
            match checked.next {
                Some(next) => {
                    assert!(next > from, "{from} is followed by {next}");
                    from = next;
                }
                None => break,
            }
        }
        let _ = check_table(&*file, bytes.len() as u64 / 2, u64::MAX);
    }
}
