//! Bodies of any size pass in bounded memory, up and down (SIZE-2). Needs root.

use super::harness::Served;
use crate::long;
use crate::mount::Group;

const MIB: u64 = 1 << 20;
/// All that the process may have, pages of files included.
const LIMIT: u64 = 256 * MIB;

/// An object of 10 GiB, or of more than the process may have, goes up in parts and comes down.
#[test]
fn size_2_large_bodies_take_little_memory() {
    let mib = if long() { 10 << 10 } else { 400 };
    let group = Group::new(&format!("keyfold-s3-{}", std::process::id()), LIMIT);
    let served = Served::start_in(&group);
    let peak = served.client.script("memory.py", &[&served.pid().to_string(), "bkt", &mib.to_string()]);
    let peak: u64 = peak.trim().parse().unwrap();
    println!("{mib} MiB passed, {} MiB was the most memory", peak / MIB);
    assert_eq!(group.kills(), 0, "{}", served.log());
    assert!(peak > 0 && peak < LIMIT * 3 / 4, "{} MiB", peak / MIB);
}
