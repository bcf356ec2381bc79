//! The sshd that accounts log in to: its effective settings, and the address and host keys for
//! partners.

mod address;

use std::path::Path;
use std::process::Command;

pub use address::{HostKey, ServerAddress};

use crate::config::Node;

/// The path of the sshd program on Debian, Red Hat and SUSE.
const PROGRAM: &str = "/usr/sbin/sshd";
/// The path of the configuration of the host's sshd.
const HOST_CONFIG: &str = "/etc/ssh/sshd_config";
/// The path of the drop-in with which accounts can log in to the host's sshd.
const DROP_IN: &str = "/etc/ssh/sshd_config.d/50-sftp-import.conf";
/// The path of the configuration of the dedicated sshd.
const DEDICATED_CONFIG: &str = "/etc/sftp-import/sshd_config";

/// Returns the configuration file of the sshd that accounts log in to. This is the file that `node`
/// names. If `node` names none, it is the host's file, or the dedicated sshd's file if the host's
/// sshd has no drop-in.
pub fn config_for_accounts(node: &Node) -> &Path {
    if let Some(path) = &node.sshd_config {
        return path;
    }
    let is_dedicated = !Path::new(DROP_IN).exists() && Path::new(DEDICATED_CONFIG).exists();
    Path::new(if is_dedicated { DEDICATED_CONFIG } else { HOST_CONFIG })
}

/// Runs sshd with the configuration file `config`, and returns its output. The error is the text
/// that sshd printed on standard error.
pub fn run(config: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(PROGRAM);
    command.arg("-f").arg(config).args(arguments).env("LC_ALL", "C");
    let output = command.output().map_err(|error| format!("{PROGRAM}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The settings that `sshd -T` prints. Each setting is a keyword in lower case and its value. A
/// keyword can occur several times.
#[derive(Clone, Debug, Default)]
pub struct EffectiveConfig(Vec<(String, String)>);

impl EffectiveConfig {
    pub fn parse(output: &str) -> Self {
        let lines = output.lines().filter_map(|line| line.split_once(' '));
        Self(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// Returns the first value of the setting `keyword`, which must be in lower case. Returns
    /// `none` if the setting has no value.
    pub fn get(&self, keyword: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == keyword);
        found.map_or("none", |(_, value)| value.as_str())
    }

    /// Returns all values of the setting `keyword`.
    pub fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == keyword).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshd_output_is_parsed() {
        let effective =
            EffectiveConfig::parse("port 22\nallowgroups a\nallowgroups b\nloglevel INFO\n");
        assert_eq!(effective.get("loglevel"), "INFO");
        assert_eq!(effective.get("chrootdirectory"), "none");
        assert_eq!(effective.all("allowgroups").collect::<Vec<_>>(), ["a", "b"]);
    }
}
