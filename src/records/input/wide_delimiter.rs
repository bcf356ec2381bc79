//! A delimiter beyond ASCII: one byte replaces it in the text, as the lexer reads bytes.
//!
//! The byte is U+001F, which separates fields in ASCII. In a file that has it in a cell, the record
//! has one field more, and is rejected.

use super::buffer::TextBuffer;
use crate::manifest::DELIMITER_SUBSTITUTE;

/// Replaces the delimiter in a text that arrives in pieces.
#[derive(Debug)]
pub struct DelimiterSubstitution {
    /// The delimiter in UTF-8.
    delimiter: Vec<u8>,
    /// The end of a piece, which may be the beginning of the delimiter.
    pending: Vec<u8>,
}

impl DelimiterSubstitution {
    pub fn new(delimiter: char) -> Self {
        Self { delimiter: delimiter.to_string().into_bytes(), pending: Vec::new() }
    }

    /// Replaces the delimiter in the piece that was appended to `text` at `start`.
    pub fn replace(&mut self, text: &mut TextBuffer, start: usize, at_end: bool) {
        let mut piece = std::mem::take(&mut self.pending);
        piece.extend_from_slice(&text[start..]);
        text.truncate(start);
        if !at_end {
            let is_begun = |length: &usize| piece.ends_with(&self.delimiter[..*length]);
            let begun = (1..self.delimiter.len()).rev().find(is_begun).unwrap_or(0);
            self.pending = piece.split_off(piece.len() - begun);
        }
        let mut from = 0;
        for at in memchr::memmem::find_iter(&piece, &self.delimiter) {
            text.push(&piece[from..at]);
            text.push(&[DELIMITER_SUBSTITUTE]);
            from = at + self.delimiter.len();
        }
        text.push(&piece[from..]);
    }
}

/// Replaces the substitute by `delimiter` again, in the bytes from `start` on.
pub fn restore(delimiter: char, bytes: &mut Vec<u8>, start: usize) {
    let delimiter = delimiter.to_string();
    for byte in bytes.split_off(start) {
        match byte {
            DELIMITER_SUBSTITUTE => bytes.extend_from_slice(delimiter.as_bytes()),
            byte => bytes.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_restores_in_pieces() {
        let original = "a§b€§§é\u{c2}§".as_bytes();
        for piece in 1..10 {
            let mut substitution = DelimiterSubstitution::new('§');
            let mut text = TextBuffer::default();
            for bytes in original.chunks(piece) {
                let start = text.len();
                text.push(bytes);
                substitution.replace(&mut text, start, false);
            }
            let start = text.len();
            substitution.replace(&mut text, start, true);
            assert_eq!(*text, *"a\x1Fb€\x1F\x1Fé\u{c2}\x1F".as_bytes(), "{piece}");
            let mut restored = text.to_vec();
            restore('§', &mut restored, 0);
            assert_eq!(restored, original);
        }
    }
}
