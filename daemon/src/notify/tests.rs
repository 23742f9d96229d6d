//! The service by the clock of the test: when it tells, when it looks, and what it makes of events.

use std::sync::atomic::{AtomicU16, AtomicUsize};

use loopsy_shared::api::{
    ai_tasks::{TaskInfo, TaskStatus},
    approvals::Approval,
    events::Event,
};
use serde_json::json;

use super::*;

fn approval(id: &str, state: &str) -> Approval {
    let value = json!({
        "id": id, "nodeId": "n", "node": "leo", "taskId": "t", "agent": "claude", "kind": "tool", "tool": "Bash", "input": { "command": "s3cret" },
        "sha256": "", "description": "List files\nand more", "cwd": "/", "flags": ["deletes files"], "askedAt": 0, "expiresAt": 0, "state": state,
    });
    serde_json::from_value(value).expect("an approval")
}

fn asked(id: &str, state: &str) -> Event {
    Event::ApprovalChanged { approval: approval(id, state) }
}

fn task(id: &str, status: TaskStatus) -> TaskInfo {
    let value = json!({
        "taskId": id, "prompt": "\n  Tidy up\u{1b}[31m\nplease", "status": status, "startedAt": 0, "updatedAt": 0, "fromNodeId": "n", "agent": "claude",
    });
    serde_json::from_value(value).expect("a task")
}

fn ran(id: &str, status: TaskStatus) -> Event {
    Event::TaskChanged { task: task(id, status) }
}

/// A notifier whose notices come to a list, and its settings.
struct World {
    notifier: Notifier,
    events: Events,
    config: watch::Sender<Arc<Config>>,
    told: Arc<Mutex<Vec<Notice>>>,
    minute: Arc<AtomicU16>,
    /// How often the time of day was asked for: rounds of the loop.
    looks: Arc<AtomicUsize>,
    broken: Arc<Mutex<Option<String>>>,
    there: Arc<Mutex<Vec<Approval>>>,
    stop: CancellationToken,
}

impl World {
    fn new(notifications: serde_json::Value) -> Self {
        let (config, reader) = watch::channel(Arc::new(Config::default()));
        let (events, told) = (Events::default(), Arc::<Mutex<Vec<Notice>>>::default());
        let (minute, looks, broken) = (Arc::new(AtomicU16::new(12 * 60)), Arc::<AtomicUsize>::default(), Arc::<Mutex<Option<String>>>::default());
        let deliver: Deliver = {
            let (told, broken) = (Arc::clone(&told), Arc::clone(&broken));
            Box::new(move |notice, _| {
                told.lock().expect("whole").push(notice);
                let outcome = broken.lock().expect("whole").clone().map_or(Ok(()), Err);
                Box::pin(async move { vec![(Way::Command, outcome)] })
            })
        };
        let clock = {
            let (minute, looks) = (Arc::clone(&minute), Arc::clone(&looks));
            Box::new(move || {
                looks.fetch_add(1, Ordering::SeqCst);
                minute.load(Ordering::SeqCst)
            })
        };
        let notifier = Notifier::with(reader, events.clone(), deliver, clock);
        let world = Self { notifier, events, config, told, minute, looks, broken, there: Arc::default(), stop: CancellationToken::new() };
        world.set(notifications);
        let (notifier, stop, there) = (world.notifier.clone(), world.stop.clone(), Arc::clone(&world.there));
        tokio::spawn(async move { notifier.watch(|| Snapshot { approvals: there.lock().expect("whole").clone(), tasks: Vec::new() }, stop).await });
        world
    }

    fn set(&self, notifications: serde_json::Value) {
        let notifications = serde_json::from_value(notifications).expect("valid");
        self.config.send_replace(Arc::new(Config { notifications, ..Config::default() }));
    }

    /// Lets so much time pass (the clock of the test stands still otherwise).
    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// The titles told since the last look.
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().expect("whole")).into_iter().map(|notice| notice.title).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_away_is_told_once_and_who_is_there_is_not() {
    let world = World::new(json!({ "idle": 30, "command": ["x"] }));
    world.events.publish(asked("a", "pending"));
    world.pass(29).await;
    world.notifier.surface_used();
    world.pass(29).await;
    assert!(world.told().is_empty(), "somebody is there");
    world.pass(2).await;
    let told = world.told.lock().expect("whole").clone();
    let [notice] = told.as_slice() else { panic!("one: {told:?}") };
    assert_eq!((notice.title.as_str(), notice.body.as_str()), ("claude on leo waits for an answer: Bash", "List files [deletes files]"));
    assert_eq!((notice.approval_id.as_deref(), notice.task_id.as_deref()), (Some("a"), Some("t")));
    world.told();
    world.events.publish(asked("a", "parked"));
    world.pass(3600).await;
    assert!(world.told().is_empty(), "once is enough");
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_is_not_told_and_what_comes_close_together_is_told_in_one() {
    let world = World::new(json!({ "idle": 5, "command": ["x"] }));
    world.events.publish(asked("a", "pending"));
    world.pass(2).await;
    world.events.publish(asked("a", "allowed"));
    world.events.publish(asked("ruled", "allowed"));
    world.pass(60).await;
    assert!(world.told().is_empty());
    for id in ["b", "c", "d", "e"] {
        world.events.publish(asked(id, "pending"));
        world.pass(1).await;
    }
    world.events.publish(asked("d", "denied"));
    world.events.publish(Event::ApprovalRemoved { id: "e".into() });
    world.events.publish(asked("f", "pending"));
    assert_eq!(world.told().len(), 1, "the first at once");
    world.pass(10).await;
    assert_eq!(world.told(), ["2 approvals wait"], "the others ten seconds later, but for what was settled");
}

#[tokio::test(start_paused = true)]
async fn a_task_is_told_when_it_ends_and_not_at_its_other_changes() {
    let world = World::new(json!({ "idle": 0, "url": "http://127.0.0.1/" }));
    for status in [TaskStatus::Pending, TaskStatus::Running, TaskStatus::WaitingApproval, TaskStatus::Completed, TaskStatus::Completed] {
        world.events.publish(ran("a", status));
        world.pass(20).await;
    }
    let body = world.told.lock().expect("whole")[0].body.clone();
    assert_eq!(body, "Tidy up\\u{1b}[31m");
    assert_eq!(world.told().len(), 1, "once");
    world.events.publish(ran("never seen to run", TaskStatus::Failed));
    world.events.publish(ran("a", TaskStatus::Running));
    world.events.publish(ran("a", TaskStatus::Failed));
    world.pass(20).await;
    assert_eq!(world.told().len(), 1, "another turn has another end");
}

#[tokio::test(start_paused = true)]
async fn quiet_hours_are_waited_out_without_spinning() {
    let world = World::new(json!({ "idle": 0, "command": ["x"], "quiet": "22:00-07:00" }));
    world.minute.store(23 * 60, Ordering::SeqCst);
    world.events.publish(asked("a", "pending"));
    world.pass(1).await;
    let before = world.looks.load(Ordering::SeqCst);
    world.pass(3600).await;
    let looks = world.looks.load(Ordering::SeqCst) - before;
    assert!((59..=61).contains(&looks), "one look each minute, and not {looks}");
    assert!(world.told().is_empty());
    world.minute.store(7 * 60, Ordering::SeqCst);
    world.pass(61).await;
    assert_eq!(world.told().len(), 1);
    let before = world.looks.load(Ordering::SeqCst);
    world.pass(3600).await;
    assert_eq!(world.looks.load(Ordering::SeqCst), before, "nothing waits: nothing is looked at");
}

#[tokio::test(start_paused = true)]
async fn a_failure_shows_until_it_works_again_and_what_is_switched_off_is_forgotten() {
    let world = World::new(json!({ "idle": 0, "command": ["x"] }));
    *world.broken.lock().expect("whole") = Some("ended with code 3.".to_owned());
    world.events.publish(asked("a", "pending"));
    world.pass(1).await;
    let problem = world.notifier.problem().expect("it failed");
    assert_eq!((problem.part.as_str(), problem.message.as_str()), ("notifications", "The command of `notifications.command` ended with code 3."));
    *world.broken.lock().expect("whole") = None;
    world.events.publish(asked("b", "pending"));
    world.pass(20).await;
    assert!(world.notifier.problem().is_none());

    *world.broken.lock().expect("whole") = Some("again.".to_owned());
    world.events.publish(asked("c", "pending"));
    world.pass(20).await;
    assert!(world.notifier.problem().is_some());
    world.events.publish(asked("d", "pending"));
    world.told();
    world.set(json!({}));
    world.pass(20).await;
    assert!(world.notifier.problem().is_none());
    world.events.publish(asked("e", "pending"));
    world.pass(20).await;
    world.set(json!({ "idle": 0, "command": ["x"] }));
    world.pass(20).await;
    assert!(world.told().is_empty(), "what came while nobody was to be told");
    world.events.publish(asked("f", "pending"));
    world.pass(20).await;
    assert_eq!(world.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_never_wants_to_be_told_is_not_and_nothing_breaks() {
    let world = World::new(json!({ "idle": u64::MAX, "command": ["x"] }));
    world.notifier.surface_used();
    world.events.publish(asked("a", "pending"));
    world.pass(1_000_000).await;
    assert!(world.told().is_empty());
    world.set(json!({ "idle": 1, "command": ["x"] }));
    world.pass(2).await;
    assert_eq!(world.told().len(), 1, "the service lives");
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_looked_up() {
    let world = World::new(json!({ "idle": 60, "command": ["x"] }));
    world.events.publish(asked("answered meanwhile", "pending"));
    world.pass(1).await;
    *world.there.lock().expect("whole") = vec![approval("missed", "pending")];
    world.events.publish(asked("missed", "pending"));
    world.events.publish(asked("answered meanwhile", "allowed"));
    for number in 0..5000 {
        world.events.publish(Event::ContextRemoved { key: number.to_string() });
    }
    world.pass(120).await;
    let told = world.told.lock().expect("whole").clone();
    assert_eq!(told.iter().map(|notice| notice.approval_id.as_deref()).collect::<Vec<_>>(), [Some("missed")]);
}

#[test]
fn any_history_tells_each_approval_at_most_once_and_each_end_after_a_beginning() {
    use proptest::prelude::*;
    let step = (0..4_usize, 0..6_usize);
    proptest!(|(steps in prop::collection::vec(step, 0..80))| {
        let (mut heard, mut told) = (Heard::default(), std::collections::HashSet::new());
        let mut begun = [false; 4];
        for (which, what) in steps {
            let id = which.to_string();
            let event = match what {
                0 => asked(&id, "pending"),
                1 => asked(&id, "parked"),
                2 => asked(&id, "denied"),
                3 => ran(&id, TaskStatus::Running),
                4 => ran(&id, TaskStatus::Failed),
                _ => Event::TaskRemoved { task_id: id.as_str().into() },
            };
            match (heard.hear(&event, "leo"), what) {
                (Some(Said::Tell(notice)), 0 | 1) => prop_assert!(told.insert(notice.approval_id), "told twice while it waits"),
                (Some(Said::Settled(_)), 2) => { told.remove(&Some(id)); }
                (said, 3) => { prop_assert_eq!(said.is_some(), !begun[which]); begun[which] = true; }
                (said, 4) => { prop_assert_eq!(matches!(said, Some(Said::Tell(_))), begun[which]); begun[which] = false; }
                (said, 5) => { prop_assert!(matches!(said, Some(Said::Settled(_)))); begun[which] = false; }
                (said, _) => prop_assert!(said.is_none() && told.contains(&Some(id))),
            }
        }
    });
}
