//! Takes what drives a terminal out of what a program prints, also where it comes in pieces.

/// What of an escape sequence came so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and something that another character belongs to.
    One,
    /// In `ESC [ ..`.
    Control,
    /// In a string that ends with BEL or ST: OSC, DCS, APC, PM, SOS.
    String,
    /// In one of these, after ESC.
    StringEscape,
}

/// Remembers where one stream stands.
#[derive(Debug, Default)]
pub(super) struct Plain(State);

impl Plain {
    /// The text alone. Line ends, carriage returns and tabs stay.
    pub(super) fn take(&mut self, data: &str) -> String {
        let mut out = String::with_capacity(data.len());
        for c in data.chars() {
            self.0 = match (self.0, c) {
                (State::Text, '\u{1b}') => State::Escape,
                (State::Text, '\u{9b}') => State::Control,
                (State::Text, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => State::String,
                (State::Text, c) => {
                    if !c.is_control() || matches!(c, '\n' | '\r' | '\t') {
                        out.push(c);
                    }
                    State::Text
                }
                (State::Escape, '[') => State::Control,
                (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::String,
                (State::Escape, ' '..='/') => State::One,
                (State::Escape | State::String, '\u{1b}') => {
                    if self.0 == State::String {
                        State::StringEscape
                    } else {
                        State::Escape
                    }
                }
                (State::Escape | State::One, _) => State::Text,
                (State::Control, '\u{40}'..='\u{7e}') => State::Text,
                (State::Control, '\u{1b}') => State::Escape,
                // A line end in a sequence is none of it: the sequence was broken off.
                (State::Control, '\n') => {
                    out.push('\n');
                    State::Text
                }
                (State::Control, _) => State::Control,
                (State::String, '\u{7}' | '\u{9c}') => State::Text,
                (State::String, _) => State::String,
                (State::StringEscape, '\\') => State::Text,
                (State::StringEscape, '\u{1b}') => State::StringEscape,
                (State::StringEscape, _) => State::String,
            };
        }
        out
    }
}
