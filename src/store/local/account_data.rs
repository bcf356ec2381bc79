//! What the local engine holds of an account as a whole: copied out while it is in use, removed,
//! and named by import.
//!
//! These are what commands of root's do in a folder of the daemon's user: they list, open and remove
//! with the rights of the owner of the folder around the store. What is copied is written with
//! root's own.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::super::Error;
use super::layout::AccountFolder;
use super::{LocalStore, profiles};
use crate::account::AccountId;
use crate::files::durable;
use crate::files::owner::{Owner, OwnerRights};
use crate::import_id::ImportId;

/// What the name of an import's folder begins with.
const PARTITION: &str = "import=";

impl LocalStore {
    /// See [`crate::store::Store::imports`].
    ///
    /// # Errors
    /// A folder or a database can't be read.
    pub fn imports(&self) -> Result<Vec<ImportId>, Error> {
        let _rights = assume(self.owner()?, &self.data)?;
        let mut imports = Vec::new();
        for folder in entries(&self.data)? {
            let Some(account) = name(&folder).and_then(|name| name.parse::<AccountId>().ok())
            else {
                continue;
            };
            let folder = AccountFolder::new(&self.data, &account);
            imports.extend(event_folders(&folder)?.into_iter().map(|(import, _)| import));
            imports.extend(profiles::imports(&folder.profiles())?);
        }
        Ok(imports)
    }

    /// See [`crate::store::Store::export`]. Events are copied as files that never change once they
    /// have their folder's name.
    ///
    /// # Errors
    /// A file can't be read or written.
    pub fn export(
        &self,
        account: &AccountId,
        to: &Path,
        leave_out: &dyn Fn(&ImportId) -> bool,
    ) -> Result<bool, Error> {
        let owner = self.owner()?;
        let folder = AccountFolder::new(&self.data, account);
        let folders = {
            let _rights = assume(owner, &self.data)?;
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
                let _rights = assume(owner, &self.data)?;
                entries(&events)?
            };
            for part in parts {
                let copy = copy.join(part.file_name().unwrap_or_default());
                copy_file(open(&part, owner)?, &copy)?;
            }
        }
        let profiles = {
            let _rights = assume(owner, &self.data)?;
            profiles::open_to_copy(&folder.profiles())?
        };
        if let Some(profiles) = profiles {
            profiles::copy(&profiles, &to.join("profiles.db"))?;
        }
        Ok(true)
    }

    /// See [`crate::store::Store::erase`].
    ///
    /// # Errors
    /// The folder can't be removed.
    pub fn erase(&self, account: &AccountId) -> Result<(), Error> {
        let _rights = assume(self.owner()?, &self.data)?;
        let folder = AccountFolder::new(&self.data, account);
        durable::remove_folder(folder.path())?;
        if self.data.exists() {
            durable::sync(&self.data)?;
        }
        Ok(())
    }

    /// The owner of the folder around the store, in which `data` has its name.
    fn owner(&self) -> Result<Owner, Error> {
        let folder = self.data.parent().unwrap_or(Path::new("/"));
        Owner::of(folder).map_err(Error::io("look at", folder))
    }
}

fn assume(owner: Owner, data: &Path) -> Result<OwnerRights, Error> {
    owner.assume().map_err(Error::io("act as the owner of the folder of", data))
}

/// Every import that has events, with its folder.
fn event_folders(folder: &AccountFolder) -> Result<Vec<(ImportId, PathBuf)>, Error> {
    let folders = entries(&folder.events())?.into_iter();
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

/// The paths in `folder`; none when it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list", folder))?,
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    paths.collect::<std::io::Result<_>>().map_err(Error::io("list", folder))
}

/// Opens a regular file with the rights of `owner`. It can lie behind a link only if `owner` could
/// read it anyway.
fn open(path: &Path, owner: Owner) -> Result<File, Error> {
    let opened = || {
        let _rights = owner.assume()?;
        let flags = O_NOFOLLOW | O_NONBLOCK;
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("it is not a regular file")),
        }
    };
    opened().map_err(Error::io("open", path))
}

fn copy_file(mut source: File, to: &Path) -> Result<(), Error> {
    let mut target = durable::create_file(to)?;
    std::io::copy(&mut source, &mut target).map_err(Error::io("copy to", to))?;
    target.sync_all().map_err(Error::io("sync", to))
}
