//! What encryption costs: the same requests and the same file by pinned TLS and by plain HTTP, in turn.

use std::{fs, sync::Arc, time::Instant};

use loopsy_shared::{
    api::{Endpoint, context::GetContext, health::GetHealth},
    client::{Client, TlsIdentity, Transport},
    fingerprint::Fingerprint,
    secret::Secret,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};

use super::{
    Setting,
    files::{self, FULL, QUICK},
    pair,
};
use crate::{
    Result, cpu,
    load::median,
    node::{Home, Node},
    report::{Report, Target},
    wire::Connection,
};

pub(super) fn requests(setting: &Setting, report: &mut Report) -> Result<()> {
    let (near_home, far_home) = (setting.home("tls-near")?, setting.home("tls-far")?);
    let (near, far) = (near_home.start()?, far_home.start()?);
    far.target.ask(&far.target.json("PUT", "/context/there", &json!({ "value": "x".repeat(1024) }).to_string()))?;
    pair::join(&near, &far)?;
    pair::wait_for(&near, "tls-far", "pinned")?;
    let address = far.target.address.to_string();
    let own = Arc::new(TlsIdentity::new(certificate(&near_home)?, PrivateKeyDer::from_pem_file(near_home.dir.join("tls/key.pem"))?));
    let pin = Fingerprint::of(&certificate(&far_home)?);
    let encrypted = Client::new(Transport::pinned(own, pin), &address, Some(&received_key(&near_home)?))?;
    let issued = far.target.ask_json(&far.target.json("POST", "/peers/keys", r#"{"name":"plain"}"#))?;
    let plain = Client::new(Transport::default(), &address, Some(&Secret::new(issued["key"].as_str().ok_or("no key")?)))?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let total = setting.size(20_000, 2000);
    for (what, times) in [
        ("GET /health", runtime.block_on(alternate(&plain, &encrypted, total, || GetHealth {}))?),
        ("GET of an entry of 1 KiB", {
            let key: loopsy_shared::api::context::ContextKey = serde_json::from_value(json!("there"))?;
            runtime.block_on(alternate(&plain, &encrypted, total, || GetContext { key: key.clone() }))?
        }),
    ] {
        let [plain, encrypted] = times.map(|times| median(times) * 1000.0);
        let note = format!("p50 {encrypted:.0} µs encrypted, {plain:.0} µs plain, on warm connections of our own client");
        report.against(&format!("{what} by TLS, of plain"), encrypted / plain, "", Target::AtMost(1.1), note);
    }
    Ok(())
}

/// Asks both in turn, one request each. Gives the milliseconds, those of the first client first.
async fn alternate<E: Endpoint>(first: &Client, second: &Client, total: usize, request: impl Fn() -> E) -> Result<[Vec<f64>; 2]> {
    let mut times = [Vec::with_capacity(total), Vec::with_capacity(total)];
    for round in 0..total + 100 {
        for (client, times) in [first, second].into_iter().zip(&mut times) {
            let begun = Instant::now();
            client.call(request()).await?;
            // The first ones open the connections.
            if round >= 100 {
                times.push(begun.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }
    Ok(times)
}

fn certificate(home: &Home) -> Result<CertificateDer<'static>> {
    Ok(CertificateDer::from_pem_file(home.dir.join("tls/cert.pem"))?)
}

/// The one key that another node issued for this one.
fn received_key(home: &Home) -> Result<Secret> {
    let keys: Value = serde_json::from_slice(&fs::read(home.dir.join("credentials.json"))?)?;
    let key = keys.as_object().and_then(|keys| keys.values().next()).and_then(Value::as_str);
    Ok(Secret::new(key.ok_or("no key in credentials.json")?))
}

/// What one transfer took.
struct Pushed {
    /// MB/s.
    rate: f64,
    /// Seconds of processors that both nodes used.
    cpu: f64,
}

pub(super) fn push(setting: &Setting, report: &mut Report) -> Result<()> {
    let (block, size) = (files::block(), setting.size(FULL, QUICK));
    let hash = files::hash(&block, size);
    let source = setting.dir.path().join("tls-source");
    files::make(&source, &block, size)?;
    let start = |name: &str| setting.home(name)?.start();
    let plain = (start("leo-plain")?, start("kai-plain")?);
    let issued = plain.1.target.ask_json(&plain.1.target.json("POST", "/peers/keys", r#"{"name":"leo-plain"}"#))?;
    let body = json!({ "address": "127.0.0.1", "port": plain.1.target.address.port(), "key": issued["key"] });
    plain.0.target.ask(&plain.0.target.json("POST", "/peers/connect", &body.to_string()))?;
    pair::wait_for(&plain.0, "kai-plain", "none")?;
    let encrypted = (start("leo-tls")?, start("kai-tls")?);
    pair::join(&encrypted.0, &encrypted.1)?;
    pair::wait_for(&encrypted.0, "kai-tls", "pinned")?;

    let destination = setting.dir.path().join("tls-destination");
    let request = |peer: &str| json!({ "peer": peer, "direction": "push", "source": source, "destination": destination }).to_string();
    let carry = |(leo, kai): &(Node, Node), peer: &str| -> Result<Pushed> {
        let used = || Result::Ok(cpu::used(leo.pid())? + cpu::used(kai.pid())?);
        let before = used()?;
        let mut connection = Connection::open(leo.target.address)?;
        let mut told: Value = serde_json::from_slice(connection.ask(&leo.target.json("POST", "/transfers", &request(peer)))?)?;
        let look = leo.target.get(&format!("/transfers/{}", told["transferId"].as_str().ok_or("no transfer")?));
        while told["state"] == "running" {
            std::thread::sleep(std::time::Duration::from_millis(20));
            told = serde_json::from_slice(connection.ask(&look)?)?;
        }
        let whole = fs::metadata(&destination).is_ok_and(|file| file.len() == size as u64);
        if told["state"] != "done" || told["sha256"] != hash || !whole {
            return Err(format!("the file did not arrive: {told}").into());
        }
        fs::remove_file(&destination)?;
        let took = told["endedAt"].as_u64().zip(told["startedAt"].as_u64()).map(|(end, start)| (end - start) as f64 / 1000.0);
        Ok(Pushed { rate: size as f64 / 1e6 / took.ok_or("no times")?, cpu: used()? - before })
    };
    let (mut by_plain, mut by_tls) = (Vec::new(), Vec::new());
    for round in 0..setting.size(9, 3) {
        // Whoever comes second may find the disk busy with what the first has left to it.
        if round % 2 == 0 {
            by_plain.push(carry(&plain, "kai-plain")?);
        }
        by_tls.push(carry(&encrypted, "kai-tls")?);
        if round % 2 == 1 {
            by_plain.push(carry(&plain, "kai-plain")?);
        }
    }
    fs::remove_file(&source)?;
    let rate = |of: &[Pushed]| median(of.iter().map(|pushed| pushed.rate).collect());
    let cpu = |of: &[Pushed]| median(of.iter().map(|pushed| pushed.cpu).collect());
    let span = |of: &[Pushed]| {
        let (least, most) = of.iter().fold((f64::INFINITY, 0.0_f64), |(least, most), pushed| (least.min(pushed.rate), most.max(pushed.rate)));
        format!("{} MiB from node to node, hashed; {least:.0} to {most:.0}; {:.2} s of processors in both nodes", size >> 20, cpu(of))
    };
    report.told("push of 1 GiB to a peer, plain", rate(&by_plain), "MB/s", span(&by_plain));
    report.told("the same to a paired one, by TLS", rate(&by_tls), "MB/s", span(&by_tls));
    // Of neighbours, because what else the machine does changes from round to round.
    let shares = by_tls.iter().zip(&by_plain).map(|(tls, plain)| tls.rate / plain.rate).collect();
    let note = format!("median of {} pairs of neighbours; {:.2} times the processors", by_tls.len(), cpu(&by_tls) / cpu(&by_plain));
    report.against("the same, of plain", median(shares), "", Target::AtLeast(0.8), note);
    Ok(())
}
