//! The schema of `keys.db`, the database of published keys, and the query for one key.
//!
//! `keys.db` is complete when it gets its name and is never changed afterwards. A new database
//! replaces it by a rename. Therefore SQLite opens the file as `immutable`: it takes no lock and
//! searches for no journal. The reader needs no write access to the folder. Before that,
//! [`super::trust`] has checked that only root can change the file.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::line::PublishedKey;
use crate::account::AccountId;

/// The schema of `keys.db`. The table is stored as the index of its primary key, and [`find_key`]
/// searches that index. `expires_at` is in seconds since 1970 UTC.
pub const SCHEMA: &str = "CREATE TABLE key (
    account TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    public_key TEXT NOT NULL,
    from_hosts TEXT,
    expires_at INTEGER,
    PRIMARY KEY (account, fingerprint)
) STRICT, WITHOUT ROWID";

const FIND: &str = "SELECT algorithm, public_key, from_hosts,
        strftime('%Y%m%d%H%M%SZ', expires_at, 'unixepoch')
    FROM key
    WHERE account = ?1 AND fingerprint = ?2 AND (expires_at IS NULL OR expires_at > ?3)";

/// The error for published keys that can't be read.
#[derive(Debug)]
pub struct Error {
    database: PathBuf,
    source: rusqlite::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (database, source) = (self.database.display(), &self.source);
        write!(f, "cannot read the published keys {database}: {source}; ")?;
        f.write_str("`sftp-import provision` publishes them again")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Returns the key of `account` with `fingerprint` (`SHA256:…`) if the key is valid at `now`. `now`
/// is in seconds since 1970 UTC.
///
/// # Errors
/// `database` is missing, can't be read, is a symbolic link, or is not a database of published
/// keys.
pub fn find_key(
    database: &Path,
    account: &AccountId,
    fingerprint: &str,
    now: u64,
) -> Result<Option<PublishedKey>, Error> {
    query(database, account, fingerprint, now)
        .map_err(|source| Error { database: database.to_owned(), source })
}

fn query(
    database: &Path,
    account: &AccountId,
    fingerprint: &str,
    now: u64,
) -> rusqlite::Result<Option<PublishedKey>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(immutable_uri(database), flags)?;
    check_whole_pages(&connection, database)?;
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    connection
        .query_row(FIND, params![account.as_str(), fingerprint, now], |row| {
            Ok(PublishedKey {
                algorithm: row.get(0)?,
                public_key: row.get(1)?,
                from_hosts: row.get(2)?,
                expiry_time: row.get(3)?,
            })
        })
        .optional()
}

/// Returns an error if the file ends in the middle of a page. SQLite would read the missing part of
/// the page as zeros. SQLite itself detects missing pages.
fn check_whole_pages(connection: &Connection, database: &Path) -> rusqlite::Result<()> {
    let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let length = std::fs::metadata(database).map_or(0, |metadata| metadata.len());
    if length == 0 || !length.is_multiple_of(u64::from(page)) {
        let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        let message = format!("{length} bytes are not a whole number of pages");
        return Err(rusqlite::Error::SqliteFailure(corrupt, Some(message)));
    }
    Ok(())
}

/// Returns `path` as an SQLite URI (sqlite.org/uri.html). Special bytes are escaped.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02x}"));
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(folder: &Path) -> PathBuf {
        let path = folder.join("keys.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection
            .execute_batch(
                "INSERT INTO key VALUES ('acme', 'SHA256:a', 'ssh-ed25519', 'AAAA', NULL, NULL),
                 ('acme', 'SHA256:b', 'ssh-ed25519', 'BBBB', '192.0.2.1', 1801353600)",
            )
            .unwrap();
        path
    }

    #[test]
    fn an_expired_key_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = published(folder.path());
        let acme = "acme".parse().unwrap();
        let key = find_key(&path, &acme, "SHA256:b", 1_801_353_599).unwrap().unwrap();
        assert_eq!(key.expiry_time.as_deref(), Some("20270131000000Z"));
        assert_eq!(find_key(&path, &acme, "SHA256:b", 1_801_353_600).unwrap(), None);
        assert!(find_key(&path, &acme, "SHA256:a", u64::MAX).unwrap().is_some());
    }

    #[test]
    fn a_key_is_valid_for_one_account_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = published(folder.path());
        assert_eq!(find_key(&path, &"ACME".parse().unwrap(), "SHA256:a", 0).unwrap(), None);
        assert_eq!(find_key(&path, &"acme".parse().unwrap(), "SHA256:A", 0).unwrap(), None);
    }

    #[test]
    fn finding_a_key_uses_one_index_search() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(published(folder.path())).unwrap();
        let plan: String = connection
            .query_row(&format!("EXPLAIN QUERY PLAN {FIND}"), params!["a", "b", 0], |row| {
                row.get(3)
            })
            .unwrap();
        assert_eq!(plan, "SEARCH key USING PRIMARY KEY (account=? AND fingerprint=?)");
    }

    #[test]
    fn special_characters_in_a_path_are_escaped() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a?mode=rwc", "b#c", "d%41", "e f", "ü", "\u{1b}"] {
            let folder = folder.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let path = published(&folder);
            assert!(find_key(&path, &"acme".parse().unwrap(), "SHA256:a", 0).unwrap().is_some());
        }
        assert_eq!(immutable_uri(Path::new("/a?b")), "file:/a%3fb?immutable=1");
    }

    #[test]
    fn an_invalid_key_database_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let acme = "acme".parse().unwrap();
        assert!(find_key(&path, &acme, "x", 0).is_err(), "missing");
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        assert!(find_key(&path, &acme, "x", 0).is_err(), "empty");
        std::fs::write(&path, "not a database at all, but long enough to be taken for one")
            .unwrap();
        let error = find_key(&path, &acme, "x", 0).unwrap_err().to_string();
        assert!(error.contains("`sftp-import provision`"), "{error}");
        std::fs::remove_file(&path).unwrap();
        published(folder.path());
        for length in [8191, 5000, 4096, 100] {
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
            assert!(find_key(&path, &acme, "x", 0).is_err(), "{length} bytes of it");
        }
    }
}
