//! Measures the speed of `records::read` in MB/s. All rules are checked, and the sink drops the
//! records.
//!
//! `cargo bench --bench records [MB] [clean|wrong]`. The data has the columns of the events on the
//! product page, and is made in memory from a fixed seed. One record in 1000 is rejected in
//! `clean`, and every record in `wrong`. The bench uses no store and no disk, so it measures only
//! reading, checking and typing.

use std::io::{self, Write};
use std::time::Instant;

use sftp_import::config::Limits;
use sftp_import::manifest::Manifest;
use sftp_import::records::{
    Batch, FileStart, ReadOptions, ReadProgress, RejectedRecord, Rejections, Sink, read,
};
use sftp_import::report::Failure;

#[path = "data/mod.rs"]
mod data;

const ROUNDS: usize = 5;

struct Dropped;

/// Drops every rejected record.
#[derive(Clone)]
struct Forgotten;

impl Rejections for Forgotten {
    fn add(&mut self, record: &RejectedRecord<'_>) {
        std::hint::black_box(record);
    }

    fn is_full(&self) -> bool {
        false
    }

    fn take(&mut self) -> Self {
        Self
    }
}

impl Sink for Dropped {
    type Rejections = Forgotten;

    fn begin(&mut self, _: &FileStart) -> Result<Forgotten, Failure> {
        Ok(Forgotten)
    }

    fn accept(&mut self, batch: Batch) -> Result<(), Failure> {
        drop(std::hint::black_box(batch));
        Ok(())
    }

    fn reject(&mut self, _: Forgotten) -> Result<(), Failure> {
        Ok(())
    }

    fn progress(&mut self, _: ReadProgress) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let megabytes: usize =
        std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(200);
    let limits = Limits::default();
    let manifest =
        Manifest::parse(data::EVENTS_MANIFEST.as_bytes(), &limits).map_err(io::Error::other)?;
    let clean = events(megabytes * 1_000_000, 1000)?;
    let wrong = events(megabytes * 1_000_000, 1)?;
    let mut out = io::stdout().lock();
    let only = |name: &str| std::env::args().any(|arg| arg == name);
    for (name, what, text) in
        [("clean", "1 in 1000 rejected", &clean), ("wrong", "all rejected", &wrong)]
    {
        if !only(name) && (only("clean") || only("wrong")) {
            continue;
        }
        for workers in [1, 2] {
            let options = ReadOptions { limits: &limits, processing_time: 1_600_000_000, workers };
            let mut seconds: Vec<f64> = Vec::new();
            let mut records = 0;
            for _ in 0..ROUNDS {
                let begin = Instant::now();
                let summary = read(&text[..], "events.csv", &manifest, &options, &mut Dropped)
                    .map_err(|stopped| io::Error::other(stopped.failure))?;
                seconds.push(begin.elapsed().as_secs_f64());
                records = summary.counts.read;
            }
            seconds.sort_by(f64::total_cmp);
            let median = seconds[ROUNDS / 2];
            let speed = text.len() as f64 / 1e6 / median;
            writeln!(out, "{what}, {workers} workers: {records} records, {speed:.0} MB/s")?;
        }
    }
    Ok(())
}

/// Returns about `bytes` bytes of events. One event in `every` has a price that is not a number.
fn events(bytes: usize, every: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(bytes);
    data::events(&mut text, bytes as u64 / 103, every)?;
    Ok(text)
}
