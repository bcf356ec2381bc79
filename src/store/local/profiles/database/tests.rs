//! Tests of the files of a profiles database after a commit and after an abort, and of files that
//! are refused.

use super::connection::CACHE_KIB;
use super::*;

fn store(database: &Database, id: i64, properties: &str) {
    let mut profiles = Profiles::default();
    profiles.text.push_str(properties);
    profiles.add(id, 0, 0);
    database.store_profiles(&profiles).unwrap();
}

fn wal_len(path: &Path) -> u64 {
    std::fs::metadata(path.with_extension("db-wal")).unwrap().len()
}

/// Adds more data than the page cache can hold, so that SQLite writes pages to the log.
fn fill(database: &Database) {
    let text = "x".repeat(1 << 20);
    for id in 1..=(CACHE_KIB >> 10) + 16 {
        store(database, id, &format!(r#"{{"p":"{text}"}}"#));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const CLOSED: [&str; 3] = ["profiles.db", "profiles.db-shm", "profiles.db-wal"];

#[test]
fn a_new_database_appears_with_its_first_import() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.db");
    let aborted = Database::begin(&path).unwrap();
    fill(&aborted);
    assert_eq!(names(folder.path()), [".profiles-unfinished.db"]);
    drop(aborted);
    assert_eq!(names(folder.path()), [""; 0]);
    let database = Database::begin(&path).unwrap();
    fill(&database);
    let import = "sftp1-1".parse().unwrap();
    let counts = CommitCounts { records: 7, moved_ids: 3, absorbed_profiles: 2, ts_range: None };
    database.commit(&import, counts).unwrap();
    assert_eq!(names(folder.path()), CLOSED);
    assert_eq!(Database::read_commit_counts(&path, &import).unwrap(), Some(counts));
    let found = Connection::open(&path).unwrap();
    let text = |sql| found.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!([text("PRAGMA journal_mode"), text("PRAGMA integrity_check")], ["wal", "ok"]);
}

#[test]
fn an_empty_wal_stays_after_commit_and_abort() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.db");
    let commit = |database: Database, import: &str| {
        database.commit(&import.parse().unwrap(), CommitCounts::default()).unwrap();
    };
    commit(Database::begin(&path).unwrap(), "sftp1-1");
    assert_eq!(wal_len(&path), 0);
    let aborted = Database::begin(&path).unwrap();
    fill(&aborted);
    assert!(wal_len(&path) > 0, "SQLite must have spilled pages");
    drop(aborted);
    assert_eq!(wal_len(&path), 0);
    let database = Database::begin(&path).unwrap();
    assert_eq!(database.last_profile().unwrap(), 0);
    store(&database, 7, "{}");
    commit(database, "sftp1-2");
    assert_eq!(names(folder.path()), CLOSED);
    assert_eq!(wal_len(&path), 0);
    assert_eq!(Database::begin(&path).unwrap().last_profile().unwrap(), 7);
}

#[test]
fn a_database_of_version_0_2_counts_absorptions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.db");
    let imports = ["sftp1-1", "sftp1-2", "sftp1-3"].map(|id| id.parse().unwrap());
    Database::begin(&path).unwrap().commit(&imports[0], CommitCounts::default()).unwrap();
    let sql = "ALTER TABLE checkpoint DROP COLUMN absorbed_profiles";
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let read = |n: usize| Database::read_commit_counts(&path, &imports[n]).unwrap();
    assert_eq!(read(0), Some(CommitCounts::default()));
    drop(Database::begin(&path).unwrap());
    assert!(
        !has_absorbed(&Connection::open(&path).unwrap()).unwrap(),
        "an abort must not change the database"
    );
    let counts = CommitCounts { records: 1, moved_ids: 2, absorbed_profiles: 3, ts_range: None };
    Database::begin(&path).unwrap().commit(&imports[1], counts).unwrap();
    assert_eq!([0, 1, 2].map(read), [Some(CommitCounts::default()), Some(counts), None]);
}

#[test]
fn newer_and_invalid_databases_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.db");
    let database = Database::begin(&path).unwrap();
    database.commit(&"sftp1-1".parse().unwrap(), CommitCounts::default()).unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Database::begin(&path), Err(Error::Newer { found: 99, .. })));
    std::fs::write(&path, "not a database".repeat(100)).unwrap();
    assert!(matches!(Database::begin(&path), Err(Error::Profiles { operation: "begin", .. })));
}

#[test]
fn profiles_are_loaded_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::begin(&folder.path().join("profiles.db")).unwrap();
    for id in [1, 3, 4, 900] {
        store(&database, id, &format!("{id:0>10}"));
    }
    // A single query reads ids that are close to each other. Other ids are read one by one.
    for ids in [vec![1, 2, 3, 4], vec![1, 2, 3, 900]] {
        let load = |most| {
            let (found, passed) = database.load_profiles(&ids, most).unwrap();
            (found.iter().map(|profile| profile.id).collect::<Vec<_>>(), passed)
        };
        assert_eq!(load(0), (vec![1], 1));
        assert_eq!(load(10), (vec![1], 1));
        assert_eq!(load(11), (vec![1, 3], 3));
        assert_eq!(load(30), (vec![1, 3, ids[3]], 4));
        assert_eq!(load(usize::MAX), (vec![1, 3, ids[3]], 4));
    }
    let (none, passed) = database.load_profiles(&[], 0).unwrap();
    assert_eq!((none.iter().count(), passed), (0, 0));
}
