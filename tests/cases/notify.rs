//! Notices as a person gets them who is away: by a command, by an address, once, in one piece, and without what must not be in them.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    Home, PATIENCE, TestDaemon,
    fake_agent::{FakeAgent, Plan},
    files_below, mark_of, processes_with, tls, until,
};

/// A text that must be in no log, status or event.
const SECRET: &str = "tk_s3cret_of_the_address";

/// A node with an agent of ours, and a command that keeps each notice that it gets in a file of its own.
struct Node {
    daemon: TestDaemon,
    agent: FakeAgent,
}

impl Node {
    /// `lines` are those of `notifications`; `COMMAND` in them is the command.
    fn new(plan: &Plan, lines: &str, environment: &[(&str, &str)]) -> Self {
        let mut home = Home::init("leo");
        let agent = FakeAgent::install(&mut home, "claude", plan);
        let (script, told) = (home.root().join("keep-notice"), home.root().join("told"));
        std::fs::create_dir(&told).unwrap();
        let text = format!("#!/bin/sh\necho said && echo complained >&2\ncat >'{0}/.'$$ && mv '{0}/.'$$ '{0}/'$$\n", told.display());
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let config = std::fs::read_to_string(home.config()).unwrap();
        let lines = lines.replace("COMMAND", &format!("['{}']", script.display()));
        std::fs::write(home.config(), format!("{config}\nnotifications: {lines}\n")).unwrap();
        Self { daemon: TestDaemon::start_with(home, environment), agent }
    }

    fn start(&self, prompt: &str) -> String {
        let answer = self.daemon.post("/api/v1/ai-tasks", json!({ "prompt": prompt }));
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["taskId"].as_str().unwrap().to_owned()
    }

    fn task(&self, id: &str) -> Value {
        self.daemon.get(&format!("/api/v1/ai-tasks/{id}")).ok().json()
    }

    /// Waits until a task asks, and says the question.
    fn question(&self, id: &str) -> Value {
        let pending = until("a question", || Some(self.task(id)["pendingApproval"].clone()).filter(|pending| !pending.is_null()));
        self.daemon.get(&format!("/api/v1/approvals/{}", pending["requestId"].as_str().unwrap())).ok().json()
    }

    fn allow(&self, question: &Value) {
        let path = format!("/api/v1/approvals/{}", question["id"].as_str().unwrap());
        self.daemon.post(&path, json!({ "decision": "allow", "sha256": question["sha256"] })).ok();
    }

    fn until_ended(&self, id: &str) {
        until("the task's end", || (self.task(id)["status"] == "completed").then_some(()));
    }

    /// What the command was given so far, in no order.
    fn told(&self) -> Vec<Value> {
        let files = files_below(&self.daemon.home.root().join("told"));
        let whole = files.into_iter().filter(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
        whole.map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
    }

    fn until_told(&self, count: usize) -> Vec<Value> {
        until(&format!("{count} notices"), || Some(self.told()).filter(|told| told.len() >= count))
    }

    /// What the node says about its notices, when anything.
    fn problem(&self) -> Option<String> {
        let status = self.daemon.get("/api/v1/status").ok().json();
        let problems = status["problems"].as_array().unwrap();
        problems.iter().find(|problem| problem["part"] == "notifications").map(|problem| problem["message"].as_str().unwrap().to_owned())
    }

    fn mark(&self) -> PathBuf {
        self.daemon.home.root().join("mark")
    }
}

fn done() -> Plan {
    Plan::begun("s").result("done").step("listen")
}

/// A server that answers its callers in this order, and gives what it was sent: head and body.
struct Hook {
    port: u16,
    heard: mpsc::Receiver<(String, String)>,
}

impl Hook {
    fn new(answers: &[u16], secured: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, heard) = mpsc::sync_channel(16); // more than any test sends
        let answers = answers.to_vec();
        std::thread::spawn(move || {
            for status in answers {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let request = match &secured {
                    None => answer(stream, status),
                    Some(config) => answer(rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(config)).unwrap(), stream), status),
                };
                if let Some(request) = request {
                    let _test_is_over = tell.send(request);
                }
            }
        });
        Self { port, heard }
    }

    #[track_caller]
    fn heard(&self) -> (String, String) {
        self.heard.recv_timeout(PATIENCE).expect("a message")
    }
}

fn answer(stream: impl Read + Write, status: u16) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.to_lowercase().split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    stream.flush().ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

#[test]
fn an_approval_that_waits_is_told_once_and_then_the_tasks_end() {
    let node = Node::new(&Plan::bare(), "{idle: 0, command: COMMAND}", &[]);
    node.agent.plan(&Plan::begun("s").ask("cat /very/secret", &node.mark()).result("done").step("listen"));
    let id = node.start("do it");
    let question = node.question(&id);
    let told = node.until_told(1);
    let notice = &told[0];
    assert_eq!(
        (&notice["kind"], &notice["node"], &notice["taskId"], &notice["approvalId"]),
        (&json!("approvalWaits"), &json!("leo"), &json!(id), &question["id"])
    );
    assert_eq!(notice["title"], "claude on leo waits for an answer: Bash");
    assert!(!notice.to_string().contains("/very/secret"), "what it wants to do is read where it is answered: {notice}");
    node.allow(&question);
    node.until_ended(&id);
    let told = node.until_told(2);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told.iter().filter(|notice| notice["kind"] == "approvalWaits").count(), 1);
    let ended = told.iter().find(|notice| notice["kind"] == "taskEnded").expect("the end");
    assert_eq!((&ended["title"], &ended["body"]), (&json!("claude on leo is done"), &json!("do it")));
    assert_eq!(node.problem(), None);
}

#[test]
fn what_was_answered_before_is_not_told() {
    let node = Node::new(&Plan::bare(), "{idle: 3600, command: COMMAND}", &[]);
    node.agent.plan(&Plan::begun("s").ask("ls", &node.mark()).result("done").step("listen"));
    let id = node.start("do it");
    node.allow(&node.question(&id));
    node.until_ended(&id);
    assert!(node.told().is_empty());
    node.daemon.home.edit_config("idle: 3600", "idle: 0");
    assert_eq!(node.until_told(1)[0]["title"], "claude on leo is done", "and nothing of an approval");
}

#[test]
fn what_comes_together_is_told_in_one_and_only_when_the_owner_is_away() {
    let node = Node::new(&Plan::bare(), "{idle: 3600, command: COMMAND}", &[]);
    node.agent.plan(&Plan::begun("s").ask("ls", &node.mark()).result("done").step("listen"));
    for id in [node.start("one"), node.start("two")] {
        node.question(&id);
    }
    assert!(node.told().is_empty(), "who has just started a task is there");
    node.daemon.home.edit_config("idle: 3600", "idle: 0");
    let told = node.until_told(1);
    assert_eq!((told.len(), &told[0]["kind"], &told[0]["title"]), (1, &json!("approvalWaits"), &json!("2 approvals wait")), "{told:?}");
    assert!(told[0].get("approvalId").is_none());
}

#[test]
fn nobody_is_told_before_the_owner_was_away_for_so_long() {
    let node = Node::new(&Plan::bare(), "{idle: 3, command: COMMAND}", &[]);
    node.agent.plan(&Plan::begun("s").ask("ls", &node.mark()).result("done").step("listen"));
    // Longer than that since the start, in which only questions were asked.
    until("some time", || (node.daemon.get("/api/v1/status").ok().json()["uptime"].as_u64().unwrap() > 4_000).then_some(()));
    let used = std::time::Instant::now();
    node.start("do it");
    node.until_told(1);
    // A bound from below: a slow machine only makes it longer.
    assert!(used.elapsed() >= Duration::from_secs(3), "told after {:?}, while the owner was there", used.elapsed());
}

#[test]
fn an_address_gets_inert_json_and_stays_secret() {
    let hook = Hook::new(&[500, 200], None);
    let lines = format!("{{idle: 0, url: 'http://user:{SECRET}@127.0.0.1:{}/{SECRET}?token={SECRET}'}}\nlogging:\n  level: trace", hook.port);
    let node = {
        let mut home = Home::init("leo");
        let agent = FakeAgent::install(&mut home, "claude", &done());
        let config = std::fs::read_to_string(home.config()).unwrap();
        let config = config.replace("\nlogging:\n  level: info", "");
        assert!(!config.contains("\nlogging:"), "{config}");
        std::fs::write(home.config(), format!("{config}\nnotifications: {lines}\n")).unwrap();
        Node { daemon: TestDaemon::start(home), agent }
    };
    let mut events = node.daemon.events("", None);
    let id = node.start("\n \u{1b}]0;owned\u{7}<b>hi</b> \u{202e}olleh\nand more");
    let (head, body) = hook.heard();
    assert!(head.starts_with(&format!("POST /{SECRET}?token={SECRET} HTTP/1.1\r\n")), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json\r\n"), "{head}");
    let notice: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&notice["kind"], &notice["taskId"]), (&json!("taskEnded"), &json!(id)));
    assert_eq!(notice["body"], "\\u{1b}]0;owned\\u{7}<b>hi</b> \\u{202e}olleh");
    let problem = until("the problem", || node.problem());
    assert!(problem.contains("`127.0.0.1` answered with status 500"), "{problem}");

    node.start("again");
    let (_, body) = hook.heard();
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["body"], "again", "the first was sent once");
    until("it works again", || node.problem().is_none().then_some(()));

    let status = node.daemon.get("/api/v1/status").ok().text();
    assert!(!status.contains(SECRET));
    events.patience(Duration::from_millis(200));
    while let Ok(Some(event)) = events.try_next() {
        assert!(!event.data.to_string().contains(SECRET), "{:?}", event.data);
    }
    let log = std::fs::read_to_string(node.daemon.home.data().join("logs/daemon.log")).unwrap();
    assert_eq!((log.matches("a notice was not delivered").count(), log.matches("notices are delivered again").count()), (1, 1), "{log}");
    for file in files_below(node.daemon.home.root()) {
        let kept = std::fs::read(&file).unwrap_or_default();
        let is_config = file == node.daemon.home.config();
        assert_eq!(kept.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), is_config, "{}", file.display());
    }
}

#[test]
fn a_way_that_hangs_holds_up_no_other_and_ends() {
    let hook = Hook::new(&[200], None);
    let mark = mark_of();
    let lines = format!("{{idle: 0, desktop: true, command: [sh, -c, 'sleep {mark}'], url: 'ntfy+http://127.0.0.1:{}/topic'}}", hook.port);
    // A bus that is nowhere, so that the test shows nothing to whoever runs it.
    let node = Node::new(&done(), &lines, &[("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")]);
    node.start("do it");
    let (head, body) = hook.heard();
    assert!(head.starts_with("POST /topic HTTP/1.1\r\n") && head.to_lowercase().contains("content-type: text/plain; charset=utf-8\r\n"), "{head}");
    assert_eq!(body, "claude on leo is done\ndo it");
    until("the command runs", || (!processes_with(&mark).is_empty()).then_some(()));
    until("it is ended", || processes_with(&mark).is_empty().then_some(()));
    let problem = until("the problem", || node.problem());
    assert!(problem.contains("`notifications.command` was not done in 10 seconds"), "{problem}");
    assert!(problem.contains("`notifications.desktop`) ") && !problem.contains("`notifications.url`"), "{problem}");
    // Who switches them off has no problem any more.
    node.daemon.home.edit_config(&lines, "{idle: 0}");
    until("no problem", || node.problem().is_none().then_some(()));
}

#[test]
fn a_command_is_found_on_the_path_and_one_that_is_not_there_is_said() {
    let node = Node::new(&done(), "{idle: 0, command: [no-such-program]}", &[]);
    node.start("do it");
    let problem = until("the problem", || node.problem());
    assert!(problem.contains("is not on the daemon's `PATH`"), "{problem}");
}

/// Certificates count by name and by the system's authorities, which this variable replaces on Linux.
#[cfg(target_os = "linux")]
#[test]
fn an_https_address_must_show_a_certificate_that_the_system_trusts() {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = tls::server(vec![own.cert.der().clone()], &key);
    for (trusted, name) in [(true, "localhost"), (true, "127.0.0.1"), (false, "localhost")] {
        let hook = Hook::new(&[200, 200], Some(Arc::clone(&config)));
        let file = std::env::temp_dir().join(format!("loopsy-notify-{}", crate::support::unique()));
        std::fs::write(&file, own.cert.pem()).unwrap();
        let environment = [("SSL_CERT_FILE", file.to_str().unwrap())];
        let node = Node::new(&done(), &format!("{{idle: 0, url: 'ntfy://{name}:{}/{SECRET}'}}", hook.port), if trusted { &environment } else { &[] });
        node.start("do it");
        if trusted && name == "localhost" {
            assert_eq!(hook.heard().1, "claude on leo is done\ndo it");
        } else {
            let problem = until("the problem", || node.problem());
            assert!(problem.contains(&format!("`{name}`")) && problem.to_lowercase().contains("certificate") && !problem.contains(SECRET), "{problem}");
            assert!(hook.heard.try_recv().is_err(), "nothing was sent");
        }
        std::fs::remove_file(file).unwrap();
    }
}
