//! Decodes the data file to UTF-8. A byte order mark determines the encoding. Without one, the
//! manifest determines the encoding; the default is UTF-8.
//!
//! Bytes of a UTF-8 file are passed on unchecked. In any other encoding, a sequence of invalid
//! bytes becomes one byte 0xFF, which is never valid in UTF-8. A later stage rejects the records
//! with invalid bytes.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::buffer::TextBuffer;
use super::file_kind::HEAD;
use super::utf8_check::{Utf8Check, Utf8Example};
use super::wide_delimiter::DelimiterExchange;
use crate::manifest::Encoding;

/// The number of bytes that are decoded in one step.
const BUFFER: usize = 64 * 1024;

/// The first bytes of a data file, and the facts that were found in these bytes.
#[derive(Clone, Debug)]
pub struct FileHead {
    pub bytes: Vec<u8>,
    pub encoding: Encoding,
    pub marked: bool,
    /// An example that shows that a file declared as windows-1252 is UTF-8. The example is set at
    /// the end of the file.
    pub is_utf8: Utf8Example,
}

/// The text of a data file in UTF-8. The byte order mark is removed.
pub struct Utf8Stream<R> {
    input: R,
    /// The first bytes of the file, which were read to find a byte order mark. The mark itself is
    /// removed.
    head: Vec<u8>,
    transcoder: Option<Transcoder>,
    /// The exchange of the delimiter. `Some` if the delimiter is not an ASCII character.
    exchange: Option<DelimiterExchange>,
}

/// A decoder for an encoding other than UTF-8, with the input that was not decoded yet.
struct Transcoder {
    decoder: Decoder,
    bytes: Vec<u8>,
    at: usize,
    ended: bool,
    finished: bool,
    /// The check whether the file is UTF-8. `Some` for a single-byte encoding, because every byte
    /// is valid in such an encoding.
    utf8_check: Option<Utf8Check>,
}

impl<R: Read> Utf8Stream<R> {
    /// Examines the first bytes of `input`. `named` is the encoding that the manifest names.
    pub fn open(mut input: R, named: Option<Encoding>) -> io::Result<(Self, FileHead)> {
        let mut head = Vec::new();
        (&mut input).take(HEAD as u64).read_to_end(&mut head)?;
        let bytes = head.clone();
        let mark = byte_order_mark(&head);
        let encoding = mark.map(|(encoding, _)| encoding).or(named).unwrap_or(Encoding::Utf8);
        head.drain(..mark.map_or(0, |(_, length)| length));
        let mut utf8_check = (encoding == Encoding::Windows1252).then(Utf8Check::default);
        if let Some(check) = &mut utf8_check {
            check.push(&head);
        }
        let is_utf8 = utf8_check.as_ref().map(Utf8Check::result).unwrap_or_default();
        let transcoder = match encoding {
            Encoding::Utf8 => None,
            Encoding::Utf16Le => Some(UTF_16LE),
            Encoding::Utf16Be => Some(UTF_16BE),
            Encoding::Windows1252 => Some(WINDOWS_1252),
        }
        .map(|encoding| Transcoder {
            decoder: encoding.new_decoder_without_bom_handling(),
            bytes: std::mem::take(&mut head),
            at: 0,
            ended: false,
            finished: false,
            utf8_check,
        });
        let opening = FileHead { bytes, encoding, marked: mark.is_some(), is_utf8 };
        Ok((Self { input, head, transcoder, exchange: None }, opening))
    }

    /// Replaces a delimiter that is not an ASCII character by its substitute in all of the text.
    /// Must be called before [`Self::append`].
    pub fn replace_delimiter(&mut self, delimiter: char) {
        self.exchange = Some(DelimiterExchange::new(delimiter));
    }

    /// Appends at most `most` bytes of the decoded file to `text`. Returns the number of bytes,
    /// which is 0 at the end of the file.
    pub fn append(&mut self, text: &mut TextBuffer, most: usize) -> io::Result<usize> {
        if self.exchange.is_none() {
            return self.append_decoded(text, most);
        }
        let start = text.len();
        loop {
            let read = self.append_decoded(text, most)?;
            if let Some(exchange) = &mut self.exchange {
                exchange.apply(text, start, read == 0);
            }
            if read == 0 || text.len() > start {
                return Ok(text.len() - start);
            }
        }
    }

    fn append_decoded(&mut self, text: &mut TextBuffer, most: usize) -> io::Result<usize> {
        let read = match &mut self.transcoder {
            Some(transcoder) => transcoder.read(&mut self.input, text, most)?,
            None if !self.head.is_empty() => {
                text.push(&self.head);
                return Ok(std::mem::take(&mut self.head).len());
            }
            None => self.input.read(text.room(most))?,
        };
        text.advance(read);
        Ok(read)
    }
}

impl Transcoder {
    /// Decodes input into the memory after `text`, and returns the number of written bytes.
    fn read(
        &mut self,
        input: &mut impl Read,
        text: &mut TextBuffer,
        most: usize,
    ) -> io::Result<usize> {
        // A decoder needs memory for at least one character and for its pending output.
        let room = text.room(most.max(16));
        let mut read = 0;
        while read == 0 && !self.finished {
            if self.at == self.bytes.len() && !self.ended {
                self.refill(input)?;
            }
            read = self.decode(room);
        }
        Ok(read)
    }

    fn refill(&mut self, input: &mut impl Read) -> io::Result<()> {
        self.bytes.resize(BUFFER, 0);
        let read = input.read(&mut self.bytes)?;
        self.bytes.truncate(read);
        self.at = 0;
        self.ended = read == 0;
        match &mut self.utf8_check {
            Some(check) if self.ended => check.end(),
            Some(check) => check.push(&self.bytes),
            None => {}
        }
        Ok(())
    }

    /// Calls the decoder once. Returns the number of bytes that it wrote to `text`.
    fn decode(&mut self, text: &mut [u8]) -> usize {
        let (last, room) = text.split_last_mut().expect("the memory has space for 16 bytes");
        let bytes = &self.bytes[self.at..];
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(bytes, room, self.ended);
        self.at += read;
        match result {
            DecoderResult::InputEmpty => {
                self.finished = self.ended;
                written
            }
            DecoderResult::OutputFull => written,
            DecoderResult::Malformed(..) => {
                *room.get_mut(written).unwrap_or(last) = 0xFF;
                written + 1
            }
        }
    }
}

fn byte_order_mark(head: &[u8]) -> Option<(Encoding, usize)> {
    match head {
        [0xEF, 0xBB, 0xBF, ..] => Some((Encoding::Utf8, 3)),
        [0xFF, 0xFE, ..] => Some((Encoding::Utf16Le, 2)),
        [0xFE, 0xFF, ..] => Some((Encoding::Utf16Be, 2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that returns one byte per call.
    struct ByteReader<'a>(&'a [u8]);

    impl Read for ByteReader<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }

    fn decode(bytes: &[u8], named: Option<Encoding>) -> (Vec<u8>, FileHead) {
        let (mut stream, opening) = Utf8Stream::open(bytes, named).unwrap();
        let mut text = TextBuffer::default();
        while stream.append(&mut text, 100).unwrap() > 0 {}
        let (mut stream, _) = Utf8Stream::open(ByteReader(bytes), named).unwrap();
        let mut dripped = TextBuffer::default();
        while stream.append(&mut dripped, 1).unwrap() > 0 {}
        assert_eq!(*text, *dripped, "the sizes of reads do not matter");
        (text.to_vec(), opening)
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn a_byte_order_mark_overrides_the_manifest() {
        for named in [None, Some(Encoding::Windows1252), Some(Encoding::Utf16Be)] {
            let (text, opening) = decode("\u{feff}é,b".as_bytes(), named);
            assert_eq!((&*text, opening.encoding), ("é,b".as_bytes(), Encoding::Utf8));
            let (text, opening) = decode(&utf16("\u{feff}é,b", u16::to_le_bytes), named);
            assert_eq!((&*text, opening.encoding), ("é,b".as_bytes(), Encoding::Utf16Le));
            let (text, opening) = decode(&utf16("\u{feff}é,b", u16::to_be_bytes), named);
            assert_eq!((&*text, opening.encoding), ("é,b".as_bytes(), Encoding::Utf16Be));
            assert!(opening.marked);
        }
    }

    #[test]
    fn the_manifest_encoding_applies_without_a_mark() {
        assert_eq!(decode("é".as_bytes(), None).0, "é".as_bytes());
        assert_eq!(decode(b"caf\xe9 \x80", Some(Encoding::Windows1252)).0, "café €".as_bytes());
        let text = "a😀b".repeat(50);
        let bytes = utf16(&text, u16::to_be_bytes);
        assert_eq!(decode(&bytes, Some(Encoding::Utf16Be)).0, text.as_bytes());
        for short in ["", "a", "ab", "abc"] {
            assert_eq!(decode(short.as_bytes(), None).0, short.as_bytes());
            assert_eq!(decode(short.as_bytes(), Some(Encoding::Windows1252)).0, short.as_bytes());
        }
    }

    #[test]
    fn invalid_input_becomes_the_byte_0xff() {
        let mut bytes = utf16("a\nb", u16::to_le_bytes);
        bytes.extend([0x00, 0xD8, b'c', 0]); // the first unit is an unpaired surrogate
        bytes.push(b'd'); // the last character is incomplete
        assert_eq!(decode(&bytes, Some(Encoding::Utf16Le)).0, b"a\nb\xFFc\xFF");
        assert_eq!(decode(b"a\xE9", None).0, b"a\xE9");
    }

    #[test]
    fn utf8_declared_as_windows_1252_is_detected() {
        let example = |bytes: &[u8], named| decode(bytes, Some(named)).1.is_utf8.get().copied();
        assert_eq!(example("é".repeat(9000).as_bytes(), Encoding::Windows1252), Some('é'));
        assert_eq!(example(b"caf\xe9", Encoding::Windows1252), None);
        assert_eq!(example("é".as_bytes(), Encoding::Utf8), None);
    }
}
