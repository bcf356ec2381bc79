//! `[node]` and `[paths]`: what this host is called, and where everything of it lies.

use std::path::PathBuf;

use serde::Deserialize;

use crate::import_id::is_node_name;

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
    /// Holds `state.db` and `data/`; the daemon's user writes there.
    pub state: PathBuf,
    /// Holds `registry.db` and the locks of root's commands; root's alone.
    pub admin: PathBuf,
    /// Holds `keys.db`, which the authorized-keys helper reads; root's, for the helper's group.
    pub keys: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            accounts: "/srv/sftp-import".into(),
            state: "/var/lib/sftp-import".into(),
            admin: "/var/lib/sftp-import-admin".into(),
            keys: "/var/lib/sftp-import-keys".into(),
        }
    }
}

impl Paths {
    /// The state database.
    pub fn state_db(&self) -> PathBuf {
        self.state.join("state.db")
    }

    /// What the authorized-keys helper reads.
    pub fn keys_db(&self) -> PathBuf {
        self.keys.join("keys.db")
    }

    /// The local store.
    pub fn data(&self) -> PathBuf {
        self.state.join("data")
    }
}
