//! [`ErrorFolder`]: the folder for the error files of an import from local files.
//!
//! Invariant: error files have hidden names until [`ErrorFolder::keep`] is called. If it is not
//! called, they are removed.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::fcntl::RenameFlags;
use nix::sys::stat::Mode;

use crate::files::dir::{Folder, FolderError};
use crate::import::run::error_files::ErrorOutput;

/// The mode of a new error file, before the umask is applied.
const MODE: Mode = Mode::from_bits_truncate(0o666);

/// The folder of a local import's error files. The default discards the files.
///
/// [`ErrorFolder::create`] creates the files under hidden names with the current rights of the
/// process. [`ErrorFolder::keep`] renames them. If no record was rejected, the files of an earlier
/// import remain.
#[derive(Debug, Default)]
pub struct ErrorFolder {
    folder: Option<Folder>,
    files: Vec<HiddenFile>,
    written: bool,
}

#[derive(Debug)]
struct HiddenFile {
    file: File,
    hidden: String,
    name: String,
    path: PathBuf,
}

impl ErrorFolder {
    /// Makes an `ErrorFolder` that discards rejected records.
    pub fn none() -> Self {
        Self::default()
    }

    /// Creates `<stem>.errors.csv` and `<stem>.errors.jsonl` in `folder`. Symbolic links are not
    /// followed. A link with the name of an error file is replaced. A link in place of `folder` is
    /// an error.
    pub fn create(folder: &Path, stem: &str) -> io::Result<Self> {
        let handle = open(folder)?;
        let pending = |kind| {
            let name = format!("{stem}.errors.{kind}");
            let hidden = format!(".{name}.tmp");
            let file = handle.replace(&hidden, MODE)?;
            io::Result::Ok(HiddenFile { file, hidden, path: folder.join(&name), name })
        };
        let files = vec![pending("csv")?, pending("jsonl")?];
        Ok(Self { folder: Some(handle), files, written: false })
    }

    /// Renames the error files to their final names, if any records were written.
    pub fn keep(self) -> io::Result<()> {
        if let Some(folder) = self.folder.as_ref().filter(|_| self.written) {
            for HiddenFile { hidden, name, .. } in &self.files {
                folder.rename(hidden, folder, name, RenameFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Returns the path of the CSV error file, if any records were written.
    pub(super) fn error_file_path(&self) -> Option<String> {
        let error_file = self.files.first()?;
        self.written.then(|| error_file.path.display().to_string())
    }

    fn open(&mut self, index: usize) -> io::Result<Box<dyn Write>> {
        self.written = true;
        match self.files.get(index) {
            Some(pending) => Ok(Box::new(pending.file.try_clone()?)),
            None => Ok(Box::new(io::sink())),
        }
    }
}

impl ErrorOutput for ErrorFolder {
    fn error_file(&mut self) -> io::Result<Box<dyn Write>> {
        self.open(0)
    }

    fn error_lines(&mut self) -> io::Result<Box<dyn Write>> {
        self.open(1)
    }
}

impl Drop for ErrorFolder {
    fn drop(&mut self) {
        let Some(folder) = &self.folder else { return };
        for pending in &self.files {
            // After `keep` no hidden file exists. Otherwise the hidden file is empty, or belongs to
            // an import that was stopped.
            let _ = folder.remove(&pending.hidden);
        }
    }
}

fn open(folder: &Path) -> io::Result<Folder> {
    Folder::open(folder).map_err(|error| match error {
        _ if folder.is_symlink() => {
            io::Error::other("it is a symbolic link, which is not followed")
        }
        FolderError::Missing { .. } => io::ErrorKind::NotFound.into(),
        FolderError::Io(error) => error.source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn keep(folder: &Path) -> io::Result<()> {
        let mut errors = ErrorFolder::create(folder, "e")?;
        errors.error_file()?.write_all(b"csv")?;
        errors.error_lines()?.write_all(b"jsonl")?;
        errors.keep()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_symbolic_link_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (target, missing) = (elsewhere.path().join("target"), elsewhere.path().join("missing"));
        fs::write(&target, "untouched").unwrap();
        for (link, to) in [
            (".e.errors.csv.tmp", &target),
            (".e.errors.jsonl.tmp", &missing),
            ("e.errors.csv", &target),
            ("e.errors.jsonl", &missing),
        ] {
            symlink(to, folder.path().join(link)).unwrap();
        }
        keep(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
        assert_eq!(names(elsewhere.path()), ["target"]);
        assert_eq!(names(folder.path()), ["e.errors.csv", "e.errors.jsonl"]);
        for (name, content) in [("e.errors.csv", "csv"), ("e.errors.jsonl", "jsonl")] {
            let path = folder.path().join(name);
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
            assert_eq!(fs::read_to_string(path).unwrap(), content);
        }
    }

    #[test]
    fn a_hard_link_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "untouched").unwrap();
        fs::hard_link(&target, folder.path().join(".e.errors.csv.tmp")).unwrap();
        keep(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
        assert_eq!(fs::metadata(&target).unwrap().nlink(), 1);
    }

    #[test]
    fn a_symbolic_link_as_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        let error = ErrorFolder::create(&link, "e").unwrap_err();
        assert_eq!(error.to_string(), "it is a symbolic link, which is not followed");
        assert_eq!(names(&real), [""; 0]);
    }

    /// The handle keeps the folder that was opened, even if another folder later has its path.
    #[test]
    fn the_opened_folder_is_kept_after_a_replacement() {
        let folder = tempfile::tempdir().unwrap();
        let [path, moved, other] = ["path", "moved", "other"].map(|name| folder.path().join(name));
        fs::create_dir(&path).unwrap();
        fs::create_dir(&other).unwrap();
        let mut errors = ErrorFolder::create(&path, "e").unwrap();
        fs::rename(&path, &moved).unwrap();
        symlink(&other, &path).unwrap();
        errors.error_file().unwrap().write_all(b"csv").unwrap();
        errors.keep().unwrap();
        assert_eq!(names(&other), [""; 0]);
        assert_eq!(names(&moved), ["e.errors.csv", "e.errors.jsonl"]);
    }

    #[test]
    fn error_files_are_removed_unless_kept() {
        let folder = tempfile::tempdir().unwrap();
        let errors = ErrorFolder::create(folder.path(), "e").unwrap();
        assert_eq!(names(folder.path()), [".e.errors.csv.tmp", ".e.errors.jsonl.tmp"]);
        drop(errors);
        assert_eq!(names(folder.path()), [""; 0]);
        ErrorFolder::create(folder.path(), "e").unwrap().keep().unwrap();
        assert_eq!(names(folder.path()), [""; 0], "no file may be written");
    }

    #[test]
    fn a_missing_folder_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let error = ErrorFolder::create(&folder.path().join("missing"), "e").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
