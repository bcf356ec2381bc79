//! [`Layout`] contains the paths of account folders and of the spool. This module is pure.

use std::path::{Path, PathBuf};

use crate::account::AccountId;
use crate::config::Paths;
use crate::import_id::ImportId;

/// The name of the spool's folder. The spool is beside the account folders, so that a claim is a
/// rename. The name can't be an account's, because an account id can't begin with a dot.
pub(super) const SPOOL: &str = ".spool";

/// The name of the folder for uploads below the chroot of an account.
pub(super) const INCOMING: &str = "incoming";

/// The name of the data file in the spool.
pub(super) const DATA: &str = "data";

/// The name of the manifest in the spool.
pub(super) const MANIFEST: &str = "manifest";

/// The paths of all folders below the configured path `paths.accounts`.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Returns the layout of the folders for the configured paths.
    pub fn new(paths: &Paths) -> Self {
        Self { root: paths.accounts.clone() }
    }

    /// Returns the path of the folder that contains all account folders and the spool.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of an account's chroot.
    pub fn account(&self, account: &AccountId) -> PathBuf {
        self.root.join(account)
    }

    /// Returns the path of an account's folder for uploads.
    pub fn incoming(&self, account: &AccountId) -> PathBuf {
        self.account(account).join(INCOMING)
    }

    /// Returns the path of an account's folder for answers.
    pub fn results(&self, account: &AccountId) -> PathBuf {
        self.account(account).join("results")
    }

    /// Returns the path of the folder with the log socket of an account's sessions.
    pub fn dev(&self, account: &AccountId) -> PathBuf {
        self.account(account).join("dev")
    }

    /// Returns the path of the spool, which has one folder per claimed import.
    pub fn spool(&self) -> PathBuf {
        self.root.join(SPOOL)
    }

    /// Returns the path of the folder with the files of a claimed import.
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
