//! What a pairing command hears while it waits: how far the pairing is, and that it is to stop.

use std::time::Duration;

use loopsy_shared::{
    api::pairing::{GetPairing, PairingStatus},
    client::{Client, ClientError},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

use crate::error::Error;

/// States that wait to be looked at: the daemon is asked again once there is room.
const AHEAD: usize = 1;
/// Between two questions that were answered at once, with nothing new.
const BREATH: Duration = Duration::from_millis(250);

/// What ends a command from outside.
pub(super) struct Stops([Signal; 3]);

impl Stops {
    /// From now on these signals end nothing by themselves.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    /// Waits for one.
    pub(super) async fn one(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// The state now and after every change, until nobody listens or the daemon does not answer.
pub(super) fn watch(client: Client) -> mpsc::Receiver<Result<PairingStatus, ClientError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut after = None;
        loop {
            let answer = tokio::select! {
                answer = client.call(GetPairing { after }) => answer,
                () = sender.closed() => return,
            };
            let (news, last) = match &answer {
                Ok(status) => (after != Some(status.change), false),
                Err(_) => (true, true),
            };
            after = answer.as_ref().ok().map(|status| status.change);
            if news && sender.send(answer).await.is_err() || last {
                return;
            }
            if !news {
                sleep(BREATH).await;
            }
        }
    });
    receiver
}
