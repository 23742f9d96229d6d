//! Published vectors, and those of the protocol's independent reference.

use loopsy_shared::secret::{digest, hex};
use p256::{Scalar, elliptic_curve::ff::PrimeField};
use serde_json::Value;

use super::*;
use crate::lp2::{
    Role,
    hidden::Hidden,
    schedule::{Proofs, Public, Seal, commit_i, commit_r},
    spake2::{Keys, Share, confirmation, is_confirmed, password, transcript},
};

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("hex")).collect()
}

fn scalar(text: &str) -> Hidden<Scalar> {
    let bytes: [u8; 32] = bytes(text).try_into().expect("32 bytes");
    Hidden::new(Option::from(Scalar::from_repr(bytes.into())).expect("below the order"))
}

struct Vectors(Value);

impl Vectors {
    fn load() -> Self {
        Self(serde_json::from_str(include_str!("../vectors.json")).expect("JSON"))
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name}"))
    }

    fn bytes<const N: usize>(&self, name: &str) -> [u8; N] {
        bytes(self.text(name)).try_into().expect("the length")
    }
}

#[test]
fn the_four_vectors_of_rfc_9382() {
    #[rustfmt::skip]
    let vectors = [
        ("server", "client", "2ee57912099d31560b3a44b1184b9b4866e904c49d12ac5042c97dca461b1a5f", "43dd0fd7215bdcb482879fca3220c6a968e66d70b1356cac18bb26c84a78d729", "dcb60106f276b02606d8ef0a328c02e4b629f84f89786af5befb0bc75b6e66be", "58ad4aa88e0b60d5061eb6b5dd93e80d9c4f00d127c65b3b35b1b5281fee38f0", "d3e2e547f1ae04f2dbdbf0fc4b79f8ecff2dff314b5d32fe9fcef2fb26dc459b"),
        ("", "client", "0548d8729f730589e579b0475a582c1608138ddf7054b73b5381c7e883e2efae", "403abbe3b1b4b9ba17e3032849759d723939a27a27b9d921c500edde18ed654b", "903023b6598908936ea7c929bd761af6039577a9c3f9581064187c3049d87065", "47d29e6666af1b7dd450d571233085d7a9866e4d49d2645e2df975489521232b", "3313c5cefc361d27fb16847a91c2a73b766ffa90a4839122a9b70a2f6bd1d6df"),
        ("server", "", "626e0cdc7b14c9db3e52a0b1b3a768c98e37852d5db30febe0497b14eae8c254", "07adb3db6bc623d3399726bfdbfd3d15a58ea776ab8a308b00392621291f9633", "b6a4fc8dbb629d4ba51d6f91ed1532cf87adec98f25dd153a75accafafedec16", "bc9f9bbe99f26d0b2260e6456e05a86196a3307ec6663a18bf6ac825736533b2", "c2370e1bf813b086dff0d834e74425a06e6390f48f5411900276dcccc5a297ec"),
        ("", "", "7bf46c454b4c1b25799527d896508afd5fc62ef4ec59db1efb49113063d70cca", "8cef65df64bb2d0f83540c53632de911b5b24b3eab6cc74a97609fd659e95473", "d7a66f64074a84652d8d623a92e20c9675c61cb5b4f6a0063e4648a2fdc02d53", "dfb4db8d48ae5a675963ea5e6c19d98d4ea028d8e898dad96ea19a80ade95dca", "d0f0609d1613138d354f7e95f19fb556bf52d751947241e8c7118df5ef0ae175"),
    ];
    for (a, b, w, x, y, mac_a, mac_b) in vectors {
        let (w, x, y) = (scalar(w), scalar(x), scalar(y));
        let share_a = Share::make(Role::Initiator, &w, &x).expect("a share");
        let share_b = Share::make(Role::Responder, &w, &y).expect("a share");
        let key = share_b.key(Role::Initiator, &w, &x).expect("a key");
        assert_eq!(*key, *share_a.key(Role::Responder, &w, &y).expect("a key"));
        let text = transcript([a.as_bytes(), b.as_bytes()], [share_a.bytes(), share_b.bytes()], &key, &w);
        let keys = Keys::derive(&text, b"");
        assert_eq!(hex(&confirmation(&keys.confirm_i, &text)), mac_a);
        assert_eq!(hex(&confirmation(&keys.confirm_r, &text)), mac_b);
    }
}

#[test]
fn every_value_of_the_reference() {
    let v = Vectors::load();
    let w = password(&code(v.text("code")));
    assert_eq!(hex(&w.to_bytes()), v.text("w"));
    let (x, y, nonce_i, nonce_r, sid) = (scalar(v.text("x")), scalar(v.text("y")), v.bytes("nI"), v.bytes("nR"), v.bytes("sid"));
    let share_i = Share::make(Role::Initiator, &w, &x).expect("a share");
    let share_r = Share::make(Role::Responder, &w, &y).expect("a share");
    assert_eq!((hex(share_i.bytes()).as_str(), hex(share_r.bytes()).as_str()), (v.text("pI"), v.text("pR")));
    let key = share_r.key(Role::Initiator, &w, &x).expect("a key");
    assert_eq!(hex(&*key), v.text("K"));
    let commit_i = commit_i(share_i.bytes(), &nonce_i);
    let commit_r = commit_r(&sid, &commit_i, share_r.bytes(), &nonce_r);
    assert_eq!((hex(&commit_i).as_str(), hex(&commit_r).as_str()), (v.text("cmI"), v.text("cmR")));

    let (id_i, id_r) = (beta().wire(Role::Initiator), alpha().wire(Role::Responder));
    assert_eq!((id_i.as_str(), id_r.as_str()), (v.text("idI"), v.text("idR")));
    let text = transcript([id_i.as_bytes(), id_r.as_bytes()], [share_i.bytes(), share_r.bytes()], &key, &w);
    let hash = digest(&text);
    assert_eq!(hex(&hash), v.text("TThash"));
    assert_eq!((hex(&hash[..16]).as_str(), hex(&hash[16..]).as_str()), (v.text("Ke"), v.text("Ka")));
    let public = Public { sid, id_i, id_r, share_i, share_r, commit_i, commit_r };
    assert_eq!(hex(&digest(&public.ctx0())), v.text("ctx0hash"));
    let keys = Keys::derive(&text, &digest(&public.ctx0()));
    assert_eq!(hex(&*keys.session), v.text("Ke"));
    assert_eq!((hex(&*keys.confirm_i).as_str(), hex(&*keys.confirm_r).as_str()), (v.text("KcI"), v.text("KcR")));

    for (role, ephemeral) in [(Role::Initiator, &x), (Role::Responder, &y)] {
        let proofs = Proofs::derive(role, &public, &w, ephemeral).expect("proofs");
        assert_eq!((hex(&proofs.of(Role::Initiator)).as_str(), hex(&proofs.of(Role::Responder)).as_str()), (v.text("cI"), v.text("cR")));
        let session = proofs.session(&nonce_i, &nonce_r);
        assert_eq!(hex(&session.context), v.text("ctxhash"));
        assert_eq!((hex(&*session.key_i2r).as_str(), hex(&*session.key_r2i).as_str()), (v.text("kI2R"), v.text("kR2I")));
        assert_eq!((session.sas.digits().as_str(), session.sas.spaced().as_str()), ("536710", "536 710"));
        let sealed = session.seal(Seal::FinishI, v.text("plaintext_i2r").as_bytes()).expect("sealed");
        assert_eq!(hex(&sealed), v.text("sealed_i2r_ctr0"));
        assert_eq!(session.open(Seal::FinishI, &sealed).expect("opens").as_slice(), v.text("plaintext_i2r").as_bytes());
    }
}

#[test]
fn the_machines_say_the_same_bytes_as_the_reference() {
    let v = Vectors::load();
    // A scalar is drawn as 64 bytes; with 32 zeros before it, it is the scalar of the vector.
    let mut rng_i = Script::new([vec![0; 32], bytes(v.text("x")), bytes(v.text("nI"))].concat());
    let mut rng_r = Script::new([bytes(v.text("sid")), vec![0; 32], bytes(v.text("y")), bytes(v.text("nR"))].concat());
    let mut responder = responder_of(v.text("code"));
    let (mut initiator, effects) = Initiator::new(&code(v.text("code")), beta(), offer(), AT, &mut rng_i);
    let step = |responder: &mut Responder, body: &InitiatePairing, rng: &mut Script| {
        responder.step(AT, responder::Event::initiate(from(), body).expect("well-formed"), rng)
    };
    let b64 = |name: &str| base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, bytes(v.text(name)));
    let m1 = sent(effects);
    assert_eq!((m1.public_key.clone(), m1.commit.clone()), (Some(b64("pI")), Some(b64("cmI"))));
    let m2 = replied(&step(&mut responder, &m1, &mut rng_r)).expect("M2");
    assert_eq!((m2.sid.clone(), m2.public_key.clone(), m2.commit.clone()), (Some(b64("sid")), Some(b64("pR")), Some(b64("cmR"))));
    let m3 = sent(initiator.step(AT, initiator::Event::Reply(m2), &mut rng_i));
    assert_eq!((m3.nonce.clone(), m3.mac.clone()), (Some(b64("nI")), Some(b64("cI"))));
    let effects = step(&mut responder, &m3, &mut rng_r);
    let m4 = replied(&effects).expect("M4");
    assert_eq!((m4.nonce.clone(), m4.mac.clone()), (Some(b64("nR")), Some(b64("cR"))));
    assert_eq!(sas_r(&effects).expect("digits").digits(), "536710");
    let effects = initiator.step(AT, initiator::Event::Reply(m4), &mut rng_i);
    assert_eq!(sas_i(&effects).expect("digits").digits(), "536710");
}

#[test]
fn a_wrong_code_gives_the_wrong_proof_of_the_reference() {
    let v = Vectors::load();
    let typed = v.0["neg_wrong_code"]["I_types"].as_str().expect("a code");
    let (wrong, right) = (password(&code(typed)), password(&code(v.text("code"))));
    let (x, y, sid) = (scalar(v.text("x")), scalar(v.text("y")), v.bytes("sid"));
    let share_i = Share::make(Role::Initiator, &wrong, &x).expect("a share");
    let share_r = Share::make(Role::Responder, &right, &y).expect("a share");
    let commit_i = commit_i(share_i.bytes(), &v.bytes("nI"));
    let commit_r = commit_r(&sid, &commit_i, share_r.bytes(), &v.bytes("nR"));
    let public = Public { sid, id_i: v.text("idI").to_owned(), id_r: v.text("idR").to_owned(), share_i, share_r, commit_i, commit_r };
    let at_i = Proofs::derive(Role::Initiator, &public, &wrong, &x).expect("proofs");
    let at_r = Proofs::derive(Role::Responder, &public, &right, &y).expect("proofs");
    assert_eq!(hex(&at_i.of(Role::Initiator)), v.0["neg_wrong_code"]["cI_sent"]);
    assert_eq!(hex(&at_r.of(Role::Initiator)), v.0["neg_wrong_code"]["cI_expected_by_R"]);
    assert!(!at_r.check(Role::Initiator, &at_i.of(Role::Initiator)) && at_r.check(Role::Initiator, &at_r.of(Role::Initiator)));
    assert!(!is_confirmed(&[0; 16], b"", &[0; 32]));
}

#[test]
fn seals_do_not_open_the_other_way_nor_after_a_change() {
    let v = Vectors::load();
    let (w, x) = (scalar(v.text("w")), scalar(v.text("x")));
    let share = |name: &str| Share::decode(&v.bytes(name)).expect("a share");
    let public = Public {
        sid: v.bytes("sid"),
        id_i: v.text("idI").to_owned(),
        id_r: v.text("idR").to_owned(),
        share_i: share("pI"),
        share_r: share("pR"),
        commit_i: v.bytes("cmI"),
        commit_r: v.bytes("cmR"),
    };
    let proofs = Proofs::derive(Role::Initiator, &public, &w, &x).expect("proofs");
    let session = proofs.session(&v.bytes("nI"), &v.bytes("nR"));
    let seals = [Seal::FinishI, Seal::FinishR, Seal::Ack];
    for seal in seals {
        let sealed = session.seal(seal, b"text").expect("sealed");
        for other in seals {
            assert_eq!(session.open(other, &sealed).is_some(), other == seal, "{seal:?} as {other:?}");
        }
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(session.open(seal, &changed).is_none(), "bit {bit}");
        }
        assert!((0..sealed.len()).all(|length| session.open(seal, &sealed[..length]).is_none()));
    }
    let other = proofs.session(&v.bytes("nR"), &v.bytes("nI"));
    assert!(other.open(Seal::FinishI, &session.seal(Seal::FinishI, b"text").expect("sealed")).is_none(), "bound to the nonces");
}
