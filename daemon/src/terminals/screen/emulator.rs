//! The screen on `alacritty_terminal`.

use alacritty_terminal::{
    grid::Dimensions,
    index::{Column, Line},
    term::{Config, Osc52, TermMode, cell::Flags},
    vte::ansi::{Processor, Timeout},
};
use loopsy_shared::api::terminals::{TerminalCursor, TerminalSize};

use super::{Screen, handler::Guarded, snapshot};

/// Cells above the screen, so that a very wide screen cannot keep as many lines as a narrow one.
const MOST_CELLS_ABOVE: usize = 500_000;

/// Updates are applied as they come: a snapshot must show every byte before its offset.
#[derive(Debug, Default)]
struct AtOnce;

impl Timeout for AtOnce {
    fn set_timeout(&mut self, _duration: std::time::Duration) {}

    fn clear_timeout(&mut self) {}

    fn pending_timeout(&self) -> bool {
        false
    }
}

/// An emulator.
pub(in crate::terminals) struct Emulator {
    parser: Processor<AtOnce>,
    guarded: Guarded,
    scrollback: usize,
}

/// A size as the emulator wants it.
pub(super) struct Dims(pub(super) TerminalSize);

impl Dimensions for Dims {
    fn total_lines(&self) -> usize {
        self.screen_lines()
    }

    fn screen_lines(&self) -> usize {
        usize::from(self.0.rows)
    }

    fn columns(&self) -> usize {
        usize::from(self.0.cols)
    }
}

fn lines_above(scrollback: usize, size: TerminalSize) -> usize {
    scrollback.min(MOST_CELLS_ABOVE / usize::from(size.cols).max(1))
}

impl Emulator {
    /// An empty screen that keeps up to so many lines above it.
    pub(in crate::terminals) fn new(size: TerminalSize, scrollback: usize) -> Self {
        let size = size.clamped();
        let config = Config { scrolling_history: lines_above(scrollback, size), osc52: Osc52::Disabled, kitty_keyboard: false, ..Config::default() };
        Self { parser: Processor::new(), guarded: Guarded::new(config, &Dims(size)), scrollback }
    }
}

impl Screen for Emulator {
    fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.parser.advance(&mut self.guarded, bytes);
        self.guarded.answers()
    }

    fn resize(&mut self, size: TerminalSize) {
        let size = size.clamped();
        self.guarded.resize(&Dims(size));
        if !self.alternate() {
            let above = lines_above(self.scrollback, size);
            self.guarded.term.grid_mut().update_history(above);
        }
    }

    fn size(&self) -> TerminalSize {
        let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        TerminalSize { cols: number(self.guarded.term.columns()), rows: number(self.guarded.term.screen_lines()) }
    }

    fn snapshot(&mut self, scrollback: usize) -> Vec<u8> {
        snapshot::draw(&mut self.guarded, scrollback)
    }

    fn text(&self, scrollback: usize) -> (Vec<String>, usize) {
        let grid = self.guarded.term.grid();
        let above = grid.history_size().min(scrollback);
        let first = -i32::try_from(above).unwrap_or(0);
        let last = i32::try_from(grid.screen_lines()).unwrap_or(0);
        let line = |line: i32| {
            let row = &grid[Line(line)];
            let mut text = String::with_capacity(grid.columns());
            for column in 0..grid.columns() {
                let cell = &row[Column(column)];
                if cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
                    continue;
                }
                text.push(snapshot::shown(cell.c));
                text.extend(cell.zerowidth().into_iter().flatten());
            }
            text.truncate(text.trim_end_matches(' ').len());
            text
        };
        ((first..last).map(line).collect(), above)
    }

    fn cursor(&self) -> TerminalCursor {
        let point = self.guarded.term.grid().cursor.point;
        TerminalCursor {
            col: u16::try_from(point.column.0).unwrap_or(u16::MAX),
            row: u16::try_from(point.line.0).unwrap_or(0),
            visible: self.guarded.term.mode().contains(TermMode::SHOW_CURSOR),
        }
    }

    fn alternate(&self) -> bool {
        self.guarded.term.mode().contains(TermMode::ALT_SCREEN)
    }

    fn title(&self) -> Option<String> {
        self.guarded.title.clone().filter(|title| !title.is_empty())
    }
}
