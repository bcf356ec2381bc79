//! Tests of the permissions of the registry's file, of its creation, and of its copy in backups.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use jiff::Timestamp;
use rusqlite::Connection;

use super::database::{VERSION, path};
use super::*;
use crate::account_state::AccountState;

const AT: Timestamp = Timestamp::UNIX_EPOCH;

fn create(admin: &Path) -> Registry {
    Registry::create(admin, "root", fill).unwrap()
}

fn account(id: &str, uid: Option<u32>) -> Account {
    Account { id: id.parse().unwrap(), uid, state: AccountState::Active }
}

fn key(account: &str, name: &str) -> ApprovedKey {
    ApprovedKey {
        account: account.parse().unwrap(),
        name: name.into(),
        algorithm: "ssh-ed25519".into(),
        public_key: "AAAA".into(),
        fingerprint: format!("SHA256:{name}"),
        from: None,
        expires_at: None,
        approved_at: AT,
        revoked_at: None,
    }
}

fn fill(tx: &RegistryTransaction<'_>) -> Result<()> {
    assert!(accounts::add(tx, AT, &account("acme", Some(70_000)))?);
    keys::add(tx, &key("acme", "laptop"))?;
    keys::add(tx, &ApprovedKey { revoked_at: Some(AT), ..key("acme", "old") })
}

#[test]
fn only_a_private_registry_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let admin = folder.path().join("admin");
    assert!(matches!(Registry::open(&admin, "root"), Err(Error::Missing(_))));
    drop(create(&admin));
    let database = path(&admin);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&admin), mode(&database)), (0o700, 0o600));
    for (path, wrong, right) in [(&admin, 0o750, 0o700), (&database, 0o640, 0o600)] {
        fs::set_permissions(path, Permissions::from_mode(wrong)).unwrap();
        let error = Registry::open(&admin, "root").unwrap_err().to_string();
        assert!(
            error.contains("so others can use it; fix: chmod 0")
                && error.contains(&*path.to_string_lossy())
        );
        fs::set_permissions(path, Permissions::from_mode(right)).unwrap();
        Registry::open(&admin, "root").unwrap();
    }
    if nix::unistd::geteuid().is_root() {
        for path in [&admin, &database] {
            chown(path, Some(1), None).unwrap();
            assert!(matches!(Registry::open(&admin, "root"), Err(Error::NotPrivate(_))));
            chown(path, Some(0), None).unwrap();
        }
    }
    let elsewhere = folder.path().join("elsewhere.db");
    fs::rename(&database, &elsewhere).unwrap();
    symlink(&elsewhere, &database).unwrap();
    assert!(matches!(Registry::open(&admin, "root"), Err(Error::NotAFile(_))));
    // The folder that contains the registry may be a symbolic link.
    fs::remove_file(&database).unwrap();
    fs::rename(&elsewhere, &database).unwrap();
    let link = folder.path().join("link");
    symlink(&admin, &link).unwrap();
    Registry::open(&link, "root").unwrap();
}

#[test]
fn an_unfinished_registry_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let admin = folder.path().join("admin");
    let leftovers = ["registry.db.99999999.new", "registry.db.99999999.new-wal"];
    fs::create_dir(&admin).unwrap();
    fs::set_permissions(&admin, Permissions::from_mode(0o700)).unwrap();
    leftovers.iter().for_each(|name| fs::write(admin.join(name), "").unwrap());
    let failed = Registry::create(&admin, "root", |tx| {
        fill(tx)?;
        Err(Error::Value("x".into()))
    });
    assert!(failed.is_err());
    assert_eq!(fs::read_dir(&admin).unwrap().count(), 0, "no file must remain");
    assert!(matches!(Registry::open(&admin, "root"), Err(Error::Missing(_))));
    drop(create(&admin));
    let other = Registry::create(&admin, "root", |_| Ok::<_, Error>(())).unwrap();
    assert_eq!(other.read(accounts::list).unwrap().len(), 1, "the first registry must stay");
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let admin = folder.path().join("admin");
    let registry = create(&admin);
    registry.connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(registry);
    let error = Registry::open(&admin, "root").unwrap_err();
    assert!(matches!(error, Error::Version { found, .. } if found == VERSION + 1), "{error}");
}

#[test]
fn a_registry_with_schema_1_is_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let admin = folder.path().join("admin");
    let registry = create(&admin);
    let undo = "DROP TABLE limited_change; PRAGMA user_version = 1";
    registry.connection.execute_batch(undo).unwrap();
    drop(registry);
    for _ in 0..2 {
        let registry = Registry::open(&admin, "root").unwrap();
        let acme = "acme".parse().unwrap();
        registry.write(|tx| limited_changes::record(tx, AT, "x", &acme)).unwrap();
        assert_eq!(registry.read(accounts::list).unwrap().len(), 1);
    }
}

#[test]
fn changes_of_the_last_hour_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let registry = create(&folder.path().join("admin"));
    let [acme, other] = ["acme", "other"].map(|id| id.parse().unwrap());
    registry.write(|tx| accounts::add(tx, AT, &account("other", None))).unwrap();
    let record = |second, change, account| {
        let at = Timestamp::from_second(second).unwrap();
        registry.write(|tx| limited_changes::record(tx, at, change, account)).unwrap();
    };
    let wait = |second, account, max| {
        let at = Timestamp::from_second(second).unwrap();
        let wait = registry.read(|tx| limited_changes::wait(tx, at, "x", account, max)).unwrap();
        wait.map(|wait| wait.as_secs())
    };
    // The second row has a later time than the third row, because the request for the second row
    // began later but was recorded earlier.
    record(10_000, "x", &acme);
    record(10_003, "x", &other);
    record(10_002, "x", &acme);
    record(10_002, "y", &acme);
    assert_eq!(
        [1, 2, 3, 4].map(|max| wait(10_002, None, max)),
        [Some(3600), Some(3600), Some(3598), None]
    );
    assert_eq!([1, 2, 3].map(|max| wait(10_010, Some(&acme), max)), [Some(3592), Some(3590), None]);
    assert_eq!(wait(13_599, None, 3), Some(1));
    assert_eq!(wait(13_600, None, 3), None);
    assert_eq!(wait(13_602, None, 1), Some(1));
    // The clock was set back by a day. The older rows, whose times are now in the future, must not
    // block changes for a day.
    assert_eq!(wait(10_000 - 86_400, None, 1), None);
    record(13_602, "x", &acme);
    let rows = "SELECT count(*) FROM limited_change";
    let rows: i64 = registry.connection.query_row(rows, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2, "rows that no longer count are deleted");
    registry.write(|tx| accounts::remove(tx, &acme)).unwrap();
    assert_eq!(wait(13_602, None, 1), Some(1), "the row of the other account stays");
}

#[test]
fn registry_changes_record_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let admin = folder.path().join("admin");
    drop(create(&admin));
    let registry = Registry::open(&admin, "anna").unwrap();
    let acme = "acme".parse().unwrap();
    let now = Timestamp::from_second(60).unwrap();
    registry
        .write(|tx| {
            accounts::set_state(tx, now, &acme, AccountState::Suspended)?;
            keys::revoke(tx, now, &acme, "SHA256:laptop")
        })
        .unwrap();
    let text =
        |sql: &str| -> String { registry.connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(text("SELECT changed_at || changed_by FROM account"), "60000anna");
    let key = "FROM approved WHERE name = 'laptop'";
    assert_eq!(
        text(&format!("SELECT approved_by || revoked_at || revoked_by {key}")),
        "root60000anna"
    );
}

#[test]
fn a_backup_contains_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let registry = create(&folder.path().join("admin"));
    let backup = Connection::open(folder.path().join("backup.db")).unwrap();
    // A user who can write to the state database could have created tables with the names of the
    // registry's tables.
    backup
        .execute_batch("CREATE TABLE registry_account (id); CREATE TABLE registry_approved (x)")
        .unwrap();
    backup::write(Some(&registry), &backup).unwrap();
    assert_eq!(backup::read(&backup).unwrap(), backup::read_registry(&registry).unwrap());
    assert_eq!(backup::read(&backup).unwrap().keys.len(), 2);
    backup::remove(&backup).unwrap();
    let left: i64 =
        backup.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    backup
        .execute_batch("CREATE TABLE registry_account (id); CREATE TABLE registry_approved (x)")
        .unwrap();
    backup::write(None, &backup).unwrap();
    assert!(backup::read(&backup).is_err(), "a file without accounts must be an error");
}
