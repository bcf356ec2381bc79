//! [`Dialect`]: the characters that structure a CSV text. The module also handles the quoting of
//! one cell.

use crate::manifest::{Manifest, Quoting};

/// The characters that structure a CSV text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The character that separates cells. It is ASCII.
    pub delimiter: u8,
    pub quoting: Quoting,
}

impl Dialect {
    pub fn of(manifest: &Manifest) -> Self {
        Self { delimiter: manifest.delimiter, quoting: manifest.quoting }
    }

    /// Returns the byte that the error file has for `byte` of a failure description. In a file
    /// without quoting, a description must not contain the delimiter, so another character replaces
    /// it.
    pub fn written(self, byte: u8) -> u8 {
        match (self.quoting, self.delimiter) {
            (Quoting::None, b',') if byte == b',' => b';',
            (Quoting::None, b' ') if byte == b' ' => b'_',
            (Quoting::None, delimiter) if byte == delimiter => b' ',
            _ => byte,
        }
    }

    /// Returns whether `byte` ends a cell without quotes.
    pub fn ends_cell(self, byte: u8) -> bool {
        byte == self.delimiter || matches!(byte, b'\n' | b'\r')
    }

    /// Returns the position of the quote that closes the opening quote at `open`; the length of the
    /// text if no quote closes it. Also returns whether the quoted text has escaped characters.
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

    /// Returns the position of the first quote or escape character in `text`, which is inside
    /// quotes.
    pub fn special(self, text: &[u8]) -> Option<usize> {
        match self.quoting {
            Quoting::Backslash => memchr::memchr2(b'"', b'\\', text),
            _ => memchr::memchr(b'"', text),
        }
    }

    /// Appends the unescaped form of `text` to `out`. `text` is the content between the quotes of
    /// a cell.
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

    /// Returns whether `cell` begins with spaces and a quote that is not closed in `cell`. Such a
    /// cell is probably a quoted cell with a delimiter or a line end inside, because `cell` ends at
    /// the first one.
    pub fn opens_after_space(self, cell: &[u8]) -> bool {
        let spaces = cell.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.quoting != Quoting::None
            && spaces > 0
            && cell.get(spaces) == Some(&b'"')
            && self.closing_quote(cell, spaces).0 == cell.len()
    }
}
