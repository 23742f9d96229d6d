//! Commitments, contexts, the keys of a session, its six digits and its seals.

use chacha20poly1305::{
    ChaCha20Poly1305,
    aead::{Aead, KeyInit, Payload},
};
use loopsy_shared::secret::digest;
use p256::Scalar;
use zeroize::Zeroizing;

use super::{
    LABEL, Role, SUITE,
    code::Sas,
    hidden::Hidden,
    spake2::{self, Keys, SHARE, Share, expand, extract},
};

/// Everything of a handshake that both sides have sent, but for the two nonces.
#[derive(Debug, Clone)]
pub(super) struct Public {
    pub(super) sid: [u8; 16],
    pub(super) id_i: String,
    pub(super) id_r: String,
    pub(super) share_i: Share,
    pub(super) share_r: Share,
    pub(super) commit_i: [u8; 32],
    pub(super) commit_r: [u8; 32],
}

/// What the initiator commits to before it sees anything.
pub(super) fn commit_i(share: &[u8; SHARE], nonce: &[u8; 32]) -> [u8; 32] {
    digest(&framed(b"commit i\0", &[share, nonce]))
}

/// What the responder commits to before it sees the initiator's nonce.
pub(super) fn commit_r(sid: &[u8; 16], commit_i: &[u8; 32], share: &[u8; SHARE], nonce: &[u8; 32]) -> [u8; 32] {
    digest(&framed(b"commit r\0", &[sid, commit_i, share, nonce]))
}

/// Each part with its length before it, as 32 bits in big-endian order. All parts are public.
fn framed(name: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut text = [LABEL, name].concat();
    for part in parts {
        // Ids are shorter than 200 bytes, and everything else has a fixed length.
        text.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

impl Public {
    pub(super) fn ctx0(&self) -> Vec<u8> {
        framed(
            b"ctx0\0",
            &[
                SUITE.as_bytes(),
                &self.sid,
                self.id_i.as_bytes(),
                self.id_r.as_bytes(),
                self.share_i.bytes(),
                self.share_r.bytes(),
                &self.commit_i,
                &self.commit_r,
            ],
        )
    }
}

/// What a side can prove, and check, once it has both shares.
#[derive(Debug)]
pub(super) struct Proofs {
    ctx0: Vec<u8>,
    transcript: Hidden<Vec<u8>>,
    keys: Keys,
}

impl Proofs {
    /// `None` when the common point is the identity, which no honest share leads to.
    pub(super) fn derive(role: Role, public: &Public, password: &Scalar, ephemeral: &Scalar) -> Option<Self> {
        let theirs = match role {
            Role::Initiator => &public.share_r,
            Role::Responder => &public.share_i,
        };
        let key = theirs.key(role, password, ephemeral)?;
        let ids = [public.id_i.as_bytes(), public.id_r.as_bytes()];
        let transcript = spake2::transcript(ids, [public.share_i.bytes(), public.share_r.bytes()], &key, password);
        let ctx0 = public.ctx0();
        let keys = Keys::derive(&transcript, &digest(&ctx0));
        Some(Self { ctx0, transcript, keys })
    }

    fn key(&self, role: Role) -> &[u8; 16] {
        match role {
            Role::Initiator => &self.keys.confirm_i,
            Role::Responder => &self.keys.confirm_r,
        }
    }

    /// The proof of a side.
    pub(super) fn of(&self, role: Role) -> [u8; 32] {
        spake2::confirmation(self.key(role), &self.transcript)
    }

    /// Whether the proof of a side is right.
    pub(super) fn check(&self, role: Role, mac: &[u8; 32]) -> bool {
        spake2::is_confirmed(self.key(role), &self.transcript, mac)
    }

    /// The session, once both nonces are known.
    pub(super) fn session(&self, nonce_i: &[u8; 32], nonce_r: &[u8; 32]) -> Session {
        let context = digest(&framed(b"ctx1\0", &[&self.ctx0, nonce_i, nonce_r]));
        let key = extract(&context, &*self.keys.session);
        Session {
            context,
            key_i2r: expand(&key, &[LABEL, b"key i2r"]),
            key_r2i: expand(&key, &[LABEL, b"key r2i"]),
            sas: Sas::of(&expand(&key, &[LABEL, b"sas"])),
        }
    }
}

/// A sealed message: each is sealed once in a session, under a key or counter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// M5: the initiator's payload or refusal.
    FinishI,
    /// M6: the responder's.
    FinishR,
    /// M7: the initiator has stored what M6 brought; or, in its place, a yes that is taken back.
    Ack,
}

/// The keys of both directions, and the digits to compare.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) context: [u8; 32],
    pub(super) key_i2r: Hidden<[u8; 32]>,
    pub(super) key_r2i: Hidden<[u8; 32]>,
    pub(super) sas: Sas,
}

impl Session {
    /// `None` cannot happen for texts as short as these.
    pub(super) fn seal(&self, seal: Seal, text: &[u8]) -> Option<Vec<u8>> {
        let (cipher, nonce, aad) = self.parts(seal);
        cipher.encrypt((&nonce).into(), Payload { msg: text, aad: &aad }).ok()
    }

    /// `None` when anything about it is wrong.
    pub(super) fn open(&self, seal: Seal, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (cipher, nonce, aad) = self.parts(seal);
        cipher.decrypt((&nonce).into(), Payload { msg: sealed, aad: &aad }).ok().map(Zeroizing::new)
    }

    fn parts(&self, seal: Seal) -> (ChaCha20Poly1305, [u8; 12], Vec<u8>) {
        let (key, counter, direction): (_, u8, &[u8]) = match seal {
            Seal::FinishI => (&self.key_i2r, 0, b"finish i2r"),
            Seal::FinishR => (&self.key_r2i, 0, b"finish r2i"),
            Seal::Ack => (&self.key_i2r, 1, b"ack"),
        };
        let nonce = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, counter];
        (ChaCha20Poly1305::new((&**key).into()), nonce, [LABEL, direction, b"\0", &self.context].concat())
    }
}
