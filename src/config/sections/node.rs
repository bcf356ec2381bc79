//! `[node]` and `[paths]`: the name and the folders of this host.

use std::path::PathBuf;

use serde::Deserialize;

use crate::import_id::is_node_name;

/// The section `[node]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Node {
    /// The first part of every import id. The default is the host name.
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

/// The section `[paths]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Paths {
    /// The folder that contains the chroots of all accounts and the spool.
    pub accounts: PathBuf,
    /// The folder that contains `state.db` and `data/`. The daemon's user can write to the folder.
    pub state: PathBuf,
    /// The folder that contains `registry.db` and the locks of root's commands. Only root has
    /// access.
    pub admin: PathBuf,
    /// The folder that contains `keys.db`, which the authorized-keys helper reads. Root owns the
    /// folder, and the helper's group can read it.
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
