//! `[node]` and `[paths]`: the name of this host, and its folders.

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
    /// Contains every account's chroot and the spool.
    pub accounts: PathBuf,
    /// Contains `state.db` and `data/`. The daemon's user writes there.
    pub state: PathBuf,
    /// Contains `registry.db` and the locks of root's commands. Only root has access.
    pub admin: PathBuf,
    /// Contains `keys.db`, which the authorized-keys helper reads. Owned by root, readable by the
    /// helper's group.
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
    /// Returns the path of the state database.
    pub fn state_db(&self) -> PathBuf {
        self.state.join("state.db")
    }

    /// Returns the path of the database that the authorized-keys helper reads.
    pub fn keys_db(&self) -> PathBuf {
        self.keys.join("keys.db")
    }

    /// Returns the folder of the local store.
    pub fn data(&self) -> PathBuf {
        self.state.join("data")
    }
}
