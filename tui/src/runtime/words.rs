//! What went wrong, in sentences for people.

use loopsy_shared::{
    api::{ApiError, Code},
    client::{ClientError, LocalError},
    text::inert,
};

use crate::event::Failure;

/// A request that did not work: what, and what to do about it.
pub(crate) fn failure(error: &ClientError) -> Failure {
    let (message, hint) = match error {
        ClientError::Api(error) => (error.message.clone(), error.hint.clone().or_else(|| hint_for(error).map(str::to_owned))),
        ClientError::Unreachable { address, cause } => (format!("The Loopsy daemon does not answer at {address}: {cause}."), None),
        ClientError::Certificate { .. } => (error.to_string(), Some("If that machine was set up anew, remove it from the peers and pair again.".to_owned())),
        ClientError::Protocol { .. } => (error.to_string(), Some("Does it run another version of Loopsy?".to_owned())),
    };
    let message = match hint {
        Some(hint) => format!("{} {hint}", message.trim_end()),
        None => message,
    };
    let code = error.api().map(|error| error.code);
    Failure { message: inert(&message).into_owned(), code: code.map(|code| code.number()), status: code.map(|code| code.status()) }
}

/// The same as one sentence.
pub(crate) fn sentence(error: &ClientError) -> String {
    failure(error).message
}

/// There is nobody to ask.
pub(crate) fn nobody() -> Failure {
    Failure { message: "The daemon of this machine does not answer.".to_owned(), code: None, status: None }
}

/// Why a data directory cannot be used.
pub(crate) fn unusable(error: &LocalError) -> String {
    let hint = match error {
        LocalError::Config { error, .. } => error.hint.clone(),
        LocalError::NotInitialised(_) | LocalError::Io { .. } => None,
    };
    let text = error.to_string();
    // A period where sentences were put into sentences.
    let text = text.strip_suffix('.').filter(|rest| rest.ends_with('.')).unwrap_or(&text);
    inert(&hint.map_or_else(|| text.to_owned(), |hint| format!("{text} {hint}"))).into_owned()
}

/// What to do, where the node itself said nothing about it.
const fn hint_for(error: &ApiError) -> Option<&'static str> {
    match error.code {
        Code::PeerNoKey => Some("Pair with that machine first."),
        Code::PeerUnreachable | Code::PeerChanged => Some("`loopsy doctor --peer NAME` checks it step by step."),
        Code::Internal => Some("`loopsy logs --daemon` on that machine says more."),
        _ => None,
    }
}
