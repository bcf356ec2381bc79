//! Unix users and groups that the tests create, and the removal of everything that a killed run
//! left.
//!
//! The first host of a process creates the service users from the sysusers file of the package. The
//! last host removes them unless they existed before. The service users belong to the machine.
//! Therefore only one process runs these tests at a time, and other processes wait.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::support::disk::unmount_below;
use crate::support::process::run;

pub const SYSUSERS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/sysusers.d/sftp-import.conf");
/// The beginning of every host's folder, followed by `<process>-<n>`.
pub const ROOT_PREFIX: &str = "/srv/sftp-import-e2e-";
/// A file with the names that the tests have created and must remove, even after a killed run. Each
/// line contains one name.
const MADE: &str = "/run/sftp-import-e2e.made";
/// The path at which a test installs the limits file of the package for pam_limits.
pub const LIMITS_FILE: &str = "/etc/security/limits.d/50-sftp-import-e2e.conf";
/// The path of a lock that a process holds from its first host to its end.
const LOCK: &str = "/run/lock/sftp-import-e2e";
const USERS: [&str; 2] = ["sftp-import", "_sftp-import-keys"];
const GROUP: &str = "sftp-import-accounts";

static HOSTS: Mutex<usize> = Mutex::new(0);
/// useradd and userdel lock /etc/passwd and fail if it is locked. Therefore this process runs only
/// one of them at a time.
static PASSWD: Mutex<()> = Mutex::new(());

/// Keeps the service users. The last value removes them on drop.
#[derive(Debug)]
pub struct ServiceUsers;

impl ServiceUsers {
    pub fn get() -> Self {
        let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
        if *hosts == 0 {
            assert!(nix::unistd::geteuid().is_root(), "the end-to-end tests need root");
            wait_for_other_runs();
            sweep();
            let missing: Vec<_> =
                USERS.into_iter().filter(|name| !exists("passwd", name)).collect();
            let group = (!exists("group", GROUP)).then_some(GROUP);
            let made: Vec<_> = missing.into_iter().chain(group).collect();
            if !made.is_empty() {
                std::fs::write(MADE, made.join("\n")).unwrap();
                run("systemd-sysusers", &[SYSUSERS]).ok();
            }
        }
        *hosts += 1;
        Self
    }
}

impl Drop for ServiceUsers {
    fn drop(&mut self) {
        let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
        *hosts -= 1;
        if *hosts == 0 {
            remove_made();
            let _ = std::fs::remove_dir_all(programs());
        }
    }
}

/// Returns the folder in which this process keeps the built programs for its hosts.
pub fn programs() -> PathBuf {
    format!("{ROOT_PREFIX}{}-programs", std::process::id()).into()
}

/// Runs `work`, which changes /etc/passwd. No other thread of this process changes it at the same
/// time.
pub fn changing_users<T>(work: impl FnOnce() -> T) -> T {
    let _alone = PASSWD.lock().unwrap_or_else(PoisonError::into_inner);
    work()
}

/// Removes the Unix user of an account and the group with the same name, if they exist.
pub fn remove_user(name: &str) {
    changing_users(|| {
        if exists("passwd", name) {
            run("userdel", &["-f", name]);
        }
        if exists("group", name) {
            run("groupdel", &[name]);
        }
    });
}

pub fn exists(database: &str, name: &str) -> bool {
    run("getent", &[database, name]).code == Some(0)
}

fn remove_made() {
    for name in std::fs::read_to_string(MADE).unwrap_or_default().lines() {
        if name == GROUP {
            run("groupdel", &[name]);
        } else {
            remove_user(name);
        }
    }
    let _ = std::fs::remove_file(MADE);
}

fn wait_for_other_runs() {
    static LOCKED: OnceLock<File> = OnceLock::new();
    LOCKED.get_or_init(|| {
        std::fs::create_dir_all("/run/lock").unwrap();
        let file = File::create(LOCK).unwrap();
        file.lock().unwrap();
        file
    });
}

/// Removes the accounts, folders and service users that killed runs left.
fn sweep() {
    let (parent, prefix) = ROOT_PREFIX.rsplit_once('/').unwrap();
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            remove_root(&entry.path());
        }
    }
    let _ = std::fs::remove_file(LIMITS_FILE);
    remove_made();
}

/// Removes the folder of a host, and the Unix users of its accounts.
pub fn remove_root(root: &Path) {
    // The accounts are listed before the disks are unmounted, because a disk of a killed run may
    // contain the accounts' folders.
    let accounts: Vec<_> =
        std::fs::read_dir(root.join("accounts")).into_iter().flatten().flatten().collect();
    unmount_below(root);
    for account in accounts {
        let name = account.file_name().into_string().unwrap_or_default();
        if !name.starts_with('.') {
            remove_user(&name);
        }
    }
    let _ = std::fs::remove_dir_all(root);
}
