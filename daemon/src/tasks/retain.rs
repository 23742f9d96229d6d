//! How long tasks are kept: by age and by size, as the config says.

use std::{io, time::Duration};

use loopsy_shared::{api::events::Event, time::Millis};

use super::{
    Task, TaskError, Tasks, now,
    worktree::{self, Removed},
};
use crate::store::{Kind, Write};

/// How often is looked for what is too old.
pub(super) const EVERY: Duration = Duration::from_secs(600);

const DAY: Millis = 24 * 3_600_000;

impl Tasks {
    /// Forgets tasks that ended long ago, and the oldest while all take too much room.
    pub(super) async fn forget_old(&self) {
        let (days, most) = {
            let config = self.0.parts.config.borrow();
            (config.agents.keep_days, config.agents.keep_bytes)
        };
        let mut ended: Vec<Task> = self.table().tasks.values().filter(|task| task.info().status.is_ended() && task.is_idle()).cloned().collect();
        ended.sort_by_key(|task| std::cmp::Reverse(task.info().updated_at));
        let mut bytes = 0;
        for task in ended {
            let dir = task.dir().to_owned();
            let size = tokio::task::spawn_blocking(move || size(&dir)).await.unwrap_or_default();
            bytes += size;
            let old = task.info().updated_at + days.saturating_mul(DAY) < now();
            if (old || bytes > most)
                && let Err(error) = self.forget(&task).await
            {
                tracing::warn!(%error, task = %task.id(), "an old task cannot be removed");
            }
        }
    }

    /// Removes a task that has ended, with its events and questions. A worktree with changes stays.
    pub(super) async fn forget(&self, task: &Task) -> Result<(), TaskError> {
        let write = Write::DeleteRecord { kind: Kind::Task, id: task.id().to_string() };
        self.0.parts.store.write(vec![write]).await?;
        self.table().tasks.remove(task.id());
        self.0.parts.approvals.remove_task(task.id()).await;
        self.0.parts.events.publish(Event::TaskRemoved { task_id: task.id().clone() });
        let (dir, made) = (task.dir().to_owned(), task.info().worktree);
        let removed = tokio::task::spawn_blocking(move || match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        removed.await.map_err(io::Error::other).flatten().map_err(TaskError::Files)?;
        if let Some(made) = made {
            let removed = tokio::task::spawn_blocking(move || worktree::remove(&made));
            match removed.await {
                Ok(Ok(Removed::Gone)) => {}
                Ok(Ok(Removed::Kept(why))) => tracing::info!(task = %task.id(), why, "the worktree of a deleted task stays"),
                Ok(Err(error)) => tracing::warn!(task = %task.id(), %error, "the worktree of a deleted task stays"),
                Err(error) => tracing::error!(%error, "a worktree was not removed"),
            }
        }
        Ok(())
    }
}

fn size(dir: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}
