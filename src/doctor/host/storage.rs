//! Checks the disks and file systems of the accounts' folder and the state folder.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::sys::statfs::{FsType, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::config::Config;
use crate::doctor::finding::{Finding, Level};
use crate::files::owner::Owner;
use crate::spool::Layout;
use crate::sys::{LeaseError, ReadLease};

const FILE_SYSTEMS: &str = "file-systems";
const LEASES: &str = "leases";
const SPACE: &str = "free-space";

/// The percentage of free blocks or inodes below which the check warns.
const LOW_PERCENT: u64 = 10;
/// The percentage of free inodes below which the check fails.
const CRITICAL_PERCENT: u64 = 2;

/// Facts about the file system that contains a folder.
#[derive(Clone, Debug)]
struct Disk {
    path: PathBuf,
    device: u64,
    kind: &'static str,
    is_network: bool,
    is_read_only: bool,
    free: u64,
    size: u64,
    free_inodes: u64,
    inodes: u64,
}

/// Checks the file systems, the free space and the leases.
pub fn check(config: &Config) -> Vec<Finding> {
    let layout = Layout::new(&config.paths);
    let folders = [layout.root().to_owned(), layout.spool(), config.paths.state.clone()];
    let disks = folders.each_ref().map(|folder| Disk::read(folder));
    let [Ok(accounts), Ok(spool), Ok(state)] = &disks else {
        let failed =
            folders.iter().zip(disks).filter_map(|(folder, disk)| Some((folder, disk.err()?)));
        return failed.map(|(folder, error)| missing(folder, &error)).collect();
    };
    let mut findings = judge_file_systems(accounts, spool, state);
    let spaces = [accounts, state].into_iter().filter_map(|disk| judge_space(disk, config));
    let free = ByteSize::b(accounts.free.min(state.free));
    findings.extend(Finding::faults_or_ok(
        spaces,
        SPACE,
        format!("each disk has at least {free} free"),
    ));
    findings.push(judge_lease(try_lease(&layout.spool())));
    findings
}

fn missing(folder: &Path, error: &io::Error) -> Finding {
    Finding::fail(FILE_SYSTEMS, format!("{}: {error}", folder.display()))
        .log("there is no folder")
        .fix("systemd-tmpfiles --create sftp-import.conf")
}

impl Disk {
    fn read(path: &Path) -> io::Result<Self> {
        let (space, file_system) = (statvfs(path)?, statfs(path)?);
        let (kind, is_network) = name_file_system(file_system.filesystem_type());
        Ok(Self {
            path: path.to_owned(),
            device: fs::metadata(path)?.dev(),
            kind,
            is_network,
            is_read_only: space.flags().contains(FsFlags::ST_RDONLY),
            free: space.blocks_available() * space.fragment_size(),
            size: space.blocks() * space.fragment_size(),
            free_inodes: space.files_available(),
            inodes: space.files(),
        })
    }
}

/// Returns a file system's name, and whether other machines can write to it. inotify does not
/// report changes by other machines, and leases depend on the server. statfs(2) has the numbers.
fn name_file_system(kind: FsType) -> (&'static str, bool) {
    match kind.0 {
        0x6969 => ("NFS", true),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => ("SMB", true),
        0x6573_5546 => ("FUSE", true),
        0x00c3_6400 => ("CephFS", true),
        0x0bd0_0bd0 => ("Lustre", true),
        0x0102_1997 => ("9P", true),
        0x0102_1994 => ("tmpfs", false),
        _ => ("local", false),
    }
}

fn judge_file_systems(accounts: &Disk, spool: &Disk, state: &Disk) -> Vec<Finding> {
    let mut found = Vec::new();
    if accounts.device != spool.device {
        let (a, s) = (accounts.path.display(), spool.path.display());
        let message = format!("{a} and {s} are on two file systems, but a claim is a rename");
        let fix = format!("`umount {s}`, or mount one file system at {a}");
        let log = "must be on one file system";
        found.push(Finding::fail(FILE_SYSTEMS, message).log(log).fix(fix));
    }
    for disk in [accounts, state] {
        let path = disk.path.display();
        if disk.is_read_only {
            let message = format!("{path} is mounted read-only");
            let fix = format!("`dmesg` shows why; then run `mount -o remount,rw {path}`");
            let log = "Read-only file system";
            found.push(Finding::fail(FILE_SYSTEMS, message).log(log).fix(fix));
        }
        if disk.is_network {
            let message = format!(
                "{path} is on a file system of type {}: uploads from other machines cause no \
                 inotify events",
                disk.kind
            );
            let fix = "use a local disk, or shorten pairing.rescan-every; leases may not work";
            found.push(Finding::warn(FILE_SYSTEMS, message).fix(fix));
        }
        if disk.kind == "tmpfs" {
            let message = format!("{path} is in memory (tmpfs): a reboot deletes everything");
            found.push(Finding::warn(FILE_SYSTEMS, message).fix("mount a disk on this folder"));
        }
    }
    Finding::faults_or_ok(found, FILE_SYSTEMS, "accounts and spool share a local file system")
}

/// Judges the free space of a disk. Returns `None` if the disk has enough free space.
fn judge_space(disk: &Disk, config: &Config) -> Option<Finding> {
    let path = disk.path.display();
    let floor = config.imports.free_space_floor;
    if disk.free < floor.bytes() {
        let free = ByteSize::b(disk.free);
        let message = format!(
            "{path} has {free} free, which is less than imports.free-space-floor: the queue is held"
        );
        let fix = format!("delete files or enlarge the disk; `df -h {path}` shows the free space");
        return Some(Finding::fail(SPACE, message).log("the queue is held").fix(fix));
    }
    let share = |part: u64, all: u64| (part * 100).checked_div(all).unwrap_or(100);
    let blocks = share(disk.free, disk.size);
    let inodes = share(disk.free_inodes, disk.inodes);
    let largest = config.limits.max_data_file.bytes();
    let message = match (blocks.min(inodes), inodes < blocks) {
        (percent, true) if percent < LOW_PERCENT => {
            format!("{path} has only {percent} % of its inodes free")
        }
        (percent, _) if percent < LOW_PERCENT => {
            format!("{path} has only {} free, which is {percent} %", ByteSize::b(disk.free))
        }
        _ if disk.free < largest => {
            let (free, largest) = (ByteSize::b(disk.free), ByteSize::b(largest));
            format!(
                "{path} has {free} free, which is less than the maximum size of a data file ({largest})"
            )
        }
        _ => return None,
    };
    // For blocks, the configured floor decides whether the check fails.
    let level = if inodes < CRITICAL_PERCENT { Level::Fail } else { Level::Warn };
    let fix =
        format!("delete files or enlarge the disk; `df -h {path}` and `df -i {path}` show the use");
    Some(Finding::new(SPACE, level, message).log("No space left on device").fix(fix))
}

/// Takes a lease on a new file in the spool, as a claim does on a data file.
fn try_lease(spool: &Path) -> Result<(), LeaseError> {
    // The file is created as the owner of the spool, who can write to it.
    let rights = Owner::of(spool).and_then(Owner::assume);
    let _rights = rights.map_err(LeaseError::Other)?;
    let path = spool.join(format!(".doctor-{}", std::process::id()));
    let open = || File::options().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(&path);
    let made = File::create_new(&path).map(drop).and_then(|()| open());
    let lease = made.map_err(LeaseError::Other).and_then(ReadLease::take);
    // The error is ignored, because the file may not have been created.
    let _ = fs::remove_file(&path);
    lease.map(drop)
}

fn judge_lease(lease: Result<(), LeaseError>) -> Finding {
    match lease {
        Ok(()) => Finding::ok(LEASES, "the spool's file system supports leases"),
        Err(error @ LeaseError::Unsupported(_)) => {
            let message = format!("{error}: only the manifest shows that a data file is complete");
            Finding::warn(LEASES, message).fix("use a local file system: ext4, XFS, btrfs or ZFS")
        }
        Err(error) => Finding::fail(LEASES, crate::sanitize::chain(&error))
            .log("cannot take a lease")
            .fix("check that /proc/sys/fs/leases-enable is 1 and that the spool can be written"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Disk {
        Disk {
            path: "/srv/x".into(),
            device: 1,
            kind: "local",
            is_network: false,
            is_read_only: false,
            free: 500_000_000_000,
            size: 1_000_000_000_000,
            free_inodes: 50,
            inodes: 100,
        }
    }

    fn first(accounts: Disk) -> Finding {
        judge_file_systems(&accounts, &disk(), &disk()).remove(0)
    }

    #[test]
    fn reports_each_fault_of_a_file_system() {
        assert_eq!(first(disk()).level, Level::Ok);
        assert_eq!(first(Disk { device: 2, ..disk() }).log.unwrap(), "must be on one file system");
        assert_eq!(first(Disk { is_read_only: true, ..disk() }).level, Level::Fail);
        let network = first(Disk { is_network: true, kind: "NFS", ..disk() });
        assert!(network.message.contains("of type NFS"), "{}", network.message);
        assert!(first(Disk { kind: "tmpfs", ..disk() }).message.contains("reboot"));
        assert_eq!(name_file_system(FsType(0x6969)), ("NFS", true));
        assert_eq!(name_file_system(FsType(0xef53)), ("local", false));
    }

    #[test]
    fn reports_low_free_space_and_few_inodes() {
        let config = Config::default();
        let of = |disk| judge_space(&disk, &config);
        assert_eq!(of(disk()), None);
        assert_eq!(
            of(Disk { inodes: 0, free_inodes: 0, ..disk() }),
            None,
            "btrfs counts no inodes"
        );
        let little = of(Disk { free: 50_000_000_000, ..disk() }).unwrap();
        assert_eq!((little.level, little.message.ends_with("5 %")), (Level::Warn, true));
        let none = of(Disk { free_inodes: 1, ..disk() }).unwrap();
        assert_eq!((none.level, none.message.contains("inodes")), (Level::Fail, true));
        let held = of(Disk { free: 400_000_000, ..disk() }).unwrap();
        assert_eq!((held.level, held.log.as_deref()), (Level::Fail, Some("the queue is held")));
        let small = of(Disk { free: 4_000_000_000, size: 8_000_000_000, ..disk() }).unwrap();
        assert!(
            small.message.contains("less than the maximum size of a data file"),
            "{}",
            small.message
        );
    }

    #[test]
    fn trying_a_lease_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(judge_lease(try_lease(folder.path())).level, Level::Ok);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let unsupported = LeaseError::Unsupported(io::ErrorKind::Unsupported.into());
        assert_eq!(judge_lease(Err(unsupported)).level, Level::Warn);
        assert_eq!(judge_lease(try_lease(Path::new("/nonexistent"))).level, Level::Fail);
    }
}
