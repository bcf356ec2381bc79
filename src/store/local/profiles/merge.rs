//! What changes make of a profile's properties: RULES' four operations, without I/O.
//!
//! Properties are a JSON object, in the order in which they were first set. What no change
//! touches keeps its bytes, so numbers never drift. The result depends on the changes and their
//! order alone, not on how they are cut into calls.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::records::{Change, Operation, Property, Value};

/// How many values a list keeps; the oldest goes.
const MAX_LIST: usize = 100;

/// Marks a property that the profile in hand doesn't have.
const ABSENT: u32 = u32::MAX;

/// Applies changes that index into one import's properties.
#[derive(Debug)]
pub struct Merger {
    properties: Arc<[Property]>,
    by_name: HashMap<String, u32>,
    /// Where the profile in hand has each property, or [`ABSENT`]; all absent between calls.
    places: Vec<u32>,
}

/// The properties of the profile in hand; removed ones leave a gap.
#[derive(Default)]
struct Entries<'a>(Vec<Option<Entry<'a>>>);

struct Entry<'a> {
    name: Cow<'a, str>,
    value: Held<'a>,
}

/// A property's value: as it was stored, or as a change made it.
enum Held<'a> {
    Stored(&'a RawValue),
    Scalar(Value<'a>),
    List(Vec<Cow<'a, str>>),
}

impl Merger {
    /// A merger for changes that index into `properties`.
    pub fn new(properties: &Arc<[Property]>) -> Self {
        let numbered = properties.iter().zip(0..);
        Self {
            properties: Arc::clone(properties),
            by_name: numbered.map(|(property, n)| (property.name.clone(), n)).collect(),
            places: vec![ABSENT; properties.len()],
        }
    }

    /// Appends to `after` the JSON object that `changes`, in their order, make of `before`.
    ///
    /// # Errors
    /// `before` is not a JSON object, or a list in it can't be read.
    pub fn merge<'a, 'c: 'a>(
        &'a mut self,
        before: &'a str,
        mut changes: impl Iterator<Item = Change<'c>>,
        after: &mut String,
    ) -> serde_json::Result<()> {
        let Self { properties, by_name, places } = self;
        let mut entries: Entries<'_> = serde_json::from_str(before)?;
        for (entry, place) in entries.0.iter().flatten().zip(0..) {
            if let Some(&property) = by_name.get(&*entry.name) {
                places[property as usize] = place;
            }
        }
        let changed = changes.try_for_each(|change| {
            let name = &properties[change.property].name;
            entries.apply(name, &mut places[change.property], change)
        });
        match changed {
            Ok(()) => entries.known(by_name).for_each(|property| places[property] = ABSENT),
            // The entry in hand is lost, and with it what it was.
            Err(_) => places.fill(ABSENT),
        }
        changed?;
        after.push_str(&serde_json::to_string(&entries)?);
        Ok(())
    }
}

impl<'a> Entries<'a> {
    /// The numbers of those that `by_name` has.
    fn known(&self, by_name: &HashMap<String, u32>) -> impl Iterator<Item = usize> {
        let numbers = self.0.iter().flatten().filter_map(|entry| by_name.get(&*entry.name));
        numbers.map(|&number| number as usize)
    }

    /// Applies `change` to the property `name`, which is at `place`.
    fn apply(
        &mut self,
        name: &'a str,
        place: &mut u32,
        change: Change<'a>,
    ) -> serde_json::Result<()> {
        let held = self.0.get_mut(*place as usize).and_then(Option::take);
        let is_new = held.is_none();
        let (name, before) = match held {
            Some(Entry { name, value }) => (name, Some(value)),
            None => (Cow::Borrowed(name), None),
        };
        let after = changed(before, change)?.map(|value| Entry { name, value });
        match (after, is_new) {
            (Some(entry), true) => {
                *place = self.0.len() as u32;
                self.0.push(Some(entry));
            }
            (Some(entry), false) => self.0[*place as usize] = Some(entry),
            // What is set again after this comes last, as it would in a later call.
            (None, _) => *place = ABSENT,
        }
        Ok(())
    }
}

/// What `change` makes of the value `before`; none: the property is not there.
fn changed<'a>(
    before: Option<Held<'a>>,
    change: Change<'a>,
) -> serde_json::Result<Option<Held<'a>>> {
    match (change.operation, text_of(change.value)) {
        (Operation::Delete, _) => Ok(None),
        // Nothing to set, add or remove.
        (_, None) => Ok(before),
        (Operation::Set, Some(_)) => Ok(Some(Held::Scalar(change.value))),
        (Operation::Add, Some(text)) => {
            let mut list = before.map_or(Ok(Vec::new()), Held::into_list)?;
            if !list.contains(&text) {
                list.push(text);
            }
            list.drain(..list.len().saturating_sub(MAX_LIST));
            Ok(Some(Held::List(list)))
        }
        (Operation::Remove, Some(text)) => {
            let mut list = before.map_or(Ok(Vec::new()), Held::into_list)?;
            list.retain(|value| *value != text);
            Ok((!list.is_empty()).then_some(Held::List(list)))
        }
    }
}

impl<'a> Held<'a> {
    /// The list, or a list of the scalar as a text.
    fn into_list(self) -> serde_json::Result<Vec<Cow<'a, str>>> {
        match self {
            Self::List(list) => Ok(list),
            Self::Scalar(value) => Ok(text_of(value).into_iter().collect()),
            Self::Stored(json) if json.get().starts_with('[') => {
                let values: Vec<&RawValue> = serde_json::from_str(json.get())?;
                values.into_iter().map(text_of_json).collect()
            }
            Self::Stored(json) => Ok(vec![text_of_json(json)?]),
        }
    }
}

/// A stored scalar as a text: what is in its quotes, else its JSON.
fn text_of_json(json: &RawValue) -> serde_json::Result<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    match json.get() {
        text if text.starts_with('"') => serde_json::from_str(text).map(|Text(text)| text),
        text => Ok(Cow::Borrowed(text)),
    }
}

/// A value as a text, as lists hold it: its JSON without quotes. None for [`Value::None`].
fn text_of(value: Value<'_>) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::None => return None,
        Value::Text(text) => text.into(),
        Value::Integer(n) => n.to_string().into(),
        Value::Float(n) => serde_json::Value::from(n).to_string().into(),
        Value::Boolean(b) => if b { "true" } else { "false" }.into(),
        Value::Date(seconds) => rfc3339(seconds).into(),
    })
}

/// The first second of the year 0, the first that RFC 3339 can write; its last, that of 9999, is
/// also the last of jiff's civil time.
const YEAR_0: i64 = -62_167_219_200;

/// `2020-05-12T08:27:12Z`; the seconds themselves where RFC 3339 has no way to write them.
fn rfc3339(seconds: i64) -> String {
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    match epoch.checked_add(jiff::SignedDuration::from_secs(seconds)) {
        Ok(time) if seconds >= YEAR_0 => format!("{time}Z"),
        _ => seconds.to_string(),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of properties")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut entries = Vec::new();
        while let Some((Name(name), json)) = map.next_entry()? {
            entries.push(Some(Entry { name, value: Held::Stored(json) }));
        }
        Ok(Entries(entries))
    }
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().flatten().map(|entry| (&entry.name, &entry.value)))
    }
}

impl Serialize for Held<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Stored(json) => json.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
            Self::Scalar(Value::None) => serializer.serialize_unit(),
            Self::Scalar(Value::Text(text)) => serializer.serialize_str(text),
            Self::Scalar(Value::Integer(n)) => serializer.serialize_i64(*n),
            Self::Scalar(Value::Float(n)) => serializer.serialize_f64(*n),
            Self::Scalar(Value::Boolean(b)) => serializer.serialize_bool(*b),
            Self::Scalar(Value::Date(seconds)) => serializer.serialize_str(&rfc3339(*seconds)),
        }
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
pub(super) mod tests;
