//! Answers on stdout: aligned tables for people, JSON lines for programs.

use super::arguments::Global;
use super::failure::{Done, Failed};
use crate::control::{Reply, Request, Row};
use crate::model::{Error, Result};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::io::{self, IsTerminal, StdoutLock, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Rows aligned together: a long listing begins to show before it is complete.
const ROWS_TOGETHER: usize = 500;
/// How long a row may wait for others.
const PATIENCE: Duration = Duration::from_millis(500);

/// How rows become a table.
pub(super) struct View {
    /// Over the columns, on a terminal; a name beginning with `>` is aligned right.
    pub(super) header: &'static [&'static str],
    /// The lines of a row.
    pub(super) lines: fn(&Row) -> Vec<Vec<String>>,
}

impl View {
    /// One sentence a row, for what was done.
    pub(super) const ACTS: Self = Self { header: &[], lines: act };
}

/// Prints rows as they come.
pub(super) struct Printer {
    out: StdoutLock<'static>,
    json: bool,
    view: View,
    lines: Vec<Vec<String>>,
    /// When the first of the lines came.
    waiting: Option<Instant>,
    begun: bool,
    gone: bool,
    /// Rows so far.
    pub(super) count: usize,
}

impl Printer {
    pub(super) fn new(global: &Global, view: View) -> Self {
        let out = io::stdout().lock();
        Self { out, json: global.json, view, lines: Vec::new(), waiting: None, begun: false, gone: false, count: 0 }
    }

    /// Prints what is left; `done` is what the command came to.
    pub(super) fn finish(mut self, done: Result<()>) -> Done {
        let printed = self.print().and_then(|()| self.out.flush().map_err(|error| self.failed(error)));
        if self.gone {
            return Err(Failed::Gone);
        }
        done.and(printed).map_err(Failed::from)
    }

    fn print(&mut self) -> Result<()> {
        self.waiting = None;
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !self.begun && self.out.is_terminal() && !self.view.header.is_empty() {
            table.set_header(self.view.header.iter().map(|name| name.trim_start_matches('>')));
        }
        self.begun = true;
        table.add_rows(std::mem::take(&mut self.lines));
        for (at, name) in self.view.header.iter().enumerate() {
            let column = table.column_mut(at);
            if let Some(column) = column {
                column.set_padding((0, 2));
                if name.starts_with('>') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        let text = table.trim_fmt();
        writeln!(self.out, "{text}").map_err(|error| self.failed(error))
    }

    fn failed(&mut self, error: io::Error) -> Error {
        self.gone |= error.kind() == io::ErrorKind::BrokenPipe;
        Error::io("cannot write to stdout", error)
    }
}

impl Reply for Printer {
    fn row(&mut self, row: Row) -> Result<()> {
        self.count += 1;
        if self.json {
            let line = row.json().to_string();
            return writeln!(self.out, "{line}").map_err(|error| self.failed(error));
        }
        if self.view.header.is_empty() {
            for line in (self.view.lines)(&row) {
                let line: Vec<String> = line.iter().map(|text| plain(text)).collect();
                writeln!(self.out, "{}", line.join("  ")).map_err(|error| self.failed(error))?;
            }
            return Ok(());
        }
        let lines = (self.view.lines)(&row);
        self.lines.extend(lines.into_iter().map(|line| line.iter().map(|text| plain(text)).collect()));
        self.waiting.get_or_insert_with(Instant::now);
        if self.lines.len() >= ROWS_TOGETHER { self.print() } else { Ok(()) }
    }

    fn note(&mut self, text: &str) -> Result<()> {
        eprintln!("{}", plain(text));
        Ok(())
    }

    /// More takes its time: show what there is.
    fn alive(&mut self) -> Result<()> {
        if self.waiting.is_some_and(|since| since.elapsed() >= PATIENCE) {
            self.print()?;
        }
        self.out.flush().map_err(|error| self.failed(error))
    }
}

/// Asks a store and prints the answer.
pub(super) fn show(global: &Global, store: &Path, request: &Request, view: View) -> Done {
    let mut printer = Printer::new(global, view);
    let done = crate::node::ask(store, request, &mut printer);
    printer.finish(done)
}

/// Collects rows for commands that look at them first.
#[derive(Default)]
pub(super) struct Collect(pub(super) Vec<Row>);

impl Reply for Collect {
    fn row(&mut self, row: Row) -> Result<()> {
        self.0.push(row);
        Ok(())
    }

    fn note(&mut self, text: &str) -> Result<()> {
        eprintln!("{}", plain(text));
        Ok(())
    }

    fn alive(&mut self) -> Result<()> {
        Ok(())
    }
}

fn act(row: &Row) -> Vec<Vec<String>> {
    let Row::Act(act) = row else { return vec![] };
    let mut text = if act.dry_run { format!("would be {} ", act.act) } else { format!("{} ", act.act) };
    text.push_str(&act.on);
    if let Some(version) = &act.version {
        text.push_str(&format!(", version {version}"));
    }
    if let Some(count) = act.count {
        text.push_str(&format!(", {count} {}", if count == 1 { "object" } else { "objects" }));
    }
    if let Some(bytes) = act.bytes {
        text.push_str(&format!(", {}", size(bytes)));
    }
    vec![vec![text]]
}

/// Text that does not move the cursor, colour the screen or break the line.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Bytes for people: `1.5 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

#[cfg(test)]
mod tests {
    use super::{plain, size};

    #[test]
    fn sizes_are_short() {
        let shown = [0, 1023, 1024, 1536, 10 << 20, u64::MAX].map(size);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10.0 MiB", "16383.9 PiB"]);
    }

    #[test]
    fn a_name_cannot_talk_to_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{9b}é"), "a\\u{1b}[31mb\\nc\\u{9b}é");
    }
}
