//! What the doctor finds on this machine without the daemon.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use loopsy_shared::paths::home;

use super::report::Report;
use crate::error::Error;

/// Nobody else may read the key, the store or the logs.
pub(super) fn files(report: &mut Report<'_>) -> Result<(), Error> {
    let dir = report.ctx.dir.clone();
    if !dir.path().exists() {
        return Ok(());
    }
    let secret = [dir.path().to_owned(), dir.config(), dir.credentials(), dir.node_json(), dir.store(), dir.logs(), dir.audit(), dir.log(), dir.tls()];
    let open = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    let open: Vec<String> = secret.iter().filter(|path| open(path)).map(|path| path.display().to_string()).collect();
    if open.is_empty() {
        report.ok("Files", format!("Only you can read {}.", dir.path().display()))
    } else {
        report.fail(
            "Files",
            &Error::failure(format!("Others can read {}.", open.join(", "))).hint("`loopsy init` mends the modes; what is there is never overwritten."),
        )
    }
}

/// Whether the daemon comes back by itself.
pub(super) fn service(report: &mut Report<'_>) -> Result<(), Error> {
    let Ok(home) = home() else { return Ok(()) };
    let place = if cfg!(target_os = "macos") { "Library/LaunchAgents/com.loopsy.daemon.plist" } else { ".config/systemd/user/loopsy.service" };
    let path = home.join(place);
    if path.exists() {
        report.ok("Service", format!("{} starts the daemon when you log in.", path.display()))
    } else {
        report.warn("Service", "The daemon is not started when you log in.", "run `loopsy start` after each login")
    }
}
