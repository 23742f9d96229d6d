//! STUB
use loopsy_shared::{api::ai_tasks::Worktree, id::TaskId};
use std::path::{Path, PathBuf};
#[derive(Debug, thiserror::Error)]
/// x
pub enum WorktreeError {
    /// x
    #[error("x")]
    X,
}
pub(crate) struct Made {
    pub(crate) cwd: PathBuf,
    pub(crate) worktree: Worktree,
}
pub(crate) async fn make(_c: &Path, _i: &TaskId, _d: &Path) -> Result<Made, WorktreeError> {
    Err(WorktreeError::X)
}
pub(crate) async fn remove(_w: &Worktree) -> Result<(), WorktreeError> {
    Ok(())
}
