//! Copies a database of profiles, and lists the imports in the database.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::connection::BUSY_TIMEOUT;
use crate::files::durable;
use crate::import_id::ImportId;
use crate::store::error::Error;
use crate::sys::sqlite;

/// Returns the committed imports of the database at `path`. Returns no imports if the database is
/// missing.
pub fn list_imports(path: &Path) -> Result<Vec<ImportId>, Error> {
    let Some(connection) = open(path)? else { return Ok(Vec::new()) };
    let failed = || Error::sqlite("list imports", path);
    let mut statement = match connection.prepare("SELECT import FROM checkpoint") {
        // The run that created the file has crashed before it created the tables.
        Err(rusqlite::Error::SqliteFailure(_, Some(why))) if why.contains("no such table") => {
            return Ok(Vec::new());
        }
        statement => statement.map_err(failed())?,
    };
    let ids = statement.query_map([], |row| row.get::<_, String>(0)).map_err(failed())?;
    let ids = ids.collect::<rusqlite::Result<Vec<_>>>().map_err(failed())?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Opens the database at `path` and begins a transaction, so that a copy has the state of this
/// moment. All files are opened here: [`copy_snapshot`] needs no access to the folder. `None` if
/// there is no database.
pub fn open_snapshot(path: &Path) -> Result<Option<Connection>, Error> {
    let Some(connection) = open(path)? else { return Ok(None) };
    let failed = || Error::sqlite("read", path);
    // The pragma reads from the database, and thus fixes the snapshot of the transaction.
    connection.execute_batch("BEGIN; PRAGMA user_version").map_err(failed())?;
    Ok(Some(connection))
}

/// Copies a snapshot of the database `source` to the new file `to`, and syncs the file.
pub fn copy_snapshot(source: &Connection, to: &Path) -> Result<(), Error> {
    drop(durable::create_file(to)?);
    let failed = || Error::sqlite("copy profiles", to);
    let mut target = Connection::open(to).map_err(failed())?;
    sqlite::distrust(&target).map_err(failed())?; // the copy has the schema of the source
    let backup = Backup::new(source, &mut target).map_err(failed())?;
    while backup.step(-1).map_err(failed())? != StepResult::Done {
        std::thread::yield_now(); // a checkpoint of another connection holds a lock
    }
    drop(backup);
    target.pragma_update(None, "journal_mode", "delete").map_err(failed())?;
    target.close().map_err(|(_, error)| failed()(error))?;
    durable::sync(to)?;
    durable::sync_parent(to)?;
    Ok(())
}

fn open(path: &Path) -> Result<Option<Connection>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let failed = || Error::sqlite("open", path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed())?;
    sqlite::distrust(&connection).map_err(failed())?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed())?;
    // The -wal and -shm files stay, because some readers cannot create them. The module `database`
    // gives the details.
    let stay = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(stay, true).map_err(failed())?;
    Ok(Some(connection))
}
