//! Tests of accounts and keys. They run the commands and check Unix users, folders and the helper's
//! answers.
//!
//! The tests need root. Each test has its own host and removes it at its end.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside #[test]")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::common::{KEYS, SERVICE, TestHost, helper, tool};
use nix::unistd::{Group, User};

const ED25519: &str = "SHA256:1SsfinJnb52hiy2PcTGPEdWqfnOF5nKrm86FP9kyl8c";
const RSA: &str = "SHA256:AQ+fKI6Dxc1MU5TvDlszg6AxFyAg+W87ovQmCtLUad4";

fn user(name: &str) -> Option<User> {
    User::from_name(name).unwrap()
}

/// Returns the user id, the group id and the mode of `path`. Does not follow a symbolic link.
fn owned(path: &Path) -> (u32, u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.uid(), meta.gid(), meta.mode() & 0o7777)
}

fn key_file(name: &str) -> String {
    format!("{KEYS}/{name}")
}

#[test]
fn the_first_key_creates_user_and_folders() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_id();
    let output = host.done(&["account", "add", &id, "--any-recipient"]);
    assert!(output.contains(&format!("next: sftp-import key add {id} ")), "{output}");
    assert!(user(&id).is_none(), "there must be no user before the first key");

    let output = host.done(&["key", "add", &id, &key_file("ed25519.pub"), "--name", "laptop"]);
    let address = format!("  user name    {id}\n  host key ");
    assert!(output.contains(&address) && output.contains(&format!("{id}@HOST")), "{output}");
    let made = user(&id).unwrap();
    let (uid, gid) = (made.uid.as_raw(), made.gid.as_raw());
    assert_eq!((uid, gid), (host.first_uid, host.first_uid));
    assert_eq!(made.shell, Path::new("/usr/sbin/nologin"));
    assert_eq!(made.dir, Path::new("/nonexistent"));
    let shadow = fs::read_to_string("/etc/shadow").unwrap();
    assert!(
        shadow.contains(&format!("\n{id}:*:")),
        "the user must have no password and be unlocked for sshd"
    );
    assert!(!fs::read_to_string("/etc/subuid").unwrap_or_default().contains(&id));

    let nobody = user(SERVICE).unwrap();
    let (service, service_group) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    let root = host.accounts_root();
    assert_eq!(owned(&root), (0, service_group, 0o750));
    assert_eq!(owned(&root.join(".spool")), (service, service_group, 0o700));
    assert_eq!(owned(&root.join(&id)), (0, 0, 0o755));
    assert_eq!(owned(&root.join(&id).join("incoming")), (service, gid, 0o770));
    assert_eq!(owned(&root.join(&id).join("results")), (service, service_group, 0o755));
    assert_eq!(owned(&root.join(&id).join("dev")), (service, service_group, 0o755));
    // A command of root created the file, but the daemon's user must own it.
    assert_eq!(owned(&host.state().join("state.db")), (service, service_group, 0o600));

    host.done(&["account", "remove", &id, "--yes"]);
    assert!(user(&id).is_none() && Group::from_name(&id).unwrap().is_none());
    let left: Vec<_> = fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [".spool"]);
    assert!(!host.done(&["account", "list"]).contains(&id));
}

#[test]
fn the_helper_prints_only_usable_keys() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_with_key("ed25519.pub");
    let limits = ["--from", "192.0.2.0/24,2001:db8::1", "--expires", "2999-01-01"];
    let rsa = key_file("rsa-3072.pub");
    let mut add = vec!["key", "add", &id, &rsa, "--name", "office"];
    add.extend(limits);
    host.done(&add);

    let answer = host.helper(&id, ED25519);
    assert_eq!(answer.code, Some(0));
    assert!(answer.out.starts_with("restrict ssh-ed25519 AAAA"), "{answer:?}");
    assert_eq!(answer.out.matches('\n').count(), 1);
    let answer = host.helper(&id, RSA);
    let start =
        "restrict,from=\"192.0.2.0/24,2001:db8::1\",expiry-time=\"29990101000000Z\" ssh-rsa ";
    assert!(answer.out.starts_with(start), "{answer:?}");

    let silent = |user: &str, fingerprint: &str| {
        let answer = host.helper(user, fingerprint);
        assert_eq!((answer.code, &*answer.out, &*answer.err), (Some(0), "", ""), "{user}");
    };
    for (user, fingerprint) in
        [(&*id, "SHA256:unknown"), ("root", ED25519), ("no one", ED25519), ("", ED25519), (&id, "")]
    {
        silent(user, fingerprint);
    }
    host.done(&["account", "suspend", &id]);
    silent(&id, ED25519);
    host.done(&["account", "resume", &id]);
    assert!(!host.helper(&id, ED25519).out.is_empty());
    host.done(&["key", "revoke", &id, "laptop"]);
    silent(&id, ED25519);
    host.done(&["key", "revoke", &id, RSA]);
    silent(&id, RSA);
}

#[test]
fn an_expired_key_stops_working() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_id();
    host.done(&["account", "add", &id, "--any-recipient"]);
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(10)).to_string();
    let file = key_file("ed25519.pub");
    host.done(&["key", "add", &id, &file, "--name", "laptop", "--expires", &soon]);
    assert!(!host.helper(&id, ED25519).out.is_empty());
    let begun = Instant::now();
    while !host.helper(&id, ED25519).out.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the key has not expired after 60 s");
        std::thread::sleep(Duration::from_millis(100));
    }
    let answer = host.helper(&id, ED25519);
    assert_eq!((answer.code, &*answer.out), (Some(0), ""));
    assert!(host.done(&["key", "list", &id]).contains("expired"));
}

#[test]
fn the_helper_prints_nothing_after_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("keys.db");
    let text = folder.path().join("text.db");
    fs::write(&text, "no database").unwrap();
    for database in [&missing, &text] {
        let answer = helper(database, &["acme", ED25519]);
        assert_eq!((answer.code, &*answer.out, &*answer.err), (Some(1), "", ""));
    }
    assert!(!missing.exists());
    for arguments in [&[][..], &["acme"], &["acme", ED25519, "more"], &["--help"]] {
        let answer = helper(&missing, arguments);
        assert_eq!((answer.code, &*answer.out), (Some(2), ""), "{arguments:?}");
    }
}

/// sshd may close the pipe at any time. The helper must not panic then.
#[test]
fn the_helper_ignores_a_closed_pipe() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_with_key("ed25519.pub");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_sftp-import-authorized-keys"))
        .arg("--database")
        .arg(host.keys_db())
        .args([&id, ED25519])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}

#[test]
fn an_unrelated_user_is_refused_before_any_write() {
    let Some(host) = TestHost::new() else { return };
    let result = host.run(&["account", "add", "daemon", "--any-recipient"]);
    assert_eq!(result.code, Some(1));
    assert!(result.err.contains("the Unix user daemon"), "{result:?}");
    assert_eq!(host.done(&["account", "list", "--json"]).trim(), "[]");
}

/// Between `account add` and the first key, another user gets the name.
#[test]
fn a_later_unrelated_user_is_not_changed() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_id();
    host.done(&["account", "add", &id, "--any-recipient"]);
    let uid = (host.first_uid + 5).to_string();
    let made = tool("useradd", &["--badname", "-M", "-u", &uid, "-c", "A. Person", &id]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let result = host.run(&["key", "add", &id, &key_file("ed25519.pub"), "--name", "laptop"]);
    assert_eq!(result.code, Some(1), "{result:?}");
    assert!(result.err.contains("did not create it"), "{result:?}");
    assert!(!host.accounts_root().exists());
    assert!(host.done(&["key", "list", &id]).contains("there are no keys yet"));
    host.done(&["account", "remove", &id, "--yes"]);
    assert_eq!(user(&id).unwrap().gecos.to_str(), Ok("A. Person"));
}

#[test]
fn a_host_without_the_package_gets_a_hint() {
    let Some(host) = TestHost::new() else { return };
    let config = fs::read_to_string(host.config()).unwrap();
    for (present, absent) in [("'nobody'", "'no-such-user'"), ("group = 'sftp", "group = 'no-sftp")]
    {
        fs::write(host.config(), config.replace(present, absent)).unwrap();
        let result = host.run(&["account", "add", "acme", "--any-recipient"]);
        assert_eq!(result.code, Some(1));
        assert!(result.err.contains("systemd-sysusers sftp-import.conf"), "{result:?}");
    }
}

#[test]
fn a_removal_ends_sessions_and_ignores_links() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_with_key("ed25519.pub");
    let uid = user(&id).unwrap().uid.as_raw();
    // One process ends after SIGTERM. The other process must be killed.
    let mut polite = Command::new("/bin/sleep").arg("600").uid(uid).gid(uid).spawn().unwrap();
    let mut stubborn = Command::new("/bin/sh")
        .args(["-c", "trap '' TERM; while :; do sleep 1; done"])
        .uid(uid)
        .gid(uid)
        .spawn()
        .unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "x").unwrap();
    let incoming = host.accounts_root().join(&id).join("incoming");
    symlink(outside.path(), incoming.join("link")).unwrap();
    fs::create_dir_all(incoming.join("deep/er")).unwrap();
    fs::write(incoming.join("deep/er/file.csv"), "a\n").unwrap();
    fs::set_permissions(incoming.join("deep"), fs::Permissions::from_mode(0o0)).unwrap();

    host.done(&["account", "remove", &id, "--yes"]);
    assert!(!polite.wait().unwrap().success() && !stubborn.wait().unwrap().success());
    assert!(outside.path().join("precious").exists());
    assert!(!host.accounts_root().join(&id).exists() && user(&id).is_none());
}

#[test]
fn a_removal_needs_confirmation_and_finished_imports() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_with_key("ed25519.pub");
    let result = host.run(&["account", "remove", &id]);
    assert_eq!(result.code, Some(1));
    assert!(result.err.contains("--yes") && user(&id).is_some(), "{result:?}");

    let state = rusqlite::Connection::open(host.state().join("state.db")).unwrap();
    let queued = "INSERT INTO import (id, account, manifest, state, claim, stem, received_at)
                  VALUES ('sftp1-1', ?1, 'e.manifest', 'queued', '{}', 'e', 0)";
    state.execute(queued, [&id]).unwrap();
    let result = host.run(&["account", "remove", &id, "--yes"]);
    assert_eq!(result.code, Some(1));
    assert!(result.err.contains("1 imports that are waiting"), "{result:?}");
    host.done(&["account", "remove", &id, "--yes", "--force"]);
    let imports: i64 =
        state.query_row("SELECT count(*) FROM import", [], |row| row.get(0)).unwrap();
    assert_eq!(imports, 1, "the refused command must not remove the import");
}

/// Either the same command or `provision` completes an interrupted removal.
#[test]
fn an_interrupted_removal_is_completed() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_with_key("ed25519.pub");
    let registry = host.registry();
    registry.execute("UPDATE account SET state = 'removing' WHERE id = ?1", [&id]).unwrap();
    let root = host.accounts_root();
    fs::rename(root.join(&id), root.join(format!(".old-{id}"))).unwrap();
    assert_eq!(tool("userdel", &[&id]).code, Some(0));

    for command in [&["account", "suspend", &id][..], &["account", "resume", &id]] {
        assert_eq!(host.run(command).code, Some(1), "{command:?}");
    }
    let result = host.run(&["key", "add", &id, &key_file("rsa-3072.pub"), "--name", "x"]);
    assert!(result.err.contains("is being removed"), "{result:?}");
    // This removal is completed by `provision`.
    let other = host.account_with_key("rsa-4096.pub");
    registry.execute("UPDATE account SET state = 'removing' WHERE id = ?1", [&other]).unwrap();
    host.done(&["account", "remove", &id, "--yes"]);
    host.done(&["provision"]);
    assert_eq!(host.done(&["account", "list", "--json"]).trim(), "[]");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1, "only the spool must remain");
    assert!(Group::from_name(&id).unwrap().is_none() && user(&other).is_none());
    assert_eq!(host.helper(&id, ED25519).out, "");
}

/// If a command was killed at any moment, a second run must complete it.
#[test]
fn the_next_command_completes_a_killed_one() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_id();
    let file = key_file("ed25519.pub");
    let add = ["key", "add", &id, &file, "--name", "laptop"];
    let remove = ["account", "remove", &id, "--yes"];
    for delay in (0..60).step_by(6).map(Duration::from_millis) {
        host.done(&["account", "add", &id, "--any-recipient"]);
        host.killed_after(delay, &add);
        let result = host.run(&add);
        assert!(
            result.code == Some(0) || result.err.contains("already has this key"),
            "{result:?}"
        );
        assert!(!host.helper(&id, ED25519).out.is_empty(), "{delay:?}");
        assert!(host.done(&["provision"]).contains("match the registry; the keys"), "{delay:?}");

        host.killed_after(delay * 10, &remove);
        let result = host.run(&remove);
        assert!(result.code == Some(0) || result.err.contains("there is no account"), "{result:?}");
        assert!(user(&id).is_none() && Group::from_name(&id).unwrap().is_none(), "{delay:?}");
        assert_eq!(
            fs::read_dir(host.accounts_root()).unwrap().count(),
            1,
            "only the spool must remain"
        );
    }
}

/// Two commands run at the same time. Each account must get its own id, and no key may be lost.
#[test]
fn concurrent_first_keys_get_different_ids() {
    let Some(mut host) = TestHost::new() else { return };
    let ids: Vec<String> = (0..5).map(|_| host.account_id()).collect();
    std::thread::scope(|scope| {
        for id in &ids {
            let host = &host;
            scope.spawn(move || {
                host.done(&["account", "add", id, "--any-recipient"]);
                host.done(&["key", "add", id, &key_file("ed25519.pub"), "--name", "laptop"]);
                assert!(!host.helper(id, ED25519).out.is_empty(), "{id}");
            });
        }
    });
    let mut uids: Vec<u32> = ids.iter().map(|id| user(id).unwrap().uid.as_raw()).collect();
    uids.sort_unstable();
    assert_eq!(uids, Vec::from_iter(host.first_uid..host.first_uid + 5));
    assert!(ids.iter().all(|id| !host.helper(id, ED25519).out.is_empty()));
}

#[test]
fn provision_fixes_changed_users_and_folders() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_with_key("ed25519.pub");
    let incoming = host.accounts_root().join(&id).join("incoming");
    let before = owned(&incoming);
    fs::set_permissions(&incoming, fs::Permissions::from_mode(0o777)).unwrap();
    fs::remove_dir(host.accounts_root().join(&id).join("results")).unwrap();
    fs::remove_file(host.keys_db()).unwrap();
    assert_eq!(tool("usermod", &["-s", "/bin/sh", &id]).code, Some(0));
    let output = host.done(&["provision", "--json"]);
    assert!(output.contains(&format!("the user {id} was fixed")), "{output}");
    assert_eq!(owned(&incoming), before);
    assert!(host.accounts_root().join(&id).join("results").is_dir());
    assert_eq!(user(&id).unwrap().shell, Path::new("/usr/sbin/nologin"));
    assert!(!host.helper(&id, ED25519).out.is_empty());
    assert!(host.done(&["provision"]).contains("match the registry; the keys"));
}

#[test]
fn a_key_can_come_from_standard_input() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_id();
    host.done(&["account", "add", &id, "--any-recipient"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_sftp-import"))
        .arg("--config")
        .arg(host.config())
        .args(["--json", "key", "add", &id, "-", "--name", "laptop"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let key = fs::read(key_file("ed25519.pub")).unwrap();
    child.stdin.take().unwrap().write_all(&key).unwrap();
    let output = child.wait_with_output().unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["fingerprint"], ED25519);
    let shown: serde_json::Value =
        serde_json::from_str(&host.done(&["account", "show", &id, "--json"])).unwrap();
    assert_eq!(shown["keys"][0]["name"], "laptop");
    assert_eq!(shown["activity"][1]["action"], "key.added");
}

#[test]
fn contact_and_webhook_are_validated() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_id();
    for bad in [["--email", "x"], ["--email", "a@b\n.c"], ["--recipient-domain", "a b"]] {
        let result = host.run(&["account", "add", &id, bad[0], bad[1]]);
        assert_eq!(result.code, Some(1), "{bad:?}");
    }
    host.done(&["account", "add", &id, "--email", "a@example.com"]);
    assert_eq!(host.run(&["account", "add", &id, "--any-recipient"]).code, Some(1), "twice");
    let result =
        host.run(&["account", "set", &id, "--email", "b@example.com", "--webhook", "none"]);
    assert_eq!(result.code, Some(1));
    assert!(
        host.done(&["account", "show", &id]).contains("a@example.com"),
        "a refused command must change nothing"
    );
    host.done(&["account", "set", &id, "--email", ""]);
    assert!(!host.done(&["account", "show", &id]).contains("a@example.com"));
    assert_eq!(host.run(&["account", "set", &id]).code, Some(2));
}

#[test]
fn a_new_account_needs_a_recipient_rule() {
    let Some(mut host) = TestHost::new() else { return };
    let id = host.account_id();
    for options in [
        &[][..],
        &["--recipient", "a@example.com"],
        &["--any-recipient", "--recipient-domain", "example.com"],
        &["--any-recipient", "--recipient", "a@example.com"],
    ] {
        let result = host.run(&[&["account", "add", &id], options].concat());
        assert_eq!(result.code, Some(2), "{options:?}: {result:?}");
    }
    for domain in ["a b", "a@example.com", "[192.0.2.1]", "*.example.com"] {
        let result = host.run(&["account", "add", &id, "--recipient-domain", domain]);
        assert_eq!(result.code, Some(1), "{domain}: {result:?}");
    }
    let result = host.run(&["account", "add", &id, "--any-recipient", "--email", "a@b c"]);
    assert_eq!(result.code, Some(1));
    assert_eq!(host.done(&["account", "list", "--json"]).trim(), "[]");
}

/// Returns the recipients that `account show` prints.
fn mail_to(host: &TestHost, id: &str) -> String {
    let shown = host.done(&["account", "show", id]);
    let line = shown.lines().find_map(|line| line.strip_prefix("mail to"));
    line.unwrap_or_else(|| panic!("{shown}")).trim().to_owned()
}

#[test]
fn recipients_are_chosen_and_changed() {
    let Some(mut host) = TestHost::new() else { return };
    for (options, rule) in [
        (&["--email", "ops@Acme.example"][..], "the contact, *@acme.example"),
        (&["--email", "acme@gmail.com"], "the contact"),
        (&["--email", "a@b.example", "--any-recipient"], "any address"),
        (
            &["--recipient-domain", "B.example", "--recipient-domain", "c.example"],
            "the contact, *@b.example, *@c.example",
        ),
        (
            &["--email", "a@b.example", "--recipient", "x@y.example", "--recipient-domain", ""],
            "the contact, x@y.example",
        ),
    ] {
        let id = host.account_id();
        host.done(&[&["account", "add", &id], options].concat());
        assert_eq!(mail_to(&host, &id), rule, "{options:?}");
    }

    let id = host.account_id();
    host.done(&["account", "add", &id, "--any-recipient"]);
    for (options, rule) in [
        (&["--recipient", "x@y.example"][..], "the contact, x@y.example"),
        (&["--recipient-domain", "b.example"], "the contact, x@y.example, *@b.example"),
        (&["--email", "ops@acme.example"], "the contact, x@y.example, *@b.example"),
        (
            &["--recipient", "z@y.example", "--recipient", "w@y.example"],
            "the contact, z@y.example, w@y.example, *@b.example",
        ),
        (&["--recipient", ""], "the contact, *@b.example"),
        (&["--any-recipient"], "any address"),
        (&["--recipient", "", "--email", "ops@other.example"], "the contact, *@other.example"),
        (&["--recipient-domain", ""], "the contact"),
    ] {
        host.done(&[&["account", "set", &id], options].concat());
        assert_eq!(mail_to(&host, &id), rule, "{options:?}");
    }
    let result = host.run(&["account", "set", &id, "--recipient", "x", "--email", "x@y.example"]);
    assert_eq!(result.code, Some(1));
    assert!(
        host.done(&["account", "show", &id]).contains("ops@other.example"),
        "a refused command must change nothing"
    );
    let shown = host.done(&["account", "show", &id, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let limited = serde_json::json!({"limited": {"addresses": [], "domains": []}});
    assert_eq!(shown["recipients"], limited);
    assert!(
        shown["activity"].to_string().contains("mail recipients: the contact, *@other.example")
    );
}

#[test]
fn commands_report_that_they_need_root() {
    let Some(host) = TestHost::new() else { return };
    // The test runs a copy of the program, because other users may have no access to the build
    // folder. cp makes the copy. If this process wrote the copy, a child process of another test
    // could keep the file open for writing ("Text file busy").
    let program = host.accounts_root().with_file_name("sftp-import");
    let mut copy = Command::new("/bin/cp");
    assert!(copy.arg(env!("CARGO_BIN_EXE_sftp-import")).arg(&program).status().unwrap().success());
    for arguments in [["account", "list"], ["key", "list"]] {
        let mut command = Command::new(&program);
        let output = command.args(arguments).uid(65_534).gid(65_534).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("needs root"));
    }
}
