//! What `loopsy pair` shows: sentences for people, or an event per line with `--json`.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
};

use loopsy_daemon::lp2::MOST_WRONG;
use loopsy_shared::{
    api::{
        Scope,
        pairing::{PairingEnd, PairingOutcome, PairingPeer, PairingStarted, PairingStatus},
        peers::ListPeers,
    },
    client::Client,
    config::DEFAULT_PORT,
    secret::Secret,
    text::inert,
    time::{self, Millis},
};
use serde::Serialize;

use crate::{
    cmd::{doctor::is_loopback, peer::words},
    context::Ctx,
    error::Error,
    output::{FAINT, GOOD, Output, STRONG, WARN, paint},
};

/// A line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Event<'a> {
    Invite {
        invite_code: &'a Secret,
        expires_at: Millis,
        addresses: &'a [String],
    },
    WrongCode {
        count: u32,
    },
    Sas {
        sas: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<&'a PairingPeer>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Millis>,
    },
    Outcome {
        #[serde(flatten)]
        outcome: &'a PairingOutcome,
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<&'a PairingPeer>,
    },
}

/// Where everything is shown. Knows whether a line of the terminal is open.
pub(super) struct Screen<'a> {
    out: Output,
    ctx: &'a Ctx,
    own_name: String,
    /// Whether standard error is a terminal that people look at.
    live: bool,
    /// A countdown stands in the last line.
    counting: bool,
    /// A question stands in the last line.
    asking: bool,
}

impl<'a> Screen<'a> {
    pub(super) fn new(ctx: &'a Ctx) -> Result<Self, Error> {
        let live = !ctx.out.json && !ctx.out.quiet && io::stderr().is_terminal();
        Ok(Self { out: ctx.out, ctx, own_name: inert(&ctx.local()?.config.hostname()).into_owned(), live, counting: false, asking: false })
    }

    /// The code, and what to type on the other machine.
    pub(super) fn invite(&mut self, started: &PairingStarted) -> Result<(), Error> {
        let PairingStarted { invite_code, expires_at, addresses } = started;
        if self.out.json {
            return self.out.value_line(&Event::Invite { invite_code, expires_at: *expires_at, addresses });
        }
        self.out.line(format_args!("Invite code: {}\n", paint(STRONG, invite_code.reveal())))?;
        self.out.line("On the other machine run one of:")?;
        for address in addresses {
            self.out.line(format_args!("  {}", paint(STRONG, format!("loopsy pair {}", inert(&place(address))))))?;
        }
        let config = &self.ctx.local()?.config;
        if config.discovery.enabled && !is_loopback(&config.server.host) {
            self.out.line(format_args!("  {}", paint(STRONG, format!("loopsy pair {}", self.own_name))))?;
        }
        if addresses.iter().all(|address| address.parse::<SocketAddr>().is_ok_and(|at| at.ip().is_loopback())) {
            self.out.say(paint(WARN, "Only this machine itself reaches that. For others, set `server.host` to 0.0.0.0 in config.yaml and restart."))?;
        }
        self.out.say(paint(FAINT, "It asks for the code. Ctrl-C cancels."))
    }

    /// How much time is left, in one line that changes in place. Nothing where there is no terminal.
    pub(super) fn countdown(&mut self, expires_at: Millis) {
        if !self.live {
            return;
        }
        let left = expires_at.saturating_sub(time::now()) / 1000;
        self.live_line(format_args!("Waiting, {}:{:02} left", left / 60, left % 60));
        self.counting = true;
    }

    pub(super) fn wrong_code(&mut self, count: u32) -> Result<(), Error> {
        self.clear();
        if self.out.json {
            return self.out.value_line(&Event::WrongCode { count });
        }
        self.out.line(paint(WARN, format!("A wrong code was tried ({count} of {MOST_WRONG}).")))
    }

    /// The digits, and the question.
    pub(super) fn sas(&mut self, status: &PairingStatus) -> Result<(), Error> {
        self.clear();
        let digits = status.sas.as_deref().unwrap_or_default();
        if self.out.json {
            return self.out.value_line(&Event::Sas { sas: digits, peer: status.peer.as_ref(), expires_at: status.expires_at });
        }
        self.out.line(format_args!("\nSAS: {}\n", paint(STRONG, spaced(digits))))?;
        if let Some(peer) = &status.peer {
            let at = peer.address.as_deref().map(|address| format!(" ({})", inert(address))).unwrap_or_default();
            self.out.line(format_args!("This machine: `{}`. The other: `{}`{at}.", self.own_name, inert(&peer.hostname)))?;
        }
        self.ask("Are the digits the same on both screens? [y/N] ");
        Ok(())
    }

    /// Somebody said it to the daemon by another way.
    pub(super) fn answered_elsewhere(&mut self, answer: bool) -> Result<(), Error> {
        self.end_of_question();
        self.out.say(format_args!("The answer was given elsewhere on this machine: {}.", if answer { "yes" } else { "no" }))
    }

    pub(super) fn waits_for_the_other(&mut self) -> Result<(), Error> {
        self.out.say("You said yes. Waiting for the answer on the other machine.")
    }

    /// The end, for programs; people read it elsewhere.
    pub(super) fn outcome(&mut self, outcome: &PairingOutcome, peer: Option<&PairingPeer>) -> Result<(), Error> {
        self.clear();
        if self.out.json { self.out.value_line(&Event::Outcome { outcome, peer: peer.filter(|_| outcome.end != PairingEnd::Failed) }) } else { Ok(()) }
    }

    /// What is possible now, and what the other machine may do here.
    pub(super) async fn paired(&mut self, peer: &PairingPeer, client: &Client) -> Result<(), Error> {
        let name = inert(&peer.hostname);
        let at = peer.address.as_deref().map(|address| format!(" at {}", inert(address))).unwrap_or_default();
        self.out.say(format_args!("{} Paired with {}{at}: encrypted, and both certificates are pinned.", paint(GOOD, "✓"), paint(STRONG, &name)))?;
        if self.out.json || self.out.quiet {
            return Ok(());
        }
        let known = client.call(ListPeers {}).await?.peers;
        let scopes = known.into_iter().find(|known| known.node_id == peer.node_id).map(|known| known.scopes).unwrap_or_default();
        self.out.say(format_args!("  `{name}` may here: {}.", words(&scopes)))?;
        let example = if scopes.contains(&Scope::Execute) { "deny" } else { "allow" };
        self.out.say(paint(FAINT, format!("  Change that with `loopsy peers {example} {name} execute`.")))?;
        self.out.say("\nTry:")?;
        for example in
            [format!("loopsy exec {name} uname -a"), format!("loopsy send {name} ./notes.txt Downloads/"), format!("loopsy context list --peer {name}")]
        {
            self.out.say(format_args!("  {example}"))?;
        }
        Ok(())
    }

    /// A question on standard error, where its answer follows on the same line.
    pub(super) fn ask(&mut self, question: &str) {
        self.clear();
        let mut err = anstream::stderr().lock();
        let _nobody_reads = write!(err, "{question}").and_then(|()| err.flush());
        self.asking = true;
    }

    /// The person's own Enter ended the line of the question.
    pub(super) fn was_answered(&mut self) {
        self.asking = false;
    }

    /// The question is over without an Enter: what comes next begins a line of its own.
    pub(super) fn end_of_question(&mut self) {
        self.clear();
        if std::mem::take(&mut self.asking) {
            let _nobody_reads = writeln!(anstream::stderr().lock());
        }
    }

    /// A remark for people.
    pub(super) fn remark(&mut self, text: impl Display) {
        self.clear();
        self.out.remark(text);
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.counting) {
            self.live_line("");
        }
    }

    fn live_line(&self, text: impl Display) {
        let mut err = io::stderr().lock();
        let _nobody_reads = write!(err, "\r\u{1b}[2K{text}").and_then(|()| err.flush());
    }
}

/// What to type for an address of this machine: without the port where it is the usual one.
fn place(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(at) if at.port() == DEFAULT_PORT => at.ip().to_string(),
        _ => address.to_owned(),
    }
}

/// `536 710`.
pub(in crate::cmd) fn spaced(digits: &str) -> String {
    match (digits.get(..3), digits.get(3..)) {
        (Some(left), Some(right)) if digits.len() == 6 => format!("{} {}", inert(left), inert(right)),
        _ => inert(digits).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_is_left_out() {
        for (address, typed) in
            [("192.168.1.5:19532", "192.168.1.5"), ("192.168.1.5:7", "192.168.1.5:7"), ("[fe80::1]:19532", "fe80::1"), ("[::1]:7", "[::1]:7")]
        {
            assert_eq!(place(address), typed);
        }
        assert_eq!(spaced("536710"), "536 710");
    }

    #[test]
    fn events_have_one_shape() {
        let outcome = PairingOutcome { end: PairingEnd::Burned, code: 7004, message: "Over.".to_owned(), hint: None };
        let text = serde_json::to_string(&Event::Outcome { outcome: &outcome, peer: None }).expect("json");
        assert_eq!(text, r#"{"event":"outcome","end":"burned","code":7004,"message":"Over."}"#);
        let text = serde_json::to_string(&Event::WrongCode { count: 1 }).expect("json");
        assert_eq!(text, r#"{"event":"wrong-code","count":1}"#);
    }
}
