//! Applies changes to a profile's properties, without I/O. The import rules define four operations.
//!
//! Properties are a JSON object, in the order in which they were first set. An unchanged value
//! keeps its bytes, so numbers never lose digits. The result depends only on the changes and their
//! order, not on how they are divided into calls.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::json_object::{
    Properties, PropertyEntry, PropertyName, PropertyNames, PropertyValue, list_text,
};
use crate::records::{Change, Operation, PackedChange, PackedValue, Property, Value};

/// The maximum number of values in a list. If a list is longer, its oldest values are dropped.
const MAX_LIST: usize = 100;

/// The position that marks a property as missing in the current profile.
const ABSENT: u32 = u32::MAX;

/// Applies changes to profiles. The changes refer to the properties of the import by index.
#[derive(Clone, Debug)]
pub struct Merger {
    names: PropertyNames,
    /// The position of each property of the import in the current profile, or [`ABSENT`]. Between
    /// calls, all properties are absent.
    places: Vec<u32>,
}

impl Merger {
    pub fn new(properties: &Arc<[Property]>) -> Self {
        Self { names: PropertyNames::new(properties), places: vec![ABSENT; properties.len()] }
    }

    /// Applies `changes` in order to the JSON object `before` and appends the result to `after`.
    ///
    /// # Errors
    /// `before` is not a JSON object, or has a list that can't be read.
    pub fn merge<'a, 'c: 'a>(
        &'a mut self,
        before: &'a str,
        changes: impl Iterator<Item = Change<'c>>,
        after: &mut String,
    ) -> serde_json::Result<()> {
        self.merge_packed(before, changes.map(PackedChange::from), after)
    }

    /// Does the same as [`Self::merge`], but takes packed changes.
    pub fn merge_packed<'a, 'c: 'a>(
        &'a mut self,
        before: &'a str,
        mut changes: impl Iterator<Item = PackedChange<'c>>,
        after: &mut String,
    ) -> serde_json::Result<()> {
        let Self { names, places } = self;
        let mut entries = match before {
            "{}" => Vec::with_capacity(places.len().min(16)),
            before => names.parse(before)?,
        };
        let index = |entry: &PropertyEntry<'_>| match entry.name {
            PropertyName::Index(property) => Some(property),
            PropertyName::Other(_) => None,
        };
        for (entry, place) in entries.iter().flatten().zip(0..) {
            if let Some(property) = index(entry) {
                places[property] = place;
            }
        }
        let changed = changes
            .try_for_each(|change| apply(&mut entries, &mut places[change.property], change));
        match changed {
            Ok(()) => {
                entries.iter().flatten().filter_map(index).for_each(|at| places[at] = ABSENT);
            }
            // The failed change may have removed an entry, so it is unknown which properties must
            // be reset.
            Err(_) => places.fill(ABSENT),
        }
        changed?;
        names.push_object(after, &entries);
        Ok(())
    }

    /// Splits the JSON of a stored profile into its properties.
    ///
    /// # Errors
    /// Returns an error if `json` is not an object.
    pub fn parse<'a>(&self, json: &'a str) -> serde_json::Result<Properties<'a>> {
        self.names.parse(json)
    }

    /// Appends a JSON object with the properties `own`, and with those properties of `others` that
    /// `own` does not have.
    pub fn push_union<'a>(
        &'a self,
        mut own: Properties<'a>,
        others: Properties<'a>,
        out: &mut String,
    ) {
        let names: HashSet<&str> = own.iter().flatten().map(|own| self.names.name(own)).collect();
        let is_absent = |entry: &PropertyEntry<'_>| !names.contains(self.names.name(entry));
        let absent: Vec<_> = others.into_iter().flatten().filter(is_absent).map(Some).collect();
        drop(names);
        own.extend(absent);
        self.names.push_object(out, &own);
    }
}

/// Applies `change` to its property, which is at `place`. A changed property keeps its place. A new
/// property is added at the end, even if it was removed before. A later call would have the same
/// result.
fn apply<'a>(
    entries: &mut Properties<'a>,
    place: &mut u32,
    change: PackedChange<'a>,
) -> serde_json::Result<()> {
    match (change.operation, change.value) {
        (Operation::Delete, _) => remove(entries, place),
        // An empty cell does not change the property.
        (_, PackedValue::Other(Value::None)) => {}
        (Operation::Set, value) => match entry(entries, *place) {
            Some(entry) => entry.value = PropertyValue::Scalar(value),
            None => push(entries, place, change.property, PropertyValue::Scalar(value)),
        },
        (Operation::Add, value) => {
            let text = list_text(value.get());
            let list = make_list(entries, place, change.property)?;
            if !list.contains(&text) {
                list.push(text);
            }
            list.drain(..list.len().saturating_sub(MAX_LIST));
        }
        (Operation::Remove, value) => {
            let text = list_text(value.get());
            let list = make_list(entries, place, change.property)?;
            list.retain(|value| *value != text);
            if list.is_empty() {
                remove(entries, place);
            }
        }
    }
    Ok(())
}

/// Returns the entry at the position `place`.
fn entry<'e, 'a>(entries: &'e mut Properties<'a>, place: u32) -> Option<&'e mut PropertyEntry<'a>> {
    entries.get_mut(place as usize).and_then(Option::as_mut)
}

fn push<'a>(
    entries: &mut Properties<'a>,
    place: &mut u32,
    property: usize,
    value: PropertyValue<'a>,
) {
    *place = entries.len() as u32;
    entries.push(Some(PropertyEntry { name: PropertyName::Index(property), value }));
}

fn remove(entries: &mut Properties<'_>, place: &mut u32) {
    if let Some(slot) = entries.get_mut(std::mem::replace(place, ABSENT) as usize) {
        *slot = None;
    }
}

/// Converts the value of a property to a list and returns the list. An absent property becomes an
/// empty list. A scalar becomes a list with one text.
fn make_list<'e, 'a>(
    entries: &'e mut Properties<'a>,
    place: &mut u32,
    property: usize,
) -> serde_json::Result<&'e mut Vec<Cow<'a, str>>> {
    if entry(entries, *place).is_none() {
        push(entries, place, property, PropertyValue::List(Vec::new()));
    }
    let value = &mut entry(entries, *place).expect("the entry was just added").value;
    if !matches!(value, PropertyValue::List(_)) {
        let before = std::mem::replace(value, PropertyValue::List(Vec::new()));
        *value = PropertyValue::List(before.into_list()?);
    }
    match value {
        PropertyValue::List(list) => Ok(list),
        _ => unreachable!("the value is a list now"),
    }
}

#[cfg(test)]
pub mod tests;
