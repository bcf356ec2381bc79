//! Reads a data file with one reader thread and several worker threads. Delivers the results in
//! file order on the caller's thread.
//!
//! The blocks are sent to the workers round-robin, and the results are collected in the same order.
//! So the results are in file order without sorting. For each block, a worker sends the rejected
//! records in several parts, and then the accepted records. Every channel has a capacity of one
//! message, which limits the memory.

use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

use super::csv::blocks::{BLOCK, Block, FilePiece, Splitter};
use super::header::columns::FAILURE_DESCRIPTION;
use super::header::open::{OpenDataFile, open};
use super::header::plan::{ReadOptions, ReadPlan};
use super::input::source::{Meter, MeteredInput};
use super::rules::catalogue::text_under;
use super::sink::{ReadProgress, Rejections, Sink};
use super::worker::{AcceptedRecords, RejectedRecords, Worker, WorkerJob, WorkerOutput};
use crate::config::Limits;
use crate::manifest::Manifest;
use crate::report::{Counts, Failure, FailureText, RejectionCount, RejectionTally, TsRange};

/// The result of reading a data file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSummary {
    pub counts: Counts,
    /// The earliest and the latest `ts` of the accepted events.
    pub ts_range: Option<TsRange>,
    /// The number of bytes that were read from the data file as uploaded.
    pub bytes: u64,
    /// The SHA-256 of the data file as uploaded, in lower-case hex. `None` if the end of the file
    /// was not reached.
    pub sha256: Option<String>,
    /// The number of rejections for each text, the most frequent text first.
    pub rejections: Vec<RejectionCount>,
    /// Findings about the data file that did not stop the reading.
    pub warnings: Vec<String>,
}

/// The error of reading a data file that cannot be imported, with the results until the error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading stopped after {} records", so_far.counts.read)]
pub struct ReadError {
    #[source]
    pub failure: Failure,
    /// The results of reading until the failure.
    pub so_far: Box<ReadSummary>,
}

/// Reads a data file by its manifest and passes its records to `sink`.
///
/// A file that cannot be imported is read to its end too, because the report has the size and the
/// digest of the file.
///
/// # Errors
/// The file is invalid, does not fit its manifest or cannot be read, or the sink stopped the
/// reading. A quote that is never closed is an error, because all records after it would silently
/// become one cell.
pub fn read(
    mut input: impl Read + Send,
    file_name: &str,
    manifest: &Manifest,
    options: &ReadOptions<'_>,
    sink: &mut impl Sink,
) -> Result<ReadSummary, ReadError> {
    let meter = Meter::default();
    let mut delivery = ResultDelivery::default();
    let outcome = open(&mut input, file_name, manifest, options, &meter)
        .and_then(|opened| delivery.run(opened, options, sink))
        .and_then(|()| delivery.check_complete(manifest, &meter));
    if outcome.as_ref().is_err_and(is_of_the_file) {
        let rest = MeteredInput::new(input, meter.clone(), options.limits.max_data_file);
        delivery.meter_rest(rest, &meter, sink);
    }
    let summary = delivery.summary(&meter, options.limits);
    match outcome {
        Ok(()) => Ok(summary),
        Err(failure) => Err(ReadError { failure, so_far: Box::new(summary) }),
    }
}

/// Returns whether the data file caused the failure. Other possible causes are the host and a stop
/// of the import.
fn is_of_the_file(failure: &Failure) -> bool {
    matches!(failure.message, FailureText::Unreadable | FailureText::Manifest)
}

/// Sends the pieces of the file to the workers, until the file ends, reading fails, or a channel is
/// closed. A piece is sent when the next piece was read, because a worker must know whether its
/// piece is the last.
fn deal<R: Read>(first: Block, mut splitter: Splitter<R>, channels: &[SyncSender<WorkerJob>]) {
    let mut job = Ok(FilePiece::Block(first));
    for channel in channels.iter().cycle() {
        let next = job.is_ok().then(|| splitter.next().transpose()).flatten();
        if let (Ok(FilePiece::Block(block)), None) = (&mut job, &next) {
            block.is_last = true;
        }
        if channel.send(job).is_err() {
            return;
        }
        let Some(next) = next else { return };
        job = next;
    }
}

/// Passes the results of the workers to the sink and counts the records.
#[derive(Default)]
struct ResultDelivery {
    counts: Counts,
    ts_range: Option<TsRange>,
    tally: RejectionTally,
    consumed: u64,
    /// The number of records whose ignored column `Failure Description` does not come from an
    /// error file.
    other_descriptions: u64,
    warnings: Vec<String>,
}

impl ResultDelivery {
    fn run<R: Read + Send, S: Sink>(
        &mut self,
        opened: OpenDataFile<R>,
        options: &ReadOptions<'_>,
        sink: &mut S,
    ) -> Result<(), Failure> {
        let OpenDataFile { start, plan, first, splitter, is_utf8 } = opened;
        let empty = sink.begin(&start)?;
        self.run_workers(&plan, (first, splitter), empty, options, sink)?;
        self.warnings = warnings(&plan, self.other_descriptions, is_utf8.get().copied());
        Ok(())
    }

    fn run_workers<R: Read + Send, S: Sink>(
        &mut self,
        plan: &ReadPlan,
        (first, splitter): (Block, Splitter<R>),
        empty: S::Rejections,
        options: &ReadOptions<'_>,
        sink: &mut S,
    ) -> Result<(), Failure> {
        thread::scope(|scope| {
            let worker = |done| Worker::new(plan, empty.clone(), done, splitter.used());
            let (channels, results) = start_workers(scope, worker, options.workers.max(1))?;
            spawn(scope, "import-read", move || deal(first, splitter, &channels))?;
            // The loop receives from the channels in turn. The first channel that is closed means
            // the end of the file.
            for channel in results.iter().cycle() {
                if !self.deliver(channel, sink)? {
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    /// Passes the results of one job to the sink. Returns false if the channel is closed.
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
        self.other_descriptions += accepted.other_descriptions;
        self.consumed = accepted.consumed.unwrap_or(self.consumed);
        sink.progress(ReadProgress { bytes: self.consumed, records: self.counts.read })
    }

    /// Reads the rest of a file that cannot be imported, to know the size and the digest of the
    /// file.
    fn meter_rest(&mut self, mut rest: impl Read, meter: &Meter, sink: &mut impl Sink) {
        let mut buffer = vec![0; BLOCK];
        while let Ok(1..) = rest.read(&mut buffer) {
            let progress = ReadProgress { bytes: meter.bytes(), records: self.counts.read };
            if sink.progress(progress).is_err() {
                return;
            }
        }
    }

    /// Compares the data file with `size`, `rows` and `sha256` in the manifest.
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

    fn summary(self, meter: &Meter, limits: &Limits) -> ReadSummary {
        ReadSummary {
            counts: self.counts,
            ts_range: self.ts_range,
            bytes: meter.bytes(),
            sha256: meter.sha256().map(|digest| hex(&digest)),
            rejections: self.tally.into_counts(|text| text_under(text, limits)),
            warnings: self.warnings,
        }
    }
}

/// Returns the warnings about a file that was read to its end.
fn warnings(plan: &ReadPlan, other_descriptions: u64, is_utf8: Option<char>) -> Vec<String> {
    let mut warnings = Vec::new();
    match plan.columns.nameless.len() {
        0 => {}
        1 => warnings.push("1 column without a name, all empty".to_owned()),
        columns => warnings.push(format!("{columns} columns without a name, all empty")),
    }
    if plan.columns.description.is_some() {
        let also = match other_descriptions {
            0 => String::new(),
            1 => ", also in 1 record whose text is not from an error file".to_owned(),
            n => format!(", also in {n} records whose text is not from an error file"),
        };
        warnings.push(format!("the column {FAILURE_DESCRIPTION} is ignored{also}"));
    }
    if let Some(example) = is_utf8 {
        warnings.push(format!(
            "the file is UTF-8, as its letters such as {example} show, but it was read as \
             windows-1252, the manifest's encoding: remove \"encoding\" from the manifest"
        ));
    }
    warnings
}

/// The channels of the workers. Each worker has one input channel and one output channel.
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
