//! Where the process that owns a store is reached over HTTP: told by whoever listens, shown by the store's status.

use super::Store;
use crate::sys::sync::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A place where a process answers for the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Endpoint {
    /// What is to be had there: `s3`, `admin`.
    pub serves: &'static str,
    /// What clients are given to reach it.
    pub url: String,
}

/// Those of now, in the order they came. A lock that is taken alone.
#[derive(Default)]
pub(super) struct Doors(Mutex<Table>);

#[derive(Default)]
struct Table {
    all: BTreeMap<u64, Endpoint>,
    last: u64,
}

/// An endpoint that is shown until this is dropped.
pub struct Announced {
    store: Arc<Store>,
    number: u64,
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.store.doors.0.lock().all.remove(&self.number);
    }
}

impl Store {
    /// Shows an endpoint in the store's status for as long as the result lives.
    #[must_use]
    pub fn show_endpoint(self: &Arc<Self>, endpoint: Endpoint) -> Announced {
        let mut table = self.doors.0.lock();
        table.last += 1;
        let number = table.last;
        table.all.insert(number, endpoint);
        drop(table);
        Announced { store: Arc::clone(self), number }
    }

    /// Where the process is reached over HTTP.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.doors.0.lock().all.values().cloned().collect()
    }
}
