//! [`Utf8Check`]: finds out whether a file in another declared encoding is UTF-8 after all.

use std::sync::{Arc, OnceLock};

/// The first character beyond ASCII of a file that is entirely UTF-8; unset if it is not, or before
/// its end.
pub type Utf8Example = Arc<OnceLock<char>>;

/// Reads the bytes of a file in pieces.
#[derive(Debug, Default)]
pub struct Utf8Check {
    /// The beginning of a character that the next piece continues.
    pending: Vec<u8>,
    invalid: bool,
    example: Option<char>,
    result: Utf8Example,
}

impl Utf8Check {
    /// Returns the result, which is set by [`Self::end`].
    pub fn result(&self) -> Utf8Example {
        Arc::clone(&self.result)
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.invalid || (self.pending.is_empty() && bytes.is_ascii()) {
            return;
        }
        self.pending.extend_from_slice(bytes);
        let text = match simdutf8::compat::from_utf8(&self.pending) {
            Ok(text) => text,
            Err(error) => {
                self.invalid = error.error_len().is_some();
                let valid = &self.pending[..error.valid_up_to()];
                std::str::from_utf8(valid).unwrap_or_default()
            }
        };
        self.example = self.example.or_else(|| text.chars().find(|c| !c.is_ascii()));
        let valid = text.len();
        self.pending.drain(..valid);
    }

    /// Sets the result at the end of the file.
    pub fn end(&mut self) {
        if let Some(example) = self.example.filter(|_| !self.invalid && self.pending.is_empty()) {
            let _ = self.result.set(example); // the end is there once
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(bytes: &[u8], piece: usize) -> Option<char> {
        let mut check = Utf8Check::default();
        bytes.chunks(piece).for_each(|bytes| check.push(bytes));
        check.end();
        check.result().get().copied()
    }

    #[test]
    fn finds_utf_8_beyond_ascii_in_pieces() {
        for piece in 1..8 {
            assert_eq!(example("id,naïve €\n".as_bytes(), piece), Some('ï'));
            assert_eq!(example(b"id,a\n", piece), None, "ASCII");
            assert_eq!(example(b"id,J\xFCrgen\n", piece), None);
            assert_eq!(example(b"\xC3\xA9,J\xFCrgen\n", piece), None);
            assert_eq!(example(b"\xC3\xA9,\xC3", piece), None, "cut");
        }
    }
}
