//! The command line: from the start of the process to its end.

use std::time::Instant;

use super::Setting;
use crate::{
    Result,
    load::median,
    node::Home,
    report::{Report, Target},
};

pub(super) fn cli(setting: &Setting, report: &mut Report) -> Result<()> {
    let home = setting.home("cli")?;
    let node = home.start()?;
    // The runtime file comes a little later than the first answer.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let rounds = setting.size(100, 20);
    report.against("`loopsy --version`", time(&home, &["--version"], rounds)?, "ms", Target::AtMost(5.0), "p50");
    report.against("`loopsy status`", time(&home, &["status"], rounds)?, "ms", Target::AtMost(15.0), "p50");
    node.stop()
}

fn time(home: &Home, args: &[&str], rounds: usize) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let mut command = home.command(args);
        let begun = Instant::now();
        let status = command.status()?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        if !status.success() {
            return Err(format!("`loopsy {}` failed ({status})", args.join(" ")).into());
        }
    }
    Ok(median(times))
}
