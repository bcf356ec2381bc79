//! [`Entry`]: one thing seen in incoming, as it was at that moment. Pure.
//!
//! An `Entry` that exists has a usable name. All else in it is a hint: what counts is asked again
//! of the open file when it is claimed.

use jiff::Timestamp;
use nix::sys::stat::{FileStat, SFlag};

/// What a manifest's name ends in.
pub const MANIFEST_ENDING: &str = ".manifest";

/// What a data file's name ends in, in any case.
pub const DATA_ENDINGS: [&str; 3] = [".csv", ".csv.gz", ".csv.zst"];

/// Linux's longest file name, in bytes (`NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory.
    Folder,
    /// A symbolic link, FIFO, socket or device.
    Other,
}

/// One thing seen in incoming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its usable name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// Last change of content, attributes or name, by the host's clock. Unlike the modification
    /// time, an account can't set it.
    pub ctime: Timestamp,
    /// The device it lies on.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
    /// How many names it has.
    pub nlink: u64,
}

/// `bytes` as a name to work with: UTF-8, no control characters, 1 to 255 bytes, not hidden, one
/// path component.
pub fn usable_name(bytes: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(bytes).ok()?;
    let usable = (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with('.')
        && !name.contains(|c: char| c.is_control() || c == '/');
    usable.then_some(name)
}

impl Entry {
    /// The entry called `name` with what `stat` says of it.
    pub fn new(name: &str, stat: &FileStat) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind(stat),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            ctime: timestamp(stat.st_ctime, stat.st_ctime_nsec),
            dev: stat.st_dev,
            ino: stat.st_ino,
            nlink: stat.st_nlink,
        }
    }

    /// Whether it is called like a manifest, and is not a folder.
    ///
    /// A folder is left where it is: SFTP sessions can't make one, and moving another user's
    /// folder takes rights on it that the daemon doesn't have.
    pub fn is_manifest(&self) -> bool {
        self.name.ends_with(MANIFEST_ENDING) && self.kind != Kind::Folder
    }

    /// Whether another file took its name, or it was removed, between its lookup and its stat(2).
    pub fn is_unlinked(&self) -> bool {
        self.nlink == 0
    }

    /// Whether it is a regular file and this is its only name.
    pub fn is_plain(&self) -> bool {
        self.kind == Kind::Regular && self.nlink == 1
    }
}

/// The length of the data file ending of `name`, if it has one.
pub fn data_ending(name: &str) -> Option<usize> {
    DATA_ENDINGS.iter().map(|ending| ending.len()).find(|&length| {
        name.len() > length
            && name
                .get(name.len() - length..)
                .is_some_and(|end| DATA_ENDINGS.iter().any(|e| end.eq_ignore_ascii_case(e)))
    })
}

/// What kind of thing `stat` is of.
pub fn kind(stat: &FileStat) -> Kind {
    match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => Kind::Regular,
        SFlag::S_IFDIR => Kind::Folder,
        _ => Kind::Other,
    }
}

/// A time as stat(2) gives it; one that no calendar holds counts as 1970.
fn timestamp(second: i64, nanosecond: i64) -> Timestamp {
    let nanosecond = i32::try_from(nanosecond).unwrap_or(0);
    Timestamp::new(second, nanosecond).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usable_name_is_visible_text_of_one_component() {
        let longest = "x".repeat(MAX_NAME);
        for name in ["e.csv", "été 2026.csv", "a..b", "-rf", &longest] {
            assert_eq!(usable_name(name.as_bytes()), Some(name));
        }
        for name in ["", ".", "..", ".e.csv", "a/b", "a\nb", "a\x1b[2Jb", "a\u{85}", "a\x7f"] {
            assert_eq!(usable_name(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(usable_name(&[b'x'; MAX_NAME + 1]), None);
        assert_eq!(usable_name(b"\xff.csv"), None);
    }

    #[test]
    fn data_files_are_known_by_their_ending() {
        for (name, length) in [
            ("e.csv", Some(4)),
            ("E.CSV", Some(4)),
            ("e.csv.gz", Some(7)),
            ("e.Csv.Zst", Some(8)),
            (".csv", None),
            ("e.txt", None),
            ("e.gz", None),
            ("csv", None),
            ("eé.xls", None),
        ] {
            assert_eq!(data_ending(name), length, "{name}");
        }
    }
}
