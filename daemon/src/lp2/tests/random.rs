//! Events in any order: whatever comes, the promises hold.

use p256::Scalar;
use proptest::prelude::*;

use super::*;
use crate::lp2::{
    Role,
    hidden::Hidden,
    initiator::{Effect as IE, Event as I},
    message::{Answer, Counterproof, Hello, Proof, Reply, Sealed, settle},
    offer::mint,
    payload,
    responder::{Effect as RE, Event as E},
    schedule::{Proofs, Public, Seal, Session, commit_i, commit_r},
    spake2::{Share, ephemeral, password},
};

/// What comes next. The number tells which message, of those that the other side could send now.
#[derive(Debug, Clone)]
enum Op {
    Hello { right: bool },
    Proof { kind: u8 },
    Sealed { kind: u8 },
    Legacy { right: bool },
    Decide(bool),
    Cancel,
    KeyUsed,
    Wait(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => prop::bool::weighted(0.8).prop_map(|right| Op::Hello { right }),
        5 => prop_oneof![4 => Just(0u8), 1 => 1u8..5].prop_map(|kind| Op::Proof { kind }),
        6 => prop_oneof![4 => Just(0u8), 3 => Just(1u8), 2 => 2u8..8].prop_map(|kind| Op::Sealed { kind }),
        1 => prop::bool::weighted(0.2).prop_map(|right| Op::Legacy { right }),
        4 => prop::bool::weighted(0.8).prop_map(Op::Decide),
        1 => Just(Op::Cancel),
        1 => Just(Op::KeyUsed),
        3 => prop_oneof![4 => 0u64..20, 1 => 20u64..700].prop_map(Op::Wait),
    ];
    // Half of them begin as honest machines do, or the later states would hardly be reached.
    (prop::bool::ANY, proptest::collection::vec(op, 1..16)).prop_map(|(honest, ops)| {
        let start = honest.then(|| vec![Op::Hello { right: true }, Op::Proof { kind: 0 }]);
        start.into_iter().flatten().chain(ops).collect()
    })
}

/// The other machine, which may say anything.
struct Joiner {
    rng: StdRng,
    ephemeral: Hidden<Scalar>,
    nonce: [u8; 32],
    right: bool,
    open: Option<(Public, Proofs)>,
    session: Option<([u8; 16], Session)>,
    yes: Option<Vec<u8>>,
}

impl Joiner {
    fn hello(&mut self, right: bool) -> Hello {
        self.right = right;
        self.ephemeral = ephemeral(&mut self.rng);
        let share = Share::make(Role::Initiator, &self.password(), &self.ephemeral).expect("a share");
        Hello { peer: beta(), share, commit: commit_i(share.bytes(), &self.nonce) }
    }

    fn password(&self) -> Hidden<Scalar> {
        password(&code(if self.right { CODE } else { "000000" }))
    }

    fn proof(&self, kind: u8) -> Proof {
        let Some((public, proofs)) = &self.open else { return Proof { sid: [kind; 16], nonce: self.nonce, mac: [0; 32] } };
        let right = Proof { sid: public.sid, nonce: self.nonce, mac: proofs.of(Role::Initiator) };
        match kind {
            0 => right,
            1 => Proof { nonce: [0; 32], ..right },
            2 => Proof { mac: [0; 32], ..right },
            3 => Proof { sid: [0; 16], ..right },
            _ => Proof { mac: proofs.of(Role::Responder), ..right },
        }
    }

    fn sealed(&mut self, kind: u8, finish_r: Option<&[u8]>) -> Sealed {
        let Some((sid, session)) = &self.session else { return Sealed { sid: [kind; 16], bytes: vec![kind; 40] } };
        let fresh = |rng: &mut StdRng| {
            let text = payload::confirmation(&beta(), &offer(), &mint(rng)).expect("fits");
            session.seal(Seal::FinishI, &text).expect("sealed")
        };
        let bytes = match kind {
            0 => self.yes.get_or_insert_with(|| fresh(&mut self.rng)).clone(),
            1 => {
                let text = finish_r.and_then(|sealed| session.open(Seal::FinishR, sealed)).map(|text| loopsy_shared::secret::digest(&text));
                session.seal(Seal::Ack, &text.unwrap_or_default()).expect("sealed")
            }
            2 => session.seal(Seal::FinishI, &payload::refusal().expect("short")).expect("sealed"),
            3 => fresh(&mut self.rng),
            4 => finish_r.map_or_else(Vec::new, <[u8]>::to_vec),
            5 => session.seal(Seal::Ack, b"something else").expect("sealed"),
            6 => session.seal(Seal::FinishI, b"{}").expect("sealed"),
            _ => vec![kind; 40],
        };
        Sealed { sid: *sid, bytes }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(u32::try_from(runs(300)).unwrap_or(u32::MAX)))]

    #[test]
    fn a_responder_keeps_its_promises(ops in ops(), seed in any::<u64>()) {
        let mut rng = seeded(seed);
        let mut joiner = Joiner {
            ephemeral: ephemeral(&mut rng), nonce: [9; 32], right: true, open: None, session: None, yes: None, rng: seeded(seed ^ 1),
        };
        let mut responder = responder_of(CODE);
        let (mut at, mut finish_r) = (AT, None::<Vec<u8>>);
        let (mut digits, mut provisions, mut activations, mut withdrawals, mut ends) = (0, 0, 0, 0, Vec::new());
        let (mut agreed, mut remote_yes) = (false, false);
        for op in ops {
            let mut hello = None;
            let mut right_proof = false;
            let is_request = matches!(op, Op::Hello { .. } | Op::Proof { .. } | Op::Sealed { .. } | Op::Legacy { .. });
            let event = match op.clone() {
                Op::Hello { right } => {
                    // One that is answered takes the place of the one before; one that is not leaves it be.
                    let kept = (joiner.right, joiner.ephemeral.clone());
                    let msg = joiner.hello(right);
                    hello = Some((kept, msg.clone()));
                    E::Hello { from: from(), msg }
                }
                Op::Proof { kind } => {
                    right_proof = kind == 0 && joiner.right;
                    E::Proof { from: from(), msg: joiner.proof(kind) }
                }
                Op::Sealed { kind } => {
                    // What opens as a yes, for whoever holds the keys.
                    remote_yes |= joiner.session.is_some() && matches!(kind, 0 | 3) ;
                    E::Sealed(joiner.sealed(kind, finish_r.as_deref()))
                }
                Op::Legacy { right } => E::Legacy { from: from(), code: loopsy_shared::secret::Secret::new(if right { CODE } else { "1" }) },
                Op::Decide(yes) => E::Decide(yes),
                Op::Cancel => E::Cancel,
                Op::KeyUsed => E::KeyUsed,
                Op::Wait(seconds) => {
                    at += Duration::from_secs(seconds);
                    E::Tick
                }
            };
            let was_over = responder.state().is_none();
            let could_agree = digits == 1 && !was_over;
            let effects = responder.step(at, event, &mut rng);
            agreed |= could_agree && matches!(op, Op::Decide(true));

            let answers = effects.iter().filter(|effect| matches!(effect, RE::Reply(_) | RE::Settle(_) | RE::Acknowledge | RE::Wait | RE::Refuse(_))).count();
            prop_assert_eq!(answers, usize::from(is_request), "{:?}: {:?}", op, effects);
            for effect in &effects {
                match effect {
                    RE::ShowSas { sas, .. } => {
                        digits += 1;
                        prop_assert!(right_proof, "digits without the code");
                        let (public, proofs) = joiner.open.as_ref().expect("M2");
                        let nonce = match Reply::try_from(&replied(&effects).expect("M4")) {
                            Ok(Reply::Counterproof(Counterproof { nonce, mac })) if proofs.check(Role::Responder, &mac) => nonce,
                            other => panic!("{other:?}"),
                        };
                        let session = proofs.session(&joiner.nonce, &nonce);
                        prop_assert_eq!(sas.digits(), session.sas.digits());
                        joiner.session = Some((public.sid, session));
                    }
                    RE::Provision(pairing) => {
                        provisions += 1;
                        prop_assert!(agreed && remote_yes && ends.is_empty(), "stored without two answers");
                        prop_assert_eq!(pairing.peer.hostname.as_str(), "beta");
                    }
                    RE::Activate => activations += 1,
                    RE::Withdraw => withdrawals += 1,
                    RE::Settle(body) => {
                        let sealed = crate::lp2::message::settled(body).expect("sealed");
                        prop_assert!(finish_r.is_none() || finish_r.as_ref() == Some(&sealed), "two things under one counter");
                        finish_r = Some(sealed);
                    }
                    RE::Ended(end) => ends.push(end.how),
                    _ => {}
                }
            }
            if let (Some(((right, kept), msg)), answered) = (hello, replied(&effects)) {
                match answered.map(|reply| Reply::try_from(&reply)) {
                    Some(Ok(Reply::Answer(answer))) => {
                        prop_assert!(digits == 0 && !was_over);
                        let public = public(&msg, &answer);
                        joiner.open = Proofs::derive(Role::Initiator, &public, &joiner.password(), &joiner.ephemeral).map(|proofs| (public, proofs));
                    }
                    Some(other) => panic!("{other:?}"),
                    None => (joiner.right, joiner.ephemeral) = (right, kept),
                }
            }
            if was_over {
                let paired = ends.first() == Some(&PairingEnd::Paired);
                let refusals = effects.iter().all(|effect| matches!(effect, RE::Refuse(_)));
                let sealed = effects.iter().all(|effect| matches!(effect, RE::Refuse(_) | RE::Settle(_) | RE::Acknowledge));
                let may_repeat = paired || ends.first() == Some(&PairingEnd::Rejected);
                prop_assert!(refusals || may_repeat && sealed, "after {:?}: {:?}", ends, effects);
            }
            prop_assert_eq!(responder.state().is_none(), ends.len() == 1);
            prop_assert!(ends.len() <= 1 && digits <= 1 && provisions <= 1 && activations + withdrawals <= provisions);
            prop_assert_eq!(activations == 1, ends.first() == Some(&PairingEnd::Paired));
            prop_assert!(responder.wrong_codes() <= 3);
            if provisions == 1 && ends.len() == 1 {
                prop_assert_eq!(activations + withdrawals, 1, "a provisional key is either kept or removed");
            }
        }
        // Time alone brings everything to its end.
        for _ in 0..3 {
            at += crate::lp2::LIFE + crate::lp2::PROVISIONAL;
            responder.step(at, E::Tick, &mut rng);
        }
        prop_assert!(responder.finished());
    }

    #[test]
    fn an_initiator_keeps_its_promises(ops in proptest::collection::vec((0u8..16, 0u64..40), 1..12), honest in 0usize..5, seed in any::<u64>()) {
        let mut rng = seeded(seed);
        let mut other = seeded(seed ^ 1);
        let (mut initiator, m1) = initiator_of(CODE, &mut rng);
        let Ok(crate::lp2::message::Initiate::Hello(hello)) = crate::lp2::message::Initiate::try_from(&m1) else { panic!("M1") };
        let (w, y, nonce) = (password(&code(CODE)), ephemeral(&mut other), [5; 32]);
        let share = Share::make(Role::Responder, &w, &y).expect("a share");
        let sid = [3; 16];
        let answer = Answer { sid, peer: alpha(), share, commit: commit_r(&sid, &hello.commit, share.bytes(), &nonce) };
        let public = public(&hello, &answer);
        let proofs = Proofs::derive(Role::Responder, &public, &w, &y).expect("proofs");
        let mut session: Option<Session> = None;
        let (mut at, mut agreed, mut good_m2, mut over) = (AT, false, false, false);
        let (mut digits, mut stores, mut finish) = (0, 0, None::<ConfirmPairing>);
        let honest_start = [0, 1, 2, 3].into_iter().take(honest).map(|op| (op, 0));
        for (op, seconds) in honest_start.chain(ops) {
            let m4 = Counterproof { nonce, mac: proofs.of(Role::Responder) };
            let yes = payload::confirmation(&alpha(), &offer(), &mint(&mut other)).expect("fits");
            let seal = |seal, text: &[u8]| session.as_ref().map_or_else(|| vec![1; 40], |session| session.seal(seal, text).expect("sealed"));
            let event = match op {
                0 => I::Reply(answer.wire()),
                1 => I::Reply(m4.wire()),
                2 => I::Decide(true),
                3 => I::Settled(settle(&seal(Seal::FinishR, &yes))),
                4 => I::Settled(settle(&seal(Seal::FinishR, &payload::refusal().expect("short")))),
                5 => I::Settled(settle(&seal(Seal::FinishI, &yes))),
                6 => I::Settled(settle(&seal(Seal::FinishR, b"{}"))),
                7 => I::Reply(Counterproof { nonce: [0; 32], ..m4 }.wire()),
                8 => I::Reply(Counterproof { mac: [0; 32], ..m4 }.wire()),
                9 => I::Reply(PairingReply { public_key: m1.public_key.clone(), ..answer.wire() }),
                10 => I::Decide(false),
                11 => I::Cancel,
                12 => I::Lost,
                13 => I::Refused(loopsy_shared::api::Code::PairingBusy),
                14 => I::Waiting,
                _ => {
                    at += Duration::from_secs(seconds * seconds);
                    I::Tick
                }
            };
            let effects = initiator.step(at, event, &mut rng);
            prop_assert!(!over || effects.is_empty(), "after the end: {:?}", effects);
            let mut stored_now = false;
            for effect in &effects {
                match effect {
                    IE::Initiate(m3) => {
                        let Ok(crate::lp2::message::Initiate::Proof(proof)) = crate::lp2::message::Initiate::try_from(&**m3) else { panic!("M3") };
                        prop_assert!(op == 0 && !good_m2 && proofs.check(Role::Initiator, &proof.mac));
                        good_m2 = true;
                        session = Some(proofs.session(&proof.nonce, &nonce));
                    }
                    IE::ShowSas { sas, .. } => {
                        digits += 1;
                        prop_assert!(op == 1 && good_m2);
                        prop_assert_eq!(sas.digits(), session.as_ref().expect("M3").sas.digits());
                    }
                    IE::Store(_) => {
                        stores += 1;
                        stored_now = true;
                        prop_assert!(agreed && op == 3);
                    }
                    IE::Confirm(body) if !stored_now => {
                        let same = finish.as_ref().is_none_or(|before| before.sealed == body.sealed);
                        // A yes that is taken back is said under the counter of M7, once, and is the last word.
                        let taken_back = agreed && !same && !over && effects.len() == 2 && matches!(effects[1], IE::Ended(_));
                        prop_assert!(digits == 1 && (same || taken_back), "two things under one counter");
                        if same {
                            finish = Some(body.clone());
                        }
                    }
                    IE::Confirm(_) => {}
                    IE::Ended(_) => over = true,
                }
            }
            agreed |= op == 2 && digits == 1 && finish.is_some();
            prop_assert!(digits <= 1 && stores <= 1);
            prop_assert_eq!(initiator.state().is_none(), over);
        }
        if honest == 4 {
            prop_assert_eq!(stores, 1);
        }
    }
}

fn public(hello: &Hello, answer: &Answer) -> Public {
    Public {
        sid: answer.sid,
        id_i: hello.peer.wire(Role::Initiator),
        id_r: answer.peer.wire(Role::Responder),
        share_i: hello.share,
        share_r: answer.share,
        commit_i: hello.commit,
        commit_r: answer.commit,
    }
}
