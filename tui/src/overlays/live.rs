//! A box that is opened while its text is still on its way: who opened it fills it in.

use std::{cell::RefCell, rc::Rc};

use ratatui::layout::Rect;

use super::{Flow, Overlay, text::Text};
use crate::{
    app::{Canvas, Cx},
    keymap::{Command, Scope},
    look::Role,
};

/// The box.
#[derive(Debug)]
pub(crate) struct Live(Rc<RefCell<Text>>);

/// What fills it in.
#[derive(Debug, Clone)]
pub(crate) struct Filler(Rc<RefCell<Text>>);

impl Live {
    /// With what is said until there is more.
    pub(crate) fn new(title: impl Into<String>, lines: Vec<(Role, String)>) -> (Self, Filler) {
        let text = Rc::new(RefCell::new(Text::new(title, lines)));
        (Self(text.clone()), Filler(text))
    }
}

impl Filler {
    /// Another text, from its top.
    pub(crate) fn fill(&self, title: impl Into<String>, lines: Vec<(Role, String)>) {
        self.0.replace(Text::new(title, lines));
    }

    /// Whether the box is still there.
    pub(crate) fn is_open(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }
}

impl Overlay for Live {
    fn scopes(&self) -> Vec<Scope> {
        self.0.borrow().scopes()
    }

    fn act(&mut self, command: Command, cx: &mut Cx<'_>) -> Flow {
        self.0.borrow_mut().act(command, cx)
    }

    fn mode(&self) -> &'static str {
        self.0.borrow().mode()
    }

    fn status(&self) -> String {
        self.0.borrow().status()
    }

    fn view(&self, area: Rect, canvas: &mut Canvas<'_>) {
        self.0.borrow().view(area, canvas);
    }
}
