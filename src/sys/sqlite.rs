//! SQLite settings for files that another user can write. They determine how SQLite opens the
//! files, and how far it trusts their schemas.

use std::ffi::{c_char, c_int};
use std::ptr;

use nix::libc;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ffi};

/// Makes every open(2) of SQLite in this process return without waiting. If a FIFO has the name of
/// a database, a journal or a write-ahead log, the result is then an error, and SQLite does not
/// wait for the other end. Must be called before threads are started.
pub fn open_without_waiting() {
    // SAFETY: SQLite's default file system lives as long as the process. Its xSetSystemCall takes a
    // function of any type and calls the one for "open" with the three arguments of `open` below
    // (sqlite.org/c3ref/vfs.html, posixOpen in os_unix.c).
    unsafe {
        let vfs = ffi::sqlite3_vfs_find(ptr::null());
        if let Some(set) = vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) {
            type Open = unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int;
            let open = std::mem::transmute::<Open, unsafe extern "C" fn()>(open);
            set(vfs, c"open".as_ptr(), Some(open));
        }
    }
}

unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: SQLite passes the arguments of open(2).
    unsafe { libc::open(path, flags | libc::O_NONBLOCK, mode) }
}

/// Restricts the schema of a database that another user can write (sqlite.org/security.html).
/// Triggers and views are disabled, as our schemas have none. So are functions with side effects,
/// and all changes of the file except changes of rows.
pub fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(setting, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    /// SQLite opens a journal at its first read. Opening a FIFO without a writer would wait for
    /// ever.
    #[test]
    fn a_fifo_as_journal_is_an_error() {
        open_without_waiting();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        mkfifo(&folder.path().join("x.db-journal"), Mode::S_IRWXU).unwrap();
        let (done, result) = channel();
        std::thread::spawn(move || {
            let connection = Connection::open(&path).unwrap();
            done.send(connection.execute_batch("SELECT * FROM t")).unwrap();
        });
        result.recv_timeout(Duration::from_secs(20)).unwrap().unwrap_err();
    }

    #[test]
    fn views_and_triggers_of_the_schema_are_disabled() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (x); CREATE TABLE log (x);
                 CREATE TRIGGER copy AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1); END;
                 CREATE VIEW v AS SELECT 1;",
            )
            .unwrap();
        distrust(&connection).unwrap();
        connection.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        let count = |table: &str| {
            connection
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
        };
        assert_eq!((count("t").unwrap(), count("log").unwrap()), (1, 0));
        assert!(count("v").is_err());
        connection.pragma_update(None, "writable_schema", true).unwrap();
        assert!(connection.execute_batch("DELETE FROM sqlite_schema").is_err());
    }
}
