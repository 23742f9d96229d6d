//! What a failure says, what to do about it, and the exit code it ends with: one function, [`explain`].

use std::{fmt, io};

use loopsy_daemon::{run::RunError, settings::SettingsError, setup::SetupError};
use loopsy_shared::{
    api::{ApiError, Code, error::ErrorDetail},
    client::{ClientError, LocalError},
    text::inert,
};

/// Done.
pub(crate) const OK: u8 = 0;
/// Failed.
pub(crate) const FAILURE: u8 = 1;
/// The command line is not valid.
pub(crate) const USAGE: u8 = 2;
/// The daemon or the peer cannot be reached.
pub(crate) const UNREACHABLE: u8 = 3;
/// Somebody said no.
pub(crate) const REFUSED: u8 = 4;
/// The config or the store cannot be used (`EX_CONFIG`).
pub(crate) const CONFIG: u8 = 78;
/// The command's time was up.
pub(crate) const TIMED_OUT: u8 = 124;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;
/// The reader of our output went away (128 + SIGPIPE).
pub(crate) const PIPE: u8 = 141;

/// Everything that can go wrong here.
#[derive(Debug)]
pub(crate) enum Error {
    /// A call failed.
    Client(ClientError),
    /// The data directory cannot be used.
    Local(LocalError),
    /// The data directory cannot be made.
    Setup(SetupError),
    /// The daemon cannot run.
    Run(RunError),
    /// Anything else: a sentence, what to do, the exit code.
    Said(String, Option<String>, u8),
    /// Nothing needs to be said.
    Silent(u8),
}

impl Error {
    /// A plain failure.
    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self::Said(message.into(), None, FAILURE)
    }

    /// A command line that parses but makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Said(message.into(), None, USAGE)
    }

    /// A file that cannot be used.
    pub(crate) fn file(path: impl AsRef<std::path::Path>, error: &io::Error) -> Self {
        Self::failure(format!("`{}` cannot be used: {error}.", path.as_ref().display()))
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Said(message, _, exit) => Self::Said(message, Some(hint.into()), exit),
            other => other,
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<LocalError> for Error {
    fn from(error: LocalError) -> Self {
        Self::Local(error)
    }
}

impl From<SetupError> for Error {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<ErrorDetail> for Error {
    fn from(detail: ErrorDetail) -> Self {
        // The status is only looked at for numbers that this version does not know.
        let code = Code::from_number(detail.code, 400);
        Self::Client(ClientError::Api(ApiError { code, message: detail.message, hint: detail.hint, retry_after: None }))
    }
}

/// Of standard output and input. A reader that went away is no reason to speak.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Silent(PIPE) } else { Self::failure(format!("Input or output failed: {error}.")) }
    }
}

/// A failure, ready to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explained {
    /// What is wrong; empty when nothing needs to be said.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// How the process ends.
    pub exit: u8,
    /// The number in a JSON error body.
    pub code: u16,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a failure says, its hint, its exit code.
pub(crate) fn explain(error: &Error) -> Explained {
    match error {
        Error::Client(ClientError::Api(error)) => Explained {
            message: inert(&error.message).into_owned(),
            hint: error.hint.as_deref().map(|hint| inert(hint).into_owned()).or_else(|| hint_for(error).map(str::to_owned)),
            exit: exit_for(error.code),
            code: error.code.number(),
        },
        Error::Client(ClientError::Unreachable { address, cause }) => Explained {
            message: format!("The Loopsy daemon does not answer at {}: {}.", inert(address), inert(cause)),
            hint: Some("Start it with `loopsy start`; `loopsy doctor` says more.".to_owned()),
            exit: UNREACHABLE,
            code: Code::PeerUnreachable.number(),
        },
        Error::Client(error @ ClientError::Certificate { .. }) => Explained {
            message: inert(&error.to_string()).into_owned(),
            hint: Some("If that machine was set up anew, remove it with `loopsy peers remove` and pair again.".to_owned()),
            exit: UNREACHABLE,
            code: Code::PeerCertificate.number(),
        },
        Error::Client(error @ ClientError::Protocol { .. }) => Explained {
            message: inert(&error.to_string()).into_owned(),
            hint: Some("Is another program listening there, or does it run another version of Loopsy?".to_owned()),
            exit: FAILURE,
            code: Code::Internal.number(),
        },
        Error::Local(error) => {
            let (hint, exit) = match error {
                LocalError::NotInitialised(_) => (Some("Make one with `loopsy init`, or name another with `--data-dir`.".to_owned()), CONFIG),
                LocalError::Config { error, .. } => (error.hint.clone(), CONFIG),
                LocalError::Io { .. } => (None, FAILURE),
            };
            Explained { message: sentence(&error.to_string()), hint, exit, code: Code::ConfigInvalid.number() }
        }
        Error::Setup(error) => {
            let (hint, exit) = match error {
                SetupError::Value(error) => (error.hint.clone(), USAGE),
                SetupError::Settings(SettingsError::Invalid { error, .. }) => (error.hint.clone(), CONFIG),
                SetupError::Settings(SettingsError::Io { .. }) | SetupError::Io { .. } => (None, FAILURE),
            };
            Explained { message: sentence(&error.to_string()), hint, exit, code: Code::ConfigInvalid.number() }
        }
        Error::Run(error) => Explained { message: sentence(&error.message), hint: error.hint.clone(), exit: error.exit_code, code: Code::Internal.number() },
        Error::Said(message, hint, exit) => {
            let code = match *exit {
                USAGE => Code::InvalidRequest,
                UNREACHABLE => Code::PeerUnreachable,
                _ => Code::Internal,
            };
            Explained { message: sentence(message), hint: hint.clone(), exit: *exit, code: code.number() }
        }
        Error::Silent(exit) => Explained { message: String::new(), hint: None, exit: *exit, code: 0 },
    }
}

/// One line that cannot drive the terminal, with one period where sentences were put into sentences.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    inert(text.strip_suffix('.').filter(|rest| rest.ends_with('.') && !rest.ends_with("..")).unwrap_or(text)).into_owned()
}

/// The exit code for a refusal of a node.
pub(crate) const fn exit_for(code: Code) -> u8 {
    match code {
        Code::PeerUnreachable | Code::PeerChanged | Code::PeerCertificate | Code::ShuttingDown => UNREACHABLE,
        Code::MissingKey
        | Code::InvalidKey
        | Code::ScopeMissing
        | Code::ForeignOrigin
        | Code::NotEncrypted
        | Code::PeerNoKey
        | Code::PeerPinMissing
        | Code::PairingProof
        | Code::PairingBurned
        | Code::PairingRejected
        | Code::PairingTooOld
        | Code::CommandDenied
        | Code::PathDenied
        | Code::TaskDenied
        | Code::NameRefused => REFUSED,
        Code::Other(_, 401 | 403) => REFUSED,
        Code::Other(_, 502..=504) => UNREACHABLE,
        _ => FAILURE,
    }
}

/// What to do, where the node itself said nothing about it.
const fn hint_for(error: &ApiError) -> Option<&'static str> {
    match error.code {
        Code::MissingKey | Code::InvalidKey => Some("Is `--data-dir` the one of the daemon that answers? For a peer, pair again with `loopsy pair`."),
        Code::PeerNotFound | Code::PeerAmbiguous => Some("List the peers with `loopsy peers`."),
        Code::PeerNoKey => Some("Pair with `loopsy pair`."),
        Code::PeerUnreachable | Code::PeerChanged => Some("Check it step by step with `loopsy doctor --peer NAME`."),
        Code::Internal => Some("See `loopsy logs --daemon` on that machine."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(code: Code) -> u8 {
        explain(&ClientError::Api(ApiError::new(code, "x")).into()).exit
    }

    #[test]
    fn exit_codes_tell_what_kind_of_failure_it_was() {
        assert_eq!(code_of(Code::PeerUnreachable), 3);
        assert_eq!(code_of(Code::CommandDenied), 4);
        assert_eq!(code_of(Code::ScopeMissing), 4);
        assert_eq!(code_of(Code::TaskDenied), 4);
        assert_eq!(code_of(Code::PeerNotFound), 1);
        assert_eq!(code_of(Code::from_number(777, 403)), 4);
        let down = Error::from(ClientError::Unreachable { address: "127.0.0.1:1".to_owned(), cause: "refused".to_owned() });
        assert_eq!(explain(&down).exit, 3);
        assert_eq!(explain(&Error::from(LocalError::NotInitialised("/x".to_owned()))).exit, 78);
        assert_eq!(explain(&Error::usage("x")).exit, 2);
        assert_eq!(explain(&io::Error::from(io::ErrorKind::BrokenPipe).into()).exit, 141);
    }

    #[test]
    fn a_peers_words_cannot_drive_the_terminal() {
        let error = ApiError::new(Code::Internal, "bad \u{1b}[2J").hint("do \u{7}");
        let said = explain(&ClientError::Api(error).into());
        assert!(!said.message.contains('\u{1b}') && !said.hint.expect("has one").contains('\u{7}'));
    }
}
