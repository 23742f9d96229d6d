//! What a command prints is shown as text, whatever it is, and never without bound.

use loopsy_shared::id::JobId;
use proptest::prelude::*;
use ratatui::buffer::Buffer;

use super::*;
use crate::{event::Now, keymap::Keymap, look::Look, world::World};

fn event(kind: ExecuteEventKind, data: &str) -> ExecuteEvent {
    ExecuteEvent { kind, data: data.to_owned(), encoding: None, job_id: JobId::from("job"), timestamp: 0, next: None, exit: None }
}

fn screen(output: &Output, columns: u16, rows: u16) -> String {
    let (look, world, keymap) = (Look::default(), World::new(String::new()), Keymap::default());
    let mut buf = Buffer::empty(Rect::new(0, 0, columns, rows));
    let area = buf.area;
    output.view(
        area,
        &mut Canvas { buf: &mut buf, look: &look, world: &world, keymap: &keymap, now: Now::default(), focused: true, covered: u16::MAX, caret: None },
    );
    (0..rows).map(|y| (0..columns).filter_map(|x| buf.cell((x, y))).map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
}

#[test]
fn it_is_text_whatever_was_printed() {
    let mut output = Output::new(1, "cargo on kai").0;
    for piece in ["one\r", "\n\u{1b}[3", "1mred\u{1b}]0;title", "\u{7} text\n50%\r100%\n", "\u{1b}(Bend"] {
        output.take(&event(ExecuteEventKind::Stdout, piece));
    }
    output.take(&event(ExecuteEventKind::Stderr, "warning\n"));
    let lines: Vec<_> = output.lines.iter().map(|(role, line)| (*role, line.as_str())).collect();
    assert_eq!(lines, [(Role::Text, "one"), (Role::Text, "red text"), (Role::Text, "100%"), (Role::Text, "end"), (Role::Warn, "warning")]);
}

#[test]
fn it_follows_the_end_until_somebody_looks_back() {
    let mut output = Output::new(1, "seq").0;
    for number in 0..100 {
        output.take(&event(ExecuteEventKind::Stdout, &format!("line {number}\n")));
    }
    assert!(screen(&output, 40, 12).contains("line 99"), "{}", screen(&output, 40, 12));
    output.go(3);
    output.take(&event(ExecuteEventKind::Stdout, "line 100\n"));
    let text = screen(&output, 40, 12);
    assert!(text.contains("line 3 ") && !text.contains("line 100"), "{text}");
    output.top.set(None);
    assert!(screen(&output, 40, 12).contains("line 100"));
}

#[test]
fn only_so_much_is_kept() {
    let mut output = Output::new(1, "yes").0;
    output.take(&event(ExecuteEventKind::Stdout, &"y\n".repeat(LINES + 7)));
    output.take(&event(ExecuteEventKind::Stdout, &"z".repeat(LINE * 3)));
    assert_eq!(output.lines.len(), LINES);
    assert!(output.lines.iter().all(|(_, line)| line.len() <= LINE));
    assert!(screen(&output, 60, 12).contains("lines above are no longer kept"));
}

#[test]
fn how_it_ended_is_said() {
    let mut output = Output::new(1, "x").0;
    assert!(screen(&output, 40, 6).contains("runs; nothing printed yet"));
    let mut exit = event(ExecuteEventKind::Exit, "3");
    exit.exit = Some(loopsy_shared::api::execute::JobExit { exit_code: Some(3), duration: 4200.0, total_bytes: 12, ..Default::default() });
    assert_eq!(told(&Ok(exit.clone())), Some((false, "exit 3 in 4s, 12 B printed".to_owned())));
    output.take(&exit);
    assert!(screen(&output, 40, 6).contains("exit 3 in 4s"));
}

proptest! {
    /// Whatever is printed in whatever pieces: nothing that drives a terminal is left, and a piece more or less makes no difference.
    #[test]
    fn pieces_do_not_matter(text in "(\u{1b}\\[[0-9;]{0,4}[mHJ]|\u{1b}\\]0;[a-z]{0,4}\u{7}|\u{1b}|[a-z\\r\\n\u{9b}\u{7}é]){0,30}", cut in any::<prop::sample::Index>()) {
        let whole = Plain::default().take(&text);
        prop_assert!(whole.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')));
        let at = cut.index(text.len() + 1);
        let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let mut plain = Plain::default();
        let pieces = plain.take(&text[..at]) + &plain.take(&text[at..]);
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn any_size_draws(pieces in proptest::collection::vec("\\PC{0,200}\n?", 0..20), columns in 0u16..60, rows in 0u16..20, top in 0usize..30) {
        let mut output = Output::new(1, "x").0;
        for piece in pieces {
            output.take(&event(ExecuteEventKind::Stdout, &piece));
        }
        screen(&output, columns, rows);
        output.go(top);
        screen(&output, columns, rows);
    }
}
