//! What a run was asked for by variables of the environment.

/// A number that a run was asked for by a variable of the environment.
pub fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Whether the long forms are wanted.
pub fn long() -> bool {
    std::env::var_os("KEYFOLD_LONG").is_some_and(|value| value != "0")
}

/// The seed a run was asked for, or a fresh one.
pub fn seed() -> u64 {
    let fresh = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 % 1_000_000_007;
    asked("KEYFOLD_SEED").unwrap_or_else(fresh)
}
