//! sshd as accounts see it: its effective settings, and the address and host keys for partners.

mod address;

use std::path::Path;
use std::process::Command;

pub use address::{HostKey, ServerAddress};

/// The path of sshd on Debian, Red Hat and SUSE.
const PROGRAM: &str = "/usr/sbin/sshd";

/// Runs sshd with the configuration file `config`, and returns its output. The error is what it
/// printed on standard error.
pub fn run(config: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(PROGRAM);
    command.arg("-f").arg(config).args(arguments).env("LC_ALL", "C");
    let output = command.output().map_err(|error| format!("{PROGRAM}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Settings as `sshd -T` prints them: a keyword in lower case, then its value. Keywords can be
/// repeated.
#[derive(Clone, Debug, Default)]
pub struct EffectiveConfig(Vec<(String, String)>);

impl EffectiveConfig {
    pub fn parse(output: &str) -> Self {
        let lines = output.lines().filter_map(|line| line.split_once(' '));
        Self(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// Returns the first value of `keyword`, which must be in lower case, or `none`.
    pub fn get(&self, keyword: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == keyword);
        found.map_or("none", |(_, value)| value.as_str())
    }

    /// Returns every value of `keyword`.
    pub fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == keyword).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_output_of_sshd() {
        let effective =
            EffectiveConfig::parse("port 22\nallowgroups a\nallowgroups b\nloglevel INFO\n");
        assert_eq!(effective.get("loglevel"), "INFO");
        assert_eq!(effective.get("chrootdirectory"), "none");
        assert_eq!(effective.all("allowgroups").collect::<Vec<_>>(), ["a", "b"]);
    }
}
