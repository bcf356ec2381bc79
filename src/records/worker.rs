//! [`Worker`]: parses the pieces of its channel and formats rejected records.
//!
//! Invariant: for each job a worker sends the rejected records in pieces, then the batches or the
//! failure, and nothing more.

use std::sync::mpsc::{Receiver, Sender, SyncSender};

use super::batch::Batch;
use super::check::block::{ParsedBlock, parse, too_long};
use super::csv::blocks::{Block, FilePiece};
use super::header::plan::ReadPlan;
use super::rules::rejection::Rejection;
use super::sink::{RejectedRecord, Rejections};
use crate::report::{Failure, RejectionTally};

/// The input of a worker.
pub(super) type WorkerJob = Result<FilePiece, Failure>;

/// The output for a job: any number of `Rejected`, then one of the others.
pub(super) enum WorkerOutput<R> {
    Rejected(RejectedRecords<R>),
    Read(AcceptedRecords),
    Failed(Failure),
}

/// Rejected records of a job.
pub(super) struct RejectedRecords<R> {
    pub(super) rejections: R,
    pub(super) count: u64,
    pub(super) tally: RejectionTally,
}

/// The accepted records of a job.
pub(super) struct AcceptedRecords {
    pub(super) batches: Vec<Batch>,
    /// Bytes of the file as uploaded that were processed; `None`: unchanged.
    pub(super) consumed: Option<u64>,
}

/// Parses pieces and formats rejected records.
pub(super) struct Worker<'a, R> {
    plan: &'a ReadPlan,
    /// Rejected records that are not passed on yet.
    rejected: RejectedRecords<R>,
    done: SyncSender<WorkerOutput<R>>,
    /// The channel that returns a block's memory to the splitter.
    used: Sender<Vec<u8>>,
}

/// The error that the receiver has stopped.
struct ClosedChannel;

impl<'a, R: Rejections> Worker<'a, R> {
    /// Creates a worker that collects rejected records in `rejections`.
    pub(super) fn new(
        plan: &'a ReadPlan,
        rejections: R,
        done: SyncSender<WorkerOutput<R>>,
        used: Sender<Vec<u8>>,
    ) -> Self {
        Self { plan, rejected: RejectedRecords::of(rejections), done, used }
    }

    /// Runs until there are no more jobs, or the receiver has stopped.
    pub(super) fn work(&mut self, jobs: &Receiver<WorkerJob>) {
        for job in jobs {
            let done = match job {
                Ok(FilePiece::Block(block)) => self.parse(block),
                Ok(FilePiece::TooLong { line, bytes, head }) => self.too_long(line, bytes, &head),
                Err(failure) => Ok(WorkerOutput::Failed(failure)),
            };
            if done.and_then(|done| self.send(done)).is_err() {
                return;
            }
        }
    }

    fn parse(&mut self, block: Block) -> Result<WorkerOutput<R>, ClosedChannel> {
        let plan = self.plan;
        let parsed = parse(block, plan);
        self.reject(parsed.rejected(plan))?;
        let ParsedBlock { batches, consumed, text, .. } = parsed;
        let _ = self.used.send(text); // the splitter is gone at the end of the file
        Ok(WorkerOutput::Read(AcceptedRecords { batches, consumed: Some(consumed) }))
    }

    fn too_long(
        &mut self,
        line: u64,
        bytes: u64,
        head: &[u8],
    ) -> Result<WorkerOutput<R>, ClosedChannel> {
        self.reject(std::iter::once(too_long(self.plan, line, bytes, head)))?;
        Ok(WorkerOutput::Read(AcceptedRecords { batches: Vec::new(), consumed: None }))
    }

    /// Formats records, and passes them on whenever there are enough.
    fn reject<'r>(
        &mut self,
        records: impl Iterator<Item = RejectedRecord<'r>>,
    ) -> Result<(), ClosedChannel> {
        for record in records {
            self.rejected.add(&record);
            if self.rejected.rejections.is_full() {
                self.pass_on()?;
            }
        }
        if self.rejected.count > 0 { self.pass_on() } else { Ok(()) }
    }

    fn pass_on(&mut self) -> Result<(), ClosedChannel> {
        let rejected = self.rejected.take();
        self.send(WorkerOutput::Rejected(rejected))
    }

    fn send(&self, done: WorkerOutput<R>) -> Result<(), ClosedChannel> {
        self.done.send(done).map_err(|_| ClosedChannel)
    }
}

impl<R: Rejections> RejectedRecords<R> {
    fn of(rejections: R) -> Self {
        Self { rejections, count: 0, tally: RejectionTally::default() }
    }

    /// Returns the collected records and continues with none.
    fn take(&mut self) -> Self {
        Self {
            rejections: self.rejections.take(),
            count: std::mem::take(&mut self.count),
            tally: std::mem::take(&mut self.tally),
        }
    }

    /// Adds a record. Each text is counted once per record.
    fn add(&mut self, record: &RejectedRecord<'_>) {
        self.rejections.add(record);
        self.count += 1;
        let counted =
            |reasons: &[Rejection<'_>], text| reasons.iter().any(|reason| reason.text == text);
        for (n, reason) in record.reasons.iter().enumerate() {
            if !counted(&record.reasons[..n], reason.text) {
                self.tally.add(reason.text, record.line);
            }
        }
    }
}
