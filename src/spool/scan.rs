//! Looks at an account's incoming: lists it, reads new manifests, asks who is still writing.
//!
//! Changes nothing. A manifest is opened once per content: what was read of it is kept in the
//! account's [`Memory`] until it changes or goes. A file that changes under the look is left out
//! of it: the change itself wakes us again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::stat::fstat;

use super::entry::{Entry, usable_name};
use super::folder::{Folder, FolderError};
use super::layout::Layout;
use super::pair::{Content, Known, ManifestSeen, Sight, Verdict};
use crate::account::AccountId;
use crate::config::Size;
use crate::sys::{LeaseError, ReadLease};

/// Why incoming, or one file in it, could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// incoming itself can't be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// incoming can't be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be opened; `EACCES` means that `CAP_DAC_READ_SEARCH` is missing.
    #[error("cannot open {name:?} in {}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// The file's name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A file can't be read.
    #[error("cannot read {name:?} in {}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// The file's name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody can tell whether a file is still being written.
    #[error("cannot tell whether {name:?} in {} is being written", path.display())]
    Lease {
        /// The folder.
        path: PathBuf,
        /// The file's name.
        name: String,
        /// Why.
        source: LeaseError,
    },
}

/// What was seen, and what could not be.
#[derive(Debug, Default)]
pub struct Seen {
    /// For [`super::pair::decide`].
    pub sight: Sight,
    /// Names that are not usable (not UTF-8, control characters); hidden ones don't count.
    pub unusable: usize,
    /// Files that the host would not let us look at; their manifests are left out of `sight`.
    pub problems: Vec<ScanError>,
}

/// What was read of an account's manifests, by content. Start with an empty one.
#[derive(Debug, Default)]
pub struct Memory(HashMap<Version, Remembered>);

/// One content of one file: any change of it changes the ctime.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Version {
    name: String,
    dev: u64,
    ino: u64,
    ctime: Timestamp,
}

#[derive(Clone, Debug)]
struct Remembered {
    first_seen: Instant,
    verdict: Option<Verdict>,
}

/// What became of opening a file that was listed.
enum Opened {
    Leased(ReadLease),
    BeingWritten,
    /// Another file, or other content, than the one listed; or none.
    Changed,
}

/// An account's incoming, held open.
#[derive(Debug)]
pub struct Incoming {
    folder: Folder,
}

impl Incoming {
    /// Opens an account's incoming.
    ///
    /// # Errors
    /// It is missing or can't be opened.
    pub fn open(layout: &Layout, account: &AccountId) -> Result<Self, ScanError> {
        Ok(Self { folder: Folder::open(&layout.incoming(account))? })
    }

    /// Everything with a usable name, in no order, and how many names are unusable.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn list(&self) -> Result<(Vec<Entry>, usize), ScanError> {
        let failed = |errno: Errno| ScanError::List {
            path: self.folder.path().to_owned(),
            source: errno.into(),
        };
        let (mut entries, mut unusable) = (Vec::new(), 0);
        for entry in self.folder.entries().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let bytes = entry.file_name().to_bytes();
            let Some(name) = usable_name(bytes) else {
                unusable += usize::from(!bytes.starts_with(b"."));
                continue;
            };
            match self.folder.stat(name) {
                Ok(stat) => entries.push(Entry::new(name, &stat)),
                Err(Errno::ENOENT) => {} // gone since it was listed
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok((entries, unusable))
    }

    /// Looks at everything. `max_manifest` bounds what is read of a manifest; `parse` judges it.
    ///
    /// # Errors
    /// The folder can't be read. What is wrong with single files is in [`Seen::problems`].
    pub fn look(
        &self,
        memory: &mut Memory,
        max_manifest: Size,
        parse: impl Fn(&[u8]) -> Verdict,
    ) -> Result<Seen, ScanError> {
        let (entries, unusable) = self.list()?;
        let mut seen = Seen { unusable, ..Seen::default() };
        let (manifests, files): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(Entry::is_manifest);
        seen.sight.files = files;
        let mut kept = HashMap::with_capacity(manifests.len());
        for entry in manifests {
            let version = Version::of(&entry);
            let mut remembered = memory.0.remove(&version).unwrap_or_else(Remembered::now);
            match self.content(&entry, &mut remembered, max_manifest, &parse) {
                Ok(Some(content)) => {
                    let seen_for = remembered.first_seen.elapsed();
                    seen.sight.manifests.push(ManifestSeen { entry, content, seen_for });
                }
                Ok(None) => {}
                Err(problem) => seen.problems.push(problem),
            }
            kept.insert(version, remembered);
        }
        memory.0 = kept;
        self.ask_for_writers(&mut seen);
        Ok(seen)
    }

    /// What a manifest holds; none if it changed since it was listed.
    fn content(
        &self,
        entry: &Entry,
        remembered: &mut Remembered,
        max: Size,
        parse: impl Fn(&[u8]) -> Verdict,
    ) -> Result<Option<Content>, ScanError> {
        if !entry.is_plain() {
            return Ok(Some(Content::NotPlain));
        }
        if let Some(verdict) = &remembered.verdict {
            return Ok(Some(Content::Read(verdict.clone())));
        }
        let lease = match self.lease(entry)? {
            Opened::Leased(lease) => lease,
            Opened::BeingWritten => return Ok(Some(Content::BeingWritten)),
            Opened::Changed => return Ok(None),
        };
        let failed = |source| self.unreadable(entry, source);
        let bytes = read_up_to(lease.file(), max.bytes()).map_err(failed)?;
        if !lease.is_whole().map_err(failed)? {
            return Ok(Some(Content::BeingWritten));
        }
        let verdict = match bytes {
            Some(bytes) => parse(&bytes),
            None => too_large(entry, max),
        };
        remembered.verdict = Some(verdict.clone());
        Ok(Some(Content::Read(verdict)))
    }

    /// Finds out which of the data files that manifests name are still being written.
    fn ask_for_writers(&self, seen: &mut Seen) {
        let Seen { sight, problems, .. } = seen;
        let files: HashMap<_, _> = sight.files.iter().map(|f| (f.name.as_str(), f)).collect();
        let being_written = &mut sight.being_written;
        sight.manifests.retain(|manifest| {
            let Content::Read(Verdict::Valid { data_file, .. }) = &manifest.content else {
                return true;
            };
            let Some(file) = files.get(data_file.as_str()).filter(|file| file.is_plain()) else {
                return true;
            };
            match self.lease(file) {
                Ok(Opened::Leased(_)) => true,
                Ok(Opened::BeingWritten) => {
                    being_written.insert(data_file.clone());
                    true
                }
                Ok(Opened::Changed) => false,
                Err(problem) => {
                    problems.push(problem);
                    false
                }
            }
        });
    }

    /// Opens the file that `entry` lists and takes a read lease on it.
    fn lease(&self, entry: &Entry) -> Result<Opened, ScanError> {
        let file = match self.folder.read(&entry.name) {
            Ok(file) => file,
            // Gone; or in its place a symbolic link, a socket, a device without a driver.
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => {
                return Ok(Opened::Changed);
            }
            Err(errno) => {
                return Err(ScanError::Open {
                    path: self.folder.path().to_owned(),
                    name: entry.name.clone(),
                    source: errno.into(),
                });
            }
        };
        let stat = fstat(&file).map_err(|errno| self.unreadable(entry, errno.into()))?;
        let now = Entry::new(&entry.name, &stat);
        if Version::of(&now) != Version::of(entry) || !now.is_plain() {
            return Ok(Opened::Changed);
        }
        match ReadLease::take(file) {
            Ok(lease) => Ok(Opened::Leased(lease)),
            Err(LeaseError::Writer) => Ok(Opened::BeingWritten),
            Err(source) => Err(ScanError::Lease {
                path: self.folder.path().to_owned(),
                name: entry.name.clone(),
                source,
            }),
        }
    }

    fn unreadable(&self, entry: &Entry, source: io::Error) -> ScanError {
        let path = self.folder.path().to_owned();
        ScanError::Read { path, name: entry.name.clone(), source }
    }
}

impl Version {
    fn of(entry: &Entry) -> Self {
        Self { name: entry.name.clone(), dev: entry.dev, ino: entry.ino, ctime: entry.ctime }
    }
}

impl Remembered {
    fn now() -> Self {
        Self { first_seen: Instant::now(), verdict: None }
    }
}

/// Everything in `file`, or none when it is over `max` bytes.
fn read_up_to(file: &File, max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}

fn too_large(entry: &Entry, max: Size) -> Verdict {
    let findings = format!("the manifest has {} bytes, {} are allowed", entry.size, max.bytes());
    Verdict::Invalid { findings, known: Known::default() }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
