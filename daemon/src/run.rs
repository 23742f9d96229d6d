//! One daemon from start to stop.

use loopsy_shared::paths::DataDir;

/// How a daemon is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Also log to standard error, for a daemon in the foreground.
    pub foreground: bool,
    /// `--port`, before the config's.
    pub port: Option<u16>,
    /// `--host`, before the config's.
    pub host: Option<String>,
}

/// Why a daemon could not start, or ended. The text is a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The process's exit code: 78 for a config or store that cannot be used, else 1.
    pub exit_code: u8,
}

/// Runs a daemon until it is asked to stop (SIGTERM, SIGINT). Builds its own runtime; blocks.
///
/// # Errors
/// When it cannot start.
pub fn run(dir: &DataDir, options: &Options) -> Result<(), RunError> {
    let _stub = (dir, options);
    Ok(())
}
