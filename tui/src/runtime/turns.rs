//! Who waits for whom: what changes something at a node arrives there in the order in which it was asked for, and what must not wait does not.

use std::collections::HashMap;

use loopsy_shared::id::NodeId;
use tokio::sync::oneshot;

use crate::request::Request;

/// What is changed, where the order counts: two messages to an agent, a value that is set and deleted. What is slow for good reasons, such as opening a terminal on
/// a machine that sleeps, or a pairing, keeps nobody up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Line {
    Tasks,
    Context,
    Peers,
}

const fn line(request: &Request) -> Option<Line> {
    match request {
        Request::SendToTask(_) | Request::InterruptTask(_) | Request::ResumeTask(_) | Request::CancelTask(_) => Some(Line::Tasks),
        Request::SetContext(_) | Request::DeleteContext(_) | Request::ImportContext(_) => Some(Line::Context),
        Request::AddPeer(_) | Request::RemovePeer(_) | Request::SetPeerScopes(_) => Some(Line::Peers),
        _ => None,
    }
}

/// Whether it counts among those that are asked at a time. An answer to an agent waits for nobody; what only waits for something to happen keeps nobody waiting.
pub(super) const fn is_counted(request: &Request) -> bool {
    match request {
        Request::DecideApproval(_) => false,
        Request::GetPairing(request) => request.after.is_none(),
        _ => true,
    }
}

/// The last of each line.
#[derive(Debug, Default)]
pub(super) struct Turns(HashMap<(Option<NodeId>, Line), oneshot::Receiver<()>>);

/// A place in a line. The next one's turn comes when this goes.
#[derive(Debug)]
pub(super) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _over: oneshot::Sender<()>,
}

impl Turns {
    /// Stands in line for this request; none when it need not.
    pub(super) fn stand(&mut self, node: Option<&NodeId>, request: &Request) -> Option<Turn> {
        let line = line(request)?;
        let (over, next) = oneshot::channel();
        self.0.retain(|_, last| last.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        let before = self.0.insert((node.cloned(), line), next);
        Some(Turn { before, _over: over })
    }
}

impl Turn {
    /// Waits for all before it.
    pub(super) async fn come(&mut self) {
        if let Some(before) = self.before.take() {
            // It never says anything: it goes.
            let _gone = before.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use loopsy_shared::api::{approvals, context, pairing, terminals};

    use super::*;

    fn set(key: &str) -> Request {
        serde_json::from_value::<context::SetContext>(serde_json::json!({ "key": key, "value": "v" })).unwrap().into()
    }

    #[test]
    fn what_changes_a_node_goes_in_order_and_other_nodes_do_not_wait() {
        let (mut turns, node) = (Turns::default(), NodeId::from("kai"));
        let [mut first, mut second, mut third] = ["a", "b", "c"].map(|key| turns.stand(Some(&node), &set(key)).unwrap());
        let mut here = turns.stand(None, &set("a")).unwrap();
        assert!(first.come().now_or_never().is_some() && here.come().now_or_never().is_some());
        drop(first);
        assert!(second.come().now_or_never().is_some());
        // The third waits for the second, whatever became of the first.
        let mut waits = Box::pin(third.come());
        assert!((&mut waits).now_or_never().is_none());
        drop(second);
        assert!(waits.now_or_never().is_some());
        assert!(turns.stand(None, &terminals::ListTerminals {}.into()).is_none(), "questions need no order");
    }

    #[test]
    fn decisions_wait_for_nobody_and_long_questions_keep_nobody_waiting() {
        let decide: approvals::DecideApproval = serde_json::from_str(r#"{"id":"a","sha256":"","decision":"allow"}"#).unwrap();
        assert!(!is_counted(&decide.into()));
        assert!(!is_counted(&pairing::GetPairing { after: Some(3) }.into()) && is_counted(&pairing::GetPairing { after: None }.into()));
    }
}
