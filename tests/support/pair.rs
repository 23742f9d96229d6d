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
    here.post("/api/v1/peers/connect", json!({ "address": "127.0.0.1", "port": there.port(), "key": key })).ok();
}
