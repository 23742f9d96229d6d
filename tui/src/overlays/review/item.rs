//! The approval that is shown: how it stands, and what the person has chosen for it so far.

use std::collections::{BTreeMap, HashSet};

use jiff::tz::TimeZone;
use loopsy_shared::{
    api::approvals::{Approval, ApprovalKind, ApprovalState, DecideApproval, Decision, Question},
    id::{ApprovalId, NodeId},
    time::Millis,
};
use serde_json::Value;

use super::page::{Beside, Doc, Page};
use crate::{
    card::{self, DiffRow, Entry, Part, Signs, Tone, clock, diff_rows, span, visible, who},
    widgets::{
        field::Field,
        text::{fit, minute},
    },
    world::{TaskKey, World, word},
};

/// Bytes of an input that are laid out for reading. Nobody reads more, and laying it out would hold up the keys.
const MOST_READ: usize = 1 << 20;

/// An approval anywhere.
pub(super) type Key = (NodeId, ApprovalId);

/// The key of an approval.
pub(super) fn key_of(approval: &Approval) -> Key {
    (approval.node_id.clone(), approval.id.clone())
}

/// How it stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// What it is about is not here yet.
    Loading,
    /// It could not be had: why.
    Failed(String),
    /// It can be answered.
    Open,
    /// This was answered here, and nobody has confirmed it yet: the number of it.
    Sending(u64, Box<DecideApproval>),
    /// The same, for too long, or it did not arrive: why.
    Late(String, Box<DecideApproval>),
    /// It is no longer open; how it was answered where that is known, and whether this was the answer from here.
    Closed(Option<Box<Approval>>, bool),
}

/// What the person looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The card.
    Card,
    /// The input as the agent sent it.
    Raw,
    /// The rules that could be kept, with the one that is chosen.
    Rules(Option<usize>),
}

/// What is typed.
#[derive(Debug)]
pub(super) struct Typing {
    /// The answer to the question at this place; a reason when none.
    pub(super) question: Option<usize>,
    pub(super) field: Field,
    /// Which showing of the item it is for.
    pub(super) showing: u64,
}

/// The item.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) approval: Approval,
    pub(super) phase: Phase,
    /// Where it comes from, for people.
    pub(super) place: String,
    /// Since when the machine that asks it is out of reach.
    pub(super) away: Option<Millis>,
    /// The input as the person changed it.
    pub(super) edited: Option<Value>,
    /// The editor is open, for this showing of the item.
    pub(super) editing: Option<u64>,
    pub(super) answers: BTreeMap<String, Vec<String>>,
    /// The question that the keys are for.
    pub(super) question: usize,
    pub(super) mode: Mode,
    pub(super) typing: Option<Typing>,
    pub(super) beside: bool,
    /// Changes with everything that changes rows.
    pub(super) version: u64,
    pub(super) page: Page,
    pub(super) raw: Page,
    pub(super) rules: Page,
}

/// Whether what is shown can be the whole: what comes through a peer may be too large for the stream.
pub(crate) fn is_whole(approval: &Approval) -> bool {
    !approval.sha256.is_empty() && (!approval.input.is_null() || approval.kind != ApprovalKind::Tool)
}

/// Whether a person would see another card.
pub(super) fn differs(a: &Approval, b: &Approval) -> bool {
    let same = |of: &Approval| Approval { state: ApprovalState::Pending, expires_at: 0, decision: None, ..of.clone() };
    same(a) != same(b)
}

impl Item {
    pub(super) fn new(approval: Approval, world: &World) -> Self {
        let phase = match world.sent(&approval) {
            Some(sent) => {
                let why =
                    format!("you answered it with {} at {}, and nobody has confirmed that.", word(sent.request.decision), clock(sent.at, sent.at, &zone()));
                Phase::Late(why, Box::new(sent.request.clone()))
            }
            None if is_whole(&approval) => Phase::Open,
            None => Phase::Loading,
        };
        Self {
            place: place(&approval, world),
            away: world.away_since(&approval),
            approval,
            phase,
            edited: None,
            editing: None,
            answers: BTreeMap::new(),
            question: 0,
            mode: Mode::Card,
            typing: None,
            beside: false,
            version: 0,
            page: Page::default(),
            raw: Page::default(),
            rules: Page::default(),
        }
    }

    pub(super) fn key(&self) -> Key {
        key_of(&self.approval)
    }

    /// Why no answer would arrive where it is asked.
    pub(super) fn why_away(&self, world: &World, now: Millis) -> Option<String> {
        let since = minute(self.away?, now);
        Some(format!("{} cannot reach {} since {since}: an answer would not arrive.", visible(world.here()), visible(&self.approval.node)))
    }

    /// Everything begins anew, but what the person is typing stays before them.
    pub(super) fn replace(&mut self, approval: Approval, world: &World) {
        let typing = self.typing.take();
        *self = Self { typing, beside: self.beside, ..Self::new(approval, world) };
    }

    /// The input as it would run.
    pub(super) fn input(&self) -> &Value {
        self.edited.as_ref().unwrap_or(&self.approval.input)
    }

    /// The page that is looked at.
    pub(super) const fn now(&self) -> &Page {
        match self.mode {
            Mode::Card => &self.page,
            Mode::Raw => &self.raw,
            Mode::Rules(_) => &self.rules,
        }
    }

    pub(super) fn is_question(&self) -> bool {
        self.approval.kind == ApprovalKind::Question
    }

    pub(super) fn asked(&self) -> Option<&Question> {
        self.approval.questions.get(self.question)
    }

    /// The first question without an answer.
    pub(super) fn unanswered(&self) -> Option<usize> {
        self.approval.questions.iter().position(|question| !self.answers.contains_key(&question.id))
    }

    /// Notes an answer; where several may be chosen, a second time takes it back. Then goes on to the next question.
    pub(super) fn answer(&mut self, index: usize, answer: String, several: bool) {
        let Some(question) = self.approval.questions.get(index) else { return };
        let answers = self.answers.entry(question.id.clone()).or_default();
        match answers.iter().position(|known| *known == answer) {
            Some(at) if several => drop(answers.remove(at)),
            _ if several => answers.push(answer),
            _ => *answers = vec![answer],
        }
        if answers.is_empty() {
            self.answers.remove(&question.id);
        }
        if !several && let Some(next) = self.unanswered() {
            self.question = next;
        }
        self.version += 1;
    }

    /// The answer, bound to what is shown.
    pub(super) fn decide(&self, decision: Decision, reason: Option<String>, suggestion: Option<usize>) -> DecideApproval {
        DecideApproval {
            id: self.approval.id.clone(),
            sha256: self.approval.sha256.clone(),
            decision,
            reason,
            input: self.edited.clone().filter(|_| decision == Decision::Allow),
            suggestion,
            answers: if decision == Decision::Allow { self.answers.clone() } else { BTreeMap::new() },
        }
    }

    /// Whether it is more than anybody reads here, and than can be laid out in a moment.
    pub(super) fn is_large(&self) -> bool {
        fn count(value: &Value, left: usize) -> Option<usize> {
            match value {
                Value::String(text) => left.checked_sub(text.len() + 1),
                Value::Array(list) => list.iter().try_fold(left.checked_sub(1)?, |left, value| count(value, left)),
                Value::Object(map) => map.iter().try_fold(left.checked_sub(1)?, |left, (name, value)| count(value, left.checked_sub(name.len())?)),
                _ => left.checked_sub(1),
            }
        }
        let diff = self.approval.diff.as_ref().map_or(0, String::len);
        MOST_READ.checked_sub(diff).and_then(|left| count(self.input(), left)).is_none()
    }

    /// The lines of what is looked at.
    pub(super) fn doc(&self, now: Millis, ascii: bool) -> Doc {
        let signs = if ascii { Signs::Ascii } else { Signs::Screen };
        let mut page = card::Page::new(signs);
        match self.mode {
            Mode::Card | Mode::Raw if self.is_large() => {
                page.head_of(&self.approval, &self.place, &card::Look { width: 0, now, zone: zone() });
                let command = format!("loopsy approvals show {}", self.approval.id);
                page.head(&format!(
                    "What is asked for is more than {} of text: too much to be read here. `{command}` prints it all.",
                    loopsy_shared::text::bytes(MOST_READ as u64)
                ));
                Doc { entries: page.entries, beside: Vec::new() }
            }
            Mode::Raw => {
                page.raw("| ", self.input());
                Doc { entries: page.entries, beside: Vec::new() }
            }
            Mode::Rules(chosen) => {
                page.head("If this is allowed always, the agent keeps the rule and does not ask again where it fits:");
                for (index, suggestion) in self.approval.suggestions.iter().enumerate() {
                    let (mark, tone) = if chosen == Some(index) { ("> ", Tone::Strong) } else { ("  ", Tone::Plain) };
                    page.body(mark, tone, &format!("{}. {}", index + 1, suggestion.label));
                    page.raw("   | ", &suggestion.rule);
                }
                Doc { entries: page.entries, beside: Vec::new() }
            }
            Mode::Card => self.card(page, now, signs),
        }
    }

    fn card(&self, mut page: card::Page, now: Millis, signs: Signs) -> Doc {
        let approval = &self.approval;
        page.head_of(approval, &self.place, &card::Look { width: 0, now, zone: zone() });
        let diff = approval.diff.as_deref().filter(|_| self.edited.is_none());
        let mut beside = Vec::new();
        if let Some(input) = &self.edited {
            page.changed(input);
        } else if self.is_question() {
            for (index, question) in approval.questions.iter().enumerate() {
                let none = Vec::new();
                let answers = self.answers.get(&question.id).unwrap_or(&none);
                page.question(index, question, Some((answers, index == self.question && approval.questions.len() > 1)));
            }
        } else {
            if let Some(diff) = diff {
                beside = diff_entries(diff, &mut page, signs);
            }
            let elsewhere = |name: &str| diff.is_some_and(|diff| told_by(diff, &approval.input[name]) && in_diff(name));
            if !approval.input.as_object().is_some_and(serde_json::Map::is_empty) {
                page.value(&approval.input, elsewhere);
            }
        }
        if let Some(hidden) = card::in_value(self.input(), diff, |name| diff.is_some_and(|diff| told_by(diff, &self.input()[name]) && in_diff(name))) {
            page.hidden(&hidden);
        }
        page.foot_of(approval);
        page.rules(approval);
        Doc { entries: page.entries, beside }
    }

    /// What the pane with the body is called.
    pub(super) fn title(&self) -> String {
        match (self.mode, &self.approval.diff) {
            (Mode::Raw, _) => "raw input".to_owned(),
            (Mode::Rules(_), _) => "rules".to_owned(),
            _ if self.edited.is_some() => "input, as you changed it".to_owned(),
            (Mode::Card, Some(diff)) => format!("change {}", card::diff_count(diff)),
            (Mode::Card, None) => match self.approval.kind {
                ApprovalKind::Question => "questions",
                ApprovalKind::Plan => "plan",
                ApprovalKind::Tool => "input",
            }
            .to_owned(),
        }
    }
}

/// What came of an approval, in a sentence.
pub(crate) fn outcome(approval: Option<&Approval>, now: Millis) -> String {
    let Some(approval) = approval else { return "This is no longer asked.".to_owned() };
    let decided = approval.decision.as_ref();
    let by = decided.map(|decided| format!(" by {}", visible(who(&decided.by)))).unwrap_or_default();
    let at = decided.map(|decided| format!(" at {}", clock(decided.at, now, &zone()))).unwrap_or_default();
    let reason = decided.and_then(|decided| decided.reason.as_deref()).map(|reason| format!(": {}", visible(&fit(reason, 200)))).unwrap_or_default();
    let told = if decided.is_some_and(|decided| !decided.delivered) { " The agent was not told yet." } else { "" };
    let kept = match decided {
        Some(decided) if decided.decision == Decision::Always => ", and the rule kept",
        Some(decided) if decided.decision == Decision::Stop => ", and the task stopped",
        Some(decided) if decided.input.is_some() => " with another input",
        _ => "",
    };
    match approval.state {
        ApprovalState::Allowed => format!("Allowed{kept}{by}{at}.{told}"),
        ApprovalState::Denied => format!("Denied{kept}{by}{at}{reason}.{told}"),
        ApprovalState::Expired => format!("Expired{at}: nobody answered in time, so it was denied."),
        ApprovalState::Withdrawn => format!("Withdrawn{at}: the agent no longer asks{reason}."),
        ApprovalState::Pending | ApprovalState::Parked => "This still waits for an answer.".to_owned(),
    }
}

/// Where the clocks are. Pictures of the tests are the same everywhere.
pub(crate) fn zone() -> TimeZone {
    if cfg!(test) { TimeZone::UTC } else { TimeZone::system() }
}

fn place(approval: &Approval, world: &World) -> String {
    let peer = world.peer_of(approval);
    let how = match &peer {
        None => "this machine".to_owned(),
        Some(id) => world.peers.get(id).map_or_else(|| "PEER".to_owned(), |peer| format!("PEER {}", peer.address)),
    };
    let task = world.task(&TaskKey { node: peer, id: approval.task_id.clone() });
    let prompt = task.map(|task| format!(" '{}'", fit(&task.prompt, 40))).unwrap_or_default();
    // The fact first: a name may say anything.
    format!("{how}: {}  task {}{prompt}", fit(&approval.node, 40), approval.task_id.short())
}

/// Whether every line of every text in a value is a line of this change, so that whoever reads the change has read it.
fn told_by(diff: &str, value: &Value) -> bool {
    fn all(value: &Value, told: &dyn Fn(&str) -> bool) -> bool {
        match value {
            Value::String(text) => text.split('\n').all(told),
            Value::Array(list) => list.iter().all(|value| all(value, told)),
            Value::Object(map) => map.values().all(|value| all(value, told)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let lines: HashSet<&str> = diff.split('\n').filter_map(|line| line.strip_prefix(['+', '-', ' '])).collect();
    all(value, &|line| line.is_empty() || lines.contains(line))
}

/// Fields that a change is made of: with the change shown, they say nothing more.
fn in_diff(name: &str) -> bool {
    matches!(name, "old_string" | "new_string" | "oldString" | "newString" | "content" | "edits")
}

/// The lines of a diff with their numbers, and which of them stand side by side.
fn diff_entries(diff: &str, page: &mut card::Page, signs: Signs) -> Vec<Beside> {
    let mut beside = Vec::new();
    let (mut removed, mut added): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let flush = |removed: &mut Vec<usize>, added: &mut Vec<usize>, beside: &mut Vec<Beside>| {
        for row in 0..removed.len().max(added.len()) {
            beside.push(Beside::Two(removed.get(row).copied(), added.get(row).copied()));
        }
        removed.clear();
        added.clear();
    };
    for row in diff_rows(diff) {
        let (part, number, sign, tone, text) = match row {
            DiffRow::File(text) => (Part::Body, None, ' ', Tone::Strong, text),
            DiffRow::Hunk(text) => (Part::Hunk, None, ' ', Tone::Faint, text),
            DiffRow::Note(text) => (Part::Body, None, ' ', Tone::Faint, text),
            DiffRow::Same(_, after, text) => (Part::Body, Some(after), ' ', Tone::Plain, text),
            DiffRow::Removed(before, text) => (Part::Body, Some(before), '-', Tone::Removed, text),
            DiffRow::Added(after, text) => (Part::Body, Some(after), '+', Tone::Added, text),
        };
        let gutter = |number: Option<usize>| number.map_or_else(|| "      ".to_owned(), |number| format!("{number:>5} ")) + &format!("{sign} ");
        let end = if signs == Signs::Ascii { ".. " } else { "↪ " };
        let entry = |number: Option<usize>| {
            let first = gutter(number);
            let more = card::on(&" ".repeat(first.len()), end);
            Entry {
                part,
                first: vec![span(if tone == Tone::Plain { Tone::Faint } else { tone }, first)],
                more: vec![span(Tone::Faint, more)],
                text: page.shown(tone, text),
            }
        };
        let at = page.entries.len();
        let made = entry(number);
        match row {
            DiffRow::Removed(..) => {
                if !added.is_empty() {
                    flush(&mut removed, &mut added, &mut beside);
                }
                removed.push(at);
            }
            DiffRow::Added(..) => added.push(at),
            DiffRow::Same(before, ..) => {
                flush(&mut removed, &mut added, &mut beside);
                beside.push(Beside::Same(at, Box::new(entry(Some(before)))));
            }
            _ => {
                flush(&mut removed, &mut added, &mut beside);
                beside.push(Beside::Whole(at));
            }
        }
        page.entries.push(made);
    }
    flush(&mut removed, &mut added, &mut beside);
    beside
}
