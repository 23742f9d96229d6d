//! Questions of agents that wait for a person.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Endpoint, Needs, Scope, Spec};
use crate::{
    config::Rule,
    id::{ApprovalId, NodeId, TaskId},
    time::Millis,
};

/// Something that an agent wants, and a person has to allow. It is stored before anybody sees it, and answered once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// The approval: random, so that it cannot be guessed.
    pub id: ApprovalId,
    /// The node that the agent runs on.
    pub node_id: NodeId,
    /// Its name.
    pub node: String,
    /// The task.
    pub task_id: TaskId,
    /// The agent.
    pub agent: String,
    /// What kind of question it is.
    pub kind: ApprovalKind,
    /// The agent's name of the tool.
    pub tool: String,
    /// The tool's whole input.
    pub input: Value,
    /// SHA-256 (hex) of `{"tool","input"}` in canonical JSON (RFC 8785): what an answer has to name.
    pub sha256: String,
    /// What the agent says about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Why the agent asks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Where the agent works.
    pub cwd: String,
    /// Paths that the input names, and where they really lead.
    #[serde(default)]
    pub paths: Vec<ResolvedPath>,
    /// Facts that a person should see: `deletes files (rm -rf)`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// The change to a file as a unified diff, where the tool makes one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub diff: Option<String>,
    /// Rules that the agent offers to keep, by their place: what `always` can choose from.
    #[serde(default)]
    pub suggestions: Vec<Suggestion>,
    /// Rules for the config, the narrowest, which together would have allowed this without asking: what can be kept with `POST /approvals/rules`.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What is asked, where it is a question.
    #[serde(default)]
    pub questions: Vec<Question>,
    /// Which rule of the config said to ask; absent when none did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// Whether the agent says that no is the better answer.
    #[serde(default)]
    pub default_to_no: bool,
    /// Whether the input can be changed with the answer.
    #[serde(default)]
    pub may_edit: bool,
    /// When it was asked.
    pub asked_at: Millis,
    /// When it is denied if nobody has answered.
    pub expires_at: Millis,
    /// How it stands.
    pub state: ApprovalState,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision: Option<Decided>,
}

/// What kind of question it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalKind {
    /// May this tool run with this input?
    Tool,
    /// The agent wants to know something.
    Question,
    /// The agent wants to go on with its plan.
    Plan,
}

/// A path that an input names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedPath {
    /// As the input has it.
    pub path: String,
    /// Where it leads, links followed as far as there are any.
    pub resolved: String,
    /// Whether anything is there.
    pub exists: bool,
    /// Whether it lies in the agent's working directory.
    pub inside: bool,
}

/// A rule that the agent offers to keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suggestion {
    /// For people: `Bash(cargo test:*) in this project`.
    pub label: String,
    /// As the agent has it.
    pub rule: Value,
}

/// Something that an agent wants to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// What an answer names.
    pub id: String,
    /// The question.
    pub question: String,
    /// A word for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub header: Option<String>,
    /// What may be chosen; any text when empty.
    #[serde(default)]
    pub options: Vec<Choice>,
    /// Whether more than one may be chosen.
    #[serde(default)]
    pub multiple: bool,
}

/// Something to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// What an answer names.
    pub label: String,
    /// What it means.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
}

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// The agent waits.
    Pending,
    /// The agent's process has ended; an answer lets it go on.
    Parked,
    /// Somebody, or a rule, said yes.
    Allowed,
    /// Somebody, or a rule, said no.
    Denied,
    /// Nobody answered in time, or the agent or the daemon died: denied.
    Expired,
    /// The agent no longer asks.
    Withdrawn,
}

impl ApprovalState {
    /// Whether it can still be answered.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Parked)
    }
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// What was answered.
    pub decision: Decision,
    /// Whose key it was, or `rule: ..`, or `daemon`.
    pub by: String,
    /// When.
    pub at: Millis,
    /// What was said with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The input that was allowed instead of the one asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input: Option<Value>,
    /// The rule that was kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suggestion: Option<usize>,
    /// The answers to questions: labels, or texts, by the question's id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub answers: BTreeMap<String, Vec<String>>,
    /// Whether the agent was told. A daemon that dies before that has granted nothing.
    #[serde(default)]
    pub delivered: bool,
}

/// What can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Yes, this once; with `input`, that instead of what was asked for; with `answers`, these.
    Allow,
    /// Yes, and keep the suggested rule.
    Always,
    /// No; the agent goes on without it.
    Deny,
    /// No, and end the turn.
    Stop,
}

impl Decision {
    /// Whether it lets the tool run.
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Allow | Self::Always)
    }
}

/// Lists approvals of this node and, for the owner, those that wait on every peer that lets this node see them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListApprovals {
    /// Also those of this node that were answered, as far as they are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Only those of this node. A peer's key never sees others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
}
impl Endpoint for ListApprovals {
    type Reply = Approvals;
    const SPEC: Spec = Spec::get("approvals.list", "/api/v1/approvals", Needs::Scope(Scope::Approve));
}

/// Approvals.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Approvals {
    /// Oldest first.
    pub approvals: Vec<Approval>,
    /// Peers whose approvals are not known now, by name.
    #[serde(default)]
    pub unseen: Vec<String>,
}

/// Shows one approval of this node, or of a peer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GetApproval {
    /// The approval.
    pub id: ApprovalId,
}
impl Endpoint for GetApproval {
    type Reply = Approval;
    const SPEC: Spec = Spec::get("approvals.get", "/api/v1/approvals/{id}", Needs::Scope(Scope::Approve));
}

/// Answers an approval of this node, or of a peer. The first answer counts; a later one is refused with 409. Answers when the agent was told, or cannot be.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DecideApproval {
    /// The approval.
    pub id: ApprovalId,
    /// The hash of what was shown. Refused with 409 when it is another one.
    pub sha256: String,
    /// The answer.
    pub decision: Decision,
    /// What to tell the agent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// With `allow`: the input to use instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input: Option<Value>,
    /// With `always`: the place of the suggestion, from 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suggestion: Option<usize>,
    /// With `allow`: what is answered to questions, by their ids.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub answers: BTreeMap<String, Vec<String>>,
}
impl Endpoint for DecideApproval {
    type Reply = Approval;
    const SPEC: Spec = Spec::post("approvals.decide", "/api/v1/approvals/{id}", Needs::Scope(Scope::Approve));
}

/// Says what the rules of the config would do with a use of a tool, without doing anything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestRules {
    /// The tool; `Bash` when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tool: Option<String>,
    /// A command line, as the input of a shell tool.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<String>,
    /// The whole input, instead of a command line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input: Option<Value>,
    /// The agent; `claude` when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent: Option<String>,
    /// The working directory; the home directory when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cwd: Option<String>,
    /// The peer that started the task; the owner when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peer: Option<String>,
}
impl Endpoint for TestRules {
    type Reply = Verdict;
    const SPEC: Spec = Spec::post("approvals.test", "/api/v1/approvals/test", Needs::Local);
}

/// What the rules do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Allow, deny or ask.
    pub verdict: crate::config::RuleVerdict,
    /// The rule that decides, for people; absent when none fits and so a person is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// Its place in `approvals.rules`, from 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<usize>,
    /// Why, for people.
    pub why: String,
    /// What was found in a command line, or that it was not understood.
    #[serde(default)]
    pub commands: Vec<String>,
}

/// Lists the rules of the config.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListRules {}
impl Endpoint for ListRules {
    type Reply = Rules;
    const SPEC: Spec = Spec::get("approvals.rules", "/api/v1/approvals/rules", Needs::Local);
}

/// Rules.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rules {
    /// As the config has them.
    pub rules: Vec<Rule>,
}

/// Adds a rule to the config. Only the owner may.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddRule {
    /// The rule.
    pub rule: Rule,
}
impl Endpoint for AddRule {
    type Reply = Rules;
    const SPEC: Spec = Spec::post("approvals.add-rule", "/api/v1/approvals/rules", Needs::Admin);
}

/// Takes a rule out of the config. Only the owner may.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemoveRule {
    /// Its place, from 0.
    pub index: usize,
}
impl Endpoint for RemoveRule {
    type Reply = Rules;
    const SPEC: Spec = Spec::delete("approvals.remove-rule", "/api/v1/approvals/rules/{index}", Needs::Admin);
}
