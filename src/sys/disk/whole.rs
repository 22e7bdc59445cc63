//! Small files that are replaced as a whole.

use super::Disk;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Puts a file in place of what is there, whole or not at all; durable when it returns. A crash may leave the file under the name
/// with `.new` behind, which stands in nobody's way.
///
/// # Errors
/// What the disk says.
pub fn replace_whole(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    match disk.remove(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create_new(&new)?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    disk.rename(&new, path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new("")))
}

#[cfg(test)]
mod tests {
    use super::replace_whole;
    use crate::sys::disk::{Disk, MemDisk};
    use std::path::Path;

    #[test]
    fn a_power_cut_leaves_the_old_or_the_new_file() {
        let (disk, path) = (MemDisk::new(), Path::new("d/f"));
        disk.create_dir_all(Path::new("d")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        replace_whole(&disk, path, b"old").unwrap();
        disk.imagine_cuts(7, 1);
        replace_whole(&disk, path, b"the new one").unwrap();
        let cuts = disk.take_cuts();
        assert!(cuts.len() > 3);
        for cut in cuts {
            let bytes = cut.contents(path).unwrap();
            assert!([b"old".as_slice(), b"the new one"].contains(&bytes.as_slice()), "{bytes:?}");
        }
        assert_eq!(disk.contents(path).unwrap(), b"the new one");
    }
}
