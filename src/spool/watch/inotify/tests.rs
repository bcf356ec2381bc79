//! Tests of inotify watches on a folder of a real file system.

use std::time::Duration;

use super::*;
use crate::spool::test_host::TestHost;

/// The maximum wait for an event. Every event arrives earlier.
const SOON: Duration = Duration::from_secs(5);

async fn next(events: &mut InotifyWatches) -> Vec<ScanTarget> {
    tokio::time::timeout(SOON, events.next()).await.expect("an event").unwrap()
}

/// Returns true if no account must be scanned, according to the watches.
async fn quiet(events: &mut InotifyWatches) -> bool {
    tokio::time::timeout(Duration::from_millis(50), events.next()).await.is_err()
}

fn only(account: &AccountId) -> Vec<AccountId> {
    vec![account.clone()]
}

/// Follows `accounts` and checks that each account has a watch. Returns the accounts with a new
/// watch.
#[track_caller]
fn follow(events: &mut InotifyWatches, accounts: &[&AccountId]) -> Vec<AccountId> {
    let accounts: Vec<_> = accounts.iter().copied().cloned().collect();
    watched(events.follow(&accounts))
}

/// Returns the accounts with a new watch. Checks that every account has a watch.
#[track_caller]
fn watched(RenewResult { new, root, unwatched }: RenewResult) -> Vec<AccountId> {
    assert!(root.is_none() && unwatched.is_empty(), "{root:?} {unwatched:?}");
    new
}

/// Returns a host with one account, and watches that follow the account.
fn followed() -> (TestHost, InotifyWatches) {
    let host = TestHost::new();
    let mut events = InotifyWatches::new(&host.layout, Arc::default()).unwrap();
    assert_eq!(follow(&mut events, &[&host.account]), only(&host.account));
    (host, events)
}

fn two_followed() -> (TestHost, AccountId, InotifyWatches) {
    let (host, mut events) = followed();
    let other: AccountId = "other".parse().unwrap();
    host.add_account(&other);
    assert_eq!(follow(&mut events, &[&host.account, &other]), only(&other));
    (host, other, events)
}

#[tokio::test]
async fn close_and_rename_cause_a_scan() {
    let (host, mut events) = followed();
    host.put("e.csv.filepart", "x");
    assert_eq!(next(&mut events).await, [ScanTarget::Account(host.account.clone())]);
    let incoming = host.incoming();
    std::fs::rename(incoming.join("e.csv.filepart"), incoming.join("e.csv")).unwrap();
    assert_eq!(next(&mut events).await, [ScanTarget::Account(host.account.clone())]);
    std::fs::read(incoming.join("e.csv")).unwrap();
    assert!(quiet(&mut events).await);
}

#[tokio::test]
async fn many_events_cause_one_scan() {
    let (host, mut events) = followed();
    for n in 0..1000 {
        host.put(&format!("{n}.csv"), "x");
    }
    assert_eq!(next(&mut events).await, [ScanTarget::Account(host.account.clone())]);
    assert!(quiet(&mut events).await);
}

#[tokio::test]
async fn account_added_while_running_is_followed() {
    let (host, mut events) = followed();
    let added: AccountId = "added".parse().unwrap();
    std::fs::create_dir(host.layout.account(&added)).unwrap();
    assert_eq!(next(&mut events).await, [ScanTarget::Accounts]);
    let both = [&host.account, &added];
    // The new account has no incoming yet. The creation of incoming is reported.
    assert!(follow(&mut events, &both).is_empty());
    std::fs::create_dir(host.layout.incoming(&added)).unwrap();
    assert_eq!(next(&mut events).await, [ScanTarget::Accounts]);
    assert_eq!(follow(&mut events, &both), only(&added));
    assert!(follow(&mut events, &both).is_empty());
    std::fs::write(host.layout.incoming(&added).join("e.csv"), "x").unwrap();
    assert_eq!(next(&mut events).await, [ScanTarget::Account(added)]);
}

#[tokio::test]
async fn removed_and_recreated_account_is_followed() {
    let (host, mut events) = followed();
    std::fs::remove_dir_all(host.layout.account(&host.account)).unwrap();
    assert_eq!(next(&mut events).await, [ScanTarget::Accounts]);
    follow(&mut events, &[]);
    assert!(events.watched.is_empty() && events.accounts.is_empty());
    host.add_account(&host.account);
    assert_eq!(next(&mut events).await, [ScanTarget::Accounts]);
    assert_eq!(follow(&mut events, &[&host.account]), only(&host.account));
    host.put("e.csv", "x");
    assert_eq!(next(&mut events).await, [ScanTarget::Account(host.account.clone())]);
}

#[tokio::test]
async fn a_recreated_incoming_is_followed() {
    let (host, mut events) = followed();
    let old = host.results().join("old");
    std::fs::rename(host.incoming(), &old).unwrap();
    std::fs::create_dir(host.incoming()).unwrap();
    assert_eq!(next(&mut events).await, [ScanTarget::Accounts]);
    assert_eq!(follow(&mut events, &[&host.account]), only(&host.account));
    while !quiet(&mut events).await {}
    std::fs::write(old.join("e.csv"), "x").unwrap();
    assert!(quiet(&mut events).await, "the removed folder must not be watched");
    host.put("e.csv", "x");
    assert_eq!(next(&mut events).await, [ScanTarget::Account(host.account.clone())]);
}

#[tokio::test]
async fn an_account_is_watched_after_folder_creation() {
    let (host, mut events) = followed();
    let late: AccountId = "late".parse().unwrap();
    let both = [&late, &host.account];
    assert!(follow(&mut events, &both).is_empty());
    std::fs::create_dir_all(host.layout.incoming(&late)).unwrap();
    assert_eq!(next(&mut events).await, [ScanTarget::Accounts]);
    assert_eq!(follow(&mut events, &both), only(&late));
    host.put("e.csv", "x");
    assert_eq!(next(&mut events).await, [ScanTarget::Account(host.account.clone())]);
}

#[tokio::test]
async fn renewing_one_account_keeps_other_watches() {
    let (host, other, mut events) = two_followed();
    let renewed = |events: &mut InotifyWatches| watched(events.renew([&host.account]));
    assert_eq!(renewed(&mut events), [], "an unchanged account must not be reported as new");
    std::fs::remove_dir(host.incoming()).unwrap();
    std::fs::create_dir(host.incoming()).unwrap();
    assert_eq!(renewed(&mut events), only(&host.account));
    while !quiet(&mut events).await {}
    for account in [&host.account, &other] {
        std::fs::write(host.layout.incoming(account).join("e.csv"), "x").unwrap();
        assert_eq!(next(&mut events).await, [ScanTarget::Account(account.clone())]);
    }
    std::fs::remove_dir_all(host.layout.account(&host.account)).unwrap();
    assert_eq!(renewed(&mut events), []);
    assert_eq!((events.watched.len(), events.accounts.len()), (1, 1));
}

#[tokio::test]
async fn folders_recreated_without_events_are_watched_again() {
    let (host, mut events) = followed();
    let away = host.layout.root().with_extension("away");
    std::fs::rename(host.layout.root(), &away).unwrap();
    let renewed = events.renew([&host.account]);
    assert!(renewed.root.is_some() && renewed.new.is_empty());
    std::fs::rename(&away, host.layout.root()).unwrap();
    while !quiet(&mut events).await {}
    assert_eq!(watched(events.renew([])), only(&host.account));
    assert_eq!(watched(events.renew([])), []);
    host.put("e.csv", "x");
    assert_eq!(next(&mut events).await, [ScanTarget::Account(host.account.clone())]);
}

#[tokio::test]
async fn swapped_account_folders_are_distinguished() {
    let (host, other, mut events) = two_followed();
    let both = [&host.account, &other];
    let [a, b] = both.map(|account| host.layout.account(account));
    let aside = a.with_extension("aside");
    std::fs::rename(&a, &aside).unwrap();
    std::fs::rename(&b, &a).unwrap();
    std::fs::rename(&aside, &b).unwrap();
    assert_eq!(follow(&mut events, &both).len(), 2);
    while !quiet(&mut events).await {}
    for account in both {
        std::fs::write(host.layout.incoming(account).join("e.csv"), "x").unwrap();
        assert_eq!(next(&mut events).await, [ScanTarget::Account(account.clone())]);
    }
    assert_eq!((events.watched.len(), events.accounts.len()), (2, 2));
}

#[tokio::test]
async fn an_inotify_overflow_causes_a_full_rescan() {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    if limit > 100_000 {
        eprintln!("skipped: this host queues {limit} events");
        return;
    }
    let (host, mut events) = followed();
    let names = ["a", "b"].map(|name| host.incoming().join(name));
    std::fs::write(&names[0], "x").unwrap();
    for n in 0..limit + 1 {
        std::fs::rename(&names[n % 2], &names[(n + 1) % 2]).unwrap();
    }
    let mut targets = BTreeSet::new();
    while !targets.contains(&ScanTarget::All) {
        targets.extend(next(&mut events).await);
    }
    while !quiet(&mut events).await {}
    host.put("e.csv", "x");
    assert_eq!(next(&mut events).await, [ScanTarget::Account(host.account.clone())]);
}
