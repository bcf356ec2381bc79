//! [`ManifestFile`]: where the manifest is written. No file is replaced without `--force`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::context::CliError;
use crate::records::Compression;

/// The ending of a manifest's name.
const ENDING: &str = ".manifest";

/// The target of the manifest.
#[derive(Debug)]
pub enum ManifestFile {
    Path(PathBuf),
    StandardOutput,
}

impl ManifestFile {
    /// Returns the wanted target, or `<stem>-<date>.manifest` beside the data file.
    pub fn new(wanted: Option<&Path>, data_file: &Path, name: &str) -> Result<Self, CliError> {
        match wanted {
            Some(path) if path == Path::new("-") => Ok(Self::StandardOutput),
            Some(path) if !file_name(path).is_some_and(is_manifest) => {
                let message = format_args!("the name {} does not end in {ENDING}", path.display());
                Err(CliError::wrong_usage(message))
            }
            Some(path) => Ok(Self::Path(path.to_owned())),
            None => Ok(Self::Path(data_file.with_file_name(default_name(name)))),
        }
    }

    /// Returns the manifest's file name.
    pub fn name(&self) -> String {
        let name = match self {
            Self::Path(path) => file_name(path),
            Self::StandardOutput => None,
        };
        name.unwrap_or("standard output.manifest").to_owned()
    }

    /// Fails if a file of this name exists, unless it may be replaced.
    pub fn check_absent(&self, force: bool) -> Result<(), CliError> {
        match self {
            Self::Path(path) if !force && path.symlink_metadata().is_ok() => Err(exists(path)),
            _ => Ok(()),
        }
    }

    /// Writes the manifest to its path, whole or not at all.
    pub fn write(&self, text: &str, force: bool) -> Result<(), CliError> {
        let Self::Path(path) = self else { return Ok(()) };
        let hidden = format!(".{}.{}.tmp", self.name(), std::process::id());
        let temporary = path.with_file_name(hidden);
        let written = write_new(&temporary, text).and_then(|()| {
            if force { fs::rename(&temporary, path) } else { rename_new(&temporary, path) }
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.map_err(|error| {
            if error.kind() == ErrorKind::AlreadyExists && !force {
                return exists(path);
            }
            CliError::new(format_args!("cannot write {}: {error}", path.display()))
                .hint("name a file in another folder with --output")
        })
    }
}

fn exists(path: &Path) -> CliError {
    CliError::new(format_args!("{} exists already", path.display()))
        .hint("--force to replace it, or --output for another name")
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Renames a file unless the new name is in use.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let linked = fs::hard_link(from, to);
    let renamed = match linked {
        // A file system without hard links.
        Err(error)
            if error.kind() != ErrorKind::AlreadyExists && to.symlink_metadata().is_err() =>
        {
            fs::rename(from, to)
        }
        linked => linked,
    };
    let _ = fs::remove_file(from);
    renamed
}

/// Returns `orders-20261130.manifest` for `orders.csv.gz`: a manifest's name can be used only once.
fn default_name(data_file: &str) -> String {
    let lower = data_file.to_ascii_lowercase();
    let endings = [".csv.gz", ".csv.zst", ".csv"];
    let ending = endings.iter().find(|ending| lower.ends_with(**ending)).map_or(0, |e| e.len());
    let stem = &data_file[..data_file.len() - ending];
    let today = Timestamp::now().to_zoned_datetime(TimeZone::system());
    format!("{stem}-{}{ENDING}", today.strftime("%Y%m%d"))
}

/// Returns the name of the data file, which goes into the manifest.
pub fn data_file_name(path: &Path) -> Result<String, CliError> {
    let name = file_name(path).ok_or_else(|| {
        CliError::new(format_args!("{} is not the path of a data file", path.display()))
    })?;
    if is_manifest(name) {
        let message = format_args!("{name} is a manifest; name the data file");
        return Err(CliError::wrong_usage(message).hint(format_args!("sftp-import check {name}")));
    }
    if Compression::of(name).is_none() {
        let message = format_args!("the name {name} does not end in .csv, .csv.gz or .csv.zst");
        return Err(CliError::wrong_usage(message).hint("rename the file if it is CSV"));
    }
    Ok(name.to_owned())
}

/// Opens the data file. Opening a FIFO would wait for its writer.
pub fn open(path: &Path) -> Result<File, CliError> {
    let failed = |error: io::Error| CliError::new(format_args!("{}: {error}", path.display()));
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(CliError::new(format_args!("{} is not a regular file", path.display())));
    }
    File::open(path).map_err(failed)
}

fn is_manifest(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(ENDING)
}

/// Returns the last name of a path if it is UTF-8.
fn file_name(path: &Path) -> Option<&str> {
    path.file_name().and_then(|name| name.to_str())
}
