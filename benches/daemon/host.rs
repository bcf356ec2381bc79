//! Runs a real daemon in separate folders, for benches that upload pairs into an incoming folder.
//! The benches need root.
//!
//! All files are in one folder below /var/tmp, because the results depend on the disk. The folder
//! is removed at the end.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::time::ClockId;
use nix::unistd::Pid;
use sftp_import::account::AccountId;
use sftp_import::recipient::RecipientRule;
use sftp_import::state::{State, accounts};

/// The user id of the first account. No real user must have an id from this one to [`LAST_UID`].
const FIRST_UID: u32 = 700_000;
/// The highest user id of an account. No bench needs more accounts.
const LAST_UID: u32 = 799_999;

/// A host with folders and a state database, and `sftp-importd` after it was started.
pub struct Daemon {
    child: Option<Child>,
    root: PathBuf,
    /// The state database of the daemon.
    pub state: State,
    accounts: u32,
}

impl Daemon {
    /// Makes the folders and an empty state database. Starts no process.
    pub fn new() -> Self {
        let root = PathBuf::from(format!("/var/tmp/sftp-import-bench-{}", std::process::id()));
        for folder in ["state", "accounts/.spool"] {
            fs::create_dir_all(root.join(folder)).expect("a folder is made");
        }
        fs::set_permissions(root.join("accounts/.spool"), Permissions::from_mode(0o700))
            .expect("the spool is private");
        let config = format!(
            "[paths]\naccounts = '{0}/accounts'\nstate = '{0}/state'\n[mail]\nurl = ''\n\
             [accounts]\nfirst-uid = {FIRST_UID}\nlast-uid = {LAST_UID}\n",
            root.display()
        );
        fs::write(root.join("config.toml"), config).expect("the configuration is written");
        let state = State::open(&root.join("state/state.db")).expect("the state database opens");
        Self { child: None, root, state, accounts: 0 }
    }

    /// Adds accounts in one transaction, and makes their folders. Returns the incoming folder of
    /// each account.
    pub fn add(&mut self, ids: &[AccountId]) -> Vec<PathBuf> {
        let first = FIRST_UID + self.accounts;
        self.accounts += ids.len() as u32;
        self.state
            .write(|tx| {
                ids.iter().zip(first..).try_for_each(|(id, uid)| {
                    accounts::add(tx, Timestamp::now(), id, None, &RecipientRule::Any)?;
                    accounts::set_uid(tx, id, uid)
                })
            })
            .map_err(|error: sftp_import::state::Error| error)
            .expect("the accounts are added");
        ids.iter().map(|id| self.folders(id)).collect()
    }

    /// Returns the account's folder.
    pub fn chroot(&self, account: &AccountId) -> PathBuf {
        self.root.join("accounts").join(account)
    }

    /// Returns the user id of the account.
    pub fn uid(&self, account: &AccountId) -> u32 {
        let row =
            self.state.read(|tx| accounts::get(tx, account)).expect("the account can be read");
        row.and_then(|row| row.uid).expect("the account has a user")
    }

    fn folders(&self, account: &AccountId) -> PathBuf {
        let folder = self.root.join("accounts").join(account);
        for name in ["incoming", "results", "dev"] {
            fs::create_dir_all(folder.join(name)).expect("a folder is made");
        }
        let incoming = folder.join("incoming");
        // The processes of the sessions run as the user of the account.
        fs::set_permissions(&incoming, Permissions::from_mode(0o777))
            .expect("incoming is writable");
        incoming
    }

    /// Starts `sftp-importd` and waits until it reports that it is ready.
    pub fn start(&mut self) {
        let path = self.root.join("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("a socket for sd_notify");
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("the socket gets a time limit");
        let child = Command::new(env!("CARGO_BIN_EXE_sftp-importd"))
            .arg("--config")
            .arg(self.root.join("config.toml"))
            .env("SFTP_IMPORT_LOG", "error")
            .env("NOTIFY_SOCKET", &path)
            .stdin(Stdio::null())
            .spawn()
            .expect("sftp-importd starts");
        self.child = Some(child);
        let mut message = [0; 4096];
        loop {
            let length = socket.recv(&mut message).expect("the daemon is ready in a minute");
            if message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                return;
            }
        }
    }

    /// Returns a number from a line `name:   123 kB` of /proc/PID/status.
    pub fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("the daemon runs");
        let line =
            status.lines().find(|line| line.starts_with(name)).expect("the status has the line");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("the line has a number")
    }

    /// Returns the CPU time that the daemon has used until now. Threads that have ended are
    /// included.
    pub fn cpu(&self) -> Duration {
        let child = self.child.as_ref().expect("the daemon was started");
        let pid = Pid::from_raw(child.id().cast_signed());
        let clock = ClockId::pid_cpu_clock_id(pid).expect("the daemon runs");
        clock.now().expect("the daemon runs").into()
    }

    fn proc(&self, file: &str) -> PathBuf {
        let child = self.child.as_ref().expect("the daemon was started");
        Path::new("/proc").join(child.id().to_string()).join(file)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Returns a manifest for the columns event_name, identity and Price.
pub fn manifest(data_file: &str) -> String {
    format!(
        r#"{{"type":"event","fileName":"{data_file}","clientEmail":"a@example.com",
            "columns":{{"event_name":{{"ctName":"evtName"}}}}}}"#
    )
}

/// Waits until `found` returns a value.
pub fn wait<T>(
    most: Duration,
    pause: Duration,
    what: &str,
    mut found: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + most;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} took longer than {most:?}");
        std::thread::sleep(pause);
    }
}
