//! A worker thread that processes one piece while the caller prepares the next.
//!
//! A small import has one piece, which the caller processes itself without starting a thread. After
//! an error no further piece is processed, and [`Background::finish`] returns that error.

use std::fmt;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;

use crate::store::Error;

/// Processes pieces one after another, in order.
pub trait Work: fmt::Debug + Send + 'static {
    type Piece: fmt::Debug + Send + 'static;

    /// Processes one piece. After an error the value is dropped.
    fn work(&mut self, piece: Self::Piece) -> Result<(), Error>;
}

/// Runs a [`Work`] on its own thread, which the first [`Background::send`] starts.
#[derive(Debug)]
pub struct Background<W: Work>(State<W>);

#[derive(Debug)]
enum State<W: Work> {
    Here(W),
    There(Running<W>),
    Failed,
}

#[derive(Debug)]
struct Running<W: Work> {
    pieces: Sender<W::Piece>,
    thread: JoinHandle<Result<W, Error>>,
}

impl<W: Work> Background<W> {
    pub fn new(work: W) -> Self {
        Self(State::Here(work))
    }

    /// Hands a piece to the thread. Blocks while the thread processes the previous one.
    ///
    /// # Errors
    /// Returns the error of an earlier piece.
    pub fn send(&mut self, piece: W::Piece) -> Result<(), Error> {
        let running = match self.take() {
            State::Here(work) => Running::start(work)?,
            State::There(running) => running,
            State::Failed => return Err(Error::FailedBefore),
        };
        match running.pieces.send(piece) {
            Ok(()) => {
                self.0 = State::There(running);
                Ok(())
            }
            // The thread ends early only after an error.
            Err(_) => running.join().and(Err(Error::FailedBefore)),
        }
    }

    /// Waits for all pieces, processes `last` and returns the [`Work`].
    pub fn finish(mut self, last: W::Piece) -> Result<W, Error> {
        let mut work = match self.take() {
            State::Here(work) => work,
            State::There(running) => running.join()?,
            State::Failed => return Err(Error::FailedBefore),
        };
        work.work(last)?;
        Ok(work)
    }

    fn take(&mut self) -> State<W> {
        std::mem::replace(&mut self.0, State::Failed)
    }
}

impl<W: Work> Drop for Background<W> {
    fn drop(&mut self) {
        if let State::There(Running { pieces, thread }) = self.take() {
            drop(pieces);
            // The thread must not write to files that the caller is about to remove. Its result
            // doesn't matter.
            let _ = thread.join();
        }
    }
}

impl<W: Work> Running<W> {
    fn start(mut work: W) -> Result<Self, Error> {
        let (pieces, inbox) = crossbeam_channel::bounded(0);
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                for piece in inbox {
                    work.work(piece)?;
                }
                Ok(work)
            })
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { pieces, thread })
    }

    fn join(self) -> Result<W, Error> {
        drop(self.pieces);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Sum(u64);

    impl Work for Sum {
        type Piece = u64;

        fn work(&mut self, piece: u64) -> Result<(), Error> {
            self.0 = self.0.checked_sub(piece).ok_or(Error::FailedBefore)?;
            Ok(())
        }
    }

    #[test]
    fn does_every_piece_here_or_there() {
        assert_eq!(Background::new(Sum(100)).finish(1).unwrap().0, 99);
        let mut background = Background::new(Sum(100));
        for _ in 0..50 {
            background.send(1).unwrap();
        }
        assert_eq!(background.finish(2).unwrap().0, 48);
    }

    #[test]
    fn gives_nothing_back_after_an_error() {
        let mut background = Background::new(Sum(0));
        let sent: Vec<_> = (0..3).map(|_| background.send(1).is_ok()).collect();
        assert!(sent[0] && !sent[2], "{sent:?}");
        assert!(background.finish(0).is_err());
        assert!(Background::new(Sum(0)).finish(1).is_err());
    }
}
