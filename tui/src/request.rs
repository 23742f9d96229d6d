//! What can be asked of a daemon from here, each with its answer. One line for each.

use loopsy_shared::{
    api::{ai_tasks, approvals, context, execute, health, node, pairing, peers, terminals, transfers},
    client::{Client, ClientError},
};

/// Who asks, and gets the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The frame around everything.
    App,
    /// A tab.
    Tab(crate::tabs::TabId),
    /// The overlay with this number; an answer that comes when it is gone is only told when it is an error.
    Overlay(u64),
}

macro_rules! requests {
    ($($name:ident($request:path) -> $answer:ty;)*) => {
        /// A request.
        #[derive(Debug, Clone)]
        pub(crate) enum Request {
            $($name(Box<$request>),)*
        }

        /// The answer to the request of the same name.
        #[derive(Debug)]
        #[expect(dead_code, reason = "some answers say no more than that it went well; they are here because every question has one")]
        pub(crate) enum Answer {
            $($name(Box<$answer>),)*
        }

        $(impl From<$request> for Request {
            fn from(request: $request) -> Self {
                Self::$name(Box::new(request))
            }
        })*

        impl Request {
            /// Its name.
            pub(crate) const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }
        }

        /// Asks.
        ///
        /// # Errors
        /// As [`Client::ask`].
        pub(crate) async fn ask(client: &Client, request: Request) -> Result<Answer, ClientError> {
            Ok(match request {
                $(Request::$name(request) => Answer::$name(Box::new(client.ask(*request).await?)),)*
            })
        }
    };
}

requests! {
    Status(health::GetStatus) -> health::Status;
    Reload(node::Reload) -> node::Reloaded;
    AddPeer(peers::AddPeer) -> peers::PeerInfo;
    RemovePeer(peers::RemovePeer) -> loopsy_shared::api::Done;
    SetPeerScopes(peers::SetPeerScopes) -> peers::PeerInfo;
    DiagnosePeer(peers::DiagnosePeer) -> peers::Diagnosis;
    StartPairing(pairing::StartPairing) -> pairing::PairingStarted;
    JoinPairing(pairing::JoinPairing) -> pairing::PairingStatus;
    GetPairing(pairing::GetPairing) -> pairing::PairingStatus;
    ConfirmPairing(pairing::ConfirmPairing) -> pairing::PairingConfirmed;
    SetContext(context::SetContext) -> context::ContextEntry;
    GetContext(context::GetContext) -> context::ContextEntry;
    DeleteContext(context::DeleteContext) -> loopsy_shared::api::Done;
    ListContext(context::ListContext) -> context::ContextEntries;
    ImportContext(context::ImportContext) -> context::Imported;
    ListAgents(ai_tasks::ListAgents) -> ai_tasks::Agents;
    DispatchTask(ai_tasks::DispatchTask) -> ai_tasks::TaskInfo;
    GetTask(ai_tasks::GetTask) -> ai_tasks::TaskInfo;
    SendToTask(ai_tasks::SendToTask) -> ai_tasks::TaskInfo;
    InterruptTask(ai_tasks::InterruptTask) -> ai_tasks::TaskInfo;
    ResumeTask(ai_tasks::ResumeTask) -> ai_tasks::TaskInfo;
    CancelTask(ai_tasks::CancelTask) -> ai_tasks::TaskDone;
    GetApproval(approvals::GetApproval) -> approvals::Approval;
    DecideApproval(approvals::DecideApproval) -> approvals::Approval;
    OpenTerminal(terminals::OpenTerminal) -> terminals::TerminalInfo;
    ListTerminals(terminals::ListTerminals) -> terminals::Terminals;
    CloseTerminal(terminals::CloseTerminal) -> loopsy_shared::api::Done;
    ReadTerminal(terminals::ReadTerminal) -> terminals::TerminalText;
    CancelJob(execute::CancelJob) -> loopsy_shared::api::Done;
    StartTransfer(transfers::StartTransfer) -> transfers::TransferInfo;
    CancelTransfer(transfers::CancelTransfer) -> loopsy_shared::api::Done;
}

/// As the wire would have it: what is asked, whatever order its fields have.
impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}
