//! Each guard, as what a person does and what is sent then.

use super::{Do::*, *};

fn sent(desk: &mut Desk) -> Vec<String> {
    desk.decisions().into_iter().map(|(id, decision)| format!("{id} {decision}")).collect()
}

#[track_caller]
fn table(approval: &Value, rows: &[(&str, &[Do], &[&str])]) {
    for (name, steps, expected) in rows {
        let mut desk = Desk::only(approval.clone());
        desk.run(&[Key("!")]);
        desk.run(steps);
        assert_eq!(sent(&mut desk), *expected, "{name}\n{}", desk.text());
    }
}

#[test]
fn a_key_counts_only_alone_and_late_enough() {
    table(
        &first(),
        &[
            ("after a while, alone", &[Wait(400), Key("a"), Wait(30)], &["aaaa allow"]),
            ("a no is as guarded", &[Wait(400), Key("d"), Wait(30)], &["aaaa deny"]),
            ("stop", &[Wait(400), Key("S"), Wait(30)], &["aaaa stop"]),
            ("too soon", &[Wait(399), Key("a"), Wait(1000)], &[]),
            ("at once", &[Key("a"), Wait(1000)], &[]),
            ("not alone for long enough yet", &[Wait(400), Key("a"), Wait(29)], &[]),
            ("came with others", &[Wait(400), Among("a"), Wait(1000)], &[]),
            ("another key right after", &[Wait(400), Key("a"), Wait(10), Key("j"), Wait(1000)], &[]),
            ("a key that means nothing right after", &[Wait(400), Key("a"), Wait(29), Key("x"), Wait(1000)], &[]),
            ("a paste right after", &[Wait(400), Key("a"), Wait(1), Paste("x"), Wait(1000)], &[]),
            ("pasted", &[Wait(400), Paste("a"), Wait(1000)], &[]),
            ("typed right after a paste", &[Wait(400), Paste("x"), Wait(100), Key("a"), Wait(1000)], &[]),
            ("typed long after a paste", &[Wait(400), Paste("x"), Wait(400), Key("a"), Wait(30)], &["aaaa allow"]),
            ("after a key that means nothing, as in a late reply", &[Wait(400), Key(";"), Wait(100), Key("a"), Wait(1000)], &[]),
            ("typed ahead again and again", &[Wait(100), Key("a"), Wait(350), Key("a"), Wait(350), Key("a"), Wait(350), Key("a"), Wait(1000)], &[]),
            ("too soon, then meant", &[Wait(100), Key("a"), Wait(400), Key("a"), Wait(30)], &["aaaa allow"]),
            ("keys that never answer", &[Wait(400), Key("enter"), Wait(500), Key("space"), Wait(500), Key("y"), Wait(500), Key("1"), Wait(500)], &[]),
            ("twice is once", &[Wait(400), Key("a"), Wait(30), Key("a"), Wait(500), Key("a"), Wait(500)], &["aaaa allow"]),
            ("nothing can be seen", &[Wait(400), Size(30, 9), Wait(500), Key("a"), Wait(1000)], &[]),
            ("nothing could be seen just now", &[Wait(400), Size(30, 9), Wait(500), Key("a"), Size(80, 24), Wait(100), Key("a"), Wait(1000)], &[]),
            ("nothing can be seen any more", &[Wait(400), Key("a"), Size(30, 9), Wait(1000)], &[]),
            ("closed before", &[Wait(400), Key("a"), Key("esc"), Wait(1000)], &[]),
        ],
    );
}

#[test]
fn what_was_not_seen_takes_two_keys() {
    let read: Vec<Do> = std::iter::repeat_n(Key("pagedown"), 70).collect();
    let seen = [&[Wait(400)], read.as_slice(), &[Key("a"), Wait(30)]].concat();
    let jumped = [Wait(400), Key("G"), Key("a"), Wait(30)];
    let smaller = [&[Wait(400)], &read[..20], &[Size(40, 12), Wait(400), Key("a"), Wait(30)]].concat();
    let resized = [&[Wait(400)], read.as_slice(), &[Size(120, 40), Wait(400), Key("a"), Wait(30)]].concat();
    table(
        &long(),
        &[
            ("read to the end", &seen, &["aaaa allow"]),
            ("read, then another size", &resized, &["aaaa allow"]),
            ("not read", &[Wait(400), Key("a"), Wait(1000)], &[]),
            ("only the end was looked at", &jumped, &[]),
            ("a smaller window shows less", &smaller, &[]),
            ("a larger window has shown only what it showed", &[Wait(400), Size(80, 300), Size(80, 24), Wait(400), Key("a"), Wait(1000)], &[]),
            ("and said so with the other key", &[Wait(400), Key("a"), Wait(30), Wait(400), Key("A"), Wait(30)], &["aaaa allow"]),
            ("the other key alone", &[Wait(400), Key("A"), Wait(1000)], &[]),
            (
                "the same key again, as when it is held down by a slow keyboard",
                &[Wait(400), Key("a"), Wait(500), Key("a"), Wait(500), Key("a"), Wait(1000)],
                &[],
            ),
            ("held down", &[Wait(400), Key("a"), Wait(35), Key("a"), Wait(35), Key("a"), Wait(35), Key("a"), Wait(35), Key("a"), Wait(35)], &[]),
            ("something else in between", &[Wait(400), Key("a"), Wait(500), Key("j"), Wait(500), Key("A"), Wait(1000)], &[]),
            ("the other yes in between", &[Wait(400), Key("a"), Wait(500), Key("w"), Wait(500), Key("A"), Wait(1000)], &[]),
            ("a no needs no reading", &[Wait(400), Key("d"), Wait(30)], &["aaaa deny"]),
        ],
    );
    let mut desk = Desk::only(long()).open();
    desk.run(&[Key("a"), Wait(30)]);
    assert!(desk.text().contains("395 lines were not seen. A allows"), "{}", desk.text());
}

#[test]
fn a_rule_is_shown_chosen_and_confirmed() {
    let rows: &[(&str, &[Do], &[&str])] = &[
        ("shown, chosen, confirmed", &[Wait(400), Key("w"), Wait(500), Key("1"), Wait(500), Key("w"), Wait(30)], &["aaaa always"]),
        ("only shown", &[Wait(400), Key("w"), Wait(500), Key("w"), Wait(500), Key("w"), Wait(1000)], &[]),
        ("only chosen", &[Wait(400), Key("w"), Wait(500), Key("1"), Wait(1000)], &[]),
        ("no such rule", &[Wait(400), Key("w"), Wait(500), Key("7"), Wait(500), Key("w"), Wait(1000)], &[]),
        ("the yes for once is none for always", &[Wait(400), Key("w"), Wait(500), Key("1"), Wait(500), Key("a"), Wait(1000)], &[]),
        ("left", &[Wait(400), Key("w"), Wait(500), Key("1"), Wait(500), Key("esc"), Wait(1000)], &[]),
        ("too fast", &[Wait(400), Key("w"), Wait(40), Key("1"), Wait(40), Key("w"), Wait(1000)], &[]),
    ];
    table(&first(), rows);
    let mut desk = Desk::only(first()).open();
    desk.run(rows[0].1);
    assert_eq!(desk.sent[0]["suggestion"], 0);
    table(&with(json!({ "suggestions": [] })), &[("none is offered", &[Wait(400), Key("w"), Wait(500), Key("1"), Wait(500), Key("w"), Wait(1000)], &[])]);
}

#[test]
fn a_reason_is_typed_and_nothing_in_it_is_a_key() {
    let typed = |keys: &[&'static str], end: &[Do]| {
        [&[Wait(400), Key("D"), Wait(30)], keys.iter().flat_map(|key| [Wait(50), Key(key)]).collect::<Vec<_>>().as_slice(), end].concat()
    };
    let words = ["n", "o", "space", "a", "w", "y"];
    table(
        &first(),
        &[
            ("sent", &typed(&words, &[Wait(500), Key("enter"), Wait(30)]), &["aaaa deny"]),
            ("left", &typed(&words, &[Key("esc"), Wait(1000)]), &[]),
            ("nothing typed", &typed(&[], &[Wait(500), Key("enter"), Wait(1000)]), &[]),
            ("pasted with its end", &typed(&["n"], &[Wait(500), Among("enter"), Wait(1000)]), &[]),
            ("an a right after it was left", &typed(&words, &[Key("esc"), Wait(50), Key("a"), Wait(1000)]), &[]),
        ],
    );
    let mut desk = Desk::only(first()).open();
    desk.run(&typed(&words, &[Wait(500), Key("enter"), Wait(30)])[1..]);
    assert_eq!(desk.sent[0]["reason"], "no awy");
    // While it is typed, the card changes: what was typed is for what was there before.
    let mut desk = Desk::only(first()).open();
    desk.run(&typed(&words, &[])[1..]);
    desk.fleet(json!({ "type": "approval-changed", "approval": with(json!({ "sha256": "c0de".repeat(16), "input": { "command": "ls" } })) }));
    desk.run(&[Wait(50), Key("a"), Wait(500), Key("enter"), Wait(1000)]);
    assert!(desk.decisions().is_empty());
}

#[test]
fn questions_need_all_their_answers() {
    let question = super::pictures::question();
    let all = [Wait(400), Key("G"), Key("g"), Key("pagedown"), Wait(31), Key("2"), Wait(31), Key("1"), Wait(31), Key("2"), Wait(31), Key("1"), Wait(31)];
    let typed = [Key("i"), Key("x"), Key("y"), Key("enter"), Wait(400)];
    table(
        &question,
        &[
            ("none", &[Wait(400), Key("a"), Wait(1000)], &[]),
            ("some", &[Wait(400), Key("G"), Wait(31), Key("1"), Wait(31), Key("1"), Wait(500), Key("a"), Wait(1000)], &[]),
            ("typed is not sent", &[Wait(400), Key("i"), Key("x"), Key("enter"), Wait(1000)], &[]),
            ("no", &[Wait(400), Key("d"), Wait(30)], &["aaaa deny"]),
        ],
    );
    // Digits of a terminal's late reply choose nothing.
    let mut desk = Desk::only(question.clone()).open();
    desk.run(&[Key("]"), Among("1"), Among("1"), Wait(500), Key("1"), Wait(5), Key(";"), Wait(500)]);
    assert!(!desk.text().contains("[x]"), "{}", desk.text());
    let mut desk = Desk::only(question);
    desk.run(&[Key("!")]);
    desk.run(&all);
    // The second takes several: the third is asked when the person goes on to it by sending.
    desk.run(&[Wait(500), Key("a"), Wait(500)]);
    assert!(desk.text().contains("Question 3 has no answer yet"), "{}", desk.text());
    desk.run(&typed);
    desk.run(&[Wait(500), Key("a"), Wait(500)]);
    assert_eq!(desk.sent[0]["answers"], json!({ "db": ["SQLite"], "os": ["macOS"], "why": ["xy"] }));
}

#[test]
fn nothing_new_takes_the_place_of_what_is_looked_at() {
    let mut desk = Desk::only(first()).open();
    let mut older = approval("cccc0000-0000-4000-8000-000000000003", "leo", "git push");
    older["askedAt"] = json!(NOON - 60_000);
    desk.fleet(json!({ "type": "approval-changed", "approval": older }));
    assert!(desk.text().contains("1 of 2") && desk.text().contains("rm -rf target"), "{}", desk.text());
    desk.run(&[Key("a"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["aaaa allow"]);
    desk.answer("DecideApproval", Ok(Answer::DecideApproval(decided(first(), "allowed", "admin"))));
    // The next comes only when it is asked for, and a key that was meant for the first does nothing to it.
    desk.run(&[Wait(500), Key("a"), Wait(500), Key("d"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("Allowed by the owner"), "{}", desk.text());
    desk.run(&[Key("tab"), Key("a"), Wait(30), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("git push"), "{}", desk.text());
    desk.run(&[Key("d"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["cccc deny"]);
}

#[test]
fn what_was_answered_elsewhere_stays_and_takes_no_key() {
    for (state, by, says) in [
        ("allowed", "phone", "Allowed by phone at 14:00:10"),
        ("denied", "admin", "Denied by the owner"),
        ("withdrawn", "daemon", "Withdrawn"),
        ("expired", "daemon", "Expired"),
    ] {
        let mut desk = Desk::only(first()).open();
        desk.run(&[Key("a")]);
        let gone = decided(first(), state, by);
        desk.fleet(json!({ "type": "approval-changed", "approval": *gone }));
        assert!(desk.text().contains("No longer asked"), "{}", desk.text());
        desk.run(&[Wait(30), Wait(500), Key("a"), Wait(500), Key("d"), Wait(500), Key("r"), Wait(500)]);
        desk.answer("GetApproval", Ok(Answer::GetApproval(gone)));
        desk.run(&[Wait(500), Key("a"), Wait(500), Key("w"), Wait(500), Key("D"), Wait(500), Key("e"), Wait(500)]);
        assert!(desk.decisions().is_empty() && desk.text().contains(says) && desk.text().contains("rm -rf target"), "{}", desk.text());
        desk.run(&[Key("esc")]);
        assert!(!desk.text().contains("REVIEW"));
    }
}

#[test]
fn what_changed_is_read_again_before_a_key_counts() {
    let changed = || with(json!({ "sha256": "c0de".repeat(16), "input": { "command": (1..60).map(|line| format!("echo {line}\n")).collect::<String>() } }));
    let mut desk = Desk::only(first()).open();
    desk.run(&[Key("a"), Wait(10)]);
    desk.fleet(json!({ "type": "approval-changed", "approval": changed() }));
    desk.run(&[Wait(100), Key("a"), Wait(1000)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("echo 1"), "{}", desk.text());
    desk.run(&[Wait(400), Key("a"), Wait(30)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("not seen"), "{}", desk.text());
    desk.run(&[Wait(400), Key("A"), Wait(30)]);
    assert_eq!(desk.sent[0]["sha256"], "c0de".repeat(16));
    // Only that it is parked now changes nothing that was read.
    let mut desk = Desk::only(first()).open();
    desk.fleet(json!({ "type": "approval-changed", "approval": with(json!({ "state": "parked" })) }));
    desk.run(&[Key("a"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["aaaa allow"]);
    // A rule in the place of another one is another card.
    let mut desk = Desk::only(first()).open();
    desk.fleet(json!({ "type": "approval-changed", "approval": with(json!({ "suggestions": [{ "label": "Bash(*)", "rule": {} }] })) }));
    desk.run(&[Key("a"), Wait(30)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("Too soon"), "{}", desk.text());
}

#[test]
fn what_is_too_large_for_the_stream_is_read_first() {
    let large = with(json!({ "input": null, "sha256": "" }));
    let mut desk = Desk::only(large).open();
    desk.run(&[Key("a"), Wait(500), Key("d"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("Reading the whole of it") && desk.text().contains("loading"), "{}", desk.text());
    let whole = || Box::new(serde_json::from_value::<Approval>(first()).unwrap());
    desk.answer("GetApproval", Ok(Answer::GetApproval(whole())));
    desk.run(&[Key("a"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("rm -rf"), "{}", desk.text());
    desk.run(&[Wait(500), Key("a"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["aaaa allow"]);
    let mut desk = Desk::only(with(json!({ "input": null, "sha256": "" }))).open();
    desk.answer("GetApproval", Err(failure(None, None, "The node does not answer.")));
    desk.run(&[Wait(500), Key("a"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("r tries again"), "{}", desk.text());
    desk.run(&[Key("r"), Wait(30)]);
    desk.answer("GetApproval", Ok(Answer::GetApproval(whole())));
    assert!(desk.text().contains("rm -rf"), "{}", desk.text());
    // Another approval's answer is no answer.
    let mut desk = Desk::only(with(json!({ "input": null, "sha256": "" }))).open();
    desk.answer("GetApproval", Ok(Answer::GetApproval(Box::new(serde_json::from_value(approval(FIRST, "studio-mac", "ls")).unwrap()))));
    assert!(desk.text().contains("loading"), "{}", desk.text());
}

#[test]
fn an_answer_is_confirmed_or_sent_again() {
    let mut desk = Desk::only(first()).open();
    desk.run(&[Key("a"), Wait(30), Wait(2999)]);
    assert!(desk.text().contains("Sent, and not confirmed yet"), "{}", desk.text());
    desk.run(&[Wait(1)]);
    assert!(desk.text().contains("sends the same answer again"), "{}", desk.text());
    desk.run(&[Key("a"), Wait(500), Key("d"), Wait(500), Key("r"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["aaaa allow", "aaaa allow"]);
    // The stream confirms it too, and the daemon says how it was answered.
    let done = decided(first(), "allowed", "admin");
    desk.fleet(json!({ "type": "approval-changed", "approval": *done }));
    desk.answer("GetApproval", Ok(Answer::GetApproval(done)));
    assert!(desk.text().contains("any key closes"), "{}", desk.text());
    desk.run(&[Key("x")]);
    assert!(!desk.text().contains("REVIEW"));
    // No connection: the same again, and no other answer in between.
    let mut desk = Desk::only(first()).open();
    desk.run(&[Key("a"), Wait(30)]);
    desk.answer("DecideApproval", Err(failure(None, None, "The node does not answer.")));
    desk.run(&[Wait(500), Key("d"), Wait(500), Key("r"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["aaaa allow", "aaaa allow"]);
    // Refused for another reason: it says why and can be answered later.
    let mut desk = Desk::only(first()).open();
    desk.run(&[Key("a"), Wait(30)]);
    desk.answer("DecideApproval", Err(failure(Some(403), Some(1003), "The key lacks the scope `approve`.")));
    desk.run(&[Key("a"), Wait(100)]);
    assert!(sent(&mut desk).len() == 1 && desk.text().contains("Too soon"), "{}", desk.text());
}

#[test]
fn a_conflict_is_said_and_what_is_there_now_is_shown() {
    let mut desk = Desk::only(first()).open();
    desk.run(&[Key("a"), Wait(30)]);
    desk.answer("DecideApproval", Err(failure(Some(409), Some(6010), "What is asked has changed.")));
    desk.run(&[Wait(500), Key("a"), Wait(500)]);
    assert!(sent(&mut desk).len() == 1 && desk.text().contains("What is asked has changed."), "{}", desk.text());
    let changed = with(json!({ "sha256": "c0de".repeat(16), "input": { "command": "ls" } }));
    desk.answer("GetApproval", Ok(Answer::GetApproval(Box::new(serde_json::from_value(changed).unwrap()))));
    assert!(desk.text().contains("| ls") && desk.text().contains("changed"), "{}", desk.text());
    desk.run(&[Wait(500), Key("a"), Wait(30)]);
    assert_eq!(desk.sent.len(), 1);
    desk.answer("DecideApproval", Err(failure(Some(409), Some(6009), "Somebody has answered it.")));
    desk.answer("GetApproval", Ok(Answer::GetApproval(decided(first(), "denied", "phone"))));
    assert!(desk.text().contains("Denied by phone"), "{}", desk.text());
}

#[test]
fn a_changed_input_is_shown_before_it_is_sent() {
    let mut desk = Desk::only(first()).open();
    desk.run(&[Key("e"), Wait(30)]);
    assert!(matches!(desk.harness.effects.last(), Some(Effect::Edit(text, Purpose::Input)) if text.contains("rm -rf target")));
    desk.event(Event::Did(Done::Text(Purpose::Input, Ok(Some("{".to_owned())))));
    assert!(desk.text().contains("not JSON"), "{}", desk.text());
    desk.run(&[Wait(500), Key("e"), Wait(30)]);
    let long: String = (1..60).map(|line| format!("echo {line}\\n")).collect();
    desk.event(Event::Did(Done::Text(Purpose::Input, Ok(Some(format!("{{\"command\": \"{long}\"}}"))))));
    desk.run(&[Key("a"), Wait(100)]);
    assert!(desk.decisions().is_empty());
    desk.run(&[Wait(500), Key("a"), Wait(30)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("not seen"), "{}", desk.text());
    desk.run(&[Wait(500), Key("w"), Wait(500), Key("1"), Wait(500), Key("w"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("cannot be kept"), "{}", desk.text());
    desk.run(&[Wait(500), Key("a"), Wait(500), Key("A"), Wait(30)]);
    assert!(desk.sent[0]["input"]["command"].as_str().unwrap().contains("echo 59") && desk.sent[0]["sha256"] == "b61e".repeat(16));
    // Nobody asked for an edit: a text is for nothing.
    let mut desk = Desk::only(first()).open();
    desk.event(Event::Did(Done::Text(Purpose::Input, Ok(Some("{\"command\": \"evil\"}".to_owned())))));
    assert!(desk.text().contains("rm -rf") && !desk.text().contains("evil"));
    let mut desk = Desk::only(with(json!({ "mayEdit": false }))).open();
    desk.run(&[Key("e"), Wait(30)]);
    assert!(!desk.harness.effects.iter().any(|effect| matches!(effect, Effect::Edit(..))));
}

#[test]
fn without_a_daemon_nothing_is_answered() {
    let mut desk = Desk::only(first()).open();
    desk.event(Event::Fleet(Box::new(loopsy_shared::client::Watched::Lost("gone".to_owned()))));
    desk.run(&[Wait(500), Key("a"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("nothing can be answered now"), "{}", desk.text());
}

#[test]
fn the_next_one_and_later_go_round() {
    let mut desk = Desk::new(typical()).open();
    assert!(desk.text().contains("next  2  Bash  studio-mac"), "{}", desk.text());
    desk.run(&[Key("s")]);
    assert!(desk.text().contains("git push origin main") && desk.text().contains("1 of 2") && desk.text().contains("PEER 192.168.1.50"), "{}", desk.text());
    desk.run(&[Key("tab")]);
    assert!(desk.text().contains("rm -rf target") && desk.text().contains("2 of 2"), "{}", desk.text());
    // Right after the next one came up, no key is for it yet; nor is one that was on its way.
    desk.run(&[Wait(500), Key("tab"), Wait(35), Key("a"), Wait(500), Key("tab"), Wait(35), Key("d"), Wait(500)]);
    assert!(desk.decisions().is_empty(), "{}", desk.text());
    // A key that was on its way when the next one came up is for neither.
    desk.run(&[Wait(500), Key("a"), Wait(5), Key("tab"), Wait(35), Key("a"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("git push"), "{}", desk.text());
    desk.run(&[Key("d"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["bbbb deny"]);
    // It is not confirmed yet: somewhere else and back, it is still the answer that was given.
    desk.run(&[Key("tab"), Key("tab"), Wait(500), Key("a"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("r sends the same"), "{}", desk.text());
    assert!(SECOND.starts_with("bbbb"));
}

/// What Loopsy says over a card is one line on the card's edge: it hides nothing that is decided about.
#[test]
fn what_loopsy_says_hides_no_line_of_the_card() {
    let allowed = |lines: usize, toast: bool| {
        let mut desk = Desk::only(with(json!({ "suggestions": [], "input": { "command": "x\n".repeat(lines) } })));
        desk.size = (40, 30);
        if toast {
            desk.event(Event::Did(Done::Copied(Err("why ".repeat(40)))));
        }
        desk = desk.open();
        desk.run(&[Key("a"), Wait(30)]);
        !desk.decisions().is_empty()
    };
    let most = (1..30).take_while(|lines| allowed(*lines, false)).last().unwrap();
    assert!(!allowed(most + 1, false) && allowed(most, true) && !allowed(most + 1, true));
}

/// A slow terminal: what was drawn stands there only when its bytes were written.
#[test]
fn a_key_counts_from_when_the_terminal_shows_it() {
    let mut desk = Desk::only(first());
    desk.slow = true;
    desk.run(&[Key("!"), Wait(5000), Key("a"), Wait(1000)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("Too soon"), "{}", desk.text());
    desk.run(&[Wait(1000)]);
    desk.arrives();
    desk.run(&[Wait(399), Key("a"), Wait(31)]);
    assert!(desk.decisions().is_empty(), "{}", desk.text());
    desk.run(&[Wait(400), Key("a"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["aaaa allow"]);
    // A frame with the card as it was arrives when it has changed already: the new one was not there yet.
    let mut desk = Desk::only(first());
    desk.run(&[Key("!")]);
    desk.slow = true;
    let changed = with(json!({ "sha256": "c0de".repeat(16), "input": { "command": "ls" } }));
    desk.harness.fleet(json!({ "type": "approval-changed", "approval": changed }));
    desk.arrives();
    desk.run(&[Wait(500), Key("a"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("Too soon"), "{}", desk.text());
    // An editor had the terminal.
    let mut desk = Desk::only(first()).open();
    let now = desk.harness.now;
    desk.harness.app.painted(false, now);
    desk.run(&[Key("a"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("Too soon"), "{}", desk.text());
}

fn away(away: bool) -> Value {
    let mut picture = typical()["fleet"][0].clone();
    picture["stale"] = json!(away);
    picture["since"] = json!(NOON + 120_000);
    json!({ "type": "peer-picture", "picture": picture })
}

#[test]
fn what_a_machine_asks_that_is_away_cannot_be_answered() {
    let mut desk = Desk::new(typical());
    let mut older = approval("cccc0000-0000-4000-8000-000000000003", "studio-mac", "git push");
    older["askedAt"] = json!(NOON - 60_000);
    let mut picture = away(true);
    picture["picture"]["approvals"] = json!([older]);
    desk.fleet(picture);
    assert!(desk.text().contains("[!1]") && desk.text().contains("Needs you (1, 1 away)"), "{}", desk.text());
    // What can be answered comes first.
    desk.run(&[Key("!"), Wait(400)]);
    assert!(desk.text().contains("rm -rf target") && desk.text().contains("out of reach"), "{}", desk.text());
    desk.run(&[Key("tab"), Wait(500)]);
    let text = desk.text();
    assert!(text.contains("leo cannot reach studio-mac since 14:02: an answer would not arrive") && text.contains("studio-mac away since 14:02"), "{text}");
    desk.run(&[Key("a"), Wait(500), Key("d"), Wait(500)]);
    assert!(desk.decisions().is_empty() && !desk.text().contains("keys armed"), "{}", desk.text());
    assert!(desk.text().contains("was answered.") && !desk.text().contains("d deny"), "{}", desk.text());
    // It goes away under the key, and comes back.
    let mut desk = Desk::new(typical()).open();
    desk.run(&[Key("tab"), Wait(500), Key("a"), Wait(10)]);
    desk.fleet(away(true));
    desk.run(&[Wait(500), Key("d"), Wait(500)]);
    assert!(desk.decisions().is_empty() && desk.text().contains("would not arrive"), "{}", desk.text());
    desk.fleet(away(false));
    assert!(!desk.text().contains("would not arrive") && !desk.text().contains("keys armed"), "{}", desk.text());
    desk.run(&[Wait(400), Key("d"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["bbbb deny"]);
}

#[test]
fn an_answer_is_remembered_when_the_review_is_closed() {
    let reopened = || {
        let mut desk = Desk::only(first()).open();
        desk.run(&[Key("a"), Wait(30), Key("esc"), Wait(3000), Key("!"), Wait(500), Key("a"), Wait(500), Key("d"), Wait(500)]);
        let text = desk.text();
        assert!(text.contains("you answered it with yes at 14:00:00") && text.contains("r sends the same"), "{text}");
        assert_eq!(sent(&mut desk), ["aaaa allow"], "it was answered, and nothing else counts");
        desk
    };
    let mut desk = reopened();
    desk.run(&[Key("r"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["aaaa allow"]);
    // What came of the first answer is told where the person looks.
    let mut desk = reopened();
    desk.answer("DecideApproval", Ok(Answer::DecideApproval(decided(first(), "allowed", "admin"))));
    assert!(desk.text().contains("Allowed by the owner"), "{}", desk.text());
    // Nobody looks: it is told what it was an answer to, and it can be answered again.
    let mut desk = Desk::only(first()).open();
    desk.run(&[Key("a"), Wait(30), Key("esc"), Wait(500)]);
    desk.answer("DecideApproval", Err(failure(Some(403), Some(1003), "The key lacks the scope `approve`.")));
    let said = desk.harness.text(120, 40).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("Your yes for `Bash` on `leo` (aaaa) did not count: The key lacks"), "{said}");
    desk.run(&[Key("!"), Wait(400), Key("d"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["aaaa allow", "aaaa deny"]);
    // Another question with the same id is another one.
    let mut desk = Desk::only(first()).open();
    desk.run(&[Key("a"), Wait(30), Key("esc")]);
    desk.fleet(json!({ "type": "approval-changed", "approval": with(json!({ "sha256": "c0de".repeat(16) })) }));
    desk.run(&[Key("!"), Wait(400)]);
    assert!(desk.text().contains("keys armed"), "{}", desk.text());
}

#[test]
fn the_keys_below_are_those_that_do_something() {
    let mut desk = Desk::only(first()).open();
    assert!(desk.text().contains("approve") && desk.text().contains("deny"), "{}", desk.text());
    desk.run(&[Key("a"), Wait(30)]);
    desk.answer("DecideApproval", Ok(Answer::DecideApproval(decided(first(), "allowed", "admin"))));
    let last = desk.text().lines().nth(23).unwrap_or_default().to_owned();
    assert!(last.contains("close") && !last.contains("approve") && !last.contains("deny"), "{last}");
    // Too small to see it: that is said, with the way out.
    let mut desk = Desk::only(first()).open();
    desk.run(&[Size(39, 12)]);
    assert!(desk.text().contains("too small") && desk.text().contains("Esc closes"), "{}", desk.text());
    desk.run(&[Size(40, 12), Wait(400), Key("d"), Wait(30)]);
    assert_eq!(sent(&mut desk), ["aaaa deny"], "{}", desk.text());
}
