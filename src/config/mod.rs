//! The configuration. Each section is a struct, and each key has a default.
//!
//! An empty file is valid. An unknown key is an error, which is reported with its line. Every
//! [`Config`] from [`Config::load`] has passed [`Config::check`].

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
pub use sections::node::{HostAddress, Node, Paths};
pub use sections::pairing::{Pairing, ReusedManifest};
pub use sections::per_account::PerAccount;
pub use sections::readme::Readme;
pub use sections::retention::Retention;
pub use sections::watch::{Method, Watch};
pub use sections::web::{AccountPolicy, AccountWeb, KeyPolicy, Web};
pub use sections::webhooks::Webhooks;
pub use units::{Period, Size, UtcTime};

use crate::account::AccountId;
use crate::files::IoError;
use crate::import_id::is_node_name;

/// The path of the configuration file if `--config` is not given.
pub const DEFAULT_PATH: &str = "/etc/sftp-import/config.toml";

/// The whole configuration, with one field for each section of the configuration file.
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
    pub readme: Readme,
    pub watch: Watch,
    pub imports: Imports,
    /// The retention periods of accounts without a section of their own. Use
    /// [`Config::retention_of`] to get the periods of an account.
    pub retention: Retention,
    /// The limits of accounts without a section of their own. Use [`Config::limits_of`] to get the
    /// limits of an account.
    pub limits: Limits,
    /// The sections `[account.ID.…]`, which contain settings of single accounts.
    pub account: PerAccount,
    pub metrics: Metrics,
    /// The console. Use [`Config::key_policy_of`] to get the policy of an account.
    pub web: Web,
}

impl Config {
    /// Reads and checks the configuration file `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(IoError::of("read", path))?;
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

    /// Returns one sentence for each key that is set but ignored by this version. Each sentence
    /// names the next step.
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

    /// Returns the periods of the section `[pairing]` for `account`.
    pub fn pairing_of(&self, account: &AccountId) -> &Pairing {
        self.account.get(account).map_or(&self.pairing, |own| &own.pairing)
    }

    /// Returns the retention periods for `account`.
    pub fn retention_of(&self, account: &AccountId) -> &Retention {
        self.account.get(account).map_or(&self.retention, |own| &own.retention)
    }

    /// Returns who may save keys of `account` through the console.
    pub fn key_policy_of(&self, account: &AccountId) -> KeyPolicy {
        self.account.get(account).and_then(|own| own.web.keys).unwrap_or(self.web.keys)
    }

    /// Reads and checks the configuration file `asked`. If `asked` is `None`, reads
    /// [`DEFAULT_PATH`]. Returns the defaults if `asked` is `None` and the default file does not
    /// exist.
    pub fn load_or_default(asked: Option<&Path>) -> Result<Self, ConfigError> {
        let loaded = Self::load(asked.unwrap_or(Path::new(DEFAULT_PATH)));
        match loaded {
            Err(ConfigError::Io(IoError { source, .. }))
                if asked.is_none() && source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            loaded => loaded,
        }
    }

    /// Checks that every secret file that the configuration names exists and is not readable by
    /// everybody.
    pub fn check_secrets(&self) -> Result<(), SecretError> {
        self.mail.password_file.as_deref().map_or(Ok(()), secret::check_mode)
    }

    /// Checks everything about the values that their types don't check. The error describes the
    /// first invalid value.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.into() });
        if !is_node_name(&self.node.name) {
            return wrong("node.name", "must be 1 to 63 characters of A-Z a-z 0-9 - . _");
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
