//! The six digits that are typed, and the six that are compared.

use std::fmt;

use loopsy_shared::secret::Secret;
use rand::CryptoRng;
use subtle::ConstantTimeEq;

use super::hidden::Hidden;

/// The largest multiple of a million that fits 32 bits: numbers from here on are drawn again, or low codes would be likelier.
const FAIR: u32 = 4_294_000_000;

/// The code that one machine shows and that is typed on the other. Wiped when dropped.
#[derive(Debug, Clone)]
pub struct InviteCode(Hidden<[u8; 6]>);

impl InviteCode {
    /// Draws a code; all million are equally likely.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        loop {
            let drawn = rng.next_u32();
            if drawn < FAIR {
                return Self(digits(drawn % 1_000_000));
            }
        }
    }

    /// Reads what a person typed: `493027`, `493 027` or `493-027`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii().as_bytes();
        let (left, right) = match text.len() {
            6 => text.split_at(3),
            7 if matches!(text.get(3), Some(b' ' | b'-')) => (text.get(..3)?, text.get(4..)?),
            _ => return None,
        };
        if !left.iter().chain(right).all(u8::is_ascii_digit) {
            return None;
        }
        Some(Self(Hidden::filled(|code| code.iter_mut().zip(left.iter().chain(right)).for_each(|(to, from)| *to = *from))))
    }

    /// The six digits, for the person and the owner's own request.
    pub fn reveal(&self) -> Secret {
        Secret::new(String::from_utf8_lossy(&*self.0))
    }

    pub(super) fn bytes(&self) -> &[u8; 6] {
        &self.0
    }

    /// Whether a text that came over the network is this code; takes as long for any code.
    pub(super) fn matches(&self, text: &Secret) -> bool {
        Self::parse(text.reveal()).is_some_and(|other| self.0.ct_eq(&*other.0).into())
    }
}

/// The six digits that both machines show for people to compare.
#[derive(Clone)]
pub struct Sas(Hidden<[u8; 6]>);

impl Sas {
    /// From eight bytes of the key schedule. The bias is less than 2^-44.
    pub(super) fn of(bytes: &[u8; 8]) -> Self {
        let number = u64::from_be_bytes(*bytes) % 1_000_000;
        Self(digits(u32::try_from(number).unwrap_or_default()))
    }

    /// `536710`.
    pub fn digits(&self) -> String {
        String::from_utf8_lossy(&*self.0).into_owned()
    }

    /// `536 710`, as it is shown.
    pub fn spaced(&self) -> String {
        let mut text = self.digits();
        text.insert(3, ' ');
        text
    }
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A number below a million as six digits.
fn digits(mut number: u32) -> Hidden<[u8; 6]> {
    Hidden::filled(|text| {
        for digit in text.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it_and_as_nothing_else() {
        for text in ["493027", "493 027", "493-027", " 493027\n"] {
            assert_eq!(InviteCode::parse(text).expect(text).reveal().reveal(), "493027");
        }
        for text in ["", "49302", "4930271", "493_027", "49 3027", "493  027", "49302a", "٤٩٣٠٢٧", "+93027", "493 02", "493\u{a0}027"] {
            assert!(InviteCode::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn codes_are_drawn_evenly_and_never_from_the_unfair_rest() {
        let mut rng = super::super::tests::Script::new([[0xff; 4], [0xff, 0xf0, 0xff, 0xff], 42u32.to_le_bytes()].concat());
        assert_eq!(InviteCode::generate(&mut rng).reveal().reveal(), "000042");
    }
}
