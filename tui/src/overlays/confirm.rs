//! "Are you sure": names the thing and what happens to it. Enter is the harmless answer; only the letter that is shown, or the thing's name, confirms.

use ratatui::layout::Rect;

use super::{Flow, Overlay};
use crate::{
    app::{Canvas, Cx},
    input::Input,
    keymap::{Command, Scope},
    look::Role,
    request::Place,
    widgets::{
        field::{Field, Outcome},
        pane::{Pane, centred},
        text::{put, wrap},
    },
};

/// What is done when the person means it.
pub(crate) type Then = Box<dyn FnOnce(&mut Cx<'_>)>;

/// The question.
pub(crate) struct Confirm {
    title: String,
    effect: String,
    /// A letter confirms; or the name that must be typed.
    by: By,
    place: Place,
    then: Option<Then>,
    /// From when on the letter counts, in milliseconds since the start: what was typed ahead does not. The letter is never the key that opened the box, which may be held down.
    armed: u64,
}

/// How long nothing may come before the letter counts, in milliseconds.
const ARMS: u64 = 300;

enum By {
    Letter(char),
    Name(String, Field),
}

impl std::fmt::Debug for Confirm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirm").field("title", &self.title).finish_non_exhaustive()
    }
}

impl Confirm {
    /// Asks for a capital letter: `X stop task 7f3a`. Answers of `then` come to who asks.
    pub(crate) fn letter(cx: &Cx<'_>, letter: char, title: impl Into<String>, effect: impl Into<String>, then: impl FnOnce(&mut Cx<'_>) + 'static) -> Self {
        Self { title: title.into(), effect: effect.into(), by: By::Letter(letter), place: cx.place, then: Some(Box::new(then)), armed: cx.now.since + ARMS }
    }

    /// Asks for the thing's name, for what cannot be undone.
    pub(crate) fn name(cx: &Cx<'_>, name: &str, title: impl Into<String>, effect: impl Into<String>, then: impl FnOnce(&mut Cx<'_>) + 'static) -> Self {
        Self { title: title.into(), effect: effect.into(), by: By::Name(name.to_owned(), Field::line()), place: cx.place, then: Some(Box::new(then)), armed: 0 }
    }

    fn confirm(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Some(then) = self.then.take() {
            let before = std::mem::replace(&mut cx.place, self.place);
            then(cx);
            cx.place = before;
        }
        Flow::Close
    }
}

impl Overlay for Confirm {
    fn is_typing(&self) -> bool {
        matches!(self.by, By::Name(..))
    }

    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Box]
    }

    fn act(&mut self, command: Command, _cx: &mut Cx<'_>) -> Flow {
        // Enter stands on No.
        if matches!(command, Command::Back | Command::Open) { Flow::Close } else { Flow::Stay }
    }

    fn typed(&mut self, input: &Input, cx: &mut Cx<'_>) -> Flow {
        match (&mut self.by, input) {
            (By::Letter(letter), Input::Key(press)) if press.key.typed() == Some(*letter) => {
                if press.alone && cx.now.since >= self.armed {
                    return self.confirm(cx);
                }
                self.armed = cx.now.since + ARMS;
                Flow::Stay
            }
            (By::Letter(_), _) => Flow::Stay,
            (By::Name(name, field), input) => match field.take(input) {
                Outcome::Leave => Flow::Close,
                Outcome::Submit if field.text().trim() == name => self.confirm(cx),
                Outcome::Submit => {
                    cx.note(format!("That is not its name. Type `{name}`, or Esc leaves everything as it is."));
                    Flow::Stay
                }
                Outcome::Changed | Outcome::Ignored => Flow::Stay,
            },
        }
    }

    fn hints(&self) -> &'static [(&'static str, &'static str)] {
        match self.by {
            By::Letter(_) => &[("Enter", "no"), ("Esc", "no")],
            By::Name(..) => &[("Enter", "confirm the name"), ("Esc", "leave it")],
        }
    }

    fn status(&self) -> String {
        match &self.by {
            By::Letter(letter) => format!("{letter} does it, everything else does not"),
            By::Name(..) => "only its name does it".to_owned(),
        }
    }

    fn mode(&self) -> &'static str {
        "CONFIRM"
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let lines = wrap(&self.effect, usize::from(area.width.min(64)).saturating_sub(4));
        let place = centred(area, 64, lines.len() as u16 + 5);
        let inside = Pane { title: &self.title, focused: true, input: true, note: "" }.draw(place, canvas);
        let mut row = 0;
        // In a small window the text gives way: the answer is always to be seen.
        for line in lines.iter().take(usize::from(inside.height.saturating_sub(2))) {
            put(canvas.buf, inside, 1, row, line, canvas.look.style(Role::Text));
            row += 1;
        }
        row += 1;
        match &self.by {
            By::Letter(letter) => {
                let at = put(canvas.buf, inside, 1, row, &letter.to_string(), canvas.look.style(Role::Key));
                let at = put(canvas.buf, inside, at, row, " yes   ", canvas.look.style(Role::Text));
                put(canvas.buf, inside, at, row, "[Enter, Esc: no]", canvas.look.style(Role::Selection));
            }
            By::Name(name, field) => {
                let at = put(canvas.buf, inside, 1, row, &format!("Type {name}: "), canvas.look.style(Role::Text));
                let place = Rect { x: inside.x + at, y: inside.y + row, width: inside.width.saturating_sub(at + 1), height: 1 };
                field.draw(place.intersection(inside), canvas, true);
            }
        }
    }
}
