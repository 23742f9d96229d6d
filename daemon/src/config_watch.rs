//! Notices that the config file was changed, also by editors that replace it.

use std::{path::Path, time::Duration};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Editors write a file in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(100);

/// Watches a file by its directory. Each item is one change, after it has settled. Ends when the watcher is dropped.
///
/// # Errors
/// When the system cannot watch.
pub fn watch(path: &Path) -> notify::Result<(mpsc::Receiver<()>, RecommendedWatcher)> {
    let (raw, mut changes) = mpsc::channel::<()>(1);
    let name = path.file_name().map(ToOwned::to_owned);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let concerns =
            event.is_ok_and(|event| event.need_rescan() || (!event.kind.is_access() && event.paths.iter().any(|path| path.file_name() == name.as_deref())));
        if concerns {
            // Full means that a change is announced already.
            let _already_announced = raw.try_send(());
        }
    })?;
    watcher.watch(path.parent().unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)?;
    let (settled, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while changes.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            if settled.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok((receiver, watcher))
}
