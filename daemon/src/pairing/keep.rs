//! What a pairing leaves behind: a key, a pin and rights in the config, a key in the credentials, a peer.

use loopsy_shared::{
    api::{ApiError, Code, Scope},
    config::{AllowedKey, Config},
    id::NodeId,
};

use super::Pairing;
use crate::{
    lp2::{self, Identity},
    peers::{Earlier, NewPeer},
    settings::{ALLOWED_KEYS, Edit, PINS, SCOPES, SettingsError},
    trust::{ADMIN, AGENT},
};

/// What was stored, and what to do when it has to be withdrawn.
#[derive(Debug)]
pub(super) struct Kept {
    /// The name of the other machine's key.
    pub(super) name: String,
    node_id: NodeId,
    /// The pairing that there was before with the same machine.
    before: Option<Before>,
}

/// An earlier pairing: one that is not completed must not cost it.
#[derive(Debug)]
struct Before {
    hash: String,
    pin: Option<String>,
    scopes: Option<Vec<Scope>>,
    peer: Earlier,
}

impl Pairing {
    /// Whether a machine can be taken in under its name.
    pub(super) fn fits(&self, peer: &Identity) -> Result<String, ApiError> {
        let name = peer.hostname();
        if [ADMIN, AGENT].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err(ApiError::new(Code::PeerNameTaken, format!("The other machine calls itself `{name}`, which no peer can be called. Nothing was kept."))
                .hint("Give it another server.hostname, and begin again."));
        }
        let taken = |error: ApiError| ApiError { message: format!("{} Nothing was kept.", error.message), ..error };
        let principal = self.0.parts.peers.principal_for(peer.node_id(), name).map_err(|error| taken(error.into()))?;
        // A key that was made by hand for somebody is not replaced by somebody else's.
        let made_by_hand = self.config().auth.allowed_keys.contains_key(&principal) && self.0.parts.peers.of_principal(&principal).is_none();
        if made_by_hand {
            return Err(ApiError::new(Code::PeerNameTaken, format!("There is a key for `{principal}` in `auth.allowedKeys` already. Nothing was kept."))
                .hint("Remove that line if it is not needed any more, and begin again."));
        }
        Ok(principal)
    }

    /// Stores what both people agreed to: all of it, or nothing. What a machine that was paired before may do
    /// here stays as it was, unless `scopes` says otherwise. `ready` tells whether the other machine has stored it already.
    pub(super) async fn keep(&self, pairing: &lp2::Pairing, scopes: Option<Vec<Scope>>, address: Option<String>, ready: bool) -> Result<Kept, ApiError> {
        let peer = &pairing.peer;
        let who = Identity::new(peer.node_id.as_str(), &peer.hostname).ok_or_else(|| ApiError::from(lp2::Refusal::Malformed))?;
        let name = self.fits(&who)?;
        let before = self.before(&name, &peer.node_id);
        let hash = AllowedKey::from_digest(&pairing.minted.digest());
        let (key, pin) = (name.clone(), peer.cert_fingerprint.clone());
        self.edit(move |config, edit| {
            let words: Vec<&str> = scopes.iter().flatten().map(|scope| scope.as_str()).collect();
            let mut edits = vec![Edit::Set(ALLOWED_KEYS, &key, hash.reveal()), Edit::Set(PINS, &key, &pin)];
            match &scopes {
                Some(scopes) if *scopes != Scope::PEER_DEFAULT => edits.push(Edit::SetWords(SCOPES, &key, &words)),
                Some(_) if config.auth.scopes.contains_key(&key) => edits.push(Edit::Remove(SCOPES, &key)),
                _ => {}
            }
            edit(&edits)
        })
        .await?;
        let mut addresses: Vec<String> = address.into_iter().collect();
        addresses.extend(peer.addrs.iter().map(ToString::to_string).filter(|ip| !addresses.contains(ip)).collect::<Vec<_>>());
        let new = NewPeer {
            node_id: peer.node_id.clone(),
            hostname: peer.hostname.clone(),
            addresses,
            port: peer.port,
            key: peer.api_key.clone(),
            principal: name.clone(),
            ready,
        };
        let kept = Kept { name, node_id: peer.node_id.clone(), before };
        if let Err(error) = self.0.parts.peers.pair(new).await {
            self.withdraw(kept).await;
            return Err(error.into());
        }
        tracing::info!(peer = %kept.name, "paired");
        Ok(kept)
    }

    fn before(&self, name: &str, node_id: &NodeId) -> Option<Before> {
        let (config, peer) = (self.config(), self.0.parts.peers.earlier(node_id)?);
        Some(Before {
            hash: config.auth.allowed_keys.get(name)?.reveal().to_owned(),
            pin: config.tls.pinned_certs.get(name).map(ToString::to_string),
            scopes: config.auth.scopes.get(name).cloned(),
            peer,
        })
    }

    /// Takes back what [`Pairing::keep`] stored. What there was before is there again.
    pub(super) async fn withdraw(&self, kept: Kept) {
        let Kept { name, node_id, before } = kept;
        tracing::info!(peer = %name, "a pairing that the other machine never confirmed is withdrawn");
        self.forget(&name).await;
        let Some(Before { hash, pin, scopes, peer }) = before else {
            if let Err(error) = self.0.parts.peers.unpair(&node_id).await {
                tracing::warn!(peer = %name, %error, "cannot be removed");
            }
            return;
        };
        let key = name.clone();
        let restored = self
            .edit(move |_, edit| {
                let words: Vec<&str> = scopes.iter().flatten().map(|scope| scope.as_str()).collect();
                let mut edits = vec![Edit::Set(ALLOWED_KEYS, &key, &hash)];
                edits.extend(pin.iter().map(|pin| Edit::Set(PINS, &key, pin)));
                edits.extend(scopes.is_some().then_some(Edit::SetWords(SCOPES, &key, &words)));
                edit(&edits)
            })
            .await;
        if let Err(error) = restored {
            tracing::error!(peer = %name, error = %error.message, "the pairing from before cannot be put back into the config");
        }
        if let Err(error) = self.0.parts.peers.restore(peer).await {
            tracing::error!(peer = %name, %error, "the pairing from before cannot be put back");
        }
    }

    /// The key is worth nothing from here on, even if the file cannot be changed now.
    async fn forget(&self, name: &str) {
        self.0.parts.trust.ban(name);
        let (settings, key) = (self.0.parts.settings.clone(), name.to_owned());
        let removed = tokio::task::spawn_blocking(move || settings.forget_peer(&key)).await;
        match removed {
            Ok(Ok(())) => self.0.parts.trust.refresh(),
            Ok(Err(error)) => tracing::error!(peer = %name, %error, "its key cannot be taken out of the config"),
            Err(error) => tracing::error!(peer = %name, %error, "its key cannot be taken out of the config"),
        }
    }

    /// Changes the config away from the threads that serve requests; the keys are in force when this returns.
    async fn edit(
        &self,
        work: impl FnOnce(&Config, &dyn Fn(&[Edit<'_>]) -> Result<(), SettingsError>) -> Result<(), SettingsError> + Send + 'static,
    ) -> Result<(), ApiError> {
        let settings = self.0.parts.settings.clone();
        let done = tokio::task::spawn_blocking(move || work(&settings.now(), &|edits| settings.edit(edits))).await;
        done.map_err(|e| crate::http::internal(&e))??;
        self.0.parts.trust.refresh();
        Ok(())
    }
}
