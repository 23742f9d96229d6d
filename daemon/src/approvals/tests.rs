//! What fails closed: nothing is granted by a restart, a wrong hash, a second answer, or silence.

use std::path::Path;

use loopsy_shared::{api::approvals::Suggestion, config::Rule, paths::DataDir};
use serde_json::json;

use super::*;
use crate::trust::Role;

struct Here {
    dir: tempfile::TempDir,
    config: watch::Sender<Arc<Config>>,
    store: Store,
    approvals: Approvals,
}

impl Here {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self::open(tempfile::tempdir().expect("made"), watch::Sender::new(Arc::new(config)))
    }

    fn open(dir: tempfile::TempDir, config: watch::Sender<Arc<Config>>) -> Self {
        let (store, loaded) = Store::open(&DataDir::new(dir.path().join("data")).expect("a path")).expect("opens");
        let (approvals, writes) =
            Approvals::new(NodeId::from("here"), config.subscribe(), store.clone(), Events::default(), dir.path().to_owned(), &loaded.approvals);
        if !writes.is_empty() {
            let store = store.clone();
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(store.write(writes))).expect("stored");
        }
        Self { dir, config, store, approvals }
    }

    /// The daemon dies and comes back: what was not on disk is gone.
    fn restart(self) -> Self {
        let Self { dir, config, store, approvals } = self;
        drop(approvals);
        store.shutdown_blocking();
        Self::open(dir, config)
    }

    fn asker(&self, desk: Desk) -> Asker {
        asker(self.dir.path(), desk)
    }

    async fn ask(&self, desk: &Desk, key: &str, command: &str) -> Approval {
        self.approvals.ask(self.asker(desk.clone()), Ask::tool(key, "Bash", json!({ "command": command }))).await.expect("stored")
    }
}

fn asker(cwd: &Path, desk: Desk) -> Asker {
    let (node, agent) = ("here".to_owned(), "claude".to_owned());
    Asker { node, task: TaskId::from("task"), agent, cwd: cwd.to_owned(), peer: None, repository: None, park: false, desk }
}

fn somebody(owner: bool) -> Principal {
    let (name, role) = if owner { ("admin", Role::Owner) } else { ("kai", Role::Peer) };
    Principal { name: name.to_owned(), role, ..Principal::nobody() }
}

fn yes(approval: &Approval) -> DecideApproval {
    DecideApproval {
        id: approval.id.clone(),
        sha256: approval.sha256.clone(),
        decision: Decision::Allow,
        reason: None,
        input: None,
        suggestion: None,
        answers: BTreeMap::new(),
    }
}

/// An agent that takes every answer and tells which keys were granted.
fn agent() -> (Desk, tokio::task::JoinHandle<Vec<String>>) {
    let (desk, mut told) = mpsc::channel(8);
    let hears = tokio::spawn(async move {
        let mut granted = Vec::new();
        while let Some(told) = told.recv().await {
            let Told::Answer { approval, heard } = told else { continue };
            if approval.decision.as_ref().is_some_and(|decision| decision.decision.is_yes()) {
                granted.push(approval.input["command"].as_str().unwrap_or_default().to_owned());
            }
            let _nobody = heard.send(());
        }
        granted
    });
    (desk, hears)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_stored_before_it_is_shown_and_denied_by_a_restart() {
    let here = Here::new(|_| {});
    let (desk, _told) = mpsc::channel(8);
    let asked = here.ask(&desk, "one", "rm -rf x").await;
    assert_eq!(here.approvals.open(), std::slice::from_ref(&asked));
    let here = here.restart();
    let after = here.approvals.get(&asked.id).expect("kept");
    assert_eq!((after.state, after.decision.as_ref().map(|d| d.by.as_str())), (ApprovalState::Expired, Some(DAEMON)));
    assert!(matches!(here.approvals.decide(&somebody(true), yes(&asked)).await, Err(ApprovalError::Closed { .. })));
    let again = here.restart();
    assert_eq!(again.approvals.get(&asked.id), Some(after), "the denial is stored, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_hash_that_was_shown_counts() {
    let here = Here::new(|_| {});
    let (desk, granted) = agent();
    let asked = here.ask(&desk, "one", "ls").await;
    let wrong = DecideApproval { sha256: "0".repeat(64), ..yes(&asked) };
    assert_eq!(here.approvals.decide(&somebody(true), wrong).await, Err(ApprovalError::Changed(asked.id.clone())));
    assert_eq!(here.approvals.get(&asked.id), Some(asked.clone()), "nothing has changed");
    let answered = here.approvals.decide(&somebody(true), yes(&asked)).await.expect("answered");
    assert!(answered.state == ApprovalState::Allowed && answered.decision.is_some_and(|decision| decision.delivered && decision.by == "admin"));
    drop((desk, here));
    assert_eq!(granted.await.expect("ended"), ["ls"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_answers_at_once_the_first_counts() {
    let here = Here::new(|_| {});
    let (desk, granted) = agent();
    let asked = here.ask(&desk, "one", "ls").await;
    let answers = (0..32).map(|n| {
        let (approvals, answer) = (here.approvals.clone(), yes(&asked));
        tokio::spawn(async move { approvals.decide(&Principal { name: format!("person {n}"), ..somebody(true) }, answer).await.is_ok() })
    });
    let won = futures_util::future::join_all(answers).await.into_iter().filter(|won| matches!(won, Ok(true))).count();
    drop((desk, here));
    assert_eq!((won, granted.await.expect("ended").len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_that_reaches_nobody_says_so() {
    let here = Here::new(|_| {});
    let (desk, told) = mpsc::channel(8);
    let asked = here.ask(&desk, "one", "ls").await;
    drop(told); // the agent has died
    let answered = here.approvals.decide(&somebody(true), yes(&asked)).await.expect("stored");
    assert_eq!(answered.decision.map(|decision| decision.delivered), Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobodys_answer_is_a_no_and_the_agent_hears_it() {
    let here = Here::new(|config| config.approvals.timeout = 20);
    let stop = CancellationToken::new();
    let clock = {
        let (approvals, stop) = (here.approvals.clone(), stop.clone());
        tokio::spawn(async move { approvals.watch(stop).await })
    };
    let (desk, mut told) = mpsc::channel(8);
    let asked = here.ask(&desk, "one", "ls").await;
    let Some(Told::Answer { approval, .. }) = told.recv().await else { panic!("the agent is told") };
    assert_eq!((approval.state, &approval.id), (ApprovalState::Expired, &asked.id));
    assert_eq!(approval.decision.as_ref().map(|decision| decision.decision), Some(Decision::Deny));
    assert!(matches!(here.approvals.decide(&somebody(true), yes(&asked)).await, Err(ApprovalError::Closed { .. })));
    stop.cancel();
    clock.await.expect("ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_to_fit_the_question() {
    let here = Here::new(|_| {});
    let (desk, _told) = mpsc::channel(8);
    let asked = here.ask(&desk, "one", "ls").await;
    let invalid = async |answer: DecideApproval| matches!(here.approvals.decide(&somebody(true), answer).await, Err(ApprovalError::Invalid(_)));
    assert!(invalid(DecideApproval { input: Some(json!({ "command": "id" })), ..yes(&asked) }).await, "this agent takes no other input");
    assert!(invalid(DecideApproval { decision: Decision::Always, ..yes(&asked) }).await, "there is no rule to keep");
    assert!(invalid(DecideApproval { suggestion: Some(0), ..yes(&asked) }).await);
    assert!(invalid(DecideApproval { answers: BTreeMap::from([("q".to_owned(), vec!["a".to_owned()])]), ..yes(&asked) }).await);
    assert_eq!(here.approvals.get(&asked.id), Some(asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_question_outlives_the_daemon_and_its_answer_is_given_once() {
    let here = Here::new(|_| {});
    let (desk, told) = mpsc::channel(8);
    let input = json!({ "command": "make deploy" });
    let asker = Asker { park: true, ..here.asker(desk) };
    let asked = here.approvals.ask(asker, Ask::tool("toolu_1", "Bash", input.clone())).await.expect("stored");
    assert!(here.approvals.parked(&asked.id).await.is_some_and(|parked| parked.state == ApprovalState::Parked));
    drop(told);
    let here = here.restart();
    let task = TaskId::from("task");
    assert_eq!(here.approvals.open().len(), 1);
    assert!(here.approvals.take_parked(&task, "toolu_1", "Bash", &input).await.is_none(), "nobody has answered yet");
    here.approvals.decide(&somebody(true), yes(&asked)).await.expect("answered");
    let here = here.restart();
    assert_eq!(here.approvals.answered_parked(), std::slice::from_ref(&task));
    assert!(here.approvals.take_parked(&task, "toolu_1", "Bash", &json!({ "command": "rm -rf /" })).await.is_none(), "the yes was for something else");
    assert!(here.approvals.take_parked(&task, "toolu_2", "Bash", &input).await.is_none());
    assert!(here.approvals.take_parked(&task, "toolu_1", "Bash", &input).await.is_some());
    assert!(here.approvals.take_parked(&task, "toolu_1", "Bash", &input).await.is_none(), "once");
    let here = here.restart();
    assert!(here.approvals.take_parked(&task, "toolu_1", "Bash", &input).await.is_none(), "once, also over a crash before the agent heard it");
    assert!(here.approvals.answered_parked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_for_a_task_that_is_over_is_given_to_nobody() {
    let here = Here::new(|_| {});
    let (desk, told) = mpsc::channel(8);
    let input = json!({ "command": "make deploy" });
    let asker = Asker { park: true, ..here.asker(desk) };
    let asked = here.approvals.ask(asker, Ask::tool("toolu_1", "Bash", input.clone())).await.expect("stored");
    here.approvals.parked(&asked.id).await.expect("parked");
    drop(told);
    here.approvals.decide(&somebody(true), yes(&asked)).await.expect("answered");
    let task = TaskId::from("task");
    here.approvals.task_over(&task, "the task was cancelled").await;
    assert!(here.approvals.answered_parked().is_empty() && here.approvals.take_parked(&task, "toolu_1", "Bash", &input).await.is_none());
    assert!(here.restart().approvals.answered_parked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_input_has_to_be_one_and_to_pass_the_rules() {
    let deny = Rule { verdict: RuleVerdict::Deny, agent: None, tool: None, command: Some("rm".to_owned()), path: None, peer: None, repository: None };
    let here = Here::new(|config| config.approvals.rules = vec![deny]);
    let (desk, _told) = mpsc::channel(8);
    let ask = Ask { may_edit: true, ..Ask::tool("one", "Bash", json!({ "command": "ls" })) };
    let asked = here.approvals.ask(here.asker(desk), ask).await.expect("stored");
    for input in [json!("ls"), json!(["ls"]), json!(null), json!({ "command": "rm -rf x" })] {
        let answer = DecideApproval { input: Some(input.clone()), ..yes(&asked) };
        assert!(matches!(here.approvals.decide(&somebody(true), answer).await, Err(ApprovalError::Invalid(_))), "{input}");
    }
    assert_eq!(here.approvals.get(&asked.id).map(|approval| approval.state), Some(ApprovalState::Pending));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_keeps_no_rule_that_reaches_beyond_the_task() {
    let here = Here::new(|_| {});
    let (desk, _told) = mpsc::channel(8);
    let suggested = |rule: Value| Suggestion { label: "x".to_owned(), rule };
    let suggestions = vec![
        suggested(json!({ "type": "setMode", "mode": "bypassPermissions", "destination": "session" })),
        suggested(json!({ "type": "addRules", "destination": "userSettings" })),
        suggested(json!({ "type": "addRules", "destination": "localSettings" })),
    ];
    let ask = Ask { suggestions, ..Ask::tool("one", "Bash", json!({ "command": "ls" })) };
    let asked = here.approvals.ask(here.asker(desk), ask).await.expect("stored");
    let always = |place| DecideApproval { decision: Decision::Always, suggestion: Some(place), ..yes(&asked) };
    for place in [0, 1] {
        assert!(matches!(here.approvals.decide(&somebody(false), always(place)).await, Err(ApprovalError::Invalid(_))), "{place}");
    }
    assert!(here.approvals.decide(&somebody(false), always(2)).await.is_ok());
}
