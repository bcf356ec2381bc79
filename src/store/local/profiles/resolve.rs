//! Which profile a record means, by its ids: RULES' "Identity", without I/O.
//!
//! An id that is known brings its profile. When several known ones disagree, the strongest wins
//! (identity, fbId, gpId, objectId) and the others move to its profile, as unknown ones do.

use std::collections::HashMap;

use crate::records::{IdKind, ProfileRecord};

/// The ids of some records, each once.
#[derive(Debug)]
pub struct Ids<'a> {
    keys: Vec<(IdKind, &'a str)>,
    /// Per record, strongest first: indices into `keys`.
    of_records: Vec<[Option<u32>; 4]>,
}

/// What the records' ids come to.
#[derive(Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The profile of every record.
    pub profiles: Vec<i64>,
    /// Where every id leads at the end, as [`Ids::keys`] are ordered.
    pub leads_to: Vec<i64>,
    /// How often a known id moved to another profile.
    pub moved: u64,
}

impl<'a> Ids<'a> {
    /// The ids of `records`.
    pub fn gather(records: &[ProfileRecord<'a>]) -> Self {
        let mut keys = Vec::new();
        let mut known: HashMap<_, u32> = HashMap::with_capacity(records.len());
        let mut number = |key| {
            *known.entry(key).or_insert_with(|| {
                keys.push(key);
                keys.len() as u32 - 1
            })
        };
        let of_records = records
            .iter()
            .map(|record| IdKind::ALL.map(|kind| record.id(kind).map(|id| number((kind, id)))))
            .collect();
        Self { keys, of_records }
    }

    /// Every id, in the order of its first record.
    pub fn keys(&self) -> &[(IdKind, &'a str)] {
        &self.keys
    }

    /// Takes the records in order. `known` is where every id led before them; new profiles get
    /// the numbers after `last_profile`, which goes up with them.
    pub fn resolve(&self, known: &[Option<i64>], last_profile: &mut i64) -> Resolved {
        let mut leads_to = known.to_vec();
        let mut moved = 0;
        let mut resolve_record = |ids: &[Option<u32>; 4]| {
            let ids = || ids.iter().flatten().map(|&id| id as usize);
            let profile = ids().find_map(|id| leads_to[id]).unwrap_or_else(|| {
                *last_profile += 1;
                *last_profile
            });
            for id in ids() {
                let before = leads_to[id].replace(profile);
                moved += u64::from(before.is_some_and(|before| before != profile));
            }
            profile
        };
        let profiles = self.of_records.iter().map(&mut resolve_record).collect();
        // Every id is some record's, and each of a record's ids was set above.
        let leads_to = leads_to.into_iter().flatten().collect();
        Resolved { profiles, leads_to, moved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::ProfileBatch;

    /// Ids are given as `[identity, fbId, gpId, objectId]`, empty for none.
    fn resolve(
        records: &[[&str; 4]],
        known: &[(&str, i64)],
    ) -> (Vec<i64>, Vec<(String, i64)>, u64) {
        let mut batch = ProfileBatch::new([].into());
        for ids in records {
            batch.push(2, 0, ids.map(|id| Some(id).filter(|id| !id.is_empty())), []);
        }
        let records: Vec<_> = batch.iter().collect();
        let ids = Ids::gather(&records);
        let stored: Vec<_> = ids
            .keys()
            .iter()
            .map(|(_, id)| known.iter().find(|(known, _)| known == id).map(|(_, n)| *n))
            .collect();
        let resolved = ids.resolve(&stored, &mut 10);
        let names = ids.keys().iter().map(|(_, id)| (*id).to_owned());
        (resolved.profiles, names.zip(resolved.leads_to).collect(), resolved.moved)
    }

    fn leads(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
        pairs.iter().map(|(id, profile)| ((*id).to_owned(), *profile)).collect()
    }

    #[test]
    fn an_unknown_id_makes_a_profile_and_a_known_one_brings_its_own() {
        let (profiles, ids, moved) =
            resolve(&[["a", "", "", ""], ["a", "", "", "cookie"], ["", "", "", "cookie"]], &[]);
        assert_eq!(profiles, [11, 11, 11]);
        assert_eq!((ids, moved), (leads(&[("a", 11), ("cookie", 11)]), 0));
    }

    #[test]
    fn a_weaker_id_brings_the_profile_of_an_unknown_stronger_one() {
        let (profiles, ids, moved) = resolve(&[["a", "", "", "cookie"]], &[("cookie", 3)]);
        assert_eq!((profiles, moved), (vec![3], 0));
        assert_eq!(ids, leads(&[("a", 3), ("cookie", 3)]));
    }

    #[test]
    fn the_strongest_wins_and_the_others_move() {
        let known = [("a", 1), ("fb", 2), ("gp", 3), ("o", 4)];
        let (profiles, ids, moved) = resolve(&[["a", "fb", "gp", "o"]], &known);
        assert_eq!((profiles, moved), (vec![1], 3));
        assert_eq!(ids, leads(&[("a", 1), ("fb", 1), ("gp", 1), ("o", 1)]));
        let (profiles, _, moved) = resolve(&[["new", "", "gp", "o"]], &known);
        assert_eq!((profiles, moved), (vec![3], 1));
    }

    #[test]
    fn order_counts_and_an_id_can_move_back() {
        let known = [("a", 1), ("b", 2), ("o", 2)];
        let records = [["a", "", "", "o"], ["", "", "", "o"], ["b", "", "", "o"]];
        let (profiles, ids, moved) = resolve(&records, &known);
        assert_eq!((profiles, moved), (vec![1, 1, 2], 2));
        assert_eq!(ids, leads(&[("a", 1), ("o", 2), ("b", 2)]));
    }

    #[test]
    fn the_same_text_of_two_kinds_is_two_ids() {
        let (profiles, _, _) = resolve(&[["x", "", "", ""], ["", "x", "", ""]], &[]);
        assert_eq!(profiles, [11, 12]);
    }
}
