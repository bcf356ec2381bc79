//! [`Worker`]: parses the pieces of the data file that it receives, and formats the rejected
//! records.
//!
//! Invariant: for each job, a worker first sends the rejected records, in any number of messages.
//! Then it sends one message with the batches or with the failure.

use std::sync::mpsc::{Receiver, Sender, SyncSender};

use super::batch::Batch;
use super::check::block::{ParsedBlock, parse, too_long};
use super::csv::blocks::{Block, FilePiece};
use super::header::plan::ReadPlan;
use super::rules::rejection::Rejection;
use super::sink::{RejectedRecord, Rejections};
use crate::report::{Failure, RejectionTally};

/// The input of a worker: a piece of the data file, or the failure that ended the reading.
pub(super) type WorkerJob = Result<FilePiece, Failure>;

/// The output of a worker for one job. It is any number of `Rejected`, and then one `Read` or
/// `Failed`.
pub(super) enum WorkerOutput<R> {
    Rejected(RejectedRecords<R>),
    Read(AcceptedRecords),
    Failed(Failure),
}

/// Some of the rejected records of a job.
pub(super) struct RejectedRecords<R> {
    pub(super) rejections: R,
    pub(super) count: u64,
    pub(super) tally: RejectionTally,
}

/// The accepted records of a job.
#[derive(Default)]
pub(super) struct AcceptedRecords {
    pub(super) batches: Vec<Batch>,
    /// The number of records whose ignored column `Failure Description` does not come from an
    /// error file.
    pub(super) other_descriptions: u64,
    /// The number of bytes of the file as uploaded that were processed until now. `None` if the
    /// job does not change the number.
    pub(super) consumed: Option<u64>,
}

/// Parses pieces of the data file and formats rejected records.
pub(super) struct Worker<'a, R> {
    plan: &'a ReadPlan,
    /// The rejected records that were not sent to the sink yet.
    rejected: RejectedRecords<R>,
    done: SyncSender<WorkerOutput<R>>,
    /// The channel that returns the memory of blocks to the splitter.
    used: Sender<Vec<u8>>,
}

/// The error of a channel whose receiver has stopped.
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

    /// Works on jobs until there are no more jobs, or until the receiver of the results has
    /// stopped.
    pub(super) fn work(&mut self, jobs: &Receiver<WorkerJob>) {
        for job in jobs {
            let done = match job {
                Ok(FilePiece::Block(block)) => self.parse(block),
                Ok(FilePiece::TooLong { line, bytes, start }) => self.too_long(line, bytes, &start),
                Err(failure) => Ok(WorkerOutput::Failed(failure)),
            };
            if done.and_then(|done| self.send(done)).is_err() {
                return;
            }
        }
    }

    fn parse(&mut self, block: Block) -> Result<WorkerOutput<R>, ClosedChannel> {
        let plan = self.plan;
        let mut parsed = parse(block, plan);
        self.reject(parsed.rejected(plan))?;
        if let Some(failure) = parsed.failure() {
            return Ok(WorkerOutput::Failed(failure));
        }
        let (batches, other_descriptions) = (parsed.batches(), parsed.other_descriptions());
        let ParsedBlock { consumed, text, .. } = parsed;
        let _ = self.used.send(text); // the splitter has ended at the end of the file
        let consumed = Some(consumed);
        Ok(WorkerOutput::Read(AcceptedRecords { batches, other_descriptions, consumed }))
    }

    fn too_long(
        &mut self,
        line: u64,
        bytes: u64,
        start: &[u8],
    ) -> Result<WorkerOutput<R>, ClosedChannel> {
        self.reject(std::iter::once(too_long(self.plan, line, bytes, start)))?;
        Ok(WorkerOutput::Read(AcceptedRecords::default()))
    }

    /// Formats rejected records. Sends the formatted records when the collection is full, and at
    /// the end of the block.
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

    /// Removes and returns the rejected records that were collected.
    fn take(&mut self) -> Self {
        Self {
            rejections: self.rejections.take(),
            count: std::mem::take(&mut self.count),
            tally: std::mem::take(&mut self.tally),
        }
    }

    /// Adds a rejected record. If a record has several rejections with the same text, the text is
    /// counted once.
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
