//! Two nodes become a pair, as two people would make them one, only without the people.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::Setting;
use crate::{
    Result,
    load::median,
    node::Node,
    report::{Report, Target},
    wire::Connection,
};

/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks whether a peer is known to be there.
const STEP: Duration = Duration::from_millis(5);

pub(super) fn pair(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut times = Vec::new();
    // Fresh nodes for each: a node takes five attempts a minute from one address, and knows a peer for good.
    for round in 0..setting.size(15, 5) {
        let node = |name: &str| setting.home(&format!("{name}-{round}"))?.start();
        let (leo, kai) = (node("leo")?, node("kai")?);
        times.push(join(&kai, &leo)?.as_secs_f64() * 1000.0);
        leo.stop()?;
        kai.stop()?;
    }
    let (least, most) = times.iter().fold((f64::INFINITY, 0.0_f64), |(least, most), time| (least.min(*time), most.max(*time)));
    let note = format!("from the invite until both have stored it, {} fresh pairs; {least:.0} to {most:.0} ms", times.len());
    report.against("pairing without the people", median(times), "ms", Target::AtMost(60.0), note);
    Ok(())
}

/// Pairs two nodes: `host` shows the code, `guest` brings it, and each says yes as soon as it has digits to compare. Gives the time from the invite until both are
/// done, which is when both have the other on disk.
pub(super) fn join(guest: &Node, host: &Node) -> Result<Duration> {
    let (mut at_host, mut at_guest) = (Side::new(host)?, Side::new(guest)?);
    // There is one code.
    let (show, type_in) = mpsc::sync_channel(1);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let hosting = scope.spawn(move || {
            let started = at_host.post("/pair/start", &json!({}))?;
            show.send(started["inviteCode"].clone())?;
            at_host.answer(None)
        });
        let body = json!({ "address": "127.0.0.1", "port": host.target.address.port(), "inviteCode": type_in.recv()? });
        let joined = at_guest.post("/pair/join", &body)?;
        let guest_saw = at_guest.answer(Some(joined))?;
        let host_saw = hosting.join().map_err(|_| "the host's side panicked")??;
        if guest_saw == host_saw { Ok(begun.elapsed()) } else { Err(format!("the digits differ: {guest_saw} and {host_saw}").into()) }
    })
}

/// Waits until a node has reached a peer, by calls that are protected in this way.
pub(super) fn wait_for(at: &Node, peer: &str, encryption: &str) -> Result<()> {
    let request = at.target.get("/peers");
    let mut connection = Connection::open(at.target.address)?;
    let begun = Instant::now();
    loop {
        let peers: Value = serde_json::from_slice(connection.ask(&request)?)?;
        let here = peers["peers"].as_array().and_then(|peers| peers.iter().find(|there| there["hostname"] == peer));
        if here.is_some_and(|here| here["status"] == "online" && here["encryption"] == encryption) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{peer} did not become online with encryption `{encryption}`: {peers}").into());
        }
        std::thread::sleep(STEP);
    }
}

/// One node in a pairing, and the connection on which its person would look and answer.
struct Side {
    target: crate::wire::Target,
    connection: Connection,
}

impl Side {
    fn new(node: &Node) -> Result<Self> {
        Ok(Self { target: node.target.clone(), connection: Connection::open(node.target.address)? })
    }

    fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        Ok(serde_json::from_slice(self.connection.ask(&self.target.json("POST", path, &body.to_string()))?)?)
    }

    /// Waits for the digits, says yes at once and waits for the end. Gives the digits.
    fn answer(&mut self, status: Option<Value>) -> Result<Value> {
        let status = self.until(status, |status| status["sas"].is_string())?;
        self.post("/pair/confirm", &json!({ "confirmed": true }))?;
        let end = self.until(None, |status| status["active"] == false)?;
        if end["outcome"]["end"] == "paired" { Ok(status["sas"].clone()) } else { Err(format!("not paired: {end}").into()) }
    }

    fn until(&mut self, mut status: Option<Value>, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let now = match status.take() {
                Some(now) => now,
                None => serde_json::from_slice(self.connection.ask(&self.target.get("/pair/status"))?)?,
            };
            if is_so(&now) {
                return Ok(now);
            }
            if now["active"] == false {
                return Err(format!("the pairing ended: {now}").into());
            }
            let next = format!("/pair/status?after={}", now["change"]);
            status = Some(serde_json::from_slice(self.connection.ask(&self.target.get(&next))?)?);
        }
        Err("the pairing does not come to its end".into())
    }
}
