//! Between the parser and the emulator: what has no effect here, and what nothing else bounds.

use alacritty_terminal::{
    event::VoidListener,
    grid::Dimensions,
    index::{Column, Point},
    term::{Term, cell::Flags},
    vte::ansi::{Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, LineClearMode, Mode, PrivateMode, StandardCharset, TabulationClearMode},
};

use super::screen::MOST_MARKS;

/// The first character that may be a mark.
const FIRST_MARK: char = '\u{300}';
/// Characters that may be printed by one piece of output, beyond its length: a few bytes can ask to repeat one very often.
const MOST_REPEATED: usize = 256 << 10;

/// The emulator, guarded.
pub(super) struct Guarded {
    pub(super) term: Term<VoidListener>,
    left: usize,
}

impl Guarded {
    pub(super) const fn new(term: Term<VoidListener>) -> Self {
        Self { term, left: MOST_REPEATED }
    }

    /// A piece of so many bytes comes.
    pub(super) const fn allow(&mut self, bytes: usize) {
        self.left = bytes.saturating_add(MOST_REPEATED);
    }

    /// Takes marks away from a character that has too many.
    fn bound_marks(&mut self) {
        let cursor = &self.term.grid().cursor;
        let (line, mut column) = (cursor.point.line, cursor.point.column.0);
        if !cursor.input_needs_wrap {
            column = column.saturating_sub(1);
        }
        if self.term.grid()[line][Column(column)].flags.contains(Flags::WIDE_CHAR_SPACER) {
            column = column.saturating_sub(1);
        }
        let Point { line, column } = Point::new(line, Column(column.min(self.term.columns() - 1)));
        let cell = &mut self.term.grid_mut()[line][column];
        let marks = cell.zerowidth().unwrap_or_default();
        if marks.len() > MOST_MARKS {
            let (kept, underline) = (marks[..MOST_MARKS].to_vec(), cell.underline_color());
            cell.extra = None;
            kept.into_iter().for_each(|mark| cell.push_zerowidth(mark));
            cell.set_underline_color(underline);
        }
    }
}

/// Calls that go on as they are.
macro_rules! forward {
    ($(fn $name:ident($($arg:ident: $kind:ty),*);)*) => {$(
        #[inline]
        fn $name(&mut self, $($arg: $kind),*) {
            self.term.$name($($arg),*);
        }
    )*};
}

// Left out, and so without effect: all questions (the node answers them, once), titles, clipboard, links, keyboard protocols, colours of the whole window, the bell.
impl Handler for Guarded {
    forward! {
        fn set_cursor_style(style: Option<CursorStyle>);
        fn set_cursor_shape(shape: CursorShape);
        fn goto(line: i32, col: usize);
        fn goto_line(line: i32);
        fn goto_col(col: usize);
        fn insert_blank(count: usize);
        fn move_up(rows: usize);
        fn move_down(rows: usize);
        fn move_forward(cols: usize);
        fn move_backward(cols: usize);
        fn move_down_and_cr(rows: usize);
        fn move_up_and_cr(rows: usize);
        fn put_tab(count: u16);
        fn backspace();
        fn carriage_return();
        fn linefeed();
        fn substitute();
        fn newline();
        fn set_horizontal_tabstop();
        fn scroll_up(rows: usize);
        fn scroll_down(rows: usize);
        fn insert_blank_lines(rows: usize);
        fn delete_lines(rows: usize);
        fn erase_chars(count: usize);
        fn delete_chars(count: usize);
        fn move_backward_tabs(count: u16);
        fn move_forward_tabs(count: u16);
        fn save_cursor_position();
        fn restore_cursor_position();
        fn clear_line(mode: LineClearMode);
        fn clear_screen(mode: ClearMode);
        fn clear_tabs(mode: TabulationClearMode);
        fn reset_state();
        fn reverse_index();
        fn terminal_attribute(attr: Attr);
        fn set_mode(mode: Mode);
        fn unset_mode(mode: Mode);
        fn set_private_mode(mode: PrivateMode);
        fn unset_private_mode(mode: PrivateMode);
        fn set_keypad_application_mode();
        fn unset_keypad_application_mode();
        fn configure_charset(index: CharsetIndex, charset: StandardCharset);
        fn set_active_charset(index: CharsetIndex);
        fn decaln();
    }

    #[inline]
    fn input(&mut self, c: char) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        self.term.input(c);
        if c >= FIRST_MARK {
            self.bound_marks();
        }
    }

    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        let lines = self.term.screen_lines();
        let bottom = bottom.map_or(lines, |bottom| bottom.min(lines));
        if top < bottom {
            self.term.set_scrolling_region(top, Some(bottom));
        }
    }
}
