//! [`Enclosure`]: the form of an error file in a mail. The file is attached unchanged, attached
//! with gzip, or only named.

use std::io::{self, Read};

use flate2::Compression;
use flate2::read::GzEncoder;

use crate::config::{Mail, Size};
use crate::import_id::ImportId;

/// The largest ratio of file size to attachment limit at which gzip is tried. CSV shrinks to a
/// fifth or a tenth, so that a larger file would not fit.
const MAX_RATIO: u64 = 16;

/// The first bytes of every gzip file (RFC 1952). No CSV file in UTF-8 begins with these bytes.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Opens the error files of imports. The outbox does not know where the files are stored.
pub trait Attachments: Send + Sync {
    /// Opens the error file of `import`, called `name` when it was written, in the results of
    /// `account`. Returns the open file and its length in bytes.
    ///
    /// # Errors
    /// Returns an error also if the file is not a regular file.
    fn open(
        &self,
        account: &str,
        import: Option<&ImportId>,
        name: &str,
    ) -> io::Result<(Box<dyn Read>, u64)>;
}

/// The form in which a mail contains an import's error file.
#[derive(Clone, Debug)]
pub enum Enclosure {
    /// The import has no error file.
    None,
    /// The mail has the error file as an attachment with this name and content.
    Attached(String, Vec<u8>),
    /// The mail only names the error file. The text is the reason why the file is not attached.
    Named(String),
}

impl Enclosure {
    pub(super) fn is_attached(&self) -> bool {
        matches!(self, Self::Attached(..))
    }

    /// Returns the number of bytes of the attachment.
    pub fn len(&self) -> u64 {
        match self {
            Self::Attached(_, content) => content.len() as u64,
            Self::None | Self::Named(_) => 0,
        }
    }

    /// Returns the enclosure without its attachment. It is used after a mail server has rejected
    /// the size of the mail.
    pub(super) fn detached(&self) -> Self {
        match self {
            Self::Attached(..) => {
                Self::Named("the file is too large for the mail server".to_owned())
            }
            other => other.clone(),
        }
    }
}

/// Reports whether `content` is gzipped.
pub(super) fn is_gzip(content: &[u8]) -> bool {
    content.starts_with(&GZIP)
}

/// The size limits of a mail's attachments.
#[derive(Clone, Copy, Debug)]
pub struct AttachmentSizes {
    gzip_over: Size,
    attach_up_to: Size,
}

impl AttachmentSizes {
    pub fn new(config: &Mail) -> Self {
        Self { gzip_over: config.gzip_over, attach_up_to: config.attach_up_to }
    }

    /// Reports whether `content` fits into a mail that has `attached` bytes of attachments.
    pub fn has_room(&self, attached: u64, content: &[u8]) -> bool {
        attached.saturating_add(content.len() as u64) <= self.attach_up_to.bytes()
    }

    /// Returns the enclosure for the file `name` of `len` bytes. The same bytes always result in
    /// the same enclosure.
    pub fn pack(&self, name: &str, file: impl Read, len: u64) -> io::Result<Enclosure> {
        let max = self.attach_up_to.bytes();
        let named = || Enclosure::Named(format!("the file is larger than {}", self.attach_up_to));
        let read = |from: &mut dyn Read| {
            let mut content = Vec::new();
            from.take(max.saturating_add(1)).read_to_end(&mut content)?;
            Ok::<_, io::Error>((content.len() as u64 <= max).then_some(content))
        };
        if len > max.saturating_mul(MAX_RATIO) {
            return Ok(named());
        }
        let (name, content) = if len > self.gzip_over.bytes() {
            // The function reads at most `len` bytes, so that bytes that are appended in the
            // meantime do not enlarge the mail.
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
        let sizes = AttachmentSizes {
            gzip_over: Size::from_bytes(100),
            attach_up_to: Size::from_bytes(1000),
        };
        sizes.pack("e.csv", content, content.len() as u64).unwrap()
    }

    #[test]
    fn larger_files_are_gzipped_and_the_largest_named() {
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
        let mut seed = 1_u32; // xorshift makes bytes that gzip cannot compress
        let mut noisy = || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed as u8
        };
        let noise: Vec<u8> = (0..5000).map(|_| noisy()).collect();
        assert!(
            matches!(pack(&noise), Enclosure::Named(why) if why.starts_with("the file is larger"))
        );
        assert!(matches!(pack(&[b'x'; 16_001]), Enclosure::Named(_)));
    }
}
