//! Two daemons that know each other.

use serde_json::json;

use super::{TestDaemon, until};

/// `leo` and `kai`, joined in both directions. Commands are run on `leo`.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) leo: TestDaemon,
    pub(crate) kai: TestDaemon,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::of(TestDaemon::new("leo"), TestDaemon::new("kai"))
    }

    /// Both on ports that they keep over a restart.
    pub(crate) fn on_fixed_ports() -> Self {
        Self::of(TestDaemon::on_fixed_port("leo"), TestDaemon::on_fixed_port("kai"))
    }

    /// Paired as two people would, with nothing restarted.
    pub(crate) fn paired() -> Self {
        Self::after_pairing(TestDaemon::new("leo"), TestDaemon::new("kai"))
    }

    /// The same, on ports that they keep over a restart.
    pub(crate) fn paired_on_fixed_ports() -> Self {
        Self::after_pairing(TestDaemon::on_fixed_port("leo"), TestDaemon::on_fixed_port("kai"))
    }

    /// `leo` shows the code, `kai` brings it, both see the same digits, both say yes.
    pub(crate) fn after_pairing(leo: TestDaemon, kai: TestDaemon) -> Self {
        let code = leo.post("/api/v1/pair/start", json!({})).ok().json()["inviteCode"].clone();
        let joined = kai.post("/api/v1/pair/join", json!({ "address": "127.0.0.1", "port": leo.port(), "inviteCode": code })).ok().json();
        let shown = leo.get("/api/v1/pair/status").ok().json();
        assert!(joined["sas"].is_string() && joined["sas"] == shown["sas"], "{joined} {shown}");
        for node in [&kai, &leo] {
            node.post("/api/v1/pair/confirm", json!({ "confirmed": true })).ok();
        }
        for node in [&kai, &leo] {
            let end = until("the end of the pairing", || Some(node.get("/api/v1/pair/status").ok().json()).filter(|told| told["active"] == false));
            assert_eq!(end["outcome"]["end"], "paired", "{end}");
        }
        until("both peers paired", || {
            let paired = |at: &TestDaemon, name: &str| at.peer(name).is_some_and(|peer| peer["status"] == "online" && peer["platform"] != "unknown");
            (paired(&leo, &kai.home.name) && paired(&kai, &leo.home.name)).then_some(())
        });
        Self { leo, kai }
    }

    pub(crate) fn of(leo: TestDaemon, kai: TestDaemon) -> Self {
        connect(&leo, &kai);
        connect(&kai, &leo);
        until("both peers online", || {
            let online = |at: &TestDaemon, name: &str| at.peer(name).is_some_and(|peer| peer["status"] == "online" && peer["trusted"] == true);
            (online(&leo, &kai.home.name) && online(&kai, &leo.home.name)).then_some(())
        });
        Self { leo, kai }
    }
}

/// `there` issues a key for `here`, and `here` adds `there` with it.
pub(crate) fn connect(here: &TestDaemon, there: &TestDaemon) {
    let key = there.mint(&here.home.name);
    here.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": there.port(), "key": key, "issued": there.home.name })).ok();
}
