//! Two honest machines: every order of answers, every lost answer.

use super::*;
use crate::lp2::{PROVISIONAL, initiator::Event as I, responder::Effect as R, responder::Event as E};

#[test]
fn honest_machines_pair_and_show_the_same_digits() {
    let mut seen = std::collections::HashSet::new();
    let runs = runs(1_000);
    for seed in 0..runs {
        let (mut initiator, mut responder, at_i, at_r, mut rng) = keyed(seed);
        assert_eq!(at_i.digits(), at_r.digits());
        seen.insert(at_i.digits());
        let first = seed % 2 == 0;
        if first {
            assert!(responder.step(AT, E::Decide(true), &mut rng).is_empty());
        }
        let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
        let mut effects = confirm(&mut responder, &m5, &mut rng);
        let mut kept = Vec::new();
        if !first {
            assert!(matches!(effects[..], [R::Wait]), "{effects:?}");
            assert!(provisioned(&responder.step(AT, E::Decide(true), &mut rng)).map(|pairing| kept.push(pairing.minted.clone())).is_some());
            effects = confirm(&mut responder, &m5, &mut rng);
        } else {
            let pairing = provisioned(&effects).expect("stored before the answer");
            assert!(matches!(effects[..], [R::Provision(_), R::Settle(_)]));
            kept.push(pairing.minted.clone());
            assert_eq!((pairing.peer.hostname.as_str(), pairing.peer.port, pairing.peer.addrs.clone()), ("beta", 19532, vec![from()]));
        }
        let effects = initiator.step(AT, I::Settled(settled(&effects).expect("M6")), &mut rng);
        let pairing = stored(&effects).expect("stored");
        assert_eq!(pairing.peer.api_key, kept[0], "what one minted, the other presents");
        assert_eq!(pairing.peer.scopes, Scope::PEER_DEFAULT);
        assert_eq!(pairing.minted.reveal().len(), 47);
        assert_ne!(pairing.minted, kept[0]);
        assert_eq!(end_i(&effects), Some(PairingEnd::Paired));
        let effects = confirm(&mut responder, &confirms(&effects)[0], &mut rng);
        assert!(matches!(effects[..], [R::Acknowledge, R::Activate, R::Ended(_)]), "{effects:?}");
        assert_eq!(end_r(&effects), Some(PairingEnd::Paired));
    }
    assert!(seen.len() as u64 >= runs - runs / 100 - 3, "digits repeat: {} different of {runs}", seen.len());
}

/// Until M6, with what the initiator would send as M7.
fn both_agreed(seed: u64) -> (Responder, ConfirmPairing, ConfirmPairing, rand::rngs::StdRng) {
    let (mut initiator, mut responder, _, _, mut rng) = keyed(seed);
    responder.step(AT, E::Decide(true), &mut rng);
    let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
    let m6 = settled(&confirm(&mut responder, &m5, &mut rng)).expect("M6");
    let m7 = confirms(&initiator.step(AT, I::Settled(m6), &mut rng)).remove(0);
    (responder, m5, m7, rng)
}

#[test]
fn what_is_sent_again_gets_the_same_answer() {
    let (mut initiator, mut responder, _, _, mut rng) = keyed(1);
    let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
    let again = confirms(&initiator.step(AT, I::Waiting, &mut rng)).remove(0);
    assert_eq!((&m5.sid, &m5.sealed), (&again.sid, &again.sealed));
    assert!(matches!(confirm(&mut responder, &m5, &mut rng)[..], [R::Wait]));
    assert!(matches!(confirm(&mut responder, &m5, &mut rng)[..], [R::Wait]));
    responder.step(AT, E::Decide(true), &mut rng);
    let m6 = settled(&confirm(&mut responder, &m5, &mut rng)).expect("M6");
    assert_eq!(settled(&confirm(&mut responder, &m5, &mut rng)), Some(m6.clone()));
    let m7 = confirms(&initiator.step(AT, I::Settled(m6.clone()), &mut rng)).remove(0);
    assert_eq!(end_r(&confirm(&mut responder, &m7, &mut rng)), Some(PairingEnd::Paired));
    assert!(matches!(confirm(&mut responder, &m7, &mut rng)[..], [R::Acknowledge]));
    assert_eq!(settled(&confirm(&mut responder, &m5, &mut rng)), Some(m6));
    assert!(!responder.finished());
    responder.step(AT + PROVISIONAL, E::Tick, &mut rng);
    assert!(responder.finished() && responder.deadline().is_none());
    assert_eq!(refused(&confirm(&mut responder, &m7, &mut rng)), Some(Refusal::NoSession));
}

#[test]
fn the_first_call_with_the_key_is_as_good_as_m7() {
    let (mut responder, _, m7, mut rng) = both_agreed(2);
    let effects = responder.step(AT, E::KeyUsed, &mut rng);
    assert!(matches!(effects[..], [R::Activate, R::Ended(_)]));
    assert!(responder.step(AT, E::KeyUsed, &mut rng).is_empty(), "once");
    assert!(matches!(confirm(&mut responder, &m7, &mut rng)[..], [R::Acknowledge]));
    assert!(responder.step(AT, E::Cancel, &mut rng).is_empty(), "nothing to cancel any more");
}

#[test]
fn a_provisional_key_goes_after_ten_minutes() {
    let (mut responder, _, m7, mut rng) = both_agreed(3);
    let before = AT + PROVISIONAL - Duration::from_millis(1);
    assert_eq!(responder.deadline(), Some(AT + PROVISIONAL));
    assert!(responder.step(before, E::Tick, &mut rng).is_empty());
    let effects = responder.step(AT + PROVISIONAL, E::confirm(&m7).expect("well-formed"), &mut rng);
    assert!(matches!(effects[..], [R::Withdraw, R::Ended(_), R::Refuse(Refusal::Expired)]), "{effects:?}");
    assert!(responder.step(AT + PROVISIONAL, E::KeyUsed, &mut rng).is_empty());
}

#[test]
fn a_no_at_the_waiting_machine_arrives_sealed() {
    for after_m5 in [false, true] {
        let (mut initiator, mut responder, _, _, mut rng) = keyed(4);
        let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
        if after_m5 {
            confirm(&mut responder, &m5, &mut rng);
        }
        let effects = responder.step(AT, E::Decide(false), &mut rng);
        assert!(matches!(effects[..], [R::Ended(_)]) && end_r(&effects) == Some(PairingEnd::Rejected));
        assert!(responder.step(AT, E::Decide(true), &mut rng).is_empty(), "no way back");
        let forged = ConfirmPairing { sealed: Some("A".repeat(40)), ..m5.clone() };
        assert_eq!(refused(&confirm(&mut responder, &forged, &mut rng)), Some(Refusal::Proof));
        let m6 = settled(&confirm(&mut responder, &m5, &mut rng)).expect("a sealed refusal");
        assert_eq!(settled(&confirm(&mut responder, &m5, &mut rng)), Some(m6.clone()));
        let effects = initiator.step(AT, I::Settled(m6), &mut rng);
        assert!(stored(&effects).is_none() && confirms(&effects).is_empty());
        assert_eq!(end_i(&effects), Some(PairingEnd::Rejected));
        let late = responder.step(AT + crate::lp2::LIFE, E::confirm(&m5).expect("well-formed"), &mut rng);
        assert_eq!((refused(&late), responder.finished()), (Some(Refusal::Rejected), true));
    }
}

#[test]
fn a_no_at_the_machine_that_joins_arrives_sealed() {
    for agreed in [false, true] {
        let (mut initiator, mut responder, _, _, mut rng) = keyed(5);
        if agreed {
            responder.step(AT, E::Decide(true), &mut rng);
        }
        let effects = initiator.step(AT, I::Decide(false), &mut rng);
        assert_eq!(end_i(&effects), Some(PairingEnd::Rejected));
        let no = confirms(&effects).remove(0);
        let effects = confirm(&mut responder, &no, &mut rng);
        assert_eq!((end_r(&effects), refused(&effects)), (Some(PairingEnd::Rejected), Some(Refusal::Rejected)));
        assert!(responder.finished() && provisioned(&responder.step(AT, E::Decide(true), &mut rng)).is_none());
    }
}

#[test]
fn taking_a_yes_back_never_seals_a_second_thing_in_its_place() {
    // Before the other person answered, after, after the key was stored there, and before the yes arrived.
    for stage in 0..4 {
        let (mut initiator, mut responder, _, _, mut rng) = keyed(6);
        let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
        if stage == 1 {
            responder.step(AT, E::Decide(true), &mut rng);
        }
        if stage != 3 {
            confirm(&mut responder, &m5, &mut rng);
        }
        let effects = initiator.step(AT, I::Decide(false), &mut rng);
        let [back] = &confirms(&effects)[..] else { panic!("one message: {effects:?}") };
        assert!(back.sealed != m5.sealed && end_i(&effects) == Some(PairingEnd::Rejected));
        if stage == 2 {
            responder.step(AT, E::Decide(true), &mut rng);
            responder.step(AT, E::KeyUsed, &mut rng);
            assert_eq!(refused(&confirm(&mut responder, back, &mut rng)), Some(Refusal::NoSession), "what is stored on both sides is not taken back");
            continue;
        }
        let effects = confirm(&mut responder, back, &mut rng);
        assert_eq!((refused(&effects), end_r(&effects)), (Some(Refusal::Rejected), Some(PairingEnd::Rejected)), "stage {stage}");
        assert_eq!(effects.iter().any(|effect| matches!(effect, R::Withdraw)), stage == 1);
        assert!(provisioned(&responder.step(AT, E::Decide(true), &mut rng)).is_none());
    }

    let (mut responder, m5, m7, mut rng) = both_agreed(7);
    let effects = responder.step(AT, E::Decide(false), &mut rng);
    assert!(matches!(effects[..], [R::Withdraw, R::Ended(_)]));
    for late in [m5, m7] {
        assert_eq!(refused(&confirm(&mut responder, &late, &mut rng)), Some(Refusal::Rejected));
    }
}

#[test]
fn a_cancel_before_there_is_anything_to_compare() {
    let mut rng = seeded(8);
    let mut responder = responder_of(CODE);
    assert!(responder.step(AT, E::Decide(true), &mut rng).is_empty(), "nothing to agree to");
    let (mut initiator, m1) = initiator_of(CODE, &mut rng);
    assert_eq!(end_r(&responder.step(AT, E::Decide(false), &mut rng)), Some(PairingEnd::Cancelled));
    assert_eq!(refused(&bring(&mut responder, &m1, &mut rng)), Some(Refusal::NoSession));
    let effects = initiator.step(AT, I::Cancel, &mut rng);
    assert!(confirms(&effects).is_empty() && end_i(&effects) == Some(PairingEnd::Cancelled));
    assert!(initiator.step(AT, I::Decide(true), &mut rng).is_empty() && initiator.state().is_none() && initiator.deadline().is_none());
}

#[test]
fn an_offer_the_other_side_would_refuse_ends_it_here() {
    for broken in [Offer { port: 0, ..offer() }, Offer { cert_fingerprint: "AB".repeat(32), ..offer() }] {
        let mut rng = seeded(9);
        let mut responder = Responder::new(code(CODE), alpha(), broken.clone(), AT);
        let (mut initiator, effects) = Initiator::new(&code(CODE), beta(), broken, AT, &mut rng);
        let m2 = replied(&bring(&mut responder, &sent(effects), &mut rng)).expect("M2");
        let m3 = sent(initiator.step(AT, I::Reply(m2), &mut rng));
        let m4 = replied(&bring(&mut responder, &m3, &mut rng)).expect("M4");
        initiator.step(AT, I::Reply(m4), &mut rng);
        let effects = initiator.step(AT, I::Decide(true), &mut rng);
        assert!(confirms(&effects).is_empty() && end_i(&effects) == Some(PairingEnd::Failed));
    }
}

#[test]
fn no_debug_output_holds_a_secret() {
    let clean = |what: &dyn std::fmt::Debug, secrets: &[String]| {
        let text = format!("{what:?}");
        assert!(!text.contains("lpk_") && !text.contains("Scalar") && secrets.iter().all(|secret| !text.contains(secret.as_str())), "{text}");
    };
    let digits = "52, 57, 51, 48, 50, 55".to_owned();
    let (code_text, sid_free) = (CODE.to_owned(), vec![CODE.to_owned(), digits]);
    let mut rng = seeded(10);
    clean(&code(CODE), &sid_free);
    let mut responder = responder_of(CODE);
    clean(&responder, &sid_free);
    let (mut initiator, m1) = initiator_of(CODE, &mut rng);
    clean(&initiator, &sid_free);
    let m2 = replied(&bring(&mut responder, &m1, &mut rng)).expect("M2");
    // The nonce is a secret until M3: its bytes are known from the wire afterwards.
    let (before, before_r) = (format!("{initiator:?}"), format!("{responder:?}"));
    let m3 = sent(initiator.step(AT, I::Reply(m2), &mut rng));
    let effects = bring(&mut responder, &m3, &mut rng);
    let m4 = replied(&effects).expect("M4");
    for (text, nonce) in [(before, &m3.nonce), (before_r, &m4.nonce)] {
        let nonce = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, nonce.as_deref().expect("a nonce")).expect("base64");
        assert!(!text.contains(&format!("{:?}", &nonce[..4]).replace(['[', ']'], "")), "{text}");
    }
    let sas = sas_r(&effects).expect("digits").digits();
    let secrets = [code_text, sas];
    clean(&effects[1], &secrets);
    clean(&responder, &secrets);
    clean(&initiator.step(AT, I::Reply(m4), &mut rng), &secrets);
    clean(&initiator, &secrets);
    responder.step(AT, E::Decide(true), &mut rng);
    let m5 = confirms(&initiator.step(AT, I::Decide(true), &mut rng)).remove(0);
    clean(&initiator, &secrets);
    let effects = confirm(&mut responder, &m5, &mut rng);
    clean(&effects, &secrets);
    clean(&responder, &secrets);
    clean(&initiator.step(AT, I::Settled(settled(&effects).expect("M6")), &mut rng), &secrets);
}
