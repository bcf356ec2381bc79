//! A host for one test, with its own folders, sshd, catchers and daemon. The host uses the files of
//! the package.
//!
//! The drop-in and the tmpfiles and sysusers files of the package are used with changed paths.
//! Therefore the tests check the files that are installed. Dropping a [`Host`] removes everything,
//! and prints the logs if the test failed.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};

use crate::support::account::Account;
use crate::support::catchers::Catchers;
use crate::support::disk::Disk;
use crate::support::notify::NotifySocket;
use crate::support::process::{Process, Ran, run, until};
use crate::support::unix::{ROOT_PREFIX, ServiceUsers, changing_users, programs, remove_root};

pub const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
/// The maximum wait for a step that should happen immediately, on a loaded machine.
pub const SOON: Duration = Duration::from_secs(60);

/// A host with its own folders below /srv.
#[derive(Debug)]
pub struct Host {
    /// The folder that contains all files of this host.
    pub root: PathBuf,
    /// The port of sshd on 127.0.0.1.
    pub port: u16,
    /// The servers that receive mail and webhooks.
    pub catchers: Catchers,
    notify: NotifySocket,
    daemon: Mutex<Option<Process>>,
    sshd: Option<Process>,
    /// The disks are unmounted on drop. [`remove_root`] needs their contents before.
    _disks: Vec<Disk>,
    _users: ServiceUsers,
}

/// Increases the number of lines that a log socket queues for a stopped daemon. systemd's PID 1
/// does the same at boot if the kernel's default is smaller.
fn let_log_sockets_queue() {
    let path = "/proc/sys/net/unix/max_dgram_qlen";
    let now: u32 = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
    if now < 512 {
        std::fs::write(path, "512").unwrap();
    }
}

impl Host {
    /// Creates a host and starts its daemon.
    pub fn running() -> Self {
        let host = Self::new("");
        host.start_daemon();
        host
    }

    /// Creates a host without starting its daemon. `config` is appended to the configuration.
    pub fn new(config: &str) -> Self {
        Self::on(config, |_| Vec::new())
    }

    /// Creates a host like [`Host::new`], with one small disk for accounts and one for state.
    pub fn on_small_disks(config: &str) -> Self {
        Self::on(config, |root| ["accounts", "state"].map(|f| Disk::mount(&root.join(f))).into())
    }

    fn on(config: &str, disks: impl FnOnce(&Path) -> Vec<Disk>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let users = ServiceUsers::get();
        let_log_sockets_queue();
        let n = COUNT.fetch_add(1, Relaxed);
        let root = PathBuf::from(format!("{ROOT_PREFIX}{}-{n}", std::process::id()));
        for folder in ["", "log", "ssh", "lib", "local"] {
            std::fs::create_dir(root.join(folder)).unwrap();
            set_mode(&root.join(folder), 0o755);
        }
        install_programs(&root);
        let disks = disks(&root);
        make_folders(&root);
        let catchers = Catchers::start(&root);
        write_config(&root, n, catchers.smtp_port, config);
        let (sshd, port) = start_sshd(&root);
        let notify = NotifySocket::bind(&root.join("notify"));
        let daemon = Mutex::new(None);
        Self {
            root,
            port,
            catchers,
            notify,
            daemon,
            sshd: Some(sshd),
            _disks: disks,
            _users: users,
        }
    }

    /// Returns the folder that replaces /srv/sftp-import.
    pub fn accounts(&self) -> PathBuf {
        self.root.join("accounts")
    }

    /// Returns the path of the published keys.
    pub fn keys_db(&self) -> PathBuf {
        self.keys().join("keys.db")
    }

    /// Returns the path of the registry.
    pub fn registry(&self) -> PathBuf {
        self.root.join("state-admin/registry.db")
    }

    /// Returns the folder that replaces /var/lib/sftp-import.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Returns the folder that replaces /var/lib/sftp-import-keys.
    pub fn keys(&self) -> PathBuf {
        self.root.join("state-keys")
    }

    pub fn config(&self) -> PathBuf {
        self.root.join("etc/config.toml")
    }

    /// Runs `sftp-import` with `args`.
    pub fn cli(&self, args: &[&str]) -> Ran {
        let config = self.config();
        let all: Vec<&str> = ["--config", text(&config)].iter().chain(args).copied().collect();
        run(text(&self.root.join("lib/sftp-import")), &all)
    }

    /// Adds an account with one key that can log in. Mail may go to addresses at example.com, which
    /// the manifests of [`crate::support::pair::Pair`] name.
    pub fn account<'h>(&'h self, id: &str) -> Account<'h> {
        self.cli(&["account", "add", id, "--recipient-domain", "example.com"]).ok();
        let account = Account::new(self, id);
        changing_users(|| account.add_key(&[])).ok();
        account
    }

    /// Starts the daemon with the user and capabilities of its unit. Waits until the daemon reports
    /// that it is ready.
    #[track_caller]
    pub fn start_daemon(&self) {
        let before = self.notify.ready();
        self.start_daemon_under(&[]);
        until("the daemon to be ready", SOON, || {
            self.check_daemon();
            (self.notify.ready() > before).then_some(())
        });
    }

    /// Starts the daemon as a child of `tracer`. `tracer` contains the first words of the command.
    pub fn start_daemon_under(&self, tracer: &[&str]) {
        self.start_daemon_with(tracer, &[]);
    }

    /// Starts the daemon like [`Host::start_daemon_under`]. Only the daemon gets the environment
    /// variables `variables`.
    pub fn start_daemon_with(&self, tracer: &[&str], variables: &[&str]) {
        let (program, config) = (self.root.join("lib/sftp-importd"), self.config());
        let notify = format!("NOTIFY_SOCKET={}", self.notify.path.display());
        let mut words = vec!["env", &notify];
        words.extend(tracer);
        words.extend(["setpriv", "--reuid=sftp-import", "--regid=sftp-import", "--clear-groups"]);
        words.extend([
            "--bounding-set=-all,+dac_read_search,+lease",
            "--inh-caps=-all,+dac_read_search,+lease",
            "--ambient-caps=-all,+dac_read_search,+lease",
            "--no-new-privs",
        ]);
        words.extend((!variables.is_empty()).then_some("env"));
        words.extend(variables);
        words.extend([text(&program), "--config", text(&config)]);
        let process = Process::start(words[0], &words[1..], &self.root.join("log/daemon"));
        *self.daemon() = Some(process);
    }

    /// Makes sshd read its configuration again (SIGHUP), and waits until sshd listens.
    #[track_caller]
    pub fn reload_sshd(&self) {
        let listens = || self.sshd_log().matches("Server listening on").count();
        let before = listens();
        self.sshd.as_ref().expect("sshd runs").signal(Signal::SIGHUP);
        until("sshd to listen again", SOON, || (listens() > before).then_some(()));
    }

    /// Returns the log of sshd.
    pub fn sshd_log(&self) -> String {
        std::fs::read_to_string(self.root.join("log/sshd")).unwrap_or_default()
    }

    /// Returns the process of the daemon. `None` if the daemon was not started.
    pub fn daemon(&self) -> MutexGuard<'_, Option<Process>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends SIGTERM and waits for the end of the daemon. The daemon must end successfully.
    #[track_caller]
    pub fn stop_daemon(&self) {
        let mut daemon = self.daemon().take().expect("the daemon runs");
        daemon.signal(Signal::SIGTERM);
        let status = daemon.wait(Duration::from_secs(10));
        assert!(status.success(), "the daemon ended with {status}");
    }

    /// Returns the last STATUS that the daemon sent to systemd.
    pub fn status(&self) -> String {
        self.notify.status()
    }

    /// Returns the number of times that a daemon reported that it is ready.
    pub fn times_ready(&self) -> usize {
        self.notify.ready()
    }

    /// Opens the state database for reading.
    pub fn state_db(&self) -> Connection {
        open_read_only(&self.state().join("state.db"))
    }

    /// Returns the first column of the rows of `sql` in the state database, as text.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<String> {
        let db = self.state_db();
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        rows.map(|value| match value.unwrap() {
            rusqlite::types::Value::Integer(n) => n.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        })
        .collect()
    }

    /// Fails if the daemon was started and has ended by itself, so that a test does not wait for an
    /// ended daemon.
    #[track_caller]
    pub fn check_daemon(&self) {
        let ended = self.daemon().as_mut().and_then(Process::ended);
        assert!(ended.is_none(), "the daemon ended: {ended:?}");
    }

    /// Waits until no import is in progress and no delivery is due.
    #[track_caller]
    pub fn wait_until_quiet(&self, patience: Duration) {
        until("imports and deliveries to end", patience, || {
            self.check_daemon();
            let busy = self.query(
                "SELECT (SELECT count(*) FROM import WHERE state NOT IN ('completed', 'failed'))
                      + (SELECT count(*) FROM delivery WHERE state = 'pending')",
            );
            (busy == ["0"]).then_some(())
        });
    }

    fn print_logs(&self) {
        for entry in std::fs::read_dir(self.root.join("log")).into_iter().flatten().flatten() {
            let log = std::fs::read(entry.path()).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            eprintln!("--- {}\n{}", entry.path().display(), last.join("\n"));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        drop(self.daemon().take());
        drop(self.sshd.take());
        self.catchers.stop();
        remove_root(&self.root);
    }
}

/// Returns a path as text. All paths of tests are valid UTF-8.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub fn open_read_only(path: &Path) -> Connection {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db
}

/// Returns a file of the package, with the installed paths replaced by the paths of this host.
pub fn shipped(file: &str, root: &Path) -> String {
    let shipped = std::fs::read_to_string(Path::new(REPOSITORY).join(file)).unwrap();
    let database = format!("--database {}/state-keys/keys.db", root.display());
    shipped
        .replace("/srv/sftp-import", text(&root.join("accounts")))
        .replace("/var/lib/sftp-import", text(&root.join("state")))
        .replace("/etc/sftp-import", text(&root.join("etc")))
        .replace("/usr/lib/sftp-import/", &format!("{}/lib/", root.display()))
        .replace("authorized-keys %u %f", &format!("authorized-keys {database} %u %f"))
}

/// Copies the programs to a folder where other users can run them. A checkout may be in a private
/// home folder.
fn install_programs(root: &Path) {
    static COPYING: Mutex<()> = Mutex::new(());
    let _alone = COPYING.lock().unwrap_or_else(PoisonError::into_inner);
    let store = programs();
    for built in [
        env!("CARGO_BIN_EXE_sftp-import"),
        env!("CARGO_BIN_EXE_sftp-importd"),
        env!("CARGO_BIN_EXE_sftp-import-authorized-keys"),
        env!("CARGO_BIN_EXE_sftp-import-admin"),
    ] {
        let name = Path::new(built).file_name().unwrap();
        let copy = store.join(name);
        if !copy.exists() {
            std::fs::create_dir_all(&store).unwrap();
            std::fs::copy(built, &copy).unwrap();
            set_mode(&copy, 0o755);
        }
        std::fs::hard_link(&copy, root.join("lib").join(name)).unwrap();
    }
}

fn make_folders(root: &Path) {
    let file = root.join("tmpfiles.conf");
    std::fs::write(&file, shipped("systemd/tmpfiles.d/sftp-import.conf", root)).unwrap();
    run("systemd-tmpfiles", &["--create", text(&file)]).ok();
}

fn write_config(root: &Path, n: u32, smtp_port: u16, more: &str) {
    let (accounts, state) = (root.join("accounts"), root.join("state"));
    // The paths have the names that `shipped` uses.
    let (admin, keys) = (root.join("state-admin"), root.join("state-keys"));
    let first_uid = 1_000_000 + n * 1_000;
    let config = format!(
        "[node]\nname = \"e2e{n}\"\n\
         [paths]\naccounts = {accounts:?}\nstate = {state:?}\n\
         admin = {admin:?}\nkeys = {keys:?}\n\
         [accounts]\nfirst-uid = {first_uid}\nlast-uid = {}\n\
         [mail]\nurl = \"smtp://127.0.0.1:{smtp_port}\"\nmax-hourly-of-account = 0\n\
         [webhooks]\nallow = [\"127.0.0.0/8\"]\n\n{more}\n",
        first_uid + 999
    );
    std::fs::write(root.join("etc/config.toml"), config).unwrap();
}

/// Starts an sshd with Debian's configuration and the drop-in on a free port.
fn start_sshd(root: &Path) -> (Process, u16) {
    std::fs::create_dir_all("/run/sshd").unwrap();
    let key = root.join("ssh/host_key");
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&key)]).ok();
    let drop_in = root.join("ssh/50-sftp-import.conf");
    std::fs::write(&drop_in, shipped("openssh/50-sftp-import.conf", root)).unwrap();
    let config = root.join("ssh/sshd_config");
    for _ in 0..10 {
        let port = free_port();
        std::fs::write(&config, sshd_config(root, port)).unwrap();
        run("/usr/sbin/sshd", &["-t", "-f", text(&config)]).ok();
        let args = ["-D", "-e", "-f", text(&config)];
        let mut sshd = Process::start("/usr/sbin/sshd", &args, &root.join("log/sshd"));
        if listens(&mut sshd, port) {
            return (sshd, port);
        }
    }
    panic!("sshd does not start; see {}", root.join("log/sshd").display());
}

/// Returns a configuration like Debian's /etc/ssh/sshd_config, with additional settings for a
/// second sshd on one machine.
fn sshd_config(root: &Path, port: u16) -> String {
    let ssh = root.join("ssh");
    let ssh = ssh.display();
    format!(
        "Include {ssh}/50-sftp-import.conf\n\
         Port {port}\nListenAddress 127.0.0.1\nHostKey {ssh}/host_key\nPidFile none\n\
         MaxStartups 100:30:200\n\
         KbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\n\
         AcceptEnv LANG LC_*\nSubsystem sftp /usr/lib/openssh/sftp-server\n"
    )
}

fn listens(sshd: &mut Process, port: u16) -> bool {
    until("sshd to listen or end", SOON, || {
        if sshd.ended().is_some() {
            return Some(false);
        }
        TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true)
    })
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
