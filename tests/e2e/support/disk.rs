//! Small real disks: files with an ext4 file system, mounted by a loop device, or a tmpfs of that
//! size where the machine has no loop device to give. Unmounted when dropped, by a panic too; what
//! a killed run left mounted is unmounted by the next one (see `unix`).

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::support::host::text;
use crate::support::process::run;

/// Large enough for a profile database's pages and an upload, small enough to be filled quickly.
const MEGABYTES: u64 = 32;

/// A mounted disk.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    image: PathBuf,
}

impl Disk {
    /// Mounts a new disk at `folder`, which is made.
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

    /// Bytes that a user other than root can still write below `folder`.
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

/// Unmounts everything that is mounted at or below `root`, even if it is in use.
pub fn unmount_below(root: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    // The last mounted first.
    for point in
        points.map(Path::new).filter(|p| p.starts_with(root)).collect::<Vec<_>>().iter().rev()
    {
        run("umount", &["-l", text(point)]);
    }
}
