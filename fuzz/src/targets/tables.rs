//! Targets for RocksDB's tables and logs as scrub reads them, and for its logs as an opening does.

use keyfold::index::{check_appended, check_table, cut_strays, reseal_appended, reseal_table};
use keyfold::sys::disk::{Access, Disk, DiskFile, MemDisk};
use std::path::Path;
use std::sync::Arc;

/// Stretches that are looked at, each as small as can be: for each the whole list of blocks is read again.
const STEPS_MAX: usize = 8;

/// Any bytes as a table, as they are and with its checksums set right: no more is checked than there is, and each stretch
/// lies behind the one before.
pub fn table(data: &[u8]) {
    let mut sealed = data.to_vec();
    reseal_table(&mut sealed);
    for bytes in [data, &sealed] {
        let (_, file) = with_file("table", bytes);
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

/// A disk with one file of these bytes.
fn with_file(name: &str, bytes: &[u8]) -> (MemDisk, Arc<dyn DiskFile>) {
    let (disk, path) = (MemDisk::new(), Path::new(name));
    disk.create_new(path).expect("a disk in memory");
    let _ = disk.tamper(path, |all| all.extend_from_slice(bytes));
    let file = disk.open(path, Access::Direct).expect("a file that was made");
    (disk, file)
}

/// Any bytes as a log, as they are and with its checksums set right: what is left when it was cut stays.
pub fn log(data: &[u8]) {
    let mut sealed = data.to_vec();
    reseal_appended(&mut sealed);
    for bytes in [data, &sealed] {
        let (disk, file) = with_file("1.log", bytes);
        assert!(check_appended(&*file, 0, u64::MAX).is_ok_and(|checked| checked.bytes == bytes.len() as u64));
        let cut = cut_strays(&disk, Path::new("")).expect("a disk in memory");
        assert!(cut.iter().all(|(_, end)| *end < bytes.len() as u64), "{cut:?}");
        assert_eq!(cut_strays(&disk, Path::new("")).expect("a disk in memory"), []);
    }
}
