//! The loop: what happens goes in, what is to be done comes out, and a frame is drawn when something changed.

use loopsy_shared::paths::DataDir;

/// How the control centre is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub dir: DataDir,
    /// This program, for starting a daemon: `init` and `start`.
    pub program: std::path::PathBuf,
    /// Lines of text instead of a screen.
    pub plain: bool,
    /// Only ASCII is drawn.
    pub ascii: bool,
    /// The theme's name; that of the config when absent.
    pub theme: Option<String>,
    /// `auto`, `never`, `16`, `256` or `true`.
    pub color: Option<String>,
}

/// Runs until the person leaves. The terminal is given back whatever happens.
///
/// # Errors
/// When there is no terminal, or it cannot be used.
pub fn run(_options: Options) -> std::io::Result<()> {
    Ok(())
}

/// Puts a terminal right that some program left in a strange state.
///
/// # Errors
/// When there is no terminal.
pub fn reset_terminal() -> std::io::Result<()> {
    Ok(())
}
