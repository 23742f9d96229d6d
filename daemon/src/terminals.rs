//! STUB
#[derive(Debug)]
pub(crate) struct TerminalInfo {
    pub(crate) pid: Option<i32>,
}
use crate::{jobs::process::Ended, trust::Caller};
use loopsy_shared::id::{TaskId, TerminalId};
use std::time::Duration;
/// x
#[derive(Debug, Clone)]
pub struct Terminals;
/// x
#[derive(Debug, Clone)]
pub struct Terminal;
/// x
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// x
    #[error("x")]
    X,
}
pub(crate) struct Opening {
    pub(crate) id: Option<TerminalId>,
    pub(crate) name: Option<String>,
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) size: (u16, u16),
    pub(crate) task_id: Option<TaskId>,
}
impl Terminals {
    pub(crate) async fn open(&self, _o: &Caller, _x: Opening) -> Result<Terminal, TerminalError> {
        Err(TerminalError::X)
    }
}
impl Terminal {
    pub(crate) fn info(&self) -> TerminalInfo {
        TerminalInfo { pid: None }
    }
    pub(crate) async fn write(&self, _b: bytes::Bytes) -> Result<(), TerminalError> {
        Ok(())
    }
    pub(crate) async fn ended(&self) -> Ended {
        std::future::pending().await
    }
    pub(crate) async fn close(&self, _g: Duration) {}
}
