//! Tests of the two methods to watch folders, inotify and polling, on a real file system.

use super::super::test_host::TestHost;
use super::*;

const METHODS: [Method; 2] = [Method::Inotify, Method::Poll];

/// The maximum wait for an event. Every event arrives earlier, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a host with one account, and a watcher that follows the account.
fn followed(method: Method) -> (TestHost, Watcher) {
    let host = TestHost::new();
    let watcher = follow(&host, method);
    (host, watcher)
}

fn follow(host: &TestHost, method: Method) -> Watcher {
    let watch = Watch { method, ..toml::from_str("poll-every = '20ms'").unwrap() };
    let mut watcher = Watcher::new(&host.layout, Arc::default(), &watch).unwrap();
    let followed = watcher.follow(std::slice::from_ref(&host.account));
    assert_eq!(followed.to_scan, std::slice::from_ref(&host.account));
    assert!(followed.errors.is_empty(), "{:?}", followed.errors);
    watcher
}

async fn next(watcher: &mut Watcher) -> Vec<ScanTarget> {
    tokio::time::timeout(PATIENCE, watcher.next()).await.expect("something to scan").unwrap()
}

/// Waits until a scan of `account` or of all accounts is required.
async fn wait_for_scan(watcher: &mut Watcher, account: &AccountId) {
    let wanted = [ScanTarget::All, ScanTarget::Account(account.clone())];
    while !next(watcher).await.iter().any(|target| wanted.contains(target)) {}
}

/// Acts like the daemon: follows `accounts` whenever the list of accounts must be read, until a
/// scan of `account` is required.
async fn wait_until_listed(watcher: &mut Watcher, accounts: &[AccountId], account: &AccountId) {
    while !watcher.follow(accounts).to_scan.contains(account) {
        let targets = next(watcher).await;
        if targets.contains(&ScanTarget::Account(account.clone())) {
            return;
        }
    }
}

#[tokio::test]
async fn each_of_several_uploads_is_reported() {
    for method in METHODS {
        let (host, mut watcher) = followed(method);
        for name in ["a.csv", "a.csv", "b.csv"] {
            host.put(name, "x");
            wait_for_scan(&mut watcher, &host.account).await;
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
        wait_until_listed(&mut watcher, &both, &added).await;
        std::fs::write(host.layout.incoming(&added).join("e.csv"), "x").unwrap();
        wait_for_scan(&mut watcher, &added).await;
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
        wait_until_listed(&mut watcher, &only, &host.account).await;
        host.put("e.csv", "x");
        wait_for_scan(&mut watcher, &host.account).await;
    }
}

#[tokio::test]
async fn recreated_folder_is_reported() {
    for method in METHODS {
        let (host, mut watcher) = followed(method);
        let only = [host.account.clone()];
        std::fs::remove_dir(host.incoming()).unwrap();
        std::fs::create_dir(host.incoming()).unwrap();
        wait_until_listed(&mut watcher, &only, &host.account).await;
        host.put("e.csv", "x");
        wait_for_scan(&mut watcher, &host.account).await;
    }
}

/// Closes more files than the kernel's queue holds (fs.inotify.max_queued_events, 16384). The limit
/// exists only once per host and not per namespace. Therefore the test exceeds the limit and does
/// not lower it.
#[tokio::test]
async fn burst_of_20000_files_is_reported() {
    let host = TestHost::roomy();
    let name = |n: u32| host.incoming().join(format!("{n}.csv"));
    for method in METHODS {
        let mut watcher = follow(&host, method);
        (0..20_000).for_each(|n| std::fs::write(name(n), "").unwrap());
        wait_for_scan(&mut watcher, &host.account).await;
        assert!(host.list(100_000).usage.files >= 20_000);
        host.put("last.csv", "x");
        wait_for_scan(&mut watcher, &host.account).await;
    }
}

/// If the host allows fewer watches than accounts, the remaining accounts are polled.
#[tokio::test]
async fn an_upload_of_any_account_is_reported() {
    let host = TestHost::roomy();
    let accounts: Vec<AccountId> = (0..10_000).map(|n| format!("a{n}").parse().unwrap()).collect();
    accounts.iter().for_each(|account| {
        std::fs::create_dir_all(host.layout.incoming(account)).unwrap();
    });
    for method in METHODS {
        let mut watcher = follow(&host, method);
        assert_eq!(watcher.follow(&accounts).to_scan.len(), accounts.len());
        for n in [0, 4_999, 9_999] {
            std::fs::write(host.layout.incoming(&accounts[n]).join("e.csv"), "x").unwrap();
            wait_for_scan(&mut watcher, &accounts[n]).await;
        }
        assert!(watcher.follow(&accounts).to_scan.is_empty(), "no account must be new");
    }
}

/// Repeats `change` until it is reported. The repetition is needed because notify compares whole
/// seconds and begins to watch with a delay.
async fn repeat_until_reported(
    watcher: &mut Watcher,
    account: &AccountId,
    mut change: impl FnMut(u32),
) {
    let expected = [ScanTarget::Account(account.clone())];
    for n in 0..200 {
        change(n);
        let targets = tokio::time::timeout(Duration::from_millis(300), watcher.next()).await;
        if targets.is_ok_and(|targets| targets.unwrap() == expected) {
            return;
        }
    }
    panic!("{account} is not reported");
}

/// The test makes every change that notify can report, without a scan of all accounts.
#[tokio::test]
async fn notify_reports_uploads_and_recreated_folders() {
    let (host, mut watcher) = followed(Method::Poll);
    watcher.next_poll = Instant::now() + Duration::from_secs(3600);
    let incoming = host.incoming();
    repeat_until_reported(&mut watcher, &host.account, |n| {
        drop(host.put(&format!("{n}.csv"), "x"))
    })
    .await;
    repeat_until_reported(&mut watcher, &host.account, |n| {
        let outside = host.results().join("r.filepart");
        std::fs::write(&outside, "x").unwrap();
        std::fs::rename(outside, incoming.join(format!("r{n}.csv"))).unwrap();
    })
    .await;
    let burst =
        |n| (0..500).for_each(|i| drop(std::fs::write(incoming.join(format!("{n}-{i}")), "")));
    repeat_until_reported(&mut watcher, &host.account, burst).await;
    for gone in [incoming.clone(), host.layout.account(&host.account)] {
        repeat_until_reported(&mut watcher, &host.account, |_| {
            std::fs::remove_dir_all(&gone).unwrap();
            host.add_account(&host.account);
        })
        .await;
        repeat_until_reported(&mut watcher, &host.account, |n| {
            drop(host.put(&format!("{n}.csv"), "x"))
        })
        .await;
    }
    let added: AccountId = "added".parse().unwrap();
    host.add_account(&added);
    watcher.follow(std::slice::from_ref(&added));
    repeat_until_reported(&mut watcher, &added, |n| {
        std::fs::write(host.layout.incoming(&added).join(format!("{n}.csv")), "x").unwrap();
    })
    .await;
    assert!(watcher.follow(&[]).to_scan.is_empty());
}

/// The environment variable that is set in the process that the test of the limit starts.
const RERUN: &str = "SFTP_IMPORT_TEST_LIMIT";

/// The file with the limit of a user namespace (namespaces(7)). The test must not write to the file
/// with the same name below fs/inotify. That file belongs to the host, even inside a namespace.
const OWN_LIMIT: &str = "/proc/sys/user/max_inotify_watches";

/// Runs the test of the limit again in a user namespace that allows only two watches.
fn rerun_with_two_watches() {
    let set = format!("echo 2 > {OWN_LIMIT} && exec \"$@\"");
    let in_namespace = |program: &std::ffi::OsStr| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", &set, "sh"]).arg(program);
        command
    };
    let before = std::fs::read_to_string(OWN_LIMIT).unwrap();
    if !in_namespace("true".as_ref()).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this host does not allow user namespaces");
        return;
    }
    let name = "with_daemon::spool::watch::tests::accounts_beyond_the_watch_limit_are_polled";
    let program = std::env::current_exe().unwrap();
    let output =
        in_namespace(program.as_os_str()).args(["--exact", name]).env(RERUN, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
    assert_eq!(
        before,
        std::fs::read_to_string(OWN_LIMIT).unwrap(),
        "the limit of the host must not change"
    );
}

#[tokio::test]
async fn accounts_beyond_the_watch_limit_are_polled() {
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
    assert_eq!(first.to_scan, more, "new accounts must be scanned once");
    assert!(watcher.follow(&all).errors.is_empty(), "an error must be reported only once");
    let renewed = watcher.renew(&more[..1]);
    assert!(renewed.errors.is_empty() && renewed.to_scan.is_empty(), "{renewed:?}");
    assert_eq!(watcher.polled, more.iter().cloned().collect());
    // Watched accounts are still watched, and the other accounts are scanned as well.
    host.put("e.csv", "x");
    wait_for_scan(&mut watcher, &host.account).await;
    for account in &more {
        wait_for_scan(&mut watcher, account).await;
    }
    // When a watch becomes free, a polled account gets the watch.
    std::fs::remove_dir_all(host.layout.account(&host.account)).unwrap();
    assert_eq!(watcher.renew(std::slice::from_ref(&host.account)).to_scan, &more[..1]);
    assert_eq!(watcher.polled, more[1..].iter().cloned().collect());
    host.add_account(&host.account);
    // With fewer accounts the number of watches is below the limit. If the limit is reached
    // again later, the watcher reports it again.
    assert!(watcher.follow(std::slice::from_ref(&host.account)).errors.is_empty());
    assert!(watcher.polled.is_empty());
    assert_eq!(watcher.follow(&all).errors.len(), 1);
}

#[test]
fn scan_targets_are_sorted_widest_first() {
    let account = ScanTarget::Account("a".parse().unwrap());
    let targets = BTreeSet::from([account.clone(), ScanTarget::All, ScanTarget::Accounts]);
    assert_eq!(Vec::from_iter(targets), [ScanTarget::Accounts, ScanTarget::All, account]);
}
