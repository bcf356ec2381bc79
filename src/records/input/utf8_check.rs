//! [`Utf8Check`]: checks whether a file is UTF-8 although the manifest declares another encoding.

use std::sync::{Arc, OnceLock};

/// The first character beyond ASCII in a file that is completely UTF-8. It is not set before the
/// end of the file, or if the file is not UTF-8.
pub type Utf8Example = Arc<OnceLock<char>>;

/// Checks whether the bytes of a file are UTF-8. The bytes arrive in pieces.
#[derive(Debug, Default)]
pub struct Utf8Check {
    /// The first bytes of a character whose other bytes are in the next piece.
    pending: Vec<u8>,
    invalid: bool,
    example: Option<char>,
    result: Utf8Example,
}

impl Utf8Check {
    /// Returns the result of the check, which [`Self::end`] sets.
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

    /// Sets the result of the check. Must be called once, at the end of the file.
    pub fn end(&mut self) {
        if let Some(example) = self.example.filter(|_| !self.invalid && self.pending.is_empty()) {
            let _ = self.result.set(example); // setting fails only if `end` is called twice
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
    fn utf8_beyond_ascii_is_detected_in_pieces() {
        for piece in 1..8 {
            assert_eq!(example("id,naïve €\n".as_bytes(), piece), Some('ï'));
            assert_eq!(example(b"id,a\n", piece), None, "ASCII");
            assert_eq!(example(b"id,J\xFCrgen\n", piece), None);
            assert_eq!(example(b"\xC3\xA9,J\xFCrgen\n", piece), None);
            assert_eq!(example(b"\xC3\xA9,\xC3", piece), None, "cut");
        }
    }
}
