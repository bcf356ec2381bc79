//! [`Dialect`]: the characters that structure a CSV text, and the quoting of one cell.

use crate::manifest::{Manifest, Quoting};

/// The characters that structure a CSV text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// An ASCII character.
    pub delimiter: u8,
    pub quoting: Quoting,
}

impl Dialect {
    pub fn of(manifest: &Manifest) -> Self {
        Self { delimiter: manifest.delimiter, quoting: manifest.quoting }
    }

    /// Returns `byte` of a text of ours as the error file has it: without quoting, the text cannot
    /// have the delimiter.
    pub fn written(self, byte: u8) -> u8 {
        match (self.quoting, self.delimiter) {
            (Quoting::None, b',') if byte == b',' => b';',
            (Quoting::None, b' ') if byte == b' ' => b'_',
            (Quoting::None, delimiter) if byte == delimiter => b' ',
            _ => byte,
        }
    }

    /// Returns whether `byte` ends a cell that is not quoted.
    pub fn ends_cell(self, byte: u8) -> bool {
        byte == self.delimiter || matches!(byte, b'\n' | b'\r')
    }

    /// Returns the place of the closing quote for the opening one at `open`, or the text's length
    /// without one, and whether there are escaped characters between them.
    pub fn closing_quote(self, text: &[u8], open: usize) -> (usize, bool) {
        let mut from = open + 1;
        let mut escaped = false;
        while let Some(at) = self.special(&text[from..]) {
            let at = from + at;
            if text[at] == b'"' && text.get(at + 1) != Some(&b'"') {
                return (at, escaped);
            }
            escaped = true;
            from = (at + 2).min(text.len());
        }
        (text.len(), escaped)
    }

    /// Returns the first place in quoted text with a quote, or with what can escape one.
    pub fn special(self, text: &[u8]) -> Option<usize> {
        match self.quoting {
            Quoting::Backslash => memchr::memchr2(b'"', b'\\', text),
            _ => memchr::memchr(b'"', text),
        }
    }

    /// Appends quoted text, without its quotes, unescaped to `out`.
    pub fn unescape(self, text: &[u8], out: &mut Vec<u8>) {
        let (mut start, mut from) = (0, 0);
        while let Some(at) = self.special(&text[from..]) {
            let at = from + at;
            from = at + 1;
            if matches!(text.get(from), Some(b'"' | b'\\')) {
                out.extend_from_slice(&text[start..at]);
                start = from;
                from += 1;
            }
        }
        out.extend_from_slice(&text[start..]);
    }

    /// Returns whether `cell`, which ends at a delimiter or a line end, has spaces, then a quote
    /// that is not closed in it: a quoted cell with one of these inside.
    pub fn opens_after_space(self, cell: &[u8]) -> bool {
        let spaces = cell.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.quoting != Quoting::None
            && spaces > 0
            && cell.get(spaces) == Some(&b'"')
            && self.closing_quote(cell, spaces).0 == cell.len()
    }
}
