//! What was measured, beside what it should be.

use std::fmt::Write;

use serde::Serialize;

use crate::{Result, machine::Machine};

/// Which side of a target is the good one.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    /// At most this much.
    AtMost(f64),
    /// At least this much.
    AtLeast(f64),
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// Its case and what it is.
    name: String,
    value: f64,
    unit: &'static str,
    target: Option<Target>,
    /// Whether it is on the good side; nothing without a target.
    met: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

/// A case that could not be measured.
#[derive(Debug, Serialize)]
struct Failure {
    case: &'static str,
    error: String,
}

/// All figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    quick: bool,
    pub(crate) machine: Machine,
    figures: Vec<Figure>,
    failures: Vec<Failure>,
}

impl Report {
    pub(crate) fn new(machine: Machine, quick: bool) -> Self {
        Self { quick, machine, figures: Vec::new(), failures: Vec::new() }
    }

    /// A figure with a target.
    pub(crate) fn against(&mut self, name: &str, value: f64, unit: &'static str, target: Target, note: impl Into<String>) {
        self.add(name, value, unit, Some(target), note.into());
    }

    /// A figure that is only told.
    pub(crate) fn told(&mut self, name: &str, value: f64, unit: &'static str, note: impl Into<String>) {
        self.add(name, value, unit, None, note.into());
    }

    fn add(&mut self, name: &str, value: f64, unit: &'static str, target: Option<Target>, note: String) {
        let met = target.map(|target| match target {
            Target::AtMost(most) => value <= most,
            Target::AtLeast(least) => value >= least,
        });
        let figure = Figure { name: name.to_owned(), value, unit, target, met, note };
        eprintln!("bench:   {}", row(&figure).join("  "));
        self.figures.push(figure);
    }

    pub(crate) fn failed(&mut self, case: &'static str, error: &str) {
        self.failures.push(Failure { case, error: error.to_owned() });
    }

    /// Whether every case could be measured.
    pub(crate) fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn table(&self) -> String {
        let head = ["what", "measured", "target", "", "note"].map(str::to_owned);
        let rows: Vec<[String; 5]> = std::iter::once(head).chain(self.figures.iter().map(row)).collect();
        let wide = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths = [wide(0), wide(1), wide(2), wide(3)];
        let mut out = format!("\n{}\n", self.machine.summary());
        if self.quick {
            out.push_str("Quick mode: few rounds and small files, so take the figures as a sign only.\n");
        }
        out.push('\n');
        for [what, measured, target, mark, note] in &rows {
            let [a, b, c, d] = widths;
            let _infallible = writeln!(out, "{}", format!("{what:<a$}  {measured:>b$}  {target:>c$}  {mark:<d$}  {note}").trim_end());
        }
        for failure in &self.failures {
            let _infallible = writeln!(out, "{} could not be measured: {}", failure.case, failure.error);
        }
        out
    }
}

fn row(figure: &Figure) -> [String; 5] {
    let target = figure.target.map(|target| match target {
        Target::AtMost(most) => format!("<= {}", number(most)),
        Target::AtLeast(least) => format!(">= {}", number(least)),
    });
    let mark = figure.met.map(|met| if met { "ok" } else { "MISSED" });
    let measured = format!("{} {}", number(figure.value), figure.unit);
    [figure.name.clone(), measured.trim_end().to_owned(), target.unwrap_or_default(), mark.unwrap_or_default().to_owned(), figure.note.clone()]
}

/// Three digits that matter, and thousands apart.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        size if size < 1.0 => 3,
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    let plain = format!("{value:.digits$}");
    let (whole, rest) = plain.split_once('.').map_or((plain.as_str(), String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let grouped: Vec<&str> = whole.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    grouped.join(",") + &rest
}
