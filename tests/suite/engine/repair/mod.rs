//! Damage of every kind, put into a store on purpose: it is found by its name, mended, and costs nothing that is sound.

mod home;
mod kinds;
mod open;
mod random;
