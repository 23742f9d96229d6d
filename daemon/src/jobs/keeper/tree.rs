//! Who belongs to a job: found in `/proc` by descent, process group, session and a mark in the environment.
//!
//! A process that cleared its environment, left its session and lost its parent can no longer be told apart from other jobs' orphans. It is ended with the keeper.

use std::collections::HashMap;

use rustix::process::{Pid, Signal};

/// The variable that marks everything a job starts.
pub(crate) const MARK: &str = "LOOPSY_JOB";

/// The mark of a job under one keeper, which is told by `run`.
pub(super) fn mark_of(run: &str, job: &str) -> String {
    format!("{run}.{job}")
}

fn run_of(mark: &str) -> &str {
    mark.split_once('.').map_or("", |(run, _)| run)
}

#[derive(Debug, Clone, Copy)]
struct Process {
    parent: i32,
    group: i32,
    session: i32,
    zombie: bool,
}

/// All processes at one moment.
#[derive(Debug)]
pub(crate) struct Tree {
    processes: HashMap<i32, Process>,
    marks: HashMap<i32, Option<String>>,
}

impl Tree {
    /// Looks at the system. Nothing is seen where there is no `/proc`.
    pub(crate) fn scan() -> Self {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self { processes: pids.filter_map(|pid| Some((pid, process(pid)?))).collect(), marks: HashMap::new() }
    }

    /// Everything below a process that still lives.
    pub(crate) fn below(&self, root: i32) -> Vec<i32> {
        self.alive().filter(|pid| self.line(*pid, root).is_some()).collect()
    }

    /// What lives below `root` and belongs to the job whose first process is or was `leader`. `leaders` are the first processes of jobs that still run.
    pub(crate) fn members(&mut self, root: i32, job: &str, leader: i32, leaders: &HashMap<i32, String>) -> Vec<i32> {
        let alive: Vec<i32> = self.alive().collect();
        alive.into_iter().filter(|pid| self.line(*pid, root).is_some_and(|line| self.belongs(*pid, &line, job, leader, leaders))).collect()
    }

    /// What lives anywhere and carries the mark of a job under that keeper, or is in the group of one of these first processes.
    pub(crate) fn marked(&mut self, run: &str, leaders: &[i32]) -> Vec<i32> {
        let alive: Vec<i32> = self.alive().collect();
        alive.into_iter().filter(|pid| leaders.contains(&self.processes[pid].group) || self.mark(*pid).is_some_and(|mark| run_of(mark) == run)).collect()
    }

    fn alive(&self) -> impl Iterator<Item = i32> {
        self.processes.iter().filter(|(_, process)| !process.zombie).map(|(pid, _)| *pid)
    }

    fn belongs(&mut self, pid: i32, line: &[i32], job: &str, leader: i32, leaders: &HashMap<i32, String>) -> bool {
        if let Some(owner) = line.iter().find_map(|pid| leaders.get(pid)) {
            return owner == job;
        }
        if self.mark(pid).is_some_and(|mark| mark != job && run_of(mark) == run_of(job)) {
            return false; // whatever its numbers say: they are given anew
        }
        let Process { group, session, .. } = self.processes[&pid];
        line.contains(&leader) || group == leader || session == leader || line.iter().any(|pid| self.mark(*pid) == Some(job))
    }

    /// A process and its ancestors up to `root`, which is left out; nothing when it is not below `root`.
    fn line(&self, pid: i32, root: i32) -> Option<Vec<i32>> {
        let mut line = vec![pid];
        let mut at = self.processes.get(&pid)?.parent;
        while at != root {
            let process = self.processes.get(&at).filter(|_| line.len() <= self.processes.len())?;
            line.push(at);
            at = process.parent;
        }
        (pid != root).then_some(line)
    }

    fn mark(&mut self, pid: i32) -> Option<&str> {
        self.marks.entry(pid).or_insert_with(|| mark(pid)).as_deref()
    }
}

/// Sends a signal; processes that are gone meanwhile do not matter.
pub(crate) fn signal(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        let _gone = rustix::process::kill_process(pid, signal);
    }
}

/// Sends a signal to a whole process group at once.
pub(crate) fn signal_group(leader: i32, signal: Signal) {
    if let Some(group) = Pid::from_raw(leader).filter(|_| leader > 1) {
        let _gone = rustix::process::kill_process_group(group, signal);
    }
}

fn process(pid: i32) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.iter().rposition(|byte| *byte == b')')? + 1; // the name before it may hold anything
    let mut fields = std::str::from_utf8(&stat[after..]).ok()?.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let mut number = || fields.next()?.parse().ok();
    Some(Process { parent: number()?, group: number()?, session: number()?, zombie })
}

fn mark(pid: i32) -> Option<String> {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(value.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_of_another_job_outweighs_a_number_that_was_given_anew() {
        let of = |mark: &str| Tree {
            processes: HashMap::from([(7, Process { parent: 1, group: 7, session: 7, zombie: false })]),
            marks: HashMap::from([(7, Some(mark.to_owned()))]),
        };
        let members = |mark: &str| of(mark).members(1, "run.a", 7, &HashMap::new());
        assert_eq!((members("run.a"), members("run.b"), members("a node within.b")), (vec![7], vec![], vec![7]));
        assert_eq!((of("run.a").marked("run", &[]), of("run.a").marked("ru", &[])), (vec![7], vec![]));
    }
}
