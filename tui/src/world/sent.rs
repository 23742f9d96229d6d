//! Answers that were sent from here and that nobody has confirmed yet, for as long as the question waits. Whoever looks at it again is to know of them.

use loopsy_shared::{
    api::approvals::{Approval, DecideApproval, Decision},
    id::ApprovalId,
    text::inert,
    time::Millis,
};

use super::World;
use crate::{
    event::{Answered, Failure},
    request::Request,
};

/// Remembered at a time. One more takes the place of the oldest, which hardly anybody still waits for.
const SENT: usize = 100;

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// What was sent.
    pub(crate) request: DecideApproval,
    /// When.
    pub(crate) at: Millis,
}

impl World {
    /// The answer to this, as it is now, that was sent from here.
    pub(crate) fn sent(&self, approval: &Approval) -> Option<&Sent> {
        self.sent.iter().find(|sent| sent.request.id == approval.id && (approval.sha256.is_empty() || approval.sha256 == sent.request.sha256))
    }

    /// This is on its way. There is one for each question at most.
    pub(crate) fn send(&mut self, request: &DecideApproval, at: Millis) {
        self.sent.retain(|sent| sent.request.id != request.id);
        if self.sent.len() >= SENT {
            self.sent.remove(0);
        }
        self.sent.push(Sent { request: request.clone(), at });
    }

    /// What came of one: unless there was no answer at all, that is known now.
    pub(crate) fn confirm(&mut self, answered: &Answered) {
        if let (Request::DecideApproval(request), Ok(_)) | (Request::DecideApproval(request), Err(Failure { status: Some(_), .. })) =
            (&answered.request, &answered.result)
        {
            self.sent.retain(|sent| sent.request.id != request.id);
        }
    }

    /// Something was said of this question: when nobody asks it any more, so much for the answer.
    pub(crate) fn forget_sent(&mut self, id: &ApprovalId) {
        if !self.approvals().iter().any(|approval| approval.id == *id) {
            self.sent.retain(|sent| sent.request.id != *id);
        }
    }

    /// Why an answer to something that is not looked at any more did not count, with what it was an answer to.
    pub(crate) fn told_failure(&self, answered: &Answered) -> Option<String> {
        let (Request::DecideApproval(request), Err(failure)) = (&answered.request, &answered.result) else { return None };
        let id: String = request.id.as_str().chars().take(4).collect();
        let of = self.approvals().into_iter().find(|approval| approval.id == request.id);
        let of = of.map_or_else(|| format!("approval `{id}`"), |of| format!("`{}` on `{}` ({id})", inert(&of.tool), inert(&of.node)));
        let then = if self.approvals().iter().any(|approval| approval.id == request.id) { " ! shows what waits." } else { "" };
        let counts = if failure.status.is_none() { "was not delivered, as far as is known" } else { "did not count" };
        Some(format!("Your {} for {of} {counts}: {}{then}", word(request.decision), inert(&failure.message)))
    }
}

/// What an answer is called.
pub(crate) const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "yes",
        Decision::Always => "yes for always",
        Decision::Deny => "no",
        Decision::Stop => "no that stops the task",
    }
}
