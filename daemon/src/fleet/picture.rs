//! What is known of one peer: events in, the newest picture out. Nothing here waits, locks or asks.
//!
//! Whatever a peer tells may be wrong on purpose. It tells only of itself, in ids that could be real, and only so much.

use std::{
    collections::{BTreeMap, HashMap},
    io,
};

use loopsy_shared::{
    api::{
        ai_tasks::TaskInfo,
        approvals::Approval,
        events::{Event, PeerPicture, Topic},
        execute::JobInfo,
    },
    id::{ApprovalId, JobId, NodeId, TaskId},
    time::{self, Millis},
};
use serde::Serialize;
use serde_json::Value;

/// Tasks that are kept of a peer; those that began first go first.
pub(super) const MOST_TASKS: usize = 1_000;
/// Approvals that are kept of a peer. What comes beyond is not shown, and the peer counts as not seen.
pub(super) const MOST_APPROVALS: usize = 500;
/// Jobs that are kept of a peer; those that ended go first.
pub(super) const MOST_JOBS: usize = 1_000;
/// Bytes of one approval (as JSON). A longer one is kept without what is asked, and is asked for when somebody wants to see it.
pub(super) const MOST_APPROVAL: usize = 1 << 20;
/// Bytes of all approvals of a peer together; beyond, each further one counts as too long.
const MOST_APPROVALS_BYTES: usize = 32 << 20;
/// Bytes of one task. Of a longer one the texts are cut.
const MOST_TASK: usize = 32 << 10;
/// Bytes of one job. Of a longer one the arguments are cut.
const MOST_JOB: usize = 16 << 10;
/// Bytes of a text that was cut.
const CUT: usize = 2 << 10;
/// What a person reads on an approval that is too long.
const TOO_LONG: &str = "too long for a list: look at the approval itself";

/// The newest picture of a peer.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) node_id: NodeId,
    pub(super) node: String,
    pub(super) since: Millis,
    pub(super) stale: bool,
    pub(super) topics: Vec<Topic>,
    /// Whether there were more approvals than are kept.
    pub(super) overflow: bool,
    tasks: HashMap<TaskId, TaskInfo>,
    /// With their sizes.
    approvals: HashMap<ApprovalId, (usize, Approval)>,
    jobs: HashMap<JobId, JobInfo>,
}

/// What an event did.
#[derive(Debug)]
pub(super) enum Change {
    /// Nothing that anybody has to know.
    Nothing,
    /// This, as it may be told.
    One(Box<Event>),
    /// Everything.
    Whole,
    /// The peer says that it is another node.
    Impostor,
}

impl Picture {
    /// An empty one, out of reach so far.
    pub(super) fn new(node_id: NodeId, node: String) -> Self {
        Self {
            node_id,
            node,
            since: time::now(),
            stale: true,
            topics: Vec::new(),
            overflow: false,
            tasks: HashMap::new(),
            approvals: HashMap::new(),
            jobs: HashMap::new(),
        }
    }

    /// Whether an approval of this id waits there.
    pub(super) fn has(&self, id: &ApprovalId) -> bool {
        self.approvals.contains_key(id)
    }

    /// Takes an event in. `taken` says whether somebody else has an approval of that id already.
    pub(super) fn apply(&mut self, event: Event, taken: impl Fn(&ApprovalId) -> bool) -> Change {
        match event {
            Event::Snapshot { node_id, .. } if node_id != self.node_id => Change::Impostor,
            Event::Snapshot { tasks, approvals, jobs, .. } => {
                self.overflow = false;
                self.tasks.clear();
                self.approvals.clear();
                self.jobs.clear();
                tasks.into_iter().for_each(|task| drop(self.take_task(task)));
                approvals.into_iter().for_each(|approval| drop(self.take_approval(approval, &taken)));
                jobs.into_iter().for_each(|job| drop(self.take_job(job)));
                Change::Whole
            }
            Event::TaskChanged { task } => told(self.take_task(task).map(|task| Event::TaskChanged { task })),
            Event::TaskRemoved { task_id } => told(self.tasks.remove(&task_id).map(|_| Event::TaskRemoved { task_id })),
            Event::ApprovalChanged { approval } => told(self.take_approval(approval, &taken).map(|approval| Event::ApprovalChanged { approval })),
            Event::ApprovalRemoved { id } => told(self.approvals.remove(&id).map(|_| Event::ApprovalRemoved { id })),
            Event::JobChanged { job } => told(self.take_job(job).map(|job| Event::JobChanged { job })),
            Event::JobRemoved { job_id } => told(self.jobs.remove(&job_id).map(|_| Event::JobRemoved { job_id })),
            // Least of all what it tells of its own peers: a peer speaks for itself.
            _ => Change::Nothing,
        }
    }

    /// The peer has another name now.
    pub(super) fn rename(&mut self, node: &str) {
        node.clone_into(&mut self.node);
        self.approvals.values_mut().for_each(|(_, approval)| node.clone_into(&mut approval.node));
    }

    /// Approvals that wait, in no order.
    pub(super) fn approvals(&self) -> impl Iterator<Item = &Approval> {
        self.approvals.values().map(|(_, approval)| approval)
    }

    /// As others see it.
    pub(super) fn show(&self, topics: &[Topic]) -> PeerPicture {
        let wants = |topic| topics.contains(&topic);
        let mut tasks: Vec<TaskInfo> = self.tasks.values().filter(|_| wants(Topic::Tasks)).cloned().collect();
        tasks.sort_by(|a, b| (b.started_at, &b.task_id).cmp(&(a.started_at, &a.task_id)));
        let mut approvals: Vec<Approval> = self.approvals().filter(|_| wants(Topic::Approvals)).cloned().collect();
        approvals.sort_by(|a, b| (a.asked_at, &a.id).cmp(&(b.asked_at, &b.id)));
        let mut jobs: Vec<JobInfo> = self.jobs.values().filter(|_| wants(Topic::Jobs)).cloned().collect();
        jobs.sort_by(|a, b| (a.started_at, &a.job_id).cmp(&(b.started_at, &b.job_id)));
        let (node_id, node, topics) = (self.node_id.clone(), self.node.clone(), self.topics.clone());
        PeerPicture { node_id, node, since: self.since, stale: self.stale, topics, tasks, approvals, jobs }
    }

    fn take_task(&mut self, mut task: TaskInfo) -> Option<TaskInfo> {
        if !TaskId::is_well_formed(task.task_id.as_str()) {
            return None;
        }
        if size(&task) > MOST_TASK {
            [&mut task.prompt, &mut task.cwd, &mut task.agent, &mut task.from_node_id].into_iter().for_each(cut);
            task.error.iter_mut().for_each(cut);
            if let Some(asked) = &mut task.pending_approval {
                // Without the hash it cannot be answered by somebody who did not see the input.
                (asked.tool_input, asked.sha256) = (Value::Null, String::new());
                asked.description.iter_mut().for_each(cut);
            }
        }
        if size(&task) > MOST_TASK {
            return None;
        }
        self.tasks.insert(task.task_id.clone(), task.clone());
        if self.tasks.len() > MOST_TASKS {
            let oldest = self.tasks.values().min_by_key(|task| (task.started_at, &task.task_id)).map(|task| task.task_id.clone());
            oldest.map(|id| self.tasks.remove(&id));
        }
        Some(task)
    }

    fn take_approval(&mut self, mut approval: Approval, taken: impl Fn(&ApprovalId) -> bool) -> Option<Approval> {
        let own = approval.node_id == self.node_id && ApprovalId::is_well_formed(approval.id.as_str()) && TaskId::is_well_formed(approval.task_id.as_str());
        if !own || taken(&approval.id) {
            tracing::warn!(peer = %self.node, "a peer tells of an approval that is not its own");
            return None;
        }
        self.node.clone_into(&mut approval.node);
        self.approvals.remove(&approval.id);
        let mut bytes = size(&approval);
        let all: usize = self.approvals.values().map(|(bytes, _)| bytes).sum();
        if bytes > MOST_APPROVAL || all.saturating_add(bytes) > MOST_APPROVALS_BYTES {
            without_content(&mut approval);
            bytes = size(&approval);
        }
        if !approval.state.is_open() {
            return (bytes <= MOST_APPROVAL).then_some(approval);
        }
        if bytes > MOST_APPROVAL || self.approvals.len() >= MOST_APPROVALS {
            if !std::mem::replace(&mut self.overflow, true) {
                tracing::warn!(peer = %self.node, "a peer has more approvals than can be shown");
            }
            return None;
        }
        self.approvals.insert(approval.id.clone(), (bytes, approval.clone()));
        Some(approval)
    }

    fn take_job(&mut self, mut job: JobInfo) -> Option<JobInfo> {
        if !JobId::is_well_formed(job.job_id.as_str()) {
            return None;
        }
        if size(&job) > MOST_JOB {
            [&mut job.command, &mut job.from_node_id, &mut job.principal].into_iter().for_each(cut);
            job.args.truncate(2);
            job.args.iter_mut().for_each(cut);
            job.args.push("…".to_owned());
        }
        if size(&job) > MOST_JOB {
            return None;
        }
        self.jobs.insert(job.job_id.clone(), job.clone());
        if self.jobs.len() > MOST_JOBS {
            let first = self.jobs.values().min_by_key(|job| (job.running, job.started_at, &job.job_id)).map(|job| job.job_id.clone());
            first.map(|id| self.jobs.remove(&id));
        }
        Some(job)
    }
}

/// Takes out what is long. Without input there is no hash either: nobody can answer what was not shown.
fn without_content(approval: &mut Approval) {
    (approval.input, approval.diff, approval.decision) = (Value::Null, None, None);
    approval.sha256.clear();
    approval.paths.clear();
    approval.suggestions.clear();
    approval.questions.clear();
    approval.flags = vec![TOO_LONG.to_owned()];
    approval.description.iter_mut().chain(&mut approval.reason).chain(&mut approval.rule).for_each(cut);
    [&mut approval.agent, &mut approval.tool, &mut approval.cwd].into_iter().for_each(cut);
}

fn told(event: Option<Event>) -> Change {
    event.map_or(Change::Nothing, |event| Change::One(Box::new(event)))
}

/// Cuts a text that is too long.
fn cut(text: &mut String) {
    if text.len() > CUT {
        text.truncate(text.floor_char_boundary(CUT));
        text.push('…');
    }
}

/// The length of something as JSON.
pub(super) fn size(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// Whether an approval of this id waits at another of these than `node`.
pub(super) fn taken_by_another(pictures: &BTreeMap<NodeId, Picture>, node: &NodeId, id: &ApprovalId) -> bool {
    pictures.iter().any(|(other, picture)| other != node && picture.has(id))
}
