//! What must be so before the first upload: said at the start, with the fix, not at that upload.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use crate::config::Paths;
use crate::spool::Layout;
use crate::state::{Alone, NotAlone};

/// How long a sidecar that is ending may take to let go of the lock: one that was killed is still
/// a process for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why this process can't be the sidecar.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A folder of the package's is missing.
    #[error(
        "there is no folder {}; `systemd-tmpfiles --create sftp-import.conf` makes it, \
         as the package does", path.display()
    )]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A folder can't be looked at.
    #[error("cannot look at {}", path.display())]
    Look {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Started as somebody else.
    #[error(
        "{} belongs to the user with id {owner}, and this runs as {us}; \
         `systemctl start sftp-importd` starts it as the right one", path.display()
    )]
    OtherUser {
        /// The spool.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// A claim could not be a rename.
    #[error("{} and {} must lie on one file system", accounts.display(), spool.display())]
    TwoFileSystems {
        /// The accounts' folder.
        accounts: PathBuf,
        /// The spool.
        spool: PathBuf,
    },
    /// Uploads of mode 0600 could not be read, or nobody could tell whether they are whole.
    #[error(
        "the capability {0} is missing; \
         the unit's AmbientCapabilities= and CapabilityBoundingSet= give it"
    )]
    Capability(&'static str),
    /// Somebody else has the state folder.
    #[error(transparent)]
    NotAlone(#[from] NotAlone),
}

/// Finds that this process can be the sidecar, and the only one on its state folder.
///
/// # Errors
/// The first thing that is in the way.
pub fn check(paths: &Paths) -> Result<Alone, Unfit> {
    let spool = Layout::new(paths).spool();
    let root = look(&paths.accounts)?;
    let metadata = look(&spool)?;
    look(&paths.state)?;
    let us = geteuid().as_raw();
    if metadata.uid() != us {
        return Err(Unfit::OtherUser { path: spool, owner: metadata.uid(), us });
    }
    if metadata.dev() != root.dev() {
        return Err(Unfit::TwoFileSystems { accounts: paths.accounts.clone(), spool });
    }
    // Without /proc nobody can tell; then the first claim does.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(capability) = missing_capability(&status) {
        return Err(Unfit::Capability(capability));
    }
    Ok(Alone::take(&paths.state, PATIENCE)?)
}

fn look(path: &Path) -> Result<fs::Metadata, Unfit> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(metadata),
        Ok(_) => Err(Unfit::Missing { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Unfit::Missing { path: path.to_owned() })
        }
        Err(source) => Err(Unfit::Look { path: path.to_owned(), source }),
    }
}

/// The first capability that an effective set lacks, by /proc/self/status (proc_pid_status(5)).
fn missing_capability(status: &str) -> Option<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let set = u64::from_str_radix(line.trim(), 16).ok()?;
    let has = |number: u32| set & (1 << number) != 0;
    // Numbers of <linux/capability.h>.
    const DAC_OVERRIDE: u32 = 1;
    const DAC_READ_SEARCH: u32 = 2;
    const LEASE: u32 = 28;
    if !has(DAC_READ_SEARCH) && !has(DAC_OVERRIDE) {
        return Some("CAP_DAC_READ_SEARCH");
    }
    (!has(LEASE)).then_some("CAP_LEASE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> (tempfile::TempDir, Paths) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths {
            accounts: folder.path().join("srv"),
            state: folder.path().join("var"),
            ..Paths::default()
        };
        fs::create_dir_all(Layout::new(&paths).spool()).unwrap();
        fs::create_dir(&paths.state).unwrap();
        (folder, paths)
    }

    #[test]
    fn missing_folders_are_named_with_the_fix() {
        let (_folder, paths) = host();
        for folder in [Layout::new(&paths).spool(), paths.state.clone()] {
            fs::remove_dir(&folder).unwrap();
            let error = check(&paths).unwrap_err();
            assert!(matches!(&error, Unfit::Missing { path } if *path == folder), "{error}");
            assert!(error.to_string().contains("systemd-tmpfiles"), "{error}");
            fs::create_dir(&folder).unwrap();
        }
    }

    #[test]
    fn another_users_spool_is_refused() {
        if !geteuid().is_root() {
            return; // only root can give a folder away
        }
        let (_folder, paths) = host();
        let spool = Layout::new(&paths).spool();
        std::os::unix::fs::chown(&spool, Some(4711), None).unwrap();
        let error = check(&paths).unwrap_err();
        assert!(matches!(error, Unfit::OtherUser { owner: 4711, us: 0, .. }), "{error}");
    }

    #[test]
    fn capabilities_are_read_as_the_kernel_writes_them() {
        let of = |set: &str| missing_capability(&format!("Name:\tx\nCapEff:\t{set}\nSeccomp:\t0"));
        assert_eq!(of("000001ffffffffff"), None);
        assert_eq!(of("0000000010000004"), None);
        assert_eq!(of("0000000010000002"), None, "root's way past modes does as well");
        assert_eq!(of("0000000000000004"), Some("CAP_LEASE"));
        assert_eq!(of("0000000010000000"), Some("CAP_DAC_READ_SEARCH"));
        assert_eq!(missing_capability(""), None);
    }
}
