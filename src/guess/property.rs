//! Chooses names and types of properties.

use std::collections::HashSet;

use super::names;
use super::question::Answers;
use super::survey::Survey;
use super::types::{TypeGuess, guess_type};
use crate::manifest::PropertyType;
use crate::records::{SpecialProperty, fold, is_forbidden, preference};
use crate::report::DataType;
use crate::sanitize::excerpt;

/// The longest name of a property, in characters.
const LONGEST_NAME: usize = 120;

/// Names that a property cannot have, folded: those of fixed columns.
const FIXED: [&str; 7] = ["evtname", "ts", "identity", "fbid", "gpid", "objectid", "guid"];

/// Properties whose values are text, even if all are digits.
const TEXTS: [&str; 6] = ["Name", "Email", "Phone", "Gender", "Tz", "Photo"];

/// A property with its type.
#[derive(Debug)]
pub struct PropertyGuess {
    pub name: String,
    pub guess: TypeGuess,
}

/// The names of properties so far.
#[derive(Debug)]
pub struct PropertyNames {
    data_type: DataType,
    taken: HashSet<String>,
}

impl PropertyNames {
    pub fn new(data_type: DataType) -> Self {
        Self { data_type, taken: HashSet::new() }
    }

    /// Chooses the name and the type of a column. Adds to `notes` what is not as in the header.
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
                    "{} of {} values of column {} are not valid as {property}: it is stored as text",
                    facts.broken,
                    facts.value_count(),
                    excerpt(header),
                ));
            }
        }
        self.own_name(header, guess, notes)
    }

    /// Names a property by its header, changed where it must be.
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
                "column {} is stored as {}: its own name is not allowed or used already",
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

/// Returns whether a property can have the name of its header.
pub fn is_plain(header: &str) -> bool {
    allowed(header) == header && !FIXED.contains(&&*fold(header))
}

/// Returns a name without the characters that are not allowed, and not too long.
fn allowed(header: &str) -> String {
    let is_long = header.chars().nth(LONGEST_NAME).is_some();
    if !is_long && !header.contains(is_forbidden) {
        return header.to_owned();
    }
    // A number may follow.
    let name = header.chars().take(LONGEST_NAME - 10);
    let name: String = name.map(|c| if is_forbidden(c) { '_' } else { c }).collect();
    match name.trim_matches(['_', ' ']) {
        "" => "column".to_owned(),
        name => name.to_owned(),
    }
}
