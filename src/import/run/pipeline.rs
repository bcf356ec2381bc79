//! One data file through `records` into the store: what the sidecar, `ingest` and `check` share.
//!
//! Always holds: the store is committed only after the whole file was read and found good, and
//! nothing is committed when every record was rejected, in a dry run, or after a failure.

use std::io::{self, Read, Write};

use jiff::Timestamp;

use super::decide;
use super::error_files::{Errors, Lines};
use super::progress::Monitor;
use crate::account::AccountId;
use crate::config::{Limits, cores};
use crate::import_id::ImportId;
use crate::manifest::Manifest;
use crate::records::{self, Batch, Sink, Start};
use crate::report::{Counts, Failure, FailureText, ImportState, RejectionCount, Report};
use crate::sanitize::chain;
use crate::store::{self, Store, Writer};

/// The data file to read.
pub struct Source<'a, R> {
    /// What it says about itself.
    pub manifest: &'a Manifest,
    /// Its bytes, from the first.
    pub data: R,
    /// The (c) of the rules.
    pub limits: &'a Limits,
    /// What an empty `ts` means: seconds since 1970 UTC, the same on every run of an import.
    pub processing_time: i64,
    /// Asked once all bytes are read and before anything is committed: are they what still lies
    /// there?
    pub unchanged: &'a dyn Fn() -> Result<(), Failure>,
}

/// How many threads parse one data file.
///
/// Each holds 25 MB of the shortest broken records (measured: 403 MB with 16), so this is what
/// keeps an import under 200 MB on a host with many cores. The one thread that reads and digests
/// can't feed many more.
const MAX_WORKERS: usize = 4;

/// Where accepted records go.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The store.
    pub store: &'a Store,
    /// Whose they are.
    pub account: &'a AccountId,
    /// Which import's; the store takes one import once.
    pub import: &'a ImportId,
}

/// Where rejected records go; asked once each, at the first rejection.
pub trait Answers {
    /// The error file, to be written from its start.
    ///
    /// # Errors
    /// It can't be created.
    fn error_file(&mut self) -> io::Result<Box<dyn Write>>;

    /// The same rejections for programs, one JSON object a line.
    ///
    /// # Errors
    /// It can't be created.
    fn error_lines(&mut self) -> io::Result<Box<dyn Write>>;

    /// How many bytes each of them may hold, beside what [`Limits`] say.
    ///
    /// # Errors
    /// It can't be told.
    fn room(&mut self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Completed or failed.
    pub state: ImportState,
    /// Records read, accepted, rejected.
    pub counts: Counts,
    /// The data file's size in bytes, as far as it was read.
    pub bytes: u64,
    /// Its digest, lower-case hex, when it was read to its end.
    pub sha256: Option<String>,
    /// Why the file as a whole was not imported.
    pub failure: Option<Failure>,
    /// Rejections by text.
    pub rejections: Vec<RejectionCount>,
    /// What is worth knowing but stopped nothing.
    pub warnings: Vec<String>,
}

impl Outcome {
    /// An import that failed before its data was read.
    pub fn failed(failure: Failure) -> Self {
        Self {
            state: ImportState::Failed,
            counts: Counts::default(),
            bytes: 0,
            sha256: None,
            failure: Some(failure),
            rejections: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The finished report of an import that `begun` describes so far.
    pub fn report(self, mut begun: Report, manifest: Option<&Manifest>, at: Timestamp) -> Report {
        let mut warnings = std::mem::take(&mut begun.warnings);
        warnings.extend(self.warnings);
        Report {
            data_type: manifest.map(|m| m.data_type).or(begun.data_type),
            data_file: manifest.map(|m| m.file_name.clone()).or(begun.data_file),
            dry_run: manifest.is_some_and(|m| m.dry_run),
            state: self.state,
            records: self.counts,
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

/// The import was asked to stop; nothing was stored.
#[derive(Debug)]
pub struct Stopped;

/// Reads `source`, stores what is accepted in `target` (if any) and writes what is rejected to
/// `answers`.
///
/// # Errors
/// `monitor` was asked to stop. Everything else that goes wrong is in the outcome.
pub fn run<R: Read + Send>(
    source: Source<'_, R>,
    target: Option<Target<'_>>,
    answers: &mut dyn Answers,
    monitor: &Monitor,
) -> Result<Outcome, Stopped> {
    let Source { data, .. } = source;
    let options = records::Options {
        limits: source.limits,
        processing_time: source.processing_time,
        workers: cores().min(MAX_WORKERS),
    };
    let mut sink = Pipeline {
        target: target.filter(|_| !source.manifest.dry_run),
        writer: None,
        answers,
        errors: None,
        left_out: 0,
        limits: source.limits,
        monitor,
    };
    let file_name = source.manifest.file_name.as_str();
    let read = records::read(data, file_name, source.manifest, &options, &mut sink);
    if monitor.is_stopped() {
        return Err(Stopped);
    }
    let (summary, mut failure) = match read {
        Ok(summary) => (summary, None),
        Err(stopped) => (*stopped.so_far, Some(stopped.failure)),
    };
    let mut warnings = source.manifest.warnings.clone();
    if sink.left_out > 0 {
        warnings.push(format!(
            "{} more rejected records are not in the error file: it is never larger than a data \
             file may be, nor than there is room for in results/",
            sink.left_out
        ));
    }
    if failure.is_none() {
        failure = sink.close_errors().and_then(|()| (source.unchanged)()).err();
    }
    if decide::ended(summary.counts, failure.as_ref()) == ImportState::Completed {
        match sink.commit() {
            Ok(0) => {}
            Ok(moved) => warnings.push(format!(
                "{moved} ids belonged to another profile and were moved to the one that the \
                 record's stronger id names"
            )),
            Err(error) => failure = Some(error),
        }
    }
    Ok(Outcome {
        state: decide::ended(summary.counts, failure.as_ref()),
        counts: if failure.is_some() { unstored(summary.counts) } else { summary.counts },
        bytes: summary.bytes,
        sha256: summary.sha256,
        failure,
        rejections: summary.rejections,
        warnings,
    })
}

/// When the file as a whole fails nothing of it is stored: no record counts as accepted, and so
/// that the report reconciles, none that was accepted counts as read.
fn unstored(counts: Counts) -> Counts {
    Counts { read: counts.rejected, accepted: 0, rejected: counts.rejected }
}

struct Pipeline<'a> {
    target: Option<Target<'a>>,
    writer: Option<Writer>,
    answers: &'a mut dyn Answers,
    /// The error files, once there is a rejection, and what the first begins with.
    errors: Option<(Vec<u8>, Option<Errors>)>,
    /// Rejected records that are not in the error files.
    left_out: u64,
    limits: &'a Limits,
    monitor: &'a Monitor,
}

impl Pipeline<'_> {
    fn errors(&mut self) -> io::Result<Option<&mut Errors>> {
        let Some((header, errors)) = &mut self.errors else { return Ok(None) };
        if errors.is_none() {
            *errors = Some(Errors::new(self.answers, header, self.limits)?);
        }
        Ok(errors.as_mut())
    }

    fn write(&mut self, rejected: &Lines) -> io::Result<()> {
        if let Some(errors) = self.errors()? {
            self.left_out += errors.write(rejected)?;
        }
        Ok(())
    }

    fn close_errors(&mut self) -> Result<(), Failure> {
        let Some((_, Some(errors))) = self.errors.take() else { return Ok(()) };
        errors.finish().map_err(|error| self.unwritable(&error))
    }

    /// Commits, and returns how many ids moved to another profile.
    fn commit(&mut self) -> Result<u64, Failure> {
        let Some(writer) = self.writer.take() else { return Ok(0) };
        Ok(writer.commit().map_err(|error| self.unstorable(&error))?.moved_ids)
    }

    /// The partner learns that it was the host; the causes, with their paths, are the log's.
    fn unstorable(&self, error: &store::Error) -> Failure {
        let (account, import) = self.names();
        tracing::error!(account, import, "the records cannot be stored: {}", chain(error));
        Failure::new(FailureText::Infra, "the records could not be stored")
    }

    /// As [`Self::unstorable`] for an error file.
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
    type Rejections = Lines;

    fn begin(&mut self, start: &Start) -> Result<Lines, Failure> {
        if let Some(Target { store, account, import }) = self.target {
            let begun = store.begin(account, import, &start.schema);
            self.writer = Some(begun.map_err(|error| self.unstorable(&error))?);
        }
        let lines = Lines::new(start, self.limits);
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

    fn reject(&mut self, rejected: Lines) -> Result<(), Failure> {
        self.monitor.reject(rejected.len());
        self.write(&rejected).map_err(|error| self.unwritable(&error))
    }

    fn progress(&mut self, progress: records::Progress) -> Result<(), Failure> {
        self.monitor.set(progress.records, progress.bytes);
        if self.monitor.is_stopped() {
            return Err(Failure::new(FailureText::Internal, "stopped"));
        }
        Ok(())
    }
}
