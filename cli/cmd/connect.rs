//! `loopsy connect`: two people (or one with two screens) exchange keys by hand.

use std::{
    io::{self, IsTerminal},
    net::{IpAddr, Ipv4Addr},
};

use loopsy_daemon::network::own_addresses;
use loopsy_shared::{
    api::{
        health::GetStatus,
        peers::{ConnectPeer, MintPeerKey, PeerInfo, RevokePeerKey},
    },
    client::authority,
    config::is_name,
    secret::Secret,
    text::inert,
};

use super::DONE;
use crate::{
    args::{Connect, parse_address},
    context::Ctx,
    error::Error,
    output::{FAINT, GOOD, STRONG, WARN, paint},
};

/// Said before anything is exchanged.
const UNSAFE: &str = "This connection will not be encrypted, and the other machine is not known by its certificate: whoever is in the network can read and change everything. \
     `loopsy pair` is the better way; use this one for machines that cannot be paired.";

pub(super) async fn run(ctx: &Ctx, args: Connect) -> Result<u8, Error> {
    let client = ctx.client()?;
    if args.key_stdin && args.address.is_none() {
        return Err(Error::usage("With `--key-stdin` the address must be given.").hint("loopsy connect 192.168.1.50 --key-stdin"));
    }
    if args.mint_only && args.address.is_none() && args.name.is_none() {
        return Err(Error::usage("A key needs a name to be recorded under.").hint("Pass `--name NAME`, or the address of the other machine."));
    }
    if args.mint_only {
        let name = name_for(args.name.as_deref(), args.address.as_deref().map(|text| parse_address(text, None)).transpose().map_err(Error::usage)?.as_ref())?;
        let minted = client.call(MintPeerKey { name }).await?;
        ctx.out.show(&minted, |minted| ctx.out.line(minted.key.reveal()))?;
        return DONE;
    }
    ctx.out.remark(paint(WARN, UNSAFE));
    if !args.key_stdin {
        introduce(ctx).await?;
    }
    let text = match args.address {
        Some(text) => text,
        None => ctx.out.ask("Address of the other machine (empty to stop): ")?,
    };
    if text.is_empty() {
        ctx.out.say("Nothing was changed.")?;
        return DONE;
    }
    let (address, port) = parse_address(&text, None).map_err(Error::usage)?;
    let mut issued = None;
    if !args.no_mint {
        let name = name_for(args.name.as_deref(), Some(&(address.clone(), port)))?;
        if ctx.local()?.config.auth.allowed_keys.contains_key(&name) {
            ctx.out.remark(paint(WARN, format!("There is a key for `{name}` already; a new one replaces it, and the old one stops at once.")));
            if io::stdin().is_terminal() && !args.key_stdin && !ctx.out.confirm("Make a new key? (If not, `--no-mint` leaves it as it is.)")? {
                ctx.out.say("Nothing was changed.")?;
                return DONE;
            }
        }
        let minted = client.call(MintPeerKey { name: name.clone() }).await?;
        issued = Some(name.clone());
        if ctx.out.json {
            ctx.out.value_line(&minted)?;
        } else {
            ctx.out.line(format_args!("\nThis key lets the other machine call this one, as `{name}`. Enter it there, now; it is not shown again:\n"))?;
            ctx.out.line(format_args!("  {}\n", paint(STRONG, minted.key.reveal())))?;
        }
    }
    let Some(key) = their_key(args.key_stdin)? else {
        if ctx.out.json {
            return Err(Error::usage("There was no key of the other machine, so nothing is connected.").hint("Give it as the first line of standard input."));
        }
        ctx.out.say("Stopped. The other machine can call this one with the key above; this one cannot call it yet.")?;
        return DONE;
    };
    let peer = match client.call(ConnectPeer { address, port, key, issued: issued.clone() }).await {
        Ok(peer) => peer,
        Err(error) => {
            // A key for a machine that is not connected is a key for whoever read it.
            if let Some(name) = issued {
                match client.call(RevokePeerKey { name: name.clone() }).await {
                    Ok(_) => ctx.out.remark(format!("The key above was revoked; nothing of `{}` is kept.", inert(&name))),
                    Err(error) => ctx.out.warn(format!("The key above is still valid: {error} Revoke it with `loopsy peers remove {}`.", inert(&name))),
                }
            }
            return Err(error.into());
        }
    };
    if ctx.out.json {
        ctx.out.value_line(&peer)?
    } else {
        done(ctx, &peer)?
    }
    DONE
}

/// Says where the other machine finds this one.
async fn introduce(ctx: &Ctx) -> Result<(), Error> {
    let status = ctx.client()?.call(GetStatus {}).await?;
    let local = ctx.local()?;
    let port = local.runtime.as_ref().map_or(local.config.server.port, |runtime| runtime.port);
    ctx.out.say(format_args!("This machine is {}. The other one reaches it at:", paint(STRONG, inert(&status.hostname))))?;
    for address in own_addresses(local.config.server.host.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))) {
        ctx.out.say(format_args!("  {}", paint(STRONG, authority(&address.to_string(), port))))?;
        if address.is_loopback() {
            ctx.out.say(paint(WARN, "  Only this machine itself reaches that. For others, set `server.host` to 0.0.0.0 in config.yaml and restart."))?;
        }
    }
    ctx.out.say(paint(FAINT, "Run `loopsy connect` on the other machine too: each needs the key that the other one shows.\n"))
}

/// The name under which the other machine's requests are recorded.
fn name_for(given: Option<&str>, address: Option<&(String, u16)>) -> Result<String, Error> {
    let name = match (given, address) {
        (Some(name), _) => name.to_owned(),
        (None, Some((address, _))) => {
            let clean: String = address.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' }).collect();
            format!("peer-{clean}").chars().take(63).collect()
        }
        (None, None) => String::new(),
    };
    if is_name(&name) {
        Ok(name)
    } else {
        Err(Error::usage(format!("`{}` is not a name.", inert(&name))).hint("Use 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit."))
    }
}

/// The key that the other machine shows: never an argument, because arguments are seen by everybody on the machine.
fn their_key(from_stdin: bool) -> Result<Option<Secret>, Error> {
    let text = if from_stdin || !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        if line.trim().is_empty() && from_stdin {
            return Err(Error::usage("There was no key on standard input."));
        }
        line
    } else {
        rpassword::prompt_password("Key that the other machine shows (hidden; empty to stop): ")?
    };
    let text = text.trim();
    Ok((!text.is_empty()).then(|| Secret::new(text)))
}

fn done(ctx: &Ctx, peer: &PeerInfo) -> Result<(), Error> {
    let name = inert(&peer.hostname);
    ctx.out.say(format_args!(
        "{} Connected to {} at {} ({}).",
        paint(GOOD, "✓"),
        paint(STRONG, &name),
        inert(&authority(&peer.address, peer.port)),
        paint(WARN, "not encrypted, not pinned")
    ))?;
    ctx.out.say(paint(
        WARN,
        "Anybody in the network can read and change what travels. Better: `loopsy pair` on both machines, which takes the place of these keys.",
    ))?;
    ctx.out.say("\nTry:")?;
    for example in [format!("loopsy exec {name} uname -a"), format!("loopsy send {name} ./notes.txt Downloads/"), format!("loopsy context list --peer {name}")]
    {
        ctx.out.say(format_args!("  {example}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_without_a_name_is_called_by_its_address() {
        let name = |address: &str| name_for(None, Some(&(address.to_owned(), 1))).expect("a name");
        assert_eq!(name("192.168.1.5"), "peer-192.168.1.5");
        assert_eq!(name("fe80::1"), "peer-fe80--1");
        assert!(name(&"x".repeat(200)).len() <= 63);
        assert!(name_for(Some("a b"), None).is_err());
    }
}
