//! An hour's worth of mixed uploads compressed into a short time, by real clients, side by side;
//! at the end the sidecar holds no more memory, file descriptors and threads than early on.
//!
//! In short: some 20 s of uploads after as many to warm up. `SFTP_IMPORT_TEST_LONG=1`: minutes.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::host::{Host, SOON};
use crate::pair::Pair;
use crate::process::until;

const ACCOUNTS: usize = 3;
/// What a process's memory may differ by with the same work behind it: what the allocator keeps of
/// the largest imports that happened to run side by side, in KiB.
const MEMORY_SLACK: u64 = 48 << 10;

/// What the sidecar holds when nothing is to be done.
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

/// What it holds once idle threads have ended and what they had open is closed.
fn at_rest(host: &Host, before: Option<Held>) -> Held {
    host.wait_until_quiet(Duration::from_secs(300));
    let mut last = held(host);
    // A pool's idle threads end after ten seconds (tokio's keep-alive).
    until("threads and files to be as few as they were", Duration::from_secs(180), || {
        std::thread::sleep(Duration::from_secs(1));
        let now = held(host);
        let settled = match before {
            Some(before) => now.files <= before.files && now.threads <= before.threads,
            None => now.threads == last.threads && now.files == last.files && now.threads < 8,
        };
        last = now;
        settled.then_some(())
    });
    last
}

/// Uploads one pair after the other, of all kinds in turn, until `end`. Returns how many.
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
    account.upload(&pair);
}

fn not_a_data_file(account: &Account<'_>, stem: &str) {
    let pair = Pair::events(&account.local(), stem, 1);
    fs::write(&pair.data, [0xff; 4096]).unwrap();
    account.upload(&pair);
}

/// The data file arrives by half, then whole, then the manifest.
fn cut_and_resumed(account: &Account<'_>, stem: &str) {
    let pair = Pair::events(&account.local(), stem, 3_000);
    let whole = fs::read(&pair.data).unwrap();
    fs::write(&pair.data, &whole[..whole.len() / 2]).unwrap();
    account.sftp(&format!("put {}\n", pair.data.display())).ok();
    fs::write(&pair.data, &whole).unwrap();
    let (data, manifest) = (pair.data.display(), pair.manifest.display());
    account.sftp(&format!("reput {data}\nput {manifest}\n")).ok();
}

/// Every account uploads for `length` side by side.
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
fn memory_files_and_threads_are_flat_after_many_uploads() {
    let long = std::env::var_os("SFTP_IMPORT_TEST_LONG").is_some();
    let length = Duration::from_secs(if long { 300 } else { 10 });
    let host = Host::running();
    let accounts: Vec<_> = (0..ACCOUNTS).map(|i| host.account(&format!("e2e-soak-{i}"))).collect();
    let warm = phase(&accounts, "w", length / 2);
    let before = at_rest(&host, None);
    let mut uploaded = 0;
    for (n, name) in ["a", "b"].into_iter().enumerate() {
        uploaded += phase(&accounts, name, length);
        let after = at_rest(&host, Some(before));
        eprintln!("after {warm} and {uploaded} uploads ({}): {before:?}, {after:?}", n + 1);
        let most = before.memory_kib + MEMORY_SLACK;
        assert!(after.memory_kib <= most, "memory grew: {before:?}, {after:?}");
    }
    let ended = host.query("SELECT count(*) FROM import WHERE state IN ('completed', 'failed')");
    assert_eq!(ended, [(warm + uploaded).to_string()], "every upload came to an end");
    let infra = "SELECT count(*) FROM import WHERE report LIKE '%nternal%'";
    assert_eq!(host.query(infra), ["0"], "and none by a fault of ours");
    until("nothing to be left in incoming", SOON, || {
        accounts.iter().all(|a| a.incoming().read_dir().unwrap().count() == 0).then_some(())
    });
}
