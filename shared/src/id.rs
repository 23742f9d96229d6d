//! Identifiers. Each is its own type, so that one cannot be taken for another.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A fresh random one (UUID v4).
            #[expect(clippy::new_without_default, reason = "a default id would hide that each call makes another one")]
            pub fn new() -> Self {
                Self(uuid::Uuid::new_v4().to_string())
            }

            /// Whether a text is such a random one: what may be taken over from somebody else.
            pub fn is_well_formed(text: &str) -> bool {
                text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first characters, by which people know it.
            pub fn short(&self) -> &str {
                self.0.char_indices().nth(8).map_or(&self.0, |(at, _)| &self.0[..at])
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A node: made once, kept for life. A peer that was added by hand and never answered is `manual-<address>:<port>`.
    NodeId,
    /// One command run for somebody.
    JobId,
    /// One file or folder on its way.
    TransferId,
    /// One run of a coding agent.
    TaskId,
    /// One question of an agent that waits for a person.
    ApprovalId,
    /// One terminal.
    TerminalId,
}
