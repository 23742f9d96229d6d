//! Fleets for pictures and for tests with any keys: none, hostile and crowded ones, and random news.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Harness, NOON, approval, entry, peer, task, typical};
use crate::{
    event::{Answered, Event, Failure, NoDaemon},
    input::{Input, Mouse, MouseKind, Press},
    keymap::Keymap,
    request::Place,
};

/// A snapshot with nothing in it.
pub(crate) fn nothing() -> Value {
    json!({
        "type": "snapshot", "nodeId": "leo-id", "peers": [], "jobs": [], "transfers": [], "context": [], "tasks": [], "approvals": [], "terminals": [], "fleet": [],
    })
}

/// Names that try to drive the terminal, hide, or take more room than they should.
pub(crate) const HOSTILE: [&str; 8] = [
    "esc\u{1b}[2J\u{1b}]0;gone\u{7}",
    "bidi\u{202e}txt.exe",
    "warn⚠️❤️flag🇩🇪",
    "機械学習サーバー東京",
    "zero\u{200b}width\u{feff}",
    "tab\tnew\nline\rback",
    "a-name-that-is-much-longer-than-any-column-of-any-table-that-anybody-would-ever-want-to-draw",
    "👩‍👩‍👧‍👦family",
];

/// Hundreds of everything, the hostile first.
pub(crate) fn crowded() -> Value {
    let mut snapshot = typical();
    let states = ["online", "offline", "unknown"];
    let name = |index: usize| HOSTILE.get(index).map_or_else(|| format!("node-{index:04}"), |name| (*name).to_owned());
    let mut peers: Vec<Value> = (0..300)
        .map(|index| {
            let mut fields = peer(&format!("n{index}"), states[index % 3]);
            fields["hostname"] = json!(name(index));
            fields["address"] = json!(if index == 1 { "fe80::1ff:fe23:4567:890a".to_owned() } else { format!("10.0.{}.{}", index / 250, index % 250) });
            fields["lastError"] = json!((index % 3 == 1).then(|| format!("`{}` does not answer: connection refused \u{1b}[31m(os error 111).", name(index))));
            fields["offlineSince"] = json!((index % 3 == 1).then_some(NOON - 3_600_000));
            fields["failureCount"] = json!(if index % 3 == 1 { 7 } else { 0 });
            fields
        })
        .collect();
    let mut seen = peer("kai", "unknown");
    (seen["candidate"], seen["trusted"], seen["paired"], seen["scopes"]) = (json!(true), json!(false), json!(false), json!([]));
    peers.push(seen);
    snapshot["peers"] = json!(peers);
    snapshot["context"] = json!(
        (0..500)
            .map(|index| entry(
                &HOSTILE.get(index).map_or_else(|| format!("key/{index:04}"), |key| (*key).to_owned()),
                &format!("{}\u{1b}[31mvalue {index}", name(index))
            ))
            .collect::<Vec<_>>()
    );
    snapshot["approvals"] = json!(
        (0..50)
            .map(|index| {
                let mut asks = approval(&format!("{index:08}-0000-4000-8000-000000000001"), &name(index), &format!("echo {}\nrm -rf /", name(index)));
                asks["tool"] = json!(name(index));
                asks["diff"] = json!("--- a\n+++ b\n@@ -1 +1,2 @@\n-old\n+new\n+more\n");
                asks
            })
            .collect::<Vec<_>>()
    );
    snapshot["tasks"] = json!((0..300).map(|index| task(&format!("{index:08}-0000-4000-8000-00000000000a"), &name(index), "running")).collect::<Vec<_>>());
    snapshot
}

/// The daemon was there and is not.
pub(crate) fn lost() -> Harness {
    let mut harness = Harness::typical();
    harness.event(Event::Fleet(Box::new(loopsy_shared::client::Watched::Lost("connection refused".to_owned()))));
    harness
}

/// One thing that happens, whatever it is.
pub(crate) fn any_step() -> impl Strategy<Value = usize> {
    any::<u16>().prop_map(usize::from)
}

/// Does a random thing: a key of the whole table or any other one, the mouse, news, or an answer that fails.
pub(crate) fn step(harness: &mut Harness, tab: &str, step: usize) {
    let (kind, value) = (step % 16, step / 16);
    let name = HOSTILE[value % HOSTILE.len()];
    match kind {
        0..=7 => {
            let keys: Vec<_> = Keymap::default().all().iter().flat_map(|binding| binding.keys.clone()).collect();
            let key = keys[value % keys.len()];
            // Another tab is none of this one's business, and a quit or a stop is the app's.
            let avoided = ["1", "2", "3", "4", "5", "6", "7", "Q", "ctrl-z", "ctrl-c"];
            if !avoided.contains(&key.to_string().as_str()) {
                harness.event(Event::Input(Input::Key(Press::of(key))));
            }
            if value % 5 == 0 {
                harness.keys(tab);
            }
        }
        8 => harness.event(Event::Input(Input::Paste(name.to_owned()))),
        9 => {
            let kinds = [MouseKind::Down(0), MouseKind::ScrollDown, MouseKind::ScrollUp, MouseKind::Up(0)];
            harness.event(Event::Input(Input::Mouse(Mouse { kind: kinds[value % 4], column: (value % 130) as u16, row: (value % 45) as u16, held: 0 })));
        }
        10 => harness.fleet([typical(), crowded(), nothing()][value % 3].clone()),
        11 => {
            let gone = ["studio-mac-id", "n1-id", "ci-box-id"][value % 3];
            harness.fleet(json!({ "type": "peer-removed", "nodeId": gone }));
        }
        12 => harness.fleet(json!({ "type": "context-changed", "entry": entry(name, name) })),
        13 => harness.event(Event::NoDaemon(NoDaemon::NotRunning("nobody listens".to_owned()))),
        14 => fail(harness, value),
        _ => {
            harness.screen((value % 131) as u16, (value % 47) as u16);
        }
    }
}

/// Closes what is open, until nothing is; then a crowd comes. What is drawn comes back, at several sizes.
pub(crate) fn settle(harness: &mut Harness, tab: &str) -> String {
    harness.keys("esc esc esc esc esc esc esc esc esc esc esc esc");
    harness.keys(tab);
    harness.fleet(crowded());
    for (columns, rows) in [(120, 40), (40, 12), (3, 3)] {
        harness.screen(columns, rows);
    }
    harness.text(80, 24)
}

/// Some request that waits fails.
fn fail(harness: &mut Harness, value: usize) {
    let failure = Failure { message: "It did not work.".to_owned(), code: Some(5004), status: Some([409, 412, 500][value % 3]) };
    let calls: Vec<_> = std::mem::take(&mut harness.effects)
        .into_iter()
        .filter_map(|effect| match effect {
            crate::effect::Effect::Call { place, at, request } => Some((place, at, request)),
            _ => None,
        })
        .collect();
    for (place, at, request) in calls {
        if place != Place::App {
            harness.event(Event::Answer(Box::new(Answered { place, at, request, result: Err(failure.clone()) })));
        }
    }
}
