//! What is counted, what is timed and what burns an invite.

use std::net::Ipv6Addr;

use loopsy_shared::{api::Code, secret::Secret};

use super::*;
use crate::lp2::{
    LIFE, MOST_HELLOS, MOST_WRONG, PROOF_WITHIN, Role,
    initiator::Event as I,
    message::{Hello, Proof},
    responder::{Effect as R, Event as E},
    schedule::{Seal, commit_i},
    spake2::{Share, password},
};

/// One attempt with a code; what the responder says to M3.
fn attempt(responder: &mut Responder, typed: &str, rng: &mut StdRng) -> Vec<R> {
    let (mut initiator, m1) = initiator_of(typed, rng);
    let m2 = replied(&bring(responder, &m1, rng)).expect("M2");
    let m3 = sent(initiator.step(AT, I::Reply(m2), rng));
    bring(responder, &m3, rng)
}

#[test]
fn three_wrong_codes_burn_an_invite_and_none_is_accepted() {
    let mut rng = seeded(1);
    for round in 0..20 {
        let mut responder = responder_of(CODE);
        for guess in 1..=MOST_WRONG {
            let effects = attempt(&mut responder, &format!("{:06}", round * 10 + guess), &mut rng);
            assert!(replied(&effects).is_none() && sas_r(&effects).is_none(), "no proof for a guesser to test against");
            assert_eq!(responder.wrong_codes(), guess);
            let burned = guess == MOST_WRONG;
            assert_eq!(refused(&effects), Some(if burned { Refusal::Burned } else { Refusal::Proof }));
            assert_eq!(end_r(&effects), burned.then_some(PairingEnd::Burned));
        }
        let (_, m1) = initiator_of(CODE, &mut rng);
        let effects = bring(&mut responder, &m1, &mut rng);
        assert!(matches!(effects[..], [R::Refuse(Refusal::Burned)]), "the right code is too late");
        assert!(responder.finished());
    }
}

#[test]
fn two_wrong_codes_and_then_the_right_one() {
    let mut rng = seeded(2);
    let mut responder = responder_of(CODE);
    attempt(&mut responder, "000000", &mut rng);
    attempt(&mut responder, "000001", &mut rng);
    assert!(sas_r(&attempt(&mut responder, CODE, &mut rng)).is_some());
}

#[test]
fn the_person_is_told_where_the_guesses_came_from() {
    let mut rng = seeded(3);
    let mut responder = responder_of(CODE);
    let mut words = String::new();
    for last in 1..=3 {
        let (mut initiator, m1) = initiator_of("000000", &mut rng);
        let m2 = replied(&bring(&mut responder, &m1, &mut rng)).expect("M2");
        let m3 = sent(initiator.step(AT, I::Reply(m2), &mut rng));
        let from = if last == 3 { Ipv6Addr::LOCALHOST.into() } else { IpAddr::from([10, 0, 0, 5]) };
        let effects = responder.step(AT, E::initiate(from, &m3).expect("well-formed"), &mut rng);
        words.extend(effects.iter().filter_map(|effect| if let R::Ended(end) = effect { Some(end.words.as_str()) } else { None }));
    }
    assert!(words.contains("3 wrong codes, from 10.0.0.5, ::1"), "{words}");
}

#[test]
fn a_share_that_leads_to_the_identity_is_a_wrong_code_like_any_other() {
    let mut rng = seeded(4);
    let w = password(&code(CODE));
    // w*M, with no share of one's own: right only for somebody who guessed the code.
    let x = p256::Scalar::ONE;
    let share = Share::make(Role::Initiator, &w, &x).expect("a share");
    let plain = Share::make(Role::Initiator, &(*w - *w), &x).expect("G");
    let blind = Share::make(Role::Initiator, &w, &p256::Scalar::ZERO).expect("w*M");
    assert!(blind.bytes() != share.bytes() && plain.bytes() != blind.bytes());
    let mut responder = responder_of(CODE);
    let nonce = [7; 32];
    let hello = Hello { peer: beta(), share: blind, commit: commit_i(blind.bytes(), &nonce) };
    let m2 = replied(&bring(&mut responder, &hello.wire(), &mut rng)).expect("M2, as for any");
    let sid = crate::lp2::message::Reply::try_from(&m2).expect("well-formed");
    let crate::lp2::message::Reply::Answer(answer) = sid else { panic!("M2") };
    let effects = bring(&mut responder, &Proof { sid: answer.sid, nonce, mac: [0; 32] }.wire(), &mut rng);
    assert_eq!((refused(&effects), responder.wrong_codes()), (Some(Refusal::Proof), 1));
}

#[test]
fn one_handshake_at_a_time_and_each_for_fifteen_seconds() {
    let mut rng = seeded(5);
    let mut responder = responder_of(CODE);
    let (mut first, m1) = initiator_of(CODE, &mut rng);
    let (_, other) = initiator_of(CODE, &mut rng);
    let m2 = replied(&bring(&mut responder, &m1, &mut rng)).expect("M2");
    assert_eq!(responder.deadline(), Some(AT + PROOF_WITHIN));
    assert_eq!(refused(&bring(&mut responder, &other, &mut rng)), Some(Refusal::Busy));
    let m3 = sent(first.step(AT, I::Reply(m2), &mut rng));
    let stranger = InitiatePairing { sid: Some("A".repeat(22)), ..m3.clone() };
    assert_eq!(refused(&bring(&mut responder, &stranger, &mut rng)), Some(Refusal::NoSession));
    let late = responder.step(AT + PROOF_WITHIN, E::initiate(from(), &m3).expect("well-formed"), &mut rng);
    assert_eq!(refused(&late), Some(Refusal::NoSession));
    assert_eq!(responder.wrong_codes(), 0);
    let (mut second, m1) = initiator_of(CODE, &mut rng);
    let at = AT + PROOF_WITHIN;
    let m2 = replied(&responder.step(at, E::initiate(from(), &m1).expect("well-formed"), &mut rng)).expect("free again");
    let m3 = sent(second.step(AT, I::Reply(m2), &mut rng));
    let at = at + PROOF_WITHIN - Duration::from_millis(1);
    let effects = responder.step(at, E::initiate(from(), &m3).expect("well-formed"), &mut rng);
    assert!(sas_r(&effects).is_some(), "just in time");
    assert_eq!(refused(&bring(&mut responder, &m1, &mut rng)), Some(Refusal::Busy));
    assert_eq!(refused(&bring(&mut responder, &m3, &mut rng)), Some(Refusal::Busy));
}

#[test]
fn ten_handshakes_and_no_more() {
    let mut rng = seeded(6);
    let mut responder = responder_of(CODE);
    let mut at = AT;
    for attempt in 0..=MOST_HELLOS {
        let (_, m1) = initiator_of(CODE, &mut rng);
        let effects = responder.step(at, E::initiate(from(), &m1).expect("well-formed"), &mut rng);
        assert_eq!(replied(&effects).is_some(), attempt < MOST_HELLOS);
        assert_eq!(end_r(&effects), (attempt == MOST_HELLOS).then_some(PairingEnd::Burned));
        at += PROOF_WITHIN;
    }
}

#[test]
fn five_minutes_and_the_answers_are_within_them() {
    let just_before = AT + LIFE - Duration::from_millis(1);
    let mut rng = seeded(7);
    let mut responder = responder_of(CODE);
    assert!(responder.step(just_before, E::Tick, &mut rng).is_empty());
    let effects = responder.step(AT + LIFE, E::Tick, &mut rng);
    assert_eq!(end_r(&effects), Some(PairingEnd::Expired));
    assert!(responder.finished() && responder.step(AT + LIFE, E::Tick, &mut rng).is_empty(), "said once");
    let (_, m1) = initiator_of(CODE, &mut rng);
    assert_eq!(refused(&bring(&mut responder, &m1, &mut rng)), Some(Refusal::Expired), "the clock does not go back");

    let (mut initiator, mut responder, _, _, mut rng) = keyed(8);
    let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
    confirm(&mut responder, &m5, &mut rng);
    let effects = responder.step(AT + LIFE, E::Decide(true), &mut rng);
    assert!(provisioned(&effects).is_none() && end_r(&effects) == Some(PairingEnd::Expired));
    let effects = initiator.step(AT + LIFE, I::Waiting, &mut rng);
    assert!(confirms(&effects).is_empty() && end_i(&effects) == Some(PairingEnd::Expired));
    let (mut initiator, _, _, _, mut rng) = keyed(9);
    assert!(initiator.step(just_before, I::Tick, &mut rng).is_empty() && initiator.state().is_some());
    assert_eq!(end_i(&initiator.step(AT + LIFE, I::Decide(true), &mut rng)), Some(PairingEnd::Expired));
}

#[test]
fn a_wrong_opening_burns_at_once() {
    let mut rng = seeded(10);
    let mut responder = responder_of(CODE);
    let (mut initiator, m1) = initiator_of(CODE, &mut rng);
    let m2 = replied(&bring(&mut responder, &m1, &mut rng)).expect("M2");
    let m3 = InitiatePairing { nonce: Some("A".repeat(43)), ..sent(initiator.step(AT, I::Reply(m2), &mut rng)) };
    let effects = bring(&mut responder, &m3, &mut rng);
    assert_eq!((refused(&effects), end_r(&effects)), (Some(Refusal::Burned), Some(PairingEnd::Burned)));
}

#[test]
fn a_reflected_share_burns_at_once_on_either_side() {
    let mut rng = seeded(11);
    let mut responder = responder_of(CODE);
    let (mut initiator, m1) = initiator_of(CODE, &mut rng);
    let m2 = replied(&bring(&mut responder, &m1, &mut rng)).expect("M2");
    let reflected = InitiatePairing { public_key: m2.public_key.clone(), ..m1.clone() };
    let effects = responder.step(AT + PROOF_WITHIN, E::initiate(from(), &reflected).expect("well-formed"), &mut rng);
    assert_eq!((refused(&effects), end_r(&effects)), (Some(Refusal::Burned), Some(PairingEnd::Burned)));
    let effects = initiator.step(AT, I::Reply(PairingReply { public_key: m1.public_key, ..m2 }), &mut rng);
    assert_eq!((effects.len(), end_i(&effects)), (1, Some(PairingEnd::Burned)));
}

#[test]
fn the_old_pairing_is_refused_and_its_code_burns_the_invite_when_it_is_right() {
    let mut rng = seeded(12);
    let mut responder = responder_of(CODE);
    let body = |code: &str| InitiatePairing { invite_code: Some(Secret::new(code)), ..InitiatePairing::default() };
    let effects = bring(&mut responder, &body("493028"), &mut rng);
    assert!(matches!(effects[..], [R::Refuse(Refusal::TooOld)]) && responder.state().is_some());
    let effects = bring(&mut responder, &body("493 027"), &mut rng);
    assert!(matches!(effects[..], [R::Refuse(Refusal::TooOld), R::KeyExposed { .. }, R::Ended(_)]), "{effects:?}");
    assert_eq!(end_r(&effects), Some(PairingEnd::Burned));
    assert!(matches!(bring(&mut responder, &body(CODE), &mut rng)[..], [R::Refuse(Refusal::TooOld)]));

    let (_, mut responder, _, _, mut rng) = keyed(13);
    assert!(matches!(bring(&mut responder, &body(CODE), &mut rng)[..], [R::Refuse(Refusal::TooOld)]), "the code is gone");
    assert!(responder.state().is_some());
}

#[test]
fn a_counter_used_twice_burns_and_what_does_not_open_does_nothing() {
    // Two initiators of the same state can only differ by the key they mint: a clone cannot be made, so the session is.
    let (mut initiator, mut responder, _, _, mut rng) = keyed(14);
    let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
    let text = crate::lp2::payload::refusal().expect("a refusal");
    let other = |responder: &Responder, seal| {
        // A refusal in place of M7 has a meaning; a wrong acknowledgement has none.
        let text: &[u8] = if seal == Seal::Ack { b"another text" } else { &text };
        let sealed = responder.session().expect("keyed").seal(seal, text).expect("sealed");
        ConfirmPairing { sealed: Some(base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, sealed)), ..m5.clone() }
    };
    let second = other(&responder, Seal::FinishI);
    for wrong in [other(&responder, Seal::FinishR), other(&responder, Seal::Ack), ConfirmPairing { sid: Some("A".repeat(22)), ..m5.clone() }] {
        assert!(refused(&confirm(&mut responder, &wrong, &mut rng)).is_some() && responder.state().is_some());
    }
    assert!(matches!(confirm(&mut responder, &m5, &mut rng)[..], [R::Wait]));
    let mut forged = m5.clone();
    forged.sealed.as_mut().expect("sealed").insert_str(0, "AAAA");
    assert_eq!(refused(&confirm(&mut responder, &forged, &mut rng)), Some(Refusal::Proof));
    let effects = confirm(&mut responder, &second, &mut rng);
    assert_eq!((refused(&effects), end_r(&effects)), (Some(Refusal::Burned), Some(PairingEnd::Burned)));
    assert_eq!(refused(&confirm(&mut responder, &m5, &mut rng)), Some(Refusal::Burned));

    // After M6: a wrong acknowledgement, or another M5, takes the provisional key with it.
    for seal in [Seal::FinishI, Seal::Ack] {
        let (mut initiator, mut responder, _, _, mut rng) = keyed(15);
        let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
        responder.step(AT, E::Decide(true), &mut rng);
        confirm(&mut responder, &m5, &mut rng);
        let wrong = ConfirmPairing { sid: m5.sid.clone(), ..other(&responder, seal) };
        let effects = confirm(&mut responder, &wrong, &mut rng);
        assert!(matches!(effects[..], [R::Withdraw, R::Refuse(Refusal::Burned), R::Ended(_)]), "{effects:?}");
    }
}

#[test]
fn a_sealed_message_that_is_no_payload_burns() {
    let (_, mut responder, _, _, mut rng) = keyed(16);
    let session = responder.session().expect("keyed");
    let sealed = session.seal(Seal::FinishI, b"{\"v\":2,\"confirmed\":true}").expect("sealed");
    let sid = responder.sid().expect("keyed");
    let effects = responder.step(AT, E::Sealed(crate::lp2::message::Sealed { sid, bytes: sealed }), &mut rng);
    assert_eq!(end_r(&effects), Some(PairingEnd::Burned));
}

#[test]
fn anything_unexpected_ends_an_initiator_without_a_digit() {
    let mut rng = seeded(17);
    let answer = |rng: &mut StdRng| {
        let mut responder = responder_of(CODE);
        let (initiator, m1) = initiator_of(CODE, rng);
        (replied(&bring(&mut responder, &m1, rng)).expect("M2"), initiator, responder)
    };
    let zeros = Some("A".repeat(43));
    for broken in 0..8 {
        let (m2, mut initiator, mut responder) = answer(&mut rng);
        let event = match broken {
            0 => I::Reply(PairingReply { v: Some(3), ..m2 }),
            1 => I::Reply(PairingReply::default()),
            2 => I::Reply(PairingReply { id: Some(alpha().wire(Role::Initiator)), ..m2 }),
            3 => I::Settled(Default::default()),
            4 => I::Refused(Code::PairingProof),
            5 => I::Reply(PairingReply { id: Some(beta().wire(Role::Responder)), ..m2 }),
            _ => {
                let m3 = sent(initiator.step(AT, I::Reply(m2), &mut rng));
                let m4 = replied(&bring(&mut responder, &m3, &mut rng)).expect("M4");
                I::Reply(if broken == 6 { PairingReply { nonce: zeros.clone(), ..m4 } } else { PairingReply { mac: zeros.clone(), ..m4 } })
            }
        };
        let effects = initiator.step(AT, event, &mut rng);
        assert!(effects.len() == 1 && end_i(&effects).is_some(), "{broken}: {effects:?}");
        assert!(initiator.step(AT, I::Decide(true), &mut rng).is_empty());
    }
    // M6 that comes before this machine's person said yes, or is M5 sent back, or says nothing that can be read.
    let (mut initiator, responder, _, _, mut rng) = keyed(18);
    let yes = crate::lp2::payload::confirmation(&alpha(), &offer(), &Secret::new("lpk_0123456789abcdef")).expect("fits");
    let session = responder.session().expect("keyed");
    let m6 = crate::lp2::message::settle(&session.seal(Seal::FinishR, &yes).expect("sealed"));
    let early = initiator.step(AT, I::Settled(m6), &mut rng);
    assert!(stored(&early).is_none() && end_i(&early) == Some(PairingEnd::Failed));
    let (mut initiator, _, _, _, mut rng) = keyed(18);
    let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
    let back = loopsy_shared::api::pairing::PairingConfirmed { sealed: m5.sealed, ..Default::default() };
    let effects = initiator.step(AT, I::Settled(back), &mut rng);
    assert!(stored(&effects).is_none() && end_i(&effects) == Some(PairingEnd::Failed));
}

#[test]
fn every_refusal_has_its_code() {
    let all = [Refusal::NoSession, Refusal::Expired, Refusal::Proof, Refusal::Burned, Refusal::Busy, Refusal::TooOld, Refusal::Rejected, Refusal::Malformed];
    assert_eq!(all.map(|refusal| refusal.code().number()), [7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008]);
}
