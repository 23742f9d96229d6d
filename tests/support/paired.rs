//! Pairing as two people do it, by the owner's calls on both machines.

use serde_json::{Value, json};

use super::{Pair, TestDaemon, http::Answer, until};

/// Something that takes the owner's calls.
pub(crate) trait Owned {
    fn owner(&self, method: &str, target: &str, body: Option<Value>) -> Answer;
}

impl Owned for TestDaemon {
    fn owner(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        self.call(method, target, body)
    }
}

impl Owned for super::netns::Node<'_> {
    fn owner(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        self.at(|daemon| daemon.call(method, target, body))
    }
}

/// What only the two people may know.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: String,
    pub(crate) sas: String,
}

/// `shows` shows a code, `joins` goes there with it, and both people say yes. Returns when each of the two reaches the other.
pub(crate) fn pair(shows: &impl Owned, joins: &impl Owned, at: &str, port: Option<u16>) -> Said {
    let code = shows.owner("POST", "/api/v1/pair/start", Some(json!({}))).ok().json()["inviteCode"].as_str().unwrap().to_owned();
    let mut request = json!({ "address": at, "inviteCode": code });
    if let Some(port) = port {
        request["port"] = port.into();
    }
    let sas = joins.owner("POST", "/api/v1/pair/join", Some(request)).ok().json()["sas"].as_str().unwrap().to_owned();
    assert_eq!(shows.owner("GET", "/api/v1/pair/status", None).ok().json()["sas"], sas.as_str());
    for person in [shows as &dyn Owned, joins] {
        person.owner("POST", "/api/v1/pair/confirm", Some(json!({ "confirmed": true }))).ok();
    }
    for person in [shows as &dyn Owned, joins] {
        until("both to have stored it", || {
            let status = person.owner("GET", "/api/v1/pair/status", None).ok().json();
            assert!(status["active"] == true || status["outcome"]["end"] == "paired", "{status}");
            (status["active"] == false).then_some(())
        });
        until("the other to be online", || {
            let peers = person.owner("GET", "/api/v1/peers", None).ok().json();
            peers["peers"].as_array().unwrap().iter().any(|peer| peer["paired"] == true && peer["status"] == "online").then_some(())
        });
    }
    Said { code, sas }
}

/// `leo` and `kai` on loopback, paired, on ports that they keep.
pub(crate) fn paired() -> Pair {
    let (leo, kai) = (TestDaemon::on_fixed_port("leo"), TestDaemon::on_fixed_port("kai"));
    pair(&leo, &kai, "127.0.0.1", Some(leo.port()));
    Pair { leo, kai }
}

/// The key with which a node calls another.
pub(crate) fn key_for(holder: &TestDaemon, issuer: &TestDaemon) -> String {
    let text = std::fs::read_to_string(holder.home.data().join("credentials.json")).unwrap();
    let at = text.find(&issuer.node_id).expect("a key for it");
    text[at..].split('"').find(|word| word.starts_with("lpk_")).expect("a key").to_owned()
}

/// The fingerprint of a node's certificate, in hex.
pub(crate) fn fingerprint(node: &TestDaemon) -> String {
    super::sha256(&super::tls::Credentials::of(&node.home).certificate)
}
