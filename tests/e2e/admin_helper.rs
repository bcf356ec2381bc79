//! Tests of the admin helper: the real program behind a real socket, on a host with sshd. They also
//! kill it at its durable steps.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::{Value, json};

use sftp_import::wire::admin::{KeyConfirmation, SIGNATURE_NAMESPACE};

use crate::support::account::Account;
use crate::support::admin::{AdminSocket, read_answer};
use crate::support::host::{Host, SOON, text};
use crate::support::process::{run, run_with, until};
use crate::support::sftp_script::Script;
use crate::support::unix::changing_users;

fn public_key(account: &Account<'_>) -> String {
    std::fs::read_to_string(format!("{}.pub", account.key.display())).unwrap()
}

fn fingerprint(account: &Account<'_>) -> String {
    let output = run("ssh-keygen", &["-lf", &format!("{}.pub", account.key.display())]).ok();
    output.stdout.split(' ').nth(1).unwrap().to_owned()
}

fn save(account: &Account<'_>) -> Value {
    json!({"v": 1, "verb": "key.save", "account": account.id, "name": account.key_name(),
        "key": public_key(account), "by": "ops@acme.example", "confirmation": "mail",
        "client": "203.0.113.9"})
}

fn revoke(account: &Account<'_>) -> Value {
    json!({"v": 1, "verb": "key.revoke", "account": account.id,
        "fingerprint": fingerprint(account), "by": "ops@acme.example"})
}

fn change_state(verb: &str, account: &Account<'_>) -> Value {
    json!({"v": 1, "verb": verb, "id": account.id, "by": "operator"})
}

#[test]
fn saved_keys_log_in_until_they_are_revoked() {
    let host = Host::new("");
    let admin = AdminSocket::start(&host);
    let account = Account::new(&host, "e2e-admin");
    let add = json!({"v": 1, "verb": "account.add", "id": account.id, "by": "operator",
        "contact": "ops@acme.example"});
    assert_eq!(admin.refusal(&save(&account)), "failed", "the host has no registry yet");
    assert_eq!(admin.change(&add), json!({"account": account.id, "state": "active"}));
    assert_eq!(admin.refusal(&add), "conflict");

    let saved = changing_users(|| admin.change(&save(&account)));
    let fingerprint = fingerprint(&account);
    assert_eq!(
        saved,
        json!({"account": account.id, "name": account.key_name(), "fingerprint": fingerprint,
            "published": true})
    );
    assert!(account.can_log_in());
    let again = admin.ask(&save(&account));
    assert_eq!(again["error"]["code"], "conflict", "{again}");
    assert_eq!(again["error"]["field"], "key", "{again}");
    let registry = Connection::open(host.registry()).unwrap();
    let by: String =
        registry.query_row("SELECT approved_by FROM approved", [], |row| row.get(0)).unwrap();
    assert_eq!(by, "admin: ops@acme.example");
    let logged = host.query("SELECT action || ' ' || actor FROM activity ORDER BY id");
    assert_eq!(logged, ["account.added operator", "key.added ops@acme.example"]);

    let revoked = json!({"account": account.id, "fingerprint": fingerprint, "before": false});
    assert_eq!(admin.change(&revoke(&account)), revoked);
    assert!(!account.can_log_in());
    assert_eq!(admin.change(&revoke(&account))["before"], true);
    assert_eq!(admin.refusal(&save(&account)), "conflict", "a revoked key stays revoked");
    assert!(!account.can_log_in());
}

#[test]
fn suspending_ends_the_sessions_of_an_account() {
    let host = Host::new("");
    let admin = AdminSocket::start(&host);
    let account = host.account("e2e-admin-suspend");
    let open = host.root.join("session-is-open");
    let code = format!(
        "open('{}', 'w')\nwhile True:\n    sftp.stat('.')\n    time.sleep(0.05)",
        text(&open)
    );
    let mut session = Script::new(&account).start(&code);
    until("an open session", SOON, || {
        assert!(session.ended().is_none(), "the session must stay open");
        open.exists().then_some(())
    });
    let suspended = admin.change(&change_state("account.suspend", &account));
    assert_eq!(suspended["state"], "suspended");
    assert!(suspended["ended"].as_u64().unwrap() > 0, "{suspended}");
    assert!(!session.wait(SOON).success(), "the session must end with an error");
    assert!(!account.can_log_in());
    let second = account.with_another_key("second");
    assert_eq!(admin.change(&save(&second))["published"], false);
    assert!(!second.can_log_in());
    let resumed = admin.change(&change_state("account.resume", &account));
    assert_eq!(resumed, json!({"account": account.id, "state": "active"}));
    assert!(account.can_log_in() && second.can_log_in());
}

#[test]
fn only_the_brokers_user_may_ask() {
    let host = Host::new("");
    let admin = AdminSocket::start(&host);
    let account = host.account("e2e-admin-peer");
    let ask = |user: &str| admin.ask_as(user, &revoke(&account));
    for user in ["nobody", "_sftp-import-keys", account.id.as_str()] {
        assert_eq!(ask(user)["error"]["code"], "forbidden", "{user}");
    }
    assert!(account.can_log_in());
    assert_eq!(ask("sftp-import")["ok"]["before"], false);
    assert!(!account.can_log_in());
}

#[test]
fn an_account_of_another_program_is_refused() {
    let host = Host::new("");
    let admin = AdminSocket::start(&host);
    for name in ["root", "daemon"] {
        let add = json!({"v": 1, "verb": "account.add", "id": name, "by": "operator",
            "contact": "ops@acme.example"});
        assert_eq!(admin.refusal(&add), "not_ours");
    }
    assert!(host.cli(&["account", "list", "--json"]).ok().json().as_array().unwrap().is_empty());
}

#[test]
fn an_invalid_configuration_is_not_shown() {
    let host = Host::new("");
    let admin = AdminSocket::start(&host);
    std::fs::write(host.config(), "[mail]\npassword = \"secret\"\n").unwrap();
    let account = Account::new(&host, "e2e-admin-config");
    let answer = admin.ask(&change_state("account.suspend", &account));
    assert_eq!(answer["error"]["code"], "failed");
    assert!(!answer.to_string().contains("mail"), "{answer}");
    // Without a socket as standard input there is no answer.
    let ran = run(text(&host.root.join("lib/sftp-import-admin")), &[] as &[&str]).refused();
    assert_eq!(ran.stdout, "");
}

/// Each request is a process of its own. Some requests run at the same time.
#[test]
fn hourly_limits_hold_over_processes() {
    let host = Host::new("");
    let admin = AdminSocket::start(&host);
    let account = host.account("e2e-admin-limits");
    let requests: Vec<Value> =
        (0..14).map(|n| save(&account.with_another_key(&format!("key{n}")))).collect();
    let answers: Vec<Value> = requests
        .chunks(4)
        .flat_map(|some| {
            std::thread::scope(|scope| {
                let asked: Vec<_> =
                    some.iter().map(|request| scope.spawn(|| admin.ask(request))).collect();
                asked.into_iter().map(|answer| answer.join().unwrap()).collect::<Vec<_>>()
            })
        })
        .collect();
    let saved = answers.iter().filter(|answer| answer["ok"].is_object()).count();
    assert_eq!(saved, 10, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer["error"].is_object()) {
        assert_eq!(refused["error"]["code"], "too_many", "{refused}");
        assert!(refused["error"]["after"].as_u64().is_some_and(|after| after > 3000), "{refused}");
    }
    // Root's commands have no limit, and the keys of root do not count.
    let more = account.with_another_key("of-root");
    more.add_key(&[]).ok();
    assert!(more.can_log_in());
    let other = host.account("e2e-admin-limits-2");
    let key = other.with_another_key("own");
    admin.change(&save(&key));
    assert!(key.can_log_in());
}

#[test]
fn a_silent_connection_ends_after_5_s() {
    let host = Host::new("");
    let admin = AdminSocket::start(&host);
    let mut connection = UnixStream::connect(&admin.path).unwrap();
    connection.set_read_timeout(Some(SOON)).unwrap();
    let begun = Instant::now();
    connection.write_all(b"{\"v\":1,").unwrap();
    let answer = read_answer(&connection).unwrap();
    assert_eq!(answer["error"]["text"], "the request took too long");
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
    // The helper must have ended: the next write fails.
    until("the helper to end", SOON, || {
        sleep(Duration::from_millis(20));
        connection.write_all(b" ").is_err().then_some(())
    });
}

/// Signs the text of a `key.save` request like a person with ssh-keygen.
fn sign(signer: &Account<'_>, request: &Value, until: &str) -> Value {
    let key = request["key"].as_str().unwrap();
    let mut words = key.split(' ');
    let confirmation = KeyConfirmation {
        node: "e2e0",
        account: request["account"].as_str().unwrap(),
        name: request["name"].as_str().unwrap(),
        key: (words.next().unwrap(), words.next().unwrap()),
        from: request["from"].as_str(),
        expires: request["expires"].as_str(),
        until,
    };
    let args = ["-Y", "sign", "-n", SIGNATURE_NAMESPACE, "-f", text(&signer.key)];
    let signature = run_with("ssh-keygen", &args, &confirmation.to_string()).ok().stdout;
    let mut request = request.clone();
    request["signature"] = json!({"text": signature, "until": until});
    request
}

#[test]
fn signed_keys_need_an_approved_key() {
    let host = Host::new("[web]\nkeys = \"signed\"\n");
    // The name of the node is part of the signed text.
    let config = std::fs::read_to_string(host.config()).unwrap();
    let name = config.lines().find(|line| line.starts_with("name = ")).unwrap();
    std::fs::write(host.config(), config.replace(name, "name = \"e2e0\"")).unwrap();
    let admin = AdminSocket::start(&host);
    let account = host.account("e2e-admin-signed");
    let other = host.account("e2e-admin-signed-2");
    let revoked = account.with_another_key("revoked");
    revoked.add_key(&[]).ok();
    host.cli(&["key", "revoke", &account.id, revoked.key_name()]).ok();
    let new = account.with_another_key("new");
    let in_minutes =
        |minutes| format!("{:.0}", Timestamp::now() + SignedDuration::from_mins(minutes));
    let until = in_minutes(10);
    let mut request = save(&new);
    request["from"] = "127.0.0.0/8".into();
    request["expires"] = format!("{:.0}", Timestamp::now() + SignedDuration::from_hours(1)).into();

    let signed = sign(&account, &request, &until);
    let changed = |field: &str, value: &str| {
        let mut request = signed.clone();
        request[field] = value.into();
        request
    };
    let mut extended = signed.clone();
    extended["signature"]["until"] = in_minutes(20).into();
    for refused in [
        request.clone(),
        sign(&other, &request, &until),
        sign(&revoked, &request, &until),
        sign(&new, &request, &until),
        sign(&account, &request, &in_minutes(90)),
        sign(&account, &request, &in_minutes(-1)),
        extended,
        changed("name", "another"),
        changed("key", &public_key(&account.with_another_key("thief"))),
        changed("from", "0.0.0.0/0"),
        changed("account", &other.id),
    ] {
        assert_eq!(admin.refusal(&refused), "forbidden", "{refused}");
    }
    assert!(!new.can_log_in());
    admin.change(&signed);
    assert!(new.can_log_in());
    admin.change(&revoke(&new));
    assert_eq!(admin.refusal(&signed), "conflict", "a signature is valid for one change");
    assert!(!new.can_log_in());
    let folders = std::fs::read_dir("/tmp").unwrap().flatten();
    let left = folders
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("sftp-import-admin-"));
    assert_eq!(left.count(), 0, "no temporary folder must remain");
}

/// Sends `request` to a helper that is killed at its `n`th call of `call`. Returns the answer, if
/// there is one.
fn ask_killed(host: &Host, request: &Value, call: &str, n: usize) -> Option<Value> {
    let (mut broker, helper) = UnixStream::pair().unwrap();
    let inject = format!("inject={call}:signal=KILL:when={n}");
    let mut child = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &inject])
        .args([&host.root.join("lib/sftp-import-admin"), Path::new("--config"), &host.config()])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(helper)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(broker, "{request}").unwrap();
    broker.set_read_timeout(Some(SOON)).unwrap();
    let answer = read_answer(&broker);
    child.wait().unwrap();
    answer
}

/// Returns whether the key is published, by the file that sshd's helper reads.
fn is_published(host: &Host, account: &Account<'_>) -> bool {
    let database = Connection::open(host.keys_db()).unwrap();
    let sql = "SELECT count(*) FROM key WHERE account = ?1 AND fingerprint = ?2";
    let count: i64 =
        database.query_row(sql, [&account.id, &fingerprint(account)], |row| row.get(0)).unwrap();
    count == 1
}

/// After a kill, `provision` must make the host match the registry, and the same request must
/// complete the change.
#[test]
fn a_request_killed_anywhere_is_completed() {
    let host = Host::new("");
    let account = host.account("e2e-admin-killed");
    let admin = AdminSocket::start(&host);
    let key = account.with_another_key("second");
    let registry = Connection::open(host.registry()).unwrap();
    registry.busy_timeout(SOON).unwrap();
    let forget = || {
        let sql = "DELETE FROM approved WHERE name <> 'e2e-admin-killed.key';
                   DELETE FROM limited_change; UPDATE account SET state = 'active'";
        registry.execute_batch(sql).unwrap();
        host.cli(&["provision"]).ok();
    };
    let mut points = 0;
    for (request, lets_in) in
        [(save(&key), true), (change_state("account.suspend", &account), false)]
    {
        // A suspension is observed at the first key, and a new key at itself.
        let observed = if lets_in { &key } else { &account };
        for call in ["fsync", "fdatasync", "rename", "renameat2", "unlink"] {
            for n in 1.. {
                forget();
                if ask_killed(&host, &request, call, n).is_some() {
                    break;
                }
                points += 1;
                let what = format!("{} killed at {call} {n}", request["verb"]);
                let sql = "SELECT count(*) FROM approved JOIN account ON account = account.id
                           WHERE fingerprint = ?1 AND revoked_at IS NULL AND state = 'active'";
                let approved: i64 =
                    registry.query_row(sql, [fingerprint(observed)], |row| row.get(0)).unwrap();
                host.cli(&["provision"]).ok();
                assert_eq!(is_published(&host, observed), approved == 1, "{what}");
                let counted = "SELECT count(*) FROM limited_change";
                let counted: i64 = registry.query_row(counted, [], |row| row.get(0)).unwrap();
                assert_eq!(counted == 1, (approved == 1) == lets_in, "{what}: a change is counted");
                let answer = admin.ask(&request);
                let is_done = answer["ok"].is_object() || answer["error"]["code"] == "conflict";
                assert!(is_done, "{what}: {answer}");
                assert_eq!(is_published(&host, observed), lets_in, "{what}");
            }
        }
    }
    assert!(points > 8, "only {points} points");
    forget();
    assert!(account.can_log_in() && !key.can_log_in());
}
