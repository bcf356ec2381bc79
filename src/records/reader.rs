//! Runs one reader thread and some workers, and delivers the results in file order on the caller's
//! thread.
//!
//! Blocks are sent to the workers round-robin and collected in the same order, so order needs no
//! bookkeeping. For each block a worker sends rejected records in pieces, then the accepted ones.
//! Every channel has a capacity of one, which bounds the memory in flight.

use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

use super::csv::blocks::{Block, FilePiece, Splitter};
use super::header::open::{OpenDataFile, open};
use super::header::plan::ReadOptions;
use super::input::source::Meter;
use super::sink::{ReadProgress, Rejections, Sink};
use super::worker::{AcceptedRecords, RejectedRecords, Worker, WorkerJob, WorkerOutput};
use crate::manifest::Manifest;
use crate::report::{Counts, Failure, FailureText, RejectionCount, RejectionTally, TsRange};

/// The result of reading a data file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSummary {
    pub counts: Counts,
    /// Of the accepted events.
    pub ts_range: Option<TsRange>,
    /// Bytes of the data file as uploaded that were read.
    pub bytes: u64,
    /// SHA-256 of the data file as uploaded, lower-case hex; `None` if it was not read to its end.
    pub sha256: Option<String>,
    /// By text, most frequent first.
    pub rejections: Vec<RejectionCount>,
}

/// The error of a data file that cannot be imported as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading stopped after {} records", so_far.counts.read)]
pub struct ReadError {
    #[source]
    pub failure: Failure,
    /// The result up to then.
    pub so_far: Box<ReadSummary>,
}

/// Reads a data file by its manifest and passes its records to `sink`.
///
/// # Errors
/// The file is invalid, does not fit its manifest, can't be read, or the sink stopped it. A quote
/// that is never closed is an error: all records after it would silently become one cell.
pub fn read(
    input: impl Read + Send,
    file_name: &str,
    manifest: &Manifest,
    options: &ReadOptions<'_>,
    sink: &mut impl Sink,
) -> Result<ReadSummary, ReadError> {
    let meter = Meter::default();
    let mut delivery = ResultDelivery::default();
    let outcome = open(input, file_name, manifest, options, &meter)
        .and_then(|opened| delivery.run(opened, options, sink))
        .and_then(|()| delivery.check_complete(manifest, &meter));
    let summary = delivery.summary(&meter);
    match outcome {
        Ok(()) => Ok(summary),
        Err(failure) => Err(ReadError { failure, so_far: Box::new(summary) }),
    }
}

/// Sends the file's pieces to the workers until the end, a failure, or a closed channel.
fn deal<R: Read>(first: Block, mut splitter: Splitter<R>, channels: &[SyncSender<WorkerJob>]) {
    let mut next = Some(Ok(FilePiece::Block(first)));
    for channel in channels.iter().cycle() {
        let Some(job) = next.take() else { return };
        let last = job.is_err();
        if channel.send(job).is_err() || last {
            return;
        }
        next = splitter.next().transpose();
    }
}

/// Delivers the results to the sink and counts them.
#[derive(Default)]
struct ResultDelivery {
    counts: Counts,
    ts_range: Option<TsRange>,
    tally: RejectionTally,
    consumed: u64,
}

impl ResultDelivery {
    fn run<R: Read + Send, S: Sink>(
        &mut self,
        opened: OpenDataFile<R>,
        options: &ReadOptions<'_>,
        sink: &mut S,
    ) -> Result<(), Failure> {
        let OpenDataFile { start, plan, first, splitter } = opened;
        let empty = sink.begin(&start)?;
        thread::scope(|scope| {
            let worker = |done| Worker::new(&plan, empty.clone(), done, splitter.used());
            let (channels, results) = start_workers(scope, worker, options.workers.max(1))?;
            spawn(scope, "import-read", move || deal(first, splitter, &channels))?;
            // The first closed channel in turn means the end of the file.
            for channel in results.iter().cycle() {
                if !self.deliver(channel, sink)? {
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    /// Delivers the results of a channel's next job. Returns false if there is none.
    fn deliver<S: Sink>(
        &mut self,
        channel: &Receiver<WorkerOutput<S::Rejections>>,
        sink: &mut S,
    ) -> Result<bool, Failure> {
        loop {
            match channel.recv() {
                Ok(WorkerOutput::Rejected(rejected)) => self.reject(rejected, sink)?,
                Ok(WorkerOutput::Read(accepted)) => {
                    return self.accept(accepted, sink).map(|()| true);
                }
                Ok(WorkerOutput::Failed(failure)) => return Err(failure),
                Err(_) => return Ok(false),
            }
        }
    }

    fn reject<S: Sink>(
        &mut self,
        rejected: RejectedRecords<S::Rejections>,
        sink: &mut S,
    ) -> Result<(), Failure> {
        self.counts.read += rejected.count;
        self.counts.rejected += rejected.count;
        self.tally.extend(rejected.tally);
        sink.reject(rejected.rejections)
    }

    fn accept(&mut self, accepted: AcceptedRecords, sink: &mut impl Sink) -> Result<(), Failure> {
        for batch in accepted.batches.into_iter().filter(|batch| !batch.is_empty()) {
            self.counts.read += batch.len() as u64;
            self.counts.accepted += batch.len() as u64;
            self.ts_range = TsRange::merge(self.ts_range, batch.ts_range());
            sink.accept(batch)?;
        }
        self.consumed = accepted.consumed.unwrap_or(self.consumed);
        sink.progress(ReadProgress { bytes: self.consumed, records: self.counts.read })
    }

    /// Compares the file with size, rows and SHA-256 of the manifest.
    fn check_complete(&self, manifest: &Manifest, meter: &Meter) -> Result<(), Failure> {
        let mut mismatches = Vec::new();
        if self.counts.read == 0 {
            mismatches.push("the file has a header and no records".to_owned());
        }
        let differs = |what: &str, expected: &str, found: &str| {
            (expected != found)
                .then(|| format!("the manifest has {what} {expected}, the file has {found}"))
        };
        let numbers =
            [("size", manifest.size, meter.bytes()), ("rows", manifest.rows, self.counts.read)];
        mismatches.extend(numbers.iter().filter_map(|(what, expected, found)| {
            differs(what, &expected.as_ref()?.to_string(), &found.to_string())
        }));
        let digests = manifest.sha256.zip(meter.sha256());
        mismatches.extend(
            digests.and_then(|(expected, found)| differs("sha256", &hex(&expected), &hex(&found))),
        );
        if mismatches.is_empty() { Ok(()) } else { Err(Failure::unreadable(mismatches.join("; "))) }
    }

    fn summary(self, meter: &Meter) -> ReadSummary {
        ReadSummary {
            counts: self.counts,
            ts_range: self.ts_range,
            bytes: meter.bytes(),
            sha256: meter.sha256().map(|digest| hex(&digest)),
            rejections: self.tally.into_counts(),
        }
    }
}

/// One input and one output channel per worker.
type WorkerChannels<R> = (Vec<SyncSender<WorkerJob>>, Vec<Receiver<WorkerOutput<R>>>);

fn start_workers<'scope, R: Rejections + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    worker: impl Fn(SyncSender<WorkerOutput<R>>) -> Worker<'scope, R>,
    workers: usize,
) -> Result<WorkerChannels<R>, Failure> {
    let mut channels = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let (job_sender, jobs) = sync_channel(1);
        let (done, results) = sync_channel(1);
        let mut worker = worker(done);
        spawn(scope, "import-parse", move || worker.work(&jobs))?;
        channels.0.push(job_sender);
        channels.1.push(results);
    }
    Ok(channels)
}

fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() + Send + 'scope,
) -> Result<(), Failure> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run);
    spawned.map(drop).map_err(|error| {
        Failure::new(FailureText::Infra, format!("starting a thread failed: {error}"))
    })
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
