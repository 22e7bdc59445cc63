//! The command line as people and programs use it: the built program, real stores, real mounts.

mod access;
mod analyze;
mod archives;
mod backup;
mod bench;
mod bill;
mod damage;
mod hostile;
mod lifecycle;
mod mounts;
mod vaults;
mod verbs;
mod zones;
