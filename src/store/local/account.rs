//! What the local engine holds of an account as a whole: copied out while it is in use, removed,
//! and named by import.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::super::Error;
use super::layout::AccountFolder;
use super::{LocalStore, durable, profiles};
use crate::account::AccountId;
use crate::import_id::ImportId;

/// What the name of an import's folder begins with.
const PARTITION: &str = "import=";

impl LocalStore {
    /// See [`crate::store::Store::imports`].
    ///
    /// # Errors
    /// A folder or a database can't be read.
    pub fn imports(&self) -> Result<Vec<ImportId>, Error> {
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
        let folder = AccountFolder::new(&self.data, account);
        if !folder.path().exists() {
            return Ok(false);
        }
        durable::create_folders(to)?;
        for (import, events) in event_folders(&folder)? {
            if leave_out(&import) {
                continue;
            }
            let copy = to.join("events").join(format!("{PARTITION}{import}"));
            durable::create_folders(&copy)?;
            for part in entries(&events)? {
                copy_file(&part, &copy.join(part.file_name().unwrap_or_default()))?;
            }
        }
        profiles::copy(&folder.profiles(), &to.join("profiles.db"))?;
        Ok(true)
    }

    /// See [`crate::store::Store::erase`].
    ///
    /// # Errors
    /// The folder can't be removed.
    pub fn erase(&self, account: &AccountId) -> Result<(), Error> {
        let folder = AccountFolder::new(&self.data, account);
        durable::remove_folder(folder.path())?;
        if self.data.exists() { durable::sync(&self.data) } else { Ok(()) }
    }
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

fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    let mut source = File::open(from).map_err(Error::io("open", from))?;
    let mut target = durable::create_file(to)?;
    std::io::copy(&mut source, &mut target).map_err(Error::io("copy to", to))?;
    target.sync_all().map_err(Error::io("sync", to))
}
