//! Decompresses a data file, up to `max-data-file` bytes. The ending of the file name determines
//! the compression.
//!
//! A gzip file may consist of several members, and a zstd file of several frames, because the tools
//! of both formats write and read such files. Any other bytes after the last member or frame are an
//! error. A missing end is an error too.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::source::StreamError;
use crate::config::Size;

/// The largest allowed zstd window, as a power of two: 2^25 bytes are 32 MiB, which `zstd -20`
/// uses.
///
/// The window of a frame determines how much memory the reader needs. The format allows 128 MiB and
/// more.
const MAX_WINDOW_LOG: u32 = 25;

/// The number of compressed bytes that are read in one step.
const BUFFER: usize = 128 * 1024;

/// The compression of a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Returns the compression that the ending of a file name means. Upper and lower case are
    /// equal. `None` if the name does not have the ending of a data file.
    pub fn of(file_name: &str) -> Option<Self> {
        let name = file_name.to_ascii_lowercase();
        [(".csv", Self::None), (".csv.gz", Self::Gzip), (".csv.zst", Self::Zstd)]
            .into_iter()
            .find(|(ending, _)| name.ends_with(ending))
            .map(|(_, compression)| compression)
    }

    /// Returns the name of the compression tool, such as `gzip`.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Returns the compression of a file that begins with `head`. Returns `None` if the file is
    /// not compressed. A zstd file may begin with a skippable frame.
    pub(super) fn by_mark(head: &[u8]) -> Option<Self> {
        match head {
            [0x1F, 0x8B, ..] => Some(Self::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Reads the decompressed bytes of a data file. The bytes still have the encoding of the file.
pub struct Decompressor<R: Read> {
    stream: DecoderStream<R>,
    left: u64,
    max: Size,
}

enum DecoderStream<R: Read> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<R>>),
}

impl<R: Read> Decompressor<R> {
    /// Creates a decompressor for `source`. An error means that zstd is out of memory.
    pub fn open(source: R, compression: Compression, max: Size) -> io::Result<Self> {
        let stream = match compression {
            Compression::None => DecoderStream::Plain(source),
            Compression::Gzip => {
                let buffered = BufReader::with_capacity(BUFFER, source);
                DecoderStream::Gzip(Box::new(MultiGzDecoder::new(buffered)))
            }
            Compression::Zstd => {
                let buffered = BufReader::with_capacity(BUFFER, source);
                let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                DecoderStream::Zstd(decoder)
            }
        };
        Ok(Self { stream, left: max.bytes(), max })
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.stream {
            DecoderStream::Plain(source) => source.read(buffer),
            DecoderStream::Gzip(decoder) => decoder.read(buffer),
            DecoderStream::Zstd(decoder) => decoder.read(buffer),
        }?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(StreamError::ExpandsTooFar(self.max)))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::records::input::source::{Meter, MeteredInput, read_failure};
    use crate::report::FailureText;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(text, 1).unwrap()
    }

    fn read(bytes: &[u8], compression: Compression, max: u64) -> Result<Vec<u8>, String> {
        let max = Size::from_bytes(max);
        let meter = Meter::default();
        let source = MeteredInput::new(bytes, meter.clone(), max);
        let mut text = Vec::new();
        Decompressor::open(source, compression, max)
            .and_then(|mut stream| stream.read_to_end(&mut text))
            .map(|_| text)
            .map_err(|error| {
                let failure = read_failure(&error, &meter);
                assert_eq!(failure.message, FailureText::Unreadable);
                failure.detail
            })
    }

    #[test]
    fn the_file_name_determines_the_compression() {
        assert_eq!(Compression::of("e.csv"), Some(Compression::None));
        assert_eq!(Compression::of("E.CSV.GZ"), Some(Compression::Gzip));
        assert_eq!(Compression::of("e.csv.zst"), Some(Compression::Zstd));
        for name in ["e.txt", "e.gz", "csv", "e.csv.bz2", "e.manifest", "e.csv~"] {
            assert_eq!(Compression::of(name), None, "{name}");
        }
    }

    #[test]
    fn all_gzip_members_and_zstd_frames_are_read() {
        let text = b"a,b\n1,2\n";
        for (compression, compress) in
            [(Compression::Gzip, gzip as fn(&[u8]) -> Vec<u8>), (Compression::Zstd, zstd)]
        {
            let both = [compress(text), compress(b"3,4\n")].concat();
            assert_eq!(read(&both, compression, 1000).unwrap(), b"a,b\n1,2\n3,4\n");
        }
    }

    #[test]
    fn incomplete_or_damaged_streams_are_errors() {
        let text = b"a,b\n1,2\n";
        for (compression, whole) in
            [(Compression::Gzip, gzip(text)), (Compression::Zstd, zstd(text))]
        {
            for cut in 1..whole.len() {
                let error = read(&whole[..cut], compression, 1000).unwrap_err();
                assert!(
                    error.starts_with("the compressed data is damaged or incomplete"),
                    "{error}"
                );
            }
            for garbage in [&b"x"[..], b"garbage after the end", b"\0\0\0\0\0\0\0\0\0\0"] {
                let error = read(&[&whole, garbage].concat(), compression, 1000).unwrap_err();
                assert!(
                    error.starts_with("the compressed data is damaged or incomplete"),
                    "{error}"
                );
            }
            let mut flipped = whole.clone();
            let middle = flipped.len() - 6;
            flipped[middle] ^= 0x10;
            assert_ne!(read(&flipped, compression, 1000).as_deref(), Ok(&text[..]));
        }
    }

    #[test]
    fn the_decompressed_size_is_limited() {
        let zeros = vec![b'0'; 100_000];
        for (compression, bomb) in
            [(Compression::Gzip, gzip(&zeros)), (Compression::Zstd, zstd(&zeros))]
        {
            let error = read(&bomb, compression, 99_999).unwrap_err();
            assert_eq!(error, "the file is larger than 100.0 kB when decompressed");
            assert_eq!(read(&bomb, compression, 100_000).unwrap(), zeros);
        }
        let error = read(&zeros, Compression::None, 50_000).unwrap_err();
        assert_eq!(error, "the file is larger than 50.0 kB");
    }
}
