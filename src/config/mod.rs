//! The configuration: typed, one struct per section, every key with a default.
//!
//! An empty file works. Unknown keys are refused with their place. A [`Config`] that
//! [`Config::load`] returned has passed [`Config::check`].

mod limits;
mod mail;
mod metrics;
mod per_account;
mod retention;
mod secret;
mod units;
mod watch;

use std::io;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;

pub use limits::Limits;
pub use mail::{Mail, MailServer, Smtp, Tls};
pub use metrics::{Listen, Metrics};
pub use per_account::PerAccount;
pub use retention::Retention;
pub use secret::SecretError;
pub use units::{Period, Size};
pub use watch::{Method, Watch};

use crate::account::AccountId;
use crate::import_id::is_node_name;

/// Where the configuration lies unless `--config` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/sftp-import/config.toml";

/// All of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// This node.
    pub node: Node,
    /// Folders.
    pub paths: Paths,
    /// The Unix users behind accounts.
    pub accounts: Accounts,
    /// How mail leaves.
    pub mail: Mail,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// What is told when.
    pub milestones: Milestones,
    /// When a pair is complete.
    pub pairing: Pairing,
    /// How uploads are noticed.
    pub watch: Watch,
    /// How imports run.
    pub imports: Imports,
    /// How long what has served is kept; ask [`Config::retention_of`] when there is an account.
    pub retention: Retention,
    /// The (c) of the import rules; ask [`Config::limits_of`] when there is an account.
    pub limits: Limits,
    /// What is different for single accounts.
    pub account: PerAccount,
    /// Figures for Prometheus.
    pub metrics: Metrics,
}

/// `[node]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Node {
    /// First part of every import id. Default: the host's name.
    pub name: String,
}

impl Default for Node {
    fn default() -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let short = host.as_deref().and_then(|name| name.split('.').next()).unwrap_or_default();
        let name = if is_node_name(short) { short } else { "node" };
        Self { name: name.to_owned() }
    }
}

/// `[paths]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Paths {
    /// Holds every account's chroot and the spool.
    pub accounts: PathBuf,
    /// Holds `state.db`, `published/` and `data/`.
    pub state: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { accounts: "/srv/sftp-import".into(), state: "/var/lib/sftp-import".into() }
    }
}

impl Paths {
    /// The state database.
    pub fn state_db(&self) -> PathBuf {
        self.state.join("state.db")
    }

    /// What the authorized-keys helper reads.
    pub fn keys_db(&self) -> PathBuf {
        self.state.join("published/keys.db")
    }

    /// The local store.
    pub fn data(&self) -> PathBuf {
        self.state.join("data")
    }
}

/// `[accounts]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Accounts {
    /// First Unix user (and group) id that accounts get.
    pub first_uid: u32,
    /// Last Unix user (and group) id that accounts get.
    pub last_uid: u32,
    /// The group that sshd_config matches.
    pub group: String,
    /// The Unix user that the sidecar runs as; owns incoming, results and the spool.
    pub service_user: String,
}

impl Default for Accounts {
    fn default() -> Self {
        // Above Debian's static and systemd's dynamic ids, below useradd's subordinate ids.
        Self {
            first_uid: 70_000,
            last_uid: 99_999,
            group: "sftp-import-accounts".into(),
            service_user: "sftp-import".into(),
        }
    }
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Webhooks {
    /// How long one request may take in all.
    pub timeout: Period,
    /// An endpoint that has failed for so long, without a success in between, is disabled.
    pub disable_after: Period,
    /// After `webhook rotate` the old secret signs as well for so long.
    pub old_secret_for: Period,
    /// Networks that endpoints may lie in although they are not public: `10.1.0.0/16`.
    pub allow: Vec<IpNet>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            timeout: Period::seconds(20),
            disable_after: Period::seconds(3 * 24 * 60 * 60),
            old_secret_for: Period::seconds(24 * 60 * 60),
            allow: Vec::new(),
        }
    }
}

/// `[milestones]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Milestones {
    /// A running import says so this often.
    pub still_processing_every: Period,
}

impl Default for Milestones {
    fn default() -> Self {
        Self { still_processing_every: Period::seconds(2 * 60 * 60) }
    }
}

/// `[pairing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pairing {
    /// How long a manifest waits for its data file to appear.
    pub data_file_grace: Period,
    /// How long a manifest waits for its data file to be closed by its writer.
    pub open_file_grace: Period,
    /// How long a manifest that doesn't parse must lie unchanged before it is refused.
    pub manifest_quiet_period: Period,
    /// How long a manifest must lie unchanged before it is taken. Zero takes it at once, and a
    /// client that sets its time after closing it (rclone, unless told not to) finds it gone.
    pub settle: Period,
    /// A data file that no manifest named for so long is told of, once. Zero: never.
    pub unclaimed_after: Period,
    /// Every account is looked at this often even when nothing wakes us.
    pub rescan_every: Period,
}

impl Default for Pairing {
    fn default() -> Self {
        Self {
            data_file_grace: Period::seconds(60),
            open_file_grace: Period::seconds(30 * 60),
            manifest_quiet_period: Period::seconds(2),
            settle: Period::seconds(0),
            unclaimed_after: Period::seconds(24 * 60 * 60),
            rescan_every: Period::seconds(60),
        }
    }
}

/// `[imports]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Imports {
    /// How many imports run side by side, one per account at most. 0: one per core. One that has
    /// run for five seconds gives its place to the next: up to as many more, at least two.
    pub workers: usize,
    /// A running import that was cut off this often (crash, power) is set aside as failed.
    pub max_starts: u32,
    /// An import that the host failed (disk full, I/O error) is tried again for this long.
    pub retry_for: Period,
    /// With less than this free on the disk of accounts, state or store nothing is claimed or
    /// begun. Zero: never held.
    pub free_space_floor: Size,
}

impl Default for Imports {
    fn default() -> Self {
        Self {
            workers: 0,
            max_starts: 3,
            retry_for: Period::seconds(10 * 60),
            free_space_floor: Size::mb(500),
        }
    }
}

impl Imports {
    /// The number of workers to run: as configured, or the number of cores.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file isn't TOML, or has an unknown key or a value of the wrong kind.
    #[error("{}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// With line, column and the line itself.
        message: String,
    },
    /// A value that can't work.
    #[error("{key} {problem}")]
    Value {
        /// Section and key, `section.key`.
        key: &'static str,
        /// What is wrong with it, to be read after the key.
        problem: String,
    },
}

impl Config {
    /// Reads and checks `path`.
    ///
    /// # Errors
    /// Unreadable, not TOML, unknown keys, or values that can't work.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config = Self::parse(&text).map_err(|message| ConfigError::Parse {
            path: path.to_owned(),
            message: secret::without_secrets(&message),
        })?;
        config.check()?;
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self { account: PerAccount::read(text)?, ..config })
    }

    /// The limits in force for `account`.
    pub fn limits_of(&self, account: &AccountId) -> &Limits {
        self.account.limits(account).unwrap_or(&self.limits)
    }

    /// The pairing periods in force for `account`.
    pub fn pairing_of(&self, account: &AccountId) -> &Pairing {
        self.account.pairing(account).unwrap_or(&self.pairing)
    }

    /// How long what has served is kept for `account`.
    pub fn retention_of(&self, account: &AccountId) -> &Retention {
        self.account.retention(account).unwrap_or(&self.retention)
    }

    /// Reads and checks the file that was asked for, or else [`DEFAULT_PATH`]; the defaults when
    /// nothing was asked for and there is no such file.
    ///
    /// # Errors
    /// As [`Config::load`]; a file that was asked for must be there.
    pub fn load_or_default(asked: Option<&Path>) -> Result<Self, ConfigError> {
        let loaded = Self::load(asked.unwrap_or(Path::new(DEFAULT_PATH)));
        match loaded {
            Err(ConfigError::Read { source, .. })
                if asked.is_none() && source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            loaded => loaded,
        }
    }

    /// Whether every value can work; what a type can't say.
    ///
    /// # Errors
    /// The first value that can't.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.into() });
        if !is_node_name(&self.node.name) {
            return wrong("node.name", "must be 1 to 63 of A-Z a-z 0-9 - . _");
        }
        if !self.paths.accounts.is_absolute() {
            return wrong("paths.accounts", "must be an absolute path");
        }
        if !self.paths.state.is_absolute() {
            return wrong("paths.state", "must be an absolute path");
        }
        if self.accounts.first_uid < 1000 || self.accounts.first_uid > self.accounts.last_uid {
            return wrong("accounts.first-uid", "must be at least 1000 and at most last-uid");
        }
        self.mail.check().map_err(|(key, problem)| ConfigError::Value { key, problem })?;
        let listen = self.metrics.listener().map(drop);
        listen.map_err(|problem| ConfigError::Value { key: "metrics.listen", problem })?;
        if self.milestones.still_processing_every.is_zero() {
            return wrong("milestones.still-processing-every", "must be longer than nothing");
        }
        if self.pairing.rescan_every.is_zero() {
            return wrong("pairing.rescan-every", "must be longer than nothing");
        }
        if self.watch.poll_every.is_zero() {
            return wrong("watch.poll-every", "must be longer than nothing");
        }
        if self.imports.max_starts == 0 {
            return wrong("imports.max-starts", "must be at least 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_works() {
        let config: Config = toml::from_str("").unwrap();
        config.check().unwrap();
        assert_eq!(config.paths.state_db(), Path::new("/var/lib/sftp-import/state.db"));
        assert_eq!(config.limits.max_data_file.bytes(), 5_000_000_000);
    }

    #[test]
    fn the_example_says_the_defaults() {
        let text = include_str!("../../samples/config.toml");
        let config: Config = toml::from_str(text).unwrap();
        config.check().unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
        // … and every key: the fields of the Debug text, in the example's spelling.
        let debug = format!("{config:?}").replace(['{', ','], "\n");
        let keys =
            debug.lines().filter_map(|line| line.split_once(": ")).map(|(key, _)| key.trim());
        for key in keys {
            let written = key.replace('_', "-");
            assert!(text.contains(&written), "the example does not say {written}");
        }
    }

    #[test]
    fn reads_durations_and_sizes_as_people_write_them() {
        let config: Config = toml::from_str(
            "[milestones]\nstill-processing-every = '90m'\n[limits]\nmax-data-file = '2 GB'\n",
        )
        .unwrap();
        assert_eq!(config.milestones.still_processing_every.get().as_secs(), 5400);
        assert_eq!(config.limits.max_data_file.bytes(), 2_000_000_000);
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let missing = Path::new("/nonexistent/config.toml");
        let error = Config::load_or_default(Some(missing)).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/config.toml"), "{error}");
    }

    #[test]
    fn refuses_unknown_keys_and_names_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "[mail]\nulr = 'smtp://x'\n").unwrap();
        let error = Config::load(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("ulr"), "{error}");
    }

    #[test]
    fn refuses_values_that_cannot_work() {
        for (text, key) in [
            ("[node]\nname='a/b'", "node.name"),
            ("[paths]\nstate='x'", "paths.state"),
            ("[accounts]\nfirst-uid=0", "accounts.first-uid"),
            ("[mail]\nfrom='x'", "mail.from"),
            ("[mail]\nurl='mail.example.com'", "mail.url"),
            ("[milestones]\nstill-processing-every='0s'", "milestones.still-processing-every"),
            ("[imports]\nmax-starts=0", "imports.max-starts"),
            ("[metrics]\nlisten='0.0.0.0:9469'", "metrics.listen"),
        ] {
            let config: Config = toml::from_str(text).unwrap();
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }
}
