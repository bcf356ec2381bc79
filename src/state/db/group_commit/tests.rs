//! Tests of the guarantees for writers that share one commit.

use std::path::PathBuf;
use std::sync::Barrier;

use rusqlite::Connection;

use super::*;

fn writers() -> (tempfile::TempDir, PathBuf, GroupCommit) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    std::fs::write(&path, "").unwrap();
    let connection = connection::connect(&path).unwrap();
    connection.execute_batch("CREATE TABLE t (x INTEGER PRIMARY KEY)").unwrap();
    let writers = GroupCommit::new(&path, connection);
    (folder, path, writers)
}

fn put(tx: &Transaction<'_>, x: i64) -> Result<()> {
    tx.execute("INSERT INTO t VALUES (?1)", [x])?;
    Ok(())
}

fn rows(path: &Path) -> Vec<i64> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT x FROM t ORDER BY x").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(rusqlite::Result::unwrap).collect()
}

/// Counts the commits in the write-ahead log. The last frame of each commit has the size of the
/// database in pages in its header (sqlite.org/fileformat2.html, "WAL Frame Header").
fn commits(path: &Path) -> usize {
    let log = std::fs::read(path.with_extension("db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let frame = 24 + number(8) as usize;
    (32..log.len()).step_by(frame).filter(|at| number(at + 4) != 0).count()
}

/// Runs `count` writers, numbered from 0. All writers are waiting before the first writer begins.
fn run_all<T: Send>(
    writers: &GroupCommit,
    count: i64,
    work: impl Fn(i64, &Transaction<'_>) -> Result<T> + Sync,
) -> Vec<std::thread::Result<Result<T>>> {
    let held = writers.lock_writer();
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            (0..count).map(|n| scope.spawn(move || writers.write(|tx| work(n, tx)))).collect();
        while writers.waiting.load(SeqCst) < count as usize {
            std::thread::yield_now();
        }
        drop(held);
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    })
}

#[test]
fn a_single_writer_commits_immediately() {
    let (_folder, path, writers) = writers();
    writers.write(|tx| put(tx, 7)).unwrap();
    assert_eq!(rows(&path), [7]);
    assert!(writers.lock_writer().group.is_none());
}

#[test]
fn waiting_writers_share_a_commit() {
    let (_folder, path, writers) = writers();
    let before = commits(&path);
    let ended = run_all(&writers, 20, |n, tx| put(tx, n));
    assert!(ended.into_iter().all(|one| one.unwrap().is_ok()));
    assert_eq!(commits(&path), before + 1);
    assert_eq!(rows(&path), (0..20).collect::<Vec<_>>());
}

#[test]
fn an_error_or_panic_undoes_its_own_changes() {
    let (_folder, path, writers) = writers();
    let ended = run_all(&writers, 12, |n, tx| {
        put(tx, n)?;
        match n % 3 {
            0 => Ok(()),
            1 => Err(Error::Value("not this one".into())),
            _ => panic!("the test's panic"),
        }
    });
    for (n, end) in ended.into_iter().enumerate() {
        match n % 3 {
            0 => end.unwrap().unwrap(),
            1 => assert!(matches!(end.unwrap(), Err(Error::Value(_)))),
            _ => assert!(end.is_err()),
        }
    }
    assert_eq!(rows(&path), [0, 3, 6, 9]);
    writers.write(|tx| put(tx, 1)).unwrap();
    assert_eq!(rows(&path), [0, 1, 3, 6, 9]);
}

#[test]
fn all_writers_fail_after_a_full_rollback() {
    let (_folder, path, writers) = writers();
    let ended = run_all(&writers, 8, |n, tx| {
        put(tx, n)?;
        if n == 3 {
            // The rollback imitates SQLite after a full disk, when SQLite rolls back the
            // transaction of all writers.
            tx.execute_batch("ROLLBACK")?;
            return Err(Error::Value("the disk is full".into()));
        }
        Ok(())
    });
    let there = rows(&path);
    for (n, end) in (0..).zip(ended) {
        assert_eq!(end.unwrap().is_ok(), there.contains(&n), "{n}: {there:?}");
    }
    writers.write(|tx| put(tx, 100)).unwrap();
    assert!(rows(&path).contains(&100));
}

#[test]
fn all_writers_fail_after_a_failed_commit() {
    let (_folder, path, writers) = writers();
    // SQLite checks a deferred reference only during the commit.
    let deferred = "CREATE TABLE r (x REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED)";
    writers.run_outside(|connection| connection.execute_batch(deferred)).unwrap();
    let ended = run_all(&writers, 5, |n, tx| {
        put(tx, n)?;
        tx.execute("INSERT INTO r VALUES (99)", [])?;
        Ok(())
    });
    assert!(ended.into_iter().all(|one| one.unwrap().is_err()));
    assert!(rows(&path).is_empty());
    writers.write(|tx| put(tx, 7)).unwrap();
    assert_eq!(rows(&path), [7]);
}

#[test]
fn concurrent_writers_keep_every_change() {
    let (_folder, path, writers) = writers();
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (writers, start) = (&writers, &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..50 {
                    let x = thread * 1000 + n;
                    let done = writers.write(|tx| {
                        put(tx, x)?;
                        if n % 7 == 0 { Err(Error::Value("no".into())) } else { Ok(()) }
                    });
                    assert_eq!(done.is_ok(), n % 7 != 0);
                }
            });
        }
    });
    let expected = (0..8).flat_map(|t| (0..50).filter(|n| n % 7 != 0).map(move |n| t * 1000 + n));
    assert_eq!(rows(&path), expected.collect::<Vec<_>>());
}
