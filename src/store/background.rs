//! A worker thread that processes one piece while the caller prepares the next.
//!
//! A small import has one piece, which the caller processes itself without starting a thread. After
//! an error, the remaining pieces are dropped, and [`BackgroundWorker::finish`] returns an error.

use std::fmt;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;

use super::error::Error;

/// Work on a sequence of pieces. The pieces are processed one after another, in order.
pub trait Work: fmt::Debug + Send + 'static {
    type Piece: fmt::Debug + Send + 'static;

    /// Processes one piece of the work. If this returns an error, the work is dropped.
    fn process(&mut self, piece: Self::Piece) -> Result<(), Error>;
}

/// Runs a [`Work`] on its own thread, which the first [`BackgroundWorker::send`] starts.
#[derive(Debug)]
pub struct BackgroundWorker<W: Work>(WorkerState<W>);

#[derive(Debug)]
enum WorkerState<W: Work> {
    NoThread(W),
    Thread(WorkerThread<W>),
    Failed,
}

#[derive(Debug)]
struct WorkerThread<W: Work> {
    pieces: Sender<W::Piece>,
    handle: JoinHandle<Result<W, Error>>,
}

impl<W: Work> BackgroundWorker<W> {
    pub fn new(work: W) -> Self {
        Self(WorkerState::NoThread(work))
    }

    /// Hands a piece of work to the thread. Blocks while the thread processes the previous piece.
    ///
    /// # Errors
    /// Returns the error of an earlier piece.
    pub fn send(&mut self, piece: W::Piece) -> Result<(), Error> {
        let thread = match self.take_state() {
            WorkerState::NoThread(work) => WorkerThread::start(work)?,
            WorkerState::Thread(thread) => thread,
            WorkerState::Failed => return Err(Error::FailedBefore),
        };
        match thread.pieces.send(piece) {
            Ok(()) => {
                self.0 = WorkerState::Thread(thread);
                Ok(())
            }
            // The thread ends before the last piece only after an error.
            Err(_) => thread.join().and(Err(Error::FailedBefore)),
        }
    }

    /// Waits until all pieces are processed, then processes `last` and returns the [`Work`].
    pub fn finish(mut self, last: W::Piece) -> Result<W, Error> {
        let mut work = match self.take_state() {
            WorkerState::NoThread(work) => work,
            WorkerState::Thread(thread) => thread.join()?,
            WorkerState::Failed => return Err(Error::FailedBefore),
        };
        work.process(last)?;
        Ok(work)
    }

    fn take_state(&mut self) -> WorkerState<W> {
        std::mem::replace(&mut self.0, WorkerState::Failed)
    }
}

impl<W: Work> Drop for BackgroundWorker<W> {
    fn drop(&mut self) {
        if let WorkerState::Thread(WorkerThread { pieces, handle }) = self.take_state() {
            drop(pieces);
            // Waits until the thread has ended, because the thread must not write to files that the
            // caller is about to remove. The result of the thread is ignored.
            let _ = handle.join();
        }
    }
}

impl<W: Work> WorkerThread<W> {
    fn start(mut work: W) -> Result<Self, Error> {
        let (pieces, inbox) = crossbeam_channel::bounded(0);
        let handle = thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                for piece in inbox {
                    work.process(piece)?;
                }
                Ok(work)
            })
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { pieces, handle })
    }

    fn join(self) -> Result<W, Error> {
        drop(self.pieces);
        self.handle.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Sum(u64);

    impl Work for Sum {
        type Piece = u64;

        fn process(&mut self, piece: u64) -> Result<(), Error> {
            self.0 = self.0.checked_sub(piece).ok_or(Error::FailedBefore)?;
            Ok(())
        }
    }

    #[test]
    fn every_piece_is_processed_with_or_without_thread() {
        assert_eq!(BackgroundWorker::new(Sum(100)).finish(1).unwrap().0, 99);
        let mut worker = BackgroundWorker::new(Sum(100));
        for _ in 0..50 {
            worker.send(1).unwrap();
        }
        assert_eq!(worker.finish(2).unwrap().0, 48);
    }

    #[test]
    fn finish_fails_after_an_error() {
        let mut worker = BackgroundWorker::new(Sum(0));
        let sent: Vec<_> = (0..3).map(|_| worker.send(1).is_ok()).collect();
        assert!(sent[0] && !sent[2], "{sent:?}");
        assert!(worker.finish(0).is_err());
        assert!(BackgroundWorker::new(Sum(0)).finish(1).is_err());
    }
}
