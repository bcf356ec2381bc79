//! Writes answers, which are files in an account's results/. A rename makes each answer visible
//! when it is complete.
//!
//! Every file is written under a hidden name that contains the import's id, is synced, and is
//! renamed to its final name. If this is repeated after a crash, the new file has the same bytes.

pub mod usage;

use std::fs::File;
use std::io::{self, Write};

use nix::errno::Errno;
use nix::fcntl::RenameFlags;
use nix::sys::stat::{Mode, fchmod, fstat};

use super::incoming::entry::{DirEntry, FileKind, MAX_NAME, usable_name};
use super::incoming::manifest_name::manifest_stem;
use super::layout::Layout;
use crate::account::AccountId;
use crate::files::IoError;
use crate::files::dir::{Folder, FolderError};
use crate::import_id::ImportId;

/// The length of the longest ending that follows the stem in the name of an answer, in bytes.
const MAX_ENDING: usize = ".errors.jsonl".len();

/// The purpose that the hidden name of an unpublished report contains.
const ANSWER: &str = "answer";

/// The permission bits of answers. Everybody may read the answers, because the account may be
/// neither their owner nor in their group.
const MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR).union(Mode::S_IRGRP).union(Mode::S_IROTH);

/// The reason why an answer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The folder results/ cannot be opened, or the folder is missing because the account was
    /// removed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Io(#[from] IoError),
}

/// The open results/ folder of an account.
#[derive(Debug)]
pub struct Results {
    folder: Folder,
}

/// An unpublished file in results/, under a hidden name. If the file is not published, the next
/// file of the same import and purpose overwrites it.
#[derive(Debug)]
#[must_use = "the file is visible only after it is published"]
pub struct UnpublishedFile {
    file: File,
    name: String,
}

impl UnpublishedFile {
    /// Returns a second handle for writing to the file. The handle may stay open when the file is
    /// published. Fails only if no file descriptor is available.
    pub fn try_clone(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Makes the content of the file durable.
    pub fn sync(&self) -> Result<(), ResultsError> {
        self.file.sync_all().map_err(|error| IoError::new("sync", &self.name, error).into())
    }
}

impl Write for UnpublishedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Results {
    pub fn open(layout: &Layout, account: &AccountId) -> Result<Self, ResultsError> {
        Ok(Self { folder: Folder::open(&layout.results(account))? })
    }

    /// Creates an empty file in results/ that the caller fills and publishes. `purpose`
    /// distinguishes the files of one import.
    pub fn create_temp(
        &self,
        import: &ImportId,
        purpose: &str,
    ) -> Result<UnpublishedFile, ResultsError> {
        self.temp(format!(".{import}.{purpose}.tmp"))
    }

    fn temp(&self, name: String) -> Result<UnpublishedFile, ResultsError> {
        let file = self.folder.create(&name, MODE).map_err(|e| self.error("create", &name, e))?;
        // The permissions of the file must not depend on the umask.
        fchmod(&file, MODE).map_err(|e| self.error("set the mode of the file", &name, e))?;
        Ok(UnpublishedFile { file, name })
    }

    /// Renames the file `temp` to its final name, durably. An existing file with this name is
    /// replaced.
    pub fn publish(&self, temp: UnpublishedFile, name: &str) -> Result<(), ResultsError> {
        temp.file.sync_all().map_err(|e| self.error("sync", &temp.name, e))?;
        self.rename(&temp, name)?;
        self.folder.sync().map_err(|errno| self.error("sync the folder of the file", name, errno))
    }

    /// Removes the file `temp` without publishing it.
    pub fn discard(&self, temp: UnpublishedFile) -> Result<(), ResultsError> {
        self.folder.remove(&temp.name).map_err(|errno| self.error("remove", &temp.name, errno))
    }

    /// Writes `bytes` as the answer `name` of `import`, durably. An existing answer with this name
    /// is replaced.
    pub fn write(&self, import: &ImportId, name: &str, bytes: &[u8]) -> Result<(), ResultsError> {
        self.fill(self.create_temp(import, ANSWER)?, name, bytes)
    }

    /// Writes `bytes` as the answer `name`, durably. The answer belongs to no import. An existing
    /// answer with this name is replaced.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), ResultsError> {
        self.fill(self.temp(format!(".{name}.tmp"))?, name, bytes)
    }

    /// Removes the answer `name` durably if the answer exists.
    pub fn remove(&self, name: &str) -> Result<(), ResultsError> {
        if self.remove_all(&[name])? > 0 {
            self.folder.sync().map_err(|e| self.error("sync the folder of the file", name, e))?;
        }
        Ok(())
    }

    fn fill(
        &self,
        mut temp: UnpublishedFile,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), ResultsError> {
        let written = temp.write_all(bytes);
        written.map_err(|e| self.error("write", &temp.name, e))?;
        self.publish(temp, name)
    }

    /// Removes the answers `names`. Returns the number of answers that existed.
    pub fn remove_all(&self, names: &[impl AsRef<str>]) -> Result<usize, ResultsError> {
        let mut removed = 0;
        for name in names.iter().map(AsRef::as_ref) {
            let existed = self.folder.remove_existing(name);
            removed += usize::from(existed.map_err(|e| self.error("remove", name, e))?);
        }
        Ok(removed)
    }

    /// Writes `bytes` as the answer `name`. The answer is complete, but not durable, because it is
    /// useless after a crash. This function must not run while [`Self::write`] runs for the same
    /// import.
    pub fn write_unsynced(
        &self,
        import: &ImportId,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), ResultsError> {
        // The final report has the same hidden name as this file. After a crash, the final report
        // overwrites the file.
        let mut temp = self.create_temp(import, ANSWER)?;
        let written = temp.write_all(bytes);
        written.map_err(|e| self.error("write", &temp.name, e))?;
        self.rename(&temp, name)
    }

    fn rename(&self, temp: &UnpublishedFile, name: &str) -> Result<(), ResultsError> {
        self.folder
            .rename(&temp.name, &self.folder, name, RenameFlags::empty())
            .map_err(|errno| self.error("rename a file to the path", name, errno))
    }

    /// Renames the answer `from` to `to` if it exists. The new name is durable only after
    /// [`Self::sync`].
    pub fn rename_existing(&self, from: &str, to: &str) -> Result<(), ResultsError> {
        match self.folder.rename(from, &self.folder, to, RenameFlags::empty()) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(self.error("rename a file to the path", to, errno)),
        }
    }

    /// Makes the earlier renames in results/ durable.
    pub fn sync(&self) -> Result<(), ResultsError> {
        self.folder.sync().map_err(|errno| self.error("sync the folder", ".", errno))
    }

    /// Opens the answer `name` as an attachment. Fails if the answer is not a regular file.
    pub fn read(&self, name: &str) -> Result<File, ResultsError> {
        let error = |errno| self.error("open", name, errno);
        let usable = usable_name(name.as_bytes()).ok_or(Errno::EINVAL).map_err(error)?;
        let file = self.folder.read(usable).map_err(error)?;
        match fstat(&file).map(|stat| DirEntry::new(name, &stat).kind) {
            Ok(FileKind::Regular) => Ok(file),
            Ok(_) => Err(error(Errno::EINVAL)),
            Err(errno) => Err(error(errno)),
        }
    }

    fn error(
        &self,
        operation: &'static str,
        name: &str,
        source: impl Into<io::Error>,
    ) -> ResultsError {
        IoError::new(operation, self.folder.path().join(name), source).into()
    }
}

/// Returns the stem of an import's answers: the manifest's name without its ending. The stem is the
/// import's id instead if that name is unusable, is too long for some ending, or has the format of
/// an import id of this node.
pub fn stem(manifest: &str, import: &ImportId) -> String {
    let stem = manifest_stem(manifest);
    match usable_name(stem.as_bytes()) {
        // An earlier answer with the same stem is renamed to the id of its import.
        Some(stem) if stem.len() + MAX_ENDING <= MAX_NAME && !import.is_of_same_node(stem) => {
            stem.to_owned()
        }
        _ => import.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::test_host::TestHost;
    use super::*;

    #[test]
    fn answer_is_complete_when_it_becomes_visible() {
        let host = TestHost::new();
        let results = Results::open(&host.layout, &host.account).unwrap();
        for bytes in [&b"one"[..], b"two"] {
            let mut temp = results.create_temp(&host.import, "errors").unwrap();
            temp.write_all(bytes).unwrap();
            results.publish(temp, "e.errors.csv").unwrap();
            assert_eq!(std::fs::read(host.results().join("e.errors.csv")).unwrap(), bytes);
        }
        results.write(&host.import, "e.result.json", b"{}").unwrap();
        let metadata = std::fs::metadata(host.results().join("e.result.json")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o644);
        assert_eq!(host.names("results"), ["e.errors.csv", "e.result.json"]);
    }

    #[test]
    fn leftovers_of_a_crash_are_overwritten() {
        let host = TestHost::new();
        let results = Results::open(&host.layout, &host.account).unwrap();
        let mut cut = results.create_temp(&host.import, "errors").unwrap();
        cut.write_all(b"half a line that is longer").unwrap();
        drop(cut);
        let mut temp = results.create_temp(&host.import, "errors").unwrap();
        temp.write_all(b"whole").unwrap();
        results.publish(temp, "e.errors.csv").unwrap();
        assert_eq!(std::fs::read(host.results().join("e.errors.csv")).unwrap(), b"whole");
        let unwanted = results.create_temp(&host.import, "errors").unwrap();
        results.discard(unwanted).unwrap();
        assert_eq!(host.names("results"), ["e.errors.csv"]);
    }

    #[test]
    fn only_regular_files_are_read_as_answers() {
        let host = TestHost::new();
        let results = Results::open(&host.layout, &host.account).unwrap();
        std::fs::write(host.results().join("e.csv"), "x").unwrap();
        results.read("e.csv").unwrap();
        std::fs::write(host.layout.root().join("other.csv"), "x").unwrap();
        std::os::unix::fs::symlink("e.csv", host.results().join("link.csv")).unwrap();
        nix::unistd::mkfifo(&host.results().join("fifo.csv"), Mode::S_IRWXU).unwrap();
        for name in ["link.csv", "fifo.csv", "../../other.csv", "missing.csv"] {
            assert!(results.read(name).is_err(), "{name}");
        }
    }

    #[test]
    fn removal_of_account_is_a_distinct_error() {
        let host = TestHost::new();
        std::fs::remove_dir(host.results()).unwrap();
        let error = Results::open(&host.layout, &host.account).unwrap_err();
        assert!(matches!(error, ResultsError::Folder(FolderError::Missing { .. })), "{error:?}");
    }

    #[test]
    fn answers_are_named_after_the_manifest() {
        let import = "sftp1-42".parse().unwrap();
        let longest = "x".repeat(MAX_NAME - MAX_ENDING);
        assert_eq!(stem("e.manifest", &import), "e");
        assert_eq!(stem("e.csv.manifest", &import), "e.csv");
        assert_eq!(stem(&format!("{longest}.manifest"), &import), longest);
        for name in [".manifest", &format!("{longest}x.manifest"), "..manifest", "\n.manifest"] {
            assert_eq!(stem(name, &import), "sftp1-42", "{name:?}");
        }
    }

    /// An earlier answer with the same stem is renamed to the id of its import.
    #[test]
    fn stem_never_equals_another_imports_id() {
        let import = "sftp1-42".parse().unwrap();
        let huge = format!("sftp1-{}.manifest", "9".repeat(40));
        for name in ["sftp1-43.manifest", "sftp1-42.manifest", "sftp1-007.manifest", &huge] {
            assert_eq!(stem(name, &import), "sftp1-42", "{name}");
        }
        for name in ["sftp2-43", "sftp1-43.csv", "sftp1-", "sftp1-4x", "x-sftp1-43", "sftp1", "43"]
        {
            assert_eq!(stem(&format!("{name}.manifest"), &import), name);
        }
        let dashes = "eu-1-42".parse().unwrap();
        assert_eq!(stem("eu-1-7.manifest", &dashes), "eu-1-42");
        assert_eq!(stem("eu-7.manifest", &dashes), "eu-7");
    }
}
