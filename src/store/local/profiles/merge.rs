//! What changes make of a profile's properties: RULES' four operations, without I/O.
//!
//! Properties are a JSON object, in the order in which they were first set. What no change
//! touches keeps its bytes, so numbers never drift. The result depends on the changes and their
//! order alone, not on how they are cut into calls.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::records::{Change, Operation, Property, Value};

/// How many values a list keeps; the oldest goes.
const MAX_LIST: usize = 100;

/// Marks a property that the profile in hand doesn't have.
const ABSENT: u32 = u32::MAX;

/// Applies changes that index into one import's properties.
#[derive(Debug)]
pub struct Merger {
    names: Names,
    /// Where the profile in hand has each property, or [`ABSENT`]; all absent between calls.
    places: Vec<u32>,
}

/// The import's properties.
#[derive(Debug)]
struct Names {
    properties: Arc<[Property]>,
    /// Each name as a profile's JSON has it, with the colon.
    json: Vec<String>,
    by_name: HashMap<String, usize>,
}

/// The properties of the profile in hand; removed ones leave a gap.
type Entries<'a> = Vec<Option<Entry<'a>>>;

struct Entry<'a> {
    name: Name<'a>,
    value: Held<'a>,
}

/// A property's name.
enum Name<'a> {
    /// That of the import's property with this index.
    Known(usize),
    Other(Cow<'a, str>),
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
        let json = |property: &Property| {
            let mut json = String::new();
            push_text(&mut json, &property.name);
            json + ":"
        };
        let numbered = properties.iter().zip(0..);
        let names = Names {
            properties: Arc::clone(properties),
            json: properties.iter().map(json).collect(),
            by_name: numbered.map(|(property, n)| (property.name.clone(), n)).collect(),
        };
        Self { names, places: vec![ABSENT; properties.len()] }
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

impl Names {
    /// The properties of a stored profile.
    fn entries<'a>(&self, json: &'a str) -> serde_json::Result<Entries<'a>> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let entries = deserializer.deserialize_map(EntriesVisitor(self))?;
        deserializer.end()?;
        Ok(entries)
    }

    /// Which property this is, most likely the one at `likely`.
    fn find<'a>(&self, name: Cow<'a, str>, likely: usize) -> Name<'a> {
        if self.properties.get(likely).is_some_and(|property| property.name == name) {
            return Name::Known(likely);
        }
        self.by_name.get(&*name).map_or(Name::Other(name), |&property| Name::Known(property))
    }

    fn push_object(&self, out: &mut String, entries: &Entries<'_>) {
        out.push('{');
        for (n, Entry { name, value }) in entries.iter().flatten().enumerate() {
            if n > 0 {
                out.push(',');
            }
            match name {
                Name::Known(property) => out.push_str(&self.json[*property]),
                Name::Other(name) => {
                    push_text(out, name);
                    out.push(':');
                }
            }
            value.push(out);
        }
        out.push('}');
    }
}

/// Applies `change` to its property, which is at `place`. What it leaves stays where it is, and
/// what is new comes last: also what is set again after it was removed, as in a later call.
fn apply<'a>(
    entries: &mut Entries<'a>,
    place: &mut u32,
    change: Change<'a>,
) -> serde_json::Result<()> {
    match (change.operation, change.value) {
        (Operation::Delete, _) => remove(entries, place),
        // Nothing to set, add or remove.
        (_, Value::None) => {}
        (Operation::Set, value) => match entry(entries, *place) {
            Some(entry) => entry.value = Held::Scalar(value),
            None => push(entries, place, change.property, Held::Scalar(value)),
        },
        (Operation::Add, value) => {
            let text = text_of(value);
            let list = list(entries, place, change.property)?;
            if !list.contains(&text) {
                list.push(text);
            }
            list.drain(..list.len().saturating_sub(MAX_LIST));
        }
        (Operation::Remove, value) => {
            let text = text_of(value);
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

impl<'a> Held<'a> {
    /// The list, or a list of the scalar as a text.
    fn into_list(self) -> serde_json::Result<Vec<Cow<'a, str>>> {
        match self {
            Self::List(list) => Ok(list),
            Self::Scalar(value) => Ok(vec![text_of(value)]),
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

/// A value as a text, as lists hold it: its JSON without quotes.
fn text_of(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::None => "".into(),
        Value::Text(text) => text.into(),
        Value::Integer(n) => n.to_string().into(),
        Value::Float(n) => serde_json::Value::from(n).to_string().into(),
        Value::Boolean(b) => if b { "true" } else { "false" }.into(),
        Value::Date(seconds) => rfc3339(seconds).into(),
    }
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

/// Reads a profile's properties, which mostly come in the order of the import's.
struct EntriesVisitor<'n>(&'n Names);

impl<'de> Visitor<'de> for EntriesVisitor<'_> {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of properties")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        let (mut entries, mut likely) = (Vec::new(), 0);
        while let Some((Text(name), json)) = map.next_entry()? {
            let name = self.0.find(name, likely);
            if let Name::Known(property) = name {
                likely = property + 1;
            }
            entries.push(Some(Entry { name, value: Held::Stored(json) }));
        }
        Ok(entries)
    }
}

impl Held<'_> {
    fn push(&self, out: &mut String) {
        match self {
            Self::Stored(json) => out.push_str(json.get()),
            Self::List(list) => {
                out.push('[');
                for (n, text) in list.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    push_text(out, text);
                }
                out.push(']');
            }
            Self::Scalar(Value::Text(text)) => push_text(out, text),
            Self::Scalar(Value::Integer(n)) => _ = write!(out, "{n}"), // a String takes all
            Self::Scalar(Value::Date(seconds)) => push_text(out, &rfc3339(*seconds)),
            Self::Scalar(value) => out.push_str(&text_of(*value)),
        }
    }
}

/// Appends `text` as JSON. Most texts have nothing that JSON writes in another way.
fn push_text(out: &mut String, text: &str) {
    let is_other = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // All are looked at, several at once.
    if text.bytes().fold(false, |any, byte| any | is_other(byte)) {
        return out.push_str(&serde_json::Value::from(text).to_string());
    }
    out.push('"');
    out.push_str(text);
    out.push('"');
}

#[cfg(test)]
#[path = "merge_tests.rs"]
pub(super) mod tests;
