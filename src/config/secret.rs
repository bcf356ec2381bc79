//! Checks the modes of secret files, and removes secrets from error messages.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The reason why a secret file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The metadata of the file can't be read.
    #[error("cannot read the mode of {}, which [mail] password-file names", path.display())]
    Metadata { path: PathBuf, source: io::Error },
    /// Everybody on the host can read the file.
    #[error("{} contains a password and can be read by everybody", .0.display())]
    Exposed(PathBuf),
}

impl SecretError {
    /// Returns the next step for the sysadmin.
    pub fn hint(&self) -> String {
        match self {
            Self::Metadata { .. } => {
                "write the password on the first line of that file, or set password-file to \
                 another file"
                    .into()
            }
            Self::Exposed(path) => format!("chmod 0640 {}", path.display()),
        }
    }
}

/// Checks that `path` exists and that not everybody can read it.
pub(super) fn check_mode(path: &Path) -> Result<(), SecretError> {
    let metadata = std::fs::metadata(path)
        .map_err(|source| SecretError::Metadata { path: path.to_owned(), source })?;
    if metadata.mode() & 0o004 != 0 {
        return Err(SecretError::Exposed(path.to_owned()));
    }
    Ok(())
}

/// Removes secrets from a parser's message. For example, if `password = "…"` is an unknown key, the
/// parser's message quotes the line with the password.
pub(super) fn without_secrets(message: &str) -> String {
    let shown = message.lines().map(|line| match line.split_once('=') {
        Some((key, _)) if names_a_secret(key) => format!("{key}= …"),
        _ => line.to_owned(),
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passwd", "secret", "token"].iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn error_messages_do_not_contain_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for (text, part) in [
            ("[mail]\npassword = 'hunter2'\n", "password"),
            ("[mail]\nPassWord='hunter2'\n", "PassWord"),
            ("[webhooks]\nsecret = \"hunter2\n", "line 2"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Config::load(&path).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains(part), "{error}");
        }
        std::fs::write(&path, "[mail]\nfrm = 'x'\n").unwrap();
        assert!(Config::load(&path).unwrap_err().to_string().contains("frm = 'x'"));
    }

    #[test]
    fn a_world_readable_password_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let mut config = Config::default();
        config.check_secrets().unwrap();
        config.mail.password_file = Some(path.clone());
        assert!(matches!(config.check_secrets(), Err(SecretError::Metadata { .. })));
        std::fs::write(&path, "x").unwrap();
        for (mode, fits) in [(0o600, true), (0o640, true), (0o644, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(config.check_secrets().is_ok(), fits, "{mode:o}");
        }
    }
}
