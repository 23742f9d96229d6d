//! What became of what was asked.

use loopsy_shared::{
    api::{
        execute::ExecuteEvent,
        peers::{Diagnosis, Verdict},
    },
    id::NodeId,
    text::inert,
};

use super::Peers;
use crate::{
    app::Cx,
    event::Answered,
    look::Role,
    overlays::{live::Filler, output},
    request::{Answer, Request},
};

impl Peers {
    pub(super) fn answered(&mut self, answered: &Answered, cx: &mut Cx<'_>) {
        match (&answered.request, &answered.result) {
            (Request::DiagnosePeer(request), result) => {
                let result = match result {
                    Ok(Answer::DiagnosePeer(diagnosis)) => Ok(&**diagnosis),
                    Ok(_) => Err("The answer was not understood."),
                    Err(failure) => Err(failure.message.as_str()),
                };
                self.diagnosed(&request.node_id, result, cx);
            }
            (Request::Status(_), Ok(Answer::Status(status))) => {
                let tasks = status.tasks.running;
                cx.good(format!("{} answers: version {}, {tasks} {} running.", status.hostname, status.version, if tasks == 1 { "task" } else { "tasks" }));
            }
            (Request::Status(_), Err(failure)) => {
                let name = cx.world.name_of(answered.at.as_ref());
                cx.bad(format!("{name} was not reached: {} c tries the way to it step by step.", failure.message));
            }
            (Request::AddPeer(_), Ok(Answer::AddPeer(peer))) => {
                let next = if peer.trusted { "" } else { " P pairs with it." };
                cx.good(format!("Added {} at {}.{next}", peer.hostname, loopsy_shared::client::authority(&peer.address, peer.port)));
                self.list.select(peer.node_id.clone(), &self.rows);
            }
            (Request::RemovePeer(_), Ok(_)) => cx.good("Removed. The keys of both directions have ended; P pairs again."),
            (Request::SetPeerScopes(_), Ok(Answer::SetPeerScopes(peer))) => {
                let words: Vec<&str> = peer.scopes.iter().map(|scope| scope.as_str()).collect();
                let words = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
                cx.good(format!("{} may here now: {words}.", peer.hostname));
            }
            (Request::StartTransfer(_), Ok(Answer::StartTransfer(transfer))) => {
                cx.note(format!("Copying {}. Tab goes to its progress, x there cancels it.", transfer.source));
                self.transfers.select(transfer.transfer_id.clone(), &[]);
            }
            (Request::CancelTransfer(_), Ok(_)) => cx.good("The transfer was cancelled."),
            (request, Err(failure)) => cx.bad(format!("{} {}", what_failed(request), failure.message)),
            (_, Ok(_)) => {}
        }
    }
}

impl Peers {
    pub(super) fn diagnosed(&mut self, node: &NodeId, result: Result<&Diagnosis, &str>, cx: &mut Cx<'_>) {
        let name = inert(cx.world.name_of(Some(node))).into_owned();
        match self.checks.remove(node).filter(Filler::is_open) {
            Some(filler) => filler.fill(format!("The way to {name}"), steps(result)),
            // The box was closed meanwhile: the outcome is not lost.
            None => tell(&name, result, cx),
        }
    }

    pub(super) fn ran(&mut self, number: u64, result: &Result<ExecuteEvent, String>, cx: &mut Cx<'_>) {
        let Some((good, text)) = output::told(result) else { return cx.nothing_to_see() };
        let Some(run) = self.runs.borrow_mut().remove(&number).filter(|run| !run.watch.is_open()) else { return };
        let text = format!("{}: {text}", run.title);
        if good { cx.good(text) } else { cx.bad(text) }
    }
}

const fn what_failed(request: &Request) -> &'static str {
    match request {
        Request::AddPeer(_) => "The peer was not added:",
        Request::RemovePeer(_) => "The peer was not removed:",
        Request::SetPeerScopes(_) => "The rights were not changed:",
        Request::StartTransfer(_) => "Nothing is copied:",
        Request::CancelTransfer(_) => "The transfer was not cancelled:",
        _ => "It failed:",
    }
}

/// The steps of the way, for a box: a mark, what was seen, and what to do.
pub(super) fn steps(result: Result<&Diagnosis, &str>) -> Vec<(Role, String)> {
    let diagnosis = match result {
        Ok(diagnosis) => diagnosis,
        Err(why) => return vec![(Role::Bad, format!("!!  It could not be tried: {why}"))],
    };
    let mut lines = Vec::new();
    for step in &diagnosis.steps {
        let (mark, role) = match step.verdict {
            Verdict::Ok => ("ok", Role::Good),
            Verdict::Warning => ("..", Role::Warn),
            Verdict::Failed => ("!!", Role::Bad),
        };
        lines.push((role, format!("{mark}  {:8} {}", inert(&step.step), step.message)));
        lines.extend(step.fix.as_ref().map(|fix| (Role::Strong, format!("             do: {fix}"))));
    }
    let failed = diagnosis.steps.iter().any(|step| step.verdict == Verdict::Failed);
    lines.push((Role::Text, String::new()));
    lines.push(if failed { (Role::Bad, "Here the way ends.".to_owned()) } else { (Role::Good, "The whole way works.".to_owned()) });
    lines
}

/// The same in a sentence, when nobody looks at the box any more.
pub(super) fn tell(name: &str, result: Result<&Diagnosis, &str>, cx: &mut Cx<'_>) {
    match result {
        Err(why) => cx.bad(format!("The way to {name} could not be tried: {why}")),
        Ok(diagnosis) => match diagnosis.steps.iter().find(|step| step.verdict == Verdict::Failed) {
            Some(step) => cx.bad(format!("The way to {name} ends at `{}`: {} {}", step.step, step.message, step.fix.as_deref().unwrap_or_default())),
            None => cx.good(format!("The whole way to {name} works.")),
        },
    }
}
