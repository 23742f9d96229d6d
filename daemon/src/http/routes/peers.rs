//! Other nodes that this one knows.

use loopsy_shared::{
    api::{
        ApiError, Code, Done,
        health::Identity,
        node::NewKey,
        peers::{AddPeer, ConnectPeer, Handshake, ListPeers, MintPeerKey, PeerInfo, Peers, RemovePeer},
    },
    config::{self, AllowedKey},
    secret::Secret,
    text,
};

use crate::{
    app::App,
    http::endpoint::Routes,
    settings::Edit,
    trust::{ADMIN, Caller},
};

const ALLOWED_KEYS: &[&str] = &["auth", "allowedKeys"];

pub(super) fn mount(routes: Routes) -> Routes {
    routes.endpoint(list).endpoint(add).endpoint(connect).endpoint(mint).endpoint(remove).endpoint(handshake)
}

async fn list(app: App, _caller: Caller, _request: ListPeers) -> Result<Peers, ApiError> {
    Ok(Peers { peers: app.peers.list() })
}

async fn add(app: App, _caller: Caller, request: AddPeer) -> Result<PeerInfo, ApiError> {
    Ok(app.peers.add(request).await?)
}

async fn connect(app: App, _caller: Caller, request: ConnectPeer) -> Result<PeerInfo, ApiError> {
    Ok(app.peers.connect(request, app.identity()).await?)
}

async fn handshake(app: App, caller: Caller, request: Handshake) -> Result<Identity, ApiError> {
    app.peers.handshake(&caller, request).await?;
    Ok(app.identity())
}

async fn mint(app: App, _caller: Caller, request: MintPeerKey) -> Result<NewKey, ApiError> {
    let name = request.name;
    if !config::is_name(&name) || name.eq_ignore_ascii_case(ADMIN) {
        return Err(ApiError::new(Code::InvalidRequest, format!("`{}` cannot be the name of a peer's key.", text::inert(&name)))
            .hint("Use 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit."));
    }
    let key = Secret::generate();
    let hash = AllowedKey::from_digest(&key.digest());
    app.blocking(move |app| app.settings.edit(&[Edit::Set(ALLOWED_KEYS, &name, hash.reveal())])).await??;
    app.trust.refresh();
    Ok(NewKey { key })
}

async fn remove(app: App, _caller: Caller, request: RemovePeer) -> Result<Done, ApiError> {
    let peer = app.peers.list().into_iter().find(|peer| peer.node_id == request.node_id);
    // Its key goes first: should the rest fail, it can be tried again.
    if let Some(name) = peer.and_then(|peer| peer.principal).filter(|name| app.config().auth.allowed_keys.contains_key(name)) {
        app.blocking(move |app| app.settings.edit(&[Edit::Remove(ALLOWED_KEYS, &name)])).await??;
        app.trust.refresh();
    }
    app.peers.remove(&request.node_id).await?;
    Ok(Done { node_id: Some(request.node_id), ..Done::OK })
}
