//! Other nodes that this one knows.

use std::time::Duration;

use loopsy_shared::{
    api::{
        ApiError, Code, Done, Scope,
        health::Identity,
        node::NewKey,
        peers::{
            AddPeer, ConnectPeer, DiagnosePeer, Diagnosis, Handshake, LeavePeer, ListPeers, MintPeerKey, PeerInfo, Peers, RemovePeer, RevokePeerKey,
            SetPeerScopes,
        },
    },
    config::{self, AllowedKey},
    id::NodeId,
    names,
    secret::Secret,
    text,
};

use crate::{
    app::App,
    http::endpoint::Routes,
    peers::PeerError,
    settings::{ALLOWED_KEYS, Edit, SCOPES},
    trust::{ADMIN, AGENT, Caller, Role},
};

/// How long a peer may take to hear that it was removed.
const GOODBYE: Duration = Duration::from_secs(3);

pub(super) fn mount(routes: Routes) -> Routes {
    routes
        .endpoint(list)
        .endpoint(add)
        .endpoint(connect)
        .endpoint(mint)
        .endpoint(revoke_key)
        .endpoint(remove)
        .endpoint(handshake)
        .endpoint(set_scopes)
        .endpoint(diagnose)
        .endpoint(leave)
}

async fn list(app: App, _caller: Caller, _request: ListPeers) -> Result<Peers, ApiError> {
    Ok(Peers { peers: app.peers.list() })
}

async fn add(app: App, _caller: Caller, request: AddPeer) -> Result<PeerInfo, ApiError> {
    Ok(app.peers.add(request).await?)
}

async fn connect(app: App, _caller: Caller, request: ConnectPeer) -> Result<PeerInfo, ApiError> {
    let whole = app.clone();
    whole.lasting(async move { Ok(app.peers.connect(request, app.identity()).await?) }).await
}

async fn handshake(app: App, caller: Caller, request: Handshake) -> Result<Identity, ApiError> {
    app.peers.handshake(&caller, request).await?;
    Ok(app.identity_for(&caller))
}

async fn set_scopes(app: App, _caller: Caller, request: SetPeerScopes) -> Result<PeerInfo, ApiError> {
    let whole = app.clone();
    whole.lasting(async move { change_scopes(&app, request).await }).await
}

async fn change_scopes(app: &App, request: SetPeerScopes) -> Result<PeerInfo, ApiError> {
    let SetPeerScopes { node_id, scopes } = request;
    let peer = known(app, &node_id)?;
    let Some(name) = peer.principal.filter(|name| app.config().auth.allowed_keys.contains_key(name)) else {
        return Err(
            ApiError::new(Code::PeerNoKey, format!("`{}` has no key here, so there is nothing to allow.", peer.hostname)).hint("Pair with it: loopsy pair")
        );
    };
    app.blocking(move |app| {
        let words: Vec<&str> = Scope::ALL.iter().filter(|scope| scopes.contains(scope)).map(|scope| scope.as_str()).collect();
        app.settings.edit(&[Edit::SetWords(SCOPES, &name, &words)])
    })
    .await??;
    app.trust.refresh();
    app.peers.tell(&node_id).map_or_else(|| known(app, &node_id), Ok)
}

async fn diagnose(app: App, caller: Caller, request: DiagnosePeer) -> Result<Diagnosis, ApiError> {
    let own = app.peers.of_principal(&caller.principal.name).filter(|_| caller.principal.role == Role::Peer);
    let node_id = match own {
        Some(own) if request.node_id.as_str() == "me" || request.node_id == own.node_id => own.node_id,
        _ if caller.principal.is_owner() => request.node_id,
        _ => return Err(ApiError::new(Code::ScopeMissing, "A peer may only ask for the way to itself.")),
    };
    known(&app, &node_id)?;
    Ok(app.peers.diagnose(&node_id).await)
}

async fn leave(app: App, caller: Caller, _request: LeavePeer) -> Result<Done, ApiError> {
    let name = caller.principal.name.clone();
    let Some(peer) = app.peers.of_principal(&name).filter(|_| caller.principal.role == Role::Peer) else {
        return Err(ApiError::new(Code::ScopeMissing, "Only a peer can leave, and only itself."));
    };
    tracing::info!(peer = %peer.hostname, "the peer has removed this node");
    let whole = app.clone();
    // The caller's key goes in the middle of this, and the caller itself may be gone before.
    whole
        .lasting(async move {
            revoke(&app, name).await?;
            app.peers.left(&peer.node_id).await?;
            Ok(Done { node_id: Some(peer.node_id), ..Done::OK })
        })
        .await
}

fn known(app: &App, node_id: &NodeId) -> Result<PeerInfo, ApiError> {
    app.peers.get(node_id).ok_or_else(|| PeerError::NotFound { name: text::inert(node_id.as_str()).into_owned(), near: None }.into())
}

/// Takes everything out of the config that belongs to a peer's key: from then on nothing is done for it, and what runs ends. The key is dead at once and until the
/// node stops, even if the file cannot be changed now.
async fn revoke(app: &App, name: String) -> Result<(), ApiError> {
    app.trust.ban(&name);
    app.blocking(move |app| app.settings.forget_peer(&name)).await??;
    app.trust.refresh();
    Ok(())
}

async fn mint(app: App, _caller: Caller, request: MintPeerKey) -> Result<NewKey, ApiError> {
    let name = request.name;
    if !config::is_name(&name) || [ADMIN, AGENT].iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(ApiError::new(Code::InvalidRequest, format!("`{}` cannot be the name of a peer's key.", text::inert(&name)))
            .hint("Use 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit."));
    }
    let taken = app.config().tls.pinned_certs.keys().any(|pinned| pinned.eq_ignore_ascii_case(&name));
    if taken {
        return Err(ApiError::new(Code::PeerNameTaken, format!("`{name}` is paired, and has a key."))
            .hint("Use another name, or remove the peer first: loopsy peers remove"));
    }
    let key = Secret::generate();
    let hash = AllowedKey::from_digest(&key.digest());
    app.blocking(move |app| app.settings.edit(&[Edit::Set(ALLOWED_KEYS, &name, hash.reveal())])).await??;
    app.trust.refresh();
    Ok(NewKey { key })
}

async fn revoke_key(app: App, _caller: Caller, request: RevokePeerKey) -> Result<Done, ApiError> {
    let name = request.name;
    if !app.config().auth.allowed_keys.contains_key(&name) {
        let near = names::nearest(&name, app.config().auth.allowed_keys.keys().map(String::as_str)).map(str::to_owned);
        return Err(PeerError::NotFound { name: text::inert(&name).into_owned(), near }.into());
    }
    if let Some(peer) = app.peers.of_principal(&name).filter(|peer| peer.paired) {
        return Err(ApiError::new(Code::InvalidRequest, format!("`{name}` is the key of a paired peer."))
            .hint(format!("Remove the peer: loopsy peers remove {}", peer.hostname)));
    }
    let whole = app.clone();
    whole.lasting(async move { revoke(&app, name).await.map(|()| Done::OK) }).await
}

async fn remove(app: App, _caller: Caller, request: RemovePeer) -> Result<Done, ApiError> {
    let whole = app.clone();
    whole.lasting(async move { forget(&app, request.node_id).await }).await
}

async fn forget(app: &App, node_id: NodeId) -> Result<Done, ApiError> {
    let peer = known(app, &node_id)?;
    let goodbye = app.peers.farewell(&node_id);
    // Its key goes first: should the rest fail, it can be tried again.
    if let Some(name) = peer.principal {
        revoke(app, name).await?;
    }
    app.peers.remove(&node_id).await?;
    if let Some(client) = goodbye {
        app.tracker.spawn(async move {
            match tokio::time::timeout(GOODBYE, client.wary().call(LeavePeer {})).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::info!(peer = %peer.hostname, %error, "the removed peer did not hear of it"),
                Err(_) => tracing::info!(peer = %peer.hostname, "the removed peer did not hear of it in time"),
            }
        });
    }
    Ok(Done { node_id: Some(node_id), ..Done::OK })
}
