//! Rows of the tables `profile` and `identity`. Many rows share one allocation.

use crate::records::IdKind;

/// A row of the table `profile`. Its times are in seconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile<'a> {
    /// The id of the profile, which is at least 1.
    pub id: i64,
    /// The properties of the profile as a JSON object.
    pub properties: &'a str,
    pub created_at: i64,
    pub updated_at: i64,
}

/// Packed rows of the table `profile` with ascending ids.
#[derive(Debug, Default)]
pub struct Profiles {
    /// The JSON of the properties of all profiles, concatenated.
    pub text: String,
    rows: Vec<ProfileRow>,
}

#[derive(Debug)]
struct ProfileRow {
    id: i64,
    end: usize,
    created_at: i64,
    updated_at: i64,
}

impl Profiles {
    /// Adds a profile. Its properties are the text that was appended after the previous profile.
    pub fn add(&mut self, id: i64, created_at: i64, updated_at: i64) {
        self.rows.push(ProfileRow { id, end: self.text.len(), created_at, updated_at });
    }

    /// Removes the text that was appended after the last profile.
    pub fn discard_text(&mut self) {
        self.text.truncate(self.rows.last().map_or(0, |row| row.end));
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Profile<'_>> {
        let mut start = 0;
        self.rows.iter().map(move |&ProfileRow { id, end, created_at, updated_at }| {
            let properties = &self.text[start..end];
            start = end;
            Profile { id, properties, created_at, updated_at }
        })
    }
}

/// Packed ids of one kind, each with its profile.
#[derive(Debug)]
pub struct IdRows {
    pub kind: IdKind,
    text: String,
    /// The end of the text of each id, and the profile of the id.
    rows: Vec<(usize, i64)>,
}

impl IdRows {
    pub fn new<'a>(kind: IdKind, ids: impl Iterator<Item = (&'a str, i64)>) -> Self {
        let (mut text, mut rows) = (String::new(), Vec::new());
        for (id, profile) in ids {
            text.push_str(id);
            rows.push((text.len(), profile));
        }
        Self { kind, text, rows }
    }

    /// Returns all ids, each with its profile.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, i64)> {
        let mut start = 0;
        self.rows.iter().map(move |&(end, profile)| {
            let id = &self.text[start..end];
            start = end;
            (id, profile)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discarded_text_has_no_effect() {
        let mut profiles = Profiles::default();
        profiles.text.push_str("{}");
        profiles.discard_text();
        profiles.text.push_str(r#"{"p":1}"#);
        profiles.add(7, 1, 2);
        profiles.text.push('x');
        profiles.discard_text();
        profiles.add(8, 3, 4);
        let found: Vec<_> = profiles.iter().collect();
        let seven = Profile { id: 7, properties: r#"{"p":1}"#, created_at: 1, updated_at: 2 };
        assert_eq!(found, [seven, Profile { id: 8, properties: "", created_at: 3, updated_at: 4 }]);
    }
}
