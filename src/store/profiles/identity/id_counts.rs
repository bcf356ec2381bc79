//! The number of ids that each profile has. It shows which profiles have no identity, and which
//! profiles have no id.

use std::collections::HashMap;

/// A bit that marks a profile with an identity. The lower bits are the number of the profile's
/// other ids.
const IDENTITY: u32 = 1 << 31;

/// The number of ids of some profiles. The key is the profile id.
#[derive(Debug, Default)]
pub struct IdCounts(HashMap<i64, u32>);

impl IdCounts {
    /// Adds a profile to the set. Its ids are counted later.
    pub fn add_profile(&mut self, profile: i64) {
        self.0.entry(profile).or_default();
    }

    /// Counts one more id of `profile`.
    pub fn add(&mut self, profile: i64, is_identity: bool) {
        add(self.0.entry(profile).or_default(), is_identity);
    }

    /// Counts a stored id of `profile`. Ignores the id if the profile is not in the set.
    pub fn add_stored(&mut self, profile: i64, is_identity: bool) {
        if let Some(count) = self.0.get_mut(&profile) {
            add(count, is_identity);
        }
    }

    /// Removes one id of `profile` that is not an identity. Returns whether the profile now has no
    /// id.
    pub fn remove(&mut self, profile: i64) -> bool {
        let Some(count) = self.0.get_mut(&profile) else { return false };
        if *count & !IDENTITY > 0 {
            *count -= 1;
        }
        *count == 0
    }

    pub fn has_identity(&self, profile: i64) -> bool {
        self.0.get(&profile).is_some_and(|count| count & IDENTITY > 0)
    }
}

fn add(count: &mut u32, is_identity: bool) {
    *count = if is_identity { *count | IDENTITY } else { *count + 1 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_the_last_id_leaves_none() {
        let mut counts = IdCounts::default();
        counts.add_stored(1, false);
        assert!(!counts.remove(1), "the profile is not counted");
        counts.add_profile(1);
        counts.add_stored(1, false);
        counts.add(1, false);
        counts.add(2, false);
        counts.add(2, true);
        assert_eq!([1, 2, 3].map(|profile| counts.has_identity(profile)), [false, true, false]);
        assert_eq!([1, 2, 1].map(|profile| counts.remove(profile)), [false, false, true]);
    }
}
