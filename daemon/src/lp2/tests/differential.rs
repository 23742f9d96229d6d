//! The same inputs through an independent SPAKE2.

use p256::Scalar;
use pakery_crypto::Spake2P256;
use pakery_spake2::{PartyA, PartyB};
use rand::Rng;

use super::*;
use crate::lp2::{
    Role,
    spake2::{Keys, Share, confirmation, ephemeral, transcript},
};

#[test]
fn an_independent_implementation_comes_to_the_same_keys() {
    let mut rng = seeded(1);
    for run in 0..runs(300) {
        let (w, x, y) = (ephemeral(&mut rng), ephemeral(&mut rng), ephemeral(&mut rng));
        let (mut ids, mut context) = ([[0; 9]; 2], [0; 32]);
        ids.iter_mut().for_each(|id| rng.fill_bytes(id));
        rng.fill_bytes(&mut context);
        let length = (rng.next_u32() % 10) as usize;
        let [a, b] = [&ids[0][..length], &ids[1][..9 - length]];

        let (share_a, party_a) = PartyA::<Spake2P256>::start_with_scalar(&w, &x, a, b, &context).expect("started");
        let (share_b, party_b) = PartyB::<Spake2P256>::start_with_scalar(&w, &y, a, b, &context).expect("started");
        let ours_a = Share::make(Role::Initiator, &w, &x).expect("a share");
        let ours_b = Share::make(Role::Responder, &w, &y).expect("a share");
        assert_eq!((ours_a.bytes().as_slice(), ours_b.bytes().as_slice()), (share_a.as_slice(), share_b.as_slice()), "run {run}");
        let (out_a, out_b) = (party_a.finish(&share_b).expect("finished"), party_b.finish(&share_a).expect("finished"));

        let decoded = Share::decode(&share_a.try_into().expect("65 bytes")).expect("on the curve");
        assert_eq!(decoded, ours_a);
        // Each of ours against the other's, so that both directions are compared.
        for (role, other, scalar) in [(Role::Initiator, &ours_b, &x), (Role::Responder, &decoded, &y)] {
            let key = other.key(role, &w, scalar).expect("a key");
            let text = transcript([a, b], [ours_a.bytes(), ours_b.bytes()], &key, &w);
            let keys = Keys::derive(&text, &context);
            assert_eq!(out_a.session_key.as_bytes(), keys.session.as_slice());
            assert_eq!(out_a.confirmation_mac, confirmation(&keys.confirm_i, &text));
            assert_eq!(out_b.confirmation_mac, confirmation(&keys.confirm_r, &text));
        }
    }
}

#[test]
fn a_password_of_zero_or_one_is_no_special_case() {
    let mut rng = seeded(2);
    for w in [Scalar::ZERO, Scalar::ONE, -Scalar::ONE] {
        let (x, y) = (ephemeral(&mut rng), ephemeral(&mut rng));
        let a = Share::make(Role::Initiator, &w, &x).expect("a share");
        let b = Share::make(Role::Responder, &w, &y).expect("a share");
        let (at_a, at_b) = (b.key(Role::Initiator, &w, &x).expect("a key"), a.key(Role::Responder, &w, &y).expect("a key"));
        assert_eq!(*at_a, *at_b);
    }
}
