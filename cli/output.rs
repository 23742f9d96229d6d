//! What a command prints: tables and lines for people, or the API's own JSON, from the same value. The only place that knows about terminals.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table as Comfy, presets};
use loopsy_shared::{
    api::error::{ErrorBody, ErrorDetail},
    text::inert,
};
pub(crate) use loopsy_tui::card::clock;
use serde::Serialize;

use crate::error::{Error, Explained};

/// All is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Look at this.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// This failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Less important.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// More important.
pub(crate) const STRONG: Style = Style::new().bold();
/// No style at all.
pub(crate) const PLAIN: Style = Style::new();

/// A text in a style.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// How to print.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Output {
    /// JSON instead of text.
    pub json: bool,
    /// Only results and errors.
    pub quiet: bool,
}

impl Output {
    /// A line of the result.
    pub(crate) fn line(self, text: impl Display) -> Result<(), Error> {
        Ok(writeln!(anstream::stdout().lock(), "{text}")?)
    }

    /// Text of the result, as it is.
    pub(crate) fn raw(self, bytes: &[u8]) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A line that people like to see and scripts do not need: nothing with `--quiet` or `--json`.
    pub(crate) fn say(self, text: impl Display) -> Result<(), Error> {
        if self.quiet || self.json { Ok(()) } else { self.line(text) }
    }

    /// A remark beside the result, on standard error.
    pub(crate) fn remark(self, text: impl Display) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// A warning, on standard error, also with `--quiet`.
    pub(crate) fn warn(self, text: impl Display) {
        let _nobody_reads = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// Text of the result for people, with styles, as a piece of a line.
    pub(crate) fn text(self, text: &str) -> Result<(), Error> {
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// A value as JSON for people's eyes and programs alike.
    pub(crate) fn value(self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::failure(format!("The result has no JSON form: {e}.")))?;
        self.line(text)
    }

    /// A value as one line of JSON.
    pub(crate) fn value_line(self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(value).map_err(|e| Error::failure(format!("The result has no JSON form: {e}.")))?;
        self.line(text)
    }

    /// The API's JSON with `--json`, else what `people` print.
    pub(crate) fn show<T: Serialize>(self, value: &T, people: impl FnOnce(&T) -> Result<(), Error>) -> Result<(), Error> {
        if self.json { self.value(value) } else { people(value) }
    }

    /// Says what went wrong, and gives the exit code.
    pub(crate) fn fail(self, failure: &Explained) -> ExitCode {
        if failure.message.is_empty() {
            return ExitCode::from(failure.exit);
        }
        let mut err = anstream::stderr().lock();
        let _nobody_reads = if self.json {
            let detail = ErrorDetail { code: failure.code, message: failure.message.clone(), hint: failure.hint.clone() };
            serde_json::to_string(&ErrorBody { error: detail }).map_err(io::Error::other).and_then(|text| writeln!(err, "{text}"))
        } else {
            writeln!(err, "{} {}", paint(BAD.bold(), "error:"), failure.message).and_then(|()| match &failure.hint {
                Some(hint) => writeln!(err, "{} {hint}", paint(STRONG, "hint:")),
                None => Ok(()),
            })
        };
        ExitCode::from(failure.exit)
    }

    /// Asks y/N on the terminal. `false` also when there is nobody to ask.
    pub(crate) fn confirm(self, question: &str) -> Result<bool, Error> {
        if !io::stdin().is_terminal() {
            return Ok(false);
        }
        Ok(matches!(self.ask(&format!("{question} [y/N] "))?.to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a line. The question goes to standard error, so that standard output stays the result.
    pub(crate) fn ask(self, question: &str) -> Result<String, Error> {
        let mut err = anstream::stderr().lock();
        write!(err, "{question}")?;
        err.flush()?;
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

/// A table for people. Cells are made inert; the last cells of a row can have a style.
#[derive(Debug)]
pub(crate) struct Table {
    comfy: Comfy,
    /// Of every row the styled cells at its end, last one first.
    tails: Vec<Vec<(String, Style)>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let mut comfy = Comfy::new();
        comfy.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(headings.iter().copied());
        for column in comfy.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self { comfy, tails: Vec::new() }
    }

    /// Adds a row whose last cell has a style.
    pub(crate) fn row(&mut self, cells: &[&str], last: Style) {
        self.row_with(cells, &[last]);
    }

    /// Adds a row whose last cells have these styles.
    pub(crate) fn row_with(&mut self, cells: &[&str], styles: &[Style]) {
        let cells: Vec<String> = cells.iter().map(|cell| inert(cell).into_owned()).collect();
        self.tails.push(cells.iter().rev().cloned().zip(styles.iter().rev().copied()).collect());
        self.comfy.add_row(cells);
    }

    /// Prints it.
    pub(crate) fn print(&self, output: Output) -> Result<(), Error> {
        self.lines().into_iter().try_for_each(|line| output.line(line))
    }

    /// Its lines, with styles.
    pub(crate) fn lines(&self) -> Vec<String> {
        let styled = |(index, line): (usize, &str)| match index.checked_sub(1).and_then(|row| self.tails.get(row)) {
            None => paint(FAINT, line),
            Some(tail) => style_tail(line, tail),
        };
        self.comfy.trim_fmt().lines().enumerate().map(styled).collect()
    }
}

/// Puts styles on the cells at the end of a line, last one first. Done after the layout, which would count the styles' bytes as width.
fn style_tail(line: &str, tail: &[(String, Style)]) -> String {
    let (mut rest, mut done) = (line, String::new());
    for (cell, style) in tail {
        let text = rest.trim_end();
        let Some(before) = text.strip_suffix(cell.trim_end()) else { break };
        let padding = rest.get(text.len()..).unwrap_or_default();
        done = if cell.is_empty() { format!("{padding}{done}") } else { format!("{}{padding}{done}", paint(*style, cell.trim_end())) };
        rest = before;
    }
    format!("{rest}{done}")
}

/// `3 h 12 min`, `850 ms`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The first `limit` characters, with an ellipsis when there are more; inert.
pub(crate) fn short(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", inert(text.get(..at).unwrap_or_default())),
        None => inert(text).into_owned(),
    }
}

/// The lines of a text from elsewhere, each made inert. Tabs become blanks, and a line may end as Windows ends it.
pub(crate) fn safe_lines(text: &str) -> impl Iterator<Item = String> {
    text.split('\n').map(|line| inert(&line.strip_suffix('\r').unwrap_or(line).replace('\t', "    ")).into_owned())
}

/// A unified diff, line by line, each with its style.
pub(crate) fn diff_lines(diff: &str) -> impl Iterator<Item = (Style, String)> {
    safe_lines(diff.strip_suffix('\n').unwrap_or(diff)).map(|line| {
        let style = match line.as_bytes() {
            [b'+', b'+', b'+', b' ', ..] | [b'-', b'-', b'-', b' ', ..] => STRONG,
            [b'+', ..] => GOOD,
            [b'-', ..] => BAD,
            [b'@', b'@', ..] => FAINT,
            _ => PLAIN,
        };
        (style, line)
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use loopsy_tui::card::diff_count;

    use super::*;

    #[test]
    fn spans_read_well() {
        for (ms, text) in [(12, "12 ms"), (1500, "1.5 s"), (61_000, "1 min 1 s"), (3_600_000, "1 h 0 min"), (90_000_000, "1 d 1 h")] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn cells_at_the_end_are_styled_where_they_stand() {
        let tail = [("online".to_owned(), GOOD), ("none".to_owned(), WARN)];
        assert_eq!(style_tail("kai  none    online", &tail), format!("kai  {}    {}", paint(WARN, "none"), paint(GOOD, "online")));
        assert_eq!(style_tail("kai", &tail), "kai");
    }

    #[test]
    fn clocks_show_the_day_only_when_it_is_another() {
        let (noon, zone) = (1_795_262_400_000, TimeZone::UTC);
        assert_eq!(clock(noon + 5 * 60_000, noon, &zone), "12:05:00");
        assert_eq!(clock(noon + 86_400_000, noon, &zone), "2026-11-22 12:00:00");
        assert_eq!(clock(u64::MAX, noon, &zone), u64::MAX.to_string());
    }

    #[test]
    fn diffs_have_colours_and_a_size() {
        let diff = "--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-old\n+new\t\u{202e}\n+more\n";
        assert_eq!(diff_count(diff), "+2 -1");
        let lines: Vec<_> = diff_lines(diff).collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[4], (GOOD, "+new    \\u{202e}".to_owned()));
        assert_eq!(lines[0].0, STRONG);
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(short("käikäi", 3), "käi…");
        assert_eq!(short("kä\n", 3), "kä\\u{a}");
    }
}
