//! What a driver is: the few things that a task wants of an agent, whatever the agent's protocol.

use loopsy_shared::api::{
    ai_tasks::{PermissionMode, TaskEventKind, Usage},
    approvals::{ApprovalKind, Decided, Question, Suggestion},
};
use serde_json::Value;

/// Drives one run of an agent: from the start of its process to its end. Nothing here waits, reads or writes.
///
/// Whatever a driver does not understand becomes an event with the subtype `raw`; a question that it does not understand is denied in the agent's own way.
pub(crate) trait Driver: Send {
    /// What the agent's process gets. Called once, first.
    fn launch(&self) -> Launch;

    /// What to say first, the prompt included. Called once the process runs.
    fn start(&mut self) -> Steps;

    /// One line of the agent's standard output, without the line's end. May be anything at all.
    fn heard(&mut self, line: &str) -> Steps;

    /// A person, or a rule, has answered a question that this driver asked. A question that was withdrawn meanwhile gives no steps.
    fn answer(&mut self, key: &str, answer: &Decided) -> Steps;

    /// Something more is to be said to the agent: at once if it can listen while it works, else when the turn is over.
    fn follow_up(&mut self, text: &str) -> Steps;

    /// What the agent does now is to end; its session stays.
    fn interrupt(&mut self) -> Steps;

    /// Nothing more will be said. Most agents end then by themselves.
    fn finish(&mut self) -> Steps;
}

/// What a run is begun with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    /// What to tell the agent first.
    pub(crate) prompt: String,
    /// The working directory, absolute.
    pub(crate) cwd: String,
    /// The agent's name of a model.
    pub(crate) model: Option<String>,
    /// How much it may do without asking.
    pub(crate) permission_mode: PermissionMode,
    /// Tools that it may use without asking.
    pub(crate) allowed_tools: Vec<String>,
    /// Tools that it may not use.
    pub(crate) disallowed_tools: Vec<String>,
    /// Further arguments, checked already.
    pub(crate) additional_args: Vec<String>,
    /// US dollars.
    pub(crate) max_budget_usd: Option<f64>,
    /// The agent's id of a session to go on with.
    pub(crate) resume: Option<String>,
    /// A program with arguments that an agent's hook runs to ask this node, where the run needs hooks.
    pub(crate) hook: Option<Vec<String>>,
    /// Whether the agent shows its own screen in a terminal: [`Wire::Screen`].
    pub(crate) interactive: bool,
    /// Whether questions may be parked: every use of a tool that changes something goes through the hook.
    pub(crate) park: bool,
}

/// What the process of an agent gets. Variables can be secrets: their values are not printed.
#[derive(Clone, PartialEq)]
pub(crate) struct Launch {
    /// Its arguments. Never a secret, never the prompt where it can be helped.
    pub(crate) args: Vec<String>,
    /// Variables beside the usual ones.
    pub(crate) env: Vec<(String, String)>,
    /// How it is talked to.
    pub(crate) wire: Wire,
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Launch").field("args", &self.args).field("env", &names).field("wire", &self.wire).finish()
    }
}

/// How an agent is talked to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wire {
    /// Lines on standard input and output.
    Lines,
    /// The agent's own screen in a terminal. Nothing is sent; what happens is heard from hooks.
    Screen,
}

/// What is to be done, in order.
pub(crate) type Steps = Vec<Step>;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Send this line to the agent (the line's end is added).
    Send(String),
    /// Close the agent's standard input.
    Close,
    /// Tell everybody.
    Event(NewEvent),
    /// Ask a person. Several may be open at once.
    Ask(Box<Ask>),
    /// The agent no longer wants to know.
    Withdraw {
        /// The question's key.
        key: String,
        /// Why, for people.
        why: String,
    },
    /// The agent's id of its session, the model that it uses, the version that it says it is: as far as they are known.
    Known {
        /// The session.
        session: Option<String>,
        /// The model.
        model: Option<String>,
        /// The version.
        version: Option<String>,
    },
    /// The turn is over. If nothing more is to be said, [`Driver::finish`] follows.
    Turn(Turn),
}

/// An event without number and time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewEvent {
    /// What kind of thing.
    pub(crate) kind: TaskEventKind,
    /// As [`TaskEventKind`] says.
    pub(crate) data: Value,
    /// Pieces of text with the same number belong together.
    pub(crate) block: Option<u64>,
}

impl Step {
    /// An event.
    pub(crate) fn event(kind: TaskEventKind, data: Value) -> Self {
        Self::Event(NewEvent { kind, data, block: None })
    }

    /// A piece of text or of a thought.
    pub(crate) fn text(kind: TaskEventKind, text: impl Into<String>, block: u64) -> Self {
        Self::Event(NewEvent { kind, data: Value::String(text.into()), block: Some(block) })
    }

    /// An event of the kind `system`.
    pub(crate) fn system(subtype: &str, mut data: serde_json::Map<String, Value>) -> Self {
        data.insert("subtype".to_owned(), Value::String(subtype.to_owned()));
        Self::event(TaskEventKind::System, Value::Object(data))
    }

    /// What was not understood, as it came.
    pub(crate) fn raw(line: &str) -> Self {
        let value = serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()));
        Self::system("raw", serde_json::Map::from_iter([("line".to_owned(), value)]))
    }
}

/// A question of an agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ask {
    /// The driver's name for it, unique in the run.
    pub(crate) key: String,
    /// What kind of question it is.
    pub(crate) kind: ApprovalKind,
    /// The agent's name of the tool.
    pub(crate) tool: String,
    /// The whole input.
    pub(crate) input: Value,
    /// What the agent says about it.
    pub(crate) description: Option<String>,
    /// Why it asks.
    pub(crate) reason: Option<String>,
    /// Paths that the agent names beside those in the input.
    pub(crate) paths: Vec<String>,
    /// Rules that it offers to keep, in the order in which `always` counts them.
    pub(crate) suggestions: Vec<Suggestion>,
    /// What is asked, where it is a question.
    pub(crate) questions: Vec<Question>,
    /// Whether the agent says that no is the better answer.
    pub(crate) default_to_no: bool,
    /// Whether the agent takes another input with the answer.
    pub(crate) may_edit: bool,
}

impl Ask {
    /// A question about a tool, with nothing beside its input.
    pub(crate) fn tool(key: impl Into<String>, tool: impl Into<String>, input: Value) -> Self {
        Self {
            key: key.into(),
            kind: ApprovalKind::Tool,
            tool: tool.into(),
            input,
            description: None,
            reason: None,
            paths: Vec::new(),
            suggestions: Vec::new(),
            questions: Vec::new(),
            default_to_no: false,
            may_edit: false,
        }
    }
}

/// How a turn ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Turn {
    /// How.
    pub(crate) outcome: Outcome,
    /// What the agent said last, where it says it apart.
    pub(crate) text: Option<String>,
    /// US dollars of this process so far.
    pub(crate) cost_usd: Option<f64>,
    /// Tokens of this process so far.
    pub(crate) usage: Usage,
    /// Milliseconds that the turn took, as the agent says.
    pub(crate) duration: Option<u64>,
}

/// How a turn ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The agent is done.
    #[default]
    Done,
    /// It failed: a sentence for people.
    Failed(String),
    /// It was interrupted, or a person said stop.
    Interrupted,
    /// It cost more than it might.
    OverBudget,
    /// It parked a use of a tool: the process ends, and asks again when the session goes on.
    Parked,
}
