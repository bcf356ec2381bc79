//! [`Worker`]: parses the pieces of its lane, and writes down what is rejected.
//!
//! Always holds: of each job come its rejected records first, piece by piece, then its batches or
//! its failure, and nothing after that.

use std::sync::mpsc::{Receiver, Sender, SyncSender};

use super::batch::Batch;
use super::check::block::{Parsed, Plan, parse, too_long};
use super::csv::blocks::{Block, Piece};
use super::rules::rejection::Rejection;
use super::sink::{RejectedRecord, Rejections};
use crate::report::{Failure, RejectionTally};

/// What a worker gets.
pub(super) type Job = Result<Piece, Failure>;

/// What comes of it: any number of the first, then one of the others.
pub(super) enum Done<R> {
    Rejected(Rejected<R>),
    Read(Accepted),
    Failed(Failure),
}

/// Some rejected records of a job.
pub(super) struct Rejected<R> {
    pub(super) rejections: R,
    pub(super) count: u64,
    pub(super) tally: RejectionTally,
}

/// The other records of a job.
pub(super) struct Accepted {
    pub(super) batches: Vec<Batch>,
    /// Bytes of the file as uploaded that are behind us; none: as many as before.
    pub(super) consumed: Option<u64>,
}

/// A worker: it parses, and writes down what is rejected.
pub(super) struct Worker<'a, R> {
    plan: &'a Plan,
    /// What it has rejected and not yet passed on.
    rejected: Rejected<R>,
    done: SyncSender<Done<R>>,
    /// Where a block's memory goes, to be read into again.
    used: Sender<Vec<u8>>,
}

/// The delivery has stopped.
struct Gone;

impl<'a, R: Rejections> Worker<'a, R> {
    /// Works by `plan`, writes down into `rejections`, and has rejected nothing yet.
    pub(super) fn new(
        plan: &'a Plan,
        rejections: R,
        done: SyncSender<Done<R>>,
        used: Sender<Vec<u8>>,
    ) -> Self {
        Self { plan, rejected: Rejected::of(rejections), done, used }
    }

    /// Works until there are no jobs, or nobody wants what comes of them.
    pub(super) fn work(&mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            let done = match job {
                Ok(Piece::Block(block)) => self.parse(block),
                Ok(Piece::TooLong { line, bytes }) => self.too_long(line, bytes),
                Err(failure) => Ok(Done::Failed(failure)),
            };
            if done.and_then(|done| self.send(done)).is_err() {
                return;
            }
        }
    }

    fn parse(&mut self, block: Block) -> Result<Done<R>, Gone> {
        let plan = self.plan;
        let parsed = parse(block, plan);
        self.reject(parsed.rejected(plan))?;
        let Parsed { batches, consumed, text, .. } = parsed;
        let _ = self.used.send(text); // at the end of the file nobody wants it
        Ok(Done::Read(Accepted { batches, consumed: Some(consumed) }))
    }

    fn too_long(&mut self, line: u64, bytes: u64) -> Result<Done<R>, Gone> {
        self.reject(std::iter::once(too_long(self.plan, line, bytes)))?;
        Ok(Done::Read(Accepted { batches: Vec::new(), consumed: None }))
    }

    /// Writes records down, and passes them on whenever there are enough of them.
    fn reject<'r>(
        &mut self,
        records: impl Iterator<Item = RejectedRecord<'r>>,
    ) -> Result<(), Gone> {
        for record in records {
            self.rejected.add(&record);
            if self.rejected.rejections.is_full() {
                self.pass_on()?;
            }
        }
        if self.rejected.count > 0 { self.pass_on() } else { Ok(()) }
    }

    fn pass_on(&mut self) -> Result<(), Gone> {
        let rejected = self.rejected.take();
        self.send(Done::Rejected(rejected))
    }

    fn send(&self, done: Done<R>) -> Result<(), Gone> {
        self.done.send(done).map_err(|_| Gone)
    }
}

impl<R: Rejections> Rejected<R> {
    fn of(rejections: R) -> Self {
        Self { rejections, count: 0, tally: RejectionTally::default() }
    }

    /// All there is; nothing is left.
    fn take(&mut self) -> Self {
        Self {
            rejections: self.rejections.take(),
            count: std::mem::take(&mut self.count),
            tally: std::mem::take(&mut self.tally),
        }
    }

    /// Counts each text once, however many of the record's reasons have it.
    fn add(&mut self, record: &RejectedRecord<'_>) {
        self.rejections.add(record);
        self.count += 1;
        let told =
            |reasons: &[Rejection<'_>], text| reasons.iter().any(|reason| reason.text == text);
        for (n, reason) in record.reasons.iter().enumerate() {
            if !told(&record.reasons[..n], reason.text) {
                self.tally.add(reason.text, record.line);
            }
        }
    }
}
