//! [`ErrorFolder`]: where an import from local files leaves its error files.
//!
//! Always holds: an error file is hidden until it is kept, and gone when it is not kept.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::pipeline::Answers;

/// Where a local import leaves its error files: a folder, or nowhere.
///
/// They are made hidden when this is made, with the rights that the process has then, and take
/// their names in [`ErrorFolder::keep`]; an earlier import's stay when nothing was rejected.
#[derive(Debug, Default)]
pub struct ErrorFolder {
    files: Vec<Pending>,
    written: bool,
}

#[derive(Debug)]
struct Pending {
    file: File,
    hidden: PathBuf,
    path: PathBuf,
}

impl ErrorFolder {
    /// No error files.
    pub fn none() -> Self {
        Self::default()
    }

    /// `<stem>.errors.csv` and `<stem>.errors.jsonl` in `folder`.
    ///
    /// # Errors
    /// They can't be created.
    pub fn create(folder: &Path, stem: &str) -> io::Result<Self> {
        let pending = |kind| {
            let name = format!("{stem}.errors.{kind}");
            let hidden = folder.join(format!(".{name}.tmp"));
            let file = File::create(&hidden)?;
            io::Result::Ok(Pending { file, hidden, path: folder.join(name) })
        };
        Ok(Self { files: vec![pending("csv")?, pending("jsonl")?], written: false })
    }

    /// Gives the error files their names, if anything was written.
    ///
    /// # Errors
    /// They can't be renamed.
    pub fn keep(self) -> io::Result<()> {
        if self.written {
            for Pending { hidden, path, .. } in &self.files {
                fs::rename(hidden, path)?;
            }
        }
        Ok(())
    }

    /// The error file, by its path, if anything was written.
    pub(super) fn written(&self) -> Option<String> {
        let error_file = self.files.first()?;
        self.written.then(|| error_file.path.display().to_string())
    }

    fn open(&mut self, place: usize) -> io::Result<Box<dyn Write>> {
        self.written = true;
        match self.files.get(place) {
            Some(pending) => Ok(Box::new(pending.file.try_clone()?)),
            None => Ok(Box::new(io::sink())),
        }
    }
}

impl Answers for ErrorFolder {
    fn error_file(&mut self) -> io::Result<Box<dyn Write>> {
        self.open(0)
    }

    fn error_lines(&mut self) -> io::Result<Box<dyn Write>> {
        self.open(1)
    }
}

impl Drop for ErrorFolder {
    fn drop(&mut self) {
        for pending in &self.files {
            // Renamed, it is gone; else it is empty or of an import that was stopped.
            drop(fs::remove_file(&pending.hidden));
        }
    }
}
