//! A form: a few fields, what each is for, and what is wrong with what was typed.

use ratatui::layout::Rect;

use super::{Flow, Overlay};
use crate::{
    app::{Canvas, Cx},
    input::Input,
    key::Code,
    look::Role,
    request::Place,
    widgets::{
        field::{Field, Outcome},
        pane::{Pane, centred},
        text::{put, wrap},
    },
};

/// Columns before the fields, for what they are called.
const LABELS: u16 = 17;

/// Takes what was typed, field by field; an error is shown in the form, which stays.
pub(crate) type Submit = Box<dyn FnMut(&[&str], &mut Cx<'_>) -> Result<(), String>>;

/// The form.
pub(crate) struct Form {
    title: String,
    rows: Vec<Row>,
    at: usize,
    error: Option<String>,
    place: Place,
    submit: Submit,
}

/// One field of it.
#[derive(Debug)]
pub(crate) struct Row {
    label: &'static str,
    hint: String,
    input: Kind,
    height: u16,
}

#[derive(Debug)]
enum Kind {
    Text(Field),
    /// One of these, moved through with left and right.
    Choice(Vec<String>, usize),
}

impl Row {
    /// One line.
    pub(crate) fn line(label: &'static str, hint: impl Into<String>) -> Self {
        Self { label, hint: hint.into(), input: Kind::Text(Field::line()), height: 1 }
    }

    /// Several lines.
    pub(crate) fn lines(label: &'static str, hint: impl Into<String>, height: u16) -> Self {
        Self { label, hint: hint.into(), input: Kind::Text(Field::lines()), height }
    }

    /// One of several.
    pub(crate) fn choice(label: &'static str, hint: impl Into<String>, choices: Vec<String>, selected: usize) -> Self {
        Self { label, hint: hint.into(), input: Kind::Choice(choices, selected), height: 1 }
    }

    /// With something in it.
    #[must_use]
    pub(crate) fn with(mut self, text: &str) -> Self {
        if let Kind::Text(field) = &mut self.input {
            field.set(text);
        }
        self
    }

    fn value(&self) -> &str {
        match &self.input {
            Kind::Text(field) => field.text(),
            Kind::Choice(choices, at) => choices.get(*at).map_or("", String::as_str),
        }
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Form").field("title", &self.title).finish_non_exhaustive()
    }
}

impl Form {
    /// Asks; answers of requests made in `submit` come to who asks.
    pub(crate) fn new(cx: &Cx<'_>, title: impl Into<String>, rows: Vec<Row>, submit: impl FnMut(&[&str], &mut Cx<'_>) -> Result<(), String> + 'static) -> Self {
        Self { title: title.into(), rows, at: 0, error: None, place: cx.place, submit: Box::new(submit) }
    }

    fn submit(&mut self, cx: &mut Cx<'_>) -> Flow {
        let values: Vec<&str> = self.rows.iter().map(Row::value).collect();
        let before = std::mem::replace(&mut cx.place, self.place);
        let result = (self.submit)(&values, cx);
        cx.place = before;
        match result {
            Ok(()) => Flow::Close,
            Err(why) => {
                self.error = Some(why);
                Flow::Stay
            }
        }
    }
}

impl Overlay for Form {
    fn is_typing(&self) -> bool {
        true
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) -> Flow {
        let count = self.rows.len();
        if let Input::Key(press) = input {
            match press.key.code {
                Code::Tab if press.key.shift => {
                    self.at = (self.at + count - 1) % count;
                    return Flow::Stay;
                }
                Code::Tab => {
                    self.at = (self.at + 1) % count;
                    return Flow::Stay;
                }
                Code::Up if self.rows[self.at].height == 1 => {
                    self.at = self.at.saturating_sub(1);
                    return Flow::Stay;
                }
                Code::Down if self.rows[self.at].height == 1 => {
                    self.at = (self.at + 1).min(count - 1);
                    return Flow::Stay;
                }
                _ => {}
            }
        }
        let outcome = match &mut self.rows[self.at].input {
            Kind::Text(field) => field.take(input),
            Kind::Choice(choices, at) => match input {
                Input::Key(press) => match press.key.code {
                    Code::Left | Code::Char('h') => {
                        *at = (*at + choices.len() - 1) % choices.len().max(1);
                        Outcome::Changed
                    }
                    Code::Right | Code::Char('l' | ' ') => {
                        *at = (*at + 1) % choices.len().max(1);
                        Outcome::Changed
                    }
                    Code::Enter => Outcome::Submit,
                    Code::Esc => Outcome::Leave,
                    _ => Outcome::Ignored,
                },
                _ => Outcome::Ignored,
            },
        };
        match outcome {
            Outcome::Submit if self.at + 1 < count && self.rows[self.at + 1..].iter().any(|row| row.value().is_empty() && row.hint.is_empty()) => {
                self.at += 1;
                Flow::Stay
            }
            Outcome::Submit => self.submit(cx),
            Outcome::Leave => Flow::Close,
            Outcome::Changed => {
                self.error = None;
                Flow::Stay
            }
            Outcome::Ignored => Flow::Stay,
        }
    }

    fn mode(&self) -> &'static str {
        "INPUT"
    }

    fn hints(&self) -> &'static [(&'static str, &'static str)] {
        match (self.rows.len(), self.rows.iter().any(|row| row.height > 1)) {
            (1, false) => &[("Enter", "go"), ("Esc", "leave")],
            (_, false) => &[("Enter", "go"), ("Tab", "next field"), ("Esc", "leave")],
            (_, true) => &[("Enter", "go"), ("Tab", "next field"), ("Alt-Enter", "new line"), ("Esc", "leave")],
        }
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let wide = area.width.min(76);
        let error = self.error.as_ref().map(|error| wrap(error, usize::from(wide).saturating_sub(4))).unwrap_or_default();
        let height: u16 = self.rows.iter().map(|row| row.height + 1 + u16::from(!row.hint.is_empty())).sum::<u16>() + error.len() as u16 + 2;
        let inside = Pane { title: &self.title, focused: true, input: true, note: "" }.draw(centred(area, wide, height), canvas);
        let mut y = 0;
        for (index, row) in self.rows.iter().enumerate() {
            let typing = index == self.at;
            put(canvas.buf, inside, 1, y, row.label, canvas.look.style(if typing { Role::Strong } else { Role::Text }));
            let place = Rect { x: inside.x + LABELS, y: inside.y + y, width: inside.width.saturating_sub(LABELS + 1), height: row.height }.intersection(inside);
            match &row.input {
                Kind::Text(field) => field.draw(place, canvas, typing),
                Kind::Choice(choices, at) => {
                    let text = format!("< {} >", choices.get(*at).map_or("", String::as_str));
                    put(canvas.buf, place, 0, 0, &text, canvas.look.style(if typing { Role::Selection } else { Role::Text }));
                }
            }
            y += row.height;
            if !row.hint.is_empty() {
                put(canvas.buf, inside, LABELS, y, &row.hint, canvas.look.style(Role::Faint));
                y += 1;
            }
            y += 1;
        }
        for line in error {
            put(canvas.buf, inside, 1, y.saturating_sub(1), &line, canvas.look.style(Role::Bad));
            y += 1;
        }
    }
}
