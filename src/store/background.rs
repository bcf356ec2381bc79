//! Work that goes on beside the caller: one thread, one piece in work, the caller filling the next.
//!
//! Small imports never start the thread: a single piece is done by the caller at the end. After
//! an error nothing more is done, and [`Background::finish`] gives nothing that could be committed.

use std::fmt;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;

use crate::store::Error;

/// What does the work, one piece after another, in order.
pub trait Work: fmt::Debug + Send + 'static {
    /// What it works on.
    type Piece: fmt::Debug + Send + 'static;

    /// Does one piece.
    ///
    /// # Errors
    /// Then no other piece is given to it, and it is dropped.
    fn work(&mut self, piece: Self::Piece) -> Result<(), Error>;
}

/// Runs a [`Work`] on its own thread from the first [`Background::send`] on.
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
    /// Nothing runs yet.
    pub fn new(work: W) -> Self {
        Self(State::Here(work))
    }

    /// Hands a piece over, waiting while the one before is in work.
    ///
    /// # Errors
    /// That of an earlier piece.
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
            // The thread ends early with an error only.
            Err(_) => running.join().and(Err(Error::FailedBefore)),
        }
    }

    /// Does `last`, waits for all before it, and gives the [`Work`] back.
    ///
    /// # Errors
    /// That of any piece.
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
            // What it worked on must be at rest before it is removed; how it ended is no matter.
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
