//! Tests that nobody can log in because of rows that the daemon's user writes into the state
//! database.

use std::path::Path;

use jiff::Timestamp;

use super::limits::LimitedChange;
use super::take_over::decide;
use super::*;
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::config::Config;
use crate::key::{KeyRestrictions, NewKey, PublicKey};
use crate::registry::backup::AccountsAndKeys;
use crate::registry::{self, Account, ApprovedKey};
use crate::state::{State, accounts, keys};

struct Fixture {
    _folder: tempfile::TempDir,
    config: Config,
    registry: Registry,
    state: State,
    now: Timestamp,
}

fn acme() -> AccountId {
    "acme".parse().unwrap()
}

fn public_key() -> PublicKey {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/ed25519.pub");
    PublicKey::from_file(&std::fs::read(file).unwrap()).unwrap()
}

fn approved(name: &str) -> ApprovedKey {
    let key = public_key();
    ApprovedKey {
        account: acme(),
        name: name.into(),
        algorithm: key.algorithm().into(),
        public_key: key.base64().into(),
        fingerprint: key.fingerprint(),
        from: None,
        expires_at: None,
        approved_at: Timestamp::UNIX_EPOCH,
        revoked_at: None,
    }
}

fn account(id: &str, uid: u32) -> Account {
    Account { id: id.parse().unwrap(), uid: Some(uid), state: AccountState::Active }
}

impl Fixture {
    /// Creates an account with a key in both databases.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.state = folder.path().join("state");
        config.paths.admin = folder.path().join("admin");
        config.paths.keys = folder.path().join("keys");
        std::fs::create_dir(&config.paths.state).unwrap();
        let state = State::open(&config.paths.state_db()).unwrap();
        let registry = open_or_create_registry(&config, &state, "root").unwrap();
        let fixture = Self { _folder: folder, config, registry, state, now: Timestamp::now() };
        fixture.approve(&account("acme", 70_000));
        let key = public_key();
        let restrictions = KeyRestrictions::default();
        let new = NewKey { name: "laptop", key: &key, restrictions, again: false };
        fixture.registry.write(|tx| crate::key::add(tx, fixture.now, &acme(), new)).unwrap();
        assert_eq!(fixture.copy_all().len(), 2);
        assert_eq!(fixture.copy_all(), []);
        fixture
    }

    fn approve(&self, account: &Account) {
        self.registry.write(|tx| registry::accounts::add(tx, self.now, account)).unwrap();
    }

    fn admission(&self) -> Admission<'_> {
        Admission::of_root(&self.config, &self.registry)
    }

    fn copy_all(&self) -> Vec<CopyChange> {
        copy_all(&self.registry, &self.state, self.now).unwrap()
    }

    fn sql(&self, sql: &str) {
        self.state.write(|tx| Ok::<_, crate::state::Error>(tx.execute_batch(sql)?)).unwrap();
    }

    /// Runs `sql` and updates the copy of the registry. Returns the changes, each as one log line.
    /// Fails if a second update changes anything.
    fn fix_after(&self, sql: &str) -> String {
        self.sql(sql);
        let changes = self.copy_all();
        assert_eq!(self.copy_all(), [], "{changes:?}");
        changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn differences_from_the_registry_are_fixed_and_logged() {
    let fixture = Fixture::new();
    for (sql, expected) in [
        (
            "UPDATE account SET state = 'suspended'",
            "the state of account acme is corrected to active",
        ),
        ("UPDATE account SET uid = 1000", "the Unix user id of account acme is corrected to 70000"),
        ("UPDATE account SET uid = NULL", "the Unix user id of account acme is corrected to 70000"),
        (
            "UPDATE key SET from_hosts = '10.0.0.0/8'",
            "acme is changed, because root has not approved it in this form",
        ),
        (
            "UPDATE key SET expires_at = 5 WHERE revoked_at IS NULL",
            "acme is changed, because root has not approved it in this form",
        ),
        ("UPDATE key SET name = 'x' WHERE revoked_at IS NULL", "key \"x\" SHA256:"),
        (
            "UPDATE key SET revoked_at = 5 WHERE revoked_at IS NULL",
            "is added, because it was missing",
        ),
        ("DELETE FROM key", "is added, because it was missing"),
        ("DELETE FROM account", "account acme is added, because it was missing"),
        (
            "INSERT INTO key (account, name, algorithm, public_key, fingerprint, created_at)
             VALUES ('acme', 'mine', 'ssh-ed25519', 'AAAA', 'SHA256:x', 0)",
            "key \"mine\" SHA256:x of account acme is revoked",
        ),
        (
            "INSERT INTO account (id, uid, state, created_at) VALUES ('root', 0, 'active', 0)",
            "account root is suspended, because root has not approved it",
        ),
        // The state database gives another account the Unix user id of acme.
        (
            "UPDATE account SET uid = NULL; UPDATE account SET uid = 70000 WHERE id = 'root'",
            "the Unix user id of account acme is corrected to 70000",
        ),
    ] {
        let report = fixture.fix_after(sql);
        assert!(report.contains(expected), "{sql}: {report}");
    }
    let valid = fixture.state.read(|tx| keys::list(tx, None, false)).unwrap();
    assert_eq!(valid.len(), 1);
    assert_eq!(valid[0].fingerprint, public_key().fingerprint());
    let rows = fixture.state.read(accounts::list).unwrap();
    assert_eq!(rows.len(), 2, "no row must be deleted");
}

#[test]
fn keys_in_the_state_database_are_not_published() {
    let fixture = Fixture::new();
    fixture.sql(
        "INSERT INTO account (id, uid, state, created_at) VALUES ('beta', 70001, 'active', 0);
         INSERT INTO key (account, name, algorithm, public_key, fingerprint, created_at)
         VALUES ('beta', 'mine', 'ssh-ed25519', 'AAAA', 'SHA256:x', 0)",
    );
    let publish = || crate::key::publish(&fixture.registry, &fixture.config, fixture.now).unwrap();
    assert_eq!(publish(), 1);
    fixture.admission().set_state(fixture.now, &acme(), AccountState::Suspended).unwrap();
    fixture.sql("UPDATE account SET state = 'active'");
    assert_eq!(publish(), 0, "a suspended account must stay suspended");
    fixture.admission().set_state(fixture.now, &acme(), AccountState::Active).unwrap();
    fixture.admission().revoke_key(fixture.now, &acme(), "laptop").unwrap();
    fixture.sql("UPDATE key SET revoked_at = NULL");
    assert_eq!(publish(), 0, "a revoked key must stay revoked");
}

/// The daemon's user can lock the state database and never unlock it.
#[test]
fn a_key_is_revoked_without_the_state_database() {
    let fixture = Fixture::new();
    fixture
        .state
        .write(|_| {
            fixture.admission().revoke_key(fixture.now, &acme(), "laptop").unwrap();
            fixture.admission().set_state(fixture.now, &acme(), AccountState::Suspended)
        })
        .unwrap();
    let diff =
        crate::key::compare_published(&fixture.registry, &fixture.config, fixture.now).unwrap();
    assert_eq!(diff, crate::key::PublishedDiff::default());
    assert_eq!(fixture.copy_all().len(), 2);
}

#[test]
fn only_a_new_host_gets_an_empty_registry() {
    let fixture = Fixture::new();
    std::fs::remove_dir_all(&fixture.config.paths.admin).unwrap();
    let begin = || open_or_create_registry(&fixture.config, &fixture.state, "root");
    assert!(matches!(begin(), Err(AdmissionError::Registry(registry::Error::Missing(_)))));
    crate::key::publish(&fixture.registry, &fixture.config, fixture.now).unwrap();
    fixture.sql("DELETE FROM account");
    assert!(begin().is_err(), "a key is published");
    std::fs::remove_file(fixture.config.paths.keys_db()).unwrap();
    begin().unwrap();
}

#[test]
fn takeover_accepts_only_valid_accounts_and_keys() {
    let uids = 70_000..=70_009;
    let known = AccountsAndKeys {
        accounts: vec![account("acme", 70_000)],
        keys: vec![ApprovedKey { revoked_at: Some(Timestamp::UNIX_EPOCH), ..approved("laptop") }],
        unreadable: 0,
    };
    let decide_on = |accounts: Vec<Account>, keys: Vec<ApprovedKey>, known: &AccountsAndKeys| {
        decide(AccountsAndKeys { accounts, keys, unreadable: 0 }, known, &uids)
    };
    let accounts = vec![
        Account { state: AccountState::Suspended, ..account("acme", 70_005) },
        account("beta", 70_001),
        account("root", 0),
        account("ops", 70_010),
        account("twin", 70_001),
        account("thief", 70_000),
        Account { uid: None, ..account("new", 0) },
    ];
    let take_over = decide_on(accounts, vec![approved("laptop")], &known);
    let names: Vec<_> = take_over.accounts.iter().map(|account| account.id.as_str()).collect();
    assert_eq!(names, ["beta", "new"]);
    assert!(take_over.keys.is_empty(), "revoked keys must stay revoked");
    let refused: Vec<String> = take_over
        .refused
        .iter()
        .map(|refused| format!("{}: {}", refused.what, refused.why))
        .collect();
    assert_eq!(refused.len(), 5, "{refused:?}");
    assert!(refused[0].starts_with("account root: the account's Unix user id 0 is outside"));
    assert!(refused[4].contains("was revoked at 1970-01-01"), "{refused:?}");

    let empty = AccountsAndKeys::default();
    let of_key = |key: ApprovedKey| decide_on(vec![account("acme", 70_000)], vec![key], &empty);
    assert_eq!(of_key(approved("laptop")).keys.len(), 1);
    let revoked = ApprovedKey { revoked_at: Some(Timestamp::now()), ..approved("laptop") };
    let take_over = decide_on(vec![account("acme", 70_000)], vec![revoked.clone()], &empty);
    assert_eq!((take_over.keys.len(), take_over.valid_keys().count()), (1, 0));
    // The key was revoked and added again. The revoked row and the new row are both copied into the
    // registry.
    let take_over =
        decide_on(vec![account("acme", 70_000)], vec![revoked, approved("laptop")], &empty);
    assert_eq!((take_over.keys.len(), take_over.valid_keys().count()), (2, 1));
    for unsound in [
        ApprovedKey { from: Some("10.0.0.0/8\" command=\"x".into()), ..approved("laptop") },
        ApprovedKey { public_key: "AAAA".into(), ..approved("laptop") },
        ApprovedKey { fingerprint: "SHA256:x".into(), ..approved("laptop") },
        ApprovedKey { algorithm: "ssh-rsa".into(), ..approved("laptop") },
        ApprovedKey { name: "a\nb".into(), ..approved("laptop") },
    ] {
        let take_over = of_key(unsound.clone());
        assert!(take_over.keys.is_empty() && take_over.refused.len() == 1, "{unsound:?}");
    }
    let twice = decide_on(
        vec![account("acme", 70_000)],
        vec![approved("laptop"), approved("laptop")],
        &empty,
    );
    assert_eq!((twice.keys.len(), twice.refused.len()), (1, 1));
}

#[test]
fn keys_from_a_takeover_are_published() {
    let fixture = Fixture::new();
    let claims = fixture
        .state
        .read(|tx| Ok::<_, AdmissionError>(registry::backup::read_state(tx)?))
        .unwrap();
    std::fs::remove_dir_all(&fixture.config.paths.admin).unwrap();
    let take_over = decide(claims, &AccountsAndKeys::default(), &fixture.config.accounts.uids());
    let registry = take_over.accept(None, &fixture.config, "root", fixture.now).unwrap();
    assert_eq!(crate::key::publish(&registry, &fixture.config, fixture.now).unwrap(), 1);
    assert_eq!(compare_copy(&registry, &fixture.state).unwrap(), []);
}

#[test]
fn the_console_saves_a_limited_number_of_keys() {
    let fixture = Fixture::new();
    let ids = (0..12).map(|n| format!("a{n}").parse().unwrap()).collect::<Vec<AccountId>>();
    for id in &ids {
        fixture.approve(&Account { id: id.clone(), uid: None, state: AccountState::Active });
    }
    let save = |id: &AccountId| {
        fixture.registry.write(|tx| LimitedChange::SaveKey.count(tx, fixture.now, id))
    };
    for id in &ids[..10] {
        for _ in 0..10 {
            save(id).unwrap();
        }
    }
    let limit = |result| match result {
        Err(AdmissionError::HourlyLimit { max, wait, .. }) => (max, wait.as_secs()),
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(save(&ids[0])), (10, 3600));
    assert_eq!(limit(save(&ids[10])), (100, 3600));
    let later = fixture.now + std::time::Duration::from_secs(3600);
    fixture.registry.write(|tx| LimitedChange::SaveKey.count(tx, later, &ids[0])).unwrap();
}
