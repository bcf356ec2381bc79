//! Tests of database copies that are made during writes, and of restores over intact, damaged and
//! newer databases.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use jiff::Timestamp;

use super::*;
use crate::recipient::RecipientRule;
use crate::state::{PreviousDatabase, State, accounts, activity, replace};

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// Creates a state database with one account in `folder`. Returns the path of the database.
fn database(folder: &Path, account: &str) -> PathBuf {
    let path = folder.join("state.db");
    let state = State::open(&path).unwrap();
    let id = account.parse().unwrap();
    state.write(|tx| accounts::add(tx, now(), &id, None, &RecipientRule::Any)).unwrap();
    path
}

fn accounts_in(path: &Path) -> Vec<String> {
    let state = State::open(path).unwrap();
    state.read(accounts::list).unwrap().into_iter().map(|row| row.id.to_string()).collect()
}

fn plain_backup(database: &Path, to: &Path) -> Result<BackupInfo, BackupError> {
    backup(database, to, |_| Ok(()))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_one_private_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "acme");
    let elsewhere = tempfile::tempdir().unwrap();
    let to = elsewhere.path().join("b.db");
    let copied = plain_backup(&path, &to).unwrap();
    assert_eq!(copied.bytes, fs::metadata(&to).unwrap().len());
    assert_eq!(names(elsewhere.path()), ["b.db"]);
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o7777, 0o600);
    let before = fs::read(&to).unwrap();
    assert!(matches!(plain_backup(&path, &to), Err(BackupError::Exists(_))));
    assert!(matches!(plain_backup(&folder.path().join("none"), &to), Err(BackupError::Io { .. })));
    assert_eq!((fs::read(&to).unwrap(), names(elsewhere.path())), (before, vec!["b.db".into()]));
    assert_eq!(accounts_in(&to), ["acme"]);
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The writer adds lines to the activity log in pairs. A copy must contain both lines of a pair or
/// none.
#[test]
fn a_backup_during_writes_is_consistent() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "acme");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop); // the drop stops the writer even after a panic
        let writer = scope.spawn(|| {
            let state = State::open(&path).unwrap();
            while !stop.load(Relaxed) {
                let two = |tx: &crate::state::Transaction<'_>| {
                    activity::log(tx, now(), None, None, "one", "x")?;
                    activity::log(tx, now(), None, None, "two", "x")
                };
                state.write(two).unwrap();
            }
        });
        let mut most = 0;
        for n in 0..1000 {
            let to = folder.path().join(format!("copy-{n}"));
            plain_backup(&path, &to).unwrap();
            let copy = Connection::open(&to).unwrap();
            let count = |action: &str| {
                let sql = "SELECT count(*) FROM activity WHERE action = ?1";
                copy.query_row(sql, [action], |row| row.get::<_, i64>(0)).unwrap()
            };
            assert_eq!(count("one"), count("two"));
            fs::remove_file(&to).unwrap();
            if n >= 10 && count("one") > most && most > 0 {
                break;
            }
            most = count("one").max(most);
        }
        stop.store(true, Relaxed);
        writer.join().unwrap();
        assert!(most > 0, "at least one copy must contain new lines");
    });
}

#[test]
fn a_restore_keeps_the_replaced_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "old");
    let saved = folder.path().join("saved");
    plain_backup(&path, &saved).unwrap();
    let state = State::open(&path).unwrap();
    state
        .write(|tx| accounts::add(tx, now(), &"new".parse().unwrap(), None, &RecipientRule::Any))
        .unwrap();
    assert!(matches!(replace(&path, &saved, now(), |_| Ok(())), Err(BackupError::InUse(_))));
    drop(state);
    let replaced = replace(&path, &saved, now(), |_| Ok(())).unwrap();
    assert_eq!(accounts_in(&path), ["old"]);
    let kept = replaced.replaced.unwrap();
    assert_eq!(kept, folder.path().join("state.db.replaced-20260102T030405.000Z"));
    assert_eq!(accounts_in(&kept), ["new", "old"]);
    let missing = folder.path().join("elsewhere.db");
    assert_eq!(replace(&missing, &saved, now(), |_| Ok(())).unwrap().replaced, None);
    assert_eq!(accounts_in(&missing), ["old"]);
}

#[test]
fn a_restore_replaces_a_damaged_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "old");
    let saved = folder.path().join("saved");
    plain_backup(&path, &saved).unwrap();
    fs::write(&path, "no database".repeat(1000)).unwrap();
    fs::write(folder.path().join("state.db-wal"), "another's").unwrap();
    let replaced = replace(&path, &saved, now(), |_| Ok(())).unwrap();
    assert_eq!(replaced.previous, PreviousDatabase::default());
    assert!(!folder.path().join("state.db-wal").exists());
    assert_eq!(accounts_in(&path), ["old"]);
    assert!(fs::read(replaced.replaced.unwrap()).unwrap().starts_with(b"no database"));
}

#[test]
fn a_refused_restore_keeps_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "acme");
    let saved = folder.path().join("saved");
    let save = |change: &str| {
        let _ = fs::remove_file(&saved);
        plain_backup(&path, &saved).unwrap();
        Connection::open(&saved).unwrap().execute_batch(change).unwrap();
        replace(&path, &saved, now(), |_| Ok(())).unwrap_err()
    };
    let newer = save("PRAGMA user_version = 99");
    assert!(matches!(newer, BackupError::Newer { found: 99, .. }), "{newer:?}");
    let foreign = save("PRAGMA foreign_keys = off; DROP TABLE import");
    assert!(matches!(foreign, BackupError::NotStateDatabase(_)), "{foreign:?}");
    let bytes = fs::read(&path).unwrap();
    fs::write(&saved, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(replace(&path, &saved, now(), |_| Ok(())), Err(BackupError::Damaged { .. })));
    assert_eq!(accounts_in(&path), ["acme"]);
}
