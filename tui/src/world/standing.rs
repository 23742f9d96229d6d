//! How a peer stands: the mark that is shown first, and why in words.

use loopsy_shared::{
    api::peers::{PeerInfo, PeerStatus},
    text::inert,
};

use crate::look::Role;

/// How a peer stands. Only the marks are told by colour too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It answers.
    Well,
    /// It did not answer the last time, or was not asked yet.
    Trying,
    /// It has not answered for a while.
    Away,
    /// Only a person can put it right.
    Decide(Trouble),
    /// It was only seen on the network.
    Seen,
}

/// What only a person can put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// Another certificate is shown at its address than the one that was pinned.
    Certificate,
    /// The pin is no longer in the config.
    PinMissing,
    /// It has removed this node.
    Removed,
    /// Another node answers at its address.
    Another,
    /// There is no key for it.
    NoKey,
    /// It answers, and does not take what it is asked.
    Refuses,
}

impl Standing {
    /// Of this peer. The daemon tells the reason as a sentence; the kinds that matter are known by their words.
    pub(crate) fn of(peer: &PeerInfo) -> Self {
        if peer.candidate {
            return Self::Seen;
        }
        let why = peer.last_error.as_deref().unwrap_or_default();
        let kinds = [
            ("another certificate than", Trouble::Certificate),
            ("is not the one that was paired", Trouble::Certificate),
            ("no longer in `tls.pinnedCerts`", Trouble::PinMissing),
            ("has removed this node", Trouble::Removed),
            ("another node answers", Trouble::Another),
        ];
        if let Some((_, trouble)) = kinds.iter().find(|(words, _)| why.contains(words)) {
            return Self::Decide(*trouble);
        }
        match peer.status {
            PeerStatus::Online if !peer.trusted => Self::Decide(Trouble::NoKey),
            PeerStatus::Online if why.is_empty() => Self::Well,
            PeerStatus::Online if peer.failure_count == 0 => Self::Decide(Trouble::Refuses),
            PeerStatus::Online | PeerStatus::Unknown => Self::Trying,
            PeerStatus::Offline => Self::Away,
        }
    }

    /// Two characters that say it without colour.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Trying => "..",
            Self::Away => "--",
            Self::Decide(_) => "!!",
            Self::Seen => "? ",
        }
    }

    /// How the mark is drawn.
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::Well => Role::Good,
            Self::Trying => Role::Warn,
            Self::Away => Role::Faint,
            Self::Decide(_) => Role::Bad,
            Self::Seen => Role::Info,
        }
    }

    /// In a few words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Well => "online",
            Self::Trying => "trying",
            Self::Away => "offline",
            Self::Decide(trouble) => trouble.words(),
            Self::Seen => "not paired",
        }
    }
}

impl Trouble {
    /// In a few words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Certificate => "cert changed",
            Self::PinMissing => "pin missing",
            Self::Removed => "removed us",
            Self::Another => "another node",
            Self::NoKey => "no key",
            Self::Refuses => "refuses",
        }
    }

    /// What it means and what to do, with the keys of the peers tab.
    pub(crate) fn advice(self, name: &str) -> String {
        let name = inert(name);
        match self {
            Self::Certificate => format!("If you reinstalled {name}: press P to pair again. If not: do not go on, somebody else may answer at its address."),
            Self::PinMissing => {
                format!("Nothing is sent to {name} without its certificate. Press P to pair again, or put the pin back into `tls.pinnedCerts`.")
            }
            Self::Removed => format!("{name} has removed this machine. Press P to pair again, or x to remove it here too."),
            Self::Another => format!("Another machine has the address of {name} now. Press c to check it, or n to add {name} at its new address."),
            Self::NoKey => format!("This machine has no key for {name}. Press P to pair with it."),
            Self::Refuses => format!("{name} answers, but not to this machine. Press c to try the way to it step by step."),
        }
    }
}

/// The two fingerprints that a sentence about a changed certificate holds: the pinned one, and the one that is shown now.
pub(crate) fn fingerprints(why: &str) -> Option<(&str, &str)> {
    let after = |words: &str| {
        let rest = why.get(why.find(words)? + words.len()..)?;
        let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || c == ':')).unwrap_or(rest.len());
        rest.get(..end).filter(|text| text.len() >= 8)
    };
    let pinned = after("Pinned: ").or_else(|| after("pinned one is "))?;
    let shown = after("Shown: ").or_else(|| after("certificate there is "))?;
    Some((pinned, shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::peer;

    #[test]
    fn marks_say_who_has_to_act() {
        let of = |name: &str, status: &str, why: Option<&str>, failures: u32| {
            let mut fields = peer(name, status);
            fields["lastError"] = serde_json::json!(why);
            fields["failureCount"] = serde_json::json!(failures);
            Standing::of(&serde_json::from_value(fields).unwrap())
        };
        assert_eq!(of("kai", "online", None, 0).mark(), "ok");
        assert_eq!(of("kai", "online", Some("`kai` does not answer: timed out."), 1).mark(), "..");
        assert_eq!(of("kai", "unknown", None, 0).mark(), "..");
        assert_eq!(of("kai", "offline", Some("`kai` does not answer: timed out."), 3).mark(), "--");
        assert_eq!(of("kai", "online", Some("The key is not known there."), 0), Standing::Decide(Trouble::Refuses));
        let changed = "At 10.0.0.9:19532 somebody shows another certificate than the one that `kai` was paired with. Nothing was sent. Pinned: 9d114c07aa. Shown: e05baa92bb.";
        assert_eq!(of("kai", "offline", Some(changed), 3), Standing::Decide(Trouble::Certificate));
        assert_eq!(fingerprints(changed), Some(("9d114c07aa", "e05baa92bb")));
        assert_eq!(fingerprints("Pinned: "), None);
    }

    /// The sentences are the daemon's: should they change there, this must follow.
    #[test]
    fn the_words_are_those_of_the_one_who_says_them() {
        let mismatch = "The node at 10.0.0.9:1 is not the one that was paired: the certificate there is e05baa92bb, the pinned one is 9d114c07aa.";
        assert_eq!(fingerprints(mismatch), Some(("9d114c07aa", "e05baa92bb")));
    }
}
