//! What the harness is asked to do.

use std::path::PathBuf;

use crate::Result;

const USAGE: &str = "scripts/bench [--quick] [--json FILE|-] [--profile NAME | --binary PATH] [--dir DIR] [--list] [CASE ..]";

/// The command line.
#[derive(Debug)]
pub(crate) struct Options {
    /// Seconds in place of minutes: fewer rounds, smaller files.
    pub(crate) quick: bool,
    /// Where the JSON goes; `-` is standard output.
    pub(crate) json: Option<String>,
    /// What is measured.
    pub(crate) binary: PathBuf,
    /// Where the nodes live; on the disk that is measured.
    pub(crate) dir: PathBuf,
    /// Only name the cases.
    pub(crate) list: bool,
    /// Parts of the names of cases; empty means all.
    filter: Vec<String>,
}

impl Options {
    /// Reads the arguments.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            quick: false,
            json: None,
            binary: concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/loopsy").into(),
            dir: concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tmp").into(),
            list: false,
            filter: Vec::new(),
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value. {USAGE}"));
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = Some(value()?),
                "--binary" => options.binary = value()?.into(),
                "--dir" => options.dir = value()?.into(),
                "--list" => options.list = true,
                option if option.starts_with('-') => return Err(format!("unknown option {option}. {USAGE}").into()),
                _ => options.filter.push(arg),
            }
        }
        Ok(options)
    }

    /// Whether a case is asked for.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|part| case.contains(part.as_str()))
    }
}
