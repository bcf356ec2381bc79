//! Runs: groups of records of a partition, sorted by profile. A run has as many records as fit into
//! the limit.
//!
//! A partition above the limit has several runs. A profile may then have records in several of
//! them.

use std::ops::Range;

use crossbeam_channel::Sender;

use super::record_codec;
use super::spill::{Spill, SpillFile};
use crate::files::error::IoError;

/// A run of records that are sorted by profile. The records of one profile are in file order.
pub struct SortedRun {
    /// The encoded records of the run, concatenated.
    pub bytes: Vec<u8>,
    /// For each record of the run, its profile and its start in `bytes`.
    pub order: Vec<(i64, u32)>,
    /// Whether the run is the first run of its partition. If so, no earlier run has records of the
    /// same profiles.
    pub is_first: bool,
}

/// Sends the runs of `partitions` in order. Each run has up to `limit` bytes. Stops when the
/// receiver is dropped.
pub fn send_runs(
    partitions: Vec<Spill>,
    spill: &SpillFile,
    limit: usize,
    out: &Sender<Result<SortedRun, IoError>>,
) {
    for mut partition in partitions {
        let mut is_first = true;
        while let Some(bytes) = partition.take(spill, limit).transpose() {
            let run = bytes.map(|bytes| SortedRun::new(bytes, is_first));
            is_first = false;
            if out.send(run).is_err() {
                return;
            }
        }
    }
}

impl SortedRun {
    pub(super) fn new(bytes: Vec<u8>, is_first: bool) -> Self {
        let mut order = Vec::new();
        let mut rest = bytes.as_slice();
        loop {
            let at = (bytes.len() - rest.len()) as u32;
            let Some((profile, _)) = record_codec::next_with_profile(&mut rest) else { break };
            order.push((profile, at));
        }
        let order = sort_by_profile(order);
        Self { bytes, order, is_first }
    }

    /// Returns the body of the record that starts at the position `at`.
    pub fn body(&self, at: u32) -> &[u8] {
        let mut rest = &self.bytes[at as usize..];
        record_codec::next_with_profile(&mut rest).map_or(&[], |(_, body)| body)
    }

    /// Divides the records of the run into chunks of `profiles` profiles. The last chunk may have
    /// fewer profiles.
    pub fn chunks(&self, profiles: usize) -> Vec<Range<usize>> {
        let mut chunks = Vec::new();
        let mut end = 0;
        let mut groups = self.order.chunk_by(|(a, _), (b, _)| a == b);
        loop {
            let len: usize = groups.by_ref().take(profiles).map(<[_]>::len).sum();
            if len == 0 {
                return chunks;
            }
            chunks.push(end..end + len);
            end += len;
        }
    }

    /// Returns the profiles of a chunk, each with its records.
    pub fn groups(&self, chunk: &Range<usize>) -> impl Iterator<Item = (i64, &[(i64, u32)])> {
        let groups = self.order[chunk.clone()].chunk_by(|(a, _), (b, _)| a == b);
        groups.map(|group| (group[0].0, group))
    }

    /// Returns the index of the first record of `profile` in a chunk. If the chunk has no record of
    /// `profile`, returns the index at which one would be inserted.
    pub fn start_of(&self, profile: i64, chunk: &Range<usize>) -> usize {
        chunk.start + self.order[chunk.clone()].partition_point(|&(id, _)| id < profile)
    }

    /// Returns the profiles of a chunk with ids up to `last`. Each profile is returned once.
    pub fn profiles(&self, chunk: &Range<usize>, last: i64) -> Vec<i64> {
        let mut ids: Vec<_> = self.order[chunk.clone()].iter().map(|&(id, _)| id).collect();
        ids.dedup();
        ids.truncate(ids.partition_point(|&id| id <= last));
        ids
    }
}

/// Sorts records by profile and keeps the file order within a profile. If the profiles are close
/// to each other, as in most runs, this is a counting sort.
fn sort_by_profile(mut records: Vec<(i64, u32)>) -> Vec<(i64, u32)> {
    let profiles = || records.iter().map(|&(profile, _)| profile);
    let (Some(first), Some(last)) = (profiles().min(), profiles().max()) else { return records };
    let width = last.abs_diff(first);
    if width / 2 > records.len() as u64 {
        records.sort_unstable();
        return records;
    }
    let index = |profile: i64| profile.abs_diff(first) as usize;
    let mut places = vec![0_u32; width as usize + 2];
    records.iter().for_each(|&(profile, _)| places[index(profile) + 1] += 1);
    let mut before = 0;
    for place in &mut places {
        before += *place;
        *place = before;
    }
    let mut ordered = vec![(0, 0); records.len()];
    for record in records {
        let place = &mut places[index(record.0)];
        ordered[*place as usize] = record;
        *place += 1;
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_sorted_by_profile_in_file_order() {
        let close = [7, 9, 7, 8, 9, 7];
        let far = [i64::MAX, 1, 5, 1, -3, 5];
        for profiles in [&close[..], &far, &[], &[4]] {
            let records: Vec<_> = profiles.iter().copied().zip(0..).collect();
            let mut expected = records.clone();
            expected.sort_by_key(|&(profile, _)| profile);
            assert_eq!(sort_by_profile(records), expected);
        }
    }

    #[test]
    fn chunks_contain_whole_profiles() {
        let mut bytes = Vec::new();
        let profiles = [3, 1, 3, 2, 3, 4];
        for profile in profiles {
            record_codec::push_body_with_profile(&mut bytes, profile, &[profile as u8]);
        }
        let run = SortedRun::new(bytes, true);
        let chunks = run.chunks(2);
        let found = chunks.iter().map(|chunk| run.profiles(chunk, 3));
        assert_eq!(found.collect::<Vec<_>>(), [vec![1, 2], vec![3]]);
        let groups = chunks.iter().flat_map(|chunk| run.groups(chunk));
        let bodies = groups.map(|(profile, group)| {
            assert!(group.iter().all(|&(_, at)| run.body(at) == [profile as u8]));
            (profile, group.len())
        });
        assert_eq!(bodies.collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 3), (4, 1)]);
    }
}
