//! Tests of each watch method on a real folder.

use super::super::test_host::TestHost;
use super::*;

const METHODS: [Method; 2] = [Method::Inotify, Method::Poll];

/// Longer than any event takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a host and its watcher, which follows the account.
fn followed(method: Method) -> (TestHost, Watcher) {
    let host = TestHost::new();
    let watcher = follow(&host, method);
    (host, watcher)
}

fn follow(host: &TestHost, method: Method) -> Watcher {
    let watch = Watch { method, ..toml::from_str("poll-every = '20ms'").unwrap() };
    let mut watcher = Watcher::new(&host.layout, Arc::default(), &watch).unwrap();
    let followed = watcher.follow(std::slice::from_ref(&host.account));
    assert_eq!(followed.look, std::slice::from_ref(&host.account));
    assert!(followed.errors.is_empty(), "{:?}", followed.errors);
    watcher
}

async fn next(watcher: &mut Watcher) -> Vec<ScanTarget> {
    tokio::time::timeout(PATIENCE, watcher.next()).await.expect("something to look at").unwrap()
}

/// Waits until `account` is to be scanned, alone or with all accounts.
async fn until_looked_at(watcher: &mut Watcher, account: &AccountId) {
    let wanted = [ScanTarget::All, ScanTarget::Account(account.clone())];
    while !next(watcher).await.iter().any(|look| wanted.contains(look)) {}
}

/// Does as the daemon does: follows `accounts` whenever the list of accounts is to be read, until
/// `account` is to be scanned.
async fn until_found(watcher: &mut Watcher, accounts: &[AccountId], account: &AccountId) {
    while !watcher.follow(accounts).look.contains(account) {
        let looks = next(watcher).await;
        if looks.contains(&ScanTarget::Account(account.clone())) {
            return;
        }
    }
}

#[tokio::test]
async fn reports_each_of_several_uploads() {
    for method in METHODS {
        let (host, mut watcher) = followed(method);
        for name in ["a.csv", "a.csv", "b.csv"] {
            host.put(name, "x");
            until_looked_at(&mut watcher, &host.account).await;
        }
    }
}

#[tokio::test]
async fn account_added_while_running_is_reported() {
    for method in METHODS {
        let (host, mut watcher) = followed(method);
        let added: AccountId = "added".parse().unwrap();
        let both = [host.account.clone(), added.clone()];
        host.add_account(&added);
        until_found(&mut watcher, &both, &added).await;
        std::fs::write(host.layout.incoming(&added).join("e.csv"), "x").unwrap();
        until_looked_at(&mut watcher, &added).await;
    }
}

#[tokio::test]
async fn removed_and_recreated_account_is_reported() {
    for method in METHODS {
        let (host, mut watcher) = followed(method);
        let only = [host.account.clone()];
        std::fs::remove_dir_all(host.layout.account(&host.account)).unwrap();
        watcher.follow(&[]);
        assert!(watcher.polled.is_empty());
        host.add_account(&host.account);
        until_found(&mut watcher, &only, &host.account).await;
        host.put("e.csv", "x");
        until_looked_at(&mut watcher, &host.account).await;
    }
}

#[tokio::test]
async fn recreated_folder_is_reported() {
    for method in METHODS {
        let (host, mut watcher) = followed(method);
        let only = [host.account.clone()];
        std::fs::remove_dir(host.incoming()).unwrap();
        std::fs::create_dir(host.incoming()).unwrap();
        until_found(&mut watcher, &only, &host.account).await;
        host.put("e.csv", "x");
        until_looked_at(&mut watcher, &host.account).await;
    }
}

/// Makes more closes than the kernel's queue holds (fs.inotify.max_queued_events, 16384). That
/// limit has no namespace, so the test exceeds it instead of lowering it.
#[tokio::test]
async fn burst_of_20000_files_is_reported() {
    let host = TestHost::roomy();
    let name = |n: u32| host.incoming().join(format!("{n}.csv"));
    for method in METHODS {
        let mut watcher = follow(&host, method);
        (0..20_000).for_each(|n| std::fs::write(name(n), "").unwrap());
        until_looked_at(&mut watcher, &host.account).await;
        assert!(host.list(100_000).usage.files >= 20_000);
        host.put("last.csv", "x");
        until_looked_at(&mut watcher, &host.account).await;
    }
}

/// If the host has fewer watches than accounts, the rest is polled.
#[tokio::test]
async fn reports_any_of_10000_accounts() {
    let host = TestHost::roomy();
    let accounts: Vec<AccountId> = (0..10_000).map(|n| format!("a{n}").parse().unwrap()).collect();
    accounts.iter().for_each(|account| {
        std::fs::create_dir_all(host.layout.incoming(account)).unwrap();
    });
    for method in METHODS {
        let mut watcher = follow(&host, method);
        assert_eq!(watcher.follow(&accounts).look.len(), accounts.len());
        for n in [0, 4_999, 9_999] {
            std::fs::write(host.layout.incoming(&accounts[n]).join("e.csv"), "x").unwrap();
            until_looked_at(&mut watcher, &accounts[n]).await;
        }
        assert!(watcher.follow(&accounts).look.is_empty(), "all are known");
    }
}

/// Repeats `change` until it is reported, because notify compares whole seconds and begins to watch
/// with a delay.
async fn until_told(watcher: &mut Watcher, account: &AccountId, mut change: impl FnMut(u32)) {
    let told = [ScanTarget::Account(account.clone())];
    for n in 0..200 {
        change(n);
        let looks = tokio::time::timeout(Duration::from_millis(300), watcher.next()).await;
        if looks.is_ok_and(|looks| looks.unwrap() == told) {
            return;
        }
    }
    panic!("{account} is not told of");
}

/// Every change that notify can report, without a scan of all accounts.
#[tokio::test]
async fn notify_reports_uploads_and_recreated_folders() {
    let (host, mut watcher) = followed(Method::Poll);
    watcher.next_poll = Instant::now() + Duration::from_secs(3600);
    let incoming = host.incoming();
    until_told(&mut watcher, &host.account, |n| drop(host.put(&format!("{n}.csv"), "x"))).await;
    until_told(&mut watcher, &host.account, |n| {
        let outside = host.results().join("r.filepart");
        std::fs::write(&outside, "x").unwrap();
        std::fs::rename(outside, incoming.join(format!("r{n}.csv"))).unwrap();
    })
    .await;
    let burst =
        |n| (0..500).for_each(|i| drop(std::fs::write(incoming.join(format!("{n}-{i}")), "")));
    until_told(&mut watcher, &host.account, burst).await;
    for gone in [incoming.clone(), host.layout.account(&host.account)] {
        until_told(&mut watcher, &host.account, |_| {
            std::fs::remove_dir_all(&gone).unwrap();
            host.add_account(&host.account);
        })
        .await;
        until_told(&mut watcher, &host.account, |n| drop(host.put(&format!("{n}.csv"), "x"))).await;
    }
    let added: AccountId = "added".parse().unwrap();
    host.add_account(&added);
    watcher.follow(std::slice::from_ref(&added));
    until_told(&mut watcher, &added, |n| {
        std::fs::write(host.layout.incoming(&added).join(format!("{n}.csv")), "x").unwrap();
    })
    .await;
    assert!(watcher.follow(&[]).look.is_empty());
}

/// Set in the process that the test of the limit starts.
const RERUN: &str = "SFTP_IMPORT_TEST_LIMIT";

/// The limit of a user namespace (namespaces(7)). Never write the file of the same name below
/// fs/inotify, which is the host's even from inside a namespace.
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
    let name = "with_daemon::spool::watch::tests::reached_limit_is_reported_once_and_rest_polled";
    let program = std::env::current_exe().unwrap();
    let output =
        in_namespace(program.as_os_str()).args(["--exact", name]).env(RERUN, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
    assert_eq!(before, std::fs::read_to_string(OWN_LIMIT).unwrap(), "the host's limit changed");
}

#[tokio::test]
async fn reached_limit_is_reported_once_and_rest_polled() {
    if std::env::var_os(RERUN).is_none() {
        return rerun_with_two_watches();
    }
    let (host, mut watcher) = followed(Method::Inotify);
    let more: Vec<AccountId> = ["a", "b", "c"].map(|id| id.parse().unwrap()).into();
    more.iter().for_each(|account| host.add_account(account));
    let all: Vec<_> = more.iter().chain([&host.account]).cloned().collect();
    let first = watcher.follow(&all);
    assert!(matches!(first.errors[..], [WatchError::Limit { .. }]), "{:?}", first.errors);
    assert!(first.errors[0].to_string().contains("fs.inotify.max_user_watches"));
    assert_eq!(first.look, more, "scanned once, then polled");
    assert!(watcher.follow(&all).errors.is_empty(), "reported once");
    let renewed = watcher.renew(&more[..1]);
    assert!(renewed.errors.is_empty() && renewed.look.is_empty(), "{renewed:?}");
    assert_eq!(watcher.polled, more.iter().cloned().collect());
    // Watched accounts still are, and the others are scanned too.
    host.put("e.csv", "x");
    until_looked_at(&mut watcher, &host.account).await;
    for account in &more {
        until_looked_at(&mut watcher, account).await;
    }
    // A free watch goes to a polled account.
    std::fs::remove_dir_all(host.layout.account(&host.account)).unwrap();
    assert_eq!(watcher.renew(std::slice::from_ref(&host.account)).look, &more[..1]);
    assert_eq!(watcher.polled, more[1..].iter().cloned().collect());
    host.add_account(&host.account);
    // With fewer accounts there are enough watches. If the limit is reached again, it is reported
    // again.
    assert!(watcher.follow(std::slice::from_ref(&host.account)).errors.is_empty());
    assert!(watcher.polled.is_empty());
    assert_eq!(watcher.follow(&all).errors.len(), 1);
}

#[test]
fn widest_scan_sorts_first() {
    let account = ScanTarget::Account("a".parse().unwrap());
    let looks = BTreeSet::from([account.clone(), ScanTarget::All, ScanTarget::Accounts]);
    assert_eq!(Vec::from_iter(looks), [ScanTarget::Accounts, ScanTarget::All, account]);
}
