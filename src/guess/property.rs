//! Chooses the names and types of the properties in a manifest.

use std::collections::HashSet;

use super::names;
use super::question::Answers;
use super::survey::Survey;
use super::types::{TypeGuess, guess_type};
use crate::manifest::PropertyType;
use crate::records::{SpecialProperty, fold, is_forbidden, preference};
use crate::report::DataType;
use crate::sanitize::excerpt;

/// The maximum length of a property name, in characters.
const LONGEST_NAME: usize = 120;

/// The names of the fixed columns, in the form that `fold` returns. A property cannot have one of
/// these names.
const FIXED: [&str; 7] = ["evtname", "ts", "identity", "fbid", "gpid", "objectid", "guid"];

/// The properties whose values are text, even if all values are numbers.
const TEXTS: [&str; 6] = ["Name", "Email", "Phone", "Gender", "Tz", "Photo"];

/// The chosen name of a property, and the guess of its type.
#[derive(Debug)]
pub struct PropertyGuess {
    pub name: String,
    pub guess: TypeGuess,
}

/// The property names that are already chosen.
#[derive(Debug)]
pub struct PropertyNames {
    data_type: DataType,
    taken: HashSet<String>,
}

impl PropertyNames {
    pub fn new(data_type: DataType) -> Self {
        Self { data_type, taken: HashSet::new() }
    }

    /// Chooses the property name and the type of a column. Adds a note if the name differs from the
    /// header.
    pub fn choose(
        &mut self,
        survey: &Survey,
        at: usize,
        answers: &Answers,
        notes: &mut Vec<String>,
    ) -> PropertyGuess {
        let header = &survey.header[at];
        let facts = &survey.columns[at];
        let mut guess = guess_type(header, facts, answers);
        let property =
            names::profile_property(header).filter(|_| self.data_type == DataType::Profile);
        if let Some(property) = property.filter(|name| !self.taken.contains(&fold(name))) {
            if preference(property).is_some() {
                if facts.fits(PropertyType::Boolean) || facts.value_count() == 0 {
                    guess = TypeGuess::new(PropertyType::Boolean, "a preference");
                    return self.take(property.to_owned(), guess);
                }
                guess.note = Some(format!(
                    "column {} is not {property}: its values are not true, false, 1, 0, Y or N",
                    excerpt(header),
                ));
            } else if facts.broken * 100 <= facts.value_count() {
                if facts.broken > 0 {
                    notes.push(format!(
                        "{} of {} values of {property} are not valid: their records will be \
                         rejected",
                        facts.broken,
                        facts.value_count(),
                    ));
                }
                if TEXTS.contains(&property) {
                    guess = TypeGuess::new(PropertyType::String, guess.reason);
                }
                return self.take(property.to_owned(), guess);
            } else {
                guess = TypeGuess::new(PropertyType::String, "text");
                guess.note = Some(format!(
                    "{} of {} values of column {} are not valid as {property}: the column \
                     is stored as text",
                    facts.broken,
                    facts.value_count(),
                    excerpt(header),
                ));
            }
        }
        self.own_name(header, guess, notes)
    }

    /// Returns the header of a column as the name of its property. Changes the name if the name is
    /// not allowed or is already used.
    fn own_name(
        &mut self,
        header: &str,
        guess: TypeGuess,
        notes: &mut Vec<String>,
    ) -> PropertyGuess {
        let allowed = allowed(header);
        let is_own = self.data_type == DataType::Profile && SpecialProperty::of(&allowed).is_some();
        let first = if is_own || FIXED.contains(&&*fold(&allowed)) {
            format!("{allowed} text")
        } else {
            allowed
        };
        let numbered = (2..).map(|n| format!("{first} {n}"));
        let name = std::iter::once(first.clone())
            .chain(numbered)
            .find(|name| !self.taken.contains(&fold(name)))
            .unwrap_or(first);
        if name != header && guess.note.is_none() {
            notes.push(format!(
                "column {} is stored as {}: its own name is not allowed or already used",
                excerpt(header),
                excerpt(&name),
            ));
        }
        self.take(name, guess)
    }

    fn take(&mut self, name: String, guess: TypeGuess) -> PropertyGuess {
        self.taken.insert(fold(&name));
        PropertyGuess { name, guess }
    }
}

/// Returns whether the header of a column is an allowed property name.
pub fn is_plain(header: &str) -> bool {
    allowed(header) == header && !FIXED.contains(&&*fold(header))
}

/// Returns an allowed property name for a header: forbidden characters are replaced, and a long
/// name is cut.
fn allowed(header: &str) -> String {
    let is_long = header.chars().nth(LONGEST_NAME).is_some();
    if !is_long && !header.contains(is_forbidden) {
        return header.to_owned();
    }
    // A number may be appended to the name, so the name is cut shorter than the limit.
    let name = header.chars().take(LONGEST_NAME - 10);
    let name: String = name.map(|c| if is_forbidden(c) { '_' } else { c }).collect();
    match name.trim_matches(['_', ' ']) {
        "" => "column".to_owned(),
        name => name.to_owned(),
    }
}
