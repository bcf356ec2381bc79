//! Tests of parsing key files, and of adding, publishing and revoking keys.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::parse::KeyFileError;
use super::*;
use crate::authorized_keys::lookup;
use crate::config::{Accounts, Config};
use crate::registry::{self, Account, Registry};
use crate::sanitize::chain;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)).unwrap()
}

fn key(name: &str) -> PublicKey {
    PublicKey::from_file(&fixture(name)).unwrap()
}

fn parse_error(content: impl AsRef<[u8]>) -> KeyFileError {
    PublicKey::from_file(content.as_ref()).unwrap_err()
}

/// The command `ssh-keygen -l` printed the expected fingerprints.
#[test]
fn accepts_every_key_type_that_sshd_accepts() {
    for (file, algorithm, fingerprint) in [
        ("ed25519", "ssh-ed25519", "1SsfinJnb52hiy2PcTGPEdWqfnOF5nKrm86FP9kyl8c"),
        ("ecdsa-256", "ecdsa-sha2-nistp256", "mdyYnN225agMSm1xtfNIPoozuUccMXdqWHXZaL2e1ok"),
        ("ecdsa-384", "ecdsa-sha2-nistp384", "Cto204S2T1LFDgJ1GEKIcR4dgf2znHYrKZuQx3ePWCw"),
        ("ecdsa-521", "ecdsa-sha2-nistp521", "/Fa7jcdxZM+jdHXVoE3A05FFiR1Pp73TXEi9clxFVXE"),
        ("rsa-3072", "ssh-rsa", "AQ+fKI6Dxc1MU5TvDlszg6AxFyAg+W87ovQmCtLUad4"),
        ("rsa-4096", "ssh-rsa", "LWpoO0WdN44H+6afo3qeRAK3z3Y0hx21DQmSCi+54WU"),
        ("sk-ed25519", "sk-ssh-ed25519@openssh.com", "YLP/uQhZlvKtJJK/W5o5WxTpbQWBsXESv+AphE7vcRw"),
        (
            "sk-ecdsa",
            "sk-ecdsa-sha2-nistp256@openssh.com",
            "23EckqJeUs1QRsyhhg+ErztQK3ydvZssIOSkGltIpq8",
        ),
    ] {
        let key = key(&format!("{file}.pub"));
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.fingerprint(), format!("SHA256:{fingerprint}"));
        let text = String::from_utf8(fixture(&format!("{file}.pub"))).unwrap();
        assert_eq!(text.split(' ').nth(1), Some(key.base64()), "{file}");
    }
}

#[test]
fn accepts_keys_with_extra_lines_and_comments() {
    let plain = String::from_utf8(fixture("ed25519.pub")).unwrap();
    let (algorithm, rest) = plain.trim().split_once(' ').unwrap();
    let base64 = rest.split(' ').next().unwrap();
    for text in [
        format!("\u{feff}{plain}"),
        plain.replace('\n', "\r\n"),
        format!("# our key\n\n  {plain}\n\n"),
        format!("{algorithm}\t{base64}"),
        format!("{algorithm} {base64} a comment ssh of several words"),
    ] {
        assert_eq!(PublicKey::from_file(text.as_bytes()), Ok(key("ed25519.pub")), "{text:?}");
    }
}

#[test]
fn names_the_format_of_refused_key_files() {
    let header = |kind: &str| format!("-----BEGIN {kind}PRIVATE KEY-----\nAAAA\n");
    for kind in ["", "OPENSSH ", "RSA ", "EC ", "ENCRYPTED "] {
        assert_eq!(parse_error(header(kind)), KeyFileError::Private);
    }
    assert_eq!(parse_error("PuTTY-User-Key-File-3: ssh-ed25519\n"), KeyFileError::Private);
    for (file, name) in
        [("ed25519.rfc4716", "RFC4716"), ("rsa-3072.pem", "PEM"), ("rsa-3072.pkcs8", "PKCS8")]
    {
        let error = parse_error(fixture(file));
        assert!(
            matches!(error, KeyFileError::Format { convert, .. } if convert == name),
            "{error:?}"
        );
        assert!(error.hint().unwrap().contains(&format!("-m {name} ")));
    }
    assert_eq!(parse_error("s\0s\0h\0-\0\u{1}\u{80}".as_bytes()), KeyFileError::Unknown);
    assert_eq!(parse_error(b"\xff\xfes\0s\0h\0"), KeyFileError::Encoding);
    assert_eq!(parse_error(vec![b'a'; parse::MAX_FILE + 1]), KeyFileError::TooLong);
    assert_eq!(parse_error("# nothing\n \n"), KeyFileError::Empty);
}

#[test]
fn refuses_weak_and_unsupported_keys() {
    assert_eq!(parse_error(fixture("rsa-2048.pub")), KeyFileError::RsaBits(2048));
    assert_eq!(parse_error(fixture("dsa.pub")), KeyFileError::Dsa);
    assert_eq!(parse_error(fixture("certificate.pub")), KeyFileError::Certificate);
    assert_eq!(parse_error("ssh-quantum AAAA"), KeyFileError::Unknown);
    assert_eq!(parse_error("hello"), KeyFileError::Unknown);
}

#[test]
fn refuses_key_files_with_options_or_several_keys() {
    let plain = String::from_utf8(fixture("ed25519.pub")).unwrap();
    let other = String::from_utf8(fixture("ecdsa-256.pub")).unwrap();
    for options in ["restrict", "command=\"sh\"", "from=\"a b\"", "cert-authority"] {
        assert_eq!(parse_error(format!("{options} {plain}")), KeyFileError::Options);
    }
    assert_eq!(parse_error(format!("{plain}{other}")), KeyFileError::Several);
    assert_eq!(parse_error(format!("{plain}restrict {other}")), KeyFileError::Several);
    let (head, tail) = plain.split_at(40);
    assert_eq!(parse_error(format!("{head}\n{tail}")), KeyFileError::Broken);
}

/// The test cuts the key at every position and changes every byte. Each result must be refused or
/// be another key, and nothing may panic.
#[test]
fn refuses_damaged_keys() {
    let plain = String::from_utf8(fixture("ecdsa-256.pub")).unwrap();
    let whole = key("ecdsa-256.pub");
    let end = plain.rfind(' ').unwrap();
    for length in 20..end {
        assert!(PublicKey::from_file(&plain.as_bytes()[..length]).is_err(), "{length}");
    }
    for position in 0..end {
        let mut bytes = plain.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        if let Ok(key) = PublicKey::from_file(&bytes) {
            assert_ne!(key.fingerprint(), whole.fingerprint(), "{position}");
        }
    }
    assert_eq!(parse_error("ssh-ed25519"), KeyFileError::Damaged("ssh-ed25519"));
    // The algorithm in front of the key differs from the algorithm of the key.
    let swapped = plain.replacen("ecdsa-sha2-nistp256", "ssh-ed25519", 1);
    assert_eq!(parse_error(swapped), KeyFileError::Damaged("ssh-ed25519"));
}

struct Fixture {
    folder: tempfile::TempDir,
    config: Config,
    registry: Registry,
    acme: AccountId,
    now: Timestamp,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.state = folder.path().to_owned();
        config.paths.admin = folder.path().join("admin");
        config.paths.keys = folder.path().join("keys");
        let registry = begin(&config.paths.admin);
        let (acme, now): (AccountId, _) = ("acme".parse().unwrap(), Timestamp::now());
        let uid = Some(config.accounts.first_uid);
        let account = Account { id: acme.clone(), uid, state: AccountState::Active };
        assert!(registry.write(|tx| accounts::add(tx, now, &account)).unwrap());
        Self { folder, config, registry, acme, now }
    }

    fn add(
        &self,
        name: &str,
        key: &PublicKey,
        restrictions: KeyRestrictions,
    ) -> Result<(), KeyError> {
        self.try_add(&self.registry, NewKey { name, key, restrictions, again: false })
    }

    fn add_again(&self, name: &str, key: &PublicKey) -> Result<(), KeyError> {
        let new = NewKey { name, key, restrictions: KeyRestrictions::default(), again: true };
        self.try_add(&self.registry, new)
    }

    fn try_add(&self, registry: &Registry, new: NewKey<'_>) -> Result<(), KeyError> {
        registry.write(|tx| add(tx, self.now, &self.acme, new))
    }

    fn revoke(&self, name: &str) -> Revocation {
        self.registry.write(|tx| revoke(tx, self.now, &self.acme, name)).unwrap()
    }

    fn publish(&self) -> u64 {
        publish(&self.registry, &self.config, self.now).unwrap()
    }

    fn database(&self) -> std::path::PathBuf {
        self.config.paths.keys_db()
    }

    fn set_uid(&self, uid: u32) {
        self.registry.write(|tx| accounts::set_uid(tx, self.now, &self.acme, uid)).unwrap();
    }

    fn is_published(&self, key: &PublicKey) -> bool {
        let now = self.now.as_second() as u64;
        lookup::find_key(&self.database(), &self.acme, &key.fingerprint(), now).unwrap().is_some()
    }
}

#[test]
fn keys_and_names_are_unique_within_an_account() {
    let fixture = Fixture::new();
    let ed = key("ed25519.pub");
    fixture.add("laptop", &ed, KeyRestrictions::default()).unwrap();
    let error = fixture.add("other", &ed, KeyRestrictions::default()).unwrap_err().to_string();
    assert!(error.contains("\"laptop\""), "{error}");
    let error =
        fixture.add("laptop", &key("rsa-3072.pub"), KeyRestrictions::default()).unwrap_err();
    assert!(matches!(error, KeyError::NameTaken { .. }));
    let revoked = fixture.revoke("laptop");
    assert!(!revoked.was_revoked && revoked.key.revoked_at.is_some());
    // After the revocation, the name and the key can be used again.
    fixture.add_again("laptop", &ed).unwrap();
    assert!(!fixture.revoke(&ed.fingerprint()).was_revoked);
    assert!(fixture.revoke("laptop").was_revoked);
}

#[test]
fn revoked_keys_are_added_only_with_option_again() {
    let fixture = Fixture::new();
    let (ed, rsa) = (key("ed25519.pub"), key("rsa-3072.pub"));
    fixture.add("laptop", &ed, KeyRestrictions::default()).unwrap();
    fixture.revoke("laptop");
    fixture.add("laptop", &rsa, KeyRestrictions::default()).unwrap();
    let error = fixture.add("other", &ed, KeyRestrictions::default()).unwrap_err();
    assert!(matches!(&error, KeyError::RevokedBefore { name, at, .. }
        if name == "laptop" && at.as_millisecond() == fixture.now.as_millisecond()));
    assert!(error.to_string().contains("was revoked at 20"), "{error}");
    fixture.add_again("other", &ed).unwrap();
}

#[test]
fn invalid_key_names_are_refused() {
    let fixture = Fixture::new();
    let ed = key("ed25519.pub");
    let long = "x".repeat(65);
    let unprintable =
        ["a\n", "a\u{1b}[2J", "a\u{202e}b", "a\u{200b}", "a\u{3164}b", "a\u{e0041}", "\u{61c}a"];
    for name in ["", " ", " a", "SHA256:x", &long].into_iter().chain(unprintable) {
        let error = fixture.add(name, &ed, KeyRestrictions::default()).unwrap_err();
        assert!(matches!(error, KeyError::Name(_)), "{name:?}");
    }
    fixture.add(&"é".repeat(64), &ed, KeyRestrictions::default()).unwrap();
}

#[test]
fn only_usable_keys_are_published() {
    let fixture = Fixture::new();
    let [usable, expired, revoked] = ["ed25519.pub", "ecdsa-256.pub", "rsa-3072.pub"].map(key);
    fixture.add("usable", &usable, KeyRestrictions::default()).unwrap();
    let past = KeyRestrictions { expires_at: Some(fixture.now), from: None };
    fixture.add("expired", &expired, past).unwrap();
    fixture.add("revoked", &revoked, KeyRestrictions::default()).unwrap();
    fixture.revoke("revoked");
    assert_eq!(fixture.publish(), 1);
    assert!(fixture.is_published(&usable));
    assert!(!fixture.is_published(&expired) && !fixture.is_published(&revoked));

    for (state, published) in [
        (AccountState::Suspended, false),
        (AccountState::Active, true),
        (AccountState::Removing, false),
    ] {
        let acme = &fixture.acme;
        fixture.registry.write(|tx| accounts::set_state(tx, fixture.now, acme, state)).unwrap();
        fixture.publish();
        assert_eq!(fixture.is_published(&usable), published, "{state}");
    }
    fixture.registry.write(|tx| accounts::remove(tx, &fixture.acme)).unwrap();
    assert_eq!(fixture.publish(), 0);
}

#[test]
fn restrictions_are_published() {
    let fixture = Fixture::new();
    let ed = key("ed25519.pub");
    let expires_at = fixture.now + SignedDuration::from_hours(1);
    let limits =
        KeyRestrictions { from: Some("192.0.2.0/24".into()), expires_at: Some(expires_at) };
    fixture.add("laptop", &ed, limits).unwrap();
    fixture.publish();
    let now = fixture.now.as_second() as u64;
    let found = lookup::find_key(&fixture.database(), &fixture.acme, &ed.fingerprint(), now);
    let found = found.unwrap().unwrap();
    assert_eq!(found.from_hosts.as_deref(), Some("192.0.2.0/24"));
    let written = expires_at.strftime("%Y%m%d%H%M%SZ").to_string();
    assert_eq!(found.expiry_time, Some(written));
}

/// A takeover can add an account whose user id is outside the configured range.
#[test]
fn keys_outside_the_uid_range_are_not_published() {
    let fixture = Fixture::new();
    fixture.add("laptop", &key("ed25519.pub"), KeyRestrictions::default()).unwrap();
    let Accounts { first_uid, last_uid, .. } = fixture.config.accounts;
    for (uid, published) in
        [(0, 0), (1000, 0), (first_uid - 1, 0), (first_uid, 1), (last_uid, 1), (last_uid + 1, 0)]
    {
        fixture.set_uid(uid);
        assert_eq!(fixture.publish(), published, "{uid}");
    }
}

#[test]
fn links_in_the_keys_folder_are_not_followed() {
    let fixture = Fixture::new();
    fixture.publish();
    let (folder, outside) = (&fixture.config.paths.keys, fixture.folder.path());
    fs::write(outside.join("precious"), "x").unwrap();
    symlink(outside.join("precious"), folder.join(".keys.db.new")).unwrap();
    fixture.publish();
    assert_eq!(fs::read(outside.join("precious")).unwrap(), b"x");
    fs::remove_file(folder.join(".lock")).unwrap();
    symlink(outside.join("nologin"), folder.join(".lock")).unwrap();
    assert!(publish(&fixture.registry, &fixture.config, fixture.now).is_err());
    assert!(!outside.join("nologin").exists());
}

#[test]
fn publishing_works_after_a_crash() {
    let fixture = Fixture::new();
    fixture.publish();
    let left = fixture.config.paths.keys.join(".keys.db.new");
    fs::write(&left, "half a file").unwrap();
    fixture.add("laptop", &key("ed25519.pub"), KeyRestrictions::default()).unwrap();
    assert_eq!(fixture.publish(), 1);
    assert!(!left.exists());
    let mode = fs::metadata(fixture.database()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

/// A user who can write to the folder can replace keys.db or hold the lock.
#[test]
fn a_keys_folder_writable_by_others_is_refused() {
    let fixture = Fixture::new();
    fixture.publish();
    let keys = &fixture.config.paths.keys;
    let before = fs::read(fixture.database()).unwrap();
    fixture.add("laptop", &key("ed25519.pub"), KeyRestrictions::default()).unwrap();
    for mode in [0o770, 0o752, 0o1777] {
        fs::set_permissions(keys, Permissions::from_mode(mode)).unwrap();
        let error = publish(&fixture.registry, &fixture.config, fixture.now).unwrap_err();
        let error = chain(&error);
        assert!(error.contains(&format!("`chmod go-w {}`", keys.display())), "{error}");
    }
    fs::set_permissions(keys, Permissions::from_mode(0o750)).unwrap();
    // Only root can change the owner of a file.
    if nix::unistd::geteuid().is_root() {
        chown(keys, Some(65534), None).unwrap();
        let error = publish(&fixture.registry, &fixture.config, fixture.now).unwrap_err();
        let error = chain(&error);
        assert!(error.contains("belongs to user id 65534, not to root"), "{error}");
        assert!(error.contains(&format!("`chown root {}`", keys.display())), "{error}");
        chown(keys, Some(0), None).unwrap();
    }
    assert_eq!(fs::read(fixture.database()).unwrap(), before);
    assert_eq!(fixture.publish(), 1);
}

/// The owner of a folder could create a link at the path that root is about to create.
#[test]
fn no_keys_folder_is_created_in_writable_folders() {
    let mut fixture = Fixture::new();
    let open = fixture.folder.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    fixture.config.paths.keys = open.join("keys");
    assert!(publish(&fixture.registry, &fixture.config, fixture.now).is_err());
    assert!(!open.join("keys").exists());
}

/// The daemon can't read the files in the folder, so it reports the folder's modification time.
#[test]
fn the_folder_time_is_the_last_publication_time() {
    let fixture = Fixture::new();
    fixture.publish();
    let handle = File::open(&fixture.config.paths.keys).unwrap();
    let time = || handle.metadata().unwrap().modified().unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::remove_file(fixture.database()).unwrap();
    fs::create_dir(fixture.database()).unwrap();
    handle.set_modified(long_ago).unwrap();
    assert!(publish(&fixture.registry, &fixture.config, fixture.now).is_err());
    assert_eq!(time(), long_ago, "a failed publication must keep the time");
    fs::remove_dir(fixture.database()).unwrap();
    handle.set_modified(long_ago).unwrap();
    fixture.publish();
    assert!(time() > long_ago);
}

/// When a publisher returns, sshd must use its change, even if other publishers run at the same
/// time.
#[test]
fn concurrent_publishers_keep_every_change() {
    let fixture = Fixture::new();
    let files = ["ed25519.pub", "ecdsa-256.pub", "ecdsa-384.pub", "ecdsa-521.pub"];
    let Fixture { folder, config, acme, now, .. } = fixture;
    std::thread::scope(|scope| {
        for file in files {
            let (config, acme) = (config.clone(), acme.clone());
            scope.spawn(move || {
                let registry = Registry::open(&config.paths.admin, "test").unwrap();
                let key = key(file);
                let is_published = || {
                    let found = lookup::find_key(
                        &config.paths.keys_db(),
                        &acme,
                        &key.fingerprint(),
                        now.as_second() as u64,
                    );
                    found.unwrap().is_some()
                };
                for _ in 0..10 {
                    let restrictions = KeyRestrictions::default();
                    let new = NewKey { name: file, key: &key, restrictions, again: true };
                    registry.write(|tx| add(tx, now, &acme, new)).unwrap();
                    publish(&registry, &config, now).unwrap();
                    assert!(is_published(), "{file} added");
                    registry.write(|tx| revoke(tx, now, &acme, file)).unwrap();
                    publish(&registry, &config, now).unwrap();
                    assert!(!is_published(), "{file} revoked");
                }
            });
        }
    });
    drop(folder);
}

fn begin(admin: &std::path::Path) -> Registry {
    Registry::create(admin, "test", |_| Ok::<_, registry::Error>(())).unwrap()
}
