//! Text on cells: how wide it is, how it is cut and broken, and that nothing in it can drive the terminal.

use std::borrow::Cow;

use jiff::{Timestamp, tz::TimeZone};
use loopsy_shared::{text::inert, time::Millis};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// What asks for another picture of the character before: terminals do not agree how wide that is, so it is left out.
const SELECTORS: [char; 2] = ['\u{fe0e}', '\u{fe0f}'];

/// The text as it is drawn: inert, and of a width that every terminal agrees on.
fn drawn(text: &str) -> Cow<'_, str> {
    match inert(text) {
        text if text.contains(SELECTORS) => Cow::Owned(text.replace(SELECTORS, "")),
        text => text,
    }
}

/// Columns that a text takes when it is drawn.
pub(crate) fn width(text: &str) -> usize {
    let columns = |text: &str| text.graphemes(true).map(|grapheme| grapheme.width()).sum();
    if text.contains(SELECTORS) { columns(&text.replace(SELECTORS, "")) } else { columns(text) }
}

/// The text made inert, and cut to so many columns with a mark where something is missing.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let text = drawn(text);
    if width(&text) <= columns {
        return text.into_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        if used + grapheme.width() + 1 > columns {
            break;
        }
        used += grapheme.width();
        out.push_str(grapheme);
    }
    if used < columns {
        out.push('~');
    }
    out
}

/// As [`fit`], and filled with blanks.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let mut out = fit(text, columns);
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(&out))));
    out
}

/// As [`pad`], with the blanks in front.
pub(crate) fn pad_left(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let mut out = " ".repeat(columns.saturating_sub(width(&text)));
    out.push_str(&text);
    out
}

/// Lines of at most so many columns, broken at blanks where there are any. Line ends are kept, everything else is made inert.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let line = drawn(line);
        let mut row = String::new();
        let mut used = 0;
        for word in line.split_inclusive(' ') {
            let wide = width(word.trim_end_matches(' '));
            if used + wide > columns && used > 0 && wide <= columns {
                row.truncate(row.trim_end_matches(' ').len());
                lines.push(std::mem::take(&mut row));
                used = 0;
            }
            for grapheme in word.graphemes(true) {
                // What is wider than a whole line cannot be shown on one.
                let grapheme = if width(grapheme) > columns { "?" } else { grapheme };
                let wide = width(grapheme);
                if used + wide > columns {
                    lines.push(std::mem::take(&mut row));
                    used = 0;
                    // A blank that does not fit any more is the line's end.
                    if grapheme == " " {
                        continue;
                    }
                }
                used += wide;
                row.push_str(grapheme);
            }
        }
        lines.push(row);
    }
    lines
}

/// Puts a text into a row of an area, made inert and cut where the area ends; the column after it, counted from the area's left.
pub(crate) fn put(buf: &mut Buffer, area: Rect, column: u16, row: u16, text: &str, style: Style) -> u16 {
    let area = area.intersection(buf.area);
    if row >= area.height || column >= area.width {
        return column;
    }
    let text = drawn(text);
    let (end, _) = buf.set_stringn(area.x + column, area.y + row, &text, usize::from(area.width - column), style);
    end - area.x
}

/// A time as people say it: `14:01:52` today, the date before that.
pub(crate) fn clock(at: Millis, now: Millis) -> String {
    shown(at, now, "%H:%M:%S")
}

/// The same without seconds.
pub(crate) fn minute(at: Millis, now: Millis) -> String {
    shown(at, now, "%H:%M")
}

fn shown(at: Millis, now: Millis, today: &str) -> String {
    // Pictures of the tests are the same everywhere.
    let zone = if cfg!(test) { TimeZone::UTC } else { TimeZone::system() };
    let (Ok(at), Ok(now)) = (Timestamp::from_millisecond(at as i64), Timestamp::from_millisecond(now as i64)) else { return "?".to_owned() };
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    if at.date() == now.date() {
        at.strftime(today).to_string()
    } else if at.year() == now.year() {
        at.strftime("%d %b").to_string()
    } else {
        at.strftime("%Y-%m-%d").to_string()
    }
}

/// `2m11s`, for people.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_cut_fits(text in "\\PC{0,40}|[a-z\u{1b}\u{202e}界é]{0,40}", columns in 0usize..30) {
            prop_assert!(width(&fit(&text, columns)) <= columns);
            prop_assert_eq!(width(&pad(&text, columns)), columns);
            for line in wrap(&text, columns) {
                prop_assert!(width(&line) <= columns.max(2));
            }
        }
    }
}
