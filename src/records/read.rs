//! The driver: one reader, some workers, and the caller's thread, to which all comes in order.
//!
//! Blocks are dealt out to the workers in turn and collected in the same turn, so order needs no
//! bookkeeping. Every channel holds one block, which bounds what is in flight.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

use super::columns::Columns;
use super::decode::{Opening, Utf8Stream};
use super::decompress::{Compression, Decompressed};
use super::lex::lex;
use super::lines::count_lines;
use super::parse::{Parsed, Plan, parse, too_long};
use super::rejection::Rejection;
use super::rules::event::Reserved;
use super::schema::{EventSchema, Property, Schema};
use super::sink::{Progress, RejectedRecord, Sink, Start};
use super::source::{Meter, Source, failure};
use super::split::{Block, Piece, SplitError, Splitter};
use crate::config::Limits;
use crate::manifest::{Encoding, Manifest};
use crate::report::{Counts, DataType, Failure, FailureText, RejectionCount, RejectionTally};

/// The longest record there can be: places in a block are 32-bit numbers.
const MAX_RECORD: u64 = 1 << 30;

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
    /// What is worth knowing; the manifest's own warnings are not repeated.
    pub warnings: Vec<String>,
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

/// A file whose header is read and fits.
struct Opened<R> {
    start: Start,
    plan: Plan,
    /// What came with the header.
    first: Block,
    splitter: Splitter<R>,
}

fn open<R: Read>(
    input: R,
    file_name: &str,
    manifest: &Manifest,
    options: &Options<'_>,
    meter: &Meter,
) -> Result<Opened<Decompressed<R>>, Failure> {
    let limits = options.limits;
    let compression = Compression::of(file_name)
        .ok_or_else(|| unreadable("the data file's name must end in .csv, .csv.gz or .csv.zst"))?;
    let source = Source::new(input, meter.clone(), limits.max_data_file);
    let told = |error: io::Error| read_failure(&error, meter);
    let text = Decompressed::open(source, compression, limits.max_data_file).map_err(told)?;
    let (stream, opening) = Utf8Stream::open(text, manifest.encoding).map_err(told)?;
    if let Some(other) = opening.other {
        return Err(unreadable(other));
    }
    let max_record = limits.max_record.bytes().min(MAX_RECORD) as usize;
    let mut splitter = Splitter::new(stream, meter.clone(), manifest.delimiter, max_record);
    let header = read_header(&mut splitter, manifest.delimiter, meter)?;
    let names = header_names(&header, opening, manifest.delimiter, limits)?;
    let plan = plan(names, manifest, options)?;
    let start = Start {
        schema: plan.schema.clone(),
        names: plan.columns.header.clone(),
        header: header.record,
        delimiter: manifest.delimiter,
        line_end: if header.rest.text.starts_with(b"\r\n") { "\r\n" } else { "\n" },
        needs_mark: opening.encoding != Encoding::Utf8 || opening.marked,
    };
    Ok(Opened { start, plan, first: header.rest, splitter })
}

/// The header record, and what its block holds after it.
struct Header {
    record: Vec<u8>,
    rest: Block,
}

fn read_header<R: Read>(
    splitter: &mut Splitter<R>,
    delimiter: u8,
    meter: &Meter,
) -> Result<Header, Failure> {
    loop {
        let piece = splitter.next().map_err(|error| split_failure(&error, meter))?;
        let mut block = match piece {
            None => return Err(unreadable("the file is empty")),
            Some(Piece::TooLong { .. }) => return Err(unreadable("the header is too long")),
            Some(Piece::Block(block)) => block,
        };
        let Some(header) = lex(&block.text, delimiter, 0).records.first().copied() else {
            continue;
        };
        let record = block.text[header.start as usize..header.end as usize].to_vec();
        // The header's line end stays, and is an empty line to the lexer.
        block.first_line += count_lines(&block.text[..header.end as usize]);
        block.text.drain(..header.end as usize);
        return Ok(Header { record, rest: block });
    }
}

fn header_names(
    header: &Header,
    opening: Opening,
    delimiter: u8,
    limits: &Limits,
) -> Result<Vec<String>, Failure> {
    let text = std::str::from_utf8(&header.record).map_err(|_| {
        unreadable(
            "the header has bytes that are invalid in the file's encoding: save the file as \
             UTF-8, or name its encoding in the manifest",
        )
    })?;
    if text.contains(|c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n')) {
        let hint = match opening.encoding {
            Encoding::Utf8 => " (for UTF-16, name the encoding in the manifest)",
            _ => "",
        };
        return Err(unreadable(format!("the header has control characters, it is not CSV{hint}")));
    }
    let mut lexed = lex(text.as_bytes(), delimiter, usize::MAX);
    if lexed.cells.len() > limits.max_columns {
        let (columns, max) = (lexed.cells.len(), limits.max_columns);
        return Err(unreadable(format!(
            "the header has {columns} columns, at most {max} are allowed"
        )));
    }
    let mut all = text.as_bytes().to_vec();
    all.append(&mut lexed.unquoted);
    let name = |cell: std::ops::Range<usize>| String::from_utf8_lossy(&all[cell]).into_owned();
    Ok(lexed.cells.iter().map(|cell| name(cell.range())).collect())
}

fn plan(names: Vec<String>, manifest: &Manifest, options: &Options<'_>) -> Result<Plan, Failure> {
    let columns = Columns::new(names, manifest)
        .map_err(|findings| Failure::new(FailureText::Manifest, findings.join("; ")))?;
    let properties: Vec<Property> =
        columns.properties.iter().map(|column| column.property.clone()).collect();
    let schema = match manifest.data_type {
        DataType::Event => Schema::Event(EventSchema::new(&properties)),
        DataType::Profile => Schema::Profile(properties.into()),
    };
    Ok(Plan {
        columns,
        schema,
        delimiter: manifest.delimiter,
        limits: options.limits.clone(),
        reserved: Reserved::new(&options.limits.reserved_event_names),
        processing_time: options.processing_time,
    })
}

fn unreadable(detail: impl std::fmt::Display) -> Failure {
    Failure::new(FailureText::Unreadable, detail)
}

fn read_failure(error: &io::Error, meter: &Meter) -> Failure {
    // A decompressor takes an empty file for a cut one.
    if meter.bytes() == 0 && meter.sha256().is_some() {
        return unreadable("the file is empty");
    }
    failure(error)
}

fn split_failure(error: &SplitError, meter: &Meter) -> Failure {
    match error {
        SplitError::Read(error) => read_failure(error, meter),
        SplitError::UnclosedQuote(line) => {
            unreadable(format!("a quote in the record that begins in line {line} is never closed"))
        }
    }
}

/// What a worker gets.
type Job = Result<Piece, Failure>;

/// What comes of it.
enum Done {
    Parsed(Box<Parsed>),
    TooLong { line: u64, bytes: u64 },
    Failed(Failure),
}

fn work(jobs: &Receiver<Job>, done: &SyncSender<Done>, plan: &Plan) {
    for job in jobs {
        let outcome = match job {
            Ok(Piece::Block(block)) => Done::Parsed(Box::new(parse(block, plan))),
            Ok(Piece::TooLong { line, bytes }) => Done::TooLong { line, bytes },
            Err(failure) => Done::Failed(failure),
        };
        if done.send(outcome).is_err() {
            return; // The delivery has stopped.
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
}

impl Delivery {
    fn run<R: Read + Send>(
        &mut self,
        opened: Opened<R>,
        options: &Options<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        let Opened { start, plan, first, splitter } = opened;
        sink.begin(&start)?;
        thread::scope(|scope| {
            let (lanes, results) = start_workers(scope, &plan, options.workers.max(1))?;
            let meter = splitter.meter().clone();
            spawn(scope, "import-read", move || deal(first, splitter, &lanes, &meter))?;
            // A lane that is closed in its turn says that there is nothing more.
            for result in results.iter().cycle() {
                let Ok(done) = result.recv() else { return Ok(()) };
                self.deliver(done, &plan, sink)?;
            }
            Ok(())
        })
    }

    fn deliver(&mut self, done: Done, plan: &Plan, sink: &mut impl Sink) -> Result<(), Failure> {
        match done {
            Done::Failed(failure) => Err(failure),
            Done::TooLong { line, bytes } => {
                self.counts.read += 1;
                self.reject(&too_long(plan, line, bytes), sink)
            }
            Done::Parsed(parsed) => {
                self.counts.read += parsed.read;
                parsed.rejected(plan, |record| self.reject(&record, sink))?;
                self.counts.accepted += parsed.batch.len() as u64;
                let progress = Progress { bytes: parsed.consumed, records: self.counts.read };
                if !parsed.batch.is_empty() {
                    sink.accept(parsed.batch)?;
                }
                sink.progress(progress)
            }
        }
    }

    fn reject(&mut self, record: &RejectedRecord<'_>, sink: &mut impl Sink) -> Result<(), Failure> {
        self.counts.rejected += 1;
        let told = |reasons: &[Rejection], text| reasons.iter().any(|reason| reason.text == text);
        for (n, reason) in record.reasons.iter().enumerate() {
            if !told(&record.reasons[..n], reason.text) {
                self.tally.add(reason.text, record.line);
            }
        }
        sink.reject(record)
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
            warnings: Vec::new(),
        }
    }
}

/// One way in and one way out for each worker.
type Lanes = (Vec<SyncSender<Job>>, Vec<Receiver<Done>>);

fn start_workers<'scope>(
    scope: &'scope Scope<'scope, '_>,
    plan: &'scope Plan,
    workers: usize,
) -> Result<Lanes, Failure> {
    let mut lanes = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let (give, jobs) = sync_channel(1);
        let (done, take) = sync_channel(1);
        spawn(scope, "import-parse", move || work(&jobs, &done, plan))?;
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
