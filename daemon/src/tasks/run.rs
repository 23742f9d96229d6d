//! One run of an agent: the only one that talks to its process. What the driver says is done here, and what happens is told to the driver.

mod commands;
mod questions;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use loopsy_shared::{
    api::{
        Needs, Scope,
        ai_tasks::{EndedBy, TaskEventKind, TaskStatus},
        approvals::{Approval, ApprovalState, Decided, Decision},
    },
    id::ApprovalId,
    text::inert,
};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    Shared, Task,
    lines::{Line, Lines},
    process::{Agent, Exited, Told as Said},
};
use crate::{
    agents::{
        self,
        driver::{Ask, Driver, NewEvent, Outcome, Step, Steps, Turn},
    },
    approvals::{self, Asker, Told},
    store::StoreError,
    trust::Principal,
};

/// What may wait until the run has time for it. Past this, whoever wants something waits.
pub(super) const COMMANDS: usize = 64;
/// How long an agent may take to end by itself once nothing more is said to it.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long it may take to act on an interruption before its process is ended.
const INTERRUPTION: Duration = Duration::from_secs(10);
/// How long output may go on after the process has ended, while something else holds it open.
const DRAIN: Duration = Duration::from_millis(500);
/// How long an agent that reads nothing any more may take to end by itself.
const DEAFNESS: Duration = Duration::from_secs(2);
/// How long a parked run may take to end by itself.
const PARKING: Duration = Duration::from_secs(5);
/// Questions of one run that may be open at once. An agent with more is out of control, or wants to be: the next is denied.
const MOST_OPEN: usize = 64;
/// Lines of standard error that are kept of a run.
const MOST_STDERR: usize = 200;
/// Lines of standard error that a failure is explained with.
const LAST_WORDS: usize = 5;

/// What others want of a run.
#[derive(Debug)]
pub(super) enum Command {
    /// Say something more to the agent. Dropped when it can no longer listen.
    Say(String, oneshot::Sender<()>),
    /// End what it does now.
    Interrupt,
    /// End it.
    End(EndedBy),
    /// A hook of the agent was called with this; the answer is what the hook prints.
    Hook(Value, oneshot::Sender<Value>),
    /// Something inside the task asks a person, and will come to see the answer.
    Poll(Box<Ask>, Stored),
}

/// Who waits for the answer to a question.
#[derive(Debug)]
enum Waits {
    Driver,
    Hook { event: Value, reply: oneshot::Sender<Value> },
    Poll,
}

/// A question that is open.
#[derive(Debug)]
struct Open {
    key: String,
    waits: Waits,
}

/// Told once a question is stored, or cannot be.
type Stored = oneshot::Sender<Result<(), StoreError>>;

type Asking = BoxFuture<'static, (String, Waits, Option<Stored>, Result<Approval, StoreError>)>;

/// How a run came to its end.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) status: TaskStatus,
    pub(super) ended_by: EndedBy,
    pub(super) error: Option<String>,
    pub(super) exit: Option<Exited>,
}

/// What a run is made of.
pub(super) struct Parts {
    pub(super) driver: Box<dyn Driver>,
    pub(super) agent: Agent,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) timeout: Option<Duration>,
    /// What is pasted into the agent's screen once its session has begun, as it is.
    pub(super) type_first: Option<String>,
    /// Whose key it runs with.
    pub(super) principal: Arc<Principal>,
    pub(super) cwd: PathBuf,
    /// The repository that `cwd` is in.
    pub(super) repository: Option<PathBuf>,
    pub(super) peer: Option<String>,
    pub(super) park: bool,
}

pub(super) struct Run {
    shared: Arc<Shared>,
    task: Task,
    driver: Box<dyn Driver>,
    agent: Agent,
    asker: Asker,
    /// By the id that this node gave them: the agent's own names for questions decide nothing.
    open: HashMap<ApprovalId, Open>,
    /// The agent's names of questions that are open or being stored. Each may stand for one at a time.
    keys: HashSet<String>,
    /// Questions that were taken back before they were stored.
    withdrawn: HashMap<String, String>,
    /// Answers that came before this run heard that its question is stored.
    early: HashMap<ApprovalId, Told>,
    asking: FuturesUnordered<Asking>,
    events: Vec<NewEvent>,
    turn: Option<Turn>,
    /// Set when somebody, and not the agent, ends it.
    ended_by: Option<EndedBy>,
    stopped_by_no: bool,
    error: Option<String>,
    stderr: Vec<String>,
    stderr_lines: usize,
    /// Dollars of the runs before this one.
    spent: f64,
    used: loopsy_shared::api::ai_tasks::Usage,
    timeout: Option<Duration>,
    /// Time that the agent itself may still take.
    left: Option<Duration>,
    counting_since: Instant,
    /// When the process is ended if it has not ended by itself.
    deadline: Option<Instant>,
    killed: bool,
    farewell: bool,
    deaf: bool,
    type_first: Option<String>,
}

impl Run {
    /// Runs the agent to its end.
    pub(super) async fn run(shared: Arc<Shared>, task: Task, parts: Parts) -> Over {
        let Parts { driver, agent, mut commands, timeout, type_first, principal, cwd, repository, peer, park } = parts;
        let (desk, mut told) = mpsc::channel(COMMANDS);
        let info = task.info();
        let asker =
            Asker { node: shared.parts.config.borrow().hostname(), task: task.id().clone(), agent: info.agent.clone(), repository, cwd, peer, park, desk };
        let mut run = Self {
            spent: info.cost_usd.unwrap_or_default(),
            used: info.usage,
            shared,
            task,
            driver,
            agent,
            asker,
            open: HashMap::new(),
            keys: HashSet::new(),
            withdrawn: HashMap::new(),
            early: HashMap::new(),
            asking: FuturesUnordered::new(),
            events: Vec::new(),
            turn: None,
            ended_by: None,
            stopped_by_no: false,
            error: None,
            stderr: Vec::new(),
            stderr_lines: 0,
            timeout,
            left: timeout,
            counting_since: Instant::now(),
            deadline: None,
            killed: false,
            farewell: false,
            deaf: false,
            type_first,
        };
        let steps = run.driver.start();
        run.carry_out(steps, None).await;
        let exit = run.until_exit(&mut commands, &mut told, principal).await;
        drop(told); // an answer that comes now reaches nobody
        run.finish(exit).await
    }

    async fn until_exit(&mut self, commands: &mut mpsc::Receiver<Command>, told: &mut mpsc::Receiver<Told>, mut principal: Arc<Principal>) -> Exited {
        let (mut exit, mut printing, mut complaining): (Option<Exited>, _, _) = (None, true, true);
        let stopping = self.shared.parts.stopping.clone();
        loop {
            self.flush().await;
            if let (Some(exit), false) = (&exit, printing || complaining) {
                return exit.clone();
            }
            let alarm = self.alarm(exit.is_some());
            tokio::select! {
                lines = next(&mut self.agent.stdout), if printing => match lines {
                    Ok(lines) if lines.is_empty() => printing = false,
                    Ok(lines) => self.heard(lines).await,
                    Err(error) => {
                        tracing::warn!(%error, task = %self.task.id(), "the agent's output cannot be read");
                        printing = false;
                    }
                },
                lines = next(&mut self.agent.stderr), if complaining => match lines {
                    Ok(lines) if !lines.is_empty() => self.complained(lines),
                    _ => complaining = false,
                },
                Some(answer) = told.recv(), if exit.is_none() => self.answered(answer).await,
                Some(command) = commands.recv(), if exit.is_none() => self.commanded(command).await,
                Some((key, waits, stored, asked)) = self.asking.next() => self.asked(key, waits, stored, asked).await,
                Some(()) = self.agent.lost.recv(), if exit.is_none() && !self.farewell => self.deaf(),
                ended = self.agent.body.ended(), if exit.is_none() => {
                    exit = Some(ended);
                    self.deadline = Some(Instant::now() + DRAIN);
                    (printing, complaining) = (printing && self.agent.stdout.is_some(), complaining && self.agent.stderr.is_some());
                }
                () = principal.revoked.cancelled(), if self.ended_by.is_none() && exit.is_none() => match holder(&self.shared, &principal) {
                    Some(heir) => principal = heir,
                    None => self.end(EndedBy::Revoked).await,
                },
                () = stopping.cancelled(), if self.ended_by.is_none() && exit.is_none() => self.stop().await,
                () = sleep_until(alarm) => {
                    if exit.is_some() {
                        (printing, complaining) = (false, false); // something that it left behind holds the pipes
                    } else {
                        self.time_is_up().await;
                    }
                }
            }
        }
    }

    /// When something is to happen if nothing else does.
    fn alarm(&self, exited: bool) -> Option<Instant> {
        let timeout = self.left.filter(|_| self.ended_by.is_none() && !exited && !self.a_person_is_waited_for()).map(|left| self.counting_since + left);
        timeout.into_iter().chain(self.deadline).min()
    }

    async fn time_is_up(&mut self) {
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.deadline = None;
            if self.deaf && self.ended_by.is_none() {
                self.error.get_or_insert_with(|| "The agent does not read what it is told.".to_owned());
            }
            self.kill().await;
        } else if self.left.is_some_and(|left| self.counting_since + left <= Instant::now()) {
            let text = format!("The task's time was up ({} s).", self.timeout.unwrap_or_default().as_secs());
            self.events.push(NewEvent { kind: TaskEventKind::Error, data: Value::String(text.clone()), block: None });
            self.error = Some(text);
            self.left = None;
            self.end(EndedBy::Timeout).await;
        }
    }

    /// The agent takes nothing any more. If it has not just ended, it is ended.
    fn deaf(&mut self) {
        self.deaf = true;
        self.deadline.get_or_insert(Instant::now() + DEAFNESS);
    }

    async fn heard(&mut self, lines: Vec<Line>) {
        for line in lines {
            let steps = match line {
                Line::Whole(line) => self.driver.heard(&line),
                Line::TooLong(bytes) => vec![Step::system("raw", Map::from_iter([("omittedBytes".to_owned(), json!(bytes))]))],
            };
            self.carry_out(steps, None).await;
        }
    }

    fn complained(&mut self, lines: Vec<Line>) {
        for line in lines {
            let Line::Whole(line) = line else { continue };
            self.stderr_lines += 1;
            if self.stderr_lines <= MOST_STDERR {
                self.events.push(system("stderr", json!({ "text": line })));
            }
            self.stderr.push(line);
            let surplus = self.stderr.len().saturating_sub(LAST_WORDS);
            self.stderr.drain(..surplus);
        }
    }

    /// Does what the driver says. `heard` is told when the last line of it has been written.
    async fn carry_out(&mut self, steps: Steps, mut heard: Option<oneshot::Sender<()>>) {
        let last_line = steps.iter().rposition(|step| matches!(step, Step::Send(_)));
        let last_turn = steps.iter().rposition(|step| matches!(step, Step::Turn(_)));
        let goes_on = last_line > last_turn;
        for (place, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(line) => {
                    let told = if last_line == Some(place) { heard.take() } else { None };
                    if !self.agent.say(Said::Line(line, told)) && !self.farewell {
                        self.deaf();
                    }
                }
                Step::Close => {
                    self.agent.say(Said::Close);
                }
                Step::Event(event) => self.events.push(event),
                Step::Ask(ask) => self.ask(*ask, Waits::Driver, None),
                Step::Withdraw { key, why } => self.withdraw(&key, &why).await,
                Step::Known { session, model, version } => self.task.known(&self.shared, session, model, version).await,
                Step::Turn(turn) => self.turn_ended(turn, goes_on).await,
            }
        }
    }

    async fn turn_ended(&mut self, turn: Turn, goes_on: bool) {
        let cost = turn.cost_usd.map(|cost| self.spent + cost);
        let used = self.used;
        let usage = loopsy_shared::api::ai_tasks::Usage {
            input_tokens: used.input_tokens + turn.usage.input_tokens,
            output_tokens: used.output_tokens + turn.usage.output_tokens,
            cached_tokens: used.cached_tokens + turn.usage.cached_tokens,
        };
        self.task
            .update(&self.shared, |info| {
                info.turns += 1;
                info.cost_usd = cost.or(info.cost_usd);
                info.usage = usage;
            })
            .await;
        let over_budget = self.task.budget().zip(cost).is_some_and(|(most, cost)| cost > most);
        if self.stopped_by_no && turn.outcome == Outcome::Interrupted {
            self.ended_by.get_or_insert(EndedBy::Denial);
        }
        let interactive = self.agent.is_screen();
        self.turn = Some(turn);
        if over_budget {
            self.error = Some("The task cost more than it might (`maxBudgetUsd`).".to_owned());
            self.end(EndedBy::Budget).await;
        } else if !goes_on && !interactive {
            self.say_farewell().await;
        }
    }

    async fn say_farewell(&mut self) {
        if !self.farewell {
            self.farewell = true;
            self.deadline.get_or_insert(Instant::now() + FAREWELL);
            let steps = self.driver.finish();
            Box::pin(self.carry_out(steps, None)).await;
        }
    }

    async fn finish(mut self, exit: Exited) -> Over {
        let parked = self.turn.as_ref().is_some_and(|turn| turn.outcome == Outcome::Parked);
        // Questions that are just being stored come to nothing.
        while let Some((key, _, stored, asked)) = self.asking.next().await {
            if let Ok(approval) = asked {
                self.open.insert(approval.id, Open { key, waits: Waits::Poll });
            }
            drop(stored);
        }
        let why = match self.ended_by {
            None => "the agent ended while it waited",
            Some(EndedBy::Restart) => "the daemon stopped while it waited",
            Some(EndedBy::Timeout) => "the task's time was up",
            Some(_) => "the task was ended",
        };
        self.shared.parts.approvals.run_ended(self.task.id(), why).await;
        self.events.push(NewEvent { kind: TaskEventKind::Exit, data: json!({ "exitCode": exit.code, "signal": exit.signal }), block: None });
        self.flush().await;
        let over = |status, ended_by, error| Over { status, ended_by, error, exit: Some(exit.clone()) };
        let open_parked = self.shared.parts.approvals.open().iter().any(|approval| approval.task_id == *self.task.id());
        if (parked || self.asker.park) && open_parked && self.ended_by.is_none_or(|by| by == EndedBy::Restart) {
            return over(TaskStatus::WaitingApproval, EndedBy::Agent, None);
        }
        if let Some(by) = self.ended_by {
            return match by {
                EndedBy::Restart => over(TaskStatus::Failed, by, Some("The daemon stopped while it ran. It can go on: loopsy task resume".to_owned())),
                EndedBy::Agent => over(TaskStatus::Failed, by, self.error),
                _ => over(TaskStatus::Cancelled, by, self.error),
            };
        }
        match self.turn.map(|turn| turn.outcome) {
            _ if self.error.is_some() => over(TaskStatus::Failed, EndedBy::Agent, self.error),
            Some(Outcome::Done) => over(TaskStatus::Completed, EndedBy::Agent, None),
            Some(Outcome::Failed(error)) => over(TaskStatus::Failed, EndedBy::Agent, Some(error)),
            Some(Outcome::Interrupted) => over(TaskStatus::Cancelled, EndedBy::Interrupt, None),
            Some(Outcome::OverBudget) => over(TaskStatus::Cancelled, EndedBy::Budget, Some("The task cost more than it might (`maxBudgetUsd`).".to_owned())),
            Some(Outcome::Parked) | None if self.agent.is_screen() && exit.code == Some(0) => over(TaskStatus::Completed, EndedBy::Agent, None),
            Some(Outcome::Parked) | None => {
                let how = match (exit.code, &exit.signal) {
                    (Some(code), _) => format!("exit code {code}"),
                    (None, Some(signal)) => signal.clone(),
                    (None, None) => "nobody knows how".to_owned(),
                };
                let words = inert(&self.stderr.join(" ")).into_owned();
                let words = if words.is_empty() { words } else { format!(" It said: {words}") };
                over(TaskStatus::Failed, EndedBy::Agent, Some(format!("The agent ended ({how}) before it was done.{words}")))
            }
        }
    }

    async fn flush(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.events);
        if let Err(error) = self.task.append(events).await {
            tracing::error!(%error, task = %self.task.id(), "the events of a task cannot be stored");
            self.error = Some(format!("The task's events cannot be stored ({error}), so it was ended."));
            self.kill().await;
        }
    }
}

async fn next(lines: &mut Option<Lines>) -> std::io::Result<Vec<Line>> {
    match lines {
        Some(lines) => lines.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Who a run belongs to now: the same machine with other rights, if it may still have tasks here, so that what it began goes on. Nobody, when the key is gone.
pub(super) fn holder(shared: &Shared, principal: &Arc<Principal>) -> Option<Arc<Principal>> {
    if !principal.revoked.is_cancelled() {
        return Some(Arc::clone(principal));
    }
    shared.parts.trust.successor(principal).filter(|now| now.may(Needs::Scope(Scope::AiTasks)))
}

pub(super) fn system(subtype: &str, data: Value) -> NewEvent {
    let mut data = if let Value::Object(data) = data { data } else { Map::new() };
    data.insert("subtype".to_owned(), json!(subtype));
    NewEvent { kind: TaskEventKind::System, data: Value::Object(data), block: None }
}

pub(super) fn status(data: Value) -> NewEvent {
    NewEvent { kind: TaskEventKind::Status, data, block: None }
}

fn system_error(text: &str) -> NewEvent {
    NewEvent { kind: TaskEventKind::Error, data: json!(text), block: None }
}
