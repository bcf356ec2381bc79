//! Spills bytes that exceed a memory limit to an unlinked file.
//!
//! The file is created by the first spill. The kernel frees it when the process ends, also after a
//! crash. Bytes are read back in the order in which they were pushed.

use std::collections::{VecDeque, vec_deque};
use std::fs::File;
use std::iter::Peekable;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::files::durable;
use crate::store::Error;

/// The temporary file, shared by several [`Spill`]s.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    file: Option<File>,
    end: u64,
}

/// A queue of bytes: the first ones in the file, the last ones in memory.
#[derive(Debug, Default)]
pub struct Spill {
    written: VecDeque<Piece>,
    /// The bytes in memory. Append whole records.
    pub buffer: Vec<u8>,
}

/// Reads the pieces of a [`Spill`].
#[derive(Debug)]
pub struct Pieces {
    written: Peekable<vec_deque::IntoIter<Piece>>,
    last: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u64,
    len: usize,
}

impl Scratch {
    /// `path` is the name under which the file is created before it is unlinked. No one else may
    /// use it.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, end: 0 }
    }

    /// Truncates the file. No [`Spill`] may have bytes in it any more.
    pub fn clear(&mut self) -> Result<(), Error> {
        self.end = 0;
        let cut = self.file.as_ref().map_or(Ok(()), |file| file.set_len(0));
        cut.map_err(Error::io("truncate", &self.path))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<Piece, Error> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(durable::create_nameless(&self.path)?),
        };
        file.write_all_at(bytes, self.end).map_err(Error::io("write", &self.path))?;
        let piece = Piece { start: self.end, len: bytes.len() };
        self.end += bytes.len() as u64;
        Ok(piece)
    }

    fn read(&self, piece: Piece, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(file) = &self.file else { return Ok(()) };
        let before = out.len();
        out.resize(before + piece.len, 0);
        file.read_exact_at(&mut out[before..], piece.start).map_err(Error::io("read", &self.path))
    }
}

impl Spill {
    pub const NONE: Self = Self { written: VecDeque::new(), buffer: Vec::new() };

    /// Spills the buffer if it has at least `limit` bytes.
    pub fn spill_above(&mut self, limit: usize, scratch: &mut Scratch) -> Result<(), Error> {
        if self.buffer.len() < limit {
            return Ok(());
        }
        self.written.push_back(scratch.append(&self.buffer)?);
        self.buffer.clear();
        Ok(())
    }

    /// Spills the whole buffer and frees its memory.
    pub fn write_out(&mut self, scratch: &mut Scratch) -> Result<(), Error> {
        self.spill_above(1, scratch)?;
        self.buffer = Vec::new();
        Ok(())
    }

    /// Takes the first spilled piece, then the buffer. `None` if the queue is empty.
    pub fn take_first(&mut self, scratch: &Scratch) -> Result<Option<Vec<u8>>, Error> {
        let mut bytes = std::mem::take(&mut self.buffer);
        if let Some(piece) = self.written.pop_front() {
            self.buffer = std::mem::take(&mut bytes);
            scratch.read(piece, &mut bytes)?;
        }
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.buffer.is_empty()
    }

    /// Returns the number of bytes in the file and in memory.
    pub fn len(&self) -> usize {
        self.written.iter().map(|piece| piece.len).sum::<usize>() + self.buffer.len()
    }

    pub fn pieces(self) -> Pieces {
        let last = Some(self.buffer).filter(|buffer| !buffer.is_empty());
        Pieces { written: self.written.into_iter().peekable(), last }
    }
}

impl Pieces {
    /// Returns the next pieces, at least one and together up to `limit` bytes. `None` at the end.
    pub fn next(&mut self, scratch: &Scratch, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        if self.written.peek().is_none() {
            return Ok(self.last.take());
        }
        let mut bytes = Vec::new();
        let fits = |len, before| before == 0 || before + len <= limit;
        while let Some(piece) = self.written.next_if(|piece| fits(piece.len, bytes.len())) {
            scratch.read(piece, &mut bytes)?;
        }
        if self.written.peek().is_none() {
            let last = self.last.take_if(|last| fits(last.len(), bytes.len()));
            bytes.append(&mut last.unwrap_or_default());
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn pushed(limit: usize, scratch: &mut Scratch) -> Spill {
        let mut spill = Spill::default();
        for n in 0..100_u8 {
            spill.buffer.extend([n; 3]);
            spill.spill_above(limit, scratch).unwrap();
        }
        spill
    }

    #[test]
    fn bytes_come_back_in_order_and_the_file_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new(folder.path().join("scratch"));
        let expected: Vec<_> = (0..100_u8).flat_map(|n| [n; 3]).collect();
        for _ in 0..2 {
            for (limit, read) in [(1, 1), (1, 7), (10, 100), (100, 1), (299, 1 << 20), (500, 1)] {
                let spill = pushed(limit, &mut scratch);
                assert_eq!(spill.len(), 300);
                let mut pieces = spill.pieces();
                let slices = iter::from_fn(|| pieces.next(&scratch, read).unwrap());
                let slices: Vec<_> = slices.collect();
                assert!(slices.iter().all(|slice| !slice.is_empty()));
                assert_eq!(slices.concat(), expected, "{limit} {read}");
            }
            assert!(scratch.file.is_some());
            scratch.clear().unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_came_first_is_taken_while_more_comes() {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new(folder.path().join("scratch"));
        let (mut spill, mut taken) = (Spill::default(), Vec::new());
        for n in 0..100_u8 {
            spill.buffer.extend([n; 3]);
            spill.spill_above(7, &mut scratch).unwrap();
            if n % 4 == 3 {
                taken.extend(spill.take_first(&scratch).unwrap().unwrap());
            }
        }
        while let Some(bytes) = spill.take_first(&scratch).unwrap() {
            taken.extend(bytes);
        }
        assert!(spill.is_empty());
        assert_eq!(taken, (0..100_u8).flat_map(|n| [n; 3]).collect::<Vec<_>>());
    }

    #[test]
    fn what_fits_makes_no_file() {
        let mut scratch = Scratch::new("/nowhere/at all".into());
        let spill = pushed(1 << 20, &mut scratch);
        let mut pieces = spill.pieces();
        assert_eq!(iter::from_fn(|| pieces.next(&scratch, 1).unwrap()).count(), 1);
        scratch.clear().unwrap();
    }
}
