//! Replaces a delimiter beyond ASCII by one byte, because the lexer reads single bytes.
//!
//! In the text that the lexer reads, the delimiter and U+001F are exchanged. A second exchange
//! restores the original bytes of a cell, or of a line for the error file.

use std::borrow::Cow;

use super::buffer::TextBuffer;
use crate::manifest::DELIMITER_SUBSTITUTE;

/// Exchanges the delimiter and U+001F in a text that arrives in pieces. The delimiter is not an
/// ASCII character.
#[derive(Debug)]
pub struct DelimiterExchange {
    delimiter: char,
    /// The last bytes of the previous piece if they may be the first bytes of the delimiter.
    pending: Vec<u8>,
}

impl DelimiterExchange {
    pub fn new(delimiter: char) -> Self {
        Self { delimiter, pending: Vec::new() }
    }

    /// Exchanges the delimiter and U+001F in the piece that was appended to `text` at `start`.
    pub fn apply(&mut self, text: &mut TextBuffer, start: usize, at_end: bool) {
        let mut piece = std::mem::take(&mut self.pending);
        piece.extend_from_slice(&text[start..]);
        text.truncate(start);
        if !at_end {
            let mut buffer = [0; 4];
            let delimiter = self.delimiter.encode_utf8(&mut buffer).as_bytes();
            let is_begun = |length: &usize| piece.ends_with(&delimiter[..*length]);
            let begun = (1..delimiter.len()).rev().find(is_begun).unwrap_or(0);
            self.pending = piece.split_off(piece.len() - begun);
        }
        text.push(&exchanged(self.delimiter, &piece));
    }
}

/// Returns `text` with `delimiter` and U+001F exchanged.
pub fn exchanged(delimiter: char, text: &[u8]) -> Cow<'_, [u8]> {
    let mut buffer = [0; 4];
    let delimiter = delimiter.encode_utf8(&mut buffer).as_bytes();
    let mut out = Vec::new();
    let mut from = 0;
    for at in memchr::memchr2_iter(delimiter[0], DELIMITER_SUBSTITUTE, text) {
        let (found, other): (&[u8], &[u8]) = match text[at] {
            DELIMITER_SUBSTITUTE => (&[DELIMITER_SUBSTITUTE], delimiter),
            _ if text[at..].starts_with(delimiter) => (delimiter, &[DELIMITER_SUBSTITUTE]),
            _ => continue,
        };
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(other);
        from = at + found.len();
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[from..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_pieces(original: &[u8], piece: usize) -> Vec<u8> {
        let mut exchange = DelimiterExchange::new('§');
        let mut text = TextBuffer::default();
        for bytes in original.chunks(piece) {
            let start = text.len();
            text.push(bytes);
            exchange.apply(&mut text, start, false);
        }
        let start = text.len();
        exchange.apply(&mut text, start, true);
        text.to_vec()
    }

    #[test]
    fn pieces_and_whole_text_have_equal_results() {
        let original = "a§b€§§é\u{c2}\x1F\u{1}§".as_bytes();
        for piece in 1..10 {
            let expected = "a\x1Fb€\x1F\x1Fé\u{c2}§\u{1}\x1F".as_bytes();
            assert_eq!(in_pieces(original, piece), expected, "{piece}");
        }
    }

    proptest! {
        #[test]
        fn a_second_delimiter_exchange_restores_the_text(
            parts in prop::collection::vec(
                prop::sample::select(vec![&b"\xc2\xa7"[..], b"\x1F", b"\xc2", b"\xa7", b"a", b"\xc3\xa9"]),
                0..12,
            ),
            piece in 1..5_usize,
        ) {
            let text = parts.concat();
            let exchanged_text = in_pieces(&text, piece);
            prop_assert_eq!(&*exchanged('§', &exchanged_text), &text[..]);
        }
    }
}
