//! `loopsy peers`: the other machines that this node knows.

use std::{io::IsTerminal, time::Duration};

use loopsy_shared::{
    api::{
        Code,
        peers::{AddPeer, ListPeers, PeerInfo, PeerStatus, RemovePeer},
    },
    client::authority,
    names,
    text::inert,
    time,
};

use super::DONE;
use crate::{
    args::{Peers, parse_address},
    context::Ctx,
    error::Error,
    output::{BAD, FAINT, GOOD, PLAIN, STRONG, Table, WARN, paint, short, span},
};

/// Shortest beginning of a node id that stands for it.
const MIN_PREFIX: usize = 4;

pub(super) async fn run(ctx: &Ctx, command: Option<Peers>) -> Result<u8, Error> {
    match command {
        None | Some(Peers::List) => list(ctx).await,
        Some(Peers::Add { address, port }) => add(ctx, &address, port).await,
        Some(Peers::Remove { peer, yes }) => remove(ctx, &peer, yes).await,
    }
}

async fn list(ctx: &Ctx) -> Result<u8, Error> {
    let peers = ctx.client()?.call(ListPeers {}).await?;
    ctx.out.show(&peers, |peers| {
        if peers.peers.is_empty() {
            ctx.out.line("No peers yet.")?;
            return ctx.out.say(paint(FAINT, "Connect another machine with `loopsy connect`."));
        }
        let mut table = Table::new(&["NAME", "ADDRESS", "NODE", "PLATFORM", "VERSION", "SEEN", "STATUS"]);
        for peer in &peers.peers {
            let (word, style) = state(peer);
            table.row(&[&peer.hostname, &authority(&peer.address, peer.port), &short_id(peer), &peer.platform, &peer.version, &seen(peer), &word], style);
        }
        table.print(ctx.out)
    })?;
    DONE
}

fn short_id(peer: &PeerInfo) -> String {
    if peer.node_id.as_str().starts_with("manual-") { "?".to_owned() } else { peer.node_id.as_str().chars().take(8).collect() }
}

fn seen(peer: &PeerInfo) -> String {
    match peer.last_seen {
        0 => "never".to_owned(),
        at => match time::now().saturating_sub(at) {
            0..5000 => "now".to_owned(),
            ago => format!("{} ago", span(Duration::from_secs(ago / 1000)).replace(".0 s", " s")),
        },
    }
}

fn state(peer: &PeerInfo) -> (String, anstyle::Style) {
    let (word, style) = match peer.status {
        PeerStatus::Online if peer.trusted => ("online", GOOD),
        PeerStatus::Online => return ("online, no key: `loopsy connect`".to_owned(), WARN),
        PeerStatus::Offline => ("offline", BAD),
        PeerStatus::Unknown => ("unknown", PLAIN),
    };
    match &peer.last_error {
        Some(why) if peer.status != PeerStatus::Online => (format!("{word}: {}", short(why, 80)), style),
        _ => (word.to_owned(), style),
    }
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
        if peer.trusted { Ok(()) } else { ctx.out.say(paint(FAINT, "  To use it, exchange keys with `loopsy connect`.")) }
    })?;
    DONE
}

async fn remove(ctx: &Ctx, wanted: &str, yes: bool) -> Result<u8, Error> {
    let client = ctx.client()?;
    let peers = client.call(ListPeers {}).await?.peers;
    let peer = find(&peers, wanted)?;
    let name = inert(&peer.hostname);
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Error::usage(format!("Removing `{name}` needs a yes.")).hint("Pass `--yes`."));
        }
        let question = format!("Remove `{name}` ({}) and the keys of both directions?", inert(&authority(&peer.address, peer.port)));
        if !ctx.out.confirm(&question)? {
            ctx.out.say("Nothing was removed.")?;
            return Ok(crate::error::FAILURE);
        }
    }
    let done = client.call(RemovePeer { node_id: peer.node_id.clone() }).await?;
    ctx.out.show(&done, |_| ctx.out.say(format_args!("{} Removed `{name}`.", paint(GOOD, "✓"))))?;
    DONE
}

/// The one peer with this name, node id, beginning of a node id, or address. Case does not matter.
pub(super) fn find<'a>(peers: &'a [PeerInfo], wanted: &str) -> Result<&'a PeerInfo, Error> {
    let same = |text: &str| text.eq_ignore_ascii_case(wanted);
    let begins = |id: &str| wanted.len() >= MIN_PREFIX && id.get(..wanted.len()).is_some_and(same);
    let tests: [&dyn Fn(&PeerInfo) -> bool; 4] =
        [&|peer| same(peer.node_id.as_str()), &|peer| same(&peer.hostname), &|peer| begins(peer.node_id.as_str()), &|peer| {
            same(&peer.address) || same(&authority(&peer.address, peer.port))
        }];
    for test in tests {
        let found: Vec<&PeerInfo> = peers.iter().filter(|peer| test(peer)).collect();
        match found.as_slice() {
            [] => {}
            [peer] => return Ok(peer),
            several => {
                let ids: Vec<String> = several.iter().map(|peer| format!("`{}`", inert(peer.node_id.as_str()))).collect();
                return Err(refusal(Code::PeerAmbiguous, format!("More than one peer is called `{}`: {}.", inert(wanted), ids.join(", ")), "Use the node id."));
            }
        }
    }
    let near = names::nearest(wanted, peers.iter().map(|peer| peer.hostname.as_str()));
    let near = near.map(|name| format!(" Did you mean `{}`?", inert(name))).unwrap_or_default();
    Err(refusal(Code::PeerNotFound, format!("There is no peer `{}`.{near}", inert(wanted)), "List the peers with `loopsy peers`."))
}

fn refusal(code: Code, message: String, hint: &str) -> Error {
    Error::Client(loopsy_shared::client::ClientError::Api(loopsy_shared::api::ApiError::new(code, message).hint(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: &str, name: &str, address: &str) -> PeerInfo {
        let fields = serde_json::json!({
            "nodeId": id, "hostname": name, "address": address, "port": 1, "platform": "linux", "version": "1", "capabilities": [],
            "status": "unknown", "lastSeen": 0, "failureCount": 0, "trusted": false, "manuallyAdded": true,
        });
        serde_json::from_value(fields).expect("a peer")
    }

    #[test]
    fn a_peer_is_found_by_what_people_call_it() {
        let peers = [peer("abcd-1", "Kai", "10.0.0.1"), peer("abcd-2", "leo", "::1"), peer("ffff-3", "leo", "10.0.0.3")];
        let id = |wanted| find(&peers, wanted).map(|peer| peer.node_id.as_str().to_owned());
        assert_eq!(id("kai").expect("by name"), "abcd-1");
        assert_eq!(id("FFFF").expect("by prefix"), "ffff-3");
        assert_eq!(id("[::1]:1").expect("by address"), "abcd-2");
        let said = |wanted| crate::error::explain(&id(wanted).expect_err("none"));
        assert_eq!(said("leo").code, Code::PeerAmbiguous.number());
        assert_eq!(said("abc").code, Code::PeerNotFound.number());
        assert!(said("kia").message.contains("`Kai`"));
    }
}
