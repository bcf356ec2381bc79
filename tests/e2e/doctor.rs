//! Tests of `sftp-import doctor`. Each test breaks one part of the host and reads doctor's report.
//! If sshd is affected, the test also finds the reported words in sshd's log. After the fix, doctor
//! must report no fault.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixDatagram;

use crate::support::findings::{
    Findings, Mode, arguments, examine, expect_content, expect_in_sshd_log,
};
use crate::support::host::{Host, SOON, set_mode};
use crate::support::process::{run, until};
use crate::support::unix::changing_users;

#[test]
fn a_host_without_faults_passes_every_check() {
    let host = Host::running();
    host.account("e2e-doctor-whole");
    let watched = || examine(&host).text("watches").starts_with("ok").then_some(());
    until("the account to be watched", SOON, watched);
    expect_content(&host);
    let mut words = arguments(&host).to_vec();
    words.retain(|word| word != "--json");
    words.extend(["--account".into(), "e2e-doctor-whole".into()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = host.cli(&words).stdout;
    assert!(output.contains("\n  ok   account-chroot"), "{output}");
    assert!(output.contains("the helper prints a key that works"), "{output}");
    assert!(output.contains(" 0 fail"), "{output}");
    let absent = host.cli(&["doctor", "--account", "e2e-doctor-absent"]);
    assert_eq!(absent.code, Some(2), "{absent:#?}");
    assert!(absent.stdout.contains("no account has this id"), "{absent:#?}");
}

#[test]
fn doctor_reports_helper_faults_like_sshd() {
    let host = Host::running();
    let account = host.account("e2e-doctor-helper");
    let program = host.root.join("lib/sftp-import-authorized-keys");
    // The programs of all hosts are links to the same file. The test needs a separate copy before
    // it changes the mode.
    let copy = host.root.join("helper");
    std::fs::copy(&program, &copy).unwrap();
    std::fs::rename(&copy, &program).unwrap();
    {
        let _open = Mode::set(host.root.join("lib"), 0o775);
        examine(&host).warned("helper-program", "Debian's sshd accepts this");
        assert!(account.can_log_in(), "the login must work as doctor reports");
    }
    {
        let _open = Mode::set(host.root.join("lib"), 0o757);
        let log = examine(&host).failed("helper-program", "has mode 0757");
        assert!(log.starts_with("Unsafe AuthorizedKeysCommand"), "{log}");
        let ran = expect_in_sshd_log(&account, &log);
        assert!(ran.stderr.contains("Permission denied (publickey)"), "{ran:#?}");
    }
    {
        let _closed = Mode::set(host.root.join("lib"), 0o700);
        let log = examine(&host).failed("helper-program", "the helper's user can't run it");
        expect_in_sshd_log(&account, &log);
    }
    {
        let _closed = Mode::set(program.clone(), 0o700);
        let log = examine(&host).failed("helper-program", "the helper's user can't run it");
        expect_in_sshd_log(&account, &log);
    }
    {
        let away = host.root.join("away");
        std::fs::rename(&program, &away).unwrap();
        let log = examine(&host).failed("helper-program", "does not exist");
        expect_in_sshd_log(&account, &log);
        std::fs::rename(&away, &program).unwrap();
    }
    {
        let _closed = Mode::set(host.keys_db(), 0o600);
        let found = examine(&host);
        found.failed("keys-folder", "has group id");
        let log = found.failed("helper-answer", "it can't read");
        expect_in_sshd_log(&account, &log);
    }
    for path in [host.keys(), host.keys_db()] {
        let _open = Mode::set(path, 0o770);
        let found = examine(&host);
        found.failed("keys-folder", "has mode 0770: others can write it");
        let log = found.failed("helper-answer", "it can't read");
        expect_in_sshd_log(&account, &log);
    }
    chown(host.keys(), Some(65534), None).unwrap();
    let found = examine(&host);
    found.failed("keys-folder", "belongs to user id 65534, not to root");
    expect_in_sshd_log(&account, &found.failed("helper-answer", "it can't read"));
    chown(host.keys(), Some(0), None).unwrap();
    {
        let _seen = Mode::set(host.keys(), 0o755);
        examine(&host).warned("keys-folder", "every user can read");
    }
    expect_content(&host);
}

#[test]
fn doctor_reports_chroot_faults_like_sshd() {
    let host = Host::running();
    let account = host.account("e2e-doctor-chroot");
    let chroot = host.accounts().join(&account.id);
    {
        let _open = Mode::set(host.accounts(), 0o731);
        let log = examine(&host).failed("account-chroot", "has mode 0731");
        assert!(log.contains("component"), "{log}");
        let ran = expect_in_sshd_log(&account, &log);
        assert!(
            ran.stderr.contains("Connection") || ran.stderr.contains("Broken pipe"),
            "{ran:#?}"
        );
    }
    chown(&chroot, Some(65534), None).unwrap();
    let log = examine(&host).failed("account-chroot", "belongs to user id 65534");
    expect_in_sshd_log(&account, &log);
    chown(&chroot, Some(0), None).unwrap();
    let away = host.root.join("away");
    std::fs::rename(&chroot, &away).unwrap();
    let log = examine(&host).failed("account-chroot", "No such file or directory");
    expect_in_sshd_log(&account, &log);
    std::fs::rename(&away, &chroot).unwrap();
    {
        let _closed = Mode::set(account.incoming(), 0o750);
        examine(&host).failed("account-folders", "incoming is ");
        let file = account.local().join("x.csv");
        std::fs::write(&file, "x\n").unwrap();
        let ran = account.sftp(&format!("put {}\n", file.display()));
        assert!(ran.stderr.contains("open \"/incoming/x.csv\": Permission denied"), "{ran:#?}");
    }
    {
        let _open = Mode::set(host.accounts(), 0o711);
        examine(&host).failed("account-folders", "the folder of all accounts is 0:");
    }
    std::fs::rename(account.incoming(), &away).unwrap();
    examine(&host).failed("account-folders", "incoming is missing");
    let ran = account.sftp("pwd\n");
    assert!(
        ran.stdout.contains("Remote working directory: /\n"),
        "the session must start in the chroot: {ran:#?}"
    );
    std::fs::rename(&away, account.incoming()).unwrap();
    expect_content(&host);
}

#[test]
fn faults_of_unix_users_and_groups_are_reported() {
    let host = Host::running();
    let account = host.account("e2e-doctor-user");
    changing_users(|| run("gpasswd", &["-d", &account.id, "sftp-import-accounts"])).ok();
    let findings = examine(&host);
    let log = findings.failed("account-group", "is not in the group sftp-import-accounts");
    findings.failed("sshd-drop-in", "contains the drop-in for `Match Group sftp-import-accounts`");
    expect_in_sshd_log(&account, &log);
    changing_users(|| host.cli(&["provision"])).ok();
    expect_content(&host);
    changing_users(|| run("userdel", &["-f", &account.id])).ok();
    let log = examine(&host).failed("account-user", "no Unix user has the account's name");
    assert_eq!(log, format!("Invalid user {}", account.id));
    expect_in_sshd_log(&account, &log);
    changing_users(|| host.cli(&["provision"])).ok();
    expect_content(&host);
    host.cli(&["account", "suspend", &account.id]).ok();
    examine(&host).warned("account-keys", "the account is suspended");
    host.cli(&["account", "resume", &account.id]).ok();
    expect_content(&host);
    host.cli(&["account", "set", &account.id, "--any-recipient"]).ok();
    examine(&host).warned("account-recipients", "can send mail to any address");
    host.cli(&["account", "set", &account.id, "--recipient-domain", "example.com"]).ok();
    expect_content(&host);
}

#[test]
fn faults_of_the_sshd_configuration_are_reported() {
    let host = Host::running();
    let account = host.account("e2e-doctor-sshd");
    let (config, drop_in) = ("ssh/sshd_config", "ssh/50-sftp-import.conf");
    let with = |file: &str, change: &dyn Fn(String) -> String, then: &dyn Fn(Findings)| {
        let path = host.root.join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, change(before.clone())).unwrap();
        then(examine(&host));
        std::fs::write(&path, before).unwrap();
    };
    with(config, &|text| text + "NoSuchKeyword yes\n", &|found| {
        found.failed("sshd-config", "NoSuchKeyword");
    });
    with(config, &|text| format!("Match all\nPermitTTY yes\nMatch all\n{text}"), &|found| {
        found.failed("sshd-drop-in", "permittty is yes, not no");
    });
    let site = host.root.join("ssh/10-site.conf");
    let rule = "Match Group sftp-import-accounts\nChrootDirectory /srv/%u\n";
    std::fs::write(&site, rule).unwrap();
    with(config, &|text| format!("Include {}\n{text}", site.display()), &|found| {
        let by = format!("from {} line 2, which sshd reads first", site.display());
        found.failed("sshd-drop-in", &by);
    });
    with(drop_in, &|_| "# empty\n".into(), &|found| {
        found.failed("sshd-drop-in", "no file that sshd reads contains the drop-in");
    });
    with(config, &|text| text + "FingerprintHash md5\n", &|found| {
        let log = found.failed("sshd-access", "FingerprintHash is md5");
        host.reload_sshd();
        expect_in_sshd_log(&account, &log);
    });
    let refused = |rule: &str, message: &str| {
        with(config, &|text| format!("{rule}\n{text}"), &|found| {
            let log = found.failed("sshd-access", message);
            host.reload_sshd();
            expect_in_sshd_log(&account, &log);
        });
    };
    refused("AllowGroups root", "AllowGroups in sshd's configuration refuses the account");
    refused("DenyUsers e2e-doctor-*", "DenyUsers in sshd's configuration refuses the account");
    refused("AllowUsers nobody", "AllowUsers in sshd's configuration refuses the account");
    refused("DenyGroups sftp-import-*", "DenyGroups in sshd's configuration refuses the account");
    changing_users(|| run("usermod", &["-p", "!", &account.id])).ok();
    with(config, &|text| text.replace("UsePAM yes", "UsePAM no"), &|found| {
        let log = found
            .failed("sshd-access", "sshd without PAM refuses a password that is locked by `!`");
        host.reload_sshd();
        expect_in_sshd_log(&account, &log);
    });
    changing_users(|| run("usermod", &["-p", "*", &account.id])).ok();
    host.reload_sshd();
    assert!(account.can_log_in());
    expect_content(&host);
}

#[test]
fn faults_of_databases_and_daemon_are_reported() {
    let host = Host::running();
    let account = host.account("e2e-doctor-state");
    let change = |sql: &str| {
        let db = rusqlite::Connection::open(host.state().join("state.db")).unwrap();
        db.busy_timeout(SOON).unwrap();
        db.execute_batch(sql).unwrap();
    };
    let approve = |sql: &str| {
        rusqlite::Connection::open(host.registry()).unwrap().execute_batch(sql).unwrap();
    };
    // The daemon was started without the systemd unit.
    examine(&host).warned("sidecar-privileges", "no filter of system calls");
    change("UPDATE key SET revoked_at = 1");
    examine(&host).warned("registry", "the state database differs from the registry (1)");
    change("UPDATE key SET revoked_at = NULL");
    change("INSERT INTO account (id, uid, created_at) VALUES ('root', 0, 0)");
    examine(&host).failed("registry", "accounts or keys that root has not approved (1)");
    change("DELETE FROM account WHERE id = 'root'");
    let away = host.registry().with_extension("away");
    std::fs::rename(host.registry(), &away).unwrap();
    examine(&host).failed("registry", "the published keys still work");
    assert!(account.can_log_in(), "the login must work as doctor reports");
    std::fs::rename(&away, host.registry()).unwrap();
    set_mode(&host.registry(), 0o644);
    examine(&host).failed("registry", "has mode 0644, so others can use it");
    set_mode(&host.registry(), 0o600);
    approve("UPDATE approved SET revoked_at = 1");
    examine(&host).failed("published-keys", "keys that should not work are published (1)");
    assert!(account.can_log_in(), "the login must work as doctor reports");
    approve("UPDATE approved SET revoked_at = NULL");
    approve("UPDATE approved SET revoked_at = 1");
    host.cli(&["account", "resume", &account.id]).ok(); // publishes the keys
    approve("UPDATE approved SET revoked_at = NULL");
    let found = examine(&host);
    found.failed("published-keys", "keys that should work are not published (1)");
    let log = found.failed("helper-answer", "does not print a key that should work");
    expect_in_sshd_log(&account, &log);
    host.cli(&["account", "resume", &account.id]).ok();
    let keys = host.keys_db();
    std::fs::rename(&keys, host.root.join("away")).unwrap();
    examine(&host).failed("published-keys", "the published keys can't be read");
    std::fs::rename(host.root.join("away"), &keys).unwrap();

    let closed = "SELECT 1 FROM activity WHERE action = 'session.closed'";
    // Any later log line would become the newest one, so the test waits for both sessions.
    let logged = || (host.query(closed).len() == 2).then_some(());
    until("both sessions to be in the log", SOON, logged);
    change("INSERT INTO activity (at, action) VALUES (4102444800000, 'x')");
    examine(&host).failed("clock", "the clock was turned back");
    change("DELETE FROM activity WHERE action = 'x'");
    change("UPDATE endpoint SET disabled_at = 1"); // no endpoint exists yet
    host.cli(&["webhook", "add", &account.id, "crm", &host.catchers.url()]).ok();
    change("UPDATE endpoint SET disabled_at = 1, disabled_reason = '410 Gone'");
    examine(&host)
        .warned("webhooks", "the endpoint crm has been disabled since 1970-01-01: 410 Gone");
    change("DELETE FROM endpoint");
    change(
        "INSERT INTO milestone (id, account, type, at, body) VALUES ('m', 'a', 'test', 1, '{}');
            INSERT INTO delivery (milestone, channel, destination, lane, state, finished_at)
            VALUES ('m', 'email', 'x', 'l', 'failed', unixepoch() * 1000)",
    );
    examine(&host).warned("deliveries", "deliveries that were given up in the last 24 h: 1");
    change("DELETE FROM milestone");

    let log = host.accounts().join(&account.id).join("dev/log");
    std::fs::rename(&log, log.with_extension("away")).unwrap();
    let other = UnixDatagram::bind(&log).unwrap();
    examine(&host).warned("account-audit", "is not the daemon's socket");
    drop(other);
    std::fs::rename(log.with_extension("away"), &log).unwrap();

    let daemon = host.root.join("lib/sftp-importd");
    let copy = std::fs::read(&daemon).unwrap();
    std::fs::remove_file(&daemon).unwrap();
    std::fs::write(&daemon, copy).unwrap();
    examine(&host).warned("sidecar-running", "the daemon runs a program file that was replaced");
    host.stop_daemon();
    examine(&host).failed("sidecar-running", "no sftp-importd runs on this state folder");
    change(
        "INSERT INTO import (id, account, manifest, state, claim, stem, received_at)
         VALUES ('a-1', 'a', 'm', 'queued', '\"ingest\"', 's', 1)",
    );
    examine(&host).warned("imports-waiting", "imports that have not ended: 1, the oldest is from");
    change("DELETE FROM import");
    set_mode(&host.state().join("state.db"), 0o644);
    examine(&host).warned("state-database", "others can read webhooks' secrets");
    set_mode(&host.state().join("state.db"), 0o600);
    chown(host.state().join("state.db"), Some(0), None).unwrap();
    examine(&host).failed("state-database", "the daemon can't write it");
    let path = host.state().join("state.db");
    let owner = std::fs::metadata(host.state()).unwrap().uid();
    chown(&path, Some(owner), None).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let torn: Vec<u8> =
        whole.iter().enumerate().map(|(i, b)| if i > 6000 { 7 } else { *b }).collect();
    std::fs::write(&path, torn).unwrap();
    examine(&host).failed("state-database", "");
    std::fs::write(&path, whole).unwrap();
    change("PRAGMA user_version = 99");
    let log = examine(&host)
        .failed("state-database", "state.db has schema 99, but this program knows up to");
    assert!(host.cli(&["account", "list"]).stderr.contains(&log));
}

#[test]
fn unusable_mail_servers_are_reported() {
    let host = Host::running();
    host.account("e2e-doctor-mail");
    let config = std::fs::read_to_string(host.config()).unwrap();
    let with = |url: &str| {
        let from = format!("smtp://127.0.0.1:{}", host.catchers.smtp_port);
        std::fs::write(host.config(), config.replace(&from, url)).unwrap();
        examine(&host)
    };
    with("smtp://127.0.0.1:1").failed("mail", "Connection refused");
    with("smtps://127.0.0.1:1").failed("mail", "Connection refused");
    let not_smtp = format!("smtp://127.0.0.1:{}", host.catchers.webhook_port);
    with(&not_smtp).failed("mail", "");
    let no_tls = format!("smtp://127.0.0.1:{}?tls=required", host.catchers.smtp_port);
    with(&no_tls).failed("mail", "STARTTLS");
    with("sendmail:/nonexistent/sendmail").failed("mail", "does not exist");
    with("").warned("mail", "no mail is sent");
}
