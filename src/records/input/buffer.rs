//! [`TextBuffer`]: a buffer for input text that reuses memory.
//!
//! New memory must be cleared and causes a page fault every 4 KiB. The memory of an earlier block
//! needs neither. The memory after the text still contains bytes of earlier blocks of the same
//! file, but no method returns these bytes.

use std::ops::Deref;

/// A buffer for text to which bytes can be appended.
#[derive(Debug, Default)]
pub struct TextBuffer {
    /// The bytes of the text, followed by unused memory.
    bytes: Vec<u8>,
    length: usize,
}

impl TextBuffer {
    /// Creates an empty text buffer that reuses the memory of `used`.
    pub fn reusing(used: Vec<u8>) -> Self {
        Self { bytes: used, length: 0 }
    }

    /// Returns the memory after the text, with space for `most` bytes. After the caller has
    /// written to the memory, [`Self::advance`] adds the written bytes to the text.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let end = self.length + most;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.length..end]
    }

    /// Adds the `read` bytes that were written after the text to the text.
    pub fn advance(&mut self, read: usize) {
        self.length += read;
        assert!(self.length <= self.bytes.len(), "the text has at most the requested memory");
    }

    pub fn push(&mut self, text: &[u8]) {
        self.room(text.len()).copy_from_slice(text);
        self.advance(text.len());
    }

    /// Keeps the first `length` bytes of the text, and removes the rest.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Removes the text but keeps the memory of the buffer.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Returns the first `end` bytes of the text, and appends the remaining bytes to `rest`.
    pub fn cut(self, end: usize, rest: &mut Self) -> Vec<u8> {
        rest.push(&self[end..]);
        let mut text = self.bytes;
        text.truncate(end);
        text
    }
}

impl Deref for TextBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_buffer_hides_its_earlier_content() {
        let mut buffer = TextBuffer::reusing(b"earlier".to_vec());
        assert_eq!(*buffer, *b"");
        buffer.room(9)[..2].copy_from_slice(b"ab");
        buffer.advance(2);
        buffer.push(b"cd");
        let mut rest = TextBuffer::reusing(b"other".to_vec());
        assert_eq!(buffer.cut(3, &mut rest), b"abc");
        assert_eq!(*rest, *b"d");
        rest.clear();
        assert_eq!(*rest, *b"");
    }
}
