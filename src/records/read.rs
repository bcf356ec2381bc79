//! The driver: one reader, some workers, and the caller's thread, to which all comes in order.
//!
//! Blocks are dealt out to the workers in turn and collected in the same turn, so order needs no
//! bookkeeping. A worker passes on what it rejects piece by piece, then the block's records. Every
//! channel holds one block or piece, which bounds what is in flight.

use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread::{self, Scope};

use super::batch::Batch;
use super::open::{Opened, open, split_failure, unreadable};
use super::parse::{Parsed, Plan, parse, too_long};
use super::rejection::Rejection;
use super::sink::{Progress, RejectedRecord, Rejections, Sink};
use super::source::Meter;
use super::split::{Block, Piece, Splitter};
use crate::config::Limits;
use crate::manifest::Manifest;
use crate::report::{Counts, Failure, FailureText, RejectionCount, RejectionTally};

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The limits in force.
    pub limits: &'a Limits,
    /// What an empty `ts` means, in seconds since 1970 UTC.
    pub processing_time: i64,
    /// Threads that parse, beside the one that reads; at least one.
    pub workers: usize,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records read, accepted, rejected.
    pub counts: Counts,
    /// Bytes read of the data file as uploaded.
    pub bytes: u64,
    /// SHA-256 of the data file as uploaded, lower-case hex; none when it was not read to its end.
    pub sha256: Option<String>,
    /// Rejections by text, most frequent first.
    pub rejections: Vec<RejectionCount>,
}

/// The file as a whole cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading stopped after {} records", so_far.counts.read)]
pub struct Stopped {
    /// Why.
    #[source]
    pub failure: Failure,
    /// What was read until then.
    pub so_far: Box<Summary>,
}

/// Reads a data file by its manifest and gives its records to `sink`.
///
/// # Errors
/// The file is not what it should be, does not fit its manifest, can't be read, or the sink
/// stopped it. A quote that is never closed is an unreadable file: everything after it would
/// be one record, and what it swallowed would be lost without a word.
pub fn read(
    input: impl Read + Send,
    file_name: &str,
    manifest: &Manifest,
    options: &Options<'_>,
    sink: &mut impl Sink,
) -> Result<Summary, Stopped> {
    let meter = Meter::default();
    let mut delivery = Delivery::default();
    let outcome = open(input, file_name, manifest, options, &meter)
        .and_then(|opened| delivery.run(opened, options, sink))
        .and_then(|()| delivery.check_complete(manifest, &meter));
    let summary = delivery.summary(&meter);
    match outcome {
        Ok(()) => Ok(summary),
        Err(failure) => Err(Stopped { failure, so_far: Box::new(summary) }),
    }
}

/// What a worker gets.
type Job = Result<Piece, Failure>;

/// What comes of it: any number of the first, then one of the others.
enum Done<R> {
    Rejected(Rejected<R>),
    Read(Accepted),
    Failed(Failure),
}

/// Some rejected records of a job.
struct Rejected<R> {
    rejections: R,
    count: u64,
    tally: RejectionTally,
}

/// The other records of a job.
struct Accepted {
    batches: Vec<Batch>,
    /// Bytes of the file as uploaded that are behind us; none: as many as before.
    consumed: Option<u64>,
}

/// A worker: it parses, and writes down what is rejected.
struct Worker<'a, R> {
    plan: &'a Plan,
    /// What it has rejected and not yet passed on.
    rejected: Rejected<R>,
    done: SyncSender<Done<R>>,
    /// Where a block's memory goes, to be read into again.
    used: Sender<Vec<u8>>,
}

/// The delivery has stopped.
struct Gone;

impl<R: Rejections> Worker<'_, R> {
    /// Works until there are no jobs, or nobody wants what comes of them.
    fn work(&mut self, jobs: &Receiver<Job>) {
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

/// Deals the file's pieces out, until its end, its failure, or nobody wants more.
fn deal<R: Read>(
    first: Block,
    mut splitter: Splitter<R>,
    lanes: &[SyncSender<Job>],
    meter: &Meter,
) {
    let mut next = Some(Ok(Piece::Block(first)));
    for lane in lanes.iter().cycle() {
        let Some(job) = next.take() else { return };
        let last = job.is_err();
        if lane.send(job).is_err() || last {
            return;
        }
        next = splitter.next().map_err(|error| split_failure(&error, meter)).transpose();
    }
}

/// Hands everything to the sink, and keeps count.
#[derive(Default)]
struct Delivery {
    counts: Counts,
    tally: RejectionTally,
    consumed: u64,
}

impl Delivery {
    fn run<R: Read + Send, S: Sink>(
        &mut self,
        opened: Opened<R>,
        options: &Options<'_>,
        sink: &mut S,
    ) -> Result<(), Failure> {
        let Opened { start, plan, first, splitter } = opened;
        let empty = sink.begin(&start)?;
        thread::scope(|scope| {
            let worker = |done| {
                let rejected = Rejected::of(empty.clone());
                Worker { plan: &plan, rejected, done, used: splitter.used() }
            };
            let (lanes, results) = start_workers(scope, worker, options.workers.max(1))?;
            let meter = splitter.meter().clone();
            spawn(scope, "import-read", move || deal(first, splitter, &lanes, &meter))?;
            // A lane that is closed in its turn says that there is nothing more.
            for lane in results.iter().cycle() {
                if !self.deliver(lane, sink)? {
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    /// Delivers what comes of a lane's next job. False: there is none.
    fn deliver<S: Sink>(
        &mut self,
        lane: &Receiver<Done<S::Rejections>>,
        sink: &mut S,
    ) -> Result<bool, Failure> {
        loop {
            match lane.recv() {
                Ok(Done::Rejected(rejected)) => self.reject(rejected, sink)?,
                Ok(Done::Read(accepted)) => return self.accept(accepted, sink).map(|()| true),
                Ok(Done::Failed(failure)) => return Err(failure),
                Err(_) => return Ok(false),
            }
        }
    }

    fn reject<S: Sink>(
        &mut self,
        rejected: Rejected<S::Rejections>,
        sink: &mut S,
    ) -> Result<(), Failure> {
        self.counts.read += rejected.count;
        self.counts.rejected += rejected.count;
        self.tally.extend(rejected.tally);
        sink.reject(rejected.rejections)
    }

    fn accept(&mut self, accepted: Accepted, sink: &mut impl Sink) -> Result<(), Failure> {
        for batch in accepted.batches.into_iter().filter(|batch| !batch.is_empty()) {
            self.counts.read += batch.len() as u64;
            self.counts.accepted += batch.len() as u64;
            sink.accept(batch)?;
        }
        self.consumed = accepted.consumed.unwrap_or(self.consumed);
        sink.progress(Progress { bytes: self.consumed, records: self.counts.read })
    }

    /// Holds what was read against what the manifest says there is.
    fn check_complete(&self, manifest: &Manifest, meter: &Meter) -> Result<(), Failure> {
        let mut mismatches = Vec::new();
        if self.counts.read == 0 {
            mismatches.push("the file has a header and no records".to_owned());
        }
        let differs = |what: &str, said: &str, is: &str| {
            (said != is).then(|| format!("the manifest says {what} {said}, the file has {is}"))
        };
        let numbers =
            [("size", manifest.size, meter.bytes()), ("rows", manifest.rows, self.counts.read)];
        mismatches.extend(numbers.iter().filter_map(|(what, said, is)| {
            differs(what, &said.as_ref()?.to_string(), &is.to_string())
        }));
        let digests = manifest.sha256.zip(meter.sha256());
        mismatches.extend(digests.and_then(|(said, is)| differs("sha256", &hex(&said), &hex(&is))));
        if mismatches.is_empty() { Ok(()) } else { Err(unreadable(mismatches.join("; "))) }
    }

    fn summary(self, meter: &Meter) -> Summary {
        Summary {
            counts: self.counts,
            bytes: meter.bytes(),
            sha256: meter.sha256().map(|digest| hex(&digest)),
            rejections: self.tally.into_counts(),
        }
    }
}

/// One way in and one way out for each worker.
type Lanes<R> = (Vec<SyncSender<Job>>, Vec<Receiver<Done<R>>>);

fn start_workers<'scope, R: Rejections + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    worker: impl Fn(SyncSender<Done<R>>) -> Worker<'scope, R>,
    workers: usize,
) -> Result<Lanes<R>, Failure> {
    let mut lanes = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let (give, jobs) = sync_channel(1);
        let (done, take) = sync_channel(1);
        let mut worker = worker(done);
        spawn(scope, "import-parse", move || worker.work(&jobs))?;
        lanes.0.push(give);
        lanes.1.push(take);
    }
    Ok(lanes)
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
