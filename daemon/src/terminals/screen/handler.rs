//! What the parser calls: everything goes on to the emulator, and what the emulator does not tell, or does not bound, is kept here.

use std::sync::Arc;

use alacritty_terminal::{
    event::{Event, EventListener},
    grid::Dimensions,
    index::{Column, Point},
    term::{Config, Term, cell::Flags},
    vte::ansi::{
        Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, LineClearMode, Mode, PrivateMode, Rgb, StandardCharset,
        TabulationClearMode,
    },
};

use super::emulator::Dims;
use crate::jobs::sync::Mutex;

/// Marks (accents, joiners) on one character; more are dropped, because nothing else bounds them.
const MOST_MARKS: usize = 12;
/// The first character that may be a mark.
const FIRST_MARK: char = '\u{300}';
/// Bytes of answers to one piece of output. Who asks for more is not answered.
const MOST_ANSWERS: usize = 16 << 10;

/// What the emulator wants to say.
#[derive(Clone, Default)]
pub(super) struct Listener(Arc<Mutex<Vec<Event>>>);

impl EventListener for Listener {
    fn send_event(&self, event: Event) {
        if matches!(event, Event::PtyWrite(_) | Event::ColorRequest(..)) {
            let mut events = self.0.lock();
            if events.len() < MOST_ANSWERS / 4 {
                events.push(event);
            }
        }
    }
}

/// The emulator with what it does not tell.
pub(super) struct Guarded {
    pub(super) term: Term<Listener>,
    listener: Listener,
    /// First and last line of the scroll region, counted from 1, when it is not the whole screen.
    pub(super) region: Option<(usize, usize)>,
    pub(super) charset: CharsetIndex,
    pub(super) title: Option<String>,
}

impl Guarded {
    pub(super) fn new(config: Config, dims: &Dims) -> Self {
        let listener = Listener::default();
        Self { term: Term::new(config, dims, listener.clone()), listener, region: None, charset: CharsetIndex::G0, title: None }
    }

    pub(super) fn resize(&mut self, dims: &Dims) {
        if dims.columns() != self.term.columns() || dims.screen_lines() != self.term.screen_lines() {
            self.region = None;
        }
        self.term.resize(Dims(dims.0));
    }

    /// What the program is to be told.
    pub(super) fn answers(&self) -> Vec<u8> {
        let events = std::mem::take(&mut *self.listener.0.lock());
        let mut answers = Vec::new();
        for event in events {
            let answer = match event {
                Event::PtyWrite(text) => text,
                Event::ColorRequest(index, format) => format(self.color(index)),
                _ => continue,
            };
            if answers.len() + answer.len() > MOST_ANSWERS {
                break;
            }
            answers.extend_from_slice(answer.as_bytes());
        }
        answers
    }

    /// A colour as the program set it, or as it usually is: light on dark.
    fn color(&self, index: usize) -> Rgb {
        if let Some(color) = self.term.colors()[index] {
            return color;
        }
        let rgb = |r, g, b| Rgb { r, g, b };
        let level = |n: usize| if n == 0 { 0 } else { u8::try_from(55 + 40 * n).unwrap_or(u8::MAX) };
        match index {
            7 => rgb(0xe5, 0xe5, 0xe5),
            8 => rgb(0x7f, 0x7f, 0x7f),
            0..=6 => {
                let on = |bit: usize| if index & bit != 0 { 0xcd } else { 0 };
                rgb(on(1), on(2), on(4))
            }
            9..=15 => {
                let on = |bit: usize| if index & bit != 0 { 0xff } else { 0 };
                rgb(on(1), on(2), on(4))
            }
            16..=231 => rgb(level((index - 16) / 36), level((index - 16) / 6 % 6), level((index - 16) % 6)),
            232..=255 => {
                let grey = u8::try_from(8 + 10 * (index - 232)).unwrap_or(u8::MAX);
                rgb(grey, grey, grey)
            }
            257 => rgb(0, 0, 0),
            _ => rgb(0xe5, 0xe5, 0xe5),
        }
    }

    /// The character that a mark goes onto.
    fn marked(&self) -> Point {
        let cursor = &self.term.grid().cursor;
        let (line, mut column) = (cursor.point.line, cursor.point.column.0);
        if !cursor.input_needs_wrap {
            column = column.saturating_sub(1);
        }
        if self.term.grid()[line][Column(column)].flags.contains(Flags::WIDE_CHAR_SPACER) {
            column = column.saturating_sub(1);
        }
        Point::new(line, Column(column))
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

// Left out, and so without effect: clipboard, keyboard protocols, links, the stack of titles, the size in pixels.
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
        fn identify_terminal(intermediate: Option<char>);
        fn device_status(status: usize);
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
        fn reverse_index();
        fn terminal_attribute(attr: Attr);
        fn set_mode(mode: Mode);
        fn unset_mode(mode: Mode);
        fn report_mode(mode: Mode);
        fn set_private_mode(mode: PrivateMode);
        fn unset_private_mode(mode: PrivateMode);
        fn report_private_mode(mode: PrivateMode);
        fn set_keypad_application_mode();
        fn unset_keypad_application_mode();
        fn configure_charset(index: CharsetIndex, charset: StandardCharset);
        fn set_color(index: usize, color: Rgb);
        fn dynamic_color_sequence(prefix: String, index: usize, terminator: &str);
        fn reset_color(index: usize);
        fn decaln();
        fn text_area_size_chars();
    }

    #[inline]
    fn input(&mut self, c: char) {
        self.term.input(c);
        if c >= FIRST_MARK {
            let Point { line, column } = self.marked();
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

    fn set_title(&mut self, title: Option<String>) {
        self.title = title;
    }

    fn set_hyperlink(&mut self, _link: Option<Hyperlink>) {}

    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        let lines = self.term.screen_lines();
        let bottom = bottom.map_or(lines, |bottom| bottom.min(lines));
        if top < bottom {
            self.region = ((top, bottom) != (1, lines)).then_some((top, bottom));
            self.term.set_scrolling_region(top, Some(bottom));
        }
    }

    fn set_active_charset(&mut self, index: CharsetIndex) {
        self.charset = index;
        self.term.set_active_charset(index);
    }

    fn reset_state(&mut self) {
        (self.region, self.charset, self.title) = (None, CharsetIndex::G0, None);
        self.term.reset_state();
    }
}
