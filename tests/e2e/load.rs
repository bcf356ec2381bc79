//! Tests a load of ten accounts at the same time, with a thousand pairs in total.

use std::fmt::Write;
use std::time::Duration;

use crate::support::account::Account;
use crate::support::host::Host;
use crate::support::pair::Pair;

const ACCOUNTS: usize = 10;
const PAIRS_EACH: usize = 100;
const RECORDS_EACH: usize = 5;

#[test]
fn a_thousand_pairs_from_ten_accounts_are_imported() {
    let host = Host::running();
    let accounts: Vec<_> = (0..ACCOUNTS).map(|i| host.account(&format!("e2e-load-{i}"))).collect();
    std::thread::scope(|scope| {
        for account in &accounts {
            scope.spawn(|| upload_all(account));
        }
    });
    host.wait_until_quiet(Duration::from_secs(600));
    accounts.iter().for_each(check_account);
    let total = host.query("SELECT count(*) FROM import WHERE state = 'completed'");
    assert_eq!(total, [(ACCOUNTS * PAIRS_EACH).to_string()]);
}

fn stems() -> impl Iterator<Item = String> {
    // The numbers count down, so that the order of upload differs from the order of names.
    (0..PAIRS_EACH).rev().map(|i| format!("p{i:03}"))
}

/// Uploads all pairs in one session, one after another. The data file of each pair is first.
fn upload_all(account: &Account<'_>) {
    let mut batch = String::new();
    for stem in stems() {
        let pair = Pair::events(&account.local(), &stem, RECORDS_EACH);
        writeln!(batch, "put {}\nput {}", pair.data.display(), pair.manifest.display()).unwrap();
    }
    account.sftp(&batch).ok();
}

/// Checks that every pair was imported once and in the order of upload, with the same number of
/// rows in the store and in the report.
fn check_account(account: &Account<'_>) {
    let host = account.host;
    let of_account = format!("WHERE account = '{}'", account.id);
    let in_order =
        |by: &str| host.query(&format!("SELECT manifest FROM import {of_account} ORDER BY {by}"));
    let uploaded: Vec<_> = stems().map(|stem| format!("{stem}.manifest")).collect();
    assert_eq!(in_order("n"), uploaded, "claims must be in the order of upload");
    assert_eq!(in_order("started_at, n"), uploaded, "imports must run in the order of upload");
    let imports = host.query(&format!("SELECT id FROM import {of_account}"));
    let rows: usize = imports.iter().map(|import| account.events(import).len()).sum();
    assert_eq!(rows, PAIRS_EACH * RECORDS_EACH);
    assert_eq!(account.event_folders().len(), PAIRS_EACH);
    for stem in stems() {
        let report = account.report(&stem);
        assert_eq!(report["records"]["accepted"], RECORDS_EACH, "{report:#}");
    }
}
