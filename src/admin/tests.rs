//! Tests that the admin helper refuses wrong requests. The tests create no Unix users. The
//! end-to-end tests run the real program.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::account_state::AccountState;
use crate::config::{AccountPolicy, KeyPolicy};
use crate::registry::{self, Account, ApprovedKey, Registry};
use crate::state::State;
use crate::wire::admin::{ErrorCode, MAX_REQUEST};

const LONG: Duration = Duration::from_secs(60);

/// A host with the account `acme`, which has no Unix user.
struct Fixture {
    _folder: tempfile::TempDir,
    config: Config,
    registry: Registry,
}

fn public_key(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(file);
    std::fs::read_to_string(path).unwrap()
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.state = folder.path().join("state");
        config.paths.admin = folder.path().join("admin");
        config.paths.keys = folder.path().join("keys");
        std::fs::create_dir(&config.paths.state).unwrap();
        State::open(&config.paths.state_db()).unwrap();
        let account =
            Account { id: "acme".parse().unwrap(), uid: None, state: AccountState::Active };
        let registry = Registry::create(&config.paths.admin, "root", |tx| {
            registry::accounts::add(tx, Timestamp::now(), &account).map(drop)
        });
        let registry = registry.map_err(|error: registry::Error| error.to_string()).unwrap();
        Self { _folder: folder, config, registry }
    }

    /// Sends `bytes` from the user `peer`, and closes the connection for writing.
    fn send(&self, peer: u32, bytes: &[u8]) -> Result<Change, AdminError> {
        let (mut broker, helper) = UnixStream::pair().unwrap();
        let bytes = bytes.to_vec();
        let sender = thread::spawn(move || {
            // A write error is ignored, because the helper may refuse the request before it has
            // read all bytes.
            let _ = broker.write_all(&bytes);
            let _ = broker.shutdown(Shutdown::Write);
            let _ = broker.read(&mut [0]);
        });
        let result = respond(&self.config, peer, &helper, LONG);
        drop(helper);
        sender.join().unwrap();
        result
    }

    fn ask(&self, request: &Value) -> Result<Change, AdminError> {
        self.send(0, format!("{request}\n").as_bytes())
    }

    /// Returns the code and the field of the refusal of `request`.
    fn refusal(&self, request: &Value) -> (ErrorCode, String) {
        let error = self.ask(request).unwrap_err();
        assert!(error.text.chars().count() <= 1000, "{error:?}");
        (error.code, error.field.unwrap_or_default())
    }

    /// Adds `count` approved keys to the account `acme`.
    fn approve(&self, count: usize) {
        let add = |tx: &registry::RegistryTransaction<'_>| {
            for n in 0..count {
                let key = ApprovedKey {
                    account: "acme".parse().unwrap(),
                    name: format!("key {n}"),
                    algorithm: "ssh-ed25519".into(),
                    public_key: "AAAA".into(),
                    fingerprint: format!("SHA256:{n}"),
                    from: None,
                    expires_at: None,
                    approved_at: Timestamp::now(),
                    revoked_at: None,
                };
                registry::keys::add(tx, &key)?;
            }
            Ok::<_, registry::Error>(())
        };
        self.registry.write(add).unwrap();
    }
}

fn save() -> Value {
    json!({"v": 1, "verb": "key.save", "account": "acme", "name": "nightly",
        "key": public_key("ed25519.pub"), "by": "ops@acme.example", "confirmation": "mail"})
}

/// Returns `request` after setting the field `field` to `value`.
fn with(mut request: Value, field: &str, value: impl Into<Value>) -> Value {
    request[field] = value.into();
    request
}

fn code(result: Result<Change, AdminError>) -> ErrorCode {
    result.unwrap_err().code
}

#[test]
fn only_one_short_line_is_a_request() {
    let fixture = Fixture::new();
    let revoke = json!({"v": 1, "verb": "key.revoke", "account": "acme", "by": "x",
        "fingerprint": "SHA256:x"})
    .to_string();
    let long = |length: usize| format!("{revoke}{}\n", " ".repeat(length - revoke.len()));
    for (line, text) in [
        (String::new(), "no line break"),
        (revoke.clone(), "no line break"),
        (revoke[..30].to_owned() + "\n", "EOF while parsing"),
        (format!("{revoke}\n{revoke}\n"), "more than one line"),
        (format!("{revoke}\n "), "more than one line"),
        (format!("\n{revoke}\n"), "more than one line"),
        (long(97 * 1024), "longer than 96 KiB"),
        (long(MAX_REQUEST + 1), "longer than 96 KiB"),
        ("x".repeat(97 * 1024), "longer than 96 KiB"),
        (format!("{{\"v\":{}\n", "[".repeat(90_000)), "recursion limit"),
        ("[\"key.revoke\",1,\"acme\",\"SHA256:x\",\"x\"]\n".into(), "not a JSON object"),
        (format!("{revoke} {revoke}\n"), "trailing characters"),
        ("\u{1b}[2J\n".to_owned(), "not a JSON object"),
    ] {
        let error = fixture.send(0, line.as_bytes()).unwrap_err();
        assert_eq!(error.code, ErrorCode::Invalid, "{error:?}");
        assert!(error.text.contains(text), "{text}: {error:?}");
    }
    assert_eq!(code(fixture.send(0, long(MAX_REQUEST).as_bytes())), ErrorCode::NotFound);
}

#[test]
fn slow_requests_end_after_a_fixed_time() {
    let fixture = Fixture::new();
    let (mut broker, helper) = UnixStream::pair().unwrap();
    let patience = Duration::from_millis(100);
    // The broker sends a byte from time to time, but never sends a line break.
    let sender = thread::spawn(move || {
        while broker.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let begun = Instant::now();
    let error = respond(&fixture.config, 0, &helper, patience).unwrap_err();
    assert!(begun.elapsed() >= patience);
    drop(helper);
    sender.join().unwrap();
    assert_eq!(error.text, "the request took too long");
}

#[test]
fn other_users_are_refused_before_their_request() {
    let mut fixture = Fixture::new();
    fixture.config.accounts.service_user = "nobody".into();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw();
    // Nothing is sent, and the connection stays open: the helper must not wait for the request.
    let (_broker, helper) = UnixStream::pair().unwrap();
    let error = respond(&fixture.config, nobody + 1, &helper, LONG).unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    assert_eq!(code(fixture.send(nobody, b"\n")), ErrorCode::Invalid);
    fixture.config.accounts.service_user = "missing-user".into();
    assert_eq!(code(fixture.send(nobody, b"\n")), ErrorCode::Forbidden);
}

#[test]
fn wrong_fields_are_refused_by_their_name() {
    let fixture = Fixture::new();
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----";
    for (field, value) in [
        ("account", "../etc"),
        ("account", ""),
        ("name", ""),
        ("name", "a\nb"),
        ("name", "SHA256:x"),
        ("key", ""),
        ("key", private),
        ("key", "ssh-ed25519 AAAA"),
        ("from", "10.1.2.3/8"),
        ("from", "10.0.0.1\" ssh-ed25519"),
        ("expires", "2020-01-01"),
        ("expires", "tomorrow"),
        ("by", ""),
        ("by", "ops\u{202e}@acme.example"),
        ("by", &"x".repeat(257)),
        ("confirmation", "\n"),
    ] {
        let refusal = fixture.refusal(&with(save(), field, value));
        assert_eq!(refusal, (ErrorCode::Invalid, field.to_owned()), "{value:?}");
    }
    let options = format!("from=\"10.0.0.1\" {}", public_key("ed25519.pub"));
    let error = fixture.ask(&with(save(), "key", options)).unwrap_err();
    assert!(error.text.contains("by its fields instead"), "{error:?}");
    let revoke = json!({"v": 1, "verb": "key.revoke", "account": "acme", "by": "x",
        "fingerprint": "nightly"});
    assert_eq!(fixture.refusal(&revoke), (ErrorCode::Invalid, "fingerprint".into()));
    let add = json!({"v": 1, "verb": "account.add", "id": "beta", "by": "x"});
    for (field, value) in [
        ("id", json!("0")),
        ("contact", json!("ops")),
        ("contact", json!("a@b.example\nBcc: c@d.example")),
        ("domains", json!(["example.com", "@"])),
        ("domains", json!(vec!["example.com"; 101])),
    ] {
        let refusal = fixture.refusal(&with(add.clone(), field, value));
        assert_eq!(refusal, (ErrorCode::Invalid, field.to_owned()));
    }
    assert_eq!(fixture.refusal(&add), (ErrorCode::Invalid, "contact".into()));
}

#[test]
fn unknown_accounts_and_keys_are_not_found() {
    let fixture = Fixture::new();
    let of = |verb: &str| json!({"v": 1, "verb": verb, "id": "beta", "by": "x"});
    assert_eq!(fixture.refusal(&of("account.suspend")).0, ErrorCode::NotFound);
    assert_eq!(fixture.refusal(&of("account.resume")).0, ErrorCode::NotFound);
    assert_eq!(fixture.refusal(&with(save(), "account", "beta")).0, ErrorCode::NotFound);
    let revoke = |account: &str| {
        json!({"v": 1, "verb": "key.revoke", "account": account, "by": "x",
            "fingerprint": "SHA256:7"})
    };
    let not_found = |field: &str| (ErrorCode::NotFound, field.to_owned());
    assert_eq!(fixture.refusal(&revoke("beta")), not_found("account"));
    assert_eq!(fixture.refusal(&revoke("acme")), not_found("fingerprint"));
}

#[test]
fn accounts_that_are_being_removed_stay_closed() {
    let fixture = Fixture::new();
    let id = "acme".parse().unwrap();
    let removing = AccountState::Removing;
    fixture
        .registry
        .write(|tx| registry::accounts::set_state(tx, Timestamp::now(), &id, removing))
        .unwrap();
    for request in [
        json!({"v": 1, "verb": "account.suspend", "id": "acme", "by": "x"}),
        json!({"v": 1, "verb": "account.resume", "id": "acme", "by": "x"}),
        save(),
    ] {
        assert_eq!(fixture.refusal(&request).0, ErrorCode::Conflict);
    }
    assert_eq!(
        fixture.registry.read(|tx| registry::accounts::get(tx, &id)).unwrap().unwrap().state,
        removing
    );
}

#[test]
fn the_configuration_can_forbid_changes() {
    let mut fixture = Fixture::new();
    let state = |verb: &str| json!({"v": 1, "verb": verb, "id": "acme", "by": "x"});
    fixture.config.web.keys = KeyPolicy::Root;
    fixture.config.web.accounts = AccountPolicy::Root;
    let add = json!({"v": 1, "verb": "account.add", "id": "beta", "by": "x",
        "contact": "ops@beta.example"});
    for request in [save(), add, state("account.suspend"), state("account.resume")] {
        assert_eq!(fixture.refusal(&request).0, ErrorCode::Forbidden, "{request}");
    }
    // A key can always be revoked, even if the configuration forbids all other changes.
    fixture.approve(1);
    let revoke = json!({"v": 1, "verb": "key.revoke", "account": "acme", "by": "ops@acme.example",
        "fingerprint": "SHA256:0"});
    for before in [false, true] {
        let Change::RevokedKey(revoked) = fixture.ask(&revoke).unwrap() else { panic!() };
        assert_eq!(revoked.before, before);
    }
    let by: String = fixture
        .registry
        .read(|tx| {
            Ok::<_, registry::Error>(tx.query_row(
                "SELECT revoked_by FROM approved",
                [],
                |row| row.get(0),
            )?)
        })
        .unwrap();
    assert_eq!(by, "admin: ops@acme.example");

    fixture.config.web.keys = KeyPolicy::Signed;
    assert_eq!(fixture.refusal(&save()).0, ErrorCode::Forbidden);
    for until in ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
        let signature = json!({"text": "x", "until": until});
        let refusal = fixture.refusal(&with(save(), "signature", signature));
        assert_eq!(refusal.0, ErrorCode::Forbidden);
    }
    let signature = json!({"text": "x", "until": "today"});
    let refusal = fixture.refusal(&with(save(), "signature", signature));
    assert_eq!(refusal, (ErrorCode::Invalid, "signature".into()));
}

#[test]
fn an_account_has_at_most_50_keys() {
    let fixture = Fixture::new();
    fixture.approve(50);
    let error = fixture.ask(&save()).unwrap_err();
    assert_eq!((error.code, error.after), (ErrorCode::TooMany, None), "{error:?}");
    let taken = fixture.refusal(&with(save(), "name", "key 7"));
    assert_eq!(taken, (ErrorCode::Conflict, "name".into()));
}

/// Each request uses a new connection to the registry, as a new process would.
#[test]
fn suspensions_are_limited_to_20_an_hour() {
    let fixture = Fixture::new();
    let suspend = json!({"v": 1, "verb": "account.suspend", "id": "acme", "by": "x"});
    let resume = json!({"v": 1, "verb": "account.resume", "id": "acme", "by": "x"});
    for _ in 0..20 {
        assert!(matches!(fixture.ask(&suspend), Ok(Change::SuspendedAccount(_))));
        assert!(matches!(fixture.ask(&resume), Ok(Change::Account(_))));
    }
    let error = fixture.ask(&suspend).unwrap_err();
    assert_eq!(error.code, ErrorCode::TooMany);
    assert!(error.after.is_some_and(|after| (3000..=3600).contains(&after)), "{error:?}");
    assert_eq!(code(fixture.ask(&resume)), ErrorCode::TooMany);
    let id = "acme".parse().unwrap();
    let account = fixture.registry.read(|tx| registry::accounts::get(tx, &id)).unwrap().unwrap();
    assert_eq!(account.state, AccountState::Active, "a refused request changes nothing");
}

#[test]
fn a_change_without_a_state_database_is_reported() {
    let fixture = Fixture::new();
    fixture.approve(1);
    std::fs::remove_dir_all(&fixture.config.paths.state).unwrap();
    let error = fixture
        .ask(&json!({"v": 1, "verb": "key.revoke", "account": "acme", "by": "x",
            "fingerprint": "SHA256:0"}))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Failed);
    assert!(error.text.starts_with("the change is in force"), "{error:?}");
    let id = "acme".parse().unwrap();
    let keys = fixture.registry.read(|tx| registry::keys::list(tx, Some(&id), false)).unwrap();
    assert!(keys.is_empty());
}
