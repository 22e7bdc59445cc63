//! The engine from outside: a reference model that judges random histories, and one test for each rule it is coarse on.

mod backup;
mod calls;
mod compaction;
mod compare;
mod costs;
mod crash;
pub mod harness;
pub mod histories;
mod links;
mod listing;
mod logs;
mod machine;
mod model;
mod multipart;
mod objects;
mod ops;
mod races;
mod rebuild;
mod repair;
mod scrub;
mod sessions;
mod simulation;
mod space;
mod sweep;
mod takeover;
mod tree;
mod versions;
