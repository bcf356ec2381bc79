//! Decides how an error file is attached to a mail: unchanged, gzipped, or only named.

use std::io::{self, Read};

use flate2::Compression;
use flate2::read::GzEncoder;

use super::Enclosure;
use crate::config::{Mail, Size};

/// A file of more than this many times the attachment limit is not gzipped at all: CSV shrinks to a
/// fifth or a tenth.
const MAX_RATIO: u64 = 16;

/// The size limits of attachments.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    gzip_over: Size,
    attach_up_to: Size,
}

impl Packing {
    pub fn new(config: &Mail) -> Self {
        Self { gzip_over: config.gzip_over, attach_up_to: config.attach_up_to }
    }

    /// Reports whether `content` fits into a mail that has `attached` bytes of attachments.
    pub fn has_room(&self, attached: u64, content: &[u8]) -> bool {
        attached.saturating_add(content.len() as u64) <= self.attach_up_to.bytes()
    }

    /// Returns the enclosure for the file `name` of `len` bytes; the same bytes give the same one.
    pub fn pack(&self, name: &str, file: impl Read, len: u64) -> io::Result<Enclosure> {
        let max = self.attach_up_to.bytes();
        let named = || Enclosure::Named(format!("larger than {}", self.attach_up_to));
        let read = |from: &mut dyn Read| {
            let mut content = Vec::new();
            from.take(max.saturating_add(1)).read_to_end(&mut content)?;
            Ok::<_, io::Error>((content.len() as u64 <= max).then_some(content))
        };
        if len > max.saturating_mul(MAX_RATIO) {
            return Ok(named());
        }
        let (name, content) = if len > self.gzip_over.bytes() {
            // Reads `len` bytes only: a file that is being appended to must not grow the mail.
            (
                format!("{name}.gz"),
                read(&mut GzEncoder::new(file.take(len), Compression::default()))?,
            )
        } else {
            (name.to_owned(), read(&mut file.take(len))?)
        };
        Ok(content.map_or_else(named, |content| Enclosure::Attached(name, content)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(content: &[u8]) -> Enclosure {
        let packing =
            Packing { gzip_over: Size::from_bytes(100), attach_up_to: Size::from_bytes(1000) };
        packing.pack("e.csv", content, content.len() as u64).unwrap()
    }

    #[test]
    fn small_ones_go_as_they_are_larger_ones_gzipped_and_the_largest_are_named() {
        assert!(
            matches!(pack(&[b'x'; 100]), Enclosure::Attached(name, c) if name == "e.csv" && c.len() == 100)
        );
        let Enclosure::Attached(name, gzipped) = pack(&[b'x'; 5000]) else {
            panic!("not attached")
        };
        assert_eq!(name, "e.csv.gz");
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&*gzipped).read_to_end(&mut back).unwrap();
        assert_eq!(back, [b'x'; 5000]);
        let mut seed = 1_u32; // xorshift: bytes that don't shrink
        let mut noisy = || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed as u8
        };
        let noise: Vec<u8> = (0..5000).map(|_| noisy()).collect();
        assert!(matches!(pack(&noise), Enclosure::Named(why) if why.starts_with("larger than")));
        assert!(matches!(pack(&[b'x'; 16_001]), Enclosure::Named(_)));
    }
}
