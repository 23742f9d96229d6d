//! What is measured, one case each.

mod cli;
mod context;
mod crash;
mod exec;
mod files;
mod flood;
mod forward;
mod pair;
mod start;
mod tasks;
mod terminal;
mod tls;
mod tui;

use std::{path::PathBuf, time::Duration};

use tempfile::TempDir;

use crate::{
    Result,
    load::median,
    memory,
    node::{Home, Node},
    options::Options,
    report::Report,
};

/// What a target of memory allows beyond idle, in MiB.
const GROWTH: f64 = 16.0;
/// How long a node that has just started is left alone before its memory counts as idle.
const IDLE: Duration = Duration::from_secs(2);

/// A case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Setting, &mut Report) -> Result<()>,
}

/// All cases, in the order in which they run.
pub(crate) const CASES: [Case; 30] = [
    Case { name: "start", run: start::start },
    Case { name: "idle", run: start::idle },
    Case { name: "get", run: context::get },
    Case { name: "put", run: context::put },
    Case { name: "put-100k", run: context::put_among_many },
    Case { name: "list", run: context::list },
    Case { name: "exec", run: exec::exec },
    Case { name: "print", run: exec::print },
    Case { name: "stream", run: exec::stream },
    Case { name: "push", run: files::push },
    Case { name: "pull", run: files::pull },
    Case { name: "cli", run: cli::cli },
    Case { name: "crash", run: crash::crash },
    Case { name: "pair", run: pair::pair },
    Case { name: "forward", run: forward::forward },
    Case { name: "tls", run: tls::requests },
    Case { name: "tls-push", run: tls::push },
    Case { name: "terminal", run: terminal::flood },
    Case { name: "terminal-echo", run: terminal::echo },
    Case { name: "task-events", run: tasks::events },
    Case { name: "task-fan-out", run: tasks::fan_out },
    Case { name: "task-stalled", run: tasks::stalled },
    Case { name: "task-latency", run: tasks::latency },
    Case { name: "decision-latency", run: tasks::decisions },
    Case { name: "flood", run: flood::flood },
    Case { name: "tui-start", run: tui::first_frame },
    Case { name: "tui-idle", run: tui::idle },
    Case { name: "tui-keys", run: tui::keys },
    Case { name: "tui-flood", run: tui::flood },
    Case { name: "tui-lines", run: tui::lines },
];

/// Where and how much.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Holds everything that the cases make; gone at the end.
    pub(crate) dir: TempDir,
    binary: PathBuf,
    quick: bool,
}

impl Setting {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        std::fs::create_dir_all(&options.dir)?;
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(options.dir.canonicalize()?)?;
        Ok(Self { dir, binary: options.binary.canonicalize()?, quick: options.quick })
    }

    /// This much in full, that much in quick mode.
    fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A node's directory of this name.
    fn home(&self, name: &str) -> Result<Home> {
        Home::new(&self.binary, self.dir.path(), name)
    }

    /// Runs some work on nodes that are fresh and idle, one after the other. Gives the medians of what it returns and of the MiB by which the node grew.
    fn grown(&self, name: &str, rounds: usize, work: impl Fn(&Node) -> Result<f64>) -> Result<(f64, f64)> {
        let (mut values, mut growths) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let node = self.home(&format!("{name}-{round}"))?.start()?;
            std::thread::sleep(IDLE);
            memory::forget_peak(node.pid())?;
            let idle = memory::resident(node.pid())?;
            values.push(work(&node)?);
            growths.push(memory::peak(node.pid())? - idle);
            node.stop()?;
        }
        Ok((median(values), median(growths)))
    }
}
