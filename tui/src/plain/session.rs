//! Plain mode without a terminal: a line, an event or an answer in, lines and requests out. Pure.
//!
//! A number belongs to one approval or task as long as this runs, and to no other. A yes takes two lines: `approve N` shows the whole of it, and the word
//! `approve` allows what was shown and nothing else. Any other line leaves it.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use loopsy_shared::{
    api::{
        ai_tasks::{CancelTask, DispatchTask, SendToTask, TaskEvent, TaskEventKind},
        approvals::{Approval, ApprovalKind, DecideApproval, Decision, GetApproval},
        context::{ContextKey, GetContext, SetContext},
        events,
        peers::PeerStatus,
    },
    client::Watched,
    id::{ApprovalId, NodeId},
    text::inert,
};

use super::command::{Command, HELP, parse};
use crate::{
    card::{self, Signs, clock, visible},
    event::{NoDaemon, Now},
    overlays::review::{is_whole, outcome, summary, tool, zone},
    request::{Answer, Request},
    tabs::TabId,
    world::{Link, News, TaskKey, World},
};

/// Columns of a card.
const WIDE: usize = 78;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Do {
    /// A line to show; made inert by who shows it.
    Say(String),
    /// A request; the answer comes with the reason for it.
    Ask(Option<NodeId>, Request, Why),
    /// What was typed until now does not count.
    Forget,
    /// Follow this task; none at all.
    Tail(Option<TaskKey>),
    /// End.
    Quit,
}

/// Why something was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Why {
    /// To show the approval with this number.
    Show(usize),
    /// To show it and allow it then.
    Approve(usize),
    /// To show it with its rules, and allow it and keep one then.
    Always(usize, Option<usize>),
    /// To answer a question of it.
    Answer(usize, usize, String),
    /// To deny it.
    Deny(usize, Decision, Option<String>),
    /// It was answered.
    Decided(usize),
    /// Anything else: what to say when it went well.
    Done(String),
}

/// What waits for a word.
#[derive(Debug)]
enum Confirm {
    /// A yes to the approval with this number, as it was shown; and its word, `approve` or `always`.
    Yes(usize, &'static str, Box<DecideApproval>),
    /// `cancel`: a task.
    Cancel(TaskKey),
}

type Key = (NodeId, ApprovalId);

/// Plain mode.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) world: World,
    approvals: Vec<Key>,
    tasks: Vec<TaskKey>,
    confirm: Option<Confirm>,
    answers: BTreeMap<Key, BTreeMap<String, Vec<String>>>,
    /// Approvals whose end was said.
    over: Vec<Key>,
    link: Option<bool>,
}

fn key_of(approval: &Approval) -> Key {
    (approval.node_id.clone(), approval.id.clone())
}

/// The number of something; a new one when it has none.
fn number<K: PartialEq>(known: &mut Vec<K>, key: K) -> usize {
    match known.iter().position(|at| *at == key) {
        Some(at) => at + 1,
        None => {
            known.push(key);
            known.len()
        }
    }
}

fn say(text: impl Into<String>) -> Do {
    Do::Say(text.into())
}

impl Session {
    pub(super) fn new(world: World) -> Self {
        Self { world, approvals: Vec::new(), tasks: Vec::new(), confirm: None, answers: BTreeMap::new(), over: Vec::new(), link: None }
    }

    /// A line that was typed.
    pub(super) fn line(&mut self, line: &str, now: Now) -> Vec<Do> {
        match (self.confirm.take(), line.trim()) {
            (Some(Confirm::Yes(number, word, request)), typed) if typed == word => return vec![Do::Ask(None, (*request).into(), Why::Decided(number))],
            (Some(Confirm::Cancel(task)), "cancel") => {
                let request = CancelTask { task_id: task.id };
                return vec![Do::Ask(task.node, request.into(), Why::Done("It was cancelled.".to_owned()))];
            }
            (Some(_), _) => return vec![say("Nothing was done. What you typed was thrown away.")],
            (None, _) => {}
        }
        match parse(line) {
            Ok(command) => self.command(command, now),
            Err(why) => vec![say(why)],
        }
    }

    fn approval(&self, number: usize) -> Result<&Key, Vec<Do>> {
        number.checked_sub(1).and_then(|at| self.approvals.get(at)).ok_or_else(|| vec![say(format!("There is no approval {number}. `approvals` lists them."))])
    }

    fn task(&self, number: usize) -> Result<TaskKey, Vec<Do>> {
        number.checked_sub(1).and_then(|at| self.tasks.get(at)).cloned().ok_or_else(|| vec![say(format!("There is no task {number}. `tasks` lists them."))])
    }

    fn command(&mut self, command: Command, now: Now) -> Vec<Do> {
        self.done(command, now).unwrap_or_else(|no| no)
    }

    fn done(&mut self, command: Command, now: Now) -> Result<Vec<Do>, Vec<Do>> {
        let ask = |key: &Key, why| vec![Do::Ask(None, GetApproval { id: key.1.clone() }.into(), why)];
        Ok(match command {
            Command::Empty => Vec::new(),
            Command::Help => HELP.iter().map(|line| say(*line)).collect(),
            Command::List(tab) => self.list(tab, now),
            Command::Approvals => self.waiting(now),
            Command::Show(number) => ask(self.approval(number)?, Why::Show(number)),
            Command::Approve(number) => ask(self.approval(number)?, Why::Approve(number)),
            Command::Always(number, rule) => ask(self.approval(number)?, Why::Always(number, rule)),
            Command::Answer(number, question, text) => ask(self.approval(number)?, Why::Answer(number, question, text)),
            Command::Deny(number, reason) => ask(self.approval(number)?, Why::Deny(number, Decision::Deny, reason)),
            Command::Stop(number) => ask(self.approval(number)?, Why::Deny(number, Decision::Stop, None)),
            Command::Task(text) => self.start(&text)?,
            Command::Tail(None) => vec![Do::Tail(None), say("No task is followed.")],
            Command::Tail(Some(number)) => vec![Do::Tail(Some(self.task(number)?))],
            Command::Send(number, text) => {
                let task = self.task(number)?;
                vec![Do::Ask(task.node, SendToTask { task_id: task.id, text }.into(), Why::Done("It was said.".to_owned()))]
            }
            Command::Cancel(number) => {
                let task = self.task(number)?;
                let prompt = self.world.task(&task).map(|task| task.prompt.clone()).unwrap_or_default();
                let node = self.world.name_of(task.node.as_ref()).to_owned();
                let text = format!("End task {number}, `{}` on {node}? Type the word cancel; anything else leaves it.", crate::widgets::text::fit(&prompt, 60));
                self.confirm = Some(Confirm::Cancel(task));
                vec![say(text), Do::Forget]
            }
            Command::Get(key) => {
                let key = ContextKey::try_from(key).map_err(|why| vec![say(why)])?;
                vec![Do::Ask(None, GetContext { key }.into(), Why::Done(String::new()))]
            }
            Command::Set(key, value) => {
                let key = ContextKey::try_from(key).map_err(|why| vec![say(why)])?;
                vec![Do::Ask(None, SetContext { key, value, ttl: None, if_version: None }.into(), Why::Done("It was set.".to_owned()))]
            }
            Command::Pair => pairing(),
            Command::Quit => vec![say("Tasks and terminals go on."), Do::Quit],
        })
    }

    /// `NAME: PROMPT` where a peer has that name; else all of it is for this machine.
    fn start(&self, text: &str) -> Result<Vec<Do>, Vec<Do>> {
        let named = text.split_once(':').filter(|(name, _)| !name.contains(char::is_whitespace));
        let (at, prompt) = match named {
            Some((name, prompt)) if name == self.world.here() => (None, prompt.trim()),
            Some((name, prompt)) => match self.world.peers.values().filter(|peer| peer.hostname == name).collect::<Vec<_>>().as_slice() {
                [] => (None, text),
                [peer] => (Some(peer.node_id.clone()), prompt.trim()),
                _ => return Err(vec![say(format!("Several peers are called `{name}`: nothing was started."))]),
            },
            None => (None, text),
        };
        if prompt.is_empty() {
            return Err(vec![say("A task needs a prompt.")]);
        }
        let done = format!("It was started on {}. `tasks` lists it.", self.world.name_of(at.as_ref()));
        let request = DispatchTask { prompt: prompt.to_owned(), queue: true, ..DispatchTask::default() };
        Ok(vec![Do::Ask(at, request.into(), Why::Done(done))])
    }

    /// What came back.
    pub(super) fn answer(&mut self, why: Why, answer: Result<Answer, String>, now: Now) -> Vec<Do> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(message) => {
                let text = match why {
                    Why::Decided(number) => format!("Approval {number}: {message} `show {number}` says how it stands."),
                    _ => message,
                };
                return vec![say(text)];
            }
        };
        match (why, answer) {
            (Why::Decided(number), Answer::DecideApproval(approval)) => {
                vec![say(format!("{} approval {number}: {}", at(now), outcome(Some(&approval), now.wall)))]
            }
            (Why::Done(_), Answer::GetContext(entry)) => entry.value.split('\n').map(say).collect(),
            (Why::Done(text), _) => vec![say(format!("{} {text}", at(now)))],
            (why, Answer::GetApproval(approval)) => self.got(why, *approval, now),
            _ => Vec::new(),
        }
    }

    fn got(&mut self, why: Why, approval: Approval, now: Now) -> Vec<Do> {
        let key = key_of(&approval);
        let (Why::Show(of) | Why::Approve(of) | Why::Always(of, _) | Why::Answer(of, ..) | Why::Deny(of, ..)) = &why else { return Vec::new() };
        let of = *of;
        if self.approval(of).ok() != Some(&key) {
            return vec![say(format!("The daemon answered with another approval than {of}: nothing was done."))];
        }
        let shown = || card_of(&approval, now).into_iter().map(Do::Say);
        if !approval.state.is_open() {
            return match why {
                Why::Show(_) => shown().collect(),
                _ => vec![say(format!("Approval {of}: {}", outcome(Some(&approval), now.wall)))],
            };
        }
        if !is_whole(&approval) {
            return vec![say(format!("The whole of approval {of} cannot be shown: nothing was done."))];
        }
        let answer = |decision, reason, answers| DecideApproval {
            id: approval.id.clone(),
            sha256: approval.sha256.clone(),
            decision,
            reason,
            input: None,
            suggestion: None,
            answers,
        };
        match why {
            Why::Deny(number, decision, reason) => vec![Do::Ask(None, answer(decision, reason, BTreeMap::new()).into(), Why::Decided(number))],
            Why::Answer(number, question, text) => self.note(&approval, number, question, &text),
            Why::Approve(number) => {
                let answers = self.answers.get(&key).cloned().unwrap_or_default();
                let mut out: Vec<Do> = shown().collect();
                for (index, question) in approval.questions.iter().enumerate() {
                    match answers.get(&question.id) {
                        Some(given) => out.push(say(format!("your answer to {}: {}", index + 1, given.join(", ")))),
                        None => {
                            out.push(say(format!("Question {} has no answer yet: `answer {number} {} TEXT`. Nothing was sent.", index + 1, index + 1)));
                            return out;
                        }
                    }
                }
                let asks = if approval.kind == ApprovalKind::Question { "Send these answers" } else { "Allow exactly this, once" };
                out.push(say(format!("{asks}? Type the word approve; anything else leaves it.")));
                out.push(Do::Forget);
                self.confirm = Some(Confirm::Yes(number, "approve", Box::new(answer(Decision::Allow, None, answers))));
                out
            }
            Why::Always(number, rule) => {
                let mut out: Vec<Do> = shown().collect();
                match chosen_rule(&approval, number, rule) {
                    Err(why) => out.extend(why.lines().map(say)),
                    Ok(index) => {
                        out.extend(rules_of(&approval).into_iter().map(Do::Say));
                        out.push(say(format!(
                            "Allow exactly this, and keep rule {}, so that the agent does not ask again where it fits? Type the word always; anything else leaves it.",
                            index + 1
                        )));
                        out.push(Do::Forget);
                        let request = DecideApproval { suggestion: Some(index), ..answer(Decision::Always, None, BTreeMap::new()) };
                        self.confirm = Some(Confirm::Yes(number, "always", Box::new(request)));
                    }
                }
                out
            }
            _ => shown().collect(),
        }
    }

    /// An answer to a question: kept until all are sent.
    fn note(&mut self, approval: &Approval, number: usize, question: usize, text: &str) -> Vec<Do> {
        let Some(asked) = question.checked_sub(1).and_then(|at| approval.questions.get(at)) else {
            return vec![say(format!("Approval {number} has no question {question}."))];
        };
        let choice = |text: &str| {
            text.parse::<usize>().ok().and_then(|at| asked.options.get(at.checked_sub(1)?)).map_or_else(|| text.to_owned(), |choice| choice.label.clone())
        };
        let given: Vec<String> = if asked.multiple && text.split_whitespace().all(|word| word.parse::<usize>().is_ok()) {
            text.split_whitespace().map(choice).collect()
        } else {
            vec![choice(text)]
        };
        let line = format!("Question {question} = {}. `approve {number}` sends the answers.", given.join(", "));
        self.answers.entry(key_of(approval)).or_default().insert(asked.id.clone(), given);
        vec![say(line)]
    }

    /// There is no daemon to be found.
    pub(super) fn missing(&mut self, why: NoDaemon, now: Now) -> Vec<Do> {
        self.world.missing(why, now);
        self.of_link(now)
    }

    /// Says that the daemon came or went, once.
    fn of_link(&mut self, now: Now) -> Vec<Do> {
        let up = self.world.is_up();
        if self.link.replace(up) == Some(up) {
            return Vec::new();
        }
        let why = match &self.world.link {
            Link::Up | Link::Connecting => return vec![say(format!("{} Connected to the daemon at {}.", at(now), self.world.address))],
            Link::Lost(_, why) | Link::Missing(NoDaemon::NotRunning(why) | NoDaemon::Unusable(why)) => why.trim_end_matches('.'),
            Link::Missing(NoDaemon::NotInitialised) => "Loopsy is not set up on this machine",
        };
        vec![say(format!("{} The daemon does not answer: {why}. It is tried again.", at(now)))]
    }

    /// The daemon's stream.
    pub(super) fn heard(&mut self, watched: Watched<events::Event>, now: Now) -> Vec<Do> {
        let news = self.world.take(watched, now);
        let mut out = self.of_link(now);
        for happened in std::mem::take(&mut self.world.activity) {
            // A question has a line of its own, with its number.
            if !happened.text.contains(" asks: ") {
                let node = happened.node.as_deref().unwrap_or_else(|| self.world.here());
                out.push(say(format!("{} {node}: {}", clock(happened.at, now.wall, &zone()), happened.text)));
            }
        }
        let open: Vec<Approval> = self.world.approvals().into_iter().cloned().collect();
        for approval in &open {
            let key = key_of(approval);
            if !self.approvals.contains(&key) {
                let number = number(&mut self.approvals, key);
                out.push(say(format!("{} approval {number}: {}", at(now), in_a_line(approval))));
            }
        }
        self.withdrawn(&open, &news, &mut out);
        out
    }

    /// What was shown and waits for a word: it must still be what waits.
    fn withdrawn(&mut self, open: &[Approval], news: &News, out: &mut Vec<Do>) {
        for (at, key) in self.approvals.iter().enumerate() {
            let known = open.iter().any(|approval| key_of(approval) == *key);
            if !known && !self.over.contains(key) && !matches!(news, News::Link) {
                self.over.push(key.clone());
                out.push(say(format!("approval {} is no longer asked", at + 1)));
            }
        }
        let Some(Confirm::Yes(number, _, request)) = &self.confirm else { return };
        let Some(key) = number.checked_sub(1).and_then(|at| self.approvals.get(at)) else { return };
        let now = open.iter().find(|approval| key_of(approval) == *key);
        // What is too large for the stream comes without its hash: the daemon compares it then.
        if now.is_none_or(|now| !now.sha256.is_empty() && now.sha256 != request.sha256) {
            out.push(say(format!("Approval {number} is not any more what was shown: nothing is approved.")));
            self.confirm = None;
        }
    }

    fn waiting(&mut self, now: Now) -> Vec<Do> {
        let open: Vec<Approval> = self.world.approvals().into_iter().cloned().collect();
        if open.is_empty() {
            return vec![say("No agent waits for an answer.")];
        }
        open.iter()
            .map(|approval| {
                let number = number(&mut self.approvals, key_of(approval));
                say(format!("{number}. {}, asked {}", in_a_line(approval), clock(approval.asked_at, now.wall, &zone())))
            })
            .collect()
    }

    fn list(&mut self, tab: TabId, now: Now) -> Vec<Do> {
        let when = |at| clock(at, now.wall, &zone());
        let lines: Vec<String> = match tab {
            TabId::Overview => {
                let online = self.world.peers.values().filter(|peer| peer.status == PeerStatus::Online).count();
                let running = self.world.tasks().iter().filter(|(_, task)| !task.status.is_ended()).count();
                vec![
                    format!("{} at {}, {}", self.world.here(), self.world.address, if self.world.is_up() { "connected" } else { "not connected" }),
                    format!("{online} of {} peers online", self.world.peers.len()),
                    format!("{running} tasks run or wait"),
                    format!("{} approvals wait", self.world.answerable()),
                ]
            }
            TabId::Peers => self
                .world
                .peers
                .values()
                .map(|peer| {
                    let status = match peer.status {
                        PeerStatus::Online => "online",
                        PeerStatus::Offline => "offline",
                        PeerStatus::Unknown => "not known yet",
                    };
                    let why = peer.last_error.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                    format!("{}, {}:{}, {status}{why}", peer.hostname, peer.address, peer.port)
                })
                .collect(),
            TabId::Context => self.world.context.values().map(|entry| format!("{} = {}", entry.key, crate::widgets::text::fit(&entry.value, 60))).collect(),
            TabId::Messages => self
                .world
                .context
                .values()
                .filter(|entry| entry.key.starts_with("inbox:"))
                .map(|entry| format!("{} {}: {}", when(entry.updated_at), entry.key, entry.value))
                .collect(),
            TabId::Tasks => {
                let tasks: Vec<_> = self.world.tasks().into_iter().map(|(key, task)| (key, task.clone())).collect();
                tasks
                    .into_iter()
                    .map(|(key, task)| {
                        let node = self.world.name_of(key.node.as_ref()).to_owned();
                        let number = number(&mut self.tasks, key);
                        let status = task.status.as_str().replace('_', " ");
                        format!("{number}. {status}, on {node}, since {}: {}", when(task.started_at), crate::widgets::text::fit(&task.prompt, 60))
                    })
                    .collect()
            }
            TabId::Terminal => {
                let mut lines: Vec<String> =
                    self.world.terminals.values().map(|terminal| format!("{} {}, in {}", terminal.id.short(), terminal.command, terminal.cwd)).collect();
                lines.push("These are the terminals of this machine; `loopsy terminal list --on PEER` lists those of a peer.".to_owned());
                lines.push("`loopsy terminal --help` says how one is opened and attached.".to_owned());
                lines
            }
            TabId::Pairing => return pairing(),
        };
        if lines.is_empty() { vec![say("There is nothing.")] } else { lines.into_iter().map(Do::Say).collect() }
    }
}

/// What happened in a task that is followed, in lines.
pub(super) fn logged(event: &TaskEvent) -> Vec<String> {
    let text = |name: &str| event.data[name].as_str().unwrap_or_default();
    let whole = || match &event.data {
        serde_json::Value::String(text) => text.clone(),
        data => data["text"].as_str().or(data["message"].as_str()).or(data["content"].as_str()).map_or_else(|| data.to_string(), str::to_owned),
    };
    match event.kind {
        TaskEventKind::Text => whole().lines().map(str::to_owned).collect(),
        TaskEventKind::ToolUse => vec![format!("uses {}: {}", text("name"), crate::widgets::text::fit(&event.data["input"].to_string(), 200))],
        TaskEventKind::ToolResult => vec![format!("result of {}: {}", text("name"), crate::widgets::text::fit(&whole(), 200))],
        TaskEventKind::Status => vec![format!("status {}", text("status").replace('_', " "))],
        TaskEventKind::Error => vec![format!("error: {}", whole())],
        TaskEventKind::Result => vec![format!("turn ended: {}", crate::widgets::text::fit(text("text"), 200))],
        TaskEventKind::Exit => vec!["the agent's process ended".to_owned()],
        TaskEventKind::Thinking | TaskEventKind::PermissionRequest | TaskEventKind::System => Vec::new(),
    }
}

fn at(now: Now) -> String {
    clock(now.wall, now.wall, &zone())
}

fn in_a_line(approval: &Approval) -> String {
    format!("{} on {}, task {}: {}", tool(approval), visible(&approval.node), approval.task_id.short(), summary(approval))
}

/// The whole card, in ASCII but for what it quotes.
fn card_of(approval: &Approval, now: Now) -> Vec<String> {
    let zone: TimeZone = zone();
    let look = card::Look { width: WIDE, now: now.wall, zone };
    in_lines(&card::entries(approval, &look, Signs::Ascii))
}

fn in_lines(entries: &[card::Entry]) -> Vec<String> {
    let lines = entries.iter().flat_map(|entry| entry.wrapped(WIDE)).collect::<Vec<_>>();
    lines.iter().map(|line| inert(&line.iter().map(|span| span.text.as_str()).collect::<String>()).into_owned()).collect()
}

/// The rule that is meant, by its place.
fn chosen_rule(approval: &Approval, number: usize, rule: Option<usize>) -> Result<usize, String> {
    let count = approval.suggestions.len();
    match rule {
        _ if approval.kind == ApprovalKind::Question => Err("A rule cannot be kept with answers to questions. Nothing was sent.".to_owned()),
        _ if count == 0 => Err(format!("The agent offers no rule to keep: `approve {number}` allows this once. Nothing was sent.")),
        None if count == 1 => Ok(0),
        Some(rule) if (1..=count).contains(&rule) => Ok(rule - 1),
        _ => {
            let rules = rules_of(approval).join("\n");
            Err(format!("{rules}\nWhich rule is kept? `always {number} R`, where R is 1 to {count}. Nothing was sent."))
        }
    }
}

/// The rules that the agent offers to keep, exactly, in ASCII but for what they quote.
fn rules_of(approval: &Approval) -> Vec<String> {
    let mut page = card::Page::new(Signs::Ascii);
    for (index, suggestion) in approval.suggestions.iter().enumerate() {
        page.body("", card::Tone::Strong, &format!("rule {}: {}", index + 1, suggestion.label));
        page.raw("  | ", &suggestion.rule);
    }
    in_lines(&page.entries)
}

fn pairing() -> Vec<Do> {
    [
        "On one machine: loopsy pair",
        "On the other: loopsy pair ADDRESS, with the address that the first one shows; it asks for the invite code",
        "Both then show six digits, which have to be the same.",
        "loopsy pair --help says more.",
    ]
    .into_iter()
    .map(say)
    .collect()
}
