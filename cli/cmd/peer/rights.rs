//! `loopsy peers allow` and `deny`: what a peer may do here.

use loopsy_shared::{
    api::{
        Code, Scope,
        peers::{ListPeers, PeerInfo, SetPeerScopes},
    },
    text::inert,
};

use super::{find, refusal};
use crate::{
    cmd::DONE,
    context::Ctx,
    error::Error,
    output::{FAINT, GOOD, WARN, paint},
};

/// Gives scopes to a peer, or takes them away.
pub(super) async fn change(ctx: &Ctx, wanted: &str, named: &[Scope], allow: bool) -> Result<u8, Error> {
    let client = ctx.client()?;
    let peers = client.call(ListPeers {}).await?.peers;
    let peer = find(&peers, wanted)?;
    let name = inert(&peer.hostname).into_owned();
    if peer.candidate {
        return Err(refusal(
            Code::PeerNoKey,
            format!("`{name}` was seen on this network, but is not paired; it may do nothing here."),
            "Pair with `loopsy pair`.",
        ));
    }
    let after = Scope::ALL.into_iter().filter(|scope| if named.contains(scope) { allow } else { peer.scopes.contains(scope) }).collect();
    let told = client.call(SetPeerScopes { node_id: peer.node_id.clone(), scopes: after }).await?;
    ctx.out.show(&told, |told| {
        ctx.out.say(format_args!("{} `{name}` may here now: {}.", paint(GOOD, "✓"), words(&told.scopes)))?;
        if told.scopes.is_empty() {
            ctx.out.say(paint(FAINT, format!("  To end it for good: `loopsy peers remove {name}`.")))?;
        }
        Ok(())
    })?;
    if allow {
        warn(ctx, &told, named);
    } else if named.contains(&Scope::Status) {
        ctx.out.remark(paint(WARN, format!("Without `status`, `{name}` cannot see whether this machine is up, and takes it for unusable.")));
    }
    DONE
}

/// Scopes that no peer gets unasked, and what they mean.
fn warn(ctx: &Ctx, peer: &PeerInfo, named: &[Scope]) {
    let name = inert(&peer.hostname);
    for scope in named {
        match scope {
            Scope::Approve => {
                ctx.out.warn(paint(WARN, format!("With `approve`, whoever sits at `{name}` answers for you what agents may do on this machine.")))
            }
            Scope::Terminal => {
                ctx.out.warn(paint(WARN, format!("With `terminal`, whoever sits at `{name}` can do here whatever you can; no command policy applies.")))
            }
            _ => {}
        }
    }
}

/// Scopes as people read them.
pub(in crate::cmd) fn words(scopes: &[Scope]) -> String {
    if scopes.is_empty() { "nothing".to_owned() } else { scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ") }
}
