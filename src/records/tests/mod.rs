//! Tests that read whole files with [`read`].

mod files;
mod limits;
mod properties;
mod rules;
mod samples;

use std::io::Read;

use super::*;
use crate::config::Limits;
use crate::manifest::Manifest;
use crate::report::{Failure, TsRange};

/// The time of processing in these tests, in seconds since 1970.
const NOW: i64 = 1_600_000_000;

/// A sink that keeps all records and the content of the error files.
#[derive(Default)]
struct RecordingSink {
    batches: Vec<Batch>,
    /// The line number, the raw bytes and the description of each rejected record.
    rejected: Vec<(u64, Option<Vec<u8>>, String)>,
    error_file: Vec<u8>,
    last_progress: ReadProgress,
    stop_after: Option<u64>,
}

/// Collects rejected records, both unchanged and formatted for the error file.
#[derive(Clone)]
struct RecordedRejections {
    format: ErrorFile,
    reason_cache: ReasonCache,
    rejected: Vec<(u64, Option<Vec<u8>>, String)>,
    error_file: Vec<u8>,
}

impl Rejections for RecordedRejections {
    fn add(&mut self, record: &RejectedRecord<'_>) {
        self.format.push(record, &mut self.reason_cache, &mut self.error_file);
        let raw = record.raw.map(<[u8]>::to_vec);
        let why: Vec<_> = record.reasons.iter().map(ToString::to_string).collect();
        self.rejected.push((record.line, raw, why.join("; ")));
    }

    fn is_full(&self) -> bool {
        self.rejected.len() == 3
    }

    fn take(&mut self) -> Self {
        Self {
            format: self.format.clone(),
            reason_cache: ReasonCache::default(),
            rejected: std::mem::take(&mut self.rejected),
            error_file: std::mem::take(&mut self.error_file),
        }
    }
}

impl Sink for RecordingSink {
    type Rejections = RecordedRejections;

    fn begin(&mut self, start: &FileStart) -> Result<RecordedRejections, Failure> {
        let format = ErrorFile::new(start, false);
        self.error_file = format.header(start);
        let reason_cache = ReasonCache::default();
        Ok(RecordedRejections {
            format,
            reason_cache,
            rejected: Vec::new(),
            error_file: Vec::new(),
        })
    }

    fn accept(&mut self, batch: Batch) -> Result<(), Failure> {
        self.batches.push(batch);
        Ok(())
    }

    fn reject(&mut self, rejections: RecordedRejections) -> Result<(), Failure> {
        assert!((1..=3).contains(&rejections.rejected.len()));
        self.error_file.extend(rejections.error_file);
        self.rejected.extend(rejections.rejected);
        Ok(())
    }

    fn progress(&mut self, progress: ReadProgress) -> Result<(), Failure> {
        assert!(progress.bytes >= self.last_progress.bytes);
        self.last_progress = progress;
        match self.stop_after {
            Some(records) if progress.records >= records => {
                Err(Failure::new(crate::report::FailureText::Infra, "stopped"))
            }
            _ => Ok(()),
        }
    }
}

impl RecordingSink {
    fn descriptions(&self) -> Vec<&str> {
        self.rejected.iter().map(|(_, _, description)| description.as_str()).collect()
    }

    fn error_file(self) -> Vec<u8> {
        self.error_file
    }

    /// Returns the earliest and the latest `ts` of all events.
    fn ts_range(&self) -> Option<TsRange> {
        let is_events = matches!(self.batches.first(), Some(Batch::Events(_)));
        let events = if is_events { self.events() } else { Vec::new() };
        let times = events.iter().map(|row| row[1].parse::<jiff::Timestamp>().unwrap().as_second());
        let (first, last) = (times.clone().min(), times.max());
        Some(TsRange { first: first?, last: last? })
    }

    /// Returns the cells of all events as text. A null value is `-`.
    fn events(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for batch in &self.batches {
            let Batch::Events(batch) = batch else { panic!("not events") };
            for row in 0..batch.num_rows() {
                rows.push(batch.columns().iter().map(|c| cell(c, row)).collect());
            }
        }
        rows
    }

    /// Returns all profile records as text. The text has the line number, the time, the ids and
    /// the changes.
    fn profiles(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for batch in &self.batches {
            let Batch::Profiles(batch) = batch else { panic!("not profiles") };
            rows.extend(batch.iter().map(|record| {
                let ids = record.ids.map(|id| id.unwrap_or("-")).join(" ");
                let changes: Vec<_> = record
                    .changes()
                    .map(|change| {
                        let name = &batch.properties()[change.property].name;
                        format!("{:?} {name} {:?}", change.operation, change.value)
                    })
                    .collect();
                format!("{} {} {ids} | {}", record.line, record.at, changes.join(", "))
            }));
        }
        rows
    }
}

/// Returns a value of an event column as text.
fn cell(column: &arrow_array::ArrayRef, row: usize) -> String {
    use arrow_array::types::*;
    use arrow_array::{Array, cast::AsArray};
    use arrow_schema::DataType;
    if column.is_null(row) {
        return "-".into();
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Timestamp(..) => {
            let millis = column.as_primitive::<TimestampMillisecondType>().value(row);
            jiff::Timestamp::from_millisecond(millis).unwrap().to_string()
        }
        other => panic!("no column is {other}"),
    }
}

/// Returns a manifest for the data file `e.csv`. `mapping` is the content of `columns`, and `more`
/// has additional keys.
fn manifest(data_type: &str, mapping: &str, more: &str) -> Manifest {
    let text = format!(
        r#"{{"type":"{data_type}","fileName":"e.csv","clientEmail":"a@b.example",
            "columns":{{{mapping}}}{more}}}"#
    );
    Manifest::parse(text.as_bytes(), &Limits::default()).unwrap()
}

fn read_with(
    input: impl Read + Send,
    manifest: &Manifest,
    limits: &Limits,
    workers: usize,
) -> (RecordingSink, Result<ReadSummary, ReadError>) {
    let mut sink = RecordingSink::default();
    let options = ReadOptions { limits, processing_time: NOW, workers };
    let result = read(input, &manifest.file_name, manifest, &options, &mut sink);
    let counts = match &result {
        Ok(summary) => summary.counts,
        Err(stopped) => stopped.so_far.counts,
    };
    assert_eq!(counts.read, counts.accepted + counts.rejected, "read = accepted + rejected");
    assert_eq!(counts.accepted, sink.batches.iter().map(|b| b.len() as u64).sum::<u64>());
    assert_eq!(counts.rejected, sink.rejected.len() as u64);
    if let Ok(summary) = &result {
        assert_eq!(summary.ts_range, sink.ts_range());
    }
    (sink, result)
}

/// Reads a file for which no failure of the import is expected.
fn accept(text: &[u8], manifest: &Manifest) -> RecordingSink {
    let (sink, result) = read_with(text, manifest, &Limits::default(), 2);
    result.unwrap();
    sink
}

/// Reads a file for which a failure of the import is expected. Returns the failure as `text:
/// detail`.
fn refuse(bytes: &[u8], manifest: &Manifest) -> String {
    let (_, result) = read_with(bytes, manifest, &Limits::default(), 2);
    result.unwrap_err().failure.to_string()
}
