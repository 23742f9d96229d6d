//! Questions of agents that wait for a person. Each is stored before anybody sees it, answered once, and denied when nobody answers.
//!
//! Everything fails closed: when the time is up, when the agent or the daemon dies, when an answer cannot be stored or told, nothing was granted. A yes counts
//! only once the agent was told, and whoever tells it is this table's `Desk`, the one task that talks to the agent.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use loopsy_shared::{
    api::{
        approvals::{Approval, ApprovalState, DecideApproval, Decided, Decision, TestRules, Verdict},
        events::Event,
    },
    config::{Config, RuleVerdict},
    id::{ApprovalId, NodeId, TaskId},
    time::{self, Millis},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    agents::driver::Ask,
    approvals::{facts::Facts, rules::RuleContext},
    events::Events,
    store::{Kind, Store, StoreError, Write},
    trust::Principal,
};

pub(crate) mod canonical;
mod close;
mod decide;
pub(crate) mod facts;
mod park;
pub(crate) mod rules;
#[cfg(test)]
mod tests;

/// Who decides when nobody does.
const DAEMON: &str = "daemon";
/// How long the agent may take to be told of an answer.
const TELLING: Duration = Duration::from_secs(10);
/// How often parked approvals are looked at; they wait for days.
const PARKED_LOOK: Duration = Duration::from_secs(60);
/// Answered approvals that are kept in memory and in the store; the oldest go first, with the tasks that they belong to or before.
const MOST_CLOSED: usize = 2_000;

/// The approvals of this node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Approvals(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    node_id: NodeId,
    config: watch::Receiver<Arc<Config>>,
    store: Store,
    events: Events,
    home: PathBuf,
    table: Mutex<BTreeMap<u64, Entry>>,
    /// The clock of expiry looks again.
    changed: Notify,
    /// A parked approval was answered.
    answered: Notify,
}

/// One approval, and the way to the agent that asks.
#[derive(Debug)]
struct Entry {
    record: Record,
    desk: Option<Desk>,
    /// When nobody's answer becomes a no, or a parked question.
    deadline: Instant,
    /// Whether an answer is on its way to the disk.
    busy: bool,
}

/// What is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    approval: Approval,
    /// The driver's name for the question.
    key: String,
    /// Whether it is parked instead of denied when nobody answers.
    park: bool,
    /// Whether it was parked: only then a later run of the agent may have its answer.
    #[serde(default)]
    parked: bool,
    /// Whether a later run was given its answer, or nobody may have it any more. On disk before that run hears it, so that it is given once.
    #[serde(default)]
    taken: bool,
    /// The peer that started the task; none for the owner.
    #[serde(default)]
    peer: Option<String>,
    #[serde(default)]
    repository: Option<PathBuf>,
}

impl Record {
    /// Whether it was answered while it was parked, and the agent does not know.
    fn is_untold(&self) -> bool {
        let answered = self.approval.decision.as_ref().is_some_and(|decision| !decision.delivered && decision.by != DAEMON);
        self.parked && !self.taken && answered && !self.approval.state.is_open()
    }
}

/// Tells the one task that talks to the agent.
pub(crate) type Desk = mpsc::Sender<Told>;

/// What a desk is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// There is an answer.
    Answer {
        /// The approval as it is now.
        approval: Box<Approval>,
        /// Says that the agent knows. Dropped when it does not.
        heard: oneshot::Sender<()>,
    },
    /// Nobody has answered for so long that the question is parked.
    Park(ApprovalId),
}

/// Where a question comes from.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) node: String,
    pub(crate) task: TaskId,
    pub(crate) agent: String,
    pub(crate) cwd: PathBuf,
    /// The peer that started the task; none for the owner.
    pub(crate) peer: Option<String>,
    pub(crate) repository: Option<PathBuf>,
    pub(crate) park: bool,
    pub(crate) desk: Desk,
}

/// What was found out about a question.
struct Looked {
    facts: Facts,
    verdict: Verdict,
}

/// Why an approval cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// There is none of that id.
    #[error("There is no approval `{}`.", loopsy_shared::text::inert(.0))]
    NotFound(String),
    /// It is no longer open.
    #[error("The approval {id} can no longer be answered: it was {how}.")]
    Closed {
        /// Which.
        id: ApprovalId,
        /// A part of a sentence.
        how: String,
    },
    /// What is asked is not what was shown.
    #[error("What the approval {0} asks is not what was shown to you.")]
    Changed(ApprovalId),
    /// The answer makes no sense here.
    #[error("{0}")]
    Invalid(String),
    /// It could not be stored, so it does not count.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Approvals {
    /// The approvals that the store remembers. Whatever waited for an answer when the last daemon ended is denied, but what was parked.
    pub(crate) fn new(
        node_id: NodeId,
        config: watch::Receiver<Arc<Config>>,
        store: Store,
        events: Events,
        home: PathBuf,
        loaded: &[String],
    ) -> (Self, Vec<Write>) {
        let mut writes = Vec::new();
        let mut table = BTreeMap::new();
        for (number, json) in loaded.iter().enumerate() {
            let mut record: Record = match serde_json::from_str(json) {
                Ok(record) => record,
                Err(error) => {
                    tracing::error!(%error, "an approval in the store does not parse and is left alone");
                    continue;
                }
            };
            if record.approval.state == ApprovalState::Pending {
                close(&mut record.approval, ApprovalState::Expired, "the daemon was restarted while it waited");
                tracing::warn!(approval = %record.approval.id, task = %record.approval.task_id, "denied, because the daemon was restarted while it waited");
                writes.extend(put(&record));
            }
            table.insert(number as u64, Entry { record, desk: None, deadline: Instant::now(), busy: false });
        }
        let (changed, answered) = (Notify::new(), Notify::new());
        (Self(Arc::new(Shared { node_id, config, store, events, home, table: Mutex::new(table), changed, answered })), writes)
    }

    /// Stores a question and shows it. Where a rule answers it, it comes back with the answer, which the asker tells; a person's answer comes to the asker's desk.
    pub(crate) async fn ask(&self, asker: Asker, ask: Ask) -> Result<Approval, StoreError> {
        let config = self.0.config.borrow().clone();
        let (asker, ask, Looked { facts, verdict }) = self.look(asker, ask, &config).await;
        let now = time::now();
        let mut approval = Approval {
            id: ApprovalId::new(),
            node_id: self.0.node_id.clone(),
            node: asker.node.clone(),
            task_id: asker.task.clone(),
            agent: asker.agent.clone(),
            kind: ask.kind,
            sha256: canonical::sha256(&ask.tool, &ask.input),
            tool: ask.tool,
            input: ask.input,
            description: ask.description,
            reason: ask.reason,
            cwd: asker.cwd.to_string_lossy().into_owned(),
            paths: facts.paths.clone(),
            flags: facts.flags.clone(),
            diff: facts.diff.clone(),
            suggestions: ask.suggestions,
            rules: Vec::new(),
            questions: ask.questions,
            rule: verdict.rule.clone(),
            default_to_no: ask.default_to_no,
            may_edit: ask.may_edit,
            asked_at: now,
            expires_at: now + config.approvals.timeout,
            state: ApprovalState::Pending,
            decision: None,
        };
        approval.rules = rules::rules_from(&approval, &facts, asker.repository.as_deref());
        let ruled = match verdict.verdict {
            RuleVerdict::Ask => None,
            RuleVerdict::Allow => Some((ApprovalState::Allowed, Decision::Allow, None)),
            RuleVerdict::Deny => Some((ApprovalState::Denied, Decision::Deny, Some(format!("A rule of this machine's owner forbids this: {}", verdict.why)))),
        };
        if let Some((state, decision, reason)) = ruled {
            approval.state = state;
            approval.decision = Some(decided(decision, &format!("rule: {}", verdict.rule.unwrap_or_default()), reason));
        }
        let wait = if asker.park { config.approvals.park_after.min(config.approvals.timeout) } else { config.approvals.timeout };
        let record = Record { approval, key: ask.key, park: asker.park, parked: false, taken: false, peer: asker.peer, repository: asker.repository };
        self.0.store.write(put(&record).into_iter().collect()).await?;
        let approval = record.approval.clone();
        let entry = Entry { record, desk: Some(asker.desk), deadline: Instant::now() + Duration::from_millis(wait), busy: false };
        let forgotten = {
            let mut table = self.table();
            let number = table.last_key_value().map_or(0, |(number, _)| number + 1);
            table.insert(number, entry);
            surplus(&mut table)
        };
        self.forget(forgotten).await;
        self.0.events.publish(Event::ApprovalChanged { approval: approval.clone() });
        self.0.changed.notify_one();
        Ok(approval)
    }

    /// Finds out what is asked for and what the rules say, away from the threads that serve: it looks at files.
    async fn look(&self, asker: Asker, ask: Ask, config: &Arc<Config>) -> (Asker, Ask, Looked) {
        let (this, config, copy) = (self.clone(), Arc::clone(config), (asker.clone(), ask.clone()));
        let looking = tokio::task::spawn_blocking(move || {
            let facts = Facts::of(&asker.agent, &ask.tool, &ask.input, &ask.paths, &asker.cwd, &this.0.home);
            let context = RuleContext {
                agent: &asker.agent,
                tool: &ask.tool,
                peer: asker.peer.as_deref(),
                cwd: &asker.cwd,
                repository: asker.repository.as_deref(),
                home: &this.0.home,
            };
            let verdict = rules::decide(&config.approvals.rules, &facts, &context);
            (asker, ask, Looked { facts, verdict })
        });
        looking.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a question could not be looked into; a person has to");
            let why = "This could not be looked into.".to_owned();
            let verdict = Verdict { verdict: RuleVerdict::Ask, rule: None, index: None, why: why.clone(), commands: Vec::new() };
            (copy.0, copy.1, Looked { facts: Facts::unknown(why), verdict })
        })
    }

    /// One approval.
    pub fn get(&self, id: &ApprovalId) -> Option<Approval> {
        self.table().values().find(|entry| entry.record.approval.id == *id).map(|entry| entry.record.approval.clone())
    }

    /// The approval that somebody who asks about a task means by a text: its id, or the asker's own name for it.
    pub(crate) fn named(&self, task: &TaskId, name: &str) -> Option<Approval> {
        let table = self.table();
        let found = table
            .values()
            .rev()
            .find(|entry| entry.record.approval.task_id == *task && (entry.record.approval.id.as_str() == name || entry.record.key == polled(name)));
        found.map(|entry| entry.record.approval.clone())
    }

    /// Approvals that wait for an answer, oldest first.
    pub fn open(&self) -> Vec<Approval> {
        self.list(|approval| approval.state.is_open())
    }

    /// All that are kept, oldest first.
    pub fn all(&self) -> Vec<Approval> {
        self.list(|_| true)
    }

    fn list(&self, wanted: impl Fn(&Approval) -> bool) -> Vec<Approval> {
        self.table().values().map(|entry| &entry.record.approval).filter(|approval| wanted(approval)).cloned().collect()
    }

    /// Waits until an approval is no longer open, or is gone.
    pub(crate) async fn closed(&self, id: &ApprovalId) -> Option<Approval> {
        loop {
            let position = self.0.events.position();
            match self.get(id) {
                Some(approval) if approval.state.is_open() => self.0.events.changed_since(position).await,
                other => return other,
            }
        }
    }

    /// Says what the rules would do with a use of a tool.
    pub async fn test(&self, request: TestRules) -> Verdict {
        let this = self.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let config = this.0.config.borrow().clone();
            let tool = request.tool.unwrap_or_else(|| "Bash".to_owned());
            let input = request.input.unwrap_or_else(|| serde_json::json!({ "command": request.command.unwrap_or_default() }));
            let cwd = request.cwd.map_or_else(|| this.0.home.clone(), |cwd| this.0.home.join(cwd));
            let agent = request.agent.unwrap_or_else(|| "claude".to_owned());
            let facts = Facts::of(&agent, &tool, &input, &[], &cwd, &this.0.home);
            let context = RuleContext { agent: &agent, tool: &tool, peer: request.peer.as_deref(), cwd: &cwd, repository: None, home: &this.0.home };
            rules::decide(&config.approvals.rules, &facts, &context)
        });
        looked.await.unwrap_or_else(|error| Verdict {
            verdict: RuleVerdict::Ask,
            rule: None,
            index: None,
            why: format!("The rules could not be tried: {error}."),
            commands: Vec::new(),
        })
    }

    /// Forgets what a task asked.
    pub(crate) async fn remove_task(&self, task: &TaskId) {
        let gone: Vec<ApprovalId> = {
            let mut table = self.table();
            let gone: Vec<(u64, ApprovalId)> = table
                .iter()
                .filter(|(_, entry)| entry.record.approval.task_id == *task)
                .map(|(number, entry)| (*number, entry.record.approval.id.clone()))
                .collect();
            gone.into_iter()
                .map(|(number, id)| {
                    table.remove(&number);
                    id
                })
                .collect()
        };
        self.forget(gone).await;
    }

    async fn forget(&self, gone: Vec<ApprovalId>) {
        if gone.is_empty() {
            return;
        }
        let writes = gone.iter().map(|id| Write::DeleteRecord { kind: Kind::Approval, id: id.to_string() }).collect();
        if let Err(error) = self.0.store.write(writes).await {
            tracing::warn!(%error, "old approvals could not be removed from the store");
        }
        for id in gone {
            self.0.events.publish(Event::ApprovalRemoved { id });
        }
    }

    fn publish(&self, id: &ApprovalId) {
        if let Some(approval) = self.get(id) {
            self.0.events.publish(Event::ApprovalChanged { approval });
        }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        // Every change under the lock is a plain assignment, so a panic elsewhere leaves the table whole.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a question that is asked over HTTP in the seed's way.
pub(crate) fn polled(request_id: &str) -> String {
    format!("poll:{request_id}")
}

fn find_mut<'a>(table: &'a mut BTreeMap<u64, Entry>, id: &ApprovalId) -> Option<&'a mut Entry> {
    table.values_mut().rev().find(|entry| entry.record.approval.id == *id)
}

/// Takes out what is too much: the oldest that are closed.
fn surplus(table: &mut BTreeMap<u64, Entry>) -> Vec<ApprovalId> {
    let mut gone = Vec::new();
    while table.len() > MOST_CLOSED {
        let closed = |entry: &Entry| !entry.record.approval.state.is_open() && !entry.record.is_untold();
        let Some(oldest) = table.iter().find(|(_, entry)| closed(entry)).map(|(number, _)| *number) else { break };
        gone.extend(table.remove(&oldest).map(|entry| entry.record.approval.id));
    }
    gone
}

fn put(record: &Record) -> Option<Write> {
    match serde_json::to_string(record) {
        Ok(json) => Some(Write::PutRecord { kind: Kind::Approval, id: record.approval.id.to_string(), json }),
        Err(error) => {
            tracing::error!(%error, "an approval cannot be written");
            None
        }
    }
}

/// A no that nobody gave.
pub(crate) fn denied(reason: String) -> Decided {
    decided(Decision::Deny, DAEMON, Some(reason))
}

fn decided(decision: Decision, by: &str, reason: Option<String>) -> Decided {
    Decided { decision, by: by.to_owned(), at: time::now(), reason, input: None, suggestion: None, answers: BTreeMap::new(), delivered: false }
}

fn close(approval: &mut Approval, state: ApprovalState, why: &str) {
    approval.state = state;
    approval.decision = Some(decided(Decision::Deny, DAEMON, Some(why.to_owned())));
}
