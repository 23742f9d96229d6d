//! One stream of everything that changes: nothing missing, nothing twice, however often it is cut.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use loopsy_shared::{
    api::events::{Event, WatchEvents},
    client::{Client, Transport, Watched},
    secret::Secret,
};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Pair, Sse, TestDaemon, block_on, noise, until};

/// Stops a writer however its test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes numbered entries until told to stop; returns how many.
fn writer(daemon: &TestDaemon, stop: &AtomicBool) -> u64 {
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        daemon.put(&format!("n/{}", written % 7), &written.to_string()).ok();
        written += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    written
}

#[test]
fn a_stream_that_is_cut_100_times_shows_every_event_once() {
    let leo = TestDaemon::new("leo");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let written = scope.spawn(|| writer(&leo, &stop));
        let _stop = Stop(&stop);
        let (mut last, mut next, mut cuts) = (None::<String>, 0u64, 0);
        let lengths = noise(100, 7);
        let mut stream = leo.events("?topics=context&prefix=n/", None);
        let snapshot = stream.next();
        assert_eq!(snapshot.data["type"], "snapshot");
        // What the snapshot holds already does not come again, or comes again right after it; then every number follows the one before.
        let known = snapshot.data["context"].as_array().unwrap().iter().map(|entry| entry["value"].as_str().unwrap().parse::<u64>().unwrap() + 1).max();
        let mut first = true;
        for length in lengths {
            for _ in 0..length % 12 {
                let event = stream.next();
                assert_eq!(event.data["type"], "context-changed", "no snapshot after the first: {}", event.data);
                let number: u64 = event.data["entry"]["value"].as_str().unwrap().parse().unwrap();
                if std::mem::take(&mut first) {
                    assert!(number <= known.unwrap_or(0), "the first event is {number}, the snapshot ended at {known:?}");
                } else {
                    assert_eq!(number, next, "after {cuts} cuts");
                }
                next = number + 1;
                assert!(event.id.is_some());
                last = event.id;
            }
            drop(stream);
            cuts += 1;
            let resume = last.as_deref().or(snapshot.id.as_deref());
            // By header and, for clients that cannot send it, by query.
            stream = if cuts % 2 == 0 {
                leo.events("?topics=context&prefix=n/", resume)
            } else {
                leo.events(&format!("?topics=context&prefix=n/&since={}", resume.unwrap()), None)
            };
        }
        assert_eq!(cuts, 100);
        stop.store(true, Ordering::Relaxed);
        let written = written.join().unwrap();
        while next < written {
            let event = stream.next();
            assert_eq!(event.data["entry"]["value"], next.to_string().as_str());
            next += 1;
        }
    });
}

/// Passes connections on and cuts each after some bytes, `cuts` times.
fn cutting_proxy(to: SocketAddr, cuts: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&done);
    std::thread::spawn(move || {
        for incoming in listener.incoming() {
            let (Ok(mut here), Ok(mut there)) = (incoming, TcpStream::connect(to)) else { return };
            let (mut upwards, mut up) = (here.try_clone().unwrap(), there.try_clone().unwrap());
            std::thread::spawn(move || drop(std::io::copy(&mut upwards, &mut up)));
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                let number = counted.load(Ordering::Relaxed);
                let mut left = if number < cuts { 900 + number * 137 } else { usize::MAX };
                let mut buffer = [0; 512];
                while let Ok(read @ 1..) = there.read(&mut buffer) {
                    let pass = read.min(left);
                    left -= pass;
                    if here.write_all(&buffer[..pass]).is_err() || left == 0 {
                        break;
                    }
                }
                counted.fetch_add(1, Ordering::Relaxed);
                for stream in [here, there] {
                    let _closed_already = stream.shutdown(std::net::Shutdown::Both);
                }
            });
        }
    });
    (address, done)
}

/// The client waits longer after every cut, and the daemon keeps 4,096 events: few cuts and few events, so that none is lost by right.
const CUTS: usize = 6;

#[test]
fn the_typed_client_resumes_through_a_bad_network() {
    let leo = TestDaemon::new("leo");
    let (proxy, cuts) = cutting_proxy(leo.address, CUTS);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0u64;
            while !stop.load(Ordering::Relaxed) {
                leo.put("n", &written.to_string()).ok();
                written += 1;
                std::thread::sleep(Duration::from_millis(25));
            }
        });
        let _stop = Stop(&stop);
        block_on(async {
            let client = Client::new(Transport::default(), proxy.to_string(), Some(&Secret::new(leo.key.as_str()))).unwrap();
            let mut events = Box::pin(client.watch(&WatchEvents { topics: Some("context".to_owned()), ..WatchEvents::default() }, None).unwrap());
            let (mut next, mut lost, mut seen) = (None::<u64>, 0, 0);
            while cuts.load(Ordering::Relaxed) < CUTS || seen < 100 {
                let item = tokio::time::timeout(Duration::from_secs(30), events.next()).await.expect("an event in time").expect("no end");
                match item.expect("no refusal") {
                    Watched::Lost(_) => lost += 1,
                    Watched::Event { event: Event::ContextChanged { entry }, .. } => {
                        let number: u64 = entry.value.parse().unwrap();
                        assert!(next.is_none_or(|next| number == next), "{number} after {next:?}");
                        next = Some(number + 1);
                        seen += 1;
                    }
                    Watched::Event { id, event: Event::Snapshot { .. } } => {
                        let daemon = leo.said();
                        assert!(next.is_none(), "a snapshot in the middle: {id:?} before {next:?}, {} cuts\n{daemon}", cuts.load(Ordering::Relaxed));
                    }
                    _ => {}
                }
            }
            assert!(lost > 0, "nothing was cut");
            stop.store(true, Ordering::Relaxed);
        });
        writer.join().unwrap();
    });
}

#[test]
fn an_id_of_another_run_gets_a_fresh_snapshot() {
    let mut leo = TestDaemon::on_fixed_port("leo");
    let mut stream = leo.events("", None);
    stream.next();
    leo.put("a", "1").ok();
    let id = stream.next().id.unwrap();
    leo.kill9();
    leo.launch(&[]);
    for last in [id.as_str(), "nonsense", "-1", "0-99999999999999999999", ""] {
        let mut stream = leo.events("", Some(last));
        let first = stream.next();
        assert_eq!(first.data["type"], "snapshot", "{last}");
        assert_eq!(first.data["context"][0]["key"], "a");
    }
}

#[test]
fn topics_and_prefixes_choose() {
    let pair = Pair::new();
    let mut stream = pair.leo.events("?topics=context&prefix=a/", None);
    let snapshot = stream.next().data;
    assert_eq!((&snapshot["type"], &snapshot["nodeId"], &snapshot["peers"]), (&json!("snapshot"), &json!(pair.leo.node_id), &json!([])));
    pair.leo.put("b/1", "x").ok();
    pair.leo.put("a/1", "x").ok();
    pair.leo.call("DELETE", "/api/v1/context/a%2F1", None).ok();
    let event = stream.next().data;
    assert_eq!((&event["type"], &event["entry"]["key"]), (&json!("context-changed"), &json!("a/1")));
    assert_eq!(stream.next().data, json!({ "type": "context-removed", "key": "a/1" }));
    pair.leo.get("/api/v1/events?topics=weather").refused(400, 9003);
    // An entry that expires is said to be gone.
    pair.leo.call("PUT", "/api/v1/context/a%2Fshort", Some(json!({ "value": "x", "ttl": 1 }))).ok();
    assert_eq!(stream.next().data["entry"]["key"], "a/short");
    assert_eq!(stream.next().data, json!({ "type": "context-removed", "key": "a/short" }));
    let mut all = pair.leo.events("", None);
    assert_eq!(all.next().data["peers"].as_array().unwrap().len(), 1);
    pair.leo.post("/api/v1/execute", json!({ "command": "true" })).ok();
    let mut kinds = Vec::new();
    until("a job's start and end", || {
        let event = all.next().data;
        kinds.push((event["type"].as_str().unwrap().to_owned(), event["job"]["running"].as_bool()));
        kinds.contains(&("job-changed".to_owned(), Some(false))).then_some(())
    });
}

#[test]
fn a_silent_stream_has_a_heartbeat() {
    let leo = TestDaemon::new("leo");
    let begun = Instant::now();
    let mut events = leo.events("?topics=transfers", None);
    let mut job = Sse::open(leo.address, &leo.key, "POST", "/api/v1/execute/stream", None, Some(&json!({ "command": "sleep", "args": ["60"] })));
    events.next();
    for stream in [&mut events, &mut job] {
        stream.patience(Duration::from_secs(20));
        let beat = stream.block().expect("a heartbeat").expect("no end");
        assert!(beat.iter().all(|line| line.starts_with(':')), "{beat:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn shutdown_says_so_on_every_stream_and_takes_under_two_seconds() {
    let mut leo = TestDaemon::new("leo");
    let key = leo.mint("mia");
    let mut streams: Vec<Sse> =
        (0..20).map(|n| Sse::open(leo.address, if n % 2 == 0 { &leo.key } else { &key }, "GET", "/api/v1/events", None, None)).collect();
    streams.iter_mut().for_each(|stream| drop(stream.next()));
    let job = Sse::open(leo.address, &leo.key, "POST", "/api/v1/execute/stream", None, Some(&json!({ "command": "sleep", "args": ["60"] })));
    let idle: Vec<TcpStream> = (0..5).map(|_| crate::support::http::dial(leo.address)).collect();
    let took = leo.stop();
    assert!(took < Duration::from_secs(2), "{took:?}");
    for mut stream in streams {
        let mut last = json!(null);
        while let Some(event) = stream.try_next().expect("a clean end") {
            last = event.data;
        }
        assert_eq!(last, json!({ "type": "closing" }));
    }
    drop((job, idle));
}

#[test]
fn shutdown_does_not_wait_for_jobs_that_do_not_care() {
    let mut leo = TestDaemon::new("leo");
    let marker = format!("{}", 600_000 + crate::support::unique() % 90_000_000);
    let script = format!("trap '' TERM INT HUP; sleep {marker} & sleep {marker}");
    let mut stream = Sse::open(leo.address, &leo.key, "POST", "/api/v1/execute/stream", None, Some(&json!({ "command": "sh", "args": ["-c", script] })));
    until("the job", || (crate::support::processes_with(&format!("sleep {marker}")).len() >= 2).then_some(()));
    leo.signal(Signal::TERM);
    let took = leo.stop();
    assert!(took < Duration::from_secs(8), "{took:?}");
    while let Ok(Some(_)) = stream.try_next() {}
    until("nothing of the job", || crate::support::processes_with(&format!("sleep {marker}")).is_empty().then_some(()));
}

#[test]
fn a_reader_that_does_not_read_holds_nobody_up() {
    let leo = TestDaemon::new("leo");
    let mut slow = leo.events("?topics=context", None);
    slow.next();
    let value = "x".repeat(200_000);
    let mut took = HashMap::new();
    for n in 0..150 {
        let begun = Instant::now();
        leo.put(&format!("k{}", n % 5), &value).ok();
        took.insert(n, begun.elapsed());
    }
    assert!(took.values().all(|took| *took < Duration::from_secs(5)), "{:?}", took.values().max());
    // It fell out of the ring, and is told the whole picture instead of a part with a hole.
    let mut snapshot = false;
    until("the last value", || {
        let event = slow.next().data;
        snapshot |= event["type"] == "snapshot";
        (snapshot || event["entry"]["key"] == "k4").then_some(())
    });
}
