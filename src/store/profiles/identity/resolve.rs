//! Finds the profile of a record by its ids, without I/O. This is the section "Identity" of the
//! import rules.
//!
//! A known id belongs to a profile. If a record's known ids belong to different profiles, the
//! strongest id wins (identity, fbId, gpId, objectId). All other ids of the record, known and
//! unknown, move to the profile of that id. A new identity never joins a profile with another
//! identity: it gets its own profile. A profile that loses its last id is absorbed by the winner.
//!
//! Invariant: an identity never moves, because it is the strongest id of its record. Therefore a
//! profile with an identity is never absorbed.

use super::id_counts::IdCounts;
use super::id_index::IdIndex;
use crate::records::IdKind;

/// The value that marks an id without a profile. No profile has this value as its id.
pub const UNKNOWN: i64 = i64::MIN;

/// Resolves records to profiles. It has the profile of each id by the id's number, and changes
/// while records are processed in file order.
#[derive(Debug)]
pub struct Resolver {
    profiles_by_id: Vec<i64>,
    has_changed: Vec<bool>,
    /// The greatest profile id that was assigned until now.
    pub last_profile: i64,
    /// The number of times that a known id has moved to another profile.
    pub moves: u64,
    /// The number of ids of each profile. `None` if they are not needed, as in most imports.
    counts: Option<IdCounts>,
    /// The profiles that lost their last id to the last record, in the order of these losses.
    pub absorbed: Vec<i64>,
}

impl Resolver {
    /// Creates a resolver. `known` is the profile of each id before the first record, or
    /// [`UNKNOWN`]. New profiles get the ids after `last_profile`.
    pub fn new(known: Vec<i64>, last_profile: i64) -> Self {
        Self {
            has_changed: vec![false; known.len()],
            profiles_by_id: known,
            last_profile,
            moves: 0,
            counts: None,
            absorbed: Vec::new(),
        }
    }

    /// Adds ids until the resolver has `ids` ids. The new ids do not belong to a profile yet.
    pub fn grow(&mut self, ids: usize) {
        self.profiles_by_id.resize(ids, UNKNOWN);
        self.has_changed.resize(ids, false);
    }

    /// Returns the profile of a record with the ids `record`: at least one, strongest first.
    /// Afterwards all of them belong to that profile, and `absorbed` has the profiles that lost
    /// their last id.
    ///
    /// `count_stored` adds the stored ids to the counts of their profiles. It is called before the
    /// first record whose ids belong to different users.
    pub fn resolve<E>(
        &mut self,
        record: impl Iterator<Item = u32> + Clone,
        ids: &IdIndex,
        count_stored: impl FnOnce(&mut IdCounts) -> Result<(), E>,
    ) -> Result<i64, E> {
        let profiles = || record.clone().map(|id| self.profiles_by_id[id as usize]);
        let first = profiles().next().unwrap_or(UNKNOWN);
        if profiles().any(|profile| profile != first) {
            return self.resolve_mixed(record, ids, count_stored);
        }
        if first != UNKNOWN {
            return Ok(first);
        }
        let profile = self.next_profile();
        self.move_all(record, ids, profile);
        Ok(profile)
    }

    /// Resolves the ids of a record if they do not all belong to the same profile.
    fn resolve_mixed<E>(
        &mut self,
        record: impl Iterator<Item = u32> + Clone,
        ids: &IdIndex,
        count_stored: impl FnOnce(&mut IdCounts) -> Result<(), E>,
    ) -> Result<i64, E> {
        let known = || {
            let profiles = record.clone().map(|id| self.profiles_by_id[id as usize]);
            profiles.filter(|&profile| profile != UNKNOWN)
        };
        let strongest = known().next().unwrap_or(UNKNOWN);
        let differ = known().any(|profile| profile != strongest);
        let has_new_identity = record.clone().next().is_some_and(|id| {
            self.profiles_by_id[id as usize] == UNKNOWN && ids.get(id).0 == IdKind::Identity
        });
        if (differ || has_new_identity) && self.counts.is_none() {
            let mut counts = self.count_own(ids);
            count_stored(&mut counts)?;
            self.counts = Some(counts);
        }
        let has_identity = |counts: &IdCounts| counts.has_identity(strongest);
        let profile = match has_new_identity && self.counts.as_ref().is_some_and(has_identity) {
            true => self.next_profile(),
            false => strongest,
        };
        self.move_all(record, ids, profile);
        Ok(profile)
    }

    /// Counts the ids that the records so far added to profiles. The counts include all profiles
    /// that are known so far. No known id has moved so far, because moving an id requires the
    /// counts.
    fn count_own(&self, ids: &IdIndex) -> IdCounts {
        let mut counts = IdCounts::default();
        for (&profile, number) in self.profiles_by_id.iter().zip(0..) {
            if self.has_changed(number) {
                counts.add(profile, ids.get(number).0 == IdKind::Identity);
            } else if profile != UNKNOWN {
                counts.add_profile(profile);
            }
        }
        counts
    }

    /// Moves the ids of a record to `profile`.
    fn move_all(&mut self, record: impl Iterator<Item = u32>, ids: &IdIndex, profile: i64) {
        for id in record {
            let index = id as usize;
            let before = std::mem::replace(&mut self.profiles_by_id[index], profile);
            if before == profile {
                continue;
            }
            self.has_changed[index] = true;
            self.moves += u64::from(before != UNKNOWN);
            if let Some(counts) = &mut self.counts {
                counts.add(profile, ids.get(id).0 == IdKind::Identity);
                if before != UNKNOWN && counts.remove(before) {
                    self.absorbed.push(before);
                }
            }
        }
    }

    fn next_profile(&mut self) -> i64 {
        self.last_profile += 1;
        self.last_profile
    }

    /// Returns the profile that the id with the number `id` belongs to.
    pub fn profile(&self, id: u32) -> i64 {
        self.profiles_by_id[id as usize]
    }

    /// Returns the profiles of several ids. The loop does no other work, so that the processor
    /// loads many places in memory at the same time.
    pub fn profiles(&self, ids: impl Iterator<Item = u32>) -> Vec<i64> {
        ids.map(|id| self.profile(id)).collect()
    }

    /// Returns whether a record has changed the profile of the id.
    pub fn has_changed(&self, id: u32) -> bool {
        self.has_changed[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::id_index::tests::number;
    use super::*;

    /// The result of resolving records: the profile of each record, the profile of each id, and
    /// the absorbed profiles.
    #[derive(Debug, PartialEq)]
    struct Resolved {
        profiles: Vec<i64>,
        ids: Vec<(String, i64)>,
        moves: u64,
        absorbed: Vec<i64>,
    }

    /// Resolves `records`, given as `[identity, fbId, gpId, objectId]` with empty for none. `known`
    /// are the stored ids with their profiles; an identity begins with `i`.
    fn resolve(records: &[[&str; 4]], known: &[(&str, i64)]) -> Resolved {
        let mut ids = IdIndex::default();
        let numbers = records.iter().map(|record| {
            let ids_of = IdKind::ALL.into_iter().zip(record).filter(|(_, id)| !id.is_empty());
            ids_of.map(|(kind, id)| number(&mut ids, kind, id)).collect()
        });
        let numbers: Vec<Vec<_>> = numbers.collect();
        let stored = ids.iter().map(|(_, id)| {
            known.iter().find(|(known, _)| *known == id).map_or(UNKNOWN, |(_, n)| *n)
        });
        let mut resolver = Resolver::new(stored.collect(), 10);
        let count = |counts: &mut IdCounts| {
            known.iter().for_each(|(id, profile)| counts.add_stored(*profile, id.starts_with('i')));
            Ok::<_, Infallible>(())
        };
        let mut absorbed = Vec::new();
        let profiles = numbers.iter().map(|numbers| {
            let profile = resolver.resolve(numbers.iter().copied(), &ids, count).unwrap();
            absorbed.append(&mut resolver.absorbed);
            profile
        });
        let profiles = profiles.collect();
        let by_id = ids.iter().zip(0..).map(|((_, id), n)| (id.to_owned(), resolver.profile(n)));
        Resolved { profiles, ids: by_id.collect(), moves: resolver.moves, absorbed }
    }

    fn resolved(profiles: &[i64], ids: &[(&str, i64)], moves: u64, absorbed: &[i64]) -> Resolved {
        let ids = ids.iter().map(|(id, profile)| ((*id).to_owned(), *profile)).collect();
        Resolved { profiles: profiles.into(), ids, moves, absorbed: absorbed.into() }
    }

    #[test]
    fn an_unknown_id_creates_a_profile() {
        let records = [["i", "", "", ""], ["i", "", "", "cookie"], ["", "", "", "cookie"]];
        let expected = resolved(&[11, 11, 11], &[("i", 11), ("cookie", 11)], 0, &[]);
        assert_eq!(resolve(&records, &[]), expected);
    }

    #[test]
    fn a_new_identity_joins_a_profile_without_one() {
        for known in [&[("cookie", 3)][..], &[("cookie", 3), ("other", 3)]] {
            let found = resolve(&[["i", "", "", "cookie"]], known);
            assert_eq!(found, resolved(&[3], &[("i", 3), ("cookie", 3)], 0, &[]));
        }
    }

    #[test]
    fn a_new_identity_never_joins_another_identity() {
        let found = resolve(&[["ib", "", "", "cookie"]], &[("ia", 3), ("cookie", 3)]);
        assert_eq!(found, resolved(&[11], &[("ib", 11), ("cookie", 11)], 1, &[]));
        // The second identity is in the same window as the first identity.
        let records = [["ia", "", "", "cookie"], ["ib", "f", "", "cookie"], ["", "f", "", ""]];
        let ids = [("ia", 11), ("cookie", 12), ("ib", 12), ("f", 12)];
        assert_eq!(resolve(&records, &[]), resolved(&[11, 12, 12], &ids, 1, &[]));
    }

    #[test]
    fn the_strongest_id_wins_and_others_move() {
        let known = [("i", 1), ("fb", 2), ("gp", 3), ("o", 4), ("o2", 4)];
        let found = resolve(&[["i", "fb", "gp", "o"]], &known);
        let ids = [("i", 1), ("fb", 1), ("gp", 1), ("o", 1)];
        assert_eq!(found, resolved(&[1], &ids, 3, &[2, 3]));
        let found = resolve(&[["i new", "", "gp", "o"]], &known);
        let ids = [("i new", 3), ("gp", 3), ("o", 3)];
        assert_eq!(found, resolved(&[3], &ids, 1, &[]));
    }

    #[test]
    fn an_id_can_move_to_its_former_profile() {
        let known = [("ia", 1), ("ib", 2), ("o", 2)];
        let records = [["ia", "", "", "o"], ["", "", "", "o"], ["ib", "", "", "o"]];
        let found = resolve(&records, &known);
        assert_eq!(found, resolved(&[1, 1, 2], &[("ia", 1), ("o", 2), ("ib", 2)], 2, &[]));
    }

    #[test]
    fn a_profile_is_absorbed_with_its_last_id() {
        let records = [
            ["", "", "", "o1"],
            ["", "f", "", "o2"],
            ["", "f", "", "o1"],
            ["i", "f", "", ""],
            ["i2", "", "", ""],
            ["i2", "", "", "o1"],
            ["i2", "f", "", "o2"],
        ];
        let ids = [("o1", 13), ("f", 13), ("o2", 13), ("i", 12), ("i2", 13)];
        let found = resolve(&records, &[]);
        assert_eq!(found, resolved(&[11, 12, 12, 12, 13, 13, 13], &ids, 4, &[11]));
    }

    #[test]
    fn equal_ids_of_two_kinds_are_different() {
        assert_eq!(resolve(&[["x", "", "", ""], ["", "x", "", ""]], &[]).profiles, [11, 12]);
    }
}
