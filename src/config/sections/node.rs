//! The sections `[node]` and `[paths]` of the configuration file set the name and the folders of
//! this host.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use crate::import_id::is_node_name;

/// The section `[node]` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Node {
    /// The name of this host, which is the first part of every import id. The default is the host
    /// name.
    pub name: String,
    /// The address to which partners connect: a host name or IP address, and a port if it differs
    /// from sshd's port.
    pub address: Option<HostAddress>,
    /// The configuration file of the sshd that accounts log in to, if it is not the usual file.
    pub sshd_config: Option<PathBuf>,
}

/// A host name or IP address, with an optional port, such as `sftp.example.com:2222`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostAddress {
    host: String,
    port: Option<u16>,
}

impl HostAddress {
    /// Returns the host name or IP address. An IPv6 address has no brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for HostAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "must be a host name or an IP address, optionally with a port, such as \
                             sftp.example.com:2222";
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(str::parse).transpose().map_err(|_| WRONG)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_host = !host.is_empty() && !host.starts_with('-') && host.chars().all(is_name);
        if port == Some(0) || !(is_host || host.parse::<Ipv6Addr>().is_ok()) {
            return Err(WRONG);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl TryFrom<String> for HostAddress {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Default for Node {
    fn default() -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let short = host.as_deref().and_then(|name| name.split('.').next()).unwrap_or_default();
        let name = if is_node_name(short) { short } else { "node" };
        Self { name: name.to_owned(), address: None, sshd_config: None }
    }
}

/// The section `[paths]` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Paths {
    /// The folder that contains the chroots of all accounts, and the spool.
    pub accounts: PathBuf,
    /// The folder that contains `state.db` and `data/`. The daemon's user can write to the folder.
    pub state: PathBuf,
    /// The folder that contains `registry.db` and the locks of root's commands. Only root has
    /// access to this folder.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_an_optional_port() {
        for (text, host, port) in [
            ("sftp.example.com", "sftp.example.com", None),
            ("sftp.example.com:2222", "sftp.example.com", Some(2222)),
            ("192.0.2.7:22", "192.0.2.7", Some(22)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]:2222", "2001:db8::1", Some(2222)),
        ] {
            let address: HostAddress = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, port), "{text}");
        }
        let wrong = ["", ":22", "a b", "-oProxyCommand=x", "a:b", "a:0", "a:65536", "a/b", "[::1"];
        for text in wrong {
            assert!(text.parse::<HostAddress>().is_err(), "{text}");
        }
    }
}
