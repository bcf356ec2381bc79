//! Tests of many mixed uploads by real clients at the same time. At the end the daemon may use no
//! more memory, file descriptors and threads than after the warm-up.
//!
//! The short form uploads for 10 s, after a warm-up of half that time. With
//! `SFTP_IMPORT_TEST_LONG=1` the uploads take a quarter of an hour, in three parts.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::support::account::Account;
use crate::support::host::{Host, SOON};
use crate::support::outcome::names;
use crate::support::pair::Pair;
use crate::support::process::until;

const ACCOUNTS: usize = 3;
/// The allowed increase of memory in KiB after the same amount of work. The allocator keeps memory
/// of the largest imports that ran at the same time.
const MEMORY_SLACK: u64 = 48 << 10;

/// The allowed increase of open files and threads, for a running scan or survey. If each of several
/// hundred uploads left one file open, the increase would be far larger.
const SLACK: usize = 3;

/// The resources that the daemon uses when it has no work.
#[derive(Clone, Copy, Debug)]
struct Held {
    memory_kib: u64,
    files: usize,
    threads: u64,
}

fn held(host: &Host) -> Held {
    let process = format!("/proc/{}", host.daemon().as_ref().unwrap().id());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let files = fs::read_dir(format!("{process}/fd")).unwrap().count();
    Held { memory_kib: field("VmRSS:"), files, threads: field("Threads:") }
}

/// Returns the resources that the daemon uses after idle threads have ended and their files are
/// closed. tokio ends an idle thread after ten seconds. Therefore the numbers must stay unchanged
/// for a longer time. `uploaded` is the expected number of imports.
fn at_rest(host: &Host, uploaded: usize) -> Held {
    until("all uploads to be claimed", Duration::from_secs(600), || {
        (host.query("SELECT count(*) FROM import") == [uploaded.to_string()]).then_some(())
    });
    host.wait_until_quiet(Duration::from_secs(600));
    let (mut least, mut since) = (held(host), Instant::now());
    until("the number of threads and files to stay unchanged", Duration::from_secs(600), || {
        std::thread::sleep(Duration::from_millis(500));
        let now = held(host);
        if now.files < least.files || now.threads < least.threads {
            since = Instant::now();
        }
        least = Held {
            memory_kib: now.memory_kib,
            files: least.files.min(now.files),
            threads: least.threads.min(now.threads),
        };
        (since.elapsed() > Duration::from_secs(12)).then_some(())
    });
    least
}

/// Uploads pairs of all kinds one after another until `end`. Returns the number of uploaded pairs.
fn upload_mixed(account: &Account<'_>, phase: &str, end: Instant) -> usize {
    let folder = account.local();
    let mut n = 0;
    while n < 8 || Instant::now() < end {
        let stem = format!("{phase}{n:04}");
        match n % 8 {
            0 => account.upload(&Pair::events(&folder, &stem, 20_000)),
            1 => account.upload(&Pair::profiles(&folder, &stem, 3_000)),
            2 => account.upload(&Pair::events_with(&folder, &stem, 2_000, &[0, 7, 1999])),
            3 => refused_manifest(account, &stem),
            4 => not_a_data_file(account, &stem),
            5 => cut_and_resumed(account, &stem),
            _ => account.upload(&Pair::events(&folder, &stem, 10)),
        }
        n += 1;
    }
    n
}

fn refused_manifest(account: &Account<'_>, stem: &str) {
    let pair = Pair::events(&account.local(), stem, 1);
    fs::write(&pair.manifest, "{\"fileName\": \"../x.csv\", \"type\": \"event\"}").unwrap();
    account.sftp(&format!("put {}\n", pair.manifest.display())).ok();
}

fn not_a_data_file(account: &Account<'_>, stem: &str) {
    let pair = Pair::events(&account.local(), stem, 1);
    fs::write(&pair.data, [0xff; 4096]).unwrap();
    account.upload(&pair);
}

/// Uploads half of the data file, then the whole data file, then the manifest.
fn cut_and_resumed(account: &Account<'_>, stem: &str) {
    let pair = Pair::events(&account.local(), stem, 3_000);
    let whole = fs::read(&pair.data).unwrap();
    fs::write(&pair.data, &whole[..whole.len() / 2]).unwrap();
    account.sftp(&format!("put {}\n", pair.data.display())).ok();
    fs::write(&pair.data, &whole).unwrap();
    let (data, manifest) = (pair.data.display(), pair.manifest.display());
    account.sftp(&format!("reput {data}\nput {manifest}\n")).ok();
}

/// All accounts upload at the same time for the duration `length`. Returns the number of uploaded
/// pairs.
fn phase(accounts: &[Account<'_>], name: &str, length: Duration) -> usize {
    let (end, uploaded) = (Instant::now() + length, AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for account in accounts {
            let uploaded = &uploaded;
            scope.spawn(move || uploaded.fetch_add(upload_mixed(account, name, end), Relaxed));
        }
    });
    uploaded.into_inner()
}

#[test]
fn memory_files_and_threads_do_not_grow() {
    let long = std::env::var_os("SFTP_IMPORT_TEST_LONG").is_some();
    let length = Duration::from_secs(if long { 300 } else { 10 });
    let phases: &[&str] = if long { &["a", "b", "c"] } else { &["a"] };
    let host = Host::running();
    let accounts: Vec<_> = (0..ACCOUNTS).map(|i| host.account(&format!("e2e-soak-{i}"))).collect();
    let warm = phase(&accounts, "w", length / 2);
    let before = at_rest(&host, warm);
    let mut uploaded = 0;
    for name in phases {
        uploaded += phase(&accounts, name, length);
        let after = at_rest(&host, warm + uploaded);
        eprintln!("after {warm} and {uploaded} uploads: {before:?}, {after:?}");
        let most = before.memory_kib + MEMORY_SLACK;
        assert!(after.memory_kib <= most, "memory grew: {before:?}, {after:?}");
        let fits =
            after.files <= before.files + SLACK && after.threads <= before.threads + SLACK as u64;
        assert!(fits, "files or threads grew: {before:?}, {after:?}");
    }
    let ended = host.query("SELECT count(*) FROM import WHERE state IN ('completed', 'failed')");
    assert_eq!(ended, [(warm + uploaded).to_string()], "every import must have ended");
    let infra = "SELECT count(*) FROM import WHERE report LIKE '%nternal%'";
    assert_eq!(host.query(infra), ["0"], "no import may fail with an internal error");
    until("nothing to be left in incoming", SOON, || {
        accounts.iter().all(|a| names(&a.incoming(), "").is_empty()).then_some(())
    });
}
