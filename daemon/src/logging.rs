//! The daemon's own log: `logs/daemon.log`, where a person can find it however the daemon was started.

use std::{
    io,
    sync::{Mutex, OnceLock},
};

use loopsy_shared::{config::Level, paths::DataDir};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::{Layered, SubscriberExt},
    registry::Registry,
    reload,
    util::SubscriberInitExt,
};

use crate::{fsutil, settings::Settings};

static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();
/// What the log was before rotation is not needed for; a file larger than this is begun anew at start.
const MOST_BYTES: u64 = 16 << 20;

/// Starts writing the log. A second call in one process changes nothing.
///
/// # Errors
/// When the file cannot be opened.
pub fn start(dir: &DataDir, settings: &Settings, foreground: bool) -> io::Result<()> {
    let config = settings.now();
    let path = config.logging.file.clone().unwrap_or_else(|| dir.log());
    let file = fsutil::append_private(&path)?;
    if file.metadata()?.len() > MOST_BYTES {
        std::fs::rename(&path, path.with_extension("log.1"))?;
    }
    let file = fsutil::append_private(&path)?;
    let (filter, handle) = reload::Layer::new(targets(config.logging.level));
    let to_file = fmt::layer().with_ansi(false).with_writer(Mutex::new(file));
    let to_person = foreground.then(|| fmt::layer().with_writer(io::stderr));
    let subscriber: Layered<_, _> = tracing_subscriber::registry().with(filter).with(to_file).with(to_person);
    if subscriber.try_init().is_ok() {
        // Set once, right after the only successful init.
        let _first = LEVEL.set(handle);
    }
    Ok(())
}

/// Changes how much is written.
pub fn set_level(level: Level) {
    if let Some(handle) = LEVEL.get()
        && let Err(error) = handle.reload(targets(level))
    {
        tracing::warn!(%error, "log level not changed");
    }
}

/// Ours at the level asked for; libraries only when something is wrong, for at `debug` they print addresses and headers of every request.
fn targets(level: Level) -> Targets {
    let ours: LevelFilter = level.as_str().parse().unwrap_or(LevelFilter::INFO);
    Targets::new().with_default(ours.min(LevelFilter::WARN)).with_target("loopsy_daemon", ours).with_target("loopsy_shared", ours).with_target("loopsy", ours)
}
