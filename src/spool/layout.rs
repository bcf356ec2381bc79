//! [`Layout`]: the paths of account folders and of the spool. Pure.

use std::path::{Path, PathBuf};

use crate::account::AccountId;
use crate::config::Paths;
use crate::import_id::ImportId;

/// The spool's folder, beside the account folders so that a claim is a rename. An account id cannot
/// begin with a dot.
pub(super) const SPOOL: &str = ".spool";

/// The folder for uploads, in an account's folder.
pub(super) const INCOMING: &str = "incoming";

/// The data file's name in the spool.
pub(super) const DATA: &str = "data";

/// The manifest's name in the spool.
pub(super) const MANIFEST: &str = "manifest";

/// The folders below `paths.accounts`.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout that the configuration names.
    pub fn new(paths: &Paths) -> Self {
        Self { root: paths.accounts.clone() }
    }

    /// The folder of all account folders and of the spool.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An account's chroot.
    pub fn account(&self, account: &AccountId) -> PathBuf {
        self.root.join(account)
    }

    /// The folder for an account's uploads.
    pub fn incoming(&self, account: &AccountId) -> PathBuf {
        self.account(account).join(INCOMING)
    }

    /// The folder for an account's answers.
    pub fn results(&self, account: &AccountId) -> PathBuf {
        self.account(account).join("results")
    }

    /// The folder of the socket to which an account's sessions log.
    pub fn dev(&self, account: &AccountId) -> PathBuf {
        self.account(account).join("dev")
    }

    /// The folder with one subfolder per claimed import.
    pub fn spool(&self) -> PathBuf {
        self.root.join(SPOOL)
    }

    /// The folder of a claimed import's files.
    pub fn spooled(&self, import: &ImportId) -> PathBuf {
        self.spool().join(import)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_accounts_folder() {
        let layout = Layout::new(&Paths { accounts: "/srv/x".into(), ..Paths::default() });
        let account = "TEST-1".parse().unwrap();
        assert_eq!(layout.incoming(&account), Path::new("/srv/x/TEST-1/incoming"));
        assert_eq!(layout.results(&account), Path::new("/srv/x/TEST-1/results"));
        let import = "sftp1-42".parse().unwrap();
        assert_eq!(layout.spooled(&import), Path::new("/srv/x/.spool/sftp1-42"));
        assert!(SPOOL.parse::<AccountId>().is_err());
    }
}
