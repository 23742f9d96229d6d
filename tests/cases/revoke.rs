//! A key that is taken back: everything that was done with it ends at once, on both sides, and nothing has to be restarted.

use std::{
    process::Child,
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    Pair, Sse, TestDaemon, mark_of,
    paired::{fingerprint, key_for, paired},
    processes_with,
    tls::{self, Credentials, Secured},
    until,
};

/// From the return of the command to the last sign of life.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A thing that goes on until it is ended from outside.
struct Doomed {
    what: &'static str,
    /// The moment of its end.
    ending: mpsc::Receiver<Instant>,
}

impl Doomed {
    fn new(what: &'static str, wait: impl FnOnce() + Send + 'static) -> Self {
        let (told, ending) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            wait();
            let _nobody_waits_any_more = told.send(Instant::now());
        });
        Self { what, ending }
    }

    /// A stream that was read up to its first event.
    fn stream(what: &'static str, mut stream: Sse) -> Self {
        assert_eq!(stream.status, 200, "{what}");
        stream.next();
        Self::new(what, move || while let Ok(Some(_)) = stream.try_next() {})
    }

    /// All processes that have this in their command line now.
    fn process(what: &'static str, needle: String) -> Self {
        let running = until(what, || Some(processes_with(&needle)).filter(|running| !running.is_empty()));
        let ended = move || {
            let lives = |pid: &i32| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).replace('\0', " ").contains(&needle)
            };
            (!running.iter().any(lives)).then_some(())
        };
        Self::new(what, move || until("the end of a job's process", ended))
    }

    fn connection(what: &'static str, link: Secured) -> Self {
        Self::new(what, move || drop(link.until_closed()))
    }
}

/// All of them ended soon after a moment.
fn ended(doomed: Vec<Doomed>, since: Instant) {
    let time = |one: Doomed| (one.what, one.ending.recv_timeout(AT_ONCE * 10).ok().map(|at| at.saturating_duration_since(since)));
    let measured: Vec<(&str, Option<Duration>)> = doomed.into_iter().map(time).collect();
    eprintln!("after the command's return: {measured:?}");
    assert!(measured.iter().all(|(_, time)| time.is_some_and(|time| time < AT_ONCE)), "not at once: {measured:?}");
}

/// A number that stands in one command line only.
/// `sleep`, run by a peer for a node, through the command line there.
fn sleeping(at: &TestDaemon, peer: &str) -> (Child, String) {
    let mark = mark_of();
    (at.home.command(&["exec", peer, "sleep", &mark]).spawn().unwrap(), format!("sleep {mark}"))
}

/// A job of this node itself, in a stream.
fn job(at: &TestDaemon, key: &str, command: &str, args: &[&str]) -> Sse {
    Sse::open(at.address, key, "POST", "/api/v1/execute/stream", None, Some(&json!({ "command": command, "args": args })))
}

fn read(path: std::path::PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_removed_peer_is_cut_off_within_a_second() {
    let Pair { mut leo, kai } = paired();
    let scopes = json!({ "scopes": ["status", "execute", "context"] });
    leo.call("PUT", &format!("/api/v1/peers/{}/scopes", kai.node_id), Some(scopes)).ok();
    until("kai's key in force again", || (kai.get("/api/v1/at/leo/status").status == 200).then_some(()));
    let (stale, own, pins) = (key_for(&kai, &leo), Credentials::of(&kai.home), [fingerprint(&kai), fingerprint(&leo)]);

    // What kai does at leo, and what leo does at kai.
    let mut idle = Secured::open(leo.address, Some(&own));
    idle.request(&stale, "GET", "/api/v1/status").ok();
    let ((mut there, there_mark), (mut here, here_mark)) = (sleeping(&kai, "leo"), sleeping(&leo, "kai"));
    let doomed = vec![
        Doomed::process("kai's job here", there_mark),
        Doomed::process("this node's job at kai", here_mark),
        Doomed::stream("kai's stream of events", Sse::open(kai.address, &kai.key, "GET", "/api/v1/at/leo/events", None, None)),
        Doomed::stream("this node's stream of kai's events", Sse::open(leo.address, &leo.key, "GET", "/api/v1/at/kai/events", None, None)),
        Doomed::connection("an idle connection of kai", idle),
    ];
    // A connection that is open and has not said anything yet gets the refusal.
    let mut silent = Secured::open(leo.address, Some(&own));

    leo.loopsy(&["peers", "remove", "kai", "--yes"]).ok();
    let returned = Instant::now();
    tls::request(leo.address, Some(&own), &stale, "GET", "/api/v1/status").refused(403, 1002);
    silent.request(&stale, "GET", "/api/v1/status").refused(403, 1002);
    ended(doomed, returned);
    for command in [&mut there, &mut here] {
        let status = until("the command's end", || command.try_wait().unwrap());
        assert!(!status.success());
    }

    // Nothing of kai is left here.
    let config = read(leo.home.config());
    assert!(!config.contains("kai") && !config.contains(&pins[0]), "{config}");
    let credentials = read(leo.home.data().join("credentials.json"));
    assert!(!credentials.contains(&kai.node_id) && !credentials.contains("lpk_"), "{credentials}");
    assert_eq!(leo.get("/api/v1/peers").ok().json(), json!({ "peers": [] }));

    // kai heard of it.
    let leo_there = until("kai to hear it", || kai.peer("leo").filter(|peer| peer["paired"] == false));
    assert_eq!(leo_there["lastError"], "It has removed this node.", "{leo_there}");
    assert_eq!((leo_there["trusted"].as_bool(), leo_there["encryption"].as_str()), (Some(false), Some("none")), "{leo_there}");
    eprintln!("kai heard it {:?} after the command's return at most", returned.elapsed());
    kai.get("/api/v1/at/leo/identity").refused(409, 2008);
    assert_ne!(kai.loopsy(&["exec", "leo", "true"]).code, 0);
    until("kai's files without leo", || {
        let (config, credentials) = (read(kai.home.config()), read(kai.home.data().join("credentials.json")));
        (!config.contains("leo:") && !config.contains(&pins[1]) && !credentials.contains(&leo.node_id)).then_some(())
    });

    // Nor does a restart bring anything back.
    leo.stop();
    leo.launch(&[]);
    assert_eq!(leo.get("/api/v1/peers").ok().json(), json!({ "peers": [] }));
    tls::request(leo.address, Some(&own), &stale, "GET", "/api/v1/status").refused(403, 1002);
    leo.get("/api/v1/at/kai/identity").refused(404, 2001);
}

#[test]
fn a_job_that_does_not_listen_ends_with_its_key() {
    let Pair { leo, kai } = paired();
    let mark = mark_of();
    let script = format!("trap '' TERM INT HUP; while :; do sleep {mark}; done");
    let mut command = kai.home.command(&["exec", "leo", "--", "sh", "-c", &script]).spawn().unwrap();
    until("the job", || (processes_with(&mark).len() > 1).then_some(()));
    leo.loopsy(&["peers", "remove", "kai", "--yes"]).ok();
    ended(vec![Doomed::process("a job that ignores signals", mark)], Instant::now());
    let _ended = command.wait();
}

#[test]
fn a_new_owners_key_cuts_off_the_old_one_within_a_second() {
    let Pair { mut leo, kai } = paired();
    let old = leo.key.clone();
    let mut idle = Secured::open(leo.address, None);
    idle.request(&old, "GET", "/api/v1/status").ok();
    let mark = mark_of();
    let (mut there, there_mark) = sleeping(&leo, "kai");
    until("the job at kai", || (!processes_with(&there_mark).is_empty()).then_some(()));
    let mut running = job(&leo, &old, "sleep", &[&mark]);
    let doomed = vec![
        Doomed::stream("a stream of the old key", leo.events("", None)),
        Doomed::stream("a stream of the old key from a peer", Sse::open(leo.address, &old, "GET", "/api/v1/at/kai/events", None, None)),
        Doomed::process("a job of the old key", format!("sleep {mark}")),
        Doomed::process("a job of the old key at a peer", there_mark),
        Doomed::connection("an idle connection of the old key", idle),
    ];
    // The peer's connection is none of the old key's.
    let mut of_kai = Secured::open(leo.address, Some(&Credentials::of(&kai.home)));
    let peers = key_for(&kai, &leo);
    of_kai.request(&peers, "GET", "/api/v1/status").ok();

    let new = leo.loopsy(&["key", "generate", "--yes"]).ok().text().trim().to_owned();
    let returned = Instant::now();
    leo.call_as(&old, "GET", "/api/v1/status", None).refused(403, 1002);
    ended(doomed, returned);
    while let Ok(Some(_)) = running.try_next() {}
    assert!(!until("the command's end", || there.try_wait().unwrap()).success());
    of_kai.request(&peers, "GET", "/api/v1/status").ok();
    kai.get("/api/v1/at/leo/identity").ok();
    leo.call_as(&new, "GET", "/api/v1/at/kai/identity", None).ok();
    leo.stop();
    leo.launch(&[]);
    leo.call_as(&old, "GET", "/api/v1/status", None).refused(403, 1002);
    leo.call_as(&new, "GET", "/api/v1/status", None).ok();
}
