//! Cuts byte streams without ever cutting a character.

use bytes::{Bytes, BytesMut};

/// Bytes of the longest character.
pub(crate) const LONGEST: usize = 4;

/// How many bytes at the end begin a character that is not complete, 3 at most.
pub(crate) fn incomplete(bytes: &[u8]) -> usize {
    let tail = bytes.iter().rev().take(3).enumerate().find(|(_, byte)| !is_continuation(**byte));
    let Some((behind, lead)) = tail else { return 0 };
    let needed = match lead {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 0,
    };
    if needed > behind + 1 { behind + 1 } else { 0 }
}

/// The largest cut up to `limit` that is not inside a character. In what is not UTF-8, any cut is as good as another.
pub(crate) fn floor(bytes: &[u8], limit: usize) -> usize {
    if limit >= bytes.len() {
        return bytes.len();
    }
    let whole = limit - incomplete(&bytes[..limit]);
    if is_continuation(bytes[limit]) { whole } else { limit }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Holds back the beginning of a character until its rest comes.
#[derive(Debug, Default)]
pub(crate) struct Utf8Chunks {
    held: Bytes,
}

impl Utf8Chunks {
    /// Takes bytes in and gives out all that ends with a whole character.
    pub(crate) fn push(&mut self, bytes: Bytes) -> Bytes {
        let mut bytes = if self.held.is_empty() { bytes } else { BytesMut::from_iter(self.held.iter().chain(&bytes)).freeze() };
        let tail = bytes.split_off(bytes.len() - incomplete(&bytes));
        self.held = Bytes::copy_from_slice(&tail); // a slice would keep the whole buffer alive
        bytes
    }

    /// What never became a character.
    pub(crate) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(bytes: &[u8], sizes: &[usize]) -> Vec<Bytes> {
        let mut chunks = Utf8Chunks::default();
        let (mut given, mut rest) = (Vec::new(), bytes);
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            given.push(chunks.push(Bytes::copy_from_slice(now)));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        given.push(chunks.finish());
        given
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_added(bytes: Vec<u8>, sizes in prop::collection::vec(1_usize..9, 1..9)) {
            prop_assert_eq!(cut(&bytes, &sizes).concat(), bytes);
        }

        #[test]
        fn text_stays_text(text: String, sizes in prop::collection::vec(1_usize..9, 1..9)) {
            let chunks = cut(text.as_bytes(), &sizes);
            prop_assert!(chunks.iter().all(|chunk| std::str::from_utf8(chunk).is_ok()));
            prop_assert_eq!(chunks.concat(), text.as_bytes());
        }

        #[test]
        fn a_floor_is_a_boundary(text: String, limit in 0_usize..99) {
            let cut = floor(text.as_bytes(), limit);
            prop_assert!(text.is_char_boundary(cut) && cut <= limit.min(text.len()) && cut + 3 >= limit.min(text.len()));
        }

        #[test]
        fn a_floor_of_anything_loses_little(bytes: Vec<u8>, limit in 0_usize..99) {
            let cut = floor(&bytes, limit);
            prop_assert!(cut <= limit.min(bytes.len()) && cut + 3 >= limit.min(bytes.len()));
        }
    }
}
