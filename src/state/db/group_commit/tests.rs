//! Tests of the guarantees for writers that share a commit.

use std::path::PathBuf;
use std::sync::Barrier;

use rusqlite::Connection;

use super::*;

fn writers() -> (tempfile::TempDir, PathBuf, Writers) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    std::fs::write(&path, "").unwrap();
    let connection = connection::connect(&path).unwrap();
    connection.execute_batch("CREATE TABLE t (x INTEGER PRIMARY KEY)").unwrap();
    let writers = Writers::new(&path, connection);
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

/// Counts the commits in the write-ahead log. The last frame of a commit has the number of pages of
/// the database in its header (sqlite.org/fileformat2.html, "WAL Frame Header").
fn commits(path: &Path) -> usize {
    let log = std::fs::read(path.with_extension("db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let frame = 24 + number(8) as usize;
    (32..log.len()).step_by(frame).filter(|at| number(at + 4) != 0).count()
}

/// Runs writers 0 to `count` - 1, all of which wait before the first begins.
fn together<T: Send>(
    writers: &Writers,
    count: i64,
    work: impl Fn(i64, &Transaction<'_>) -> Result<T> + Sync,
) -> Vec<std::thread::Result<Result<T>>> {
    let held = writers.turn();
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
fn a_lone_writer_commits_at_once() {
    let (_folder, path, writers) = writers();
    writers.write(|tx| put(tx, 7)).unwrap();
    assert_eq!(rows(&path), [7]);
    assert!(writers.turn().group.is_none());
}

#[test]
fn those_who_wait_share_a_commit_and_none_returns_before_it() {
    let (_folder, path, writers) = writers();
    let before = commits(&path);
    let ended = together(&writers, 20, |n, tx| put(tx, n));
    assert!(ended.into_iter().all(|one| one.unwrap().is_ok()));
    assert_eq!(commits(&path), before + 1);
    assert_eq!(rows(&path), (0..20).collect::<Vec<_>>());
}

#[test]
fn an_error_and_a_panic_take_back_their_own_alone() {
    let (_folder, path, writers) = writers();
    let ended = together(&writers, 12, |n, tx| {
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
fn when_sqlite_takes_back_everything_nobody_is_told_that_it_is_there() {
    let (_folder, path, writers) = writers();
    let ended = together(&writers, 8, |n, tx| {
        put(tx, n)?;
        if n == 3 {
            // As after a full disk: the transaction of all its writers is rolled back.
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
fn a_commit_that_fails_fails_for_all_and_the_next_one_works() {
    let (_folder, path, writers) = writers();
    // SQLite checks a deferred reference only in the commit.
    let deferred = "CREATE TABLE r (x REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED)";
    writers.alone(|connection| connection.execute_batch(deferred)).unwrap();
    let ended = together(&writers, 5, |n, tx| {
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
fn many_writers_at_random_lose_nothing() {
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
