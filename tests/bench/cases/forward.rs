//! What the way through another node costs.

use serde_json::json;

use super::Setting;
use crate::{Result, load, report::Report};

pub(super) fn forward(setting: &Setting, report: &mut Report) -> Result<()> {
    let (near, far) = (setting.home("near")?.start()?, setting.home("far")?.start()?);
    far.target.ask(&far.target.json("PUT", "/context/there", &json!({ "value": "x".repeat(1024) }).to_string()))?;
    let issued = far.target.ask_json(&far.target.json("POST", "/peers/keys", r#"{"name":"near"}"#))?;
    let key = issued["key"].as_str().ok_or("no key")?;
    let body = json!({ "address": "127.0.0.1", "port": far.target.address.port(), "key": key });
    near.target.ask(&near.target.json("POST", "/peers/connect", &body.to_string()))?;
    let total = setting.size(5000, 500);
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..setting.size(5, 2) {
        direct.push(load::drive(&far.target, 1, total, &[far.target.get("/context/there")])?.quantile(0.5));
        through.push(load::drive(&near.target, 1, total, &[near.target.get("/at/far/context/there")])?.quantile(0.5));
    }
    let (direct, through) = (load::median(direct), load::median(through));
    let busy = load::drive(&near.target, 8, total, &[near.target.get("/at/far/context/there")])?;
    report.told("forwarding of a GET, added p50", through - direct, "ms", format!("{direct:.3} ms direct, {through:.3} ms through /at; goal 0.3 ms"));
    report.told("forwarding of GETs, 8 at a time", busy.rate, "/s", format!("p99 {:.2} ms", busy.quantile(0.99)));
    Ok(())
}
