//! Coding agents: one driver for each protocol that they speak.
//!
//! A driver is sans-I/O: it hears lines and says what is to be done about them, and knows neither processes nor approvals nor tasks. `tasks` carries it out. So
//! every driver can be run against a recorded conversation.

pub(crate) mod driver;
/// stub
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// x
    #[error("x")]
    X,
}
/// stub
#[derive(Debug, Clone)]
pub struct Finder;
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) program: std::path::PathBuf,
    pub(crate) version: Option<String>,
}
impl Finder {
    pub(crate) async fn find(&self, _n: &str) -> Result<Found, AgentError> {
        Err(AgentError::X)
    }
    pub(crate) async fn list(&self) -> Vec<loopsy_shared::api::ai_tasks::AgentInfo> {
        vec![]
    }
}
impl Found {
    pub(crate) fn interactive(&self) -> bool {
        true
    }
    pub(crate) fn parks(&self) -> bool {
        true
    }
    pub(crate) fn passes(&self, _n: &str) -> bool {
        true
    }
    pub(crate) fn driver(&self, _s: driver::Start) -> Box<dyn driver::Driver> {
        unimplemented!()
    }
}
pub(crate) struct Hooked {
    pub(crate) steps: driver::Steps,
    pub(crate) ask: Option<driver::Ask>,
    pub(crate) answer: serde_json::Value,
}
pub(crate) fn hook(_a: &str, _e: &serde_json::Value, _p: bool) -> Hooked {
    Hooked { steps: vec![], ask: None, answer: serde_json::Value::Null }
}
pub(crate) fn hook_answer(_e: &serde_json::Value, _d: &loopsy_shared::api::approvals::Decided) -> serde_json::Value {
    serde_json::Value::Null
}
pub(crate) fn hook_defer(_e: &serde_json::Value) -> serde_json::Value {
    serde_json::Value::Null
}
