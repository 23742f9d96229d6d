//! A real daemon as a child process.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use loopsy_shared::{
    client::{Client, Transport},
    secret::Secret,
};
use rustix::process::Signal;
use serde_json::Value;

use super::{Answer, Home, Sse, http, kill, until};

/// A daemon that runs until it is told to stop; dropping it ends it.
#[derive(Debug)]
pub(crate) struct TestDaemon {
    pub(crate) home: Home,
    pub(crate) address: SocketAddr,
    pub(crate) node_id: String,
    pub(crate) key: String,
    child: Option<Child>,
}

impl TestDaemon {
    /// A fresh node, running.
    pub(crate) fn new(name: &str) -> Self {
        Self::start(Home::init(name))
    }

    /// A fresh node whose config has a text replaced.
    pub(crate) fn with_config(name: &str, from: &str, to: &str) -> Self {
        let home = Home::init(name);
        home.edit_config(from, to);
        Self::start(home)
    }

    /// A fresh node on a port that it will have again after a restart.
    pub(crate) fn on_fixed_port(name: &str) -> Self {
        let home = Home::init(name);
        home.edit_config("port: 0", &format!("port: {}", fixed_port()));
        Self::start(home)
    }

    /// Starts the node of a home.
    pub(crate) fn start(home: Home) -> Self {
        Self::start_with(home, &[])
    }

    /// Starts the node of a home with more variables in its environment.
    pub(crate) fn start_with(home: Home, environment: &[(&str, &str)]) -> Self {
        let mut daemon = Self { address: ([127, 0, 0, 1], 0).into(), node_id: String::new(), key: String::new(), home, child: None };
        daemon.launch(environment);
        daemon
    }

    /// Starts it again, after a stop or a kill.
    pub(crate) fn launch(&mut self, environment: &[(&str, &str)]) {
        assert!(self.child.is_none(), "it runs");
        let log = File::options().create(true).append(true).open(self.home.root().join("daemon.out")).unwrap();
        let mut command = self.home.command(&["daemon", "run"]);
        command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::from(log));
        let mut child = command.spawn().unwrap();
        let pid = child.id();
        let runtime = until("daemon.json", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the daemon ended ({status}): {}", std::fs::read_to_string(self.home.root().join("daemon.out")).unwrap_or_default());
            }
            let runtime: Value = serde_json::from_slice(&std::fs::read(self.home.data().join("daemon.json")).ok()?).ok()?;
            (runtime["pid"] == pid).then_some(runtime)
        });
        self.child = Some(child);
        self.address = ([127, 0, 0, 1], u16::try_from(runtime["port"].as_u64().unwrap()).unwrap()).into();
        self.node_id = runtime["nodeId"].as_str().unwrap().to_owned();
        self.key = self.home.key();
        until("health", || (self.raw("GET", "/api/v1/health", &[], None).status == 200).then_some(()));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Stops it as a person would, and says how long that took.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Duration {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        let mut child = self.child.take().unwrap();
        let status = until("the daemon's end", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "an unclean stop: {}", self.said());
        for left in ["daemon.pid", "daemon.json"] {
            assert!(!self.home.data().join(left).exists(), "{left} is left");
        }
        begun.elapsed()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill9(&mut self) {
        let mut child = self.child.take().unwrap();
        kill(child.id(), Signal::KILL);
        child.wait().unwrap();
    }

    /// What it wrote to standard error and its log.
    pub(crate) fn said(&self) -> String {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        format!("{}\n{}", read(self.home.root().join("daemon.out")), read(self.home.data().join("logs/daemon.log")))
    }

    pub(crate) fn loopsy<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> super::Ran {
        self.home.loopsy(args)
    }

    /// One request by hand, without a key unless the headers have one.
    pub(crate) fn raw(&self, method: &str, target: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        http::request(self.address, method, target, headers, body)
    }

    /// One request with a key and, perhaps, a JSON body.
    pub(crate) fn call_as(&self, key: &str, method: &str, target: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {key}");
        let bytes = body.map(|body| body.to_string().into_bytes());
        let mut headers = vec![("Authorization", bearer.as_str())];
        if bytes.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        self.raw(method, target, &headers, bytes.as_deref())
    }

    /// One request with the owner's key.
    pub(crate) fn call(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        self.call_as(&self.key, method, target, body)
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.call("GET", target, None)
    }

    pub(crate) fn post(&self, target: &str, body: Value) -> Answer {
        self.call("POST", target, Some(body))
    }

    pub(crate) fn put(&self, key: &str, value: &str) -> Answer {
        let key = loopsy_shared::api::wire::encode_segment(key).into_owned();
        self.call("PUT", &format!("/api/v1/context/{key}"), Some(serde_json::json!({ "value": value })))
    }

    /// Opens a stream of events with the owner's key.
    pub(crate) fn events(&self, query: &str, last: Option<&str>) -> Sse {
        Sse::open(self.address, &self.key, "GET", &format!("/api/v1/events{query}"), last, None)
    }

    /// A key with which a peer may call.
    pub(crate) fn mint(&self, name: &str) -> String {
        let answer = self.post("/api/v1/peers/keys", serde_json::json!({ "name": name })).ok();
        answer.json()["key"].as_str().unwrap().to_owned()
    }

    /// The typed client with the owner's key.
    pub(crate) fn client(&self) -> Client {
        Client::new(Transport::default(), self.address.to_string(), Some(&Secret::new(self.key.as_str()))).unwrap()
    }

    /// What `/peers` says about a peer, when it is there.
    pub(crate) fn peer(&self, hostname: &str) -> Option<Value> {
        let peers = self.get("/api/v1/peers").ok().json();
        peers["peers"].as_array().unwrap().iter().find(|peer| peer["hostname"] == hostname).cloned()
    }
}

impl Drop for TestDaemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill(child.id(), Signal::KILL);
            let _ended = child.wait();
        }
        if std::thread::panicking() {
            let said = self.said();
            let tail: Vec<&str> = said.lines().rev().take(25).collect();
            eprintln!("--- {} said last:\n{}", self.home.name, tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A free port outside of the range from which the system takes ports for outgoing connections, so that it is still free after a restart.
pub(crate) fn fixed_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = u16::try_from(std::process::id() % 600 * 20).unwrap();
    (0..12_000)
        .map(|_| 20_000 + (base + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
