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
pub(crate) mod facts;
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

    /// Answers. The first answer counts. Returns when the agent was told, or cannot be.
    ///
    /// # Errors
    /// All of [`ApprovalError`]; nothing was granted then.
    pub async fn decide(&self, by: &Principal, answer: DecideApproval) -> Result<Approval, ApprovalError> {
        let id = answer.id.clone();
        self.allows_change(&answer).await?;
        let record = {
            let mut table = self.table();
            let entry = find_mut(&mut table, &id).ok_or_else(|| ApprovalError::NotFound(id.to_string()))?;
            let approval = &entry.record.approval;
            if entry.busy {
                return Err(ApprovalError::Closed { id, how: "answered by somebody else just now".to_owned() });
            }
            if !approval.state.is_open() {
                return Err(ApprovalError::Closed { id, how: how(approval) });
            }
            if approval.sha256 != answer.sha256 {
                return Err(ApprovalError::Changed(id));
            }
            check(approval, &answer, by)?;
            let mut record = entry.record.clone();
            record.approval.state = if answer.decision.is_yes() { ApprovalState::Allowed } else { ApprovalState::Denied };
            let DecideApproval { decision, reason, input, suggestion, answers, .. } = answer;
            let suggestion = suggestion.or((decision == Decision::Always).then_some(0));
            record.approval.decision = Some(Decided { input, suggestion, answers, ..decided(decision, &by.name, reason) });
            entry.busy = true;
            record
        };
        let stored = self.0.store.write(put(&record).into_iter().collect()).await;
        {
            let mut table = self.table();
            if let Some(entry) = find_mut(&mut table, &id) {
                entry.busy = false;
                if stored.is_ok() {
                    entry.record = record;
                }
            }
        }
        stored?;
        self.publish(&id);
        self.tell(&id).await;
        self.get(&id).ok_or_else(|| ApprovalError::NotFound(id.to_string()))
    }

    /// Tells the agent of an answer, and remembers that it was told.
    async fn tell(&self, id: &ApprovalId) {
        let told = {
            let mut table = self.table();
            let Some(entry) = find_mut(&mut table, id) else { return };
            let Some(desk) = entry.desk.clone() else {
                self.0.answered.notify_one();
                return;
            };
            (desk, entry.record.approval.clone())
        };
        let (desk, approval) = told;
        let (heard, hears) = oneshot::channel();
        let telling = async {
            desk.send(Told::Answer { approval: Box::new(approval), heard }).await.ok()?;
            hears.await.ok()
        };
        if tokio::time::timeout(TELLING, telling).await.ok().flatten().is_none() {
            tracing::warn!(approval = %id, "the agent was not told of the answer: it no longer runs, or does not listen");
            return;
        }
        self.delivered(id).await;
    }

    /// The agent was told.
    pub(crate) async fn delivered(&self, id: &ApprovalId) {
        let record = {
            let mut table = self.table();
            let Some(entry) = find_mut(&mut table, id) else { return };
            entry.desk = None;
            if let Some(decision) = &mut entry.record.approval.decision {
                decision.delivered = true;
            }
            entry.record.clone()
        };
        self.publish(id);
        if let Err(error) = self.0.store.write(put(&record).into_iter().collect()).await {
            tracing::warn!(%error, approval = %id, "it is not stored that the agent was told");
        }
    }

    /// The answer to a question that was parked, and that the agent asks again with the same words. Nobody else gets it.
    pub(crate) async fn take_parked(&self, task: &TaskId, key: &str, tool: &str, input: &Value) -> Option<Approval> {
        let hash = canonical::sha256(tool, input);
        let record = {
            let mut table = self.table();
            let found = table.values_mut().find(|entry| {
                let Record { approval, key: name, .. } = &entry.record;
                entry.record.is_untold() && approval.task_id == *task && name == key && approval.sha256 == hash
            })?;
            found.record.taken = true;
            found.record.clone()
        };
        match self.0.store.write(put(&record).into_iter().collect()).await {
            Ok(()) => Some(record.approval),
            Err(error) => {
                tracing::error!(%error, approval = %record.approval.id, "a parked answer is not given, because that it was given cannot be stored");
                None
            }
        }
    }

    /// Whether the rules let the changed input of an answer pass: a person may change what runs, and not what may never run.
    async fn allows_change(&self, answer: &DecideApproval) -> Result<(), ApprovalError> {
        let Some(input) = answer.input.clone() else { return Ok(()) };
        let Some((approval, peer, repository)) = ({
            let mut table = self.table();
            find_mut(&mut table, &answer.id).map(|entry| (entry.record.approval.clone(), entry.record.peer.clone(), entry.record.repository.clone()))
        }) else {
            return Ok(()); // it is said below that there is none
        };
        let this = self.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let config = this.0.config.borrow().clone();
            let cwd = PathBuf::from(&approval.cwd);
            let facts = Facts::of(&approval.agent, &approval.tool, &input, &[], &cwd, &this.0.home);
            let context = RuleContext {
                agent: &approval.agent,
                tool: &approval.tool,
                peer: peer.as_deref(),
                cwd: &cwd,
                repository: repository.as_deref(),
                home: &this.0.home,
            };
            rules::decide(&config.approvals.rules, &facts, &context)
        });
        let verdict = looking.await.map_err(|error| ApprovalError::Invalid(format!("The changed input could not be looked into: {error}.")))?;
        match verdict.verdict {
            RuleVerdict::Deny => Err(ApprovalError::Invalid(format!("A rule of that machine's owner forbids the changed input: {}", verdict.why))),
            RuleVerdict::Allow | RuleVerdict::Ask => Ok(()),
        }
    }

    /// Tasks with a parked approval that was answered and whose agent does not know.
    pub(crate) fn answered_parked(&self) -> Vec<TaskId> {
        let table = self.table();
        table.values().filter(|entry| entry.record.is_untold()).map(|entry| entry.record.approval.task_id.clone()).collect()
    }

    /// Waits until a parked approval was answered.
    pub(crate) async fn parked_answered(&self) {
        self.0.answered.notified().await;
    }

    /// The agent no longer wants to know.
    pub(crate) async fn withdraw(&self, id: &ApprovalId, why: &str) {
        self.close_open(ApprovalState::Withdrawn, why, |approval| approval.id == *id).await;
    }

    /// The run of a task is over: whatever it asked is denied, but what it parked.
    pub(crate) async fn run_ended(&self, task: &TaskId, why: &str) {
        self.close_open(ApprovalState::Expired, why, |approval| approval.task_id == *task && approval.state == ApprovalState::Pending).await;
    }

    /// A task is cancelled or gone: nothing of it can be answered any more, and no answer is given to a later run.
    pub(crate) async fn task_over(&self, task: &TaskId, why: &str) {
        self.close_open(ApprovalState::Withdrawn, why, |approval| approval.task_id == *task).await;
        let records: Vec<Record> = {
            let mut table = self.table();
            let untold = table.values_mut().filter(|entry| entry.record.approval.task_id == *task && entry.record.is_untold());
            untold
                .map(|entry| {
                    entry.record.taken = true;
                    entry.record.clone()
                })
                .collect()
        };
        if !records.is_empty()
            && let Err(error) = self.0.store.write(records.iter().filter_map(put).collect()).await
        {
            tracing::error!(%error, task = %task, "it could not be stored that answers of a task are worth nothing any more");
        }
    }

    /// The agent parked the question: its process ends.
    pub(crate) async fn parked(&self, id: &ApprovalId) -> Option<Approval> {
        let days = self.0.config.borrow().approvals.parked_days;
        let record = {
            let mut table = self.table();
            let entry = find_mut(&mut table, id).filter(|entry| entry.record.approval.state == ApprovalState::Pending && !entry.busy)?;
            entry.desk = None;
            entry.record.parked = true;
            entry.record.approval.state = ApprovalState::Parked;
            entry.record.approval.expires_at = time::now() + days * 24 * 3_600_000;
            entry.record.clone()
        };
        if let Err(error) = self.0.store.write(put(&record).into_iter().collect()).await {
            tracing::error!(%error, approval = %id, "the approval could not be parked and will be denied at the next start");
        }
        self.publish(id);
        Some(record.approval)
    }

    async fn close_open(&self, state: ApprovalState, why: &str, which: impl Fn(&Approval) -> bool) {
        let records: Vec<Record> = {
            let mut table = self.table();
            // One whose answer is on its way to the disk is answered.
            let open = table.values_mut().filter(|entry| !entry.busy && entry.record.approval.state.is_open() && which(&entry.record.approval));
            open.map(|entry| {
                close(&mut entry.record.approval, state, why);
                entry.desk = None;
                entry.record.clone()
            })
            .collect()
        };
        for record in &records {
            tracing::info!(approval = %record.approval.id, task = %record.approval.task_id, ?state, why, "approval closed without an answer");
            self.0.events.publish(Event::ApprovalChanged { approval: record.approval.clone() });
        }
        if !records.is_empty()
            && let Err(error) = self.0.store.write(records.iter().filter_map(put).collect()).await
        {
            // At the next start what is stored as pending is denied, too.
            tracing::error!(%error, "closed approvals could not be stored");
        }
    }

    /// Denies, or parks, what nobody answers in time.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        loop {
            let next = {
                let table = self.table();
                let pending = table.values().filter(|entry| entry.record.approval.state == ApprovalState::Pending && !entry.busy);
                pending.map(|entry| entry.deadline).min()
            };
            let next = next.map_or_else(|| Instant::now() + PARKED_LOOK, |next| next.min(Instant::now() + PARKED_LOOK));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.changed.notified() => {}
                () = tokio::time::sleep_until(next) => self.expire().await,
            }
        }
    }

    async fn expire(&self) {
        let (now, clock) = (Instant::now(), time::now());
        let mut parking = Vec::new();
        let over: Vec<(ApprovalId, Option<Desk>)> = {
            let mut table = self.table();
            let mut over = Vec::new();
            for entry in table.values_mut().filter(|entry| !entry.busy) {
                let approval = &entry.record.approval;
                let late = match approval.state {
                    ApprovalState::Pending => entry.deadline <= now,
                    ApprovalState::Parked => approval.expires_at <= clock,
                    _ => false,
                };
                if !late {
                    continue;
                }
                if approval.state == ApprovalState::Pending && entry.record.park {
                    entry.deadline = now + PARKED_LOOK; // if it cannot be parked by then, it is denied with its run
                    parking.extend(entry.desk.clone().map(|desk| (desk, approval.id.clone())));
                } else {
                    over.push((approval.id.clone(), entry.desk.clone()));
                }
            }
            over
        };
        for (desk, id) in parking {
            let _again_later = desk.try_send(Told::Park(id));
        }
        for (id, desk) in over {
            self.close_open(ApprovalState::Expired, "nobody answered in time", |approval| approval.id == id).await;
            let Some((desk, approval)) = desk.zip(self.get(&id)) else { continue };
            let (heard, hears) = oneshot::channel();
            let telling = async {
                desk.send(Told::Answer { approval: Box::new(approval), heard }).await.ok()?;
                hears.await.ok()
            };
            if tokio::time::timeout(TELLING, telling).await.ok().flatten().is_some() {
                self.delivered(&id).await;
            } else {
                tracing::warn!(approval = %id, "the agent was not told that nobody answered: it no longer runs, or does not listen");
            }
        }
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

/// A part of a sentence.
fn how(approval: &Approval) -> String {
    let when = |at: Millis| time::iso(at);
    match (&approval.decision, approval.state) {
        (Some(decision), ApprovalState::Allowed) => format!("allowed by {} at {}", decision.by, when(decision.at)),
        (Some(decision), ApprovalState::Denied) => format!("denied by {} at {}", decision.by, when(decision.at)),
        (Some(Decided { reason: Some(reason), .. }), _) => format!("closed: {reason}"),
        _ => "closed".to_owned(),
    }
}

/// Whether a suggestion of the agent's switches asking off, or counts for everything that the person does.
fn reaches_far(rule: &Value) -> bool {
    let word = |name: &str| rule.get(name).and_then(Value::as_str);
    let mode = word("type") == Some("setMode") && !matches!(word("mode"), Some("acceptEdits" | "plan" | "default" | "manual"));
    mode || word("destination").is_some_and(|to| !matches!(to, "session" | "localSettings"))
}

/// Whether an answer fits what is asked.
fn check(approval: &Approval, answer: &DecideApproval, by: &Principal) -> Result<(), ApprovalError> {
    let invalid = |text: String| Err(ApprovalError::Invalid(text));
    if answer.input.as_ref().is_some_and(|input| !input.is_object()) {
        return invalid("Another input is a JSON object, like the one that was asked for.".to_owned());
    }
    if answer.input.is_some() && (answer.decision != Decision::Allow || !approval.may_edit) {
        return invalid(if approval.may_edit {
            "Another input can only be given with `allow`.".to_owned()
        } else {
            format!("{} takes no other input than the one that it asked for.", approval.agent)
        });
    }
    match (answer.decision, answer.suggestion) {
        (Decision::Always, _) if approval.suggestions.is_empty() => return invalid("The agent offers no rule to keep for this.".to_owned()),
        (Decision::Always, None) if approval.suggestions.len() > 1 => {
            return invalid(format!("There are {} rules to choose from: say which with `suggestion`, from 0.", approval.suggestions.len()));
        }
        (Decision::Always, Some(place)) if place >= approval.suggestions.len() => {
            return invalid(format!("There is no suggestion {place}; there are {}, counted from 0.", approval.suggestions.len()));
        }
        (Decision::Allow | Decision::Deny | Decision::Stop, Some(_)) => return invalid("A suggestion is chosen with `always` only.".to_owned()),
        _ => {}
    }
    let kept = approval.suggestions.get(answer.suggestion.unwrap_or_default()).filter(|_| answer.decision == Decision::Always);
    if let Some(kept) = kept.filter(|kept| !by.is_owner() && reaches_far(&kept.rule)) {
        return invalid(format!(
            "Only the owner of that machine may keep `{}`: it reaches beyond this task's project.",
            loopsy_shared::text::inert(&kept.label)
        ));
    }
    for (id, given) in &answer.answers {
        let Some(question) = approval.questions.iter().find(|question| question.id == *id) else {
            return invalid(format!("There is no question `{}`.", loopsy_shared::text::inert(id)));
        };
        if given.is_empty() || (given.len() > 1 && !question.multiple) {
            return invalid(format!("The question `{}` takes {}.", question.id, if question.multiple { "at least one answer" } else { "one answer" }));
        }
    }
    if answer.decision == Decision::Allow && !approval.questions.is_empty() && answer.answers.is_empty() {
        return invalid("This is a question: answer it with `answers`, or deny it.".to_owned());
    }
    Ok(())
}
