//! What a process has used of the processors.

use std::fs;

use crate::Result;

/// Seconds that all of its threads have run, in the program and in the kernel.
pub(crate) fn used(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name, which may hold spaces; user and system time are the 14th and 15th.
    let (_, rest) = stat.rsplit_once(") ").ok_or("the process has no name")?;
    let ticks: f64 = rest.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().unwrap_or_default()).sum();
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// The same to the nanosecond, for programs that hardly do anything: what the scheduler counted for each thread that still lives.
pub(crate) fn precisely(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let counted = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += counted.split(' ').next().and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    }
    Ok(nanoseconds / 1e9)
}
