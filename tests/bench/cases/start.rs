//! How soon a node is there, and what it takes while nothing happens.

use super::{IDLE, Setting};
use crate::{
    Result,
    load::median,
    memory,
    report::{Report, Target},
    wire::Connection,
};

pub(super) fn start(setting: &Setting, report: &mut Report) -> Result<()> {
    let home = setting.home("start")?;
    let start = || -> Result<f64> {
        let node = home.start()?;
        let took = node.started_in.as_secs_f64() * 1000.0;
        node.stop()?;
        Ok(took)
    };
    let first = start()?;
    let again = (0..setting.size(20, 5)).map(|_| start()).collect::<Result<Vec<_>>>()?;
    report.against("start to first healthy answer", median(again), "ms", Target::AtMost(25.0), format!("first start of a new directory: {first:.0} ms"));
    Ok(())
}

pub(super) fn idle(setting: &Setting, report: &mut Report) -> Result<()> {
    let node = setting.home("idle")?.start()?;
    let pid = node.pid();
    std::thread::sleep(IDLE);
    let (idle, own) = (memory::resident(pid)?, memory::anonymous(pid)?);
    let keeper: f64 = memory::children(pid)?.into_iter().map(memory::resident).sum::<Result<f64>>()?;
    let mut connection = Connection::open(node.target.address)?;
    for path in ["/status", "/context", "/peers", "/health"].into_iter().cycle().take(100) {
        connection.ask(&node.target.get(path))?;
    }
    let used = memory::resident(pid)?;
    report.against("idle memory", idle, "MiB", Target::AtMost(12.0), format!("{own:.1} of it anonymous; the keeper of jobs has {keeper:.1} beside it"));
    report.told("memory after 100 requests", used, "MiB", "");
    Ok(())
}
