//! Values that are wiped when dropped and never printed.

use std::{fmt, ops::Deref};

use zeroize::{Zeroize, Zeroizing};

/// A secret of any kind.
#[derive(Clone)]
pub(super) struct Hidden<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Hidden<T> {
    /// Takes a value into custody.
    pub(super) fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl<const N: usize> Hidden<[u8; N]> {
    /// Fresh random bytes.
    pub(super) fn random(rng: &mut dyn rand::CryptoRng) -> Self {
        let mut bytes = Self::new([0; N]);
        rng.fill_bytes(&mut *bytes.0);
        bytes
    }

    /// What `fill` writes, without a copy elsewhere.
    pub(super) fn filled(fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = Self::new([0; N]);
        fill(&mut *bytes.0);
        bytes
    }
}

impl<T: Zeroize> Deref for Hidden<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
