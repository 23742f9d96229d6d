//! stub
use crate::{events::Events, trust::Caller};
use bytes::Bytes;
use loopsy_shared::{
    api::{execute::*, health::JobCounts},
    config::Config,
    id::JobId,
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;
pub mod keeper;
#[derive(Debug, Clone)]
pub struct Jobs;
#[derive(Debug, Clone)]
pub struct Job;
pub struct OutputReader;
pub struct Watch;
pub struct KeeperCommand;
impl KeeperCommand {
    pub fn own() -> Self {
        Self
    }
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct JobError;
pub enum JobKind {
    Call,
    Stream,
}
pub struct Piece {
    pub stream: OutputStream,
    pub bytes: Bytes,
    pub next: u64,
}
impl Jobs {
    pub async fn start(_c: watch::Receiver<Arc<Config>>, _s: PathBuf, _k: KeeperCommand, _e: Events) -> std::io::Result<Self> {
        Ok(Self)
    }
    pub async fn spawn(&self, _c: &Caller, _cmd: Command, _k: JobKind) -> Result<Job, JobError> {
        Err(JobError)
    }
    pub fn get(&self, _id: &JobId) -> Option<Job> {
        None
    }
    pub fn running(&self) -> Vec<JobInfo> {
        vec![]
    }
    pub fn all(&self) -> Vec<JobInfo> {
        vec![]
    }
    pub fn counts(&self) -> JobCounts {
        JobCounts::default()
    }
    pub async fn cancel(&self, _id: &JobId) -> Result<(), JobError> {
        Err(JobError)
    }
    pub async fn shutdown(&self) {}
}
impl Job {
    pub fn id(&self) -> &JobId {
        unimplemented!()
    }
    pub fn info(&self) -> JobInfo {
        unimplemented!()
    }
    pub async fn ended(&self) -> JobExit {
        JobExit::default()
    }
    pub async fn result(&self) -> JobResult {
        unimplemented!()
    }
    pub fn reader(&self, _s: u64) -> OutputReader {
        OutputReader
    }
    pub async fn output(&self, _s: u64, _w: Duration) -> JobOutput {
        unimplemented!()
    }
    pub async fn take_stdin(&self) -> Option<tokio::net::unix::pipe::Sender> {
        None
    }
    pub fn watch(self) -> Watch {
        Watch
    }
}
impl Watch {
    pub fn finished(&mut self) {}
}
impl OutputReader {
    pub async fn next(&mut self) -> Option<Piece> {
        None
    }
}
pub fn encode(_b: &[u8]) -> (String, Option<Encoding>) {
    (String::new(), None)
}
