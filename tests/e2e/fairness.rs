//! Tests that one account does not delay other accounts. Small files must finish while a huge file
//! is imported, and one file waits only for its turn even if many other files wait. The tests check
//! the order of events. They only print the waiting times.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::support::account::Account;
use crate::support::host::{Host, SOON};
use crate::support::pair::{EVENTS_HEADER, Pair};
use crate::support::process::until;

/// Returns the size of the huge file before compression in bytes, and the number of small files.
/// With SFTP_IMPORT_TEST_LONG the huge file has the maximum size, and there are a thousand small
/// files.
fn sizes() -> (usize, usize) {
    match std::env::var_os("SFTP_IMPORT_TEST_LONG") {
        Some(_) => (4_900_000_000, 1000),
        None => (2_000_000_000, 60),
    }
}

/// Writes `size` bytes of compressed events. The records take most of the time, not the disk.
fn huge_file(path: &Path, size: usize) {
    let mut block = String::new();
    for n in 0..10_000 {
        writeln!(block, "Purchased,{},user{n}@example.com,{n}.5,x", 1_600_000_000 + n).unwrap();
    }
    let mut file = zstd::Encoder::new(std::fs::File::create(path).unwrap(), 1).unwrap();
    writeln!(file, "{EVENTS_HEADER}").unwrap();
    for _ in 0..size / block.len() {
        file.write_all(block.as_bytes()).unwrap();
    }
    file.finish().unwrap();
}

/// The only worker first starts the huge import. The small imports must not wait until the huge
/// import has ended.
#[test]
fn small_imports_finish_while_a_huge_one_runs() {
    let (size, small_files) = sizes();
    let host = Host::new("[imports]\nworkers = 1\n");
    host.start_daemon();
    let (huge, small) = (host.account("e2e-fair-huge"), host.account("e2e-fair-small"));
    let pair = Pair::events(&huge.local(), "huge", 1);
    let data = huge.local().join("huge.csv.zst");
    huge_file(&data, size);
    let manifest = std::fs::read_to_string(&pair.manifest).unwrap();
    std::fs::write(&pair.manifest, manifest.replace("huge.csv", "huge.csv.zst")).unwrap();
    huge.sftp(&format!("put {}\nput {}\n", data.display(), pair.manifest.display())).ok();
    let state = "SELECT state FROM import WHERE account = 'e2e-fair-huge'";
    until("the huge import to run", SOON, || (host.query(state) == ["running"]).then_some(()));

    let puts: Vec<String> = (0..small_files)
        .map(|n| {
            let pair = Pair::events(&small.local(), &format!("s{n}"), 2);
            format!("put {}\nput {}\n", pair.data.display(), pair.manifest.display())
        })
        .collect();
    for session in puts.chunks(60) {
        small.sftp(&session.concat()).ok();
    }
    let completed = "SELECT count(*) FROM import
                     WHERE account = 'e2e-fair-small' AND state = 'completed'";
    until("the small imports to finish", Duration::from_secs(600), || {
        host.check_daemon();
        let done = host.query(completed) == [small_files.to_string()];
        // This query runs after the query of the small imports. If the huge import is running now,
        // it was also running before.
        assert_eq!(host.query(state), ["running"], "the huge import must still be running");
        done.then_some(())
    });
    eprintln!("{small_files} small imports beside one of {size} bytes: {}", waits(&small));
}

/// Returns how long the account's imports waited, from the arrival of the manifest until their
/// start and until their end.
fn waits(account: &Account<'_>) -> String {
    let of = |column: &str| {
        let sql = format!(
            "SELECT {column} - received_at FROM import WHERE account = '{}' ORDER BY 1",
            account.id
        );
        let sorted: Vec<u64> =
            account.host.query(&sql).iter().map(|ms| ms.parse().unwrap_or(0)).collect();
        let at = |part: usize| sorted[(sorted.len() - 1) * part / 100];
        format!("p50 {} ms, p99 {} ms, max {} ms", at(50), at(99), at(100))
    };
    format!("begun after {}; ended after {}", of("started_at"), of("finished_at"))
}

/// Creates both files of a pair, as if their upload had just ended.
fn put(account: &Account<'_>, stem: &str) {
    let pair = Pair::events(&account.local(), stem, 2);
    for file in [&pair.data, &pair.manifest] {
        account.give(file);
        std::fs::rename(file, account.incoming().join(file.file_name().unwrap())).unwrap();
    }
}

/// Accounts take turns. If hundreds of imports of one account are queued, the next import of
/// another account runs after the current one.
#[test]
fn an_import_waits_only_for_its_turn() {
    const MANY: usize = 400;
    let host = Host::new("[imports]\nworkers = 1\n");
    let (many, one) = (host.account("e2e-turns-many"), host.account("e2e-turns-one"));
    (0..MANY).for_each(|n| put(&many, &format!("m{n:03}")));
    host.start_daemon();
    let claimed = "SELECT count(*) FROM import WHERE account = 'e2e-turns-many'";
    until("all uploads to be claimed", SOON * 3, || {
        host.check_daemon();
        (host.query(claimed) == [MANY.to_string()]).then_some(())
    });
    let waiting = "SELECT count(*) FROM import WHERE state IN ('claiming', 'queued')";
    let before: usize = host.query(waiting)[0].parse().unwrap();
    put(&one, "o");
    one.report("o");
    let turns = "SELECT count(*) FROM import a, import b WHERE b.account = 'e2e-turns-one'
                 AND a.account = 'e2e-turns-many'
                 AND a.started_at BETWEEN b.received_at AND b.started_at";
    let turns: usize = host.query(turns)[0].parse().unwrap();
    eprintln!("{turns} imports began before the single one, {before} waited: {}", waits(&one));
    assert!(before >= 20, "only {before} imports waited, too few for this test");
    // One import is already running, and another import may begin while the new import is put into
    // the queue.
    assert!(turns <= 2, "{turns} of {before} imports began before the single one");
}
