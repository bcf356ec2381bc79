//! Finds the profile of a record by its ids: the rules' "Identity", without I/O.
//!
//! A known id belongs to a profile. If a record's known ids belong to different profiles, the
//! strongest id wins (identity, fbId, gpId, objectId). All other ids of the record move to its
//! profile, the unknown ones as well.

/// Marks an id that belongs to no profile yet. No profile has this id.
pub const UNKNOWN: i64 = i64::MIN;

/// The profile of each id, by the id's number. It changes while records are processed in file
/// order.
#[derive(Debug)]
pub struct Resolver {
    profiles_by_id: Vec<i64>,
    has_changed: Vec<bool>,
    /// The greatest profile id assigned so far.
    pub last_profile: i64,
    /// How often a known id moved to another profile.
    pub moves: u64,
}

impl Resolver {
    /// `known` is the profile of each id before the first record, or [`UNKNOWN`]. New profiles get
    /// the ids after `last_profile`.
    pub fn new(known: Vec<i64>, last_profile: i64) -> Self {
        Self {
            has_changed: vec![false; known.len()],
            profiles_by_id: known,
            last_profile,
            moves: 0,
        }
    }

    /// Grows to `ids` ids. The new ones belong to no profile yet.
    pub fn grow(&mut self, ids: usize) {
        self.profiles_by_id.resize(ids, UNKNOWN);
        self.has_changed.resize(ids, false);
    }

    /// Returns the profile of a record with these `ids`, at least one, strongest first. All of them
    /// belong to that profile from now on.
    pub fn resolve(&mut self, ids: impl Iterator<Item = u32> + Clone) -> i64 {
        let ids = || ids.clone().map(|id| id as usize);
        let known = ids().map(|id| self.profiles_by_id[id]).find(|&profile| profile != UNKNOWN);
        let profile = known.unwrap_or_else(|| {
            self.last_profile += 1;
            self.last_profile
        });
        for id in ids() {
            let before = std::mem::replace(&mut self.profiles_by_id[id], profile);
            if before != profile {
                self.has_changed[id] = true;
                self.moves += u64::from(before != UNKNOWN);
            }
        }
        profile
    }

    /// Returns the profile of this id.
    pub fn profile(&self, id: u32) -> i64 {
        self.profiles_by_id[id as usize]
    }

    /// Returns the profiles of these ids. The loop does nothing else, so that the processor loads
    /// many places in memory at the same time.
    pub fn profiles(&self, ids: impl Iterator<Item = u32>) -> Vec<i64> {
        ids.map(|id| self.profile(id)).collect()
    }

    /// Whether a record changed the profile of this id.
    pub fn has_changed(&self, id: u32) -> bool {
        self.has_changed[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::super::id_index::IdIndex;
    use super::super::id_index::tests::number;
    use super::*;
    use crate::records::IdKind;

    /// Resolves `records`, given as `[identity, fbId, gpId, objectId]` with empty for none. Returns
    /// their profiles, the profile of each id, and the number of moves.
    fn resolve(
        records: &[[&str; 4]],
        known: &[(&str, i64)],
    ) -> (Vec<i64>, Vec<(String, i64)>, u64) {
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
        let profiles =
            numbers.iter().map(|numbers| resolver.resolve(numbers.iter().copied())).collect();
        let by_id = ids.iter().zip(0..).map(|((_, id), n)| (id.to_owned(), resolver.profile(n)));
        (profiles, by_id.collect(), resolver.moves)
    }

    fn by_id(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
        pairs.iter().map(|(id, profile)| ((*id).to_owned(), *profile)).collect()
    }

    #[test]
    fn an_unknown_id_creates_a_profile() {
        let (profiles, ids, moves) =
            resolve(&[["a", "", "", ""], ["a", "", "", "cookie"], ["", "", "", "cookie"]], &[]);
        assert_eq!(profiles, [11, 11, 11]);
        assert_eq!((ids, moves), (by_id(&[("a", 11), ("cookie", 11)]), 0));
    }

    #[test]
    fn an_unknown_id_joins_a_weaker_ones_profile() {
        let (profiles, ids, moves) = resolve(&[["a", "", "", "cookie"]], &[("cookie", 3)]);
        assert_eq!((profiles, moves), (vec![3], 0));
        assert_eq!(ids, by_id(&[("a", 3), ("cookie", 3)]));
    }

    #[test]
    fn the_strongest_wins_and_the_others_move() {
        let known = [("a", 1), ("fb", 2), ("gp", 3), ("o", 4)];
        let (profiles, ids, moves) = resolve(&[["a", "fb", "gp", "o"]], &known);
        assert_eq!((profiles, moves), (vec![1], 3));
        assert_eq!(ids, by_id(&[("a", 1), ("fb", 1), ("gp", 1), ("o", 1)]));
        let (profiles, _, moves) = resolve(&[["new", "", "gp", "o"]], &known);
        assert_eq!((profiles, moves), (vec![3], 1));
    }

    #[test]
    fn an_id_can_move_to_its_former_profile() {
        let known = [("a", 1), ("b", 2), ("o", 2)];
        let records = [["a", "", "", "o"], ["", "", "", "o"], ["b", "", "", "o"]];
        let (profiles, ids, moves) = resolve(&records, &known);
        assert_eq!((profiles, moves), (vec![1, 1, 2], 2));
        assert_eq!(ids, by_id(&[("a", 1), ("o", 2), ("b", 2)]));
    }

    #[test]
    fn ids_of_two_kinds_are_different() {
        let (profiles, _, _) = resolve(&[["x", "", "", ""], ["", "x", "", ""]], &[]);
        assert_eq!(profiles, [11, 12]);
    }
}
