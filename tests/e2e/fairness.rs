//! One account never hurts another: small files finish while a huge one runs, and one file waits for
//! a turn, however many others wait. Judged by the order of events; the waits are printed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::support::account::Account;
use crate::support::host::{Host, SOON};
use crate::support::pair::{EVENTS_HEADER, Pair};
use crate::support::process::until;

/// The huge file's size before compression, and how many small ones there are: a thousand with
/// SFTP_IMPORT_TEST_LONG, beside the largest file there may be.
fn sizes() -> (usize, usize) {
    match std::env::var_os("SFTP_IMPORT_TEST_LONG") {
        Some(_) => (4_900_000_000, 1000),
        None => (2_000_000_000, 60),
    }
}

/// Events of `size` bytes, compressed: it is the records that take time, not the disk.
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

/// With a single worker, which the huge import takes first: the small account's thousand need not
/// wait for its end.
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
        // Asked after the other: what is running now was running then.
        assert_eq!(host.query(state), ["running"], "the huge import runs all the while");
        done.then_some(())
    });
    eprintln!("{small_files} small imports beside one of {size} bytes: {}", waits(&small));
}

/// How long the account's imports waited from the manifest's arrival until they began, and ended.
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

/// Puts both files there, as if its upload had just ended.
fn put(account: &Account<'_>, stem: &str) {
    let pair = Pair::events(&account.local(), stem, 2);
    for file in [&pair.data, &pair.manifest] {
        account.give(file);
        std::fs::rename(file, account.incoming().join(file.file_name().unwrap())).unwrap();
    }
}

/// Accounts take turns: with hundreds of one account's imports queued, another's one is next.
#[test]
fn an_import_waits_for_one_turn_only() {
    const MANY: usize = 400;
    let host = Host::new("[imports]\nworkers = 1\n");
    let (many, one) = (host.account("e2e-turns-many"), host.account("e2e-turns-one"));
    (0..MANY).for_each(|n| put(&many, &format!("m{n:03}")));
    host.start_daemon();
    let claimed = "SELECT count(*) FROM import WHERE account = 'e2e-turns-many'";
    until("all to be claimed", SOON * 3, || {
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
    eprintln!("{turns} imports began before it, {before} waited: {}", waits(&one));
    assert!(before >= 20, "only {before} waited: nothing is shown");
    // The one that runs, and one that begins while this one is put into the queue.
    assert!(turns <= 2, "{turns} of {before} imports went first");
}
