//! The S3 API as clients use it: real clients against the built program, alone and beside a mount.

mod acts;
mod admin;
mod clients;
mod doors;
mod endpoint;
mod forms;
mod harness;
mod histories;
mod limits;
mod locks;
mod memory;
mod mfa;
mod model;
mod programs;
mod tls;
