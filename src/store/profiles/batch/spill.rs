//! Spills bytes that exceed a memory limit to an unlinked file.
//!
//! The file is created by the first spill. The kernel frees it when the process ends, also after a
//! crash. Bytes are read back in the order in which they were pushed.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::files::durable;
use crate::files::error::IoError;

/// A temporary file for records that do not fit into memory. Several [`Spill`]s share the file.
#[derive(Debug)]
pub struct SpillFile {
    path: PathBuf,
    file: Option<File>,
    end: u64,
}

/// A queue of bytes. The first bytes of the queue are in the spill file, and the last bytes are in
/// memory.
#[derive(Debug, Default)]
pub struct Spill {
    written: VecDeque<Extent>,
    /// The last bytes of the queue, which are in memory. Only whole records may be appended.
    pub buffer: Vec<u8>,
}

/// The position and the length of a part of the spill file, in bytes.
#[derive(Clone, Copy, Debug)]
struct Extent {
    start: u64,
    len: usize,
}

impl SpillFile {
    /// Creates a spill file. `path` is the name under which the file is created before it is
    /// unlinked. No other value may use this name.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, end: 0 }
    }

    /// Truncates the spill file. Every [`Spill`] must have read all its bytes from the file.
    pub fn clear(&mut self) -> Result<(), IoError> {
        self.end = 0;
        let truncated = self.file.as_ref().map_or(Ok(()), |file| file.set_len(0));
        truncated.map_err(IoError::of("truncate", &self.path))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<Extent, IoError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(durable::create_nameless(&self.path)?),
        };
        file.write_all_at(bytes, self.end).map_err(IoError::of("write", &self.path))?;
        let extent = Extent { start: self.end, len: bytes.len() };
        self.end += bytes.len() as u64;
        Ok(extent)
    }

    fn read(&self, extent: Extent, out: &mut Vec<u8>) -> Result<(), IoError> {
        let Some(file) = &self.file else { return Ok(()) };
        let before = out.len();
        out.resize(before + extent.len, 0);
        file.read_exact_at(&mut out[before..], extent.start)
            .map_err(IoError::of("read", &self.path))
    }
}

impl Spill {
    pub const NONE: Self = Self { written: VecDeque::new(), buffer: Vec::new() };

    /// Writes the buffer to the spill file if the buffer has at least `limit` bytes.
    pub fn spill_above(&mut self, limit: usize, file: &mut SpillFile) -> Result<(), IoError> {
        if self.buffer.len() < limit {
            return Ok(());
        }
        self.written.push_back(file.append(&self.buffer)?);
        self.buffer.clear();
        Ok(())
    }

    /// Writes the whole buffer to the spill file and frees the buffer's memory.
    pub fn spill_all(&mut self, file: &mut SpillFile) -> Result<(), IoError> {
        self.spill_above(1, file)?;
        self.buffer = Vec::new();
        Ok(())
    }

    /// Takes the first spilled pieces: at least one, and up to `limit` bytes in all. After the last
    /// piece, takes the buffer as well if it fits. `None` if the queue is empty.
    pub fn take(&mut self, file: &SpillFile, limit: usize) -> Result<Option<Vec<u8>>, IoError> {
        let mut bytes = Vec::new();
        let fits = |len, before| before == 0 || before + len <= limit;
        while let Some(&extent) = self.written.front()
            && fits(extent.len, bytes.len())
        {
            self.written.pop_front();
            file.read(extent, &mut bytes)?;
        }
        if bytes.is_empty() {
            bytes = std::mem::take(&mut self.buffer);
        } else if self.written.is_empty() && fits(self.buffer.len(), bytes.len()) {
            bytes.append(&mut self.buffer);
        }
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.buffer.is_empty()
    }

    /// Returns the number of bytes of the queue, in the file and in memory.
    pub fn len(&self) -> usize {
        self.written.iter().map(|extent| extent.len).sum::<usize>() + self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn fill_spill(limit: usize, file: &mut SpillFile) -> Spill {
        let mut spill = Spill::default();
        for n in 0..100_u8 {
            spill.buffer.extend([n; 3]);
            spill.spill_above(limit, file).unwrap();
        }
        spill
    }

    #[test]
    fn bytes_keep_their_order_in_an_unlinked_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = SpillFile::new(folder.path().join("file"));
        let expected: Vec<_> = (0..100_u8).flat_map(|n| [n; 3]).collect();
        for _ in 0..2 {
            for (limit, most) in [(1, 1), (1, 7), (10, 100), (100, 1), (299, 1 << 20), (500, 1)] {
                let mut spill = fill_spill(limit, &mut file);
                assert_eq!(spill.len(), 300);
                let read = iter::from_fn(|| spill.take(&file, most).unwrap());
                let read: Vec<_> = read.collect();
                assert!(read.iter().all(|bytes| !bytes.is_empty()));
                assert_eq!(read.concat(), expected, "{limit} {most}");
            }
            assert!(file.file.is_some());
            file.clear().unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn pieces_can_be_taken_between_pushes() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = SpillFile::new(folder.path().join("file"));
        let (mut spill, mut taken) = (Spill::default(), Vec::new());
        for n in 0..100_u8 {
            spill.buffer.extend([n; 3]);
            spill.spill_above(7, &mut file).unwrap();
            if n % 4 == 3 {
                taken.extend(spill.take(&file, 1).unwrap().unwrap());
            }
        }
        while let Some(bytes) = spill.take(&file, 1).unwrap() {
            taken.extend(bytes);
        }
        assert!(spill.is_empty());
        assert_eq!(taken, (0..100_u8).flat_map(|n| [n; 3]).collect::<Vec<_>>());
    }

    #[test]
    fn bytes_within_the_limit_stay_in_memory() {
        let mut file = SpillFile::new("/nowhere/at all".into());
        let mut spill = fill_spill(1 << 20, &mut file);
        assert_eq!(iter::from_fn(|| spill.take(&file, 1).unwrap()).count(), 1);
        file.clear().unwrap();
    }
}
