//! Files that programs have open for writing: nothing that the store does on its own takes them away.

use super::Store;
use crate::model::Ino;
use crate::sys::sync::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Files that are open for writing, and how often.
#[derive(Default)]
pub(super) struct Writers(Mutex<HashMap<Ino, usize>>);

/// A file is open for writing as long as this lives.
pub struct Writing {
    writers: Arc<Writers>,
    ino: Ino,
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut files = self.writers.0.lock();
        if let Some(count) = files.get_mut(&self.ino) {
            *count -= 1;
            if *count == 0 {
                files.remove(&self.ino);
            }
        }
    }
}

impl Store {
    /// A program opens a file for writing: lifecycle rules leave it alone until the answer is dropped.
    #[must_use]
    pub fn writing(&self, ino: Ino) -> Writing {
        *self.writers.0.lock().entry(ino).or_insert(0) += 1;
        Writing { writers: Arc::clone(&self.writers), ino }
    }

    /// Whether a program has it open for writing.
    pub(super) fn is_written(&self, ino: Ino) -> bool {
        self.writers.0.lock().contains_key(&ino)
    }
}
