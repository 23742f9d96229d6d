//! The ways that a notice goes: all that are configured, at the same time, each with ten seconds.

use std::{sync::Arc, time::Duration};

use loopsy_shared::{client::outbound, config::Notifications, secret::Secret, text::inert};
use tokio::sync::Semaphore;

use super::{Notice, command, desktop};
use crate::jobs::Jobs;

/// How long each way may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What came of it. A failure is the rest of a sentence about the way, for people; nothing of the address but its host is in it.
pub(super) type Outcome = Result<(), String>;

/// One way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// `notifications.desktop`.
    Desktop,
    /// `notifications.command`.
    Command,
    /// `notifications.url`.
    Url,
}

impl Way {
    /// Those that are configured.
    pub(super) fn wanted(config: &Notifications) -> Vec<Self> {
        let all = [(Self::Desktop, config.desktop), (Self::Command, !config.command.is_empty()), (Self::Url, config.url.is_some())];
        all.into_iter().filter_map(|(way, wanted)| wanted.then_some(way)).collect()
    }

    /// What a sentence about it begins with.
    pub(super) const fn subject(self) -> &'static str {
        match self {
            Self::Desktop => "The desktop (`notifications.desktop`)",
            Self::Command => "The command of `notifications.command`",
            Self::Url => "The address of `notifications.url`",
        }
    }
}

/// What the ways need. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    jobs: Jobs,
    /// One call to the desktop at a time: it cannot be broken off, and those that hang must not gather.
    desktop: Arc<Semaphore>,
}

impl Ways {
    pub(super) fn new(jobs: Jobs) -> Self {
        Self { jobs, desktop: Arc::new(Semaphore::new(1)) }
    }

    /// Sends a notice all configured ways.
    pub(super) async fn deliver(self, notice: Notice, config: Notifications) -> Vec<(Way, Outcome)> {
        let one = |way| {
            let (this, notice, config) = (&self, &notice, &config);
            async move {
                let outcome = match way {
                    Way::Desktop => {
                        let late = |_| Err(format!("gave no answer in {} seconds.", PATIENCE.as_secs()));
                        tokio::time::timeout(PATIENCE, desktop::show(&this.desktop, notice)).await.unwrap_or_else(late)
                    }
                    // It ends what it started when its time is up.
                    Way::Command => command::run(&this.jobs, &config.command, notice).await,
                    Way::Url => match &config.url {
                        Some(url) => {
                            let late = |_| Err(format!("gave no answer in {} seconds.", PATIENCE.as_secs()));
                            tokio::time::timeout(PATIENCE, send(url, notice)).await.unwrap_or_else(late)
                        }
                        None => Ok(()),
                    },
                };
                (way, outcome)
            }
        };
        futures_util::future::join_all(Way::wanted(&config).into_iter().map(one)).await
    }
}

/// Sends a notice to an address: as JSON, or to an ntfy server as text.
async fn send(url: &Secret, notice: &Notice) -> Outcome {
    let ntfy = [("ntfy://", "https://"), ("ntfy+http://", "http://")];
    let text = ntfy.into_iter().find_map(|(begin, real)| url.reveal().strip_prefix(begin).map(|rest| Secret::new(format!("{real}{rest}"))));
    let sent = match text {
        Some(url) => outbound::post(&url, "text/plain; charset=utf-8", format!("{}\n{}", notice.title, notice.body).trim().to_owned().into_bytes()).await,
        None => outbound::post(url, "application/json", json(notice)?).await,
    };
    sent.map_err(|error| format!("did not take a notice. {error}"))
}

/// A notice as the command and the address get it.
pub(super) fn json(notice: &Notice) -> Result<Vec<u8>, String> {
    serde_json::to_vec(notice).map_err(|error| format!("cannot be given a notice: {}.", inert(&error.to_string())))
}
