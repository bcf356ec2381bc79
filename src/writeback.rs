//! Large files that will be synced: written back while they grow, and out of the page cache.
//!
//! Left alone, the kernel keeps what is written until half a minute has passed or a tenth of the
//! memory is dirty. Then whoever syncs waits for all of it, and whoever writes pays for making room.
//! Nobody reads these files soon, so their pages may go as soon as they are on the disk.

use std::fs::File;
use std::io::{self, Write};

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
        // last time, is dropped. This is advice: without it everything takes longer.
        let range = (i64::try_from(before), i64::try_from(length - before));
        if let (Ok(start), Ok(bytes)) = range {
            let _ = posix_fadvise(file, start, bytes, POSIX_FADV_DONTNEED);
        }
        self.asked = [length, last];
    }
}

/// A new file that is only appended to.
#[derive(Debug)]
pub struct Growing {
    file: File,
    length: u64,
    writeback: Writeback,
}

impl Growing {
    /// `file` is empty.
    pub fn new(file: File) -> Self {
        Self { file, length: 0, writeback: Writeback::default() }
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        self.writeback.grown(&self.file, self.length);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_the_file_and_what_was_asked_twice_may_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut growing = Growing::new(File::create(&path).unwrap());
        let piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        for _ in 0..10 {
            growing.write_all(&piece).unwrap();
        }
        assert_eq!(growing.writeback.asked, [8 << 20, 4 << 20]);
        drop(growing);
        let file = std::fs::read(&path).unwrap();
        assert!(file.len() == 10 << 20 && file.chunks(1 << 20).all(|chunk| chunk == piece));
    }
}
