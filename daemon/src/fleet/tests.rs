//! What a peer may tell, and what becomes of it, in every order in which it can come.

use loopsy_shared::{
    api::{
        Scope,
        ai_tasks::{PendingApproval, TaskInfo},
        approvals::Approval,
        events::{Event, Topic},
        execute::JobInfo,
    },
    id::{ApprovalId, JobId, NodeId, TaskId},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    follow::topics_of,
    picture::{Change, MOST_APPROVAL, MOST_APPROVALS, MOST_JOBS, MOST_TASKS, Picture, size},
};

const ALL: [Topic; 3] = Topic::OF_PEERS;

fn uuid(kind: u8, n: usize) -> String {
    format!("{kind:08x}-0000-4000-8000-{n:012x}")
}

fn task(n: usize, turn: u32) -> TaskInfo {
    serde_json::from_value(json!({
        "taskId": uuid(1, n), "prompt": "p", "status": "running", "startedAt": n, "updatedAt": turn, "fromNodeId": "", "agent": "claude", "turns": turn
    }))
    .expect("a task")
}

fn approval(n: usize, state: &str) -> Approval {
    serde_json::from_value(json!({
        "id": uuid(2, n), "nodeId": "kai-id", "node": "somebody", "taskId": uuid(1, n), "agent": "claude", "kind": "tool", "tool": "Bash",
        "input": { "command": "ls" }, "sha256": "ab", "cwd": "/", "askedAt": n, "expiresAt": 9, "state": state
    }))
    .expect("an approval")
}

fn job(n: usize, running: bool) -> JobInfo {
    serde_json::from_value(json!({
        "jobId": uuid(3, n), "command": "true", "args": [], "startedAt": n, "fromNodeId": "", "principal": "admin", "running": running
    }))
    .expect("a job")
}

fn kai() -> Picture {
    Picture::new(NodeId::from("kai-id"), "kai".to_owned())
}

fn snapshot(of: &str, tasks: Vec<TaskInfo>, approvals: Vec<Approval>, jobs: Vec<JobInfo>) -> Event {
    let (peers, transfers, context, fleet) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    Event::Snapshot { node_id: NodeId::from(of), peers, jobs, transfers, context, tasks, approvals, fleet, terminals: Vec::new() }
}

fn take(picture: &mut Picture, event: Event) -> Change {
    picture.apply(event, |_| false)
}

/// What can be seen of a picture.
fn seen(picture: &Picture) -> Value {
    let shown = picture.show(&ALL);
    json!([shown.tasks, shown.approvals, shown.jobs])
}

/// The picture that a peer would send in one piece.
fn whole(picture: &Picture) -> Event {
    let shown = picture.show(&ALL);
    snapshot("kai-id", shown.tasks, shown.approvals, shown.jobs)
}

fn change() -> impl Strategy<Value = Event> {
    let state = prop::sample::select(vec!["pending", "parked", "allowed", "denied", "expired", "withdrawn"]);
    prop_oneof![
        (0..4usize, 0..9u32).prop_map(|(n, turn)| Event::TaskChanged { task: task(n, turn) }),
        (0..4usize).prop_map(|n| Event::TaskRemoved { task_id: TaskId::from(uuid(1, n)) }),
        (0..4usize, state).prop_map(|(n, state)| Event::ApprovalChanged { approval: approval(n, state) }),
        (0..4usize).prop_map(|n| Event::ApprovalRemoved { id: ApprovalId::from(uuid(2, n)) }),
        (0..4usize, any::<bool>()).prop_map(|(n, running)| Event::JobChanged { job: job(n, running) }),
        (0..4usize).prop_map(|n| Event::JobRemoved { job_id: JobId::from(uuid(3, n)) }),
    ]
}

/// The object that a change is about: the order counts only among those about the same one.
fn about(event: &Event) -> String {
    match event {
        Event::TaskChanged { task } => task.task_id.to_string(),
        Event::TaskRemoved { task_id } => task_id.to_string(),
        Event::ApprovalChanged { approval } => approval.id.to_string(),
        Event::ApprovalRemoved { id } => id.to_string(),
        Event::JobChanged { job } => job.job_id.to_string(),
        Event::JobRemoved { job_id } => job_id.to_string(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn a_snapshot_from_anywhere_and_the_changes_since_before_it_lead_to_the_same_end(
        history in prop::collection::vec(change(), 0..40),
        (at, from, again) in (0..=40usize, 0..=40usize, 0..=40usize),
        order in any::<prop::sample::Index>(),
    ) {
        let at = at.min(history.len());
        let (from, again) = (from.min(at), again.min(history.len()));
        let (mut there, mut between) = (kai(), kai());
        for (number, event) in history.iter().enumerate() {
            if number == at {
                between = there.clone();
            }
            take(&mut there, event.clone());
        }
        if at == history.len() {
            between = there.clone();
        }
        // The snapshot may be newer than the place from which changes come, part of them comes twice, and those about different objects come in another order.
        let mut here = kai();
        take(&mut here, whole(&between));
        let mut told: Vec<Event> = history[from..].to_vec();
        told.extend(history[again.max(from)..].iter().cloned());
        if !told.is_empty() {
            let first = about(&told[order.index(told.len())]);
            let (early, late): (Vec<Event>, Vec<Event>) = told.into_iter().partition(|event| about(event) == first);
            told = early.into_iter().chain(late).collect();
        }
        for event in told {
            take(&mut here, event);
        }
        prop_assert_eq!(seen(&here), seen(&there));
        // And whoever hears what this node tells of it sees the same.
        let mut surface = kai();
        take(&mut surface, whole(&here));
        prop_assert_eq!(seen(&surface), seen(&there));
    }

    #[test]
    fn what_is_told_on_is_what_is_kept(history in prop::collection::vec(change(), 0..40)) {
        let (mut here, mut surface) = (kai(), kai());
        for event in history {
            if let Change::One(event) = take(&mut here, event) {
                take(&mut surface, *event);
            }
        }
        prop_assert_eq!(seen(&surface), seen(&here));
    }
}

#[test]
fn a_peer_speaks_for_itself_alone() {
    let mut picture = kai();
    assert!(matches!(take(&mut picture, snapshot("mia-id", vec![task(1, 1)], vec![], vec![])), Change::Impostor));
    let strange = Approval { node_id: NodeId::from("mia-id"), ..approval(1, "pending") };
    assert!(matches!(take(&mut picture, Event::ApprovalChanged { approval: strange }), Change::Nothing));
    for id in ["", "../../execute", "x", &"a".repeat(36)] {
        let event = Event::ApprovalChanged { approval: Approval { id: ApprovalId::from(id), ..approval(1, "pending") } };
        assert!(matches!(take(&mut picture, event), Change::Nothing), "{id}");
        let event = Event::TaskChanged { task: TaskInfo { task_id: TaskId::from(id), ..task(1, 1) } };
        assert!(matches!(take(&mut picture, event), Change::Nothing), "{id}");
        let event = Event::JobChanged { job: JobInfo { job_id: JobId::from(id), ..job(1, true) } };
        assert!(matches!(take(&mut picture, event), Change::Nothing), "{id}");
    }
    assert_eq!(seen(&picture), json!([[], [], []]));
    let Change::One(told) = take(&mut picture, Event::ApprovalChanged { approval: approval(1, "pending") }) else { panic!("its own approval") };
    let Event::ApprovalChanged { approval } = *told else { panic!("the same event") };
    assert_eq!(approval.node, "kai", "the name is the one that this node knows it by");
    picture.rename("kai-2");
    assert_eq!(seen(&picture)[1][0]["node"], "kai-2");
}

#[test]
fn what_a_peer_tells_of_its_own_peers_is_not_taken_in() {
    let mut picture = kai();
    let inner = Event::Peer { node_id: NodeId::from("kai-id"), node: "kai".to_owned(), event: Box::new(Event::TaskChanged { task: task(1, 1) }) };
    let nested = Event::Peer { node_id: NodeId::from("kai-id"), node: "kai".to_owned(), event: Box::new(inner.clone()) };
    let of_its_own = Event::PeerPicture { picture: kai().show(&ALL) };
    for event in [inner, nested, of_its_own, Event::PeerPictureRemoved { node_id: NodeId::from("kai-id") }, Event::Closing {}] {
        assert!(matches!(take(&mut picture, event), Change::Nothing));
    }
    assert_eq!(seen(&picture), json!([[], [], []]));
}

#[test]
fn an_approval_of_somebody_else_is_not_covered_by_another_of_the_same_id() {
    let mut picture = kai();
    let id = approval(1, "pending").id;
    let all = vec![approval(1, "pending"), approval(2, "pending")];
    picture.apply(snapshot("kai-id", vec![], all, vec![]), |taken| *taken == id);
    assert!(!picture.has(&id) && picture.has(&approval(2, "pending").id));
    assert!(matches!(picture.apply(Event::ApprovalChanged { approval: approval(1, "denied") }, |taken| *taken == id), Change::Nothing));
}

#[test]
fn much_is_bounded_and_what_is_new_or_waits_stays() {
    let mut picture = kai();
    let (most, more) = (MOST_TASKS.max(MOST_JOBS), 10);
    for n in 0..most + more {
        take(&mut picture, Event::TaskChanged { task: task(n, 1) });
        take(&mut picture, Event::JobChanged { job: job(n, n < 5) });
        take(&mut picture, Event::ApprovalChanged { approval: approval(n, "pending") });
    }
    let shown = picture.show(&ALL);
    assert_eq!((shown.tasks.len(), shown.jobs.len(), shown.approvals.len()), (MOST_TASKS, MOST_JOBS, MOST_APPROVALS));
    assert_eq!(shown.tasks[0].task_id.as_str(), uuid(1, most + more - 1), "the newest task is first");
    assert_eq!(shown.jobs.iter().filter(|job| job.running).count(), 5, "jobs that run stay");
    assert_eq!(shown.approvals[0].id.as_str(), uuid(2, 0), "those that waited first stay");
    assert!(picture.overflow, "and it is known that not all are here");
    take(&mut picture, snapshot("kai-id", vec![], vec![], vec![]));
    assert!(!picture.overflow);
}

#[test]
fn what_is_too_long_cannot_be_answered_from_the_list() {
    let mut picture = kai();
    let long = "x".repeat(MOST_APPROVAL);
    let big = Approval { input: json!({ "command": long }), ..approval(1, "pending") };
    take(&mut picture, Event::ApprovalChanged { approval: big });
    // Together they may not be much either.
    for n in 2..100 {
        let half = Approval { input: json!({ "command": "y".repeat(MOST_APPROVAL / 2) }), ..approval(n, "pending") };
        take(&mut picture, Event::ApprovalChanged { approval: half });
    }
    let shown = picture.show(&ALL);
    assert_eq!(shown.approvals.len(), 99);
    assert!(size(&shown.approvals) < 33 << 20, "{}", size(&shown.approvals));
    let first = &shown.approvals[0];
    assert!(first.input.is_null() && first.sha256.is_empty() && first.flags[0].contains("too long"), "{first:?}");
    assert!(!shown.approvals[1].input.is_null() && shown.approvals[98].input.is_null());
    let asked = PendingApproval { tool_input: json!("z".repeat(1 << 20)), ..PendingApproval::from(&approval(1, "pending")) };
    let huge = TaskInfo { prompt: "é".repeat(1 << 20), pending_approval: Some(asked), ..task(1, 1) };
    take(&mut picture, Event::TaskChanged { task: huge });
    let hopeless = TaskInfo { session_id: Some("s".repeat(1 << 20)), ..task(2, 1) };
    take(&mut picture, Event::TaskChanged { task: hopeless });
    take(&mut picture, Event::JobChanged { job: JobInfo { args: vec!["a".repeat(9_000); 9], ..job(1, true) } });
    let shown = picture.show(&ALL);
    assert_eq!((shown.tasks.len(), shown.jobs.len()), (1, 1));
    assert!(size(&shown.tasks) < 8_000 && size(&shown.jobs) < 8_000);
    assert_eq!(shown.tasks[0].pending_approval.as_ref().map(|asked| asked.sha256.as_str()), Some(""));
}

#[test]
fn only_topics_that_the_key_may_see_are_asked_for() {
    assert_eq!(topics_of(&Scope::ALL), ALL);
    assert_eq!(topics_of(&[Scope::Status, Scope::AiTasks]), [Topic::Tasks]);
    assert_eq!(topics_of(&[Scope::Status, Scope::Approve]), [Topic::Approvals]);
    assert_eq!(topics_of(&[Scope::Status, Scope::Context]), [] as [Topic; 0]);
}
