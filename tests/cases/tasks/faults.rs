//! Agents and daemons that die, lie, fall silent and say too much.

use std::{os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;

use super::{Node, all, kinds, texts};
use crate::support::{fake_agent::Plan, noise, until};

fn gone(pid: u32) {
    until("the agent's end", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
}

#[test]
fn garbage_huge_lines_and_half_lines_hurt_nobody() {
    let node = Node::new(&Plan::bare());
    let junk = node.daemon.home.write("junk", [noise(100_000, 1), b"\n{\"type\":\"unheard-of\",\"x\":[1,2]}\n{\"type\":\n\x00\xff\n".to_vec()].concat());
    let plan = Plan::begun("s").step(&format!("cat {}", junk.display())).step("long 100000000").step("complain a warning");
    node.agent.plan(&plan.text("Still here.").result("done").step("half {\"type\":\"text"));
    let id = node.start();
    let before = memory(&node);
    let task = node.until_it_is(&id, "completed");
    assert_eq!(task["error"], json!(null), "{task}");
    let events = node.events(&id);
    assert_eq!(texts(&events), ["Still here."]);
    let omitted = events.iter().find_map(|event| event["data"]["omittedBytes"].as_u64());
    assert_eq!(omitted, Some(100_000_000), "what is left out is said");
    assert!(
        events.iter().any(|event| event["data"]["subtype"] == "raw" && event["data"].to_string().contains("unheard-of")),
        "what is not understood is shown"
    );
    assert!(events.iter().any(|event| event["data"]["subtype"] == "stderr" && event["data"]["text"] == "a warning"));
    assert!(memory(&node) < before + 96 * 1024, "{} KiB before, {} after", before, memory(&node));
}

/// KiB of the daemon.
fn memory(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.daemon.pid())).unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap()
}

#[test]
fn an_agent_that_ends_too_early_failed_and_its_last_words_are_told() {
    let node = Node::new(&Plan::begun("s").step("complain Error: please log in").step("exit 3"));
    let id = node.start();
    let task = node.until_it_is(&id, "failed");
    assert_eq!(task["exitCode"], 3);
    let error = task["error"].as_str().unwrap();
    assert!(error.contains("exit code 3") && error.contains("please log in"), "{error}");
    assert!(kinds(&all(node.stream(&id, "", None))).contains(&"exit"));
}

#[test]
fn an_agent_that_ends_while_it_asks_is_granted_nothing() {
    let node = Node::new(&Plan::bare());
    let marker = node.daemon.home.root().join("mark");
    node.agent.plan(&Plan::begun("s").ask("touch x", &marker).result("done").step("listen"));
    let id = node.start();
    let question = node.question(&id);
    let pid = node.agent.runs()[0].pid();
    crate::support::kill(pid, rustix::process::Signal::KILL);
    let task = node.until_it_is(&id, "failed");
    assert!(task["error"].as_str().unwrap().contains("SIGKILL"), "{task}");
    node.decide(&question, "allow").refused(409, 6009);
    let after = node.daemon.get(&format!("/api/v1/approvals/{}", question["id"].as_str().unwrap())).ok().json();
    assert_eq!((&after["state"], &after["decision"]["decision"]), (&json!("expired"), &json!("deny")));
    assert!(!marker.exists());
}

#[test]
fn an_agent_that_hears_no_signal_ends_all_the_same_and_so_does_what_it_started() {
    let node = Node::new(&Plan::begun("s").step("deaf").step("child 86399").text("Working.").step("hang"));
    let id = node.start();
    until("it works", || texts(&node.events(&id)).contains(&"Working.").then_some(()));
    node.daemon.call("DELETE", &format!("/api/v1/ai-tasks/{id}"), None).ok();
    gone(node.agent.runs()[0].pid());
    node.until_it_is(&id, "cancelled");
}

#[test]
fn an_agent_that_vanishes_from_the_disk_is_a_failure_with_a_sentence() {
    let node = Node::with(&Plan::begun("s").step("hang"), &[("agents", "  maxConcurrent: 1")]);
    let (first, second) = (node.start(), node.start());
    until("one runs", || (node.agent.runs().len() == 1).then_some(()));
    std::fs::set_permissions(node.agent.program(), std::fs::Permissions::from_mode(0o644)).unwrap();
    node.daemon.call("DELETE", &format!("/api/v1/ai-tasks/{first}"), None).ok();
    let task = node.until_it_is(&second, "failed");
    assert!(task["error"].as_str().unwrap().contains("claude"), "{task}");
}

/// Kills the daemon or the agent at every step of an approval. Nothing may be lost, granted twice, or granted by accident.
#[test]
fn no_kill_at_any_step_of_an_approval_grants_what_nobody_granted() {
    let mut node = Node::new(&Plan::bare());
    let mut granted = 0;
    for round in 0..30_u32 {
        let marker = node.daemon.home.root().join(format!("mark-{round}"));
        node.agent.plan(&Plan::begun("s").ask(&format!("touch {round}"), &marker).result("done").step("listen"));
        let before: Vec<u32> = node.agent.runs().iter().map(|run| run.pid()).collect();
        let id = node.start();
        let kills_daemon = round % 3 != 2;
        // Not before the question is acknowledged, and then anywhere around the answer.
        let question = (round % 5 != 4).then(|| node.question(&id));
        let mut answered = None;
        std::thread::scope(|scope| {
            let deciding = question
                .as_ref()
                .map(|question| scope.spawn(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| node.decide(question, "allow").status)).ok()));
            for _ in 0..(round * 37) % 900 {
                std::hint::spin_loop();
                std::thread::yield_now();
            }
            if kills_daemon {
                crate::support::kill(node.daemon.pid(), rustix::process::Signal::KILL);
            } else {
                let run = until("an agent", || node.agent.runs().into_iter().find(|run| !before.contains(&run.pid())));
                crate::support::kill(run.pid(), rustix::process::Signal::KILL);
            }
            answered = deciding.and_then(|deciding| deciding.join().unwrap());
        });
        if kills_daemon {
            node.daemon.kill9();
            for run in node.agent.runs() {
                gone(run.pid());
            }
            node.daemon.launch(&[]);
        }
        let task =
            until("the task's end", || Some(node.task(&id)).filter(|task| ["failed", "completed", "cancelled"].contains(&task["status"].as_str().unwrap())));
        let Some(question) = question else {
            assert!(!marker.exists(), "round {round}: granted, and nobody was asked");
            continue;
        };
        let after = node.daemon.get(&format!("/api/v1/approvals/{}", question["id"].as_str().unwrap())).ok().json();
        let decided = after["state"].as_str().unwrap();
        assert!(["allowed", "expired"].contains(&decided), "round {round}: {after}");
        if answered == Some(200) {
            assert_eq!(decided, "allowed", "round {round}: an acknowledged answer was lost: {after} {task}");
        }
        if marker.exists() {
            assert_eq!(decided, "allowed", "round {round}: granted, but not by anybody: {after} {task}");
            granted += 1;
        }
        if after["decision"]["delivered"] == true {
            assert_eq!(decided, "allowed", "round {round}");
        }
    }
    assert!(granted > 0, "some of the answers came through");
    assert!(node.daemon.get("/api/v1/approvals").ok().json()["approvals"].as_array().unwrap().is_empty());
}
