//! The reader of the local engine's data for the contract tests. It reads plain Parquet and SQLite
//! files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rusqlite::{Connection, OpenFlags};

use super::layout::AccountFolder;
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::store::contract::harness::{EngineReader, StoredProfile};

/// Reads the files of a local store without the local engine.
pub struct LocalReader;

impl EngineReader for LocalReader {
    fn events(&self, data: &Path, account: &AccountId) -> Vec<RecordBatch> {
        let events = AccountFolder::new(data, account).events();
        let imports = files(&events).into_iter();
        imports.flat_map(|import| files(&import)).flat_map(|part| read(&part)).collect()
    }

    fn profiles(&self, data: &Path, account: &AccountId) -> Vec<StoredProfile> {
        let path = AccountFolder::new(data, account).profiles();
        if !path.exists() {
            return Vec::new();
        }
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut ids = connection
            .prepare("SELECT kind || ':' || value FROM identity WHERE profile_id = ? ORDER BY 1")
            .unwrap();
        let sql = "SELECT id, properties, created_at, updated_at FROM profile ORDER BY id";
        let Ok(mut profiles) = connection.prepare(sql) else {
            return Vec::new();
        };
        let seen = profiles.query_map([], |row| {
            let ids = ids.query_map([row.get::<_, i64>(0)?], |row| row.get(0))?;
            Ok(StoredProfile {
                ids: ids.collect::<Result<_, _>>()?,
                properties: row.get(1)?,
                created_at: row.get(2)?,
                updated_at: row.get(3)?,
            })
        });
        seen.unwrap().map(Result::unwrap).collect()
    }

    fn leftovers(&self, data: &Path, account: &AccountId) -> Vec<String> {
        let paths = files(&AccountFolder::new(data, account).unfinished());
        paths.iter().map(|path| path.display().to_string()).collect()
    }

    fn crash(&self, data: &Path, account: &AccountId, import: &ImportId) {
        let folder = AccountFolder::new(data, account).unfinished_events_of(import);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("part-00000.parquet"), "PAR1 cut off").unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read(part: &Path) -> Vec<RecordBatch> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(part).unwrap()).unwrap();
    builder.with_batch_size(1 << 20).build().unwrap().map(Result::unwrap).collect()
}
