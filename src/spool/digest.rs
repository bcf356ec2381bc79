//! [`Digest`]: what a manifest holds, as far as it takes to know it again. Pure but for the reading.
//!
//! Times and inodes can't tell a manifest that was written again from one whose time was set; its
//! bytes can.

use std::fmt;
use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;

/// A manifest's length and its bytes' SHA-256; written `LENGTH:BASE64`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    length: u64,
    sha256: [u8; 32],
}

impl Digest {
    /// That of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len() as u64, sha256: sha2::Sha256::digest(bytes).into() }
    }

    /// How many bytes it is of.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// What `file` holds from where it stands, if that is what this is of: read no further than it
    /// takes to tell.
    pub(super) fn read(&self, file: impl Read) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        file.take(self.length.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((Self::of(&bytes) == *self).then_some(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.length, STANDARD.encode(self.sha256))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is no digest")))
    }
}

fn parse(text: &str) -> Option<Digest> {
    let (length, sha256) = text.split_once(':')?;
    let sha256 = STANDARD.decode(sha256).ok()?.try_into().ok()?;
    Some(Digest { length: length.parse().ok()?, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_from_json() {
        let digest = Digest::of(b"{}");
        let json = serde_json::to_string(&digest).unwrap();
        assert!(json.starts_with("\"2:RBNvo1WzZ4o"), "{json}");
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        for wrong in ["", "2:", "2:RBNv", "x:RBNv", "é"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn knows_its_bytes_and_no_others() {
        let digest = Digest::of(b"{}");
        assert_eq!(digest.read(&b"{}"[..]).unwrap().as_deref(), Some(&b"{}"[..]));
        for other in [&b""[..], b"{", b"{]", b"{}\n"] {
            assert_eq!(digest.read(other).unwrap(), None);
        }
    }
}
