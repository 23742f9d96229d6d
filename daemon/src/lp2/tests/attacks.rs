//! A machine in the middle that knows the code and runs a session with each side. It must make two values of six digits equal, and may do no better than chance.

use p256::Scalar;

use super::*;
use crate::lp2::{
    PROOF_WITHIN, Role,
    hidden::Hidden,
    initiator::Event as I,
    message::{Answer, Counterproof, Hello, Initiate, Proof, Reply},
    responder::Event as E,
    schedule::{Proofs, Public, Session, commit_i, commit_r},
    spake2::{Share, ephemeral, password},
};

/// Knows the code and does as it likes.
struct Mallory {
    password: Hidden<Scalar>,
    ephemeral: Hidden<Scalar>,
    as_i: Share,
    as_r: Share,
}

/// Its half of one handshake.
struct Half {
    public: Public,
    proofs: Proofs,
}

impl Mallory {
    fn new(rng: &mut StdRng) -> Self {
        let (password, ephemeral) = (password(&code(CODE)), ephemeral(rng));
        let share = |role| Share::make(role, &password, &ephemeral).expect("a share");
        Self { as_i: share(Role::Initiator), as_r: share(Role::Responder), password, ephemeral }
    }

    /// Takes the place of the responder, committed to a nonce.
    fn answer(&self, m1: &InitiatePairing, sid: [u8; 16], nonce: &[u8; 32]) -> (PairingReply, Half) {
        let Ok(Initiate::Hello(hello)) = Initiate::try_from(m1) else { panic!("M1") };
        let answer = Answer { sid, peer: alpha(), share: self.as_r, commit: commit_r(&sid, &hello.commit, self.as_r.bytes(), nonce) };
        let wire = answer.wire();
        (wire, self.half(Role::Responder, hello, answer))
    }

    /// Takes the place of the initiator, committed to a nonce.
    fn hello(&self, nonce: &[u8; 32]) -> Hello {
        Hello { peer: beta(), share: self.as_i, commit: commit_i(self.as_i.bytes(), nonce) }
    }

    fn half(&self, role: Role, hello: Hello, answer: Answer) -> Half {
        let public = Public {
            sid: answer.sid,
            id_i: hello.peer.wire(Role::Initiator),
            id_r: answer.peer.wire(Role::Responder),
            share_i: hello.share,
            share_r: answer.share,
            commit_i: hello.commit,
            commit_r: answer.commit,
        };
        let proofs = Proofs::derive(role, &public, &self.password, &self.ephemeral).expect("proofs");
        Half { public, proofs }
    }

    /// Runs a whole session with the responder, whose digits are then known.
    fn with_responder(&self, responder: &mut Responder, nonce: [u8; 32], at: Duration, rng: &mut StdRng) -> Sas {
        let hello = self.hello(&nonce);
        let effects = responder.step(at, E::initiate(from(), &hello.wire()).expect("well-formed"), rng);
        let Ok(Reply::Answer(answer)) = Reply::try_from(&replied(&effects).expect("M2")) else { panic!("M2") };
        let half = self.half(Role::Initiator, hello, answer);
        let m3 = Proof { sid: half.public.sid, nonce, mac: half.proofs.of(Role::Initiator) };
        let effects = responder.step(at, E::initiate(from(), &m3.wire()).expect("well-formed"), rng);
        let Ok(Reply::Counterproof(m4)) = Reply::try_from(&replied(&effects).expect("M4")) else { panic!("M4") };
        let shown = sas_r(&effects).expect("digits");
        assert_eq!(half.proofs.session(&nonce, &m4.nonce).sas.digits(), shown.digits(), "it is a full member of this session");
        shown
    }
}

fn nonce(rng: &mut StdRng) -> [u8; 32] {
    *Hidden::random(rng)
}

/// The initiator's nonce of M3.
fn nonce_of(m3: &InitiatePairing) -> [u8; 32] {
    let Ok(Initiate::Proof(proof)) = Initiate::try_from(m3) else { panic!("M3") };
    proof.nonce
}

/// Whether two shown values agree when only so many of the digits count.
fn agree(left: &Sas, right: &Sas, modulus: u32) -> bool {
    let number = |sas: &Sas| sas.digits().parse::<u32>().expect("digits");
    number(left) % modulus == number(right) % modulus
}

/// Counts of binomial chance are within five deviations, but for one in a million seeds; the seeds are fixed.
fn is_chance(hits: u64, runs: u64, one_in: f64) -> bool {
    let (mean, deviation) = (runs as f64 / one_in, (runs as f64 / one_in * (1.0 - 1.0 / one_in)).sqrt());
    (hits as f64 - mean).abs() <= 5.0 * deviation
}

#[test]
fn two_sessions_with_a_known_code_show_different_digits() {
    let mut rng = seeded(1);
    let mallory = Mallory::new(&mut rng);
    let (runs, mut same, mut same_mod_10) = (runs(1_000), 0, 0);
    for run in 0..runs {
        let mut responder = responder_of(CODE);
        let (mut initiator, m1) = initiator_of(CODE, &mut rng);
        let (nonce_m, sid) = (nonce(&mut rng), *Hidden::random(&mut rng));
        let (m2, half) = mallory.answer(&m1, sid, &nonce_m);
        let at_r = if run % 2 == 0 { Some(mallory.with_responder(&mut responder, nonce(&mut rng), AT, &mut rng)) } else { None };
        let m3 = sent(initiator.step(AT, I::Reply(m2), &mut rng));
        let m4 = Counterproof { nonce: nonce_m, mac: half.proofs.of(Role::Responder) };
        let at_i = sas_i(&initiator.step(AT, I::Reply(m4.wire()), &mut rng)).expect("digits");
        assert_eq!(half.proofs.session(&nonce_of(&m3), &nonce_m).sas.digits(), at_i.digits(), "it is a full member of this session");
        let at_r = at_r.unwrap_or_else(|| mallory.with_responder(&mut responder, nonce(&mut rng), AT, &mut rng));
        same += u64::from(agree(&at_i, &at_r, 1_000_000));
        same_mod_10 += u64::from(agree(&at_i, &at_r, 10));
    }
    assert!(same <= 1 + runs / 100_000, "{same} of {runs} were equal");
    assert!(is_chance(same_mod_10, runs, 10.0), "{same_mod_10} of {runs} were equal in the last digit");
}

#[test]
fn leaving_before_m3_and_coming_back_does_not_help() {
    // The digits of the initiator are fixed and known; the responder may be left nine times. Before M3 nothing tells whether this is the time to stay.
    let mut rng = seeded(2);
    let mallory = Mallory::new(&mut rng);
    let (runs, mut hits) = (runs(1_000) / 8, 0);
    for _ in 0..runs {
        let (mut initiator, m1) = initiator_of(CODE, &mut rng);
        let nonce_m = nonce(&mut rng);
        let (m2, half) = mallory.answer(&m1, *Hidden::random(&mut rng), &nonce_m);
        initiator.step(AT, I::Reply(m2), &mut rng);
        let m4 = Counterproof { nonce: nonce_m, mac: half.proofs.of(Role::Responder) };
        let at_i = sas_i(&initiator.step(AT, I::Reply(m4.wire()), &mut rng)).expect("digits");

        let (mut responder, mut at) = (responder_of(CODE), AT);
        let mine = nonce(&mut rng);
        for _ in 0..9 {
            let hello = mallory.hello(&mine);
            let effects = responder.step(at, E::initiate(from(), &hello.wire()).expect("well-formed"), &mut rng);
            let Ok(Reply::Answer(answer)) = Reply::try_from(&replied(&effects).expect("M2")) else { panic!("M2") };
            let half = mallory.half(Role::Initiator, hello, answer);
            // The best it can do: go on when the digits fit for a nonce that it makes up for the other side.
            let imagined = half.proofs.session(&mine, &[0; 32]).sas;
            if agree(&imagined, &at_i, 10) {
                break;
            }
            at += PROOF_WITHIN;
        }
        at += PROOF_WITHIN;
        hits += u64::from(agree(&mallory.with_responder(&mut responder, mine, at, &mut rng), &at_i, 10));
    }
    assert!(is_chance(hits, runs, 10.0), "{hits} of {runs} were equal in the last digit");
}

/// A nonce with which the initiator, should its own be `theirs`, shows digits that end like `wanted`.
fn fitting(half: &Half, theirs: &[u8; 32], wanted: &Sas, rng: &mut StdRng) -> [u8; 32] {
    let fits = |mine: &[u8; 32]| {
        let session: Session = half.proofs.session(theirs, mine);
        agree(&session.sas, wanted, 10)
    };
    (0..10_000).map(|_| nonce(rng)).find(fits).expect("one in ten fits")
}

#[test]
fn choosing_the_nonce_after_the_others_commitment_does_not_help() {
    let mut rng = seeded(3);
    let mallory = Mallory::new(&mut rng);
    let (runs, mut hits) = (runs(1_000) / 8, 0);
    for run in 0..runs * 2 {
        // The responder's digits are fixed and known, and M1 is here, before Mallory commits to anything towards the initiator.
        let at_r = mallory.with_responder(&mut responder_of(CODE), nonce(&mut rng), AT, &mut rng);
        let (mut initiator, m1) = initiator_of(CODE, &mut rng);
        let sid = *Hidden::random(&mut rng);
        let (_, blind) = mallory.answer(&m1, sid, &[0; 32]);
        // All it does not know is the initiator's nonce, so it makes one up.
        let mine = fitting(&blind, &[0; 32], &at_r, &mut rng);
        let (m2, half) = mallory.answer(&m1, sid, &mine);
        let m3 = sent(initiator.step(AT, I::Reply(m2), &mut rng));
        let mac = half.proofs.of(Role::Responder);
        if run % 2 == 0 {
            let at_i = sas_i(&initiator.step(AT, I::Reply(Counterproof { nonce: mine, mac }.wire()), &mut rng)).expect("digits");
            hits += u64::from(agree(&at_i, &at_r, 10));
        } else {
            // Now it knows, and has a nonce that would fit every time, but it is not the one it committed to.
            let late = fitting(&half, &nonce_of(&m3), &at_r, &mut rng);
            let effects = initiator.step(AT, I::Reply(Counterproof { nonce: late, mac }.wire()), &mut rng);
            assert!(sas_i(&effects).is_none() && end_i(&effects) == Some(PairingEnd::Burned), "{effects:?}");
        }
    }
    assert!(is_chance(hits, runs, 10.0), "{hits} of {runs} were equal in the last digit");
}

#[test]
fn the_responder_does_not_take_another_nonce_either() {
    let mut rng = seeded(4);
    let mallory = Mallory::new(&mut rng);
    let mut responder = responder_of(CODE);
    let (committed, other) = (nonce(&mut rng), nonce(&mut rng));
    let hello = mallory.hello(&committed);
    let m2 = replied(&bring(&mut responder, &hello.wire(), &mut rng)).expect("M2");
    let Ok(Reply::Answer(answer)) = Reply::try_from(&m2) else { panic!("M2") };
    let half = mallory.half(Role::Initiator, hello, answer);
    let m3 = Proof { sid: half.public.sid, nonce: other, mac: half.proofs.of(Role::Initiator) };
    let effects = bring(&mut responder, &m3.wire(), &mut rng);
    assert!(sas_r(&effects).is_none() && end_r(&effects) == Some(PairingEnd::Burned));
}

#[test]
fn every_field_of_the_first_two_messages_is_bound() {
    // Whoever changes anything on the way, without the code, gets no digits shown: the proofs do not fit.
    let mut rng = seeded(5);
    let other = |rng: &mut StdRng| initiator_of("111111", rng).1;
    for field in 0..5 {
        let mut responder = responder_of(CODE);
        let (mut initiator, mut m1) = initiator_of(CODE, &mut rng);
        let changed = other(&mut rng);
        match field {
            0 => m1.id = Some("I:11111111-1111-4111-8111-111111111111:gamma".to_owned()),
            1 => m1.public_key = changed.public_key.clone(),
            _ => {}
        }
        let mut m2 = replied(&bring(&mut responder, &m1, &mut rng)).expect("M2");
        match field {
            2 => m2.id = Some("R:22222222-2222-4222-8222-222222222222:gamma".to_owned()),
            3 => m2.public_key = changed.public_key.clone(),
            4 => m2.commit = changed.commit.clone(),
            _ => {}
        }
        let m3 = sent(initiator.step(AT, I::Reply(m2), &mut rng));
        let effects = bring(&mut responder, &m3, &mut rng);
        assert!(replied(&effects).is_none() && sas_r(&effects).is_none(), "field {field}: {effects:?}");
    }
}
