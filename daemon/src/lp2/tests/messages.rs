//! What is decoded, and everything that is not.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use loopsy_shared::secret::Secret;
use proptest::prelude::*;

use super::*;
use crate::lp2::{
    MOST_SEALED, Role, message,
    payload::{self, Verdict},
    spake2::Share,
};

fn m1() -> InitiatePairing {
    initiator_of(CODE, &mut seeded(1)).1
}

fn with_share(bytes: &[u8]) -> bool {
    responder::Event::initiate(from(), &InitiatePairing { public_key: Some(B64.encode(bytes)), ..m1() }).is_ok()
}

fn is_ok(body: &InitiatePairing) -> bool {
    responder::Event::initiate(from(), body).is_ok()
}

#[test]
fn a_share_has_one_encoding_and_is_on_the_curve() {
    let good = B64.decode(m1().public_key.expect("a share")).expect("base64");
    assert!(with_share(&good));
    let mut off_curve = good.clone();
    off_curve[64] ^= 1;
    let mut compressed = good[..33].to_vec();
    compressed[0] = 2 + (good[64] & 1);
    let mut padded = compressed.clone();
    padded.resize(65, 0);
    let mut hybrid = good.clone();
    hybrid[0] = 6 + (good[64] & 1);
    let mut compact = good.clone();
    compact[0] = 5;
    // x = p + 5, the same as 5 for whoever reduces: 5 is on the curve, with the y below.
    let p: [u8; 32] = core::array::from_fn(|at| match at {
        0..4 | 20..32 => 0xff,
        7 => 1,
        _ => 0,
    });
    let five = (0u8..=255).find_map(|x| {
        let mut bytes = [0; 33];
        (bytes[0], bytes[32]) = (2, x);
        let point: Option<p256::AffinePoint> = p256::elliptic_curve::sec1::FromSec1Point::from_sec1_bytes(&bytes).ok();
        point.map(|point| (x, p256::elliptic_curve::point::AffineCoordinates::y(&point)))
    });
    let (x, y) = five.expect("some small x is on the curve");
    let mut small = [0; 65];
    (small[0], small[32]) = (4, x);
    small[33..].copy_from_slice(&y);
    assert!(Share::decode(&small).is_some());
    let mut large = small;
    large[1..33].copy_from_slice(&p);
    let (sum, carry) = large[32].overflowing_add(x);
    large[32] = sum;
    // p ends in 0xff, so the carry runs up to the first byte that has room.
    if carry {
        let at = (1..32).rev().find(|at| large[*at] != 0xff).expect("room");
        large[at] += 1;
        large[at + 1..32].fill(0);
    }
    let mut at_p = [0; 65];
    at_p[0] = 4;
    at_p[1..33].copy_from_slice(&p);
    for (what, bytes) in [
        ("off the curve", off_curve.as_slice()),
        ("compressed", &compressed),
        ("compressed and padded", &padded),
        ("hybrid", &hybrid),
        ("compact", &compact),
        ("identity", &[0]),
        ("identity, padded", &[0; 65]),
        ("zeros with the right tag", &[&[4][..], &[0; 64]].concat()),
        ("x = p", &at_p),
        ("x beyond p", &large),
        ("64 bytes", &good[..64]),
        ("66 bytes", &[good.as_slice(), &[0]].concat()),
        ("empty", &[]),
    ] {
        assert!(!with_share(bytes), "{what}");
    }
}

#[test]
fn an_id_is_safe_to_print_and_of_the_right_side() {
    let id = |text: &str| is_ok(&InitiatePairing { id: Some(text.to_owned()), ..m1() });
    assert!(id("I:12345678:a") && id(&format!("I:{}:{}", "a".repeat(64), "b".repeat(63))));
    for text in [
        "R:12345678:beta",
        "I:1234567:beta",
        "I:12345678:",
        "I:12345678",
        "I:12345678:be ta",
        "I:12345678:\u{1b}[31mbeta",
        "I:12345678:beta\n",
        "I:12345678:bet\u{430}",
        "I:12345678:beta:x",
        "I:1234_678:beta",
        "I:12345678:-rf",
        "I:12345678:..",
        "i:12345678:beta",
        " I:12345678:beta",
        "I::beta",
        "",
    ] {
        assert!(!id(text), "{text:?}");
    }
    assert!(!id(&format!("I:{}:beta", "a".repeat(65))) && !id(&format!("I:12345678:{}", "b".repeat(64))));
    assert!(Identity::new("12345678", "\u{1b}").is_none() && Identity::parse(Role::Responder, "R:12345678:a.b_c-1").is_some());
}

#[test]
fn a_body_is_exactly_one_message() {
    let zeros = |count: usize| Some(B64.encode(vec![0; count]));
    let m3 = InitiatePairing { v: Some(2), sid: zeros(16), nonce: zeros(32), mac: zeros(32), ..InitiatePairing::default() };
    assert!(is_ok(&m1()) && is_ok(&m3));
    for body in [
        InitiatePairing::default(),
        InitiatePairing { v: None, ..m1() },
        InitiatePairing { v: Some(1), ..m1() },
        InitiatePairing { v: Some(3), ..m3.clone() },
        InitiatePairing { suite: Some("SPAKE2-P256-SHA256-HKDF-HMAC".to_owned()), ..m1() },
        InitiatePairing { suite: None, ..m1() },
        InitiatePairing { id: None, ..m1() },
        InitiatePairing { commit: None, ..m1() },
        InitiatePairing { commit: zeros(31), ..m1() },
        InitiatePairing { sid: m3.sid.clone(), ..m1() },
        InitiatePairing { mac: m3.mac.clone(), ..m1() },
        InitiatePairing { nonce: m3.nonce.clone(), ..m1() },
        InitiatePairing { suite: m1().suite, ..m3.clone() },
        InitiatePairing { commit: m1().commit, ..m3.clone() },
        InitiatePairing { nonce: zeros(33), ..m3.clone() },
        InitiatePairing { sid: zeros(15), ..m3.clone() },
        InitiatePairing { mac: None, ..m3.clone() },
        InitiatePairing { mac: m3.mac.clone().map(|text| text + "="), ..m3.clone() },
        // The last digit has bits that no byte takes: another spelling of the same bytes.
        InitiatePairing { mac: m3.mac.clone().map(|text| text[..42].to_owned() + "B"), ..m3.clone() },
        InitiatePairing { mac: m3.mac.clone().map(|text| text[..42].to_owned() + "+"), ..m3.clone() },
    ] {
        assert_eq!(responder::Event::initiate(from(), &body).err(), Some(Refusal::Malformed), "{body:?}");
    }
    let legacy = InitiatePairing { invite_code: Some(Secret::new("1")), ..InitiatePairing::default() };
    assert!(matches!(responder::Event::initiate(from(), &legacy), Ok(responder::Event::Legacy { .. })));
    assert!(matches!(message::initiate(br#"{"inviteCode":"493027","hostname":"old","apiKey":"k","publicKey":"x"}"#), Ok(message::Initiate::Legacy(_))));
}

#[test]
fn a_sealed_body_is_bounded_and_has_nothing_else() {
    let body = |length: usize| ConfirmPairing { sid: Some("A".repeat(22)), sealed: Some(B64.encode(vec![0; length])), ..ConfirmPairing::default() };
    assert!(responder::Event::confirm(&body(MOST_SEALED)).is_ok());
    for body in [
        body(MOST_SEALED + 3),
        ConfirmPairing { confirmed: Some(true), ..body(20) },
        ConfirmPairing { confirmed: Some(false), ..ConfirmPairing::default() },
        ConfirmPairing { sid: None, ..body(20) },
        ConfirmPairing { sealed: None, ..body(20) },
        ConfirmPairing { sid: Some("A".repeat(21)), ..body(20) },
    ] {
        assert_eq!(responder::Event::confirm(&body).err(), Some(Refusal::Malformed), "{body:?}");
    }
}

#[test]
fn a_payload_is_checked_field_by_field() {
    let good = serde_json::json!({
        "v": 2, "confirmed": true, "nodeId": beta().node_id(), "hostname": "beta", "port": 19532, "addrs": ["192.168.1.7", "fe80::1"],
        "apiKey": "lpk_0123456789abcdef", "certFingerprint": "ab".repeat(32), "scopes": ["status", "fly", "execute", "status"],
    });
    let read = |value: &serde_json::Value| payload::parse(value.to_string().as_bytes(), &beta());
    let Some(Verdict::Confirmed(payload)) = read(&good) else { panic!("good") };
    assert_eq!(payload.scopes, [Scope::Status, Scope::Execute], "words of a later version are passed over");
    assert!(matches!(read(&serde_json::json!({"v": 2, "confirmed": false})), Some(Verdict::Refused)));
    assert!(read(&serde_json::json!({"v": 1, "confirmed": false})).is_none() && read(&serde_json::json!({"v": 2})).is_none());
    for (field, value) in [
        ("v", serde_json::json!(3)),
        ("confirmed", serde_json::json!("true")),
        ("nodeId", serde_json::json!(alpha().node_id())),
        ("hostname", serde_json::json!("alpha")),
        ("port", serde_json::json!(0)),
        ("port", serde_json::json!(65_536)),
        ("addrs", serde_json::json!(["example.org"])),
        ("addrs", serde_json::json!(vec!["10.0.0.1"; 17])),
        ("apiKey", serde_json::json!("lpk_0123456789abcde")),
        ("apiKey", serde_json::json!("0123456789abcdef0123")),
        ("apiKey", serde_json::json!("lpk_0123456789abcde\n")),
        ("apiKey", serde_json::json!("lpk_0123456789 abcdef")),
        ("apiKey", serde_json::json!(format!("lpk_{}", "a".repeat(197)))),
        ("certFingerprint", serde_json::json!("AB".repeat(32))),
        ("certFingerprint", serde_json::json!("ab".repeat(31))),
        ("scopes", serde_json::json!("all")),
    ] {
        let mut changed = good.clone();
        changed[field] = value;
        assert!(read(&changed).is_none(), "{changed}");
        changed.as_object_mut().expect("an object").remove(field);
        assert!(read(&changed).is_none(), "without {field}");
    }
    let mut large = good;
    large["more"] = serde_json::json!("x".repeat(MOST_SEALED));
    assert!(read(&large).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in "\\PC{0,80}") {
        let _ = message::initiate(&bytes);
        let _ = message::reply(&bytes);
        let _ = message::sealed(&bytes);
        let _ = payload::parse(&bytes, &beta());
        let _ = InviteCode::parse(&text);
        let _ = Identity::parse(Role::Initiator, &text);
        for name in ["id", "publicKey", "commit", "sid", "nonce", "mac", "suite", "sealed"] {
            let mut body = serde_json::to_value(m1()).expect("JSON");
            body[name] = serde_json::json!(text);
            let _ = message::initiate(body.to_string().as_bytes());
            let _ = message::sealed(body.to_string().as_bytes());
        }
    }

    #[test]
    fn what_is_written_is_read_again(port in 1u16.., addrs in proptest::collection::vec(any::<IpAddr>(), 0..20), mask in 0usize..256) {
        let scopes: Vec<_> = Scope::ALL.into_iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, scope)| scope).collect();
        let offer = Offer { port, addrs: addrs.clone(), cert_fingerprint: "0f".repeat(32), scopes: scopes.clone() };
        let minted = Secret::new("lpk_0123456789abcdef");
        let text = payload::confirmation(&beta(), &offer, &minted).expect("fits");
        let Some(Verdict::Confirmed(payload)) = payload::parse(&text, &beta()) else { panic!("read") };
        prop_assert_eq!((payload.port, payload.api_key, payload.scopes), (port, minted, scopes));
        prop_assert_eq!(payload.addrs, addrs.into_iter().take(16).collect::<Vec<_>>());
    }
}
