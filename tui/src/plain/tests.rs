//! Lines in, lines and requests out; and no yes without the word, for what was shown.

use insta::assert_snapshot;
use loopsy_shared::{
    api::approvals::{Approval, Decision},
    client::Watched,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    command::{Command, parse},
    session::{Do, Session, Why},
};
use crate::{
    event::{NoDaemon, Now},
    request::{Answer, Request},
    tabs::TabId,
    testing::{NOON, approval, typical},
    world::World,
};

const NOW: Now = Now { wall: NOON, since: 0 };
const FIRST: &str = "aaaa0000-0000-4000-8000-000000000001";

fn session() -> (Session, Vec<Do>) {
    let mut session = Session::new(World::new("127.0.0.1:19532".to_owned()));
    let out = heard(&mut session, typical());
    (session, out)
}

fn heard(session: &mut Session, event: Value) -> Vec<Do> {
    session.heard(Watched::Event { id: None, event: serde_json::from_value(event).unwrap() }, NOW)
}

fn says(out: &[Do]) -> String {
    out.iter().map(|step| if let Do::Say(text) = step { format!("{text}\n") } else { format!("{step:?}\n") }).collect()
}

fn whole(id: &str) -> Approval {
    serde_json::from_value(approval(id, "leo", "rm -rf target && cargo build -r\t")).unwrap()
}

/// Types a line, and gives the daemon's approval for what is asked.
fn line(session: &mut Session, text: &str, known: &Approval) -> (String, Vec<Request>) {
    let mut todo = session.line(text, NOW);
    let (mut said, mut asked) = (String::new(), Vec::new());
    while !todo.is_empty() {
        match todo.remove(0) {
            Do::Ask(_, Request::GetApproval(_), why) => todo.extend(session.answer(why, Ok(Answer::GetApproval(Box::new(known.clone()))), NOW)),
            Do::Ask(_, request, _) => asked.push(request),
            step => said.push_str(&says(&[step])),
        }
    }
    (said, asked)
}

#[test]
fn lines_are_read() {
    for (text, command) in [
        ("", Command::Empty),
        (" ? ", Command::Help),
        ("3", Command::List(TabId::Context)),
        ("peers", Command::List(TabId::Peers)),
        ("terminals", Command::List(TabId::Terminal)),
        ("approve 2", Command::Approve(2)),
        ("deny 1 not  now", Command::Deny(1, Some("not  now".to_owned()))),
        ("deny 1", Command::Deny(1, None)),
        ("always 2", Command::Always(2, None)),
        ("always 2 3", Command::Always(2, Some(3))),
        ("stop 4", Command::Stop(4)),
        ("answer 1 2 both of them", Command::Answer(1, 2, "both of them".to_owned())),
        ("task mac: fix it", Command::Task("mac: fix it".to_owned())),
        ("tail", Command::Tail(None)),
        ("send 1 go on", Command::Send(1, "go on".to_owned())),
        ("context", Command::List(TabId::Context)),
        ("context list", Command::List(TabId::Context)),
        ("context set a b  c", Command::Set("a".to_owned(), "b  c".to_owned())),
        ("context get a", Command::Get("a".to_owned())),
        ("quit", Command::Quit),
    ] {
        assert_eq!(parse(text), Ok(command), "{text}");
    }
    for text in
        ["approve", "approve 0", "approve one", "approve 1 2", "approve -1", "a 1", "yes", "quit now", "send 1", "task", "context get", "context set a", "8"]
    {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_happens_is_a_line_each() {
    let (mut session, first) = session();
    let mut all = says(&first);
    for text in ["overview", "peers", "context", "tasks", "terminals", "messages", "pairing", "approvals", "?"] {
        all.push_str(&format!("> {text}\n{}", says(&session.line(text, NOW))));
    }
    let mut gone = crate::testing::peer("studio-mac", "offline");
    gone["lastError"] = json!("connect: \u{1b}[2Jtimed out");
    all.push_str(&says(&heard(&mut session, json!({ "type": "peer-changed", "peer": gone }))));
    let mut asks = approval("cccc0000-0000-4000-8000-000000000003", "leo", "ls\u{202e}");
    asks["tool"] = json!("mcp__docs__get\u{1b}[2J");
    all.push_str(&says(&heard(&mut session, json!({ "type": "approval-changed", "approval": asks }))));
    all.push_str(&says(&heard(&mut session, json!({ "type": "approval-removed", "id": FIRST }))));
    all.push_str(&says(&session.line("approvals", NOW)));
    assert_snapshot!(loopsy_shared::text::inert(&all).replace("\\u{a}", "\n"));
}

#[test]
fn a_yes_is_a_word_after_the_whole_card() {
    let (mut session, _) = session();
    let known = whole(FIRST);
    let (said, asked) = line(&mut session, "approve 1", &known);
    assert!(asked.is_empty() && said.ends_with("anything else leaves it.\nForget\n"), "{said}");
    assert_snapshot!(said);
    let (_, asked) = line(&mut session, "approve", &known);
    let [Request::DecideApproval(request)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((request.id.as_str(), request.sha256.as_str()), (FIRST, known.sha256.as_str()));
    // Once is once.
    assert!(line(&mut session, "approve", &known).1.is_empty());
}

#[test]
fn anything_else_leaves_it() {
    for other in ["yes", "y", "", "Approve", "approve 1", "approve it", "deny 1", "cancel"] {
        let (mut session, _) = session();
        line(&mut session, "approve 1", &whole(FIRST));
        assert!(line(&mut session, other, &whole(FIRST)).1.is_empty(), "{other}");
        assert!(line(&mut session, "approve", &whole(FIRST)).1.is_empty(), "{other}");
    }
}

#[test]
fn the_word_is_for_what_was_shown() {
    let changed = Approval { sha256: "c0de".repeat(16), ..whole(FIRST) };
    for event in [json!({ "type": "approval-changed", "approval": changed }), json!({ "type": "approval-removed", "id": FIRST })] {
        let (mut session, _) = session();
        line(&mut session, "approve 1", &whole(FIRST));
        let said = says(&heard(&mut session, event));
        assert!(said.contains("nothing is approved"), "{said}");
        assert!(line(&mut session, "approve", &changed).1.is_empty());
    }
    // Nor is another approval's card this one's.
    let (mut session, _) = session();
    let (said, _) = line(&mut session, "approve 2", &whole(FIRST));
    assert!(said.contains("another approval"), "{said}");
    assert!(line(&mut session, "approve", &whole(FIRST)).1.is_empty());
    // Nor one whose input is not here.
    let (said, _) = line(&mut session, "approve 1", &Approval { input: Value::Null, sha256: String::new(), ..whole(FIRST) });
    assert!(said.contains("cannot be shown"), "{said}");
}

#[test]
fn numbers_stay_with_what_they_were_said_for() {
    let (mut session, _) = session();
    let mut older = approval("cccc0000-0000-4000-8000-000000000003", "leo", "ls");
    older["askedAt"] = json!(NOON - 60_000);
    heard(&mut session, json!({ "type": "approval-changed", "approval": older }));
    heard(&mut session, json!({ "type": "approval-removed", "id": FIRST }));
    let said = says(&session.line("approvals", NOW));
    assert!(said.contains("3. Bash on leo") && said.contains("2. Bash on studio-mac") && !said.contains("1. "), "{said}");
    assert!(says(&session.line("deny 7", NOW)).contains("There is no approval 7"));
}

#[test]
fn machines_are_paired_the_encrypted_way() {
    let (mut session, _) = session();
    let said = says(&session.line("pair", NOW));
    assert!(said.contains("loopsy pair\n") && said.contains("loopsy pair ADDRESS") && !said.contains("connect"), "{said}");
}

#[test]
fn a_rule_is_kept_after_it_was_shown_and_its_word_typed() {
    let (mut session, _) = session();
    let mut known = whole(FIRST);
    let (said, asked) = line(&mut session, "always 1", &known);
    assert!(asked.is_empty() && said.ends_with("anything else leaves it.\nForget\n"), "{said}");
    assert!(said.contains("rm -rf target") && said.contains("\"ruleContent\": \"cargo build:*\""), "the card and the exact rule: {said}");
    // The word of another question is no yes.
    assert!(line(&mut session, "approve", &known).1.is_empty());
    assert!(line(&mut session, "always", &known).1.is_empty());
    line(&mut session, "always 1 1", &known);
    let (_, asked) = line(&mut session, "always", &known);
    let [Request::DecideApproval(request)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((request.decision, request.suggestion, request.sha256.as_str()), (Decision::Always, Some(0), known.sha256.as_str()));
    // Of several one is named.
    known.suggestions.push(known.suggestions[0].clone());
    let (said, _) = line(&mut session, "always 1", &known);
    assert!(said.contains("Which rule is kept?") && line(&mut session, "always", &known).1.is_empty(), "{said}");
    let (said, _) = line(&mut session, "always 1 3", &known);
    assert!(said.contains("Which rule is kept?"), "{said}");
    known.suggestions.clear();
    let (said, _) = line(&mut session, "always 1", &known);
    assert!(said.contains("offers no rule") && line(&mut session, "always", &known).1.is_empty(), "{said}");
}

#[test]
fn a_rule_is_not_kept_for_what_changed_meanwhile() {
    let (mut session, _) = session();
    line(&mut session, "always 1", &whole(FIRST));
    let changed = Approval { sha256: "c0de".repeat(16), ..whole(FIRST) };
    assert!(says(&heard(&mut session, json!({ "type": "approval-changed", "approval": changed }))).contains("nothing is approved"));
    assert!(line(&mut session, "always", &changed).1.is_empty());
}

#[test]
fn a_daemon_that_went_is_said_once_and_so_is_its_return() {
    let (mut session, _) = session();
    let lost = says(&session.heard(Watched::Lost("connection refused".to_owned()), NOW));
    assert!(lost.contains("does not answer: connection refused"), "{lost}");
    assert_eq!(session.missing(NoDaemon::NotRunning("no daemon runs".to_owned()), NOW), []);
    assert!(says(&session.line("tasks", NOW)).contains("fix the flaky test"), "what was seen last is there");
    let back = says(&heard(&mut session, typical()));
    assert!(back.contains("Connected to the daemon"), "{back}");
}

#[test]
fn a_no_needs_no_word() {
    let (mut session, _) = session();
    let (_, asked) = line(&mut session, "deny 1 use cargo clean", &whole(FIRST));
    let [Request::DecideApproval(request)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((request.reason.as_deref(), request.decision), (Some("use cargo clean"), loopsy_shared::api::approvals::Decision::Deny));
    let (_, asked) = line(&mut session, "stop 1", &whole(FIRST));
    assert!(matches!(asked.as_slice(), [Request::DecideApproval(request)] if request.decision == loopsy_shared::api::approvals::Decision::Stop));
}

#[test]
fn questions_are_answered_first() {
    let (mut session, _) = session();
    let mut asks = serde_json::to_value(whole(FIRST)).unwrap();
    asks["kind"] = json!("question");
    asks["questions"] = json!([
        { "id": "db", "question": "Which database?", "options": [{ "label": "Postgres" }, { "label": "SQLite" }] },
        { "id": "os", "question": "Which systems?", "options": [{ "label": "Linux" }, { "label": "macOS" }], "multiple": true },
    ]);
    let asks: Approval = serde_json::from_value(asks).unwrap();
    assert!(line(&mut session, "approve 1", &asks).0.contains("Question 1 has no answer yet"));
    assert!(line(&mut session, "approve", &asks).1.is_empty());
    line(&mut session, "answer 1 1 2", &asks);
    line(&mut session, "answer 1 2 1 2", &asks);
    line(&mut session, "approve 1", &asks);
    let (_, asked) = line(&mut session, "approve", &asks);
    let [Request::DecideApproval(request)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(serde_json::to_value(&request.answers).unwrap(), json!({ "db": ["SQLite"], "os": ["Linux", "macOS"] }));
}

#[test]
fn tasks_go_where_they_are_meant() {
    let (mut session, _) = session();
    let at = |out: Vec<Do>| match out.as_slice() {
        [Do::Ask(at, Request::DispatchTask(request), Why::Done(_))] => (at.as_ref().map(|at| at.as_str().to_owned()), request.prompt.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(at(session.line("task fix: the bug", NOW)), (None, "fix: the bug".to_owned()));
    assert_eq!(at(session.line("task studio-mac: fix the bug", NOW)), (Some("studio-mac-id".to_owned()), "fix the bug".to_owned()));
    session.line("tasks", NOW);
    assert!(says(&session.line("cancel 1", NOW)).contains("Type the word cancel"));
    assert!(matches!(session.line("yes", NOW).as_slice(), [Do::Say(_)]));
    session.line("cancel 1", NOW);
    assert!(matches!(session.line("cancel", NOW).as_slice(), [Do::Ask(_, Request::CancelTask(_), _)]));
}

proptest! {
    /// Of all lines, only the word `approve` right after a card says yes, and for that card.
    #[test]
    fn no_line_says_yes_by_itself(lines in prop::collection::vec(prop::sample::select(vec!["approve", "always", "always 1", "approve 1", "approve 2", "show 1", "y", "", "deny 1", "cancel 1", "approvals", "!changed", "!gone"]), 0..20)) {
        let (mut session, _) = session();
        let known = whole(FIRST);
        let mut shown = None;
        for text in lines {
            match text {
                "!changed" => {
                    heard(&mut session, json!({ "type": "approval-changed", "approval": Approval { sha256: "c0de".repeat(16), ..known.clone() } }));
                    shown = None;
                }
                "!gone" => {
                    heard(&mut session, json!({ "type": "approval-removed", "id": FIRST }));
                    shown = None;
                }
                text => {
                    let (said, asked) = line(&mut session, text, &known);
                    let yes = asked.iter().any(|request| matches!(request, Request::DecideApproval(request) if request.decision.is_yes()));
                    prop_assert!(!yes || shown == Some(text), "{}", text);
                    shown = ["approve", "always"].into_iter().find(|word| said.contains(&format!("Type the word {word}")));
                }
            }
        }
    }
}
