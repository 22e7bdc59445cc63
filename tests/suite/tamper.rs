//! Changes to the index of a closed store, behind the store's back.

use keyfold::index::{Index, Settings, Tx};
use std::path::Path;

/// Makes one change of the index of the store in `dir`, which nobody has open.
pub fn tamper(dir: &Path, change: impl FnOnce(&mut Tx<'_>)) {
    let index = Index::open(&dir.join("meta"), Settings::default()).unwrap();
    index
        .transact(|tx| {
            change(tx);
            Ok(())
        })
        .unwrap();
    let _ = index.seal();
    if let Some(sealed) = index.sealed().unwrap() {
        index.write_sealed(sealed, true).unwrap();
    }
}
