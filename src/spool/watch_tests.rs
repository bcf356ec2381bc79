//! Real inotify on a real folder.

use std::time::Duration;

use super::super::test_host::TestHost;
use super::*;

/// Longer than any event takes, shorter than patience.
const SOON: Duration = Duration::from_secs(5);

async fn next(watcher: &mut Watcher) -> Vec<Look> {
    tokio::time::timeout(SOON, watcher.next()).await.expect("an event").unwrap()
}

/// Whether nothing is to be looked at.
async fn quiet(watcher: &mut Watcher) -> bool {
    tokio::time::timeout(Duration::from_millis(50), watcher.next()).await.is_err()
}

fn only(account: &AccountId) -> Vec<AccountId> {
    vec![account.clone()]
}

/// A host and its watcher, which follows the account.
fn followed() -> (TestHost, Watcher) {
    let host = TestHost::new();
    let mut watcher = Watcher::new(&host.layout, Arc::default()).unwrap();
    let followed = watcher.follow([host.account.clone()]);
    assert_eq!(followed.look, only(&host.account));
    assert!(followed.errors.is_empty(), "{:?}", followed.errors);
    (host, watcher)
}

#[tokio::test]
async fn a_closed_file_and_one_renamed_in_say_look() {
    let (host, mut watcher) = followed();
    host.put("e.csv.filepart", "x");
    assert_eq!(next(&mut watcher).await, [Look::Account(host.account.clone())]);
    let incoming = host.incoming();
    std::fs::rename(incoming.join("e.csv.filepart"), incoming.join("e.csv")).unwrap();
    assert_eq!(next(&mut watcher).await, [Look::Account(host.account.clone())]);
    std::fs::read(incoming.join("e.csv")).unwrap();
    assert!(quiet(&mut watcher).await);
}

#[tokio::test]
async fn many_events_are_one_look() {
    let (host, mut watcher) = followed();
    for n in 0..1000 {
        host.put(&format!("{n}.csv"), "x");
    }
    assert_eq!(next(&mut watcher).await, [Look::Account(host.account.clone())]);
    assert!(quiet(&mut watcher).await);
}

#[tokio::test]
async fn an_account_added_while_running_is_followed() {
    let (host, mut watcher) = followed();
    let added: AccountId = "added".parse().unwrap();
    std::fs::create_dir(host.layout.account(&added)).unwrap();
    assert_eq!(next(&mut watcher).await, [Look::Accounts]);
    let both = [host.account.clone(), added.clone()];
    // It has no incoming yet; making it is seen.
    assert!(watcher.follow(both.clone()).look.is_empty());
    std::fs::create_dir(host.layout.incoming(&added)).unwrap();
    assert_eq!(next(&mut watcher).await, [Look::Accounts]);
    assert_eq!(watcher.follow(both.clone()).look, only(&added));
    assert!(watcher.follow(both).look.is_empty());
    std::fs::write(host.layout.incoming(&added).join("e.csv"), "x").unwrap();
    assert_eq!(next(&mut watcher).await, [Look::Account(added)]);
}

#[tokio::test]
async fn an_account_removed_and_made_again_is_followed() {
    let (host, mut watcher) = followed();
    std::fs::remove_dir_all(host.layout.account(&host.account)).unwrap();
    assert_eq!(next(&mut watcher).await, [Look::Accounts]);
    assert!(watcher.follow([]).errors.is_empty());
    assert!(watcher.watched.is_empty() && watcher.accounts.is_empty());
    host.add_account(&host.account);
    assert_eq!(next(&mut watcher).await, [Look::Accounts]);
    assert_eq!(watcher.follow([host.account.clone()]).look, only(&host.account));
    host.put("e.csv", "x");
    assert_eq!(next(&mut watcher).await, [Look::Account(host.account.clone())]);
}

#[tokio::test]
async fn incoming_moved_away_and_made_again_is_followed() {
    let (host, mut watcher) = followed();
    let old = host.results().join("old");
    std::fs::rename(host.incoming(), &old).unwrap();
    std::fs::create_dir(host.incoming()).unwrap();
    assert_eq!(next(&mut watcher).await, [Look::Accounts]);
    assert_eq!(watcher.follow([host.account.clone()]).look, only(&host.account));
    while !quiet(&mut watcher).await {}
    std::fs::write(old.join("e.csv"), "x").unwrap();
    assert!(quiet(&mut watcher).await, "the old folder is watched no more");
    host.put("e.csv", "x");
    assert_eq!(next(&mut watcher).await, [Look::Account(host.account.clone())]);
}

#[tokio::test]
async fn an_account_without_a_folder_is_watched_once_it_has_one() {
    let (host, mut watcher) = followed();
    let late: AccountId = "late".parse().unwrap();
    let both = || [late.clone(), host.account.clone()];
    let before = watcher.follow(both());
    assert!(before.errors.is_empty() && before.look.is_empty(), "{before:?}");
    std::fs::create_dir_all(host.layout.incoming(&late)).unwrap();
    assert_eq!(next(&mut watcher).await, [Look::Accounts]);
    assert_eq!(watcher.follow(both()).look, std::slice::from_ref(&late));
    host.put("e.csv", "x");
    assert_eq!(next(&mut watcher).await, [Look::Account(host.account.clone())]);
}

#[tokio::test]
async fn an_overflow_says_look_at_all() {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    if limit > 100_000 {
        eprintln!("skipped: this host queues {limit} events");
        return;
    }
    let (host, mut watcher) = followed();
    let names = ["a", "b"].map(|name| host.incoming().join(name));
    std::fs::write(&names[0], "x").unwrap();
    for n in 0..limit + 1 {
        std::fs::rename(&names[n % 2], &names[(n + 1) % 2]).unwrap();
    }
    let mut looks = BTreeSet::new();
    while !looks.contains(&Look::All) {
        looks.extend(next(&mut watcher).await);
    }
    while !quiet(&mut watcher).await {}
    host.put("e.csv", "x");
    assert_eq!(next(&mut watcher).await, [Look::Account(host.account.clone())]);
}

/// Set in the process that the test of the limit starts.
const RERUN: &str = "SFTP_IMPORT_TEST_LIMIT";

/// The limit that namespaces(7) gives every user namespace of its own. Never write its namesake
/// below fs/inotify: that one is the host's, from inside a namespace too.
const OWN_LIMIT: &str = "/proc/sys/user/max_inotify_watches";

/// Runs the test of the limit again in a user namespace that has only two watches.
fn rerun_with_two_watches() {
    let set = format!("echo 2 > {OWN_LIMIT} && exec \"$@\"");
    let in_namespace = |program: &std::ffi::OsStr| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", &set, "sh"]).arg(program);
        command
    };
    let before = std::fs::read_to_string(OWN_LIMIT).unwrap();
    if !in_namespace("true".as_ref()).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this host makes no user namespaces");
        return;
    }
    let name = "with_daemon::spool::watch::tests::a_reached_limit_is_named_once";
    let program = std::env::current_exe().unwrap();
    let output =
        in_namespace(program.as_os_str()).args(["--exact", name]).env(RERUN, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
    assert_eq!(before, std::fs::read_to_string(OWN_LIMIT).unwrap(), "the host's limit changed");
}

#[tokio::test]
async fn a_reached_limit_is_named_once() {
    if std::env::var_os(RERUN).is_none() {
        return rerun_with_two_watches();
    }
    let (host, mut watcher) = followed();
    let more: Vec<AccountId> = ["a", "b", "c"].map(|id| id.parse().unwrap()).into();
    more.iter().for_each(|account| host.add_account(account));
    let followed = watcher.follow(more.into_iter().chain([host.account.clone()]));
    assert!(matches!(followed.errors[..], [WatchError::Limit { .. }]), "{:?}", followed.errors);
    assert!(followed.errors[0].to_string().contains("fs.inotify.max_user_watches"));
    while !quiet(&mut watcher).await {}
    // Who was watched still is.
    host.put("e.csv", "x");
    assert_eq!(next(&mut watcher).await, [Look::Account(host.account.clone())]);
}

#[test]
fn the_widest_look_comes_first() {
    let account = Look::Account("a".parse().unwrap());
    let looks = BTreeSet::from([account.clone(), Look::All, Look::Accounts]);
    assert_eq!(Vec::from_iter(looks), [Look::Accounts, Look::All, account]);
}
