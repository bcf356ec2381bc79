//! Tests of the package's preinst on a host with an earlier version. That version published the
//! keys in a folder of the daemon's user. preinst must copy the keys before the new helper is
//! unpacked, and must copy nothing else.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};

use crate::support::host::{Host, set_mode, shipped, text};
use crate::support::process::{Ran, run};

fn helpers_group() -> u32 {
    Group::from_name("_sftp-import-keys").unwrap().unwrap().gid.as_raw()
}

fn daemon() -> u32 {
    User::from_name("sftp-import").unwrap().unwrap().uid.as_raw()
}

/// A host whose published keys are in the folder of an earlier version.
struct OldHost<'h> {
    host: &'h Host,
    published: PathBuf,
    /// A copy of the published keys.
    good: PathBuf,
}

impl<'h> OldHost<'h> {
    fn new(host: &'h Host) -> Self {
        let (published, good) = (host.state().join("published"), host.root.join("good.db"));
        fs::rename(host.keys_db(), &good).unwrap();
        let line = format!("d {} 0750 sftp-import _sftp-import-keys\n", published.display());
        fs::write(host.root.join("old-tmpfiles.conf"), line).unwrap();
        let old = Self { host, published, good };
        old.reset();
        old
    }

    /// Creates the previous folder with the keys, and removes the new folder.
    fn reset(&self) {
        for folder in [&self.published, &self.host.keys()] {
            let _ = fs::remove_file(folder); // a link
            let _ = fs::remove_dir_all(folder);
        }
        fs::create_dir(&self.published).unwrap();
        set_mode(&self.published, 0o750);
        chown(&self.published, Some(daemon()), Some(helpers_group())).unwrap();
        let keys = self.published.join("keys.db");
        fs::copy(&self.good, &keys).unwrap();
        set_mode(&keys, 0o640);
        chown(&keys, Some(0), Some(helpers_group())).unwrap();
    }

    fn preinst(&self, arguments: &[&str]) -> Ran {
        let root = &self.host.root;
        let script = shipped("packaging/debian/preinst", root)
            .replace("/usr/lib/tmpfiles.d/sftp-import.conf", text(&root.join("old-tmpfiles.conf")))
            .replace("/etc/ssh/sshd_config.d/", &format!("{}/ssh/", root.display()));
        let path = root.join("preinst");
        fs::write(&path, script).unwrap();
        run("sh", &[&[text(&path)][..], arguments].concat())
    }

    fn upgrade(&self) -> Ran {
        self.preinst(&["upgrade", "0.1.0-1", "0.2.0-1"])
    }
}

#[test]
fn accounts_can_log_in_right_after_an_upgrade() {
    let host = Host::new("");
    let account = host.account("e2e-upgrade");
    let old = OldHost::new(&host);
    assert!(!account.can_log_in(), "the new helper must have no keys yet");
    old.upgrade().ok();
    assert!(account.can_log_in());
    for (path, mode) in [(host.keys(), 0o750), (host.keys_db(), 0o640)] {
        let found = fs::metadata(&path).unwrap();
        let found = (found.uid(), found.gid(), found.mode() & 0o7777);
        assert_eq!(found, (0, helpers_group(), mode), "{}", path.display());
    }
    let names = || -> Vec<_> {
        fs::read_dir(host.keys()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!(names(), ["keys.db"]);

    // A repeated upgrade after an interruption must copy the keys that were published in the
    // meantime.
    fs::write(host.keys_db(), "old").unwrap();
    old.upgrade().ok();
    assert_eq!(fs::read(host.keys_db()).unwrap(), fs::read(&old.good).unwrap());
    // The next upgrade begins at this version, which has other folders. It must copy nothing.
    fs::write(host.root.join("old-tmpfiles.conf"), shipped(TMPFILES, &host.root)).unwrap();
    fs::write(old.published.join("keys.db"), "put there by the daemon").unwrap();
    old.upgrade().ok();
    assert_eq!(fs::read(host.keys_db()).unwrap(), fs::read(&old.good).unwrap());
}

const TMPFILES: &str = "systemd/tmpfiles.d/sftp-import.conf";

#[test]
fn an_upgrade_copies_only_keys_from_root() {
    type Attack = fn(&OldHost<'_>);
    let host = Host::new("");
    host.account("e2e-attack");
    let old = OldHost::new(&host);
    let secret = host.root.join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("keys.db"), "root's secret").unwrap();
    let attacks: [(&str, Attack); 7] = [
        ("a link", |old| {
            fs::remove_file(old.published.join("keys.db")).unwrap();
            symlink(old.host.root.join("secret/keys.db"), old.published.join("keys.db")).unwrap();
        }),
        ("a folder that is a link", |old| {
            fs::remove_dir_all(&old.published).unwrap();
            symlink(old.host.root.join("secret"), &old.published).unwrap();
        }),
        ("a second name of a file of root's", |old| {
            fs::remove_file(old.published.join("keys.db")).unwrap();
            let secret = old.host.root.join("secret/keys.db");
            fs::hard_link(secret, old.published.join("keys.db")).unwrap();
        }),
        ("a file of the daemon's", |old| {
            chown(old.published.join("keys.db"), Some(daemon()), None).unwrap();
        }),
        ("a file that others can write", |old| set_mode(&old.published.join("keys.db"), 0o660)),
        ("a FIFO", |old| {
            let path = old.published.join("keys.db");
            fs::remove_file(&path).unwrap();
            run("mkfifo", &[text(&path)]).ok();
        }),
        ("a folder", |old| {
            let path = old.published.join("keys.db");
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }),
    ];
    for (what, attack) in attacks {
        old.reset();
        attack(&old);
        let ran = old.upgrade().ok();
        assert!(ran.stderr.contains("were not copied"), "{what}: {ran:#?}");
        assert_eq!(fs::read_dir(host.keys()).unwrap().count(), 0, "{what}");
        // An earlier copy of the keys must stay.
        fs::write(host.keys_db(), "copied before").unwrap();
        old.upgrade().ok();
        assert_eq!(fs::read(host.keys_db()).unwrap(), b"copied before", "{what}");
    }
}

/// If an administrator's drop-in names the previous folder, the upgrade would lock out all
/// accounts.
#[test]
fn upgrade_is_refused_while_sshd_uses_old_folder() {
    let host = Host::new("");
    let account = host.account("e2e-named");
    let old = OldHost::new(&host);
    let elsewhere = host.root.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(&old.published, elsewhere.join("published")).unwrap();
    let drop_in = host.root.join("ssh/50-sftp-import.conf");
    let new = fs::read_to_string(&drop_in).unwrap();
    let named = elsewhere.join("published/keys.db");
    fs::write(&drop_in, new.replace(text(&host.keys_db()), text(&named))).unwrap();
    let ran = old.upgrade();
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains(&format!("names {}", named.display())), "{ran:#?}");

    // The error message contains this command.
    fs::write(&drop_in, new).unwrap();
    host.reload_sshd();
    assert!(account.can_log_in(), "the copied keys must work");
    old.upgrade().ok();
    assert!(account.can_log_in());
}

#[test]
fn a_first_installation_leaves_the_keys_folder_unchanged() {
    let host = Host::new("");
    let old = OldHost { host: &host, published: host.state(), good: host.root.clone() };
    let before = fs::metadata(host.keys()).unwrap();
    let ran: [Ran; 2] =
        [&["install"][..], &["abort-upgrade", "0.1.0-1"]].map(|a| old.preinst(a).ok());
    assert!(ran.iter().all(|ran| ran.stderr.is_empty()), "{ran:#?}");
    let after = fs::metadata(host.keys()).unwrap();
    assert_eq!((before.ctime(), before.ctime_nsec()), (after.ctime(), after.ctime_nsec()));
}

/// `preinst` recognizes an earlier version because the tmpfiles.d file of that version lists this
/// folder. The present tmpfiles.d file must not list it.
#[test]
fn the_previous_keys_folder_is_not_created() {
    let read = |file: &str| {
        fs::read_to_string(Path::new(crate::support::host::REPOSITORY).join(file)).unwrap()
    };
    let preinst = read("packaging/debian/preinst");
    let old = preinst.lines().find_map(|line| line.strip_prefix("published=")).unwrap();
    assert!(!read(TMPFILES).contains(old), "{old}");
}
