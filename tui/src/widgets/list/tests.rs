//! Tests of the list: what is selected stays selected, and what is not shown costs nothing.

use std::cell::Cell as Count;

use proptest::prelude::*;
use ratatui::buffer::Buffer;

use super::*;
use crate::{event::Now, input::Input, key::Key, keymap::Keymap, look::Look, world::World};

fn drawn(list: &List<u32>, keys: &[u32], rows: u16) -> (usize, String) {
    let (asked, look, world, keymap) = (Count::new(0), Look::default(), World::new(String::new()), Keymap::default());
    let mut buf = Buffer::empty(Rect::new(0, 0, 20, rows));
    let area = buf.area;
    let mut canvas = Canvas { buf: &mut buf, look: &look, world: &world, keymap: &keymap, now: Now::default(), focused: true, covered: u16::MAX, caret: None };
    list.table(area, &mut canvas, true, &[Column::new("NAME", 0)], keys, |key| {
        asked.set(asked.get() + 1);
        vec![cell(key.to_string())]
    });
    (asked.get(), (0..20).filter_map(|x| buf.cell((x, 0))).map(ratatui::buffer::Cell::symbol).collect::<String>())
}

#[test]
fn only_rows_that_are_seen_are_asked_for() {
    let keys: Vec<u32> = (0..10_000).collect();
    let mut list = List::default();
    list.act(Command::End, &keys);
    assert_eq!(drawn(&list, &keys, 11).0, 10);
}

#[test]
fn the_selection_stays_on_its_row_while_the_world_changes() {
    let mut list = List::default();
    list.select(30, &[10, 20, 30, 40]);
    assert_eq!(list.selected(&[5, 10, 20, 30, 40]), Some(&30), "rows above came");
    assert_eq!(list.selected(&[10, 20, 40]), Some(&40), "it went: the next one took its place");
    assert_eq!(list.selected(&[]), None);
}

#[test]
fn the_heading_tells_what_is_sorted_by() {
    let mut list = List::<u32>::default();
    let mut items = [2, 3, 1];
    let names = ["NAME", "SIZE"];
    list.sort_next(&names);
    list.order(&mut items, |_, a, b| a.cmp(b));
    assert_eq!((items, drawn(&list, &[], 3).1.trim().to_owned()), ([1, 2, 3], "NAME^".to_owned()));
    list.sort_next(&names);
    list.order(&mut items, |_, a, b| a.cmp(b));
    assert_eq!((items, drawn(&list, &[], 3).1.trim().to_owned()), ([3, 2, 1], "NAMEv".to_owned()));
    list.sort_next(&names);
    assert_eq!(list.sort(), Some(("SIZE", false)));
    list.sort_next(&names);
    list.sort_next(&names);
    assert_eq!(list.sort(), None);
}

#[test]
fn a_click_selects_what_was_drawn_there_and_the_wheel_moves() {
    let keys: Vec<u32> = (0..100).collect();
    let mut list = List::default();
    list.select(50, &keys);
    drawn(&list, &keys, 11);
    let mouse = |kind, row| Mouse { kind, column: 3, row, held: 0 };
    assert!(list.mouse(&mouse(MouseKind::Down(0), 1), &keys));
    assert_eq!(list.selected(&keys), Some(&41));
    assert!(!list.mouse(&mouse(MouseKind::Down(0), 0), &keys), "the heading is no row");
    assert!(list.mouse(&mouse(MouseKind::ScrollDown, 2), &keys));
    assert_eq!(list.selected(&keys), Some(&44));
}

#[test]
fn a_filter_may_name_a_beginning() {
    let mut list = List::<u32>::default();
    list.filter_by("^bu");
    assert_eq!(list.filtered(vec!["build/sha", "abu", "bus"], |text| (*text).to_owned()), ["build/sha", "bus"]);
    assert!(list.clear_filter());
}

proptest! {
    /// Whatever is pressed and whatever comes and goes, something that is there is selected.
    #[test]
    fn the_selection_is_always_a_row(steps in proptest::collection::vec((0usize..12, 0usize..40, any::<char>()), 0..60)) {
        let commands = [Command::Up, Command::Down, Command::Top, Command::End, Command::PageUp, Command::PageDown, Command::HalfUp, Command::HalfDown];
        let mut list = List::default();
        let mut keys: Vec<u32> = Vec::new();
        for (step, count, c) in steps {
            match commands.get(step) {
                Some(command) => drop(list.act(*command, &keys)),
                None if step == 8 => keys = (0..count as u32).collect(),
                None if step == 9 => keys.retain(|key| !(*key as usize).is_multiple_of(count.max(2))),
                None if step == 10 => {
                    list.filter();
                    list.typed(&Input::Key(crate::input::Press::of(Key::char(c))));
                    list.leave_filter();
                }
                None => drop(drawn(&list, &keys, count as u16)),
            }
            prop_assert_eq!(list.selected(&keys).is_some(), !keys.is_empty());
        }
    }
}
