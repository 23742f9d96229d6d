//! What a process holds, as the kernel counts it.

use std::fs;

use crate::Result;

const KIB_IN_MIB: f64 = 1024.0;

/// Memory that is resident now, in MiB.
pub(crate) fn resident(pid: u32) -> Result<f64> {
    field(pid, "VmRSS")
}

/// The part of it that is the process's own, not its program file's.
pub(crate) fn anonymous(pid: u32) -> Result<f64> {
    field(pid, "RssAnon")
}

/// Most that was resident since [`forget_peak`].
pub(crate) fn peak(pid: u32) -> Result<f64> {
    field(pid, "VmHWM")
}

/// Makes the peak begin again with what is resident now.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

fn field(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib: f64 = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or_else(|| format!("{name} is not known"))?.trim().parse()?;
    Ok(kib / KIB_IN_MIB)
}

/// The processes that a process started.
pub(crate) fn children(pid: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let list = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        found.extend(list.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    Ok(found)
}
