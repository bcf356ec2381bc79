//! The configuration: one struct per section, every key with a default.
//!
//! An empty file is valid. Unknown keys are errors, reported with their line. A [`Config`] from
//! [`Config::load`] has passed [`Config::check`].

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
pub use sections::metrics::{Metrics, MetricsListener};
pub use sections::node::{Node, Paths};
pub use sections::pairing::Pairing;
pub use sections::per_account::PerAccount;
pub use sections::retention::Retention;
pub use sections::watch::{Method, Watch};
pub use sections::webhooks::Webhooks;
pub use units::{Period, Size, UtcTime};

use crate::account::AccountId;
use crate::import_id::is_node_name;

/// The path of the configuration without `--config`.
pub const DEFAULT_PATH: &str = "/etc/sftp-import/config.toml";

/// The configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    pub node: Node,
    pub paths: Paths,
    pub accounts: Accounts,
    pub mail: Mail,
    pub webhooks: Webhooks,
    pub milestones: Milestones,
    pub pairing: Pairing,
    pub watch: Watch,
    pub imports: Imports,
    /// Use [`Config::retention_of`] for an account.
    pub retention: Retention,
    /// Use [`Config::limits_of`] for an account.
    pub limits: Limits,
    /// The `[account.ID.…]` sections.
    pub account: PerAccount,
    pub metrics: Metrics,
}

impl Config {
    /// Reads and checks `path`.
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

    /// Returns a sentence for each key of the file that this version ignores, with the next step.
    pub fn deprecations(&self) -> Vec<String> {
        let own = self.account.iter().map(|account| &account.pairing);
        if own.chain([&self.pairing]).all(|pairing| pairing.linger.is_none()) {
            return Vec::new();
        }
        let text = "pairing.linger has no effect, because claims wait for the uploader: remove it \
                    from the configuration (pairing.settle is how long files must be unchanged)";
        vec![text.to_owned()]
    }

    /// Returns the limits for `account`.
    pub fn limits_of(&self, account: &AccountId) -> &Limits {
        self.account.get(account).map_or(&self.limits, |own| &own.limits)
    }

    /// Returns the pairing periods for `account`.
    pub fn pairing_of(&self, account: &AccountId) -> &Pairing {
        self.account.get(account).map_or(&self.pairing, |own| &own.pairing)
    }

    /// Returns the retention periods for `account`.
    pub fn retention_of(&self, account: &AccountId) -> &Retention {
        self.account.get(account).map_or(&self.retention, |own| &own.retention)
    }

    /// Reads and checks `asked`, or [`DEFAULT_PATH`] if it is `None`. Returns the defaults if
    /// `asked` is `None` and the default file doesn't exist.
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

    /// Checks that the secret files named in the configuration exist and are not readable by
    /// everybody.
    pub fn check_secrets(&self) -> Result<(), SecretError> {
        self.mail.password_file.as_deref().map_or(Ok(()), secret::check_mode)
    }

    /// Checks the values that the types alone don't check. An error is the first invalid value.
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
        for (key, period) in [
            ("milestones.still-processing-every", self.milestones.still_processing_every),
            ("pairing.rescan-every", self.pairing.rescan_every),
            ("watch.poll-every", self.watch.poll_every),
        ] {
            if period.is_zero() {
                return wrong(key, "must be longer than zero");
            }
        }
        if self.imports.max_starts == 0 {
            return wrong("imports.max-starts", "must be at least 1");
        }
        Ok(())
    }
}
