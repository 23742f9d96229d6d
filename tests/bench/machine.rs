//! Where it was measured: without it no figure says anything.

use std::{
    fs,
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{Result, load::median, options::Options, report::number};

const MIB: f64 = 1_048_576.0;

/// The machine and the build.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    /// When, in UTC.
    date: String,
    /// What was built.
    commit: String,
    cpu: String,
    cores: usize,
    kernel: String,
    memory_mib: f64,
    /// One-minute load before the first case: what else ran.
    load_before: String,
    /// The same after the last.
    pub(crate) load_after: String,
    /// Share of all cores that others used in the second before the first case.
    busy_before: f64,
    /// Milliseconds that 4 KiB take to the disk.
    fdatasync_p50: f64,
    /// MB/s of 256 MiB to the disk, in 1 MiB writes with one sync at the end.
    disk_write: f64,
    /// Milliseconds to start a process that does nothing.
    spawn_p50: f64,
    /// Bytes of the program.
    binary_bytes: u64,
    /// Packages in the program, without those of tests and build scripts.
    crates: usize,
}

impl Machine {
    pub(crate) fn look(options: &Options, dir: &Path) -> Result<Self> {
        let busy_before = busy(Duration::from_secs(1))?;
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |(_, name)| name).to_owned();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        let (fdatasync_p50, disk_write) = disk(dir, if options.quick { 64 } else { 256 })?;
        Ok(Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            commit: said(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"])),
            cpu,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            memory_mib: (memory.unwrap_or_default() / 1024.0).round(),
            load_before: load(),
            load_after: String::new(),
            busy_before,
            fdatasync_p50,
            disk_write,
            spawn_p50: median((0..20).map(|_| timed(|| said(&mut Command::new("true")))).collect()),
            binary_bytes: fs::metadata(&options.binary)?.len(),
            crates: crates(),
        })
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "{}, commit {}\n{} cores of {}, {} MiB, Linux {}; load {} before and {} after, {:.0} % busy before\n\
             disk: fdatasync p50 {} ms, {} MB/s written; starting `true` takes {} ms\nprogram: {} MB, {} crates",
            self.date,
            self.commit,
            self.cores,
            self.cpu,
            number(self.memory_mib),
            self.kernel,
            self.load_before,
            self.load_after,
            self.busy_before * 100.0,
            number(self.fdatasync_p50),
            number(self.disk_write),
            number(self.spawn_p50),
            number(self.binary_bytes as f64 / 1e6),
            self.crates
        )
    }
}

/// One-minute load average.
pub(crate) fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}

/// Share of all cores that is busy over some time.
fn busy(time: Duration) -> Result<f64> {
    let read = || -> Result<(f64, f64)> {
        let stat = fs::read_to_string("/proc/stat")?;
        let ticks: Vec<f64> = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        Ok((ticks.iter().take(8).sum(), ticks.iter().skip(3).take(2).sum()))
    };
    let (all, idle) = read()?;
    std::thread::sleep(time);
    let (all_then, idle_then) = read()?;
    Ok(1.0 - (idle_then - idle) / (all_then - all).max(1.0))
}

/// Milliseconds.
fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let begun = Instant::now();
    let _done = work();
    begun.elapsed().as_secs_f64() * 1000.0
}

/// What the disk can do: p50 of a small sync, and MB/s.
fn disk(dir: &Path, mib: usize) -> Result<(f64, f64)> {
    let path = dir.join("disk");
    let mut file = fs::File::create(&path)?;
    let mut syncs = Vec::new();
    for _ in 0..50 {
        file.write_all(&[7; 4096])?;
        syncs.push(timed(|| file.sync_data()));
    }
    let block: Vec<u8> = (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let begun = Instant::now();
    for _ in 0..mib {
        file.write_all(&block)?;
    }
    file.sync_data()?;
    let rate = mib as f64 * MIB / 1e6 / begun.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok((median(syncs), rate))
}

/// Packages of a normal build, each version once.
fn crates() -> usize {
    let tree = said(Command::new("cargo").args(["tree", "--offline", "--locked", "--package", "loopsy", "--edges", "normal", "--prefix", "none"]));
    let mut names: Vec<&str> = tree.lines().map(|line| line.split(" (").next().unwrap_or(line)).filter(|line| !line.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}

fn said(command: &mut Command) -> String {
    let output = command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).output();
    output.map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
