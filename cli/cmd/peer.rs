//! `loopsy peers`: the other machines that this node knows.

mod find;
mod rights;

use std::{io::IsTerminal, time::Duration};

use anstyle::Style;
use loopsy_shared::{
    api::{
        Code,
        peers::{AddPeer, Encryption, ListPeers, PeerInfo, PeerStatus, RemovePeer, RevokePeerKey},
    },
    client::authority,
    text::inert,
    time,
};

use self::find::refusal;
pub(super) use self::{find::find, rights::words};

use super::DONE;
use crate::{
    args::{Peers, parse_address},
    context::Ctx,
    error::Error,
    output::{BAD, FAINT, GOOD, PLAIN, STRONG, Table, WARN, paint, short, span},
};

pub(super) async fn run(ctx: &Ctx, command: Option<Peers>) -> Result<u8, Error> {
    match command {
        None | Some(Peers::List) => list(ctx).await,
        Some(Peers::Add { address, port }) => add(ctx, &address, port).await,
        Some(Peers::Remove { peer, yes }) => remove(ctx, &peer, yes).await,
        Some(Peers::Allow { peer, scopes }) => rights::change(ctx, &peer, &scopes, true).await,
        Some(Peers::Deny { peer, scopes }) => rights::change(ctx, &peer, &scopes, false).await,
    }
}

async fn list(ctx: &Ctx) -> Result<u8, Error> {
    let peers = ctx.client()?.call(ListPeers {}).await?;
    ctx.out.show(&peers, |peers| {
        if peers.peers.is_empty() {
            ctx.out.line("No peers yet.")?;
            return ctx.out.say(paint(FAINT, "Pair with another machine: `loopsy pair`."));
        }
        let mut table = Table::new(&["NAME", "ADDRESS", "NODE", "VERSION", "SEEN", "ENCRYPTION", "STATUS"]);
        let (known, seen_only): (Vec<&PeerInfo>, Vec<&PeerInfo>) = peers.peers.iter().partition(|peer| !peer.candidate);
        for peer in known.iter().chain(&seen_only) {
            let ((how, shade), (word, style)) = (encryption(peer), state(peer));
            let cells = [&peer.hostname, &authority(&peer.address, peer.port), &short_id(peer), &peer.version, &seen(peer), how, &word];
            table.row_with(&cells, &[shade, style]);
        }
        table.print(ctx.out)?;
        if let Some(remark) = unencrypted(&peers.peers) {
            ctx.out.remark(paint(WARN, format!("{remark} Run `loopsy pair` on both machines: it takes the place of the keys that were exchanged by hand.")));
        }
        Ok(())
    })?;
    DONE
}

/// How calls to it travel. A peer without a key is called with nothing secret, but it is asked whether it is there.
fn encryption(peer: &PeerInfo) -> (&'static str, Style) {
    match peer.encryption {
        _ if peer.candidate => ("-", PLAIN),
        Encryption::Pinned => ("pinned", GOOD),
        Encryption::Unpinned => ("not pinned", WARN),
        Encryption::None => ("none", BAD),
    }
}

/// One sentence about peers to which this node sends its key in clear, if there are any.
pub(super) fn unencrypted(peers: &[PeerInfo]) -> Option<String> {
    let names: Vec<String> = peers
        .iter()
        .filter(|peer| !peer.candidate && peer.trusted && peer.encryption == Encryption::None)
        .map(|peer| format!("`{}`", inert(&peer.hostname)))
        .collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("The connection with {one} is not encrypted.")),
        several => Some(format!("The connections with {} are not encrypted.", several.join(", "))),
    }
}

fn short_id(peer: &PeerInfo) -> String {
    if peer.node_id.as_str().starts_with("manual-") { "?".to_owned() } else { peer.node_id.as_str().chars().take(8).collect() }
}

fn seen(peer: &PeerInfo) -> String {
    match peer.last_seen {
        0 => "never".to_owned(),
        at => match time::now().saturating_sub(at) {
            0..5000 => "now".to_owned(),
            _ => format!("{} ago", ago(at)),
        },
    }
}

fn state(peer: &PeerInfo) -> (String, Style) {
    if peer.candidate {
        return (format!("not paired: `loopsy pair {}`", inert(&peer.hostname)), FAINT);
    }
    let (word, style) = match peer.status {
        PeerStatus::Online if peer.trusted => ("online".to_owned(), GOOD),
        PeerStatus::Online => return (format!("online, no key: `loopsy pair {}`", inert(&authority(&peer.address, peer.port))), WARN),
        PeerStatus::Offline => (peer.offline_since.map_or_else(|| "offline".to_owned(), |at| format!("offline for {}", ago(at))), BAD),
        PeerStatus::Unknown => ("unknown".to_owned(), PLAIN),
    };
    match &peer.last_error {
        Some(why) if peer.status == PeerStatus::Online => (format!("{word}, but: {}", short(why, 80)), WARN),
        Some(why) => (format!("{word}: {}", short(why, 80)), style),
        None => (word, style),
    }
}

fn ago(at: time::Millis) -> String {
    span(Duration::from_secs(time::now().saturating_sub(at) / 1000)).replace(".0 s", " s").replace("0 ms", "0 s")
}

async fn add(ctx: &Ctx, address: &str, port: Option<u16>) -> Result<u8, Error> {
    let (address, port) = parse_address(address, port).map_err(Error::usage)?;
    let peer = ctx.client()?.call(AddPeer { address, port, node_id: None, hostname: None }).await?;
    ctx.out.show(&peer, |peer| {
        let (word, style) = state(peer);
        ctx.out.say(format_args!(
            "{} Added {} at {}: {}.",
            paint(GOOD, "✓"),
            paint(STRONG, inert(&peer.hostname)),
            inert(&authority(&peer.address, peer.port)),
            paint(style, inert(&word))
        ))?;
        if peer.trusted { Ok(()) } else { ctx.out.say(paint(FAINT, "  To use it, pair with it: `loopsy pair`.")) }
    })?;
    DONE
}

async fn remove(ctx: &Ctx, wanted: &str, yes: bool) -> Result<u8, Error> {
    let client = ctx.client()?;
    let peers = client.call(ListPeers {}).await?.peers;
    let is_key = ctx.local()?.config.auth.allowed_keys.contains_key(wanted);
    let peer = match find(&peers, wanted) {
        // A key that was made by hand, for somebody who never came.
        Err(_) if is_key => {
            let done = client.call(RevokePeerKey { name: wanted.to_owned() }).await?;
            ctx.out.show(&done, |_| ctx.out.say(format_args!("{} Revoked the key `{}`. No peer had it.", paint(GOOD, "✓"), inert(wanted))))?;
            return DONE;
        }
        found => found?,
    };
    let name = inert(&peer.hostname);
    if peer.candidate {
        let said = format!("`{name}` was only seen on this network: it has no key, so there is nothing to remove.");
        return Err(refusal(Code::PeerNoKey, said, "It is listed for as long as it announces itself."));
    }
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Error::usage(format!("Removing `{name}` needs a yes.")).hint("Pass `--yes`."));
        }
        let question =
            format!("Remove `{name}` ({})? The keys of both directions, its jobs here and its connections end.", inert(&authority(&peer.address, peer.port)));
        if !ctx.out.confirm(&question)? {
            ctx.out.say("Nothing was removed.")?;
            return Ok(crate::error::FAILURE);
        }
    }
    let done = client.call(RemovePeer { node_id: peer.node_id.clone() }).await?;
    ctx.out.show(&done, |_| {
        ctx.out.say(format_args!("{} Removed `{name}`: the keys of both directions, its jobs here and its connections have ended.", paint(GOOD, "✓")))?;
        ctx.out.say(paint(FAINT, "  It stays away, also from the list of machines that are seen here, until you pair again: `loopsy pair`."))
    })?;
    DONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_with_how_it_is_reached_and_a_stranger_with_what_to_do() {
        let peer = |more: serde_json::Value| {
            let mut fields = serde_json::json!({
                "nodeId": "abcd-1", "hostname": "kai", "address": "10.0.0.1", "port": 1, "platform": "linux", "version": "1", "capabilities": [],
                "status": "online", "lastSeen": 0, "failureCount": 0, "trusted": true, "manuallyAdded": true,
            });
            if let (Some(all), serde_json::Value::Object(more)) = (fields.as_object_mut(), more) {
                all.extend(more);
            }
            serde_json::from_value::<PeerInfo>(fields).expect("a peer")
        };
        let (clear, pinned) = (peer(serde_json::json!({})), peer(serde_json::json!({ "encryption": "pinned", "paired": true })));
        let stranger = peer(serde_json::json!({ "candidate": true, "trusted": false, "hostname": "mia\u{1b}" }));
        assert_eq!([&clear, &pinned, &stranger].map(|peer| encryption(peer).0), ["none", "pinned", "-"]);
        assert_eq!(state(&stranger).0, "not paired: `loopsy pair mia\\u{1b}`");
        assert!(unencrypted(&[clear, stranger.clone()]).is_some_and(|said| said == "The connection with `kai` is not encrypted."));
        assert_eq!(unencrypted(&[pinned, stranger]), None);
        let away = peer(serde_json::json!({ "status": "offline", "offlineSince": time::now() - 61_000, "lastError": "It is off." }));
        assert!(state(&away).0.starts_with("offline for 1 min"), "{}", state(&away).0);
    }
}
