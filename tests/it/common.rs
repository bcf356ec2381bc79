//! A host for one test. It has its own accounts' folder, state folder, group and range of Unix user
//! ids. All of them are removed at the end of the test, even after a panic.

#![allow(dead_code, reason = "not every test file uses all of it")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests, outside #[test]")]

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::User;

/// The service user of test hosts. Every Linux system has this user.
pub const SERVICE: &str = "nobody";

/// The number of hosts that this test process has created.
static HOSTS: AtomicU32 = AtomicU32::new(0);

/// The folder with the public keys that tests add.
pub const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");

/// A host that belongs to one test.
pub struct TestHost {
    root: PathBuf,
    group: String,
    pub first_uid: u32,
    accounts: Vec<String>,
}

/// The output and the exit status of a command.
#[derive(Debug)]
pub struct CommandOutput {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl TestHost {
    /// Creates the host. Prints a message and returns `None` if this process may not create Unix
    /// users.
    pub fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: makes Unix users, so it needs root");
            return None;
        }
        let pid = std::process::id();
        let n = HOSTS.fetch_add(1, Ordering::Relaxed);
        let host = Self {
            // The folder is below /srv, because root must own every parent of a chroot.
            root: format!("/srv/sftp-import-test-{pid}-{n}").into(),
            group: format!("sftp-import-test-{pid}-{n}"),
            first_uid: 1_000_000 + (pid % 100_000) * 100 + n * 10,
            accounts: Vec::new(),
        };
        fs::create_dir_all(host.state()).unwrap();
        let service = User::from_name(SERVICE).unwrap().unwrap();
        chown(host.state(), Some(service.uid.as_raw()), Some(service.gid.as_raw())).unwrap();
        let printed = tool("groupadd", &["--system", &host.group]);
        assert_eq!(printed.code, Some(0), "{printed:?}");
        let config = format!(
            "[node]\nname = 'sftp1'\n[paths]\naccounts = '{}'\nstate = '{}'\n\
             admin = '{}'\nkeys = '{}'\n\
             [accounts]\nfirst-uid = {}\nlast-uid = {}\ngroup = '{}'\nservice-user = '{SERVICE}'\n",
            host.accounts_root().display(),
            host.state().display(),
            host.root.join("admin").display(),
            host.root.join("keys").display(),
            host.first_uid,
            host.first_uid + 9,
            host.group,
        );
        fs::write(host.config(), config).unwrap();
        Some(host)
    }

    /// Returns an account id in the form of partners' ids. No other test has the same id.
    pub fn account_id(&mut self) -> String {
        let letters: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let letter = char::from(letters[self.accounts.len()]);
        let id = format!("TEST-{}-{letter}Z", self.first_uid);
        self.accounts.push(id.clone());
        id
    }

    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    pub fn accounts_root(&self) -> PathBuf {
        self.root.join("accounts")
    }

    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub fn keys_db(&self) -> PathBuf {
        self.root.join("keys/keys.db")
    }

    /// Opens the registry. Only root can write to it.
    pub fn registry(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.root.join("admin/registry.db")).unwrap()
    }

    /// Runs `sftp-import` with the configuration of this host.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftp-import"));
        command.arg("--config").arg(self.config()).args(arguments).stdin(Stdio::null());
        command.output().unwrap().into()
    }

    /// Starts `sftp-import` and kills it after `delay` unless it has already ended.
    pub fn killed_after(&self, delay: Duration, arguments: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftp-import"));
        command.arg("--config").arg(self.config()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Runs `sftp-import` and returns its output. The command must succeed.
    pub fn done(&self, arguments: &[&str]) -> String {
        let printed = self.run(arguments);
        assert_eq!(printed.code, Some(0), "{arguments:?}: {printed:?}");
        printed.out
    }

    /// Adds an account with one key. The key is the file `key` in the folder of keys, and its name
    /// is `laptop`.
    pub fn account_with_key(&mut self, key: &str) -> String {
        let id = self.account_id();
        self.done(&["account", "add", &id, "--any-recipient"]);
        self.done(&["key", "add", &id, &format!("{KEYS}/{key}"), "--name", "laptop"]);
        id
    }

    /// Runs the real helper with the keys of this host.
    pub fn helper(&self, user: &str, fingerprint: &str) -> CommandOutput {
        helper(&self.keys_db(), &[user, fingerprint])
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        for id in &self.accounts {
            self.run(&["account", "remove", "--yes", "--force", id]);
            tool("userdel", &[id]);
            tool("groupdel", &[id]);
        }
        tool("groupdel", &[&self.group]);
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a tool such as useradd. Retries while another process holds the tool's lock.
pub fn tool(tool: &str, arguments: &[&str]) -> CommandOutput {
    for _ in 0..100 {
        let mut command = Command::new(format!("/usr/sbin/{tool}"));
        let printed: CommandOutput =
            command.args(arguments).env("LC_ALL", "C").output().unwrap().into();
        if !printed.err.contains("cannot lock") {
            return printed;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{tool} did not get its lock");
}

/// Runs the real helper with the keys in `database`.
pub fn helper(database: &Path, arguments: &[&str]) -> CommandOutput {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sftp-import-authorized-keys"));
    command.arg("--database").arg(database).args(arguments).env_clear();
    command.output().unwrap().into()
}
