//! STUB
use loopsy_shared::api::approvals::ResolvedPath;
use serde_json::Value;
use std::path::Path;
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) paths: Vec<ResolvedPath>,
    pub(crate) diff: Option<String>,
    pub(crate) flags: Vec<String>,
}
impl Facts {
    pub(crate) fn of(_a: &str, _t: &str, _i: &Value, _p: &[String], _c: &Path, _h: &Path) -> Self {
        Self::default()
    }
    pub(crate) fn unknown() -> Self {
        Self::default()
    }
}
