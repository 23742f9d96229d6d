//! Cards, keys, rules and lists as people meet them.

use insta::assert_snapshot;
use jiff::tz::TimeZone;
use loopsy_shared::{
    api::approvals::{Approval, ApprovalKind, ApprovalState, DecideApproval, Decided, Decision, Verdict},
    config::{Rule, RuleVerdict},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    answered,
    card::{self, Look},
    desk::said,
    line, offered, open, plain,
    review::{Line, Review, Step},
    rules, sample, table,
};
use crate::error::explain;

/// 2026-11-21 12:00 UTC.
const NOON: u64 = 1_795_262_400_000;

fn look() -> Look {
    Look { width: 80, now: NOON, zone: TimeZone::UTC }
}

fn shell() -> Approval {
    serde_json::from_value(sample()).unwrap()
}

fn with(change: Value) -> Approval {
    let mut whole = sample();
    for (name, value) in change.as_object().unwrap() {
        whole[name] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

fn edit() -> Approval {
    with(json!({
        "tool": "Edit", "mayEdit": false, "flags": ["1 bidirectional control character"], "suggestions": [], "description": null, "reason": null,
        "input": { "file_path": "src/lib.rs", "old_string": "3", "new_string": "4\n\u{202e}5", "replace_all": false },
        "paths": [{ "path": "src/lib.rs", "resolved": "/home/leo/other/lib.rs", "exists": true, "inside": false }],
        "diff": "--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -40 +40,2 @@\n-3\n+4\n+\u{202e}5\n",
    }))
}

fn question() -> Approval {
    with(json!({
        "kind": "question", "tool": "AskUserQuestion", "flags": [], "paths": [], "suggestions": [], "input": { "questions": 2 },
        "questions": [
            { "id": "db", "header": "Database", "question": "Which database?", "options": [{ "label": "Postgres", "description": "as in production" }, { "label": "SQLite" }] },
            { "id": "os", "question": "Which systems?", "options": [{ "label": "Linux" }, { "label": "macOS" }], "multiple": true },
        ],
    }))
}

fn plan() -> Approval {
    with(
        json!({ "kind": "plan", "tool": "ExitPlanMode", "flags": [], "paths": [], "suggestions": [], "input": { "plan": "# Plan\n1. Look\n2. Mend" }, "reason": null }),
    )
}

fn hostile() -> Approval {
    let evil = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\r\u{9b}31mok\u{200b}\u{a0}\u{e0041}\u{2800}";
    with(json!({
        "tool": format!("Bash{evil}"), "agent": format!("claude{evil}"), "node": format!("leo{evil}"), "cwd": evil, "description": evil, "reason": evil, "flags": [evil],
        "rule": evil, "input": { "command": format!("ls\ncwd       /home/leo\n{evil}"), evil: { evil: evil } },
        "paths": [{ "path": evil, "resolved": evil, "exists": false, "inside": true }], "diff": format!("+{evil}\n-{evil}"),
        "suggestions": [{ "label": evil, "rule": { evil: evil } }], "defaultToNo": true,
    }))
}

fn drawn(approval: &Approval) -> String {
    anstream::adapter::strip_str(&card::lines(approval, &look()).join("\n")).to_string()
}

#[test]
fn cards_show_everything() {
    assert_snapshot!("card_shell", drawn(&shell()));
    assert_snapshot!("card_edit", drawn(&edit()));
    assert_snapshot!("card_question", drawn(&question()));
    assert_snapshot!("card_plan", drawn(&plan()));
    assert_snapshot!("card_hostile", drawn(&hostile()));
    let decided = Decided {
        decision: Decision::Allow,
        by: "kai".to_owned(),
        at: NOON,
        reason: None,
        input: Some(json!({ "command": "cargo clean" })),
        suggestion: None,
        answers: [("db".to_owned(), vec!["Postgres".to_owned()])].into(),
        delivered: false,
    };
    assert_snapshot!("card_answered", drawn(&Approval { state: ApprovalState::Allowed, decision: Some(decided), ..shell() }));
}

#[test]
fn no_line_is_wider_than_the_screen_and_none_drives_it() {
    for (approval, width) in [(hostile(), 80), (hostile(), 31), (edit(), 1), (shell(), 1000)] {
        let look = Look { width, ..look() };
        for line in card::lines(&approval, &look) {
            let line = anstream::adapter::strip_str(&line).to_string();
            assert!(line.chars().count() <= width.max(36), "{line}");
            assert!(!line.chars().any(loopsy_shared::text::is_active), "{line:?}");
            assert!(!line.contains(['\u{a0}', '\u{e0041}', '\u{2800}']), "{line:?}");
        }
    }
    // What an input says cannot look like what the card says.
    assert!(drawn(&hostile()).contains("  | cwd       /home/leo\n"));
    assert_eq!(
        drawn(&hostile()).lines().filter(|line| line.starts_with("cwd ")).count(),
        drawn(&shell()).lines().filter(|line| line.starts_with("cwd ")).count()
    );
}

fn sent(step: Step) -> DecideApproval {
    match step {
        Step::Send(answer) => *answer,
        other => panic!("{other:?}"),
    }
}

fn says(step: Step) -> String {
    match step {
        Step::Show(lines) => anstream::adapter::strip_str(&lines.join("\n")).to_string(),
        other => panic!("{other:?}"),
    }
}

/// A card that was read to its end.
fn read(approval: Approval) -> Review {
    let mut review = Review::new(approval, look(), 1000);
    review.page();
    review
}

#[test]
fn a_yes_counts_only_when_all_was_seen() {
    let long = with(json!({ "input": { "command": "echo x\n".repeat(60) } }));
    let mut review = Review::new(long, look(), 20);
    let page = review.page();
    assert_eq!(page.len(), 21);
    let keys = anstream::adapter::strip_str(&page[20]).to_string();
    assert!(keys.contains("more lines, m shows them") && !keys.contains("allow"), "{keys}");
    for key in ['a', 'A', 'w', 'e', 'y', '\n', '\r', ' '] {
        says(review.key(key));
    }
    let mut pages = 0;
    while !says(review.key('m')).contains("allow once") {
        pages += 1;
    }
    assert!(pages >= 2);
    assert_eq!(sent(review.key('a')).decision, Decision::Allow);
}

#[test]
fn keys_answer_what_they_say() {
    for (key, decision) in [('a', Decision::Allow), ('d', Decision::Deny), ('s', Decision::Stop)] {
        let answer = sent(read(shell()).key(key));
        assert_eq!((answer.decision, answer.sha256.as_str()), (decision, shell().sha256.as_str()));
        assert!(answer.input.is_none() && answer.suggestion.is_none());
    }
    assert!(matches!(read(shell()).key('l'), Step::Later));
    // A no needs no reading.
    assert_eq!(sent(Review::new(shell(), look(), 5).key('d')).decision, Decision::Deny);
    let mut review = read(shell());
    assert!(matches!(review.key('D'), Step::Line(Line::Reason)));
    assert!(says(review.line(Line::Reason, "  ")).contains("Nothing was answered"));
    assert_eq!(sent(review.line(Line::Reason, "use cargo clean")).reason.as_deref(), Some("use cargo clean"));
}

#[test]
fn always_needs_the_number_of_a_rule() {
    let mut review = read(shell());
    assert!(says(review.key('w')).contains("1. Bash(rm:*)"));
    assert!(says(review.key('a')).contains("No rule was kept"), "the yes for once is no yes for always");
    review.key('A');
    assert!(says(review.key('3')).contains("No rule was kept"));
    review.key('A');
    let answer = sent(review.key('2'));
    assert_eq!((answer.decision, answer.suggestion), (Decision::Always, Some(1)));
    assert!(says(read(edit()).key('w')).contains("offers no rule"));
}

#[test]
fn an_edited_input_is_shown_before_it_is_sent() {
    let mut review = read(shell());
    assert!(matches!(review.key('e'), Step::Edit(input) if input == shell().input));
    assert!(says(review.edited(shell().input)).contains("as it was"));
    let changed = json!({ "command": "cargo clean\n".repeat(2000) });
    assert!(says(review.edited(changed.clone())).contains("more lines"));
    assert!(says(review.key('a')).contains("not seen"));
    while !says(review.key('m')).contains("allow the changed input") {}
    assert!(says(review.key('w')).contains("cannot be kept"));
    let answer = sent(review.key('a'));
    assert_eq!((answer.input, answer.sha256), (Some(changed), shell().sha256));
    assert!(says(read(edit()).key('e')).contains("Nothing was answered"), "this agent takes no other input");
}

#[test]
fn questions_are_answered_one_after_the_other() {
    let mut review = read(question());
    assert!(says(review.key('a')).contains("No answer yet to 1. Which database?"));
    assert!(says(review.key('2')).contains("= SQLite. Now: 2. Which systems?"));
    assert!(says(review.key('1')).contains("= Linux."));
    assert!(says(review.key('2')).contains("= Linux, macOS."));
    assert!(says(review.key('1')).contains("= macOS."), "a second time takes it back");
    review.key('n');
    assert!(matches!(review.key('t'), Step::Line(Line::Answer(0))));
    review.line(Line::Answer(0), "MySQL \u{1b}[2J");
    let answer = sent(review.key('a'));
    assert_eq!(answer.answers, [("db".to_owned(), vec!["MySQL \u{1b}[2J".to_owned()]), ("os".to_owned(), vec!["macOS".to_owned()])].into());
    assert!(sent(read(question()).key('d')).answers.is_empty());
}

#[test]
fn what_the_command_line_named_needs_a_y_and_nothing_else() {
    let answer = DecideApproval { suggestion: Some(1), ..plain(&shell(), Decision::Always) };
    for key in ['a', '\n', ' ', 'd', 's', '1'] {
        says(Review::new(shell(), look(), 1000).only(&answer).key(key));
    }
    let mut review = Review::new(shell(), look(), 1000).only(&answer);
    assert!(says(review.key('y')).contains("not seen"));
    review.page();
    let yes = sent(review.key('y'));
    assert_eq!((yes.decision, yes.suggestion, yes.sha256), (Decision::Always, Some(1), answer.sha256));
    assert!(matches!(review.key('n'), Step::Later));
}

proptest! {
    /// Of all keys before the end was shown, none says yes; Enter and Space never do anything.
    #[test]
    fn no_key_says_yes_to_what_was_not_seen(keys in proptest::collection::vec(any::<char>().prop_filter("m shows more", |key| *key != 'm'), 0..30)) {
        let long = with(json!({ "input": { "command": "echo x\n".repeat(60) } }));
        let mut review = Review::new(long, look(), 10);
        review.page();
        for key in keys.into_iter().chain("aAwey\n\r 123456789".chars()) {
            if let Step::Send(answer) = review.key(key) {
                prop_assert!(!answer.decision.is_yes());
            }
        }
        let mut review = read(shell());
        for key in ['\n', '\r', ' '] {
            prop_assert!(matches!(review.key(key), Step::Show(_)));
        }
    }
}

#[test]
fn lists_are_tables_and_lines() {
    let denied = Approval { state: ApprovalState::Denied, ..edit() };
    let all = [shell(), question(), denied, hostile()];
    assert_snapshot!("list_approvals", anstream::adapter::strip_str(&table(&all, false, NOON, &TimeZone::UTC).lines().join("\n")).to_string());
    assert_snapshot!("list_approvals_all", anstream::adapter::strip_str(&table(&all, true, NOON, &TimeZone::UTC).lines().join("\n")).to_string());
    let lines: Vec<String> = all.iter().map(|approval| anstream::adapter::strip_str(&line(approval, NOON, &TimeZone::UTC)).to_string()).collect();
    assert_snapshot!("lines", lines.join("\n"));
}

#[test]
fn answers_name_their_questions() {
    let given = |texts: &[&str]| answered(&question(), &texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    let answers = given(&["db=2", "2=Linux", "os=macOS"]).unwrap();
    assert_eq!(answers, [("db".to_owned(), vec!["SQLite".to_owned()]), ("os".to_owned(), vec!["Linux".to_owned(), "macOS".to_owned()])].into());
    for (texts, says) in [
        (vec!["db=1"], "no answer to 2. Which systems?"),
        (vec!["db=1", "db=2", "os=1"], "takes one answer"),
        (vec!["3=x"], "answers none of the questions"),
        (vec!["db="], "answers none of the questions"),
        (vec!["\u{1b}"], "u{1b}"),
    ] {
        let said = explain(&given(&texts).unwrap_err()).message;
        assert!(said.contains(says), "{said}");
    }
    assert!(answered(&shell(), &["1=x".to_owned()]).is_err());
}

#[test]
fn only_what_is_open_and_offered_can_be_answered() {
    assert!(open(shell()).is_ok());
    let said = explain(&open(Approval { state: ApprovalState::Expired, ..shell() }).unwrap_err()).message;
    assert!(said == "It is too late: Bash was denied, because nobody answered in time.", "{said}");
    assert_eq!(offered(&shell(), Some(2)).unwrap(), 1);
    assert!(offered(&shell(), None).is_err() && offered(&shell(), Some(3)).is_err() && offered(&edit(), None).is_err());
}

#[test]
fn rules_and_verdicts_read_well() {
    let rule = |verdict, command: &str| Rule { verdict, agent: None, tool: None, command: Some(command.to_owned()), path: None, peer: None, repository: None };
    let all = [rule(RuleVerdict::Deny, "rm"), Rule { path: Some("~/src".to_owned()), tool: Some("edit".to_owned()), ..rule(RuleVerdict::Allow, "git log") }];
    assert_snapshot!("rules", anstream::adapter::strip_str(&rules::table(&all).lines().join("\n")).to_string());
    let verdict = Verdict {
        verdict: RuleVerdict::Deny,
        rule: Some("deny command `rm`".to_owned()),
        index: Some(0),
        why: "`rm` is denied\u{1b}[2J".to_owned(),
        commands: vec!["rm -rf x".to_owned(), "ls".to_owned()],
    };
    let asked = Verdict { verdict: RuleVerdict::Ask, rule: None, index: None, why: "the command line is not understood".to_owned(), commands: vec![] };
    let told = [verdict, asked].iter().flat_map(rules::told).collect::<Vec<_>>().join("\n");
    assert_snapshot!("verdicts", anstream::adapter::strip_str(&told).to_string());
}

#[test]
fn what_came_of_it_is_one_line() {
    let states = [ApprovalState::Pending, ApprovalState::Parked, ApprovalState::Expired, ApprovalState::Withdrawn, ApprovalState::Denied];
    for state in states {
        let line = said(&Approval { state, ..hostile() });
        assert!(!anstream::adapter::strip_str(&line).to_string().chars().any(loopsy_shared::text::is_active));
    }
    assert_eq!(ApprovalKind::Tool, shell().kind);
}
