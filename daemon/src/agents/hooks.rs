//! What the hooks of an agent tell and ask. Only Claude Code's are spoken.

use loopsy_shared::api::approvals::Decided;
use serde_json::Value;

use super::{
    claude,
    driver::{Ask, Steps},
};

/// What the call of a hook means.
#[derive(Debug)]
pub(crate) struct Hooked {
    /// What happened.
    pub(crate) steps: Steps,
    /// What is asked.
    pub(crate) ask: Option<Ask>,
    /// What the hook prints when nothing is asked. Whatever asks, and is not understood, is denied by it.
    pub(crate) answer: Value,
}

/// Reads the event of a hook.
pub(crate) fn hook(event: &Value, parks: bool) -> Hooked {
    let claude::HookCall { steps, ask } = claude::hook(event, parks);
    // Without an answer, `PermissionRequest` is denied and what only tells gets no opinion; so is a use of a tool that was to be parked and is not understood.
    Hooked { steps, ask, answer: claude::hook_answer(event, None, parks) }
}

/// What the hook prints for an answer.
pub(crate) fn hook_answer(event: &Value, decided: &Decided, parks: bool) -> Value {
    claude::hook_answer(event, Some(decided), parks)
}

/// What the hook prints to park a question: the agent ends, and asks again when its session goes on.
pub(crate) fn hook_defer(event: &Value) -> Value {
    claude::hook_answer(event, None, true)
}

/// What is to be pasted into the agent's screen once its session has begun, where the prompt could not go with its start.
pub(crate) fn typed(found: &super::Found, start: &super::driver::Start) -> Option<String> {
    found.interactive().then(|| claude::typed(start)).flatten()
}
