//! Writes a growing file back to the disk and drops it from the page cache.
//!
//! By default the kernel keeps dirty pages until they are old or numerous (vm.dirty_*), and the
//! final sync waits for all of them. These files are not read soon, so their pages can be dropped
//! once they are on the disk.

use std::fs::File;

use nix::fcntl::{PosixFadviseAdvice::POSIX_FADV_DONTNEED, posix_fadvise};

/// The number of bytes between two requests to write a file to the disk.
const STEP: u64 = 4 << 20;

/// The progress of the requests to write one file to the disk.
#[derive(Debug, Default)]
pub struct Writeback {
    /// The length of the file at the last request, and at the request before it.
    requested: [u64; 2],
}

impl Writeback {
    /// Requests that the kernel writes `file` to the disk if the file grew by [`STEP`]. The file
    /// now has `length` bytes.
    pub fn advance(&mut self, file: &File, length: u64) {
        let [last, before] = self.requested;
        if length < last + STEP {
            return;
        }
        // The kernel starts to write dirty pages and drops clean ones. The pages of the previous
        // request are clean by now, so the range includes them. The result is ignored, as the
        // request is only advice.
        let range = (i64::try_from(before), i64::try_from(length - before));
        if let (Ok(start), Ok(bytes)) = range {
            let _ = posix_fadvise(file, start, bytes, POSIX_FADV_DONTNEED);
        }
        self.requested = [length, last];
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn write_back_keeps_the_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut file = File::create(&path).unwrap();
        let mut writeback = Writeback::default();
        let piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        for length in 1..=10 {
            file.write_all(&piece).unwrap();
            writeback.advance(&file, length << 20);
        }
        assert_eq!(writeback.requested, [8 << 20, 4 << 20]);
        let written = std::fs::read(&path).unwrap();
        assert!(written.len() == 10 << 20 && written.chunks(1 << 20).all(|chunk| chunk == piece));
    }
}
