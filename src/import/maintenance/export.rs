//! Exports all data of one account into a folder, while the daemon keeps running.
//!
//! The state database is read first, in one transaction. Therefore every import that is completed
//! in it is complete in all other parts of the export. `listing.json` is written last. An export
//! without this file was interrupted.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::account::AccountId;
use crate::files::IoError;
use crate::files::durable::{create_private_file, publish, remove_folder, sync};
use crate::files::owner::Owner;
use crate::import::context::Context;
use crate::import::row::ImportRow;
use crate::import_id::ImportId;
use crate::spool::{ExportCopyError, copy_folder};
use crate::state::{self, State, account_data, imports};
use crate::store;

/// The name of the list of all files in an export.
const LISTING: &str = "listing.json";

/// The reason why an account can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("no data of an account {0} was found")]
    Nothing(AccountId),
    #[error(transparent)]
    Io(#[from] IoError),
    /// A file of incoming, results or the spool can't be copied.
    #[error(transparent)]
    Copy(#[from] ExportCopyError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    State(#[from] state::Error),
}

/// One file in the list of an export's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedFile {
    /// The path of the file, relative to the export's folder.
    pub path: String,
    pub bytes: u64,
    /// The SHA-256 of the file in lower-case hexadecimal digits.
    pub sha256: String,
}

/// The content of the file `listing.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportListing {
    pub account: String,
    /// The time at which the export of the account began.
    pub exported_at: Timestamp,
    /// The version of the program that made the export.
    pub version: &'static str,
    /// All files of the export except the listing.
    pub files: Vec<ListedFile>,
    /// Names in incoming and results that were left out, because they do not belong to regular
    /// files.
    pub left_out: Vec<String>,
}

/// Copies all data of `account` into the new folder `to`. After an error the folder has no listing.
pub fn export(
    context: &Context,
    account: &AccountId,
    to: &Path,
    now: Timestamp,
) -> Result<ExportListing, ExportError> {
    let layout = &context.layout;
    make_folder(to)?;
    let known = export_state(&context.state, account, &to.join("state"))?;
    let unfinished = |import: &ImportId| known.unfinished.contains(import);
    let stored = context.store.export(account, &to.join("store"), &unfinished)?;
    let mut left_out = Vec::new();
    for (folder, name) in
        [(layout.incoming(account), "incoming"), (layout.results(account), "results")]
    {
        left_out.extend(copy_folder(&folder, &to.join(name))?);
    }
    for import in &known.imports {
        copy_folder(&layout.spooled(import), &to.join("uploads").join(import))?;
    }
    if known.rows == 0 && !stored && !to.join("incoming").exists() {
        remove_folder(to)?;
        return Err(ExportError::Nothing(account.clone()));
    }
    left_out.sort();
    let files = list(to)?;
    let version = env!("CARGO_PKG_VERSION");
    let account = account.to_string();
    let listing = ExportListing { account, exported_at: now, version, files, left_out };
    write_listing(to, &listing)?;
    Ok(listing)
}

fn export_state(state: &State, account: &AccountId, to: &Path) -> Result<AccountRows, ExportError> {
    make_folder(to)?;
    let mut tables = TableFiles { folder: to.to_owned(), files: BTreeMap::new(), rows: 0 };
    let (imports, unfinished) = state.read(|tx| {
        account_data::for_each_row(tx, account, |table, row| tables.write(table, row))?;
        let unfinished: Vec<ImportRow> = imports::unfinished_of(tx, account)?;
        Ok::<_, ExportError>((imports::ids_of(tx, account)?, unfinished))
    })?;
    let rows = tables.rows;
    tables.finish()?;
    let unfinished = unfinished.into_iter().map(|row| row.id).collect();
    Ok(AccountRows { rows, imports, unfinished })
}

/// The result of reading an account's rows from the state database.
struct AccountRows {
    rows: u64,
    imports: Vec<ImportId>,
    unfinished: HashSet<ImportId>,
}

/// The files of JSON lines of an export, one for each table.
struct TableFiles {
    folder: PathBuf,
    files: BTreeMap<String, BufWriter<File>>,
    rows: u64,
}

impl TableFiles {
    fn write(&mut self, table: &str, row: Map<String, Value>) -> Result<(), ExportError> {
        let path = table_file(&self.folder, table);
        if !self.files.contains_key(table) {
            // The function `for_each_row` runs with the rights of the database's owner. The
            // exported files belong to the caller.
            let own = Owner::of_process().assume().map_err(IoError::of("create", &path))?;
            self.files.insert(table.to_owned(), BufWriter::new(create_private_file(&path)?));
            drop(own);
        }
        let Some(file) = self.files.get_mut(table) else { return Ok(()) };
        self.rows += 1;
        Ok(writeln!(file, "{}", Value::from(row)).map_err(IoError::of("write", path))?)
    }

    fn finish(self) -> Result<(), ExportError> {
        for (table, file) in self.files {
            let path = table_file(&self.folder, &table);
            let synced = file.into_inner().map_err(io::IntoInnerError::into_error);
            synced.and_then(|file| file.sync_all()).map_err(IoError::of("write", &path))?;
        }
        Ok(sync(&self.folder)?)
    }
}

fn table_file(folder: &Path, table: &str) -> PathBuf {
    folder.join(format!("{table}.jsonl"))
}

/// Lists every file below `root`, sorted by path, and syncs the folders.
fn list(root: &Path) -> Result<Vec<ListedFile>, IoError> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(IoError::of("list", &folder))? {
            let path = entry.map_err(IoError::of("list", &folder))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut file = File::open(&path).map_err(IoError::of("open", &path))?;
            let mut hash = Sha256::new();
            let bytes = io::copy(&mut file, &mut hash).map_err(IoError::of("read", &path))?;
            let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(ListedFile { path: below, bytes, sha256: format!("{:x}", hash.finalize()) });
        }
        sync(&folder)?;
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn write_listing(to: &Path, listing: &ExportListing) -> Result<(), IoError> {
    let (hidden, path) = (to.join(".listing.tmp"), to.join(LISTING));
    // Serialising a listing can't fail, because all keys of its maps are texts.
    let json = serde_json::to_vec_pretty(listing).unwrap_or_default();
    let mut file = create_private_file(&hidden)?;
    file.write_all(&json).map_err(IoError::of("write", &hidden))?;
    publish(&hidden, &path)
}

fn make_folder(path: &Path) -> Result<(), IoError> {
    DirBuilder::new().mode(0o700).create(path).map_err(IoError::of("make the folder", path))
}
