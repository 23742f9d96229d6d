//! Approvals of peers, shown and answered by the peers themselves: nothing is decided here, and nothing is taken for decided.

use loopsy_shared::{
    api::{
        ApiError, Code, Endpoint,
        approvals::{Approval, DecideApproval, GetApproval},
    },
    client::ClientError,
    id::{ApprovalId, NodeId},
};

use super::Fleet;
use crate::peers::PeerError;

/// Longest answer of a peer, in bytes: an approval is as large as what an agent wants to do.
const MOST_ANSWER: usize = 64 << 20;

/// Why an approval of a peer is not shown or answered.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// No peer is known to have it.
    #[error("There is no approval `{}`.", loopsy_shared::text::inert(.id))]
    NotFound {
        /// Which.
        id: String,
        /// Peers whose approvals are not known now, by name.
        unseen: Vec<String>,
    },
    /// The peer cannot be asked.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The peer refuses.
    #[error("{0}")]
    Refused(ApiError),
    /// The connection was lost in the middle of an answer.
    #[error("The connection to `{peer}` was lost: it is not known whether your answer arrived. ({cause})")]
    Unknown {
        /// The peer's name.
        peer: String,
        /// The approval.
        id: ApprovalId,
        /// What happened.
        cause: String,
    },
}

impl Fleet {
    /// Shows an approval of a peer, as the peer has it now.
    ///
    /// # Errors
    /// All of [`FleetError`] but the last.
    pub async fn approval(&self, id: &ApprovalId) -> Result<Approval, FleetError> {
        self.ask(id, GetApproval { id: id.clone() }, |name, _| PeerError::Removed(name).into()).await
    }

    /// Answers an approval of a peer. What becomes of it is heard by the peer's events.
    ///
    /// # Errors
    /// All of [`FleetError`].
    pub async fn decide(&self, answer: DecideApproval) -> Result<Approval, FleetError> {
        let id = answer.id.clone();
        self.ask(&id, answer, |peer, cause| FleetError::Unknown { peer, id: id.clone(), cause }).await
    }

    async fn ask<E: Endpoint<Reply = Approval>>(
        &self,
        id: &ApprovalId,
        request: E,
        lost: impl Fn(String, String) -> FleetError,
    ) -> Result<Approval, FleetError> {
        let node_id = self.holder(id).ok_or_else(|| FleetError::NotFound { id: id.to_string(), unseen: self.approvals().1 })?;
        let peer = self.0.peers.reach(node_id.as_str()).await?;
        let (name, changes) = (peer.info.hostname.clone(), E::SPEC.method != loopsy_shared::api::Method::Get);
        let client = peer.client.at_most(MOST_ANSWER);
        let answer = tokio::select! {
            answer = client.ask(request) => answer,
            () = peer.gone.cancelled() => return Err(lost(name, "It was removed.".to_owned())),
        };
        match answer {
            // Whose approval it is, this node knows best.
            Ok(approval) if approval.id == *id && approval.node_id == node_id => Ok(Approval { node: name, ..approval }),
            Ok(_) => Err(lost(name, "It answered with something else.".to_owned())),
            Err(ClientError::Api(refusal)) if matches!(refusal.code, Code::InvalidKey | Code::MissingKey) => Err(PeerError::KeyRefused(name).into()),
            Err(ClientError::Api(refusal)) => Err(FleetError::Refused(refusal)),
            Err(error) => {
                let sent = !matches!(error, ClientError::Certificate { .. });
                let cause = self.0.peers.lost(&peer, &error);
                Err(if changes && sent { lost(name, cause.to_string()) } else { cause.into() })
            }
        }
    }

    /// The peer that has an approval.
    fn holder(&self, id: &ApprovalId) -> Option<NodeId> {
        self.pictures().values().find(|picture| picture.has(id)).map(|picture| picture.node_id.clone())
    }
}
