//! How the demo's two nodes are paired: as any two are, with the demo in the place of both people.

use loopsy_shared::{
    api::pairing::{ConfirmPairing, GetPairing, JoinPairing, PairingEnd, PairingState, PairingStatus, StartPairing},
    client::Client,
    text::inert,
};

use super::node::Node;
use crate::{cmd::pair::spaced, error::Error};

/// `a` shows a code, `b` comes with it, both compare. Returns the digits that both showed.
pub(super) async fn pair(a: &Node, b: &Node) -> Result<String, Error> {
    let (here, there) = (a.client()?, b.client()?);
    let started = here.call(StartPairing::default()).await?;
    let (address, port) = a.place()?;
    let request = JoinPairing { address, port: Some(port), invite_code: started.invite_code, scopes: None };
    let joined = there.call(request).await?;
    let shown = until(here, |status| !status.active || status.state == Some(PairingState::KeyExchanged)).await?;
    let digits = match (shown.sas, joined.sas) {
        (Some(one), Some(other)) if one == other => spaced(&one),
        _ => return Err(Error::failure("The two nodes do not show the same digits.")),
    };
    for client in [here, there] {
        client.call(ConfirmPairing { confirmed: Some(true), ..ConfirmPairing::default() }).await?;
    }
    for client in [here, there] {
        let over = until(client, |status| !status.active).await?;
        match over.outcome {
            Some(outcome) if outcome.end == PairingEnd::Paired => {}
            outcome => {
                let said = outcome.map(|outcome| outcome.message).unwrap_or_default();
                return Err(Error::failure(format!("The two nodes were not paired. {}", inert(&said))));
            }
        }
    }
    Ok(digits)
}

/// Follows a node's pairing until it is so far.
async fn until(client: &Client, far: impl Fn(&PairingStatus) -> bool) -> Result<PairingStatus, Error> {
    let mut status = client.call(GetPairing::default()).await?;
    while !far(&status) {
        status = client.call(GetPairing { after: Some(status.change) }).await?;
    }
    Ok(status)
}
