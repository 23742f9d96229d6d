//! stub
use crate::{events::Events, store::Store};
use bytes::Bytes;
use loopsy_shared::{api::context::*, config::Config};
use std::sync::Arc;
use tokio::sync::watch;
#[derive(Debug, Clone)]
pub struct Context;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct ContextError;
impl Context {
    pub fn new(_s: Store, _e: Vec<ContextEntry>, _c: watch::Receiver<Arc<Config>>, _ev: Events) -> Self {
        Self
    }
    pub fn get(&self, _k: &str) -> Option<Bytes> {
        None
    }
    pub fn list(&self, _p: &str) -> Bytes {
        Bytes::new()
    }
    pub fn entries(&self, _p: &str) -> Vec<ContextEntry> {
        vec![]
    }
    pub async fn set(&self, _f: &str, _r: SetContext) -> Result<Bytes, ContextError> {
        Err(ContextError)
    }
    pub async fn delete(&self, _k: &ContextKey, _v: Option<u64>) -> Result<(), ContextError> {
        Err(ContextError)
    }
    pub async fn import(&self, _f: &str, _e: Vec<ContextEntry>, _r: bool) -> Result<Imported, ContextError> {
        Err(ContextError)
    }
    pub fn len(&self) -> usize {
        0
    }
    pub async fn reap(&self) {}
}
