//! The section `[readme]` of the configuration file sets the content of README.txt in each
//! account's incoming.

use serde::Deserialize;

/// The section `[readme]` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Readme {
    /// If true, the daemon creates README.txt in each account's incoming.
    pub enabled: bool,
    /// The sysadmin's text, which precedes the instructions in README.txt.
    pub text: String,
}

impl Default for Readme {
    fn default() -> Self {
        Self { enabled: true, text: String::new() }
    }
}
