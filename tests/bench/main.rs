//! Measures a release build of Loopsy against its targets, and says both: one table for people, one JSON for machines.
//!
//! Everything is local, bounded and cleaned up: nodes live in temporary directories on free loopback ports and are ended by their process id.

mod agent;
mod cases;
mod cpu;
mod events;
mod load;
mod machine;
mod memory;
mod node;
mod options;
mod outside;
mod report;
mod wire;

use std::{error::Error, process::ExitCode};

use crate::{
    cases::{CASES, Setting},
    machine::Machine,
    options::Options,
    report::Report,
};

/// Any failure ends the case that it happens in.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, rest)) if first == agent::MODE => agent::run(rest).map(|()| true),
        _ => Options::parse(args).and_then(|options| run(&options)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether every case could be measured; a missed target is no failure, because machines differ.
fn run(options: &Options) -> Result<bool> {
    if options.list {
        CASES.iter().for_each(|case| println!("{}", case.name));
        return Ok(true);
    }
    let setting = Setting::new(options)?;
    eprintln!("bench: {} in {}", options.binary.display(), setting.dir.path().display());
    let mut report = Report::new(Machine::look(options, setting.dir.path())?, options.quick);
    for case in CASES.iter().filter(|case| options.wants(case.name)) {
        eprintln!("bench: {} (load {})", case.name, machine::load());
        // What waits for something on a screen panics when it does not come.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (case.run)(&setting, &mut report)));
        if let Err(error) = done.unwrap_or_else(|_| Err("it panicked, see above".into())) {
            eprintln!("bench: {} failed: {error}", case.name);
            report.failed(case.name, &error.to_string());
        }
    }
    report.machine.load_after = machine::load();
    let whole = report.is_whole();
    match options.json.as_deref() {
        Some("-") => {
            eprint!("{}", report.table());
            println!("{}", report.json()?);
        }
        Some(path) => {
            print!("{}", report.table());
            std::fs::write(path, report.json()? + "\n")?;
        }
        None => print!("{}", report.table()),
    }
    Ok(whole)
}
