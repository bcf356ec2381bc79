//! Operations on all data of an account: list its imports, export it while it is in use, erase it.
//!
//! Commands run by root call these operations in a folder of the daemon's user. They list, open and
//! remove files with the rights of the owner of the folder that contains the store. They write the
//! copies with root's rights.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::layout::AccountFolder;
use super::profiles::database::copy::{self, copy_snapshot, open_snapshot};
use crate::account::AccountId;
use crate::files::durable;
use crate::files::error::IoError;
use crate::files::owner::{Owner, OwnerRights};
use crate::import_id::ImportId;
use crate::store::error::Error;

/// The prefix in the name of a folder with the events of an import.
const PARTITION: &str = "import=";

/// Returns the imports of all accounts that are stored below the folder `data`.
pub fn list_imports(data: &Path) -> Result<Vec<ImportId>, Error> {
    let _rights = assume(owner_of(data)?, data)?;
    let mut imports = Vec::new();
    for folder in list_folder(data)? {
        let Some(account) = name(&folder).and_then(|name| name.parse::<AccountId>().ok()) else {
            continue;
        };
        let folder = AccountFolder::new(data, &account);
        imports.extend(event_folders(&folder)?.into_iter().map(|(import, _)| import));
        imports.extend(copy::list_imports(&folder.profiles())?);
    }
    Ok(imports)
}

/// Copies the stored data of `account` into the new folder `to`. Returns whether the account has
/// stored data.
pub fn export(
    data: &Path,
    account: &AccountId,
    to: &Path,
    leave_out: &dyn Fn(&ImportId) -> bool,
) -> Result<bool, Error> {
    let owner = owner_of(data)?;
    let folder = AccountFolder::new(data, account);
    let folders = {
        let _rights = assume(owner, data)?;
        if !folder.path().exists() {
            return Ok(false);
        }
        event_folders(&folder)?
    };
    durable::create_folders(to)?;
    for (import, events) in folders {
        if leave_out(&import) {
            continue;
        }
        let copy = to.join("events").join(format!("{PARTITION}{import}"));
        durable::create_folders(&copy)?;
        let parts = {
            let _rights = assume(owner, data)?;
            list_folder(&events)?
        };
        for part in parts {
            let copy = copy.join(part.file_name().unwrap_or_default());
            // Event files never change after the folder of their import is renamed.
            copy_file(open(&part, owner)?, &copy)?;
        }
    }
    let profiles = {
        let _rights = assume(owner, data)?;
        open_snapshot(&folder.profiles())?
    };
    if let Some(profiles) = profiles {
        copy_snapshot(&profiles, &to.join("profiles.db"))?;
    }
    Ok(true)
}

/// Removes all stored data of `account`.
pub fn erase(data: &Path, account: &AccountId) -> Result<(), Error> {
    let _rights = assume(owner_of(data)?, data)?;
    let folder = AccountFolder::new(data, account);
    durable::remove_folder(folder.path())?;
    if data.exists() {
        durable::sync(data)?;
    }
    Ok(())
}

/// Returns the owner of the parent folder of `data`.
fn owner_of(data: &Path) -> Result<Owner, IoError> {
    let folder = data.parent().unwrap_or(Path::new("/"));
    Owner::of(folder).map_err(IoError::of("stat", folder))
}

fn assume(owner: Owner, data: &Path) -> Result<OwnerRights, IoError> {
    owner.assume().map_err(IoError::of("act as the owner of the folder that contains", data))
}

/// Returns the imports of an account that have events, each with its folder.
fn event_folders(folder: &AccountFolder) -> Result<Vec<(ImportId, PathBuf)>, IoError> {
    let folders = list_folder(&folder.events())?.into_iter();
    Ok(folders
        .filter_map(|path| {
            let import = name(&path)?.strip_prefix(PARTITION)?.parse().ok()?;
            Some((import, path))
        })
        .collect())
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// Returns the paths of the files in `folder`. Returns no paths if the folder is missing.
fn list_folder(folder: &Path) -> Result<Vec<PathBuf>, IoError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(IoError::of("list", folder))?,
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    paths.collect::<std::io::Result<_>>().map_err(IoError::of("list", folder))
}

/// Opens a regular file with the rights of `owner`. If the path is a symbolic link, it can only
/// lead to a file that `owner` may read anyway.
fn open(path: &Path, owner: Owner) -> Result<File, IoError> {
    let opened = || {
        let _rights = owner.assume()?;
        let flags = O_NOFOLLOW | O_NONBLOCK;
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("the file is not a regular file")),
        }
    };
    opened().map_err(IoError::of("open", path))
}

fn copy_file(mut source: File, to: &Path) -> Result<(), IoError> {
    let mut target = durable::create_file(to)?;
    std::io::copy(&mut source, &mut target).map_err(IoError::of("copy a file to the path", to))?;
    target.sync_all().map_err(IoError::of("sync", to))
}
