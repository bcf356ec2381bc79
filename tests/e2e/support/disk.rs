//! Small disks for tests. A disk is a file with an ext4 file system that is mounted by a loop
//! device. On a machine without a free loop device it is a tmpfs of the same size. Disks are
//! unmounted on drop, even after a panic. Disks that a killed run left mounted are unmounted by the
//! next run (see `unix`).

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::support::host::text;
use crate::support::process::run;

/// The size of a disk in MB. It is large enough for a profile database and an upload, and small
/// enough to be filled quickly.
const MEGABYTES: u64 = 32;

/// A mounted disk.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    image: PathBuf,
}

impl Disk {
    /// Creates the folder `folder` and mounts a new disk on it.
    pub fn mount(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let image = folder.with_extension("disk");
        std::fs::File::create(&image).unwrap().set_len(MEGABYTES << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", "-m", "0", text(&image)]).ok();
        let mounted = run("mount", &["-o", "loop", text(&image), text(folder)]);
        if mounted.code != Some(0) {
            eprintln!("no loop device, a tmpfs instead: {}", mounted.stderr.trim());
            let size = format!("size={MEGABYTES}m,mode=0755");
            run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text(folder)]).ok();
        }
        let disk = Self { folder: folder.to_owned(), image };
        let _ = std::fs::remove_dir(folder.join("lost+found"));
        disk
    }

    /// Returns the number of bytes that a user other than root can still write below `folder`.
    pub fn free(folder: &Path) -> u64 {
        let stat = statvfs(folder).unwrap();
        stat.blocks_available() * stat.fragment_size()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount_below(&self.folder);
        let _ = std::fs::remove_file(&self.image);
    }
}

/// Unmounts all file systems at or below `root`, even if they are in use.
pub fn unmount_below(root: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    // The file system that was mounted last is unmounted first.
    for point in
        points.map(Path::new).filter(|p| p.starts_with(root)).collect::<Vec<_>>().iter().rev()
    {
        run("umount", &["-l", text(point)]);
    }
}
