//! What of the node's events a person may have to be told. Pure: events in, what is to be told or is settled out.

use std::collections::HashSet;

use loopsy_shared::{
    api::{
        ai_tasks::{TaskInfo, TaskStatus},
        approvals::{Approval, ApprovalState},
        events::Event,
    },
    id::{ApprovalId, TaskId},
};

use super::{Notice, NoticeKind};

/// What follows from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// This is to be told.
    Tell(Box<Notice>),
    /// Of this approval or task nobody needs to be told any more.
    Settled(String),
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// The approvals that can be answered.
    pub(crate) approvals: Vec<Approval>,
    /// All tasks.
    pub(crate) tasks: Vec<TaskInfo>,
}

/// What was heard so far. As large as what waits and runs, which others bound.
#[derive(Debug, Default)]
pub(super) struct Heard {
    waiting: HashSet<ApprovalId>,
    running: HashSet<TaskId>,
}

impl Heard {
    /// One that will only tell what comes after this.
    pub(super) fn knowing(snapshot: &Snapshot) -> Self {
        Self {
            waiting: snapshot.approvals.iter().filter(|approval| approval.state.is_open()).map(|approval| approval.id.clone()).collect(),
            running: snapshot.tasks.iter().filter(|task| !task.status.is_ended()).map(|task| task.task_id.clone()).collect(),
        }
    }

    /// One event. `node` is the name of the node that it is of.
    pub(super) fn hear(&mut self, event: &Event, node: &str) -> Option<Said> {
        match event {
            Event::ApprovalChanged { approval } => self.approval(approval),
            Event::ApprovalRemoved { id } => {
                self.waiting.remove(id);
                Some(Said::Settled(id.as_str().to_owned()))
            }
            Event::TaskChanged { task } => self.task(task, node),
            Event::TaskRemoved { task_id } => {
                self.running.remove(task_id);
                Some(Said::Settled(task_id.as_str().to_owned()))
            }
            Event::Peer { node, event, .. } => self.hear(event, node),
            _ => None,
        }
    }

    /// Events were missed: what follows from how things are now. Tasks that began and ended meanwhile are not told.
    pub(super) fn look(&mut self, snapshot: &Snapshot, node: &str) -> Vec<Said> {
        let open: HashSet<&ApprovalId> = snapshot.approvals.iter().filter(|approval| approval.state.is_open()).map(|approval| &approval.id).collect();
        let gone: Vec<ApprovalId> = self.waiting.iter().filter(|id| !open.contains(id)).cloned().collect();
        self.waiting.retain(|id| open.contains(id));
        let mut said: Vec<Said> = gone.into_iter().map(|id| Said::Settled(id.as_str().to_owned())).collect();
        said.extend(snapshot.approvals.iter().filter_map(|approval| self.approval(approval)));
        said.extend(snapshot.tasks.iter().filter_map(|task| self.task(task, node)));
        let there: HashSet<&TaskId> = snapshot.tasks.iter().map(|task| &task.task_id).collect();
        self.running.retain(|id| there.contains(id));
        said
    }

    fn approval(&mut self, approval: &Approval) -> Option<Said> {
        if !approval.state.is_open() {
            self.waiting.remove(&approval.id);
            return Some(Said::Settled(approval.id.as_str().to_owned()));
        }
        self.waiting.insert(approval.id.clone()).then(|| Said::Tell(Box::new(waits(approval))))
    }

    fn task(&mut self, task: &TaskInfo, node: &str) -> Option<Said> {
        if !task.status.is_ended() {
            // It may have ended and gone on.
            return self.running.insert(task.task_id.clone()).then(|| Said::Settled(task.task_id.as_str().to_owned()));
        }
        self.running.remove(&task.task_id).then(|| Said::Tell(Box::new(ended(task, node))))
    }
}

/// The tool's input is not in it: it may be secret, and is to be read whole, where it is answered.
fn waits(approval: &Approval) -> Notice {
    let parked = if approval.state == ApprovalState::Parked { " (parked)" } else { "" };
    let asked = approval.questions.first().map(|question| question.question.as_str());
    let what = asked.or(approval.description.as_deref()).unwrap_or_default();
    let flags = if approval.flags.is_empty() { String::new() } else { format!(" [{}]", approval.flags.join(", ")) };
    Notice {
        kind: NoticeKind::ApprovalWaits,
        title: format!("{} on {} waits for an answer{parked}: {}", approval.agent, approval.node, approval.tool),
        body: format!("{}{flags}", first_line(what)).trim().to_owned(),
        node: approval.node.clone(),
        task_id: Some(approval.task_id.as_str().to_owned()),
        approval_id: Some(approval.id.as_str().to_owned()),
    }
}

fn ended(task: &TaskInfo, node: &str) -> Notice {
    let how = match task.status {
        TaskStatus::Completed => "is done",
        TaskStatus::Cancelled => "was ended",
        _ => "failed",
    };
    Notice {
        kind: NoticeKind::TaskEnded,
        title: format!("{} on {node} {how}", task.agent),
        body: first_line(&task.prompt).to_owned(),
        node: node.to_owned(),
        task_id: Some(task.task_id.as_str().to_owned()),
        approval_id: None,
    }
}

fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}
