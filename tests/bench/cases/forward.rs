//! What the way through another node costs: that to a paired peer, so encrypted behind the first node and plain, as on any machine, up to it.

use serde_json::json;

use super::{Setting, pair};
use crate::{
    Result, load,
    report::{Report, Target},
};

pub(super) fn forward(setting: &Setting, report: &mut Report) -> Result<()> {
    let (near, far) = (setting.home("near")?.start()?, setting.home("far")?.start()?);
    far.target.ask(&far.target.json("PUT", "/context/there", &json!({ "value": "x".repeat(1024) }).to_string()))?;
    pair::join(&near, &far)?;
    pair::wait_for(&near, "far", "pinned")?;
    let total = setting.size(5000, 500);
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..setting.size(5, 2) {
        direct.push(load::drive(&far.target, 1, total, &[far.target.get("/context/there")])?.quantile(0.5));
        through.push(load::drive(&near.target, 1, total, &[near.target.get("/at/far/context/there")])?.quantile(0.5));
    }
    let (direct, through) = (load::median(direct), load::median(through));
    let busy = load::drive(&near.target, 8, total, &[near.target.get("/at/far/context/there")])?;
    let note = format!("{direct:.3} ms direct and plain, {through:.3} ms through /at to a paired peer");
    report.against("forwarding of a GET, added p50", through - direct, "ms", Target::AtMost(0.3), note);
    report.told("forwarding of GETs, 8 at a time", busy.rate, "/s", format!("p99 {:.2} ms", busy.quantile(0.99)));
    Ok(())
}
