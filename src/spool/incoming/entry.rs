//! [`DirEntry`]: a directory entry of incoming with its attributes at listing time. This module is
//! pure.
//!
//! Invariant: a `DirEntry` has a usable name. Its other fields are hints: a claim reads them again
//! from the open file.

use jiff::Timestamp;
use nix::sys::stat::{FileStat, SFlag};

use super::manifest_name::is_manifest_name;

/// The endings that the name of a data file can have, in upper or lower case.
pub const DATA_ENDINGS: [&str; 3] = [".csv", ".csv.gz", ".csv.zst"];

/// The maximum length of a file name in Linux, in bytes (`NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// The type of a file in incoming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Regular,
    Folder,
    /// The entry is a symbolic link, a FIFO, a socket or a device.
    Other,
}

/// An entry of the incoming folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: String,
    pub kind: FileKind,
    /// The size of the file in bytes.
    pub size: u64,
    /// The time of the last change of the file's content, attributes or name, by the host's clock.
    /// Unlike the modification time, an account cannot set this time.
    pub ctime: Timestamp,
    pub dev: u64,
    pub ino: u64,
    /// The number of names (hard links) that the file has.
    pub nlink: u64,
}

/// Returns `bytes` as a usable name. A usable name is UTF-8 without control characters, has 1 to
/// 255 bytes, is not hidden, and is one path component. `None` if `bytes` is not a usable name.
pub fn usable_name(bytes: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(bytes).ok()?;
    let usable = (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with('.')
        && !name.contains(|c: char| c.is_control() || c == '/');
    usable.then_some(name)
}

impl DirEntry {
    /// Creates an entry with the name `name` and the attributes in `stat`.
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

    /// Returns whether the entry is named like a manifest and is not a folder.
    ///
    /// Folders stay in incoming. SFTP sessions cannot create them, and the daemon lacks the rights
    /// to move another user's folder.
    pub fn is_manifest(&self) -> bool {
        is_manifest_name(&self.name) && self.kind != FileKind::Folder
    }

    /// Returns whether the file was removed or replaced after it was listed and before its
    /// attributes were read.
    pub fn is_unlinked(&self) -> bool {
        self.nlink == 0
    }

    /// Returns whether the entry of the folder is a regular file with only one name.
    pub fn is_plain(&self) -> bool {
        self.kind == FileKind::Regular && self.nlink == 1
    }
}

/// Returns the length of the ending of a data file's name. Returns `None` if `name` has no such
/// ending.
pub fn data_ending(name: &str) -> Option<usize> {
    DATA_ENDINGS.iter().map(|ending| ending.len()).find(|&length| {
        name.len() > length
            && name
                .get(name.len() - length..)
                .is_some_and(|end| DATA_ENDINGS.iter().any(|e| end.eq_ignore_ascii_case(e)))
    })
}

pub fn kind(stat: &FileStat) -> FileKind {
    match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => FileKind::Regular,
        SFlag::S_IFDIR => FileKind::Folder,
        _ => FileKind::Other,
    }
}

/// Converts a time from stat(2). A time that is out of range becomes the start of 1970.
fn timestamp(second: i64, nanosecond: i64) -> Timestamp {
    let nanosecond = i32::try_from(nanosecond).unwrap_or(0);
    Timestamp::new(second, nanosecond).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_be_visible_text_of_one_component() {
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
    fn data_files_are_recognized_by_their_ending() {
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
