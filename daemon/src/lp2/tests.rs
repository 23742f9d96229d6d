//! Tests of the protocol: vectors, an independent implementation, honest runs, attacks and random events.

mod attacks;
mod differential;
mod limits;
mod machines;
mod messages;
mod random;
mod vectors;

use std::{convert::Infallible, net::IpAddr, time::Duration};

use loopsy_shared::api::{
    Scope,
    pairing::{ConfirmPairing, InitiatePairing, PairingEnd, PairingReply},
};
use rand::{SeedableRng, TryCryptoRng, TryRng, rngs::StdRng};

use super::{Identity, Initiator, InviteCode, Offer, Pairing, Refusal, Responder, Sas, initiator, responder};

pub(super) const CODE: &str = "493027";
const AT: Duration = Duration::from_secs(1_000);

/// Gives the bytes it was made with, then bytes of a fixed seed.
pub(super) struct Script {
    bytes: std::vec::IntoIter<u8>,
    then: StdRng,
}

impl Script {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into_iter(), then: StdRng::seed_from_u64(7) }
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for byte in to {
            *byte = match self.bytes.next() {
                Some(byte) => byte,
                None => (self.then.try_next_u32()? & 0xff) as u8,
            };
        }
        Ok(())
    }
}

impl TryCryptoRng for Script {}

fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// How many runs a test makes: as written, or `LP2_RUNS`.
fn runs(usual: u64) -> u64 {
    std::env::var("LP2_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn code(text: &str) -> InviteCode {
    InviteCode::parse(text).expect("a code")
}

fn alpha() -> Identity {
    Identity::new("22222222-2222-4222-8222-222222222222", "alpha").expect("valid")
}

fn beta() -> Identity {
    Identity::new("11111111-1111-4111-8111-111111111111", "beta").expect("valid")
}

fn offer() -> Offer {
    Offer { port: 19532, addrs: vec![from()], cert_fingerprint: "ab".repeat(32), scopes: Scope::PEER_DEFAULT.to_vec() }
}

fn from() -> IpAddr {
    IpAddr::from([192, 168, 1, 7])
}

fn responder_of(text: &str) -> Responder {
    Responder::new(code(text), alpha(), offer(), AT)
}

fn initiator_of(text: &str, rng: &mut StdRng) -> (Initiator, InitiatePairing) {
    let (initiator, effects) = Initiator::new(&code(text), beta(), offer(), AT, rng);
    (initiator, sent(effects))
}

/// The message to `initiate` among the effects.
fn sent(effects: Vec<initiator::Effect>) -> InitiatePairing {
    effects.into_iter().find_map(|effect| if let initiator::Effect::Initiate(body) = effect { Some(*body) } else { None }).expect("a message")
}

fn confirms(effects: &[initiator::Effect]) -> Vec<ConfirmPairing> {
    effects.iter().filter_map(|effect| if let initiator::Effect::Confirm(body) = effect { Some(body.clone()) } else { None }).collect()
}

fn sas_i(effects: &[initiator::Effect]) -> Option<Sas> {
    effects.iter().find_map(|effect| if let initiator::Effect::ShowSas { sas, .. } = effect { Some(sas.clone()) } else { None })
}

fn stored(effects: &[initiator::Effect]) -> Option<&Pairing> {
    effects.iter().find_map(|effect| if let initiator::Effect::Store(pairing) = effect { Some(&**pairing) } else { None })
}

fn end_i(effects: &[initiator::Effect]) -> Option<PairingEnd> {
    effects.iter().find_map(|effect| if let initiator::Effect::Ended(end) = effect { Some(end.how) } else { None })
}

fn replied(effects: &[responder::Effect]) -> Option<PairingReply> {
    effects.iter().find_map(|effect| if let responder::Effect::Reply(reply) = effect { Some((**reply).clone()) } else { None })
}

fn sas_r(effects: &[responder::Effect]) -> Option<Sas> {
    effects.iter().find_map(|effect| if let responder::Effect::ShowSas { sas, .. } = effect { Some(sas.clone()) } else { None })
}

fn refused(effects: &[responder::Effect]) -> Option<Refusal> {
    effects.iter().find_map(|effect| if let responder::Effect::Refuse(refusal) = effect { Some(*refusal) } else { None })
}

fn provisioned(effects: &[responder::Effect]) -> Option<&Pairing> {
    effects.iter().find_map(|effect| if let responder::Effect::Provision(pairing) = effect { Some(&**pairing) } else { None })
}

fn end_r(effects: &[responder::Effect]) -> Option<PairingEnd> {
    effects.iter().find_map(|effect| if let responder::Effect::Ended(end) = effect { Some(end.how) } else { None })
}

/// The last message M6 among the effects.
fn settled(effects: &[responder::Effect]) -> Option<loopsy_shared::api::pairing::PairingConfirmed> {
    effects.iter().find_map(|effect| if let responder::Effect::Settle(body) = effect { Some(body.clone()) } else { None })
}

/// Brings a body to a responder.
fn bring(responder: &mut Responder, body: &InitiatePairing, rng: &mut StdRng) -> Vec<responder::Effect> {
    responder.step(AT, responder::Event::initiate(from(), body).expect("well-formed"), rng)
}

fn confirm(responder: &mut Responder, body: &ConfirmPairing, rng: &mut StdRng) -> Vec<responder::Effect> {
    responder.step(AT, responder::Event::confirm(body).expect("well-formed"), rng)
}

/// Brings two to the point where people compare.
fn keyed(seed: u64) -> (Initiator, Responder, Sas, Sas, StdRng) {
    let mut rng = seeded(seed);
    let mut responder = responder_of(CODE);
    let (mut initiator, m1) = initiator_of(CODE, &mut rng);
    let m2 = replied(&bring(&mut responder, &m1, &mut rng)).expect("M2");
    let m3 = sent(initiator.step(AT, initiator::Event::Reply(m2), &mut rng));
    let effects = bring(&mut responder, &m3, &mut rng);
    let at_r = sas_r(&effects).expect("digits at the responder");
    let at_i = sas_i(&initiator.step(AT, initiator::Event::Reply(replied(&effects).expect("M4")), &mut rng)).expect("digits at the initiator");
    (initiator, responder, at_i, at_r, rng)
}
