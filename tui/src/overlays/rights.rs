//! What a peer may do here: one line for each right, in words. Space changes one, Enter keeps all of them, Esc leaves everything as it was.

use loopsy_shared::api::Scope;
use ratatui::layout::Rect;

use super::{Flow, Overlay};
use crate::{
    app::{Canvas, Cx},
    keymap::{Command, Scope as Place},
    look::Role,
    request::Place as Asker,
    widgets::{
        list::{Column, List, cell, styled},
        pane::{Pane, centred},
        text::{put, wrap},
    },
};

/// What is done with the choice.
type Then = Box<dyn FnOnce(Vec<Scope>, &mut Cx<'_>)>;

/// The box.
pub(crate) struct Rights {
    title: String,
    name: String,
    chosen: Vec<Scope>,
    list: List<Scope>,
    place: Asker,
    then: Option<Then>,
    /// None at all cannot be chosen.
    some: bool,
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rights").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}

/// A right in words.
pub(crate) const fn words(scope: Scope) -> &'static str {
    match scope {
        Scope::Status => "see that this machine is up, and its peers",
        Scope::Context => "read and write the context here",
        Scope::Messages => "send messages",
        Scope::Transfer => "read and write files",
        Scope::Execute => "run commands that the policy allows",
        Scope::AiTasks => "give tasks to agents here",
        Scope::Approve => "answer what agents here ask",
        Scope::Terminal => "open terminals: do whatever you can",
    }
}

impl Rights {
    /// Of the peer with this name, beginning with these. Answers of `then` come to who asks.
    pub(crate) fn new(cx: &Cx<'_>, title: impl Into<String>, name: &str, chosen: &[Scope], then: impl FnOnce(Vec<Scope>, &mut Cx<'_>) + 'static) -> Self {
        let name = loopsy_shared::text::inert(name).into_owned();
        Self { title: title.into(), name, chosen: chosen.to_vec(), list: List::default(), place: cx.place, then: Some(Box::new(then)), some: false }
    }

    /// For a machine that is no peer yet: none at all would be no pairing.
    #[must_use]
    pub(crate) fn at_least_one(mut self) -> Self {
        self.some = true;
        self
    }

    fn toggle(&mut self) {
        let Some(scope) = self.list.selected(&Scope::ALL).copied() else { return };
        if self.chosen.contains(&scope) {
            self.chosen.retain(|known| *known != scope);
        } else {
            self.chosen.push(scope);
        }
    }

    /// What the choice means where that is not plain.
    fn warning(&self) -> Option<String> {
        let name = &self.name;
        if self.chosen.is_empty() && self.some {
            Some("A machine that may do nothing needs no pairing. Leave it `status` at least.".to_owned())
        } else if self.chosen.is_empty() {
            Some(format!("{name} may do nothing here then. To end it for good, remove it: x."))
        } else if self.chosen.contains(&Scope::Terminal) {
            Some(format!("With `terminal`, whoever sits at {name} can do here whatever you can; no command policy applies."))
        } else if self.chosen.contains(&Scope::Approve) {
            Some(format!("With `approve`, whoever sits at {name} answers for you what agents may do on this machine."))
        } else if !self.chosen.contains(&Scope::Status) {
            Some(format!("Without `status`, {name} cannot see whether this machine is up, and takes it for unusable."))
        } else {
            None
        }
    }
}

impl Overlay for Rights {
    fn scopes(&self) -> Vec<Place> {
        vec![Place::Rights]
    }

    fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        if self.list.act(command, &Scope::ALL) {
            return Flow::Stay;
        }
        match command {
            Command::Open if self.some && self.chosen.is_empty() => Flow::Stay,
            Command::Open => {
                if let Some(then) = self.then.take() {
                    let before = std::mem::replace(&mut cx.place, self.place);
                    // In the order of the documentation, however they were chosen.
                    then(Scope::ALL.into_iter().filter(|scope| self.chosen.contains(scope)).collect(), cx);
                    cx.place = before;
                }
                Flow::Close
            }
            Command::Mark => {
                self.toggle();
                Flow::Stay
            }
            Command::Back => Flow::Close,
            _ => Flow::Stay,
        }
    }

    fn mode(&self) -> &'static str {
        "RIGHTS"
    }

    fn status(&self) -> String {
        format!("{} of {} given", self.chosen.len(), Scope::ALL.len())
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let wide = area.width.min(72);
        let warning = self.warning().map(|text| wrap(&text, usize::from(wide).saturating_sub(4))).unwrap_or_default();
        let place = centred(area, wide, Scope::ALL.len() as u16 + 4 + warning.len() as u16);
        let inside = Pane { title: &self.title, note: "", focused: true, input: true }.draw(place, canvas);
        let rows = Rect { height: (Scope::ALL.len() as u16 + 1).min(inside.height), ..inside };
        let columns = [Column::new("", 3), Column::new("RIGHT", 9), Column::new("MAY HERE", 0)];
        self.list.table(rows, canvas, true, &columns, &Scope::ALL, |scope| {
            let mark = if self.chosen.contains(scope) { styled("[x]", Role::Good) } else { styled("[ ]", Role::Faint) };
            vec![mark, cell(scope.as_str()), cell(words(*scope))]
        });
        for (row, line) in (rows.height + 1..inside.height).zip(&warning) {
            put(canvas.buf, inside, 1, row, line, canvas.look.style(Role::Warn));
        }
    }
}
