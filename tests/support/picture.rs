//! A terminal's screen as a picture: an SVG with one text for each run of cells that look the same.

use std::{collections::BTreeMap, fmt::Write};

use vt100::{Cell, Color, Screen};

/// Size of a cell and of the margin, in the picture's units.
const CELL: (u16, u16) = (9, 19);
const MARGIN: u16 = 10;
const PAPER: &str = "#16181d";
const INK: &str = "#d5d8de";
/// The sixteen colours, as a terminal would have them.
const SIXTEEN: [&str; 16] = [
    "#2b2f38", "#e06c75", "#8cc570", "#e0b860", "#6cabf0", "#c58be0", "#56c0c8", "#c4c8d0", "#737b8c", "#f08a92", "#a6dd8a", "#f5d080", "#8ec4ff", "#dba8f5",
    "#7cdde4", "#ffffff",
];

/// How a run looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Style {
    ink: String,
    paper: String,
    bold: bool,
    italic: bool,
    underline: bool,
}

/// The picture of a screen; `title` is read aloud in its place.
pub(crate) fn svg(screen: &Screen, title: &str) -> String {
    let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, rows * CELL.1 + 2 * MARGIN);
    let (mut papers, mut texts) = (String::new(), String::new());
    let mut classes = BTreeMap::new();
    for row in 0..rows {
        let mut line = String::new();
        for (column, length, style, text) in runs(screen, row, columns) {
            let (x, y) = (MARGIN + column * CELL.0, MARGIN + row * CELL.1);
            if style.paper != PAPER {
                let wide = length * CELL.0;
                let _infallible = writeln!(papers, "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{}\" fill=\"{}\"/>", CELL.1, style.paper);
            }
            if text.trim().is_empty() && !style.underline {
                continue;
            }
            let next = classes.len();
            let class = *classes.entry(Style { paper: String::new(), ..style }).or_insert(next);
            let _infallible = write!(line, "<tspan class=\"s{class}\" x=\"{x}\" textLength=\"{}\">{}</tspan>", length * CELL.0, escaped(&text));
        }
        if !line.is_empty() {
            let _infallible = writeln!(texts, "<text y=\"{}\">{line}</text>", MARGIN + row * CELL.1 + CELL.1 * 3 / 4);
        }
    }
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">\n<style>\n\
         text{{font:15px 'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace;white-space:pre}}\n"
    );
    for (style, class) in &classes {
        let _infallible = write!(out, ".s{class}{{fill:{}", style.ink);
        out.push_str(if style.bold { ";font-weight:bold" } else { "" });
        out.push_str(if style.italic { ";font-style:italic" } else { "" });
        out.push_str(if style.underline { ";text-decoration:underline" } else { "" });
        out.push_str("}\n");
    }
    let _infallible = writeln!(out, "</style>\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{PAPER}\"/>\n{papers}{texts}</svg>");
    out
}

/// Column, length, style and text of each run of a row.
fn runs(screen: &Screen, row: u16, columns: u16) -> Vec<(u16, u16, Style, String)> {
    let mut runs: Vec<(u16, u16, Style, String)> = Vec::new();
    let mut column = 0;
    while column < columns {
        let Some(cell) = screen.cell(row, column) else { break };
        let wide = if cell.is_wide() { 2 } else { 1 };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let style = style(cell);
        // Lines and letters come from different fonts, perhaps: each run has its own width.
        let same = |last: &(u16, u16, Style, String)| last.2 == style && last.3.is_ascii() == text.is_ascii() && wide == 1;
        match runs.last_mut() {
            Some(last) if same(last) => {
                last.1 += 1;
                last.3.push_str(text);
            }
            _ => runs.push((column, wide, style, text.to_owned())),
        }
        column += wide;
    }
    runs
}

fn style(cell: &Cell) -> Style {
    let (mut ink, mut paper) = (colour(cell.fgcolor(), INK), colour(cell.bgcolor(), PAPER));
    if cell.dim() {
        ink = between(&ink, &paper);
    }
    if cell.inverse() {
        std::mem::swap(&mut ink, &mut paper);
    }
    Style { ink, paper, bold: cell.bold(), italic: cell.italic(), underline: cell.underline() }
}

fn colour(colour: Color, default: &str) -> String {
    match colour {
        Color::Default => default.to_owned(),
        Color::Idx(index @ 0..16) => SIXTEEN[usize::from(index)].to_owned(),
        Color::Idx(index @ 16..232) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let at = index - 16;
            format!("#{:02x}{:02x}{:02x}", level(at / 36), level(at / 6 % 6), level(at % 6))
        }
        Color::Idx(index) => {
            let grey = 8 + 10 * (index - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
    }
}

/// A third of the way from one colour to another.
fn between(from: &str, to: &str) -> String {
    let part = |text: &str, at: usize| u32::from_str_radix(&text[at..at + 2], 16).unwrap_or(0);
    let mixed = |at| (part(from, at) * 2 + part(to, at)) / 3;
    format!("#{:02x}{:02x}{:02x}", mixed(1), mixed(3), mixed(5))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
