//! SPAKE2 over P-256 after RFC 9382: shares, the common point, the transcript and the keys that come from it.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use p256::{
    AffinePoint, ProjectivePoint, Scalar,
    elliptic_curve::{Group, ff::FromUniformBytes, point::AffineCoordinates, sec1::FromSec1Point},
};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{LABEL, Role, code::InviteCode, hidden::Hidden};

/// Bytes of an encoded share: 0x04 and two coordinates.
pub(super) const SHARE: usize = 65;

/// M of RFC 9382, section 4, with which the initiator blinds its share.
const M: [u8; 33] = [
    0x02, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55, 0xba, 0x9d, 0xd7, 0x24, 0x25, 0x79, 0xf2, 0x99, 0x3b, 0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf,
    0xd4, 0x97, 0x33, 0x3d, 0x8f, 0xa1, 0x2f,
];
/// N of the same, for the responder.
const N: [u8; 33] = [
    0x03, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37, 0xb0, 0x4d, 0x99, 0x7f, 0x38, 0xc3, 0x77, 0x07, 0x19, 0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b,
    0x4f, 0x98, 0xba, 0xa1, 0x29, 0x2b, 0x49,
];

/// The scalar of a code. Nothing slow: a code is used once and lives five minutes.
pub(super) fn password(code: &InviteCode) -> Hidden<Scalar> {
    let wide = expand::<48>(&extract(&[LABEL, b"w"].concat(), code.bytes()), &[]);
    let mut padded = Zeroizing::new([0; 64]);
    padded.iter_mut().skip(16).zip(wide.iter()).for_each(|(to, from)| *to = *from);
    Hidden::new(Scalar::from_uniform_bytes(&padded))
}

/// A secret scalar for one handshake.
pub(super) fn ephemeral(rng: &mut dyn CryptoRng) -> Hidden<Scalar> {
    Hidden::new(Scalar::from_uniform_bytes(&Hidden::<[u8; 64]>::random(rng)))
}

/// What a side sends: its Diffie-Hellman share, blinded by the code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    bytes: [u8; SHARE],
    point: ProjectivePoint,
}

impl Share {
    /// Blinds; `None` should the sum be the identity, which no honest draw meets.
    pub(super) fn make(role: Role, password: &Scalar, ephemeral: &Scalar) -> Option<Self> {
        let point = ProjectivePoint::GENERATOR * ephemeral + blind(role)? * password;
        Some(Self { bytes: *encode(&point)?, point })
    }

    /// Reads the one encoding that is accepted: uncompressed, on the curve.
    pub(super) fn decode(bytes: &[u8; SHARE]) -> Option<Self> {
        if bytes.first() != Some(&4) {
            return None;
        }
        let point = ProjectivePoint::from(AffinePoint::from_sec1_bytes(bytes).ok()?);
        (!bool::from(point.is_identity())).then_some(Self { bytes: *bytes, point })
    }

    pub(super) fn bytes(&self) -> &[u8; SHARE] {
        &self.bytes
    }

    /// The point both sides come to when both know the code; `None` when it is the identity. `role` is one's own, the share the other's.
    pub(super) fn key(&self, role: Role, password: &Scalar, ephemeral: &Scalar) -> Option<Hidden<[u8; SHARE]>> {
        let other = match role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        let mut point = (self.point - blind(other)? * password) * ephemeral;
        let encoded = encode(&point);
        point.zeroize();
        encoded
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share")
    }
}

fn blind(role: Role) -> Option<ProjectivePoint> {
    let bytes = match role {
        Role::Initiator => M,
        Role::Responder => N,
    };
    AffinePoint::from_sec1_bytes(&bytes).ok().map(ProjectivePoint::from)
}

fn encode(point: &ProjectivePoint) -> Option<Hidden<[u8; SHARE]>> {
    if point.is_identity().into() {
        return None;
    }
    let mut affine = point.to_affine();
    let (mut x, mut y) = (affine.x(), affine.y());
    let bytes = Hidden::filled(|out| out.iter_mut().zip([4].iter().chain(&x).chain(&y)).for_each(|(to, from)| *to = *from));
    affine.zeroize();
    x.zeroize();
    y.zeroize();
    Some(bytes)
}

/// TT of RFC 9382: each part with its length before it, as 64 bits in little-endian order.
pub(super) fn transcript(ids: [&[u8]; 2], shares: [&[u8; SHARE]; 2], key: &[u8; SHARE], password: &Scalar) -> Hidden<Vec<u8>> {
    let mut w = password.to_bytes();
    let [id_i, id_r] = ids;
    let [share_i, share_r] = shares;
    let parts: [&[u8]; 6] = [id_i, id_r, share_i, share_r, key, &w];
    // Never grows, so that no half-written copy stays behind.
    let mut text = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part);
    }
    w.zeroize();
    Hidden::new(text)
}

/// What the transcript gives: Ke for the session, and one confirmation key for each side.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) session: Hidden<[u8; 16]>,
    pub(super) confirm_i: Hidden<[u8; 16]>,
    pub(super) confirm_r: Hidden<[u8; 16]>,
}

impl Keys {
    /// `context` is what the confirmation authenticates beyond the transcript.
    pub(super) fn derive(transcript: &[u8], context: &[u8]) -> Self {
        let mut hash = Sha256::digest(transcript);
        let halves = |range: std::ops::Range<usize>, of: &[u8]| {
            Hidden::filled(|out| out.iter_mut().zip(of.get(range).unwrap_or_default()).for_each(|(to, from)| *to = *from))
        };
        let confirm = expand::<32>(&extract(&[], hash.get(16..).unwrap_or_default()), &[b"ConfirmationKeys", context]);
        let keys = Self { session: halves(0..16, &hash), confirm_i: halves(0..16, &*confirm), confirm_r: halves(16..32, &*confirm) };
        hash.zeroize();
        keys
    }
}

/// The confirmation of a side.
pub(super) fn confirmation(key: &[u8; 16], transcript: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(transcript).finalize().into_bytes().into()
}

/// Whether a confirmation is right; takes as long for any.
pub(super) fn is_confirmed(key: &[u8; 16], transcript: &[u8], mac: &[u8; 32]) -> bool {
    keyed(key).chain_update(transcript).verify_slice(mac).is_ok()
}

/// HMAC pads a short key with zeros, so a whole block is the same key and cannot have a wrong length.
fn keyed(key: &[u8; 16]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    Hmac::new((&*block).into())
}

pub(super) fn extract(salt: &[u8], secret: &[u8]) -> Hkdf<Sha256> {
    Hkdf::new(Some(salt), secret)
}

pub(super) fn expand<const N: usize>(key: &Hkdf<Sha256>, info: &[&[u8]]) -> Hidden<[u8; N]> {
    // The one error there is: too many bytes asked for.
    const { assert!(N <= 255 * 32) };
    Hidden::filled(|out| {
        let _cannot_fail = key.expand_multi_info(info, out);
    })
}
