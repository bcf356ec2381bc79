//! What changes make of a profile's properties: RULES' four operations, without I/O.
//!
//! Properties are a JSON object, in the order in which they were first set. What no change
//! touches keeps its bytes, so numbers never drift. The result depends on the changes and their
//! order alone, not on how they are cut into calls.

use std::borrow::Cow;
use std::sync::Arc;

use super::json_object::{Entries, Entry, Held, Name, Names, text_of};
use crate::records::{Change, Operation, PackedChange, PackedValue, Property, Value};

/// How many values a list keeps; the oldest goes.
const MAX_LIST: usize = 100;

/// Marks a property that the profile in hand doesn't have.
const ABSENT: u32 = u32::MAX;

/// Applies changes that index into one import's properties.
#[derive(Clone, Debug)]
pub struct Merger {
    names: Names,
    /// Where the profile in hand has each property, or [`ABSENT`]; all absent between calls.
    places: Vec<u32>,
}

impl Merger {
    /// A merger for changes that index into `properties`.
    pub fn new(properties: &Arc<[Property]>) -> Self {
        Self { names: Names::new(properties), places: vec![ABSENT; properties.len()] }
    }

    /// Appends to `after` the JSON object that `changes`, in their order, make of `before`.
    ///
    /// # Errors
    /// `before` is not a JSON object, or a list in it can't be read.
    pub fn merge<'a, 'c: 'a>(
        &'a mut self,
        before: &'a str,
        changes: impl Iterator<Item = Change<'c>>,
        after: &mut String,
    ) -> serde_json::Result<()> {
        self.merge_packed(before, changes.map(PackedChange::from), after)
    }

    /// The same of packed changes.
    ///
    /// # Errors
    /// As there.
    pub fn merge_packed<'a, 'c: 'a>(
        &'a mut self,
        before: &'a str,
        mut changes: impl Iterator<Item = PackedChange<'c>>,
        after: &mut String,
    ) -> serde_json::Result<()> {
        let Self { names, places } = self;
        let mut entries = match before {
            "{}" => Vec::with_capacity(places.len().min(16)),
            before => names.entries(before)?,
        };
        let known = |entry: &Entry<'_>| match entry.name {
            Name::Known(property) => Some(property),
            Name::Other(_) => None,
        };
        for (entry, place) in entries.iter().flatten().zip(0..) {
            if let Some(property) = known(entry) {
                places[property] = place;
            }
        }
        let changed = changes
            .try_for_each(|change| apply(&mut entries, &mut places[change.property], change));
        match changed {
            Ok(()) => {
                entries.iter().flatten().filter_map(known).for_each(|at| places[at] = ABSENT);
            }
            // The entry in hand is lost, and with it what it was.
            Err(_) => places.fill(ABSENT),
        }
        changed?;
        names.push_object(after, &entries);
        Ok(())
    }
}

/// Applies `change` to its property, which is at `place`. What it leaves stays where it is, and
/// what is new comes last: also what is set again after it was removed, as in a later call.
fn apply<'a>(
    entries: &mut Entries<'a>,
    place: &mut u32,
    change: PackedChange<'a>,
) -> serde_json::Result<()> {
    match (change.operation, change.value) {
        (Operation::Delete, _) => remove(entries, place),
        // Nothing to set, add or remove.
        (_, PackedValue::Other(Value::None)) => {}
        (Operation::Set, value) => match entry(entries, *place) {
            Some(entry) => entry.value = Held::Scalar(value),
            None => push(entries, place, change.property, Held::Scalar(value)),
        },
        (Operation::Add, value) => {
            let text = text_of(value.get());
            let list = list(entries, place, change.property)?;
            if !list.contains(&text) {
                list.push(text);
            }
            list.drain(..list.len().saturating_sub(MAX_LIST));
        }
        (Operation::Remove, value) => {
            let text = text_of(value.get());
            let list = list(entries, place, change.property)?;
            list.retain(|value| *value != text);
            if list.is_empty() {
                remove(entries, place);
            }
        }
    }
    Ok(())
}

/// The entry at `place`, if there is one.
fn entry<'e, 'a>(entries: &'e mut Entries<'a>, place: u32) -> Option<&'e mut Entry<'a>> {
    entries.get_mut(place as usize).and_then(Option::as_mut)
}

fn push<'a>(entries: &mut Entries<'a>, place: &mut u32, property: usize, value: Held<'a>) {
    *place = entries.len() as u32;
    entries.push(Some(Entry { name: Name::Known(property), value }));
}

fn remove(entries: &mut Entries<'_>, place: &mut u32) {
    if let Some(slot) = entries.get_mut(std::mem::replace(place, ABSENT) as usize) {
        *slot = None;
    }
}

/// The property's value as a list: an empty one when it was not there, and of a scalar its text.
fn list<'e, 'a>(
    entries: &'e mut Entries<'a>,
    place: &mut u32,
    property: usize,
) -> serde_json::Result<&'e mut Vec<Cow<'a, str>>> {
    if entry(entries, *place).is_none() {
        push(entries, place, property, Held::List(Vec::new()));
    }
    let value = &mut entry(entries, *place).expect("it is there now").value;
    if !matches!(value, Held::List(_)) {
        let before = std::mem::replace(value, Held::List(Vec::new()));
        *value = Held::List(before.into_list()?);
    }
    match value {
        Held::List(list) => Ok(list),
        _ => unreachable!("it is a list now"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
