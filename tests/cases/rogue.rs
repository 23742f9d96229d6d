//! Somebody else at the address of a paired node: he is told nothing, and people are told of him.

use serde_json::json;

use crate::support::{
    Home, Pair,
    paired::{fingerprint, key_for, paired},
    rogue::{Manner, Rogue},
    sha256,
    tls::{self, Credentials, Secured},
    until,
};

/// kai is replaced by a rogue; leo's person tries to reach kai. Returns what the owner's call and the command line say.
fn replaced(pair: &mut Pair, manner: Manner, code: u64) -> (String, String) {
    let address = pair.kai.address;
    let key = key_for(&pair.leo, &pair.kai);
    pair.kai.stop();
    let rogue = Rogue::at(address, manner);
    let said = pair.leo.get("/api/v1/at/kai/identity").refused(502, code);
    pair.leo.call("POST", "/api/v1/at/kai/execute", Some(json!({ "command": "true" }))).refused(502, code);
    let ran = pair.leo.loopsy(&["exec", "kai", "true"]);
    let told = ran.refused(3).to_owned();
    for said in [&said, &told] {
        assert!(said.contains("kai"), "{said}");
    }
    rogue.learned_nothing(&[&key, &pair.leo.key]);
    let peer = until("the check that fails", || pair.leo.peer("kai").filter(|peer| peer["lastError"].is_string()));
    assert_eq!((peer["paired"].as_bool(), peer["trusted"].as_bool(), peer["encryption"].as_str()), (Some(true), Some(true), Some("pinned")), "{peer}");
    rogue.learned_nothing(&[&key, &pair.leo.key]);
    drop(rogue);
    pair.kai.launch(&[]);
    // Nobody has to do anything once the real one is back.
    until("kai, without anybody's help", || (pair.leo.get("/api/v1/at/kai/identity").status == 200).then_some(()));
    pair.leo.loopsy(&["exec", "kai", "true"]).ok();
    pair.kai.get("/api/v1/at/leo/identity").ok();
    (said, told)
}

#[test]
fn who_has_another_certificate_is_told_nothing() {
    let mut pair = paired();
    let (own, other) = (Credentials::of(&pair.kai.home), Credentials::of(&Home::init("rogue")));
    let (pinned, shown) = (fingerprint(&pair.kai), sha256(&other.certificate));
    // Alone, and with the pinned one in its chain.
    for chain in [vec![other.certificate.clone()], vec![other.certificate.clone(), own.certificate.clone()]] {
        let (said, told) = replaced(&mut pair, Manner::Tls(tls::server(chain, &other.key)), 2009);
        for said in [said, told] {
            assert!(said.contains(&pinned) && said.contains(&shown), "{said}");
        }
    }
}

#[test]
fn who_shows_the_certificate_without_its_key_is_told_nothing() {
    let mut pair = paired();
    let (own, other) = (Credentials::of(&pair.kai.home), Credentials::of(&Home::init("rogue")));
    replaced(&mut pair, Manner::Tls(tls::server(vec![own.certificate.clone()], &other.key)), 2003);
    // Even with its key: a chain is nothing that a node shows.
    replaced(&mut pair, Manner::Tls(tls::server(vec![own.certificate.clone(), other.certificate.clone()], &own.key)), 2003);
}

#[test]
fn who_speaks_anything_but_tls_1_3_is_told_nothing() {
    let mut pair = paired();
    for manner in [Manner::plain_http(), Manner::old_tls(), Manner::old_honest_tls()] {
        replaced(&mut pair, manner, 2003);
    }
}

#[test]
fn who_never_answers_is_told_nothing() {
    let mut pair = paired();
    replaced(&mut pair, Manner::Silent, 2003);
    // A check comes back to the real one even if nobody calls it.
    pair.kai.kill9();
    let rogue = Rogue::at(pair.kai.address, Manner::plain_http());
    until("kai missed", || pair.leo.peer("kai").filter(|peer| peer["failureCount"] != 0));
    rogue.learned_nothing(&[]);
    drop(rogue);
    pair.kai.launch(&[]);
    until("kai online", || pair.leo.peer("kai").filter(|peer| peer["status"] == "online" && peer["lastError"].is_null()));
}

#[test]
fn a_node_with_a_new_certificate_is_refused_until_it_is_paired_again() {
    let mut pair = paired();
    let before = fingerprint(&pair.kai);
    pair.kai.stop();
    std::fs::remove_dir_all(pair.kai.home.data().join("tls")).unwrap();
    pair.kai.launch(&[]);
    let after = fingerprint(&pair.kai);
    assert_ne!(before, after);
    let said = pair.leo.get("/api/v1/at/kai/identity").refused(502, 2009);
    assert!(said.contains(&before) && said.contains(&after), "{said}");
    pair.leo.loopsy(&["exec", "kai", "true"]).refused(3);
    until("the check to say so", || pair.leo.peer("kai")?["lastError"].as_str()?.contains("certificate").then_some(()));
    until("kai offline", || (pair.leo.peer("kai")?["status"] == "offline").then_some(()));
    let listed = pair.leo.loopsy(&["peers"]).ok().text();
    assert!(listed.contains("another certificate"), "{listed}");
    let doctor = pair.leo.loopsy(&["doctor", "--peer", "kai"]);
    assert!(doctor.code == 1 && doctor.text().contains(&before) && doctor.text().contains(&after), "{}", doctor.text());
    let steps = pair.leo.post(&format!("/api/v1/peers/{}/diagnose", pair.kai.node_id), json!({})).ok().json();
    let last = steps["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((last["step"].as_str(), last["verdict"].as_str()), (Some("pin"), Some("failed")), "{steps}");
    // Nor does its old key open leo together with its new certificate.
    let refused = pair.kai.get("/api/v1/at/leo/identity");
    assert!(refused.status >= 400 && refused.text().contains("another certificate"), "{}", refused.text());
}

#[test]
fn without_its_pin_a_paired_node_is_not_called_at_all() {
    let mut pair = paired();
    let pin = fingerprint(&pair.kai);
    let config = std::fs::read_to_string(pair.leo.home.config()).unwrap();
    let line = config.lines().find(|line| line.contains(&pin)).expect("the pin").to_owned();
    let entry = line.split('{').nth(1).and_then(|rest| rest.split('}').next()).unwrap_or(&line);
    pair.leo.home.edit_config(entry, "");
    pair.leo.post("/api/v1/reload", json!({})).ok();
    let said = pair.leo.get("/api/v1/at/kai/identity").refused(409, 2010);
    assert!(said.contains("kai") && said.contains("pinnedCerts"), "{said}");
    pair.kai.stop();
    let rogue = Rogue::at(pair.kai.address, Manner::plain_http());
    pair.leo.get("/api/v1/at/kai/identity").refused(409, 2010);
    assert_ne!(pair.leo.loopsy(&["exec", "kai", "true"]).code, 0);
    let steps = pair.leo.post(&format!("/api/v1/peers/{}/diagnose", pair.kai.node_id), json!({})).ok().json();
    assert_eq!(steps["steps"].as_array().unwrap().last().unwrap()["step"], "pin", "{steps}");
    until("the check to say so", || pair.leo.peer("kai")?["lastError"].as_str()?.contains("pinnedCerts").then_some(()));
    // The diagnosis knocks; nobody says a word.
    assert!(rogue.heard().raw.is_empty(), "{:?}", rogue.heard());
}

#[test]
fn a_stolen_key_opens_nothing_without_the_certificate() {
    let pair = paired();
    let (at, status) = (pair.leo.address, "/api/v1/status");
    let key = key_for(&pair.kai, &pair.leo);
    let (own, other) = (Credentials::of(&pair.kai.home), Credentials::of(&Home::init("thief")));
    pair.leo.call_as(&key, "GET", status, None).refused(403, 1006);
    tls::request(at, None, &key, "GET", status).refused(403, 1006);
    let said = tls::request(at, Some(&other), &key, "GET", status).refused(403, 1006);
    assert!(said.contains("kai"), "{said}");
    tls::request(at, Some(&own), &key, "GET", status).ok();
    for target in ["/api/v1/context", "/api/v1/peers", "/api/v1/identity", "/api/v1/execute/jobs"] {
        tls::request(at, Some(&other), &key, "GET", target).refused(403, 1006);
    }
    // A good request does not open the connection for a bad one.
    let mut link = Secured::open(at, Some(&other));
    link.request(&pair.leo.key, "GET", status).ok();
    link.request(&key, "GET", status).refused(403, 1006);
    // Nor is the certificate worth anything without a key.
    tls::request(at, Some(&own), "lpk_wrong", "GET", status).refused(403, 1002);
}
