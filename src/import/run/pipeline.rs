//! The pipeline that reads one data file through `records` into the store. The daemon, `ingest` and
//! `check` share it.
//!
//! Invariant: the store is committed only after the whole file was read without a failure. A dry
//! run, and a file whose records are all rejected, commit no records.

use std::io::{self, Read};

use jiff::Timestamp;

use super::decide;
use super::error_files::{ErrorFiles, ErrorOutput, LeftOut, RejectedLines};
use super::progress::Monitor;
use crate::account::AccountId;
use crate::config::{Limits, cores};
use crate::import_id::ImportId;
use crate::manifest::Manifest;
use crate::records::{self, Batch, FileStart, Property, Sink};
use crate::report::{Counts, Failure, FailureText, ImportState, RejectionCount, Report, TsRange};
use crate::sanitize::chain;
use crate::store::{self, CommitCounts, ImportWriter, Store};

/// The data file that a run reads.
pub struct DataSource<'a, R> {
    pub manifest: &'a Manifest,
    /// A reader of the data file, positioned at the first byte.
    pub data: R,
    pub limits: &'a Limits,
    /// The value for an empty `ts`, in seconds since 1970 UTC. It is the same in every run of an
    /// import.
    pub processing_time: i64,
    /// A check that is called after all bytes are read and before the commit. It fails if the file
    /// has changed.
    pub unchanged: &'a dyn Fn() -> Result<(), Failure>,
}

/// The maximum number of threads that parse one data file.
///
/// Each thread can hold 25 MB of very short rejected records (measured: 403 MB with 16 threads).
/// With this bound, an import stays below 200 MB of memory on a host with many cores. More threads
/// would be idle, because only one thread reads and digests the file.
const MAX_WORKERS: usize = 4;

/// The destination of the accepted records of an import.
#[derive(Clone, Copy)]
pub struct StoreTarget<'a> {
    pub store: &'a Store,
    pub account: &'a AccountId,
    /// The id of the import. The store commits an import id only once.
    pub import: &'a ImportId,
}

/// The outcome of one run of an import.
#[derive(Debug)]
pub struct ImportOutcome {
    /// The final state of the import: completed or failed.
    pub state: ImportState,
    pub counts: Counts,
    /// The range of times of the accepted events. `None` if the import failed.
    pub ts_range: Option<TsRange>,
    /// The number of bytes of the data file that were read.
    pub bytes: u64,
    /// The SHA-256 of the data file in lower-case hexadecimal digits, if the file was read to its
    /// end.
    pub sha256: Option<String>,
    /// The reason why the file as a whole was not imported.
    pub failure: Option<Failure>,
    pub rejections: Vec<RejectionCount>,
    pub warnings: Vec<String>,
    /// The properties whose types are compared with earlier imports, if the header fits the
    /// manifest.
    pub properties: Vec<Property>,
}

impl ImportOutcome {
    /// Makes the outcome of an import that failed before its data file was read.
    pub fn failed(failure: Failure) -> Self {
        Self {
            state: ImportState::Failed,
            counts: Counts::default(),
            ts_range: None,
            bytes: 0,
            sha256: None,
            failure: Some(failure),
            rejections: Vec::new(),
            warnings: Vec::new(),
            properties: Vec::new(),
        }
    }

    /// Completes `begun`, the report so far of the import, with this outcome.
    pub fn report(self, mut begun: Report, manifest: Option<&Manifest>, at: Timestamp) -> Report {
        let mut warnings = std::mem::take(&mut begun.warnings);
        warnings.extend(self.warnings);
        Report {
            data_type: manifest.map(|m| m.data_type).or(begun.data_type),
            data_file: manifest.map(|m| m.file_name.clone()).or(begun.data_file),
            dry_run: manifest.is_some_and(|m| m.dry_run),
            state: self.state,
            records: self.counts,
            first_ts: self.ts_range.and_then(|ts| Timestamp::from_second(ts.first).ok()),
            last_ts: self.ts_range.and_then(|ts| Timestamp::from_second(ts.last).ok()),
            bytes: self.bytes,
            sha256: self.sha256,
            finished_at: Some(at),
            failure: self.failure,
            rejections: self.rejections,
            warnings,
            ..begun
        }
    }
}

/// The signal that the import was asked to stop. No record was stored.
#[derive(Debug)]
pub struct StopSignal;

/// Reads `source`, stores accepted records in `target` (if given) and writes rejected records to
/// `output`. Every failure except a stop is a part of the outcome.
pub fn run<R: Read + Send>(
    source: DataSource<'_, R>,
    target: Option<StoreTarget<'_>>,
    output: &mut dyn ErrorOutput,
    monitor: &Monitor,
) -> Result<ImportOutcome, StopSignal> {
    let DataSource { data, .. } = source;
    let options = records::ReadOptions {
        limits: source.limits,
        processing_time: source.processing_time,
        workers: cores().min(MAX_WORKERS),
    };
    let mut sink = Pipeline {
        target: target.filter(|_| !source.manifest.dry_run),
        writer: None,
        output,
        errors: None,
        left_out: LeftOut::default(),
        properties: Vec::new(),
        limits: source.limits,
        monitor,
    };
    let file_name = source.manifest.file_name.as_str();
    let read = records::read(data, file_name, source.manifest, &options, &mut sink);
    if monitor.is_stopped() {
        return Err(StopSignal);
    }
    let (summary, mut failure) = match read {
        Ok(summary) => (summary, None),
        Err(stopped) => (*stopped.so_far, Some(stopped.failure)),
    };
    let mut warnings = source.manifest.warnings.clone();
    warnings.extend(summary.warnings);
    let LeftOut { file, lines } = sink.left_out;
    for (left_out, name) in [(file, "the error file"), (lines, "the error file in JSON lines")] {
        if left_out > 0 {
            warnings.push(format!(
                "{left_out} more rejected records are not in {name}: its size is limited by the \
                 maximum size of a data file, and by the room in results/"
            ));
        }
    }
    if failure.is_none() {
        failure = sink.close_errors().and_then(|()| (source.unchanged)()).err();
    }
    if decide::final_state(summary.counts, failure.as_ref()) == ImportState::Completed {
        match sink.commit() {
            Ok(counts) => warnings.extend(identity_warnings(counts)),
            Err(error) => failure = Some(error),
        }
    }
    Ok(ImportOutcome {
        state: decide::final_state(summary.counts, failure.as_ref()),
        counts: if failure.is_some() { unstored(summary.counts) } else { summary.counts },
        ts_range: summary.ts_range.filter(|_| failure.is_none()),
        bytes: summary.bytes,
        sha256: summary.sha256,
        failure,
        rejections: summary.rejections,
        warnings,
        properties: sink.properties,
    })
}

/// Returns the warnings about ids that moved to another profile, and about profiles that lost their
/// last id.
fn identity_warnings(counts: CommitCounts) -> impl Iterator<Item = String> {
    let CommitCounts { moved_ids, absorbed_profiles, .. } = counts;
    let moved = (moved_ids > 0).then(|| {
        format!(
            "{moved_ids} ids belonged to another profile and were moved to the one that the \
             record's stronger id names"
        )
    });
    let absorbed = (absorbed_profiles > 0).then(|| {
        format!(
            "{absorbed_profiles} profiles were left without an id and were deleted; the properties \
             that the other profile lacked were passed on to it"
        )
    });
    moved.into_iter().chain(absorbed)
}

/// Returns the counts of a file that failed as a whole. None of its records is stored, so no record
/// counts as accepted. Accepted records don't count as read either, so that the sum is correct.
fn unstored(counts: Counts) -> Counts {
    Counts { read: counts.rejected, accepted: 0, rejected: counts.rejected }
}

struct Pipeline<'a> {
    target: Option<StoreTarget<'a>>,
    writer: Option<Box<dyn ImportWriter>>,
    output: &'a mut dyn ErrorOutput,
    /// The header of the CSV error file. After the first rejection, this also has the error files.
    errors: Option<(Vec<u8>, Option<ErrorFiles>)>,
    left_out: LeftOut,
    /// The properties whose types are compared with earlier imports.
    properties: Vec<Property>,
    limits: &'a Limits,
    monitor: &'a Monitor,
}

impl Pipeline<'_> {
    fn errors(&mut self) -> io::Result<Option<&mut ErrorFiles>> {
        let Some((header, errors)) = &mut self.errors else { return Ok(None) };
        if errors.is_none() {
            *errors = Some(ErrorFiles::new(self.output, header, self.limits)?);
        }
        Ok(errors.as_mut())
    }

    fn write(&mut self, rejected: &RejectedLines) -> io::Result<()> {
        let Some(errors) = self.errors()? else { return Ok(()) };
        let LeftOut { file, lines } = errors.write(rejected)?;
        self.left_out.file += file;
        self.left_out.lines += lines;
        Ok(())
    }

    fn close_errors(&mut self) -> Result<(), Failure> {
        let Some((_, Some(errors))) = self.errors.take() else { return Ok(()) };
        errors.finish().map_err(|error| self.unwritable(&error))
    }

    fn commit(&mut self) -> Result<CommitCounts, Failure> {
        let Some(writer) = self.writer.take() else { return Ok(CommitCounts::default()) };
        writer.commit().map_err(|error| self.unstorable(&error))
    }

    /// Logs the causes with their paths. The failure in the partner's report only names the host as
    /// the cause.
    fn unstorable(&self, error: &store::Error) -> Failure {
        let (account, import) = self.names();
        tracing::error!(account, import, "the records cannot be stored: {}", chain(error));
        Failure::new(FailureText::Infra, "the records could not be stored")
    }

    /// Logs the cause and makes the failure if an error file can't be written, like
    /// [`Self::unstorable`].
    fn unwritable(&self, error: &io::Error) -> Failure {
        let (account, import) = self.names();
        tracing::error!(account, import, "the error file cannot be written: {}", chain(error));
        let kind = error.kind();
        Failure::new(FailureText::Infra, format_args!("the error file cannot be written: {kind}"))
    }

    fn names(&self) -> (Option<&str>, Option<&str>) {
        let of = self.target.map(|target| (target.account.as_str(), target.import.as_str()));
        of.unzip()
    }
}

impl Sink for Pipeline<'_> {
    type Rejections = RejectedLines;

    fn begin(&mut self, start: &FileStart) -> Result<RejectedLines, Failure> {
        if let Some(StoreTarget { store, account, import }) = self.target {
            let begun = store.begin(account, import, &start.schema);
            self.writer = Some(begun.map_err(|error| self.unstorable(&error))?);
        }
        self.properties = start.schema.properties();
        let lines = RejectedLines::new(start, self.limits);
        self.errors = Some((lines.header(start), None));
        Ok(lines)
    }

    fn accept(&mut self, batch: Batch) -> Result<(), Failure> {
        match &mut self.writer {
            Some(writer) => writer.push(batch),
            None => Ok(()),
        }
        .map_err(|error| self.unstorable(&error))
    }

    fn reject(&mut self, rejected: RejectedLines) -> Result<(), Failure> {
        self.monitor.reject(rejected.len());
        self.write(&rejected).map_err(|error| self.unwritable(&error))
    }

    fn progress(&mut self, progress: records::ReadProgress) -> Result<(), Failure> {
        self.monitor.set(progress.records, progress.bytes);
        if self.monitor.is_stopped() {
            return Err(Failure::new(FailureText::Internal, "stopped"));
        }
        Ok(())
    }
}
