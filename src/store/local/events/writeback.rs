//! A file on its way to the disk: written back while it grows, and out of the page cache.
//!
//! Left alone, the kernel keeps what is written until it has aged, or much is dirty (vm.dirty_*),
//! and the sync at the end waits for all of it. Nobody reads these files soon, so their pages may go
//! as soon as they are on the disk.

use std::fs::File;

use nix::fcntl::{PosixFadviseAdvice::POSIX_FADV_DONTNEED, posix_fadvise};

/// How much is written between two requests, in bytes.
const STEP: u64 = 4 << 20;

/// How far the kernel was asked to write a file back.
#[derive(Debug, Default)]
pub struct Writeback {
    /// Up to where it was asked, and up to where before that.
    asked: [u64; 2],
}

impl Writeback {
    /// `file` holds `length` bytes by now, written from its start on.
    pub fn grown(&mut self, file: &File, length: u64) {
        let [last, before] = self.asked;
        if length < last + STEP {
            return;
        }
        // What is dirty begins to be written; what is on the disk by now, as what was asked for the
        // last time, is dropped. This is advice: refused, nothing is lost.
        let range = (i64::try_from(before), i64::try_from(length - before));
        if let (Ok(start), Ok(bytes)) = range {
            let _ = posix_fadvise(file, start, bytes, POSIX_FADV_DONTNEED);
        }
        self.asked = [length, last];
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_file_stays_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut file = File::create(&path).unwrap();
        let mut writeback = Writeback::default();
        let piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        for length in 1..=10 {
            file.write_all(&piece).unwrap();
            writeback.grown(&file, length << 20);
        }
        assert_eq!(writeback.asked, [8 << 20, 4 << 20]);
        let written = std::fs::read(&path).unwrap();
        assert!(written.len() == 10 << 20 && written.chunks(1 << 20).all(|chunk| chunk == piece));
    }
}
