//! Whatever is typed, pasted, heard and resized: no yes is sent that nobody gave, for what they had before their eyes. The judge of it knows only what is on the
//! screen and what was pressed.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const LINES: usize = 40;

#[derive(Debug, Clone)]
enum Any {
    Person(Do),
    /// The first approval asks for something else, with this number.
    Changed(u8),
    /// It is no longer open.
    Gone,
    /// Another one comes up.
    More(u8),
    /// The oldest request that waits is answered; well or not.
    Answered(bool),
}

fn step() -> impl Strategy<Value = Any> {
    let keys = prop::sample::select(vec![
        "a", "a", "a", "a", "w", "w", "1", "2", "d", "D", "S", "j", "G", "pagedown", "pagedown", "esc", "tab", "s", "v", "o", "e", "i", "r", "enter", "space",
        "y", "x", "!", "!", "]",
    ]);
    prop_oneof![
        8 => keys.clone().prop_map(|key| Any::Person(Do::Key(key))),
        2 => keys.prop_map(|key| Any::Person(Do::Among(key))),
        1 => Just(Any::Person(Do::Paste("a"))),
        8 => prop::sample::select(vec![1, 10, 29, 30, 31, 100, 399, 400, 500]).prop_map(|time| Any::Person(Do::Wait(time))),
        1 => prop::sample::select(vec![(80, 24), (120, 40), (74, 12), (80, 60), (74, 8)]).prop_map(|(columns, rows)| Any::Person(Do::Size(columns, rows))),
        1 => (0u8..3).prop_map(Any::Changed),
        1 => Just(Any::Gone),
        1 => (0u8..3).prop_map(Any::More),
        1 => any::<bool>().prop_map(Any::Answered),
    ]
}

fn asks(id: &str, number: u8) -> Value {
    let mut asks = approval(id, "leo", "");
    asks["sha256"] = json!(format!("{number:02}{}", "ab".repeat(31)));
    let lines = if number == 0 { 3 } else { LINES };
    asks["input"] = json!({ "command": (1..=lines).map(|line| format!("echo {number}x{line}z\n")).collect::<String>() });
    asks["suggestions"] = json!([{ "label": "Bash(a:*)", "rule": {} }, { "label": "Bash(b:*)", "rule": {} }]);
    asks
}

/// What can be known by looking on.
#[derive(Debug, Default)]
struct Judge {
    /// What the status line says that answers are bound to, and since when.
    bound: Option<(String, u64)>,
    seen: BTreeSet<String>,
    /// Lone keys since then, with what was bound.
    pressed: Vec<&'static str>,
    /// The last input: its key when it came alone, and when it came.
    last: (Option<&'static str>, u64),
    /// Nothing of it can be seen.
    hidden: bool,
    /// What was bound for long enough when it came.
    meant: Option<String>,
}

impl Judge {
    fn look(&mut self, text: &str, now: u64) {
        self.hidden = text.contains(" too small");
        if self.hidden {
            return;
        }
        let bound = text.lines().find_map(|line| line.split_once("bound to ")).map(|(_, rest)| rest.split(" | ").next().unwrap_or_default().to_owned());
        if bound.as_deref() != self.bound.as_ref().map(|(bound, _)| bound.as_str()) {
            self.bound = bound.map(|bound| (bound, now));
            self.seen.clear();
            self.pressed.clear();
        }
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.contains('x') && word.ends_with('z'));
        self.seen.extend(words.map(str::to_owned));
    }

    fn press(&mut self, key: Option<&'static str>, now: u64) {
        self.last = (key, now);
        self.meant = self.bound.as_ref().filter(|(_, since)| !self.hidden && now >= since + 400).map(|(bound, _)| bound.clone());
        self.pressed.extend(key);
    }

    fn judge(&self, sent: &Value, now: u64) -> Result<(), TestCaseError> {
        let decision = sent["decision"].as_str().unwrap();
        if !matches!(decision, "allow" | "always") {
            return Ok(());
        }
        let (key, at) = self.last;
        // Sending the same again is the yes that was given before.
        let key = key.unwrap_or("none, or not alone");
        let again = key == "r";
        prop_assert!(again || key == if decision == "allow" { "a" } else { "w" }, "{decision} by {key}");
        prop_assert!(now >= at + 30, "not alone for long enough");
        let bound = self.meant.clone().unwrap_or_default();
        let (id, hash) = (sent["id"].as_str().unwrap(), sent["sha256"].as_str().unwrap());
        prop_assert!(
            bound.contains(&format!("-{} ", &id[..4])) && bound.ends_with(&format!("{}..{}", &hash[..4], &hash[62..])),
            "{bound:?} is not {id} {hash}"
        );
        let number = hash[..2].parse::<u8>().unwrap();
        let lines = if number == 0 { 3 } else { LINES };
        let all = (1..=lines).all(|line| self.seen.contains(&format!("{number}x{line}z")));
        let presses = |key: &str| self.pressed.iter().filter(|pressed| **pressed == key).count();
        prop_assert!(again || all || presses(if decision == "allow" { "a" } else { "w" }) >= 2, "unread");
        if decision == "always" && !again {
            let chosen = sent["suggestion"].as_u64().unwrap() + 1;
            prop_assert!(presses("w") >= 2 && presses(&chosen.to_string()) >= 1, "no rule was chosen");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]
    #[test]
    fn no_yes_that_nobody_gave(steps in prop::collection::vec(step(), 1..60)) {
        let mut snapshot = typical();
        snapshot["approvals"] = json!([asks(FIRST, 0), asks(SECOND, 0)]);
        snapshot["fleet"] = json!([]);
        let mut desk = Desk::new(snapshot);
        let mut judge = Judge::default();
        let mut gave = BTreeSet::new();
        for step in [Any::Person(Do::Key("!"))].into_iter().chain(steps) {
            match &step {
                Any::Person(step) => {
                    let now = desk.harness.now.since;
                    match step {
                        Do::Key(key) => judge.press(Some(key), now),
                        Do::Among(_) | Do::Paste(_) => judge.press(None, now),
                        Do::Wait(_) | Do::Size(..) => {}
                    }
                    desk.step(step);
                }
                Any::Changed(number) => desk.fleet(json!({ "type": "approval-changed", "approval": asks(FIRST, *number) })),
                Any::Gone => desk.fleet(json!({ "type": "approval-removed", "id": FIRST })),
                Any::More(number) => desk.fleet(json!({ "type": "approval-changed", "approval": asks(SECOND, *number) })),
                Any::Answered(well) => {
                    let asked = desk.harness.effects.iter().rev().find_map(|effect| match effect {
                        Effect::Call { request: Request::DecideApproval(request), .. } => Some(("DecideApproval", request.id.clone())),
                        Effect::Call { request: Request::GetApproval(request), .. } => Some(("GetApproval", request.id.clone())),
                        _ => None,
                    });
                    if let Some((name, id)) = asked {
                        let now = Box::new(serde_json::from_value(asks(id.as_str(), 1)).unwrap());
                        let closed = decided(asks(id.as_str(), 1), "allowed", "admin");
                        desk.answer(name, match (well, name) {
                            (true, "GetApproval") => Ok(Answer::GetApproval(now)),
                            (true, _) => Ok(Answer::DecideApproval(closed)),
                            (false, _) => Err(failure(Some(409), Some(6010), "changed")),
                        });
                    }
                }
            }
            let now = desk.harness.now.since;
            for sent in std::mem::take(&mut desk.sent) {
                let yes = (sent["id"].to_string(), sent["sha256"].to_string(), sent["decision"].to_string());
                if judge.last.0 == Some("r") {
                    prop_assert!(gave.contains(&yes), "nothing to send again");
                }
                judge.judge(&sent, now)?;
                gave.insert(yes);
            }
            let text = desk.text();
            judge.look(&text, desk.harness.now.since);
        }
    }
}

/// The judge lets an honest yes pass: the property does not hold just because nothing is ever sent.
#[test]
fn an_honest_yes_is_sent() {
    let mut desk = Desk::only(asks(FIRST, 1)).open();
    let mut judge = Judge::default();
    for _ in 0..30 {
        desk.run(&[Do::Key("j")]);
        judge.look(&desk.text(), desk.harness.now.since);
    }
    for _ in 0..40 {
        desk.run(&[Do::Key("j")]);
        judge.look(&desk.text(), desk.harness.now.since);
    }
    desk.run(&[Do::Wait(400)]);
    judge.press(Some("a"), desk.harness.now.since);
    desk.run(&[Do::Key("a"), Do::Wait(30)]);
    assert_eq!(desk.sent.len(), 1, "{}", desk.text());
    judge.judge(&desk.sent[0], desk.harness.now.since).unwrap();
}
