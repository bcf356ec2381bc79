//! Tests of allowed and refused logins. Each refused login is tested beside a login that works.

use crate::support::account::Account;
use crate::support::host::{Host, text};
use crate::support::pair::Pair;
use crate::support::process::run;
use crate::support::unix::{changing_users, exists};

/// Checks that sshd refused the key. A network error or a failed session is not enough.
#[track_caller]
fn refused(account: &Account<'_>) {
    let ran = account.sftp("pwd\n").refused();
    assert!(ran.stderr.contains("Permission denied (publickey)"), "{ran:#?}");
}

#[test]
fn a_wrong_key_is_refused() {
    let host = Host::new("");
    let account = host.account("e2e-wrong-key");
    assert!(account.can_log_in());
    refused(&account.with_another_key("stranger"));
}

/// A key must work only for its own account.
#[test]
fn the_key_of_another_account_is_refused() {
    let host = Host::new("");
    let (one, other) = (host.account("e2e-key-one"), host.account("e2e-key-other"));
    assert!(one.can_log_in() && other.can_log_in());
    refused(&Account { host: &host, id: one.id.clone(), key: other.key.clone() });
}

/// The revocation must be in effect when the command returns. The account's other keys still work.
#[test]
fn a_revoked_key_is_refused() {
    let host = Host::new("");
    let account = host.account("e2e-revoked");
    let second = account.with_another_key("second");
    second.add_key(&[]).ok();
    assert!(account.can_log_in() && second.can_log_in());
    host.cli(&["key", "revoke", &account.id, second.key_name()]).ok();
    refused(&second);
    assert!(account.can_log_in());
}

#[test]
fn a_suspended_account_is_refused_until_resumed() {
    let host = Host::new("");
    let account = host.account("e2e-suspended");
    assert!(account.can_log_in());
    host.cli(&["account", "suspend", &account.id]).ok();
    refused(&account);
    host.cli(&["account", "resume", &account.id]).ok();
    assert!(account.can_log_in());
}

/// The key works until its expiry time. No command publishes keys in between.
#[test]
fn an_expired_key_is_refused() {
    let host = Host::new("");
    let account = host.account("e2e-expired");
    let short = account.with_another_key("short");
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(6);
    short.add_key(&["--expires", &format!("{end:.0}")]).ok();
    assert!(short.can_log_in());
    let left = end.duration_since(jiff::Timestamp::now()) + jiff::SignedDuration::from_secs(1);
    std::thread::sleep(left.try_into().unwrap_or_default());
    refused(&short);
    assert!(account.can_log_in());
}

#[test]
fn a_key_from_another_address_is_refused() {
    let host = Host::new("");
    let account = host.account("e2e-from");
    let (here, elsewhere) =
        (account.with_another_key("here"), account.with_another_key("elsewhere"));
    here.add_key(&["--from", "127.0.0.0/8"]).ok();
    elsewhere.add_key(&["--from", "192.0.2.0/24"]).ok();
    assert!(here.can_log_in());
    refused(&elsewhere);
}

#[test]
fn removing_an_account_removes_user_and_folder() {
    let host = Host::new("");
    let account = host.account("e2e-removed");
    assert!(account.can_log_in());
    changing_users(|| host.cli(&["account", "remove", &account.id, "--yes"])).ok();
    assert!(!account.can_log_in());
    assert!(!exists("passwd", &account.id));
    assert!(!exists("group", &account.id));
    assert!(!host.accounts().join(&account.id).exists());
}

/// Logins and uploads need no daemon. The files that were uploaded without the daemon are imported
/// after its next start.
#[test]
fn logins_and_uploads_work_without_the_daemon() {
    let host = Host::running();
    let account = host.account("e2e-no-daemon");
    host.stop_daemon();
    let pair = Pair::events(&account.local(), "e", 2);
    account.upload(&pair);
    host.start_daemon();
    account.expect_accepted(&pair, 2);
}

/// sshd asks for a user that is not an account, or for an empty user name. The helper must print
/// nothing.
#[test]
fn the_helper_answers_only_for_accounts() {
    let host = Host::new("");
    let account = host.account("e2e-helper");
    let helper = host.root.join("lib/sftp-import-authorized-keys");
    let database = host.keys_db();
    let fingerprint = run("ssh-keygen", &["-lf", text(&account.key)]).ok().stdout;
    let fingerprint = fingerprint.split(' ').nth(1).unwrap();
    let ask = |user: &str, fingerprint: &str| {
        let helper = [text(&helper), "--database", text(&database), user, fingerprint];
        let as_user = ["--reuid=_sftp-import-keys", "--regid=_sftp-import-keys", "--init-groups"];
        let words: Vec<&str> = as_user.iter().chain(&helper).copied().collect();
        run("setpriv", &words).ok().stdout
    };
    let line = ask(&account.id, fingerprint);
    assert!(line.contains("restrict") && line.lines().count() == 1, "{line:?}");
    assert_eq!(ask("root", fingerprint), "");
    assert_eq!(ask("E2E-HELPER", fingerprint), "");
    assert_eq!(ask(&account.id, "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "");
}

/// The helper's user must be able to read the published keys, and no other file of the package.
#[test]
fn the_helpers_user_cannot_read_other_files() {
    let host = Host::running();
    let account = host.account("e2e-helper-user");
    account.import_all(&Pair::events(&account.local(), "e", 1), 1);
    let (state, keys, accounts) = (host.state(), host.keys(), host.accounts());
    let of_ours = run("find", &[text(&state), text(&keys), text(&accounts), "-type", "f"]).ok();
    let files: Vec<&str> = of_ours.stdout.lines().collect();
    assert!(files.len() > 5, "state database, store, keys, results: {files:?}");
    let readable = "for file; do if [ -r \"$file\" ]; then echo \"$file\"; fi; done";
    let as_user = ["--reuid=_sftp-import-keys", "--regid=_sftp-import-keys", "--init-groups"];
    let shell = ["sh", "-c", readable, "sh"];
    let words: Vec<&str> = as_user.iter().chain(&shell).chain(&files).copied().collect();
    let ran = run("setpriv", &words).ok();
    let keys = host.keys_db();
    let found: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(found, [text(&keys)]);
}
