//! Runs the bodies of the fuzz targets for a limited time on stable Rust, with mutated seeds and
//! random bytes.
//!
//! `SFTP_IMPORT_FUZZ_SECONDS` is the run time of each target in seconds. The default is 2 seconds.
//! The long form of the tests uses 60 seconds.

use std::fmt;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngSeed, TestRunner};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// One change of a seed.
#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index),
}

/// An input. It is printed in Rust syntax, so that it can be copied into the seeds.
struct Bytes(Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let byte = prop_oneof![any::<u8>(), select(b"\",\n\r{}[]:$\\\0\xff".to_vec())];
    let index = any::<Index>;
    prop::collection::vec(
        prop_oneof![
            (index(), byte).prop_map(|(at, byte)| Edit::Set(at, byte)),
            (index(), any::<Vec<u8>>()).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
            (index(), index()).prop_map(|(from, to)| Edit::Remove(from, to)),
            (index(), index()).prop_map(|(from, to)| Edit::Repeat(from, to)),
        ],
        0..6,
    )
}

fn edited(seed: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for edit in edits {
        let places = bytes.len() + 1;
        let between = |a: &Index, b: &Index| {
            let (a, b) = (a.index(places), b.index(places));
            a.min(b)..a.max(b)
        };
        match edit {
            Edit::Set(at, byte) => {
                let at = at.index(places);
                bytes.resize(bytes.len().max(at + 1), 0);
                bytes[at] = *byte;
            }
            Edit::Insert(at, new) => {
                let at = at.index(places);
                bytes.splice(at..at, new.iter().copied());
            }
            Edit::Remove(from, to) => drop(bytes.drain(between(from, to))),
            Edit::Repeat(from, to) => bytes.extend_from_within(between(from, to)),
        }
    }
    bytes
}

/// Runs `target` until its time has passed. A failure is reported with the smallest failing bytes.
/// Without a configured time, every run uses the same inputs. With a configured time, the inputs
/// are random.
fn run(target: fn(&[u8]), seeds: &'static [&'static [u8]]) {
    let seconds = std::env::var("SFTP_IMPORT_FUZZ_SECONDS").ok();
    let explores = seconds.is_some();
    let seconds: u64 = seconds.map_or(2, |text| text.parse().expect("a number of seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    seeds.iter().for_each(|seed| target(seed));
    let from_seed = (select(seeds), edits()).prop_map(|(seed, edits)| edited(seed, &edits));
    let bytes = prop_oneof![9 => from_seed, 1 => any::<Vec<u8>>()].prop_map(Bytes);
    let config = |round| ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: if explores { RngSeed::Random } else { RngSeed::Fixed(round) },
        ..Default::default()
    };
    let mut cases = 0_u64;
    while Instant::now() < end {
        // A runner counts its cases over all its runs, so each round gets a new runner.
        let result = TestRunner::new(config(cases)).run(&bytes, |bytes| {
            target(&bytes.0);
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{failure}"));
        cases += 64;
    }
    eprintln!("{cases} cases in {seconds} s");
}

#[test]
fn fuzzed_manifests_do_not_cause_failures() {
    run(targets::manifest::run, targets::manifest::SEEDS);
}

#[test]
fn fuzzed_records_do_not_cause_failures() {
    run(targets::records::run, targets::records::SEEDS);
}

#[test]
fn fuzzed_profiles_do_not_cause_failures() {
    run(targets::profile::run, targets::profile::SEEDS);
}

#[test]
fn fuzzed_key_files_do_not_cause_failures() {
    run(targets::key::run, targets::key::SEEDS);
}

#[test]
fn fuzzed_log_lines_do_not_cause_failures() {
    run(targets::log_line::run, targets::log_line::SEEDS);
}

#[test]
fn fuzzed_state_databases_do_not_cause_failures() {
    run(targets::state_db::run, targets::state_db::SEEDS);
}

#[test]
fn fuzzed_fingerprints_do_not_cause_failures() {
    run(targets::fingerprint::run, targets::fingerprint::SEEDS);
}

#[test]
fn fuzzed_admin_requests_do_not_cause_failures() {
    run(targets::admin_request::run, targets::admin_request::SEEDS);
}
