//! `[readme]`: the README.txt in each account's incoming.

use serde::Deserialize;

/// `[readme]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Readme {
    /// Whether the daemon places README.txt.
    pub enabled: bool,
    /// The host's own text, above the instructions.
    pub text: String,
}

impl Default for Readme {
    fn default() -> Self {
        Self { enabled: true, text: String::new() }
    }
}
