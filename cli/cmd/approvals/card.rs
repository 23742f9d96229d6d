//! The card of an approval, painted for a terminal. What it says is the same on every surface.

use anstyle::Style;
use loopsy_shared::api::approvals::Approval;
use loopsy_tui::card::{Line, Tone};
pub(crate) use loopsy_tui::card::{Look, asked, visible};
use serde_json::Value;

use crate::output::{BAD, FAINT, GOOD, PLAIN, STRONG, WARN, paint};

/// The lines of the card, each short enough for one line of the screen.
pub(crate) fn lines(approval: &Approval, look: &Look) -> Vec<String> {
    loopsy_tui::card::lines(approval, look).iter().map(painted).collect()
}

/// The lines of an input that a person changed.
pub(crate) fn edited(input: &Value, look: &Look) -> Vec<String> {
    loopsy_tui::card::edited(input, look).iter().map(painted).collect()
}

fn painted(line: &Line) -> String {
    line.iter().map(|span| if span.tone == Tone::Plain { span.text.clone() } else { paint(style(span.tone), &span.text) }).collect()
}

const fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => PLAIN,
        Tone::Faint => FAINT,
        Tone::Strong => STRONG,
        Tone::Good | Tone::Added => GOOD,
        Tone::Warn => WARN,
        Tone::Bad | Tone::Removed => BAD,
    }
}
