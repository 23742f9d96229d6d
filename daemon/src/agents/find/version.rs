//! What version a program says it is.

use std::{os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use loopsy_shared::text::inert;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::jobs::{Jobs, process::ProcessSpec};

/// A program that has not told its version by then is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of output that are looked at.
const MAX_OUTPUT: u64 = 64 << 10;

/// What is known of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Probe {
    /// The program is being asked.
    Running,
    /// This one.
    Version(String),
    /// It does not tell: a sentence for people.
    Failed(String),
}

/// By what a file is known to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: (i64, i64),
    inode: (u64, u64),
    size: u64,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        Some(Self { modified: (data.mtime(), data.mtime_nsec()), inode: (data.dev(), data.ino()), size: data.size() })
    }
}

/// Runs `program --version`.
pub(super) async fn ask(jobs: &Jobs, program: &Path) -> Probe {
    let shown = inert(&program.to_string_lossy()).into_owned();
    let spec = ProcessSpec {
        id: format!("version-{}", uuid::Uuid::new_v4()),
        program: program.to_string_lossy().into_owned(),
        args: vec!["--version".to_owned()],
        cwd: "/".to_owned(),
        env: jobs.agent_environment(&[], |_| false).into_iter().collect(),
    };
    let mut process = match jobs.process(spec).await {
        Ok(process) => process,
        Err(error) => return Probe::Failed(format!("`{shown}` cannot be started: {}. Install it again.", inert(&error.to_string()))),
    };
    // Nothing is said to it.
    drop(process.stdin);
    let output = async { tokio::join!(read(process.stdout), read(process.stderr)) };
    let answer = tokio::time::timeout(PATIENCE, async {
        let (said, complained) = output.await;
        (said, complained, process.life.ended().await)
    });
    let (said, complained, ended) = match answer.await {
        Ok(answer) => answer,
        Err(_) => {
            process.life.kill(Duration::ZERO).await;
            return Probe::Failed(format!("`{shown} --version` gave no answer in {} seconds. Try it in a terminal.", PATIENCE.as_secs()));
        }
    };
    match (parse(&said), ended.code) {
        (Some(version), Some(0)) => Probe::Version(version),
        (None, Some(0)) => Probe::Failed(format!("`{shown} --version` tells no version. Is it the right program?")),
        (_, code) => {
            let how = code.map_or_else(|| "was ended by a signal".to_owned(), |code| format!("ended with code {code}"));
            let last = complained.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let last: String = last.chars().take(200).collect();
            Probe::Failed(format!("`{shown} --version` {how}: {} Install it again.", inert(&last)))
        }
    }
}

async fn read(from: impl AsyncRead + Unpin) -> String {
    let (mut bytes, mut from) = (Vec::new(), from.take(MAX_OUTPUT));
    // What was read until an error counts.
    let _until_error = from.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first word that looks like a version: `codex-cli 0.169.0`, `v1.2.3`, `2.1.329 (Claude Code)`.
fn parse(said: &str) -> Option<String> {
    let words = said.split_whitespace().map(|word| word.strip_prefix('v').unwrap_or(word));
    let plain = |word: &&str| word.len() <= 64 && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_'));
    words.filter(plain).find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn versions_are_found_in_what_the_programs_print() {
        for (said, version) in
            [("2.1.329 (Claude Code)\n", "2.1.329"), ("codex-cli 0.169.0\n", "0.169.0"), ("0.61.0\n", "0.61.0"), ("goose v1.2.0-rc1", "1.2.0-rc1")]
        {
            assert_eq!(parse(said).as_deref(), Some(version));
        }
        assert_eq!(parse("usage: thing [options]\n\u{1b}[31m"), None);
    }
}
