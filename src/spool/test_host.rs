//! [`TestHost`] contains the folders of a host with one account, for the tests of the spool.

use std::fs::File;
use std::path::PathBuf;

use super::incoming::entry::DirEntry;
use super::incoming::listing::IncomingListing;
use super::incoming::scan::Incoming;
use super::layout::Layout;
use super::opener::Opener;
use crate::account::AccountId;
use crate::config::{Config, Paths};
use crate::files::dir::Folder;
use crate::import_id::ImportId;
use crate::sys::ReadLease;

/// A temporary folder that contains the folders of all accounts. The folder is removed on drop.
pub(super) struct TestHost {
    _root: tempfile::TempDir,
    pub(super) layout: Layout,
    pub(super) opener: Opener,
    pub(super) account: AccountId,
    pub(super) import: ImportId,
}

impl TestHost {
    pub(super) fn new() -> Self {
        Self::below(tempfile::tempdir().unwrap())
    }

    /// Creates a test host in /dev/shm if /dev/shm exists. A file system in memory is faster for
    /// tests with many files.
    pub(super) fn roomy() -> Self {
        Self::below(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn below(root: tempfile::TempDir) -> Self {
        let paths = Paths { accounts: root.path().into(), ..Paths::default() };
        let config = Config { paths, ..Config::default() };
        let (layout, opener) = (Layout::new(&config.paths), Opener::in_process(&config));
        std::fs::create_dir(layout.spool()).unwrap();
        let account: AccountId = "TEST-ABC-123Z".parse().unwrap();
        let import = "sftp1-42".parse().unwrap();
        let host = Self { _root: root, layout, opener, account, import };
        host.add_account(&host.account);
        host
    }

    pub(super) fn add_account(&self, account: &AccountId) {
        std::fs::create_dir_all(self.layout.incoming(account)).unwrap();
        std::fs::create_dir_all(self.layout.results(account)).unwrap();
    }

    pub(super) fn incoming(&self) -> PathBuf {
        self.layout.incoming(&self.account)
    }

    pub(super) fn results(&self) -> PathBuf {
        self.layout.results(&self.account)
    }

    pub(super) fn spooled(&self) -> PathBuf {
        self.layout.spooled(&self.import)
    }

    /// Creates a file in the account's incoming.
    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.incoming().join(name);
        std::fs::write(&path, content).unwrap();
        self.closed(name);
        path
    }

    /// Waits until no process has the file open for writing. A child process that another test
    /// forked keeps copies of this process's handles until its exec.
    pub(super) fn closed(&self, name: &str) {
        let path = self.incoming().join(name);
        while ReadLease::take(File::open(&path).unwrap()).is_err() {
            std::thread::yield_now();
        }
    }

    pub(super) fn open(&self) -> Incoming {
        Incoming::open(&self.layout, &self.account, &self.opener).unwrap()
    }

    /// Returns the entry of incoming with the name `name`.
    pub(super) fn entry(&self, name: &str) -> DirEntry {
        self.list(usize::MAX).entries.into_iter().find(|entry| entry.name == name).unwrap()
    }

    pub(super) fn list(&self, max_files: usize) -> IncomingListing {
        let folder = Folder::open(&self.incoming()).unwrap();
        IncomingListing::read(&folder, max_files).unwrap()
    }

    /// Returns the sorted names in a folder of the account, including hidden names.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let listing = std::fs::read_dir(self.layout.account(&self.account).join(folder)).unwrap();
        let mut names: Vec<_> =
            listing.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
