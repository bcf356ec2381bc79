//! The configuration: typed, one struct per section, every key with a default.
//!
//! An empty file works. Unknown keys are refused with their place. A [`Config`] that
//! [`Config::load`] returned has passed [`Config::check`].

mod error;
mod secret;
mod sections;
#[cfg(test)]
mod tests;
mod units;

use std::io;
use std::path::Path;

use serde::Deserialize;

pub use error::ConfigError;
pub use secret::SecretError;
pub use sections::accounts::Accounts;
pub use sections::imports::{Imports, Milestones, cores};
pub use sections::limits::Limits;
pub use sections::mail::{Mail, MailServer, Smtp, Tls};
pub use sections::metrics::{Listen, Metrics};
pub use sections::node::{Node, Paths};
pub use sections::pairing::Pairing;
pub use sections::per_account::PerAccount;
pub use sections::retention::Retention;
pub use sections::watch::{Method, Watch};
pub use sections::webhooks::Webhooks;
pub use units::{Period, Size};

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

    /// What the file still sets and this version ignores, in sentences with the next step.
    pub fn deprecations(&self) -> Vec<String> {
        let mut all = std::iter::once(&self.pairing).chain(self.account.pairings());
        let linger = "pairing.linger does nothing since claims wait for the uploader: remove it from \
            the configuration (pairing.settle says how long files must be unchanged)";
        all.any(|pairing| pairing.linger.is_some()).then(|| linger.to_owned()).into_iter().collect()
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
        for (key, path) in [
            ("paths.accounts", &self.paths.accounts),
            ("paths.state", &self.paths.state),
            ("paths.admin", &self.paths.admin),
            ("paths.keys", &self.paths.keys),
        ] {
            if !path.is_absolute() {
                return wrong(key, "must be an absolute path");
            }
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
