//! [`FileId`] identifies a file that a claim moves. This module is pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::ClaimError;
use crate::spool::incoming::entry::DirEntry;
use crate::spool::layout::{DATA, MANIFEST};

/// A file that a claim moves. The struct identifies the exact content under an exact name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// The name of the file in incoming.
    pub name: String,
    pub dev: u64,
    pub ino: u64,
    pub ctime: Timestamp,
    /// Whether the file is a regular file with one name. Other files are moved without being
    /// opened, and are then refused.
    pub plain: bool,
}

impl FileId {
    pub fn of(entry: &DirEntry) -> Self {
        let DirEntry { dev, ino, ctime, .. } = *entry;
        Self { name: entry.name.clone(), dev, ino, ctime, plain: entry.is_plain() }
    }

    pub fn changed(&self) -> ClaimError {
        ClaimError::Changed { name: self.name.clone() }
    }
}

/// One of the two files of a pair that a claim moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PairFile {
    Data,
    Manifest,
}

impl PairFile {
    /// Returns the name that the file has in the spool.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Data => DATA,
            Self::Manifest => MANIFEST,
        }
    }
}
