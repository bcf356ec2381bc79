//! Restricts the privileges of the daemon's two processes. The daemon has no capability, and the
//! opener process has two.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
};
use nix::sys::prctl;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
};

/// Closes this process's files in /proc (memory, descriptors, environment) to other processes of
/// its user, and prevents programs that it runs from gaining privileges.
pub fn harden() -> io::Result<()> {
    prctl::set_dumpable(false)?;
    prctl::set_no_new_privs()?;
    Ok(())
}

/// Drops every capability that is not in `kept`, for this thread and for the threads that it starts
/// later. Returns the remaining capabilities.
pub fn drop_all_except(kept: CapabilitySet) -> io::Result<CapabilitySet> {
    let kept = capabilities(None)?.permitted.intersection(kept);
    clear_ambient_capability_set()?;
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable })?;
    Ok(kept)
}

/// Confines this thread, and threads that it starts later, to reading below `folder`, if the kernel
/// has Landlock (landlock(7)). They can't open any other file, regardless of user and capabilities.
pub fn confine_to(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V3))?.create()?;
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    ruleset.add_rule(PathBeneath::new(PathFd::new(folder)?, reading))?.restrict_self()?;
    Ok(())
}

/// Returns the first line of `status` that shows a capability or more than one thread. `status` is
/// the content of /proc/self/status (proc_pid_status(5)), which doesn't show the capabilities of
/// other threads.
pub fn remaining_privilege(status: &str) -> Option<String> {
    const EXPECTED: [(&str, u64); 5] =
        [("CapInh", 0), ("CapPrm", 0), ("CapEff", 0), ("CapAmb", 0), ("Threads", 1)];
    EXPECTED.into_iter().find_map(|(name, expected)| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = line.unwrap_or_default().trim();
        (u64::from_str_radix(value, 16) != Ok(expected)).then(|| format!("{name}: {value}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nThreads:\t1\nCapInh:\t0000000000000000\n\
        CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000010000004\n\
        CapAmb:\t0000000000000000\n";

    #[test]
    fn any_remaining_capability_is_found() {
        assert_eq!(remaining_privilege(STATUS), None);
        for field in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            let (none, two) = (format!("{field}:\t0000000000000000"), format!("{field}: 10000004"));
            assert_eq!(remaining_privilege(&STATUS.replace(&none, &two)), Some(two));
        }
        assert_eq!(
            remaining_privilege(&STATUS.replace("Threads:\t1", "Threads:\t2")).unwrap(),
            "Threads: 2"
        );
        assert_eq!(remaining_privilege("").unwrap(), "CapInh: ");
    }

    /// The test runs in its own thread, because the confinement applies to a thread.
    #[test]
    fn a_confined_thread_cannot_open_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "x").unwrap();
        let confined = || {
            confine_to(folder.path()).unwrap();
            std::fs::read(&path).unwrap();
            for other in ["/etc/passwd", "/proc/self/status", "/etc"] {
                let error = std::fs::File::open(other).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{other}");
            }
            assert!(std::fs::write(&path, "y").is_err(), "the thread may only read");
        };
        std::thread::scope(|scope| scope.spawn(confined).join()).unwrap();
    }

    /// The test runs in its own thread, because capabilities belong to a thread.
    #[test]
    fn a_thread_keeps_only_the_named_capabilities() {
        let of_thread = || {
            let two = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::LEASE;
            let had = capabilities(None).unwrap().permitted;
            let kept = drop_all_except(two).unwrap();
            assert_eq!(kept, had.intersection(two));
            let sets = capabilities(None).unwrap();
            assert_eq!((sets.effective, sets.permitted), (kept, kept));
            assert!(sets.inheritable.is_empty());
            assert!(drop_all_except(CapabilitySet::empty()).unwrap().is_empty());
            assert!(
                drop_all_except(two).unwrap().is_empty(),
                "dropped capabilities can't be regained"
            );
        };
        std::thread::spawn(of_thread).join().unwrap();
    }
}
