//! [`ManifestFile`]: the file to which the manifest is written. Without `--force` no file is
//! replaced.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::unistd::geteuid;

use crate::cli::context::CliError;
use crate::files::durable::{self, TempFile};
use crate::files::{self, IoError};
use crate::spool::{self, MANIFEST_ENDING};

/// The file or stream to which the manifest is written.
#[derive(Debug)]
pub enum ManifestFile {
    Path(PathBuf),
    StandardOutput,
}

impl ManifestFile {
    /// Returns the target that the user wants, or `<stem>-<date>.manifest` beside the data file.
    pub fn new(wanted: Option<&Path>, data_file: &Path, name: &str) -> Result<Self, CliError> {
        match wanted {
            Some(path) if path == Path::new("-") => Ok(Self::StandardOutput),
            Some(path) if !file_name(path).is_some_and(spool::is_manifest_name) => {
                let message =
                    format_args!("the name {} does not end in {MANIFEST_ENDING}", path.display());
                Err(CliError::wrong_usage(message))
            }
            Some(path) => Ok(Self::Path(path.to_owned())),
            None => Ok(Self::Path(data_file.with_file_name(default_name(name)))),
        }
    }

    /// Returns the file name of the manifest.
    pub fn name(&self) -> String {
        let name = match self {
            Self::Path(path) => file_name(path),
            Self::StandardOutput => None,
        };
        name.unwrap_or("standard output.manifest").to_owned()
    }

    /// Returns an error if a file of this name exists and must not be replaced.
    pub fn check_absent(&self, force: bool) -> Result<(), CliError> {
        match self {
            Self::Path(path) if !force && path.symlink_metadata().is_ok() => Err(exists(path)),
            _ => Ok(()),
        }
    }

    /// Writes the complete manifest of `data_file` to its path. After an error the path is
    /// unchanged. If root runs the command, a manifest beside the data file gets its owner, because
    /// uploads that belong to root are not imported.
    pub fn write(&self, text: &str, data_file: &Path, force: bool) -> Result<(), CliError> {
        let Self::Path(path) = self else { return Ok(()) };
        let is_beside = durable::parent(path) == durable::parent(data_file);
        let owner = (geteuid().is_root() && is_beside).then(|| open(data_file)).transpose()?;
        let hidden = path.with_file_name(format!(".{}.{}.tmp", self.name(), std::process::id()));
        let new = TempFile::create_by_umask(hidden).map_err(|error| error.source);
        let new = new.and_then(|(new, file)| fill(file, text, owner.as_ref()).map(|()| new));
        let is_new = new.map_err(IoError::of("write", path)).and_then(|new| match force {
            true => durable::rename(new.path(), path).map(|()| true),
            false => new.publish_new(path),
        });
        match is_new {
            Ok(true) => Ok(()),
            Ok(false) => Err(exists(path)),
            Err(error) => {
                Err(CliError::from(error).hint("choose a file in another folder with --output"))
            }
        }
    }
}

/// Writes `text` to the new file, gives the file the owner of `owner`, and syncs it.
fn fill(mut file: File, text: &str, owner: Option<&File>) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    if let Some(owner) = owner {
        let metadata = owner.metadata()?;
        fchown(&file, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    file.sync_all()
}

fn exists(path: &Path) -> CliError {
    CliError::new(format_args!("{} exists already", path.display()))
        .hint("use --force to replace the file, or --output to write another file")
}

/// Returns `orders-20261130.manifest` for `orders.csv.gz`. The name has a date because a manifest's
/// name can be used only once.
fn default_name(data_file: &str) -> String {
    let stem = &data_file[..data_file.len() - spool::data_ending(data_file).unwrap_or(0)];
    let today = Timestamp::now().to_zoned_datetime(TimeZone::system());
    format!("{stem}-{}{MANIFEST_ENDING}", today.strftime("%Y%m%d"))
}

/// Returns the name of the data file, which the manifest contains.
pub fn data_file_name(path: &Path) -> Result<String, CliError> {
    let name = file_name(path).ok_or_else(|| {
        CliError::new(format_args!("{} is not the path of a data file", path.display()))
    })?;
    if spool::is_manifest_name(name) {
        let message = format_args!("{name} is a manifest; give the path of the data file");
        return Err(CliError::wrong_usage(message).hint(format_args!("sftp-import check {name}")));
    }
    if spool::data_ending(name).is_none() {
        let message = format_args!("the name {name} does not end in .csv, .csv.gz or .csv.zst");
        return Err(CliError::wrong_usage(message).hint("rename the file if it is CSV"));
    }
    Ok(name.to_owned())
}

/// Opens the data file.
pub fn open(path: &Path) -> Result<File, CliError> {
    let shown = path.display();
    let opened = files::open_regular(path);
    let opened = opened.map_err(|error| CliError::new(format_args!("{shown}: {error}")))?;
    opened.ok_or_else(|| CliError::new(format_args!("{shown} is not a regular file")))
}

/// Returns the last name of a path if it is UTF-8.
fn file_name(path: &Path) -> Option<&str> {
    path.file_name().and_then(|name| name.to_str())
}
