//! What a person fills in: the code of another machine, and what that machine may do here.

use std::rc::Rc;

use loopsy_shared::{
    api::{
        Scope as Right,
        pairing::{ConfirmPairing, JoinPairing, PairingState},
    },
    secret::Secret,
};

use super::Pairing;
use crate::{
    app::Cx,
    overlays::{
        confirm::Confirm,
        form::{Form, Row},
        rights::Rights,
    },
};

impl Pairing {
    pub(super) fn join(&self, cx: &mut Cx<'_>) {
        let near: Vec<String> = cx.world.peers.values().filter(|peer| !peer.paired).map(|peer| peer.hostname.clone()).take(6).collect();
        let hint = if near.is_empty() { "a name or an address, such as 192.168.1.20".to_owned() } else { format!("found nearby: {}", near.join(", ")) };
        let known = self.chosen.borrow().address.clone();
        let address = if known.is_empty() && near.len() == 1 { near.concat() } else { known };
        let chosen = Rc::clone(&self.chosen);
        let rows = vec![Row::line("Address", hint).with(&address), Row::line("Invite code", "")];
        let form = Form::new(cx, "Enter the code that another machine shows", rows, move |values, cx| {
            let typed = values.first().copied().unwrap_or_default();
            let (address, port) = place(typed)?;
            let code: String = values.get(1).copied().unwrap_or_default().chars().filter(|c| !matches!(c, ' ' | '-')).collect();
            if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("An invite code has six digits. The other machine shows it: `loopsy pair`, or 7 and n in its control centre.".to_owned());
            }
            let mut chosen = chosen.borrow_mut();
            (chosen.address, chosen.joining) = (typed.trim().to_owned(), true);
            cx.call(None, JoinPairing { address, port, invite_code: Secret::new(code), scopes: chosen.rights.clone() });
            Ok(())
        });
        cx.open(form);
    }

    pub(super) fn cancel(&self, cx: &mut Cx<'_>) {
        let (title, effect) = match self.state() {
            Some(PairingState::KeyExchanged) => ("Cancel the pairing?", "Nothing is stored, and the other machine is told."),
            _ => ("Cancel the invite?", "The code is good for nothing then. n makes another one."),
        };
        let confirm = Confirm::letter(cx, 'X', title, effect, |cx| {
            cx.call(None, ConfirmPairing { confirmed: Some(false), ..ConfirmPairing::default() });
        });
        cx.open(confirm);
    }

    /// What the other machine will be able to do here.
    pub(super) fn choose_rights(&self, cx: &mut Cx<'_>) {
        let chosen = Rc::clone(&self.chosen);
        let rights = Rights::new(cx, "What the other machine may do here", "the other machine", &self.rights(), move |rights, _| {
            chosen.borrow_mut().rights = Some(rights);
        });
        cx.open(rights.at_least_one());
    }

    pub(super) fn rights(&self) -> Vec<Right> {
        self.chosen.borrow().rights.clone().unwrap_or_else(|| Right::PEER_DEFAULT.to_vec())
    }
}

/// An address with a port, or without: `kai`, `192.168.1.5:7`, `[::1]:7`, `::1`.
fn place(text: &str) -> Result<(String, Option<u16>), String> {
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("The address is a name or an IP address, without blanks. `loopsy pair` on the other machine shows it.".to_owned());
    }
    let split = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((address, port)) if !address.contains(':') => (address, Some(port)),
            _ => (text, None),
        },
    };
    match split {
        (address, None) => Ok((address.to_owned(), None)),
        (address, Some(port)) => match port.parse::<u16>() {
            Ok(port) if port > 0 && !address.is_empty() => Ok((address.to_owned(), Some(port))),
            _ => Err(format!("`{port}` is no port: a number from 1 to 65535.")),
        },
    }
}
