//! Measures lower bounds for this machine: the time of the minimum work of each stage of an events
//! import. Each stage runs separately. A library does the work if there is one, otherwise a simple
//! loop.
//!
//! `cargo bench --bench limits [MB]`. Prints the CPU seconds of each stage per GB of the data file,
//! as JSON. `scripts/bench` compares these numbers with the time of an import
//! (docs/performance.md).

#![allow(clippy::print_stdout, reason = "a bench reports")]

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::Instant;

use sha2::{Digest, Sha256};

#[path = "data/mod.rs"]
mod data;

/// The number of times that the work of each stage is repeated. The shortest time is the result.
const ROUNDS: usize = 5;
/// The size of a Parquet page before compression, in bytes. It is the same as in the store.
const PAGE: usize = 64 << 10;

fn main() -> io::Result<()> {
    let megabytes: u64 = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(200);
    let mut text = Vec::new();
    data::events(&mut text, megabytes * 1_000_000 / 103, 1000)?;
    let mut file = tempfile::tempfile_in("/var/tmp")?;
    file.write_all(&text)?;
    let mut copy = vec![0; text.len()];
    let stages = [
        ("reading (kernel)", least(|| read(&file))?),
        ("SHA-256", least(|| done(Sha256::digest(&text)))?),
        ("splitting into blocks", least(|| done(ends(&text)))?),
        ("finding cells", least(|| done(marks(&text)))?),
        ("UTF-8", least(|| simdutf8::basic::from_utf8(&text).map(drop).map_err(io::Error::other))?),
        ("checking and typing", least(|| duplicate(&text, &mut copy))?),
        ("Parquet encoding", least(|| duplicate(&text, &mut copy))?),
        ("zstd", least(|| compress(&text))?),
    ];
    let gigabytes = text.len() as f64 / 1e9;
    let seconds =
        stages.iter().map(|(name, least)| format!("\"{name}\": {:.3}", least / gigabytes));
    println!("{{{}}}", seconds.collect::<Vec<_>>().join(", "));
    Ok(())
}

/// Uses a result that is not needed, so that the compiler does not remove its computation.
fn done<T>(result: T) -> io::Result<()> {
    black_box(result);
    Ok(())
}

/// Returns the time of the fastest round in seconds. The work runs on one thread and never waits,
/// so this is also the CPU time.
fn least(mut work: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    let mut least = f64::MAX;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        work()?;
        least = least.min(begin.elapsed().as_secs_f64());
    }
    Ok(least)
}

/// Reads the file from the page cache, as an import does.
fn read(mut file: &File) -> io::Result<()> {
    use std::io::Seek;
    file.rewind()?;
    let mut buffer = vec![0; 512 << 10];
    while file.read(&mut buffer)? > 0 {
        black_box(&buffer);
    }
    Ok(())
}

/// Scans every byte once for a quote. This is the minimum work for a file without quotes.
fn ends(text: &[u8]) -> usize {
    memchr::memchr_iter(b'"', text).count()
}

/// Counts commas and line ends, without storing their positions. Each chunk is so short that its
/// count fits in a byte, so that compilers can use vector instructions.
fn marks(text: &[u8]) -> usize {
    let is_mark = |byte: &u8| u8::from(*byte == b',') + u8::from(*byte == b'\n');
    text.chunks(255).map(|some| usize::from(some.iter().map(is_mark).sum::<u8>())).sum()
}

/// Copies every byte once. This is the minimum work for filling a column or a page.
fn duplicate(text: &[u8], copy: &mut [u8]) -> io::Result<()> {
    copy.copy_from_slice(black_box(text));
    Ok(())
}

fn compress(text: &[u8]) -> io::Result<()> {
    let mut compressor = zstd::bulk::Compressor::new(1)?;
    for page in text.chunks(PAGE) {
        black_box(compressor.compress(page)?);
    }
    Ok(())
}
