//! Lifecycle rules: the document, what makes it valid, and what it decides. Pure data: no disk, no clock, no store.
//!
//! A [`LifecycleDocument`] is what people write. Checked, it becomes a [`Lifecycle`], which says of a [`Version`] or an
//! upload what is due ([`Lifecycle::due`], [`Lifecycle::upload`]), what comes next ([`Lifecycle::next`]), when it expires
//! ([`Lifecycle::expiration`]), and of a key's whole stack what happens until a date ([`Lifecycle::calendar`]).
//!
//! Everything follows from what an entry is and from the instant, so that nothing has to be remembered between runs: who
//! comes late, or again after a crash, ends where who was in time did (LC-37). Whoever acts on a decision changes that
//! very entry only if it is still as it was decided on.

mod calendar;
mod day;
mod decide;
mod document;
mod explain;
mod header;
mod rule;
mod rules;
mod validate;

#[cfg(test)]
mod tests;

pub use calendar::{Event, settle};
pub(super) use day::Midnights;
pub use decide::{Action, BucketState, Due, Lock, Version};
pub(super) use document::EXAMPLE;
pub use document::{
    AbortElement, AndElement, ExpirationElement, FilterElement, LifecycleDocument, LifecycleRule,
    NoncurrentExpirationElement, NoncurrentTransitionElement, RuleStatus, TagElement, TransitionElement,
};
pub use explain::Verdict;
pub(super) use rule::leads_from;
pub use rule::{Lifecycle, leads};
