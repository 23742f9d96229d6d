//! STUB
use super::facts::Facts;
use loopsy_shared::{
    api::approvals::Verdict,
    config::{Rule, RuleVerdict},
};
use std::path::Path;
pub(crate) struct RuleContext<'a> {
    pub(crate) agent: &'a str,
    pub(crate) tool: &'a str,
    pub(crate) peer: Option<&'a str>,
    pub(crate) cwd: &'a Path,
    pub(crate) repository: Option<&'a Path>,
    pub(crate) home: &'a Path,
}
pub(crate) fn decide(_r: &[Rule], _f: &Facts, _c: &RuleContext<'_>) -> Verdict {
    Verdict { verdict: RuleVerdict::Ask, rule: None, index: None, why: String::new(), commands: vec![] }
}
