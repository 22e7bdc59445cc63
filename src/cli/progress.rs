//! How far a command is, in one line of a terminal that is written over and over.

use std::io::{IsTerminal, Write};

/// The line. Nothing is shown where nobody looks.
pub(super) struct ProgressLine {
    terminal: bool,
    shown: bool,
}

impl ProgressLine {
    /// On stderr, if that is a terminal.
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: false }
    }

    /// Puts `text` in place of what the line says.
    pub(super) fn show(&mut self, text: &str) {
        if self.terminal {
            eprint!("\r\x1b[K{}", super::output::plain(text));
            let _ = std::io::stderr().flush();
            self.shown = true;
        }
    }

    /// Takes the line away, before something else is written.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprint!("\r\x1b[K");
        }
    }
}
