//! [`Buffer`]: text on its way in, read into memory that was used before.
//!
//! Memory that the reader gets from the system must be cleared first, and costs a page fault every
//! 4 KiB; a block's memory that comes back costs neither. What is behind the text is of earlier
//! blocks of the same file, and nobody sees it.

use std::ops::Deref;

/// A text that grows at its end.
#[derive(Debug, Default)]
pub struct Buffer {
    /// The text, and behind it room that may be read into.
    bytes: Vec<u8>,
    length: usize,
}

impl Buffer {
    /// An empty one in the memory of `used`.
    pub fn reusing(used: Vec<u8>) -> Self {
        Self { bytes: used, length: 0 }
    }

    /// Room for `most` bytes behind the text. What is put there is no text before
    /// [`Self::advance`].
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let end = self.length + most;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.length..end]
    }

    /// The first `read` bytes of the room are text now.
    pub fn advance(&mut self, read: usize) {
        self.length += read;
        assert!(self.length <= self.bytes.len(), "no more than there was room for");
    }

    /// Appends to the text.
    pub fn push(&mut self, text: &[u8]) {
        self.room(text.len()).copy_from_slice(text);
        self.advance(text.len());
    }

    /// Leaves the room, and none of the text.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// The first `end` bytes of the text; the rest is pushed to `rest`.
    pub fn cut(self, end: usize, rest: &mut Self) -> Vec<u8> {
        rest.push(&self[end..]);
        let mut text = self.bytes;
        text.truncate(end);
        text
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_of_what_its_memory_held() {
        let mut buffer = Buffer::reusing(b"earlier".to_vec());
        assert_eq!(*buffer, *b"");
        buffer.room(9)[..2].copy_from_slice(b"ab");
        buffer.advance(2);
        buffer.push(b"cd");
        let mut rest = Buffer::reusing(b"other".to_vec());
        assert_eq!(buffer.cut(3, &mut rest), b"abc");
        assert_eq!(*rest, *b"d");
        rest.clear();
        assert_eq!(*rest, *b"");
    }
}
