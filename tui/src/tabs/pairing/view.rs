//! How pairing looks: what to do, the code, the digits to compare, who is paired already.

use loopsy_shared::{
    api::{
        Scope as Right,
        pairing::{PairingEnd, PairingState},
        peers::{Encryption, PeerStatus},
    },
    id::NodeId,
    time::Millis,
};
use ratatui::layout::Rect;

use super::{MOST_WRONG, Pairing, big, short_place};
use crate::{
    app::Canvas,
    look::Role,
    widgets::{
        list::{Column, cell, styled},
        pane::Pane,
        text::{clock, fit, put, wrap},
    },
    world::World,
};

/// Peers that are paired, by name.
pub(super) fn paired(world: &World) -> Vec<NodeId> {
    let mut paired: Vec<_> = world.peers.values().filter(|peer| peer.paired).collect();
    paired.sort_by(|a, b| a.hostname.cmp(&b.hostname));
    paired.into_iter().map(|peer| peer.node_id.clone()).collect()
}

/// Lines from the top of a pane down.
struct Lines<'a, 'b> {
    area: Rect,
    row: u16,
    canvas: &'a mut Canvas<'b>,
}

impl Lines<'_, '_> {
    fn say(&mut self, role: Role, text: &str) {
        for line in wrap(text, usize::from(self.area.width.saturating_sub(4))) {
            put(self.canvas.buf, self.area, 2, self.row, &line, self.canvas.look.style(role));
            self.row = self.row.saturating_add(1);
        }
    }

    /// One row, whatever is in it: what somebody else says moves nothing out of view.
    fn line(&mut self, role: Role, text: &str) {
        let text = fit(text, usize::from(self.area.width.saturating_sub(4)));
        put(self.canvas.buf, self.area, 2, self.row, &text, self.canvas.look.style(role));
        self.row = self.row.saturating_add(1);
    }

    fn gap(&mut self) {
        // Where there is little room, every line is needed.
        if self.area.height >= 10 {
            self.row = self.row.saturating_add(1);
        }
    }

    fn digits(&mut self, digits: &str) {
        self.row += big::draw(self.area, self.row, digits, self.canvas);
    }
}

impl Pairing {
    pub(super) fn status_line(&self, world: &World) -> String {
        let peer = self.status.as_ref().and_then(|status| status.peer.as_ref()).map_or("the other machine", |peer| peer.hostname.as_str());
        let until = self.status.as_ref().and_then(|status| status.expires_at).map(|at| format!(" | expires {}", clock(at, at))).unwrap_or_default();
        match self.state() {
            Some(PairingState::Waiting) => format!("pairing: waiting for the other machine{until}"),
            Some(PairingState::KeyExchanged) if self.answered().is_none() => format!("pairing with {}: compare{until}", fit(peer, 24)),
            Some(PairingState::KeyExchanged) => format!("pairing with {peer}: waiting for its answer"),
            None => format!("{} paired", paired(world).len()),
        }
    }

    pub(super) fn draw(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let area = area.intersection(canvas.buf.area);
        if self.state() == Some(PairingState::KeyExchanged) {
            return self.draw_compare(area, canvas);
        }
        let waiting = self.state() == Some(PairingState::Waiting);
        if area.width >= 100 {
            let half = area.width / 2;
            let left = Rect { width: half, ..area };
            let right = Rect { x: area.x + half, width: area.width - half, ..area };
            let top = right.height / 2;
            if waiting {
                self.draw_waiting(left, canvas);
            } else {
                self.draw_idle(left, canvas);
            }
            draw_how(Rect { height: top, ..right }, canvas);
            self.draw_paired(Rect { y: right.y + top, height: right.height - top, ..right }, canvas);
        } else if waiting {
            self.draw_waiting(area, canvas);
        } else {
            let list = if area.height >= 16 { area.height * 2 / 5 } else { 0 };
            self.draw_idle(Rect { height: area.height - list, ..area }, canvas);
            self.draw_paired(Rect { y: area.y + area.height - list, height: list, ..area }, canvas);
        }
    }

    fn draw_idle(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let inside = Pane { title: "Pair with another machine", focused: true, note: "", input: false }.draw(area, canvas);
        let chosen = self.chosen.borrow();
        let mut lines = Lines { area: inside, row: 0, canvas };
        if chosen.joining {
            lines.say(Role::Busy, &format!("Going to `{}` with the code ..", chosen.address));
            lines.gap();
        } else if let Some(why) = &self.failed {
            lines.say(Role::Bad, why);
            lines.gap();
        } else if let Some(outcome) = self.status.as_ref().and_then(|status| status.outcome.as_ref()) {
            let peer = self.status.as_ref().and_then(|status| status.peer.as_ref());
            if outcome.end == PairingEnd::Paired {
                let name = peer.map_or("the other machine", |peer| peer.hostname.as_str());
                lines.say(Role::Good, &format!("Paired with {name}: encrypted, and both certificates are pinned."));
                let rights = peer.and_then(|peer| lines.canvas.world.peers.get(&peer.node_id)).map(|peer| words(&peer.scopes));
                if let Some(rights) = rights {
                    lines.say(Role::Text, &format!("{name} may do here: {rights}. 2, then R, changes that."));
                }
                lines.say(Role::Faint, "4, then n, writes to it. 5, then n, gives a task to an agent there.");
            } else {
                lines.say(if outcome.end == PairingEnd::Cancelled { Role::Faint } else { Role::Bad }, &outcome.message);
                if let Some(hint) = &outcome.hint {
                    lines.say(Role::Text, hint);
                }
            }
            lines.gap();
        }
        if let Some(why) = &self.lost {
            lines.say(Role::Warn, &format!("How far a pairing is cannot be asked: {why} r tries again."));
            lines.gap();
        }
        lines.say(Role::Text, "n  makes a code here, for the other machine");
        lines.say(Role::Text, "e  enters the code that the other machine shows");
        lines.gap();
        let rights = self.rights();
        let rest: Vec<Right> = Right::ALL.into_iter().filter(|right| !rights.contains(right)).collect();
        let whose = if chosen.rights.is_some() { "as you chose" } else { "as by default" };
        lines.say(Role::Text, &format!("The other machine may then do here, {whose}: {}.", words(&rights)));
        let not = if rest.is_empty() { String::new() } else { format!("Not: {}. ", words(&rest)) };
        lines.say(Role::Faint, &format!("{not}R changes it."));
    }

    fn draw_waiting(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let inside = Pane { title: "1. On the other machine", focused: true, note: "", input: false }.draw(area, canvas);
        let now = canvas.now.wall;
        let Some(status) = &self.status else { return };
        let mut lines = Lines { area: inside, row: 0, canvas };
        lines.gap();
        match &self.invite {
            // The code is what the person came for: in a small window it stands first.
            Some(invite) if inside.height < 14 => {
                lines.say(Role::Strong, &format!("invite code: {}", big::spaced(invite.invite_code.reveal())));
                if let Some(address) = invite.addresses.first() {
                    lines.say(Role::Text, &format!("On the other machine: loopsy pair {}", short_place(address)));
                }
            }
            Some(invite) => {
                lines.say(Role::Text, "Run this there, or press 7 and e in its own `loopsy tui`:");
                for address in invite.addresses.iter().take(if inside.height >= 18 { 4 } else { 1 }) {
                    lines.say(Role::Strong, &format!("   loopsy pair {}", short_place(address)));
                }
                let local = |address: &String| address.parse::<std::net::SocketAddr>().is_ok_and(|at| at.ip().is_loopback());
                if invite.addresses.iter().all(local) {
                    let text = "Only this machine itself reaches that. For others, set `server.host` to 0.0.0.0 in the config and restart.";
                    lines.say(Role::Warn, text);
                }
                lines.gap();
                lines.say(Role::Text, "It asks for this invite code:");
                lines.gap();
                let code = invite.invite_code.reveal().to_owned();
                lines.digits(&code);
                lines.gap();
                lines.say(Role::Strong, &format!("invite code: {}", big::spaced(&code)));
            }
            None => lines
                .say(Role::Text, "An invite waits on this machine. Its code is on the screen where it was made, such as that of `loopsy pair`. x cancels it."),
        }
        lines.gap();
        if let Some(at) = status.expires_at {
            lines.say(Role::Text, &format!("good once, until {} ({} left)", clock(at, now), left(at, now)));
        }
        let role = if status.wrong_codes > 0 { Role::Warn } else { Role::Faint };
        lines.say(role, &format!("wrong codes so far: {} of {MOST_WRONG}", status.wrong_codes));
    }

    fn draw_compare(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let asks = self.answered().is_none();
        let inside = Pane { title: "Compare with the other screen", focused: true, note: "", input: asks }.draw(area, canvas);
        let (Some(status), Some(digits)) = (&self.status, &self.compared) else { return self.gate.drawn(false, canvas.now) };
        let now = canvas.now;
        let here = canvas.world.here().to_owned();
        let own_id = canvas.world.node_id.clone();
        let peer = status.peer.as_ref();
        let mut lines = Lines { area: inside, row: 0, canvas };
        lines.gap();
        // Where hardly anything fits, the digits and the keys do.
        let tight = lines.area.height < 7;
        if !tight {
            lines.line(Role::Text, &format!("This machine   {here}"));
        }
        let name = peer.map_or_else(|| "(not named)".to_owned(), |peer| fit(&peer.hostname, usize::from(inside.width / 2)));
        let at = peer.and_then(|peer| peer.address.as_deref()).map(|at| format!("   {at}")).unwrap_or_default();
        lines.line(Role::Text, &format!("Other machine  {name}{at}"));
        lines.gap();
        lines.digits(digits);
        lines.gap();
        // In a small window the big digits are plain ones, and this line is enough.
        lines.say(Role::Strong, &format!("SAS: {}", big::spaced(digits)));
        let whole = lines.row <= inside.height && inside.y + lines.row <= lines.canvas.covered && inside.width >= 16;
        self.gate.drawn(lines.canvas.focused && whole && !self.anew && asks, now);
        if self.words && asks {
            match (own_id, peer) {
                (Some(own), Some(peer)) => {
                    let words = big::words(digits, &own, &peer.node_id).join("  ");
                    lines.say(Role::Strong, &words);
                    lines.say(Role::Faint, "The words stand for the digits and the two machines; press e there too.");
                }
                _ => lines.say(Role::Faint, "There are no words: this machine's id is not known yet."),
            }
        }
        lines.gap();
        match self.answered() {
            Some(true) => lines.say(Role::Good, "You said that they are the same. Waiting for the answer on the other machine; x takes it back."),
            Some(false) => lines.say(Role::Warn, "You said that they differ. Nothing is stored."),
            None if self.gate.is_pending() => lines.say(Role::Busy, ".."),
            None if self.type_code => {
                lines.say(Role::Text, "Type the six digits that the OTHER screen shows. Pastes do not count.");
                let typed: String = self.digits.chars().chain(std::iter::repeat('_')).take(6).collect();
                lines.say(Role::Strong, &format!("{}        x  they differ, or you are not sure", big::spaced(&typed)));
            }
            None => {
                if !tight {
                    lines.say(Role::Text, "Do BOTH screens show the same number?");
                }
                let role = if self.is_armed(now) { Role::Strong } else { Role::Faint };
                let ready = if self.is_armed(now) { "" } else { "   (in a second)" };
                if lines.area.width >= 60 {
                    lines.say(role, &format!("m  yes, the same      x  no, different, or not sure{ready}"));
                } else {
                    lines.say(role, "m  yes, the same");
                    lines.say(role, "x  no, different, or not sure");
                }
            }
        }
        if lines.area.height >= 10
            && let Some(at) = status.expires_at
        {
            lines.gap();
            lines.say(Role::Faint, &format!("until {} ({} left)", clock(at, now.wall), left(at, now.wall)));
        }
    }

    fn draw_paired(&self, area: Rect, canvas: &mut Canvas<'_>) {
        if area.height < 3 {
            return;
        }
        let keys = paired(canvas.world);
        let inside = Pane { title: &format!("Already paired ({})", keys.len()), focused: false, note: "", input: false }.draw(area, canvas);
        if keys.is_empty() {
            put(canvas.buf, inside, 1, 0, "No machine yet.", canvas.look.style(Role::Faint));
            return;
        }
        let world = canvas.world;
        let columns = [Column::new("NAME", 0), Column::new("ADDRESS", 16), Column::new("CALLS", 8), Column::new("STATE", 8)];
        self.list.table(inside, canvas, false, &columns, &keys, |node| {
            let Some(peer) = world.peers.get(node) else { return vec![cell(node.as_str())] };
            let (state, role) = match peer.status {
                PeerStatus::Online => ("online", Role::Good),
                PeerStatus::Offline => ("offline", Role::Bad),
                PeerStatus::Unknown => ("..", Role::Faint),
            };
            let calls = match peer.encryption {
                Encryption::Pinned => styled("pinned", Role::Good),
                Encryption::Unpinned => styled("unpinned", Role::Warn),
                Encryption::None => styled("PLAIN", Role::Bad),
            };
            vec![cell(peer.hostname.clone()), cell(peer.address.clone()), calls, styled(state, role)]
        });
    }
}

/// What comes after the code.
fn draw_how(area: Rect, canvas: &mut Canvas<'_>) {
    let inside = Pane { title: "2. Then compare", focused: false, note: "", input: false }.draw(area, canvas);
    let mut lines = Lines { area: inside, row: 0, canvas };
    lines.gap();
    lines.say(Role::Text, "Both screens will show the same six digits (SAS). You decide whether they are the same: that is what keeps everybody else out.");
    lines.gap();
    lines.say(Role::Faint, "Nothing is stored before both of you said yes.");
}

/// Rights in words.
fn words(rights: &[Right]) -> String {
    if rights.is_empty() {
        return "nothing".to_owned();
    }
    rights.iter().map(|right| right.as_str()).collect::<Vec<_>>().join(", ")
}

/// `4:12`.
fn left(until: Millis, now: Millis) -> String {
    let seconds = until.saturating_sub(now) / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
