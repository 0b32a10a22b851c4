//! Answers for people and for programs: columns on a terminal, JSON or YAML for whoever asks for it.

use super::terms::print;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fmt::Write;
use std::io::IsTerminal;

/// `--output`.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct FormatArgs {
    /// How the answer is written.
    #[arg(long, short, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    output: Format,
}

/// A way to write an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns, for people.
    Table,
    /// JSON, as the gateway answers.
    Json,
    /// The same as YAML.
    Yaml,
}

impl FormatArgs {
    /// Prints `value` as it was asked for; `table` writes it for people.
    pub(super) fn print<T: Serialize>(self, value: &T, table: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = match self.output {
            Format::Table => table(),
            Format::Json => serde_json::to_string_pretty(value)? + "\n",
            Format::Yaml => {
                // By way of JSON: ids and spans of time are written in both as the gateway writes them.
                let value = serde_json::to_value(value)?;
                serde_saphyr::to_string(&value)?
            }
        };
        Ok(print(text)?)
    }
}

/// What a cell says about its thing; shown as a colour, where there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Under way, or in doubt.
    Busy,
    /// Not as it should be.
    Bad,
}

/// A word in a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
    is_figure: bool,
}

impl Cell {
    /// A word with a tone.
    pub(super) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone, is_figure: false }
    }

    /// A figure: stands at the right of its column.
    pub(super) fn figure(figure: impl ToString) -> Self {
        Self { text: figure.to_string(), tone: Tone::Plain, is_figure: true }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn padded(&self, width: usize, colours: bool) -> String {
        let space = " ".repeat(width.saturating_sub(self.width()));
        let code = match self.tone {
            Tone::Plain => None,
            Tone::Good => Some(32),
            Tone::Busy => Some(33),
            Tone::Bad => Some(31),
        };
        let text = match code.filter(|_| colours) {
            Some(code) => format!("\u{1b}[{code}m{}\u{1b}[0m", self.text),
            None => self.text.clone(),
        };
        if self.is_figure { space + &text } else { text + &space }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// Rows under their head, each column as wide as its widest word.
pub(super) fn columns<const N: usize>(head: [&str; N], rows: &[[Cell; N]]) -> String {
    written(head, rows, has_colours(std::io::stdout().is_terminal()))
}

fn written<const N: usize>(head: [&str; N], rows: &[[Cell; N]], colours: bool) -> String {
    let is_figure = |column: usize| rows.first().is_some_and(|row| row[column].is_figure);
    let mut places = 0..N;
    let head: [Cell; N] = head.map(|name| {
        let is_figure = places.next().is_some_and(is_figure);
        Cell { text: name.to_owned(), tone: Tone::Plain, is_figure }
    });
    let widths: Vec<usize> = (0..N)
        .map(|column| rows.iter().chain([&head]).map(|row| row[column].width()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in [&head].into_iter().chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| cell.padded(*width, colours)).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// Whether colours may be shown: on a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb.
pub(super) fn has_colours(is_terminal: bool) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_terminal && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_word_and_figures_stand_at_the_right() {
        let row = |name: &str, tone, figure: u32| [Cell::toned(name, tone), Cell::figure(figure), "x".into()];
        let rows = [row("ring-0", Tone::Good, 7), row("b", Tone::Bad, 1234)];
        assert_eq!(
            written(["NODE", "COPIES", ""], &rows, false),
            "NODE    COPIES\nring-0       7  x\nb         1234  x\n"
        );
        let coloured = written(["NODE", "COPIES", ""], &rows, true);
        assert!(coloured.contains("\u{1b}[31mb\u{1b}[0m         1234  x\n"), "{coloured:?}");
        assert!(coloured.starts_with("NODE    COPIES\n"));
    }

    #[test]
    fn a_pipe_has_no_colours() {
        assert!(!has_colours(false));
    }
}
