//! A card before a person: which keys count, what has been seen, what was decided. Pure: keys in, lines and decisions out.

use std::collections::BTreeMap;

use loopsy_shared::api::approvals::{Approval, ApprovalKind, DecideApproval, Decision};
use serde_json::Value;

use super::card::{self, Look, asked, visible};
use crate::output::{FAINT, STRONG, WARN, count, paint};

/// What a key led to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Show these lines and wait for the next key.
    Show(Vec<String>),
    /// Ask for a line of text.
    Line(Line),
    /// Let the person change this input in an editor.
    Edit(Value),
    /// Send this answer.
    Send(Box<DecideApproval>),
    /// Nothing is answered now.
    Later,
}

/// What a line of text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// The reason of a no.
    Reason,
    /// The answer to the question with this place.
    Answer(usize),
}

/// What a person may do with the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// All that the approval allows.
    All,
    /// Only this answer, which was named on the command line; any other key leaves.
    Only(Decision),
}

/// One card.
#[derive(Debug)]
pub(crate) struct Review {
    approval: Approval,
    look: Look,
    /// Lines that fit the screen at a time.
    height: usize,
    lines: Vec<String>,
    /// How many of the lines were shown.
    shown: usize,
    offer: Offer,
    /// The person is asked which rule to keep.
    choosing: bool,
    /// The question that numbers are for.
    question: usize,
    answers: BTreeMap<String, Vec<String>>,
    input: Option<Value>,
    suggestion: Option<usize>,
}

impl Review {
    pub(crate) fn new(approval: Approval, look: Look, height: usize) -> Self {
        let lines = card::lines(&approval, &look);
        Self {
            approval,
            look,
            height: height.max(5),
            lines,
            shown: 0,
            offer: Offer::All,
            choosing: false,
            question: 0,
            answers: BTreeMap::new(),
            input: None,
            suggestion: None,
        }
    }

    /// The same for an answer that the command line named already.
    pub(crate) fn only(mut self, answer: &DecideApproval) -> Self {
        self.offer = Offer::Only(answer.decision);
        self.answers = answer.answers.clone();
        self.suggestion = answer.suggestion;
        if let Some(input) = &answer.input {
            self.lines.extend(card::edited(input, &self.look));
            self.input = Some(input.clone());
        }
        for (question, answers) in &answer.answers {
            self.lines.push(format!("your answer  {} = {}", visible(question), visible(&answers.join(", "))));
        }
        if let Some(index) = answer.suggestion {
            self.lines.push(format!("you keep rule {}", index + 1));
        }
        self
    }

    pub(crate) const fn approval(&self) -> &Approval {
        &self.approval
    }

    /// The next lines that were not shown yet, and what can be done.
    pub(crate) fn page(&mut self) -> Vec<String> {
        let mut page: Vec<String> = self.lines.iter().skip(self.shown).take(self.height).cloned().collect();
        self.shown = (self.shown + self.height).min(self.lines.len());
        page.push(self.prompt());
        page
    }

    fn unseen(&self) -> usize {
        self.lines.len() - self.shown
    }

    /// The keys that count now.
    fn prompt(&self) -> String {
        let mut keys: Vec<(&str, &str)> = Vec::new();
        let unseen = self.unseen();
        let more = (unseen > 0).then(|| format!("{}, m shows them", count(unseen as u64, "more line", "more lines")));
        if unseen == 0 {
            match self.offer {
                Offer::Only(decision) => keys.push(("y", word(decision))),
                Offer::All if self.approval.kind == ApprovalKind::Question => {
                    keys.extend([("1-9", "choose"), ("t", "type"), ("n", "next question"), ("a", "send the answers")])
                }
                Offer::All => {
                    keys.push((
                        "a",
                        if self.input.is_some() {
                            "allow the changed input"
                        } else if self.approval.kind == ApprovalKind::Plan {
                            "go on"
                        } else {
                            "allow once"
                        },
                    ));
                    if !self.approval.suggestions.is_empty() && self.input.is_none() {
                        keys.push(("w", "always"));
                    }
                    if self.approval.may_edit {
                        keys.push(("e", "edit"));
                    }
                }
            }
        }
        match self.offer {
            Offer::All => keys.extend([("d", "deny"), ("D", "deny with a reason"), ("s", "stop"), ("l", "later")]),
            Offer::Only(_) => keys.push(("n", "leave it")),
        }
        let keys: Vec<String> = keys.into_iter().map(|(key, what)| format!("{} {what}", paint(STRONG, key))).collect();
        let more = more.map(|more| format!("{}  ", paint(WARN, more))).unwrap_or_default();
        format!("{more}{}", keys.join("  "))
    }

    /// One key, typed alone after the card was drawn.
    pub(crate) fn key(&mut self, key: char) -> Step {
        if std::mem::take(&mut self.choosing) {
            return self.choose_rule(key);
        }
        match (key, self.offer) {
            ('m', _) if self.unseen() > 0 => Step::Show(self.page()),
            ('y', Offer::Only(decision)) => self.yes(decision),
            ('y', Offer::All) => self.say("`y` is not a key here."),
            ('n' | 'l' | 'q' | '\u{1b}', Offer::Only(_)) => Step::Later,
            (_, Offer::Only(_)) => self.say("Nothing was answered."),
            ('l', Offer::All) => Step::Later,
            ('d', Offer::All) => self.answer(Decision::Deny, None),
            ('D', Offer::All) => Step::Line(Line::Reason),
            ('s', Offer::All) => self.answer(Decision::Stop, None),
            ('a', Offer::All) => self.yes(Decision::Allow),
            ('A' | 'w', Offer::All) => self.always(),
            ('e', Offer::All) if self.approval.may_edit && self.approval.kind != ApprovalKind::Question => {
                if self.unseen() > 0 {
                    self.unread()
                } else {
                    Step::Edit(self.input.clone().unwrap_or_else(|| self.approval.input.clone()))
                }
            }
            _ if self.approval.kind == ApprovalKind::Question => self.question_key(key),
            ('\n' | '\r' | ' ', _) => self.say("Enter and Space answer nothing."),
            _ => self.say("Nothing was answered."),
        }
    }

    /// What was pasted, or typed before it could be meant.
    pub(crate) fn not_alone(&self) -> Step {
        self.say("Several keys came at once, as when something is pasted: nothing was answered.")
    }

    /// A line of text that was asked for; an empty one changes nothing.
    pub(crate) fn line(&mut self, what: Line, text: &str) -> Step {
        let text = text.trim();
        match what {
            _ if text.is_empty() => self.say("Nothing was answered."),
            Line::Reason => self.answer(Decision::Deny, Some(text.to_owned())),
            Line::Answer(index) => {
                self.set(index, text.to_owned(), false);
                self.chosen(index)
            }
        }
    }

    /// The input as the person left it in the editor.
    pub(crate) fn edited(&mut self, input: Value) -> Step {
        if input == *self.input.as_ref().unwrap_or(&self.approval.input) {
            return self.say("The input is as it was.");
        }
        self.lines = card::edited(&input, &self.look);
        self.shown = 0;
        self.input = Some(input);
        Step::Show(self.page())
    }

    /// Says something and shows the keys again.
    pub(crate) fn say(&self, text: &str) -> Step {
        Step::Show(vec![paint(FAINT, visible(text)), self.prompt()])
    }

    fn unread(&self) -> Step {
        self.say("There are lines that you have not seen: `m` shows them.")
    }

    fn always(&mut self) -> Step {
        match self.approval.suggestions.len() {
            0 => self.say("The agent offers no rule to keep."),
            _ if self.approval.kind == ApprovalKind::Question || self.input.is_some() => self.say("A rule cannot be kept with this answer."),
            _ if self.unseen() > 0 => self.unread(),
            most => {
                self.choosing = true;
                let rules = self.approval.suggestions.iter().enumerate().map(|(index, rule)| format!("  {}. {}", index + 1, visible(&rule.label)));
                let ask = format!(
                    "Keep which rule? {} {} any other key keeps none",
                    paint(STRONG, if most == 1 { "1".to_owned() } else { format!("1-{}", most.min(9)) }),
                    "keeps it and allows;"
                );
                Step::Show(rules.chain([ask]).collect())
            }
        }
    }

    fn choose_rule(&mut self, key: char) -> Step {
        match digit(key).filter(|index| *index < self.approval.suggestions.len()) {
            Some(index) => {
                self.suggestion = Some(index);
                self.yes(Decision::Always)
            }
            None => self.say("No rule was kept, and nothing was answered."),
        }
    }

    fn question_key(&mut self, key: char) -> Step {
        let Some(question) = self.approval.questions.get(self.question).cloned() else { return self.say("Nothing was answered.") };
        if self.unseen() > 0 {
            return self.unread();
        }
        match key {
            'n' | '\t' => {
                self.question = (self.question + 1) % self.approval.questions.len();
                self.say(&self.now_asked())
            }
            't' => Step::Line(Line::Answer(self.question)),
            _ => match digit(key).and_then(|index| question.options.get(index)) {
                Some(choice) => {
                    self.set(self.question, choice.label.clone(), question.multiple);
                    self.chosen(self.question)
                }
                None => self.say("Nothing was answered."),
            },
        }
    }

    /// Notes an answer; where several may be chosen, a second time takes it back.
    fn set(&mut self, index: usize, answer: String, several: bool) {
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
    }

    /// Says what is chosen, and goes on to the next question where only one answer is wanted.
    fn chosen(&mut self, index: usize) -> Step {
        let Some(question) = self.approval.questions.get(index).cloned() else { return self.say("Nothing was answered.") };
        let answer = self.answers.get(&question.id).map_or_else(|| "nothing".to_owned(), |answers| answers.join(", "));
        let next = self.approval.questions.iter().position(|question| !self.answers.contains_key(&question.id));
        let more = match next {
            Some(next) if !question.multiple => {
                self.question = next;
                format!(" {}", self.now_asked())
            }
            _ => String::new(),
        };
        self.say(&format!("{} = {answer}.{more}", asked(index, &question)))
    }

    fn now_asked(&self) -> String {
        self.approval.questions.get(self.question).map(|question| format!("Now: {}", asked(self.question, question))).unwrap_or_default()
    }

    /// A yes counts only when everything was shown.
    fn yes(&mut self, decision: Decision) -> Step {
        if self.unseen() > 0 {
            return self.unread();
        }
        if self.approval.kind == ApprovalKind::Question
            && decision.is_yes()
            && let Some((index, question)) = self.approval.questions.iter().enumerate().find(|(_, question)| !self.answers.contains_key(&question.id))
        {
            let text = format!("No answer yet to {}", asked(index, question));
            self.question = index;
            return self.say(&text);
        }
        self.answer(decision, None)
    }

    fn answer(&self, decision: Decision, reason: Option<String>) -> Step {
        let yes = decision.is_yes();
        Step::Send(Box::new(DecideApproval {
            id: self.approval.id.clone(),
            sha256: self.approval.sha256.clone(),
            decision,
            reason,
            input: self.input.clone().filter(|_| decision == Decision::Allow),
            suggestion: self.suggestion.filter(|_| decision == Decision::Always),
            answers: if yes { self.answers.clone() } else { BTreeMap::new() },
        }))
    }
}

/// What `y` does.
const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "yes, allow it once",
        Decision::Always => "yes, allow it and keep the rule",
        Decision::Deny => "yes, deny it",
        Decision::Stop => "yes, deny it and stop",
    }
}

/// `1` to `9` as a place from 0.
fn digit(key: char) -> Option<usize> {
    key.to_digit(10).and_then(|digit| usize::try_from(digit).ok()?.checked_sub(1))
}
