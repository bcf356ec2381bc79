//! Reads and writes a profile's properties as JSON.
//!
//! A stored object is only split into names and values, with a fast scanner ([`cut`]) if this
//! program wrote it. An unchanged value is written back with the same bytes. Names are compared
//! with the import's properties, which nearly all profiles have in the same order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_scan;
use crate::records::{PackedValue, Property, Value};

/// The import's properties.
#[derive(Clone, Debug)]
pub struct Names {
    properties: Arc<[Property]>,
    /// Each name as JSON, with the colon.
    json: Vec<String>,
    by_name: HashMap<String, usize>,
}

/// The properties of the current profile. A removed one leaves a gap.
pub type Entries<'a> = Vec<Option<Entry<'a>>>;

/// A property of a profile.
pub struct Entry<'a> {
    pub name: Name<'a>,
    pub value: Held<'a>,
}

/// A property's name.
pub enum Name<'a> {
    /// The name of the import's property with this index.
    Known(usize),
    Other(Cow<'a, str>),
}

/// A property's value: the stored JSON, or the value of a change.
pub enum Held<'a> {
    Stored(&'a str),
    Scalar(PackedValue<'a>),
    List(Vec<Cow<'a, str>>),
}

impl Names {
    pub fn new(properties: &Arc<[Property]>) -> Self {
        let json = |property: &Property| {
            let mut json = String::new();
            push_text(&mut json, &property.name);
            json + ":"
        };
        let numbered = properties.iter().zip(0..);
        Self {
            properties: Arc::clone(properties),
            json: properties.iter().map(json).collect(),
            by_name: numbered.map(|(property, n)| (property.name.clone(), n)).collect(),
        }
    }

    /// Splits a stored profile into its properties.
    ///
    /// # Errors
    /// `json` is not an object.
    pub fn entries<'a>(&self, json: &'a str) -> serde_json::Result<Entries<'a>> {
        if let Some(entries) = self.cut(json) {
            return Ok(entries);
        }
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let entries = deserializer.deserialize_map(EntriesVisitor(self))?;
        deserializer.end()?;
        Ok(entries)
    }

    /// Splits a stored profile with the fast scanner. `None` if another program wrote it.
    fn cut<'a>(&self, json: &'a str) -> Option<Entries<'a>> {
        let (mut rest, mut likely) = (json, 0);
        let mut entries = Vec::with_capacity(self.json.len().min(16));
        json_scan::take(&mut rest, b'{')?;
        loop {
            let name = match self.json.get(likely).and_then(|name| rest.strip_prefix(name)) {
                Some(after) => {
                    rest = after;
                    Name::Known(likely)
                }
                None => {
                    let name = json_scan::text(&mut rest)?;
                    json_scan::take(&mut rest, b':')?;
                    self.find(name.into(), likely)
                }
            };
            if let Name::Known(property) = name {
                likely = property + 1;
            }
            entries.push(Some(Entry { name, value: Held::Stored(json_scan::value(&mut rest)?) }));
            if json_scan::take(&mut rest, b',').is_none() {
                return (rest == "}").then_some(entries);
            }
        }
    }

    /// Finds the import's property with this name, most likely the one at `likely`.
    fn find<'a>(&self, name: Cow<'a, str>, likely: usize) -> Name<'a> {
        if self.properties.get(likely).is_some_and(|property| property.name == name) {
            return Name::Known(likely);
        }
        self.by_name.get(&*name).map_or(Name::Other(name), |&property| Name::Known(property))
    }

    /// Appends the JSON object of these properties.
    pub fn push_object(&self, out: &mut String, entries: &Entries<'_>) {
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

impl<'a> Held<'a> {
    /// Returns the list. A scalar becomes a list of its text.
    ///
    /// # Errors
    /// A string is not valid JSON.
    pub fn into_list(self) -> serde_json::Result<Vec<Cow<'a, str>>> {
        match self {
            Self::List(list) => Ok(list),
            Self::Scalar(value) => Ok(vec![text_of(value.get())]),
            Self::Stored(json) if json.starts_with('[') => list_of(json),
            Self::Stored(json) => Ok(vec![text_of_json(json)?]),
        }
    }
}

/// Parses a stored list.
fn list_of(json: &str) -> serde_json::Result<Vec<Cow<'_, str>>> {
    let mut list = Vec::with_capacity(8);
    match json_scan::list(&mut { json }, |text| list.push(text.into())) {
        Some(()) => Ok(list),
        None => {
            let values: Vec<&RawValue> = serde_json::from_str(json)?;
            values.into_iter().map(|value| text_of_json(value.get())).collect()
        }
    }
}

/// Returns a stored scalar as text: the contents of a string, the JSON of any other value.
fn text_of_json(json: &str) -> serde_json::Result<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    match json {
        text if text.starts_with('"') => serde_json::from_str(text).map(|Text(text)| text),
        text => Ok(Cow::Borrowed(text)),
    }
}

/// Returns a value as an element of a list: its JSON without quotes.
pub fn text_of(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::None => "".into(),
        Value::Text(text) => text.into(),
        Value::Integer(n) => n.to_string().into(),
        Value::Float(n) => serde_json::Value::from(n).to_string().into(),
        Value::Boolean(b) => if b { "true" } else { "false" }.into(),
        Value::Date(seconds) => rfc3339(seconds).into(),
    }
}

/// The first second of the year 0, the earliest time in RFC 3339. The latest, the end of 9999, is
/// also the latest civil time of jiff.
const YEAR_0: i64 = -62_167_219_200;

/// Formats `seconds` like `2020-05-12T08:27:12Z`. Times that RFC 3339 can't represent are returned
/// as the number of seconds.
pub fn rfc3339(seconds: i64) -> String {
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    match epoch.checked_add(jiff::SignedDuration::from_secs(seconds)) {
        Ok(time) if seconds >= YEAR_0 => format!("{time}Z"),
        _ => seconds.to_string(),
    }
}

/// Reads a profile's properties, which are mostly in the order of the import's.
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
        while let Some((Text(name), json)) = map.next_entry::<_, &RawValue>()? {
            let name = self.0.find(name, likely);
            if let Name::Known(property) = name {
                likely = property + 1;
            }
            entries.push(Some(Entry { name, value: Held::Stored(json.get()) }));
        }
        Ok(entries)
    }
}

impl Held<'_> {
    fn push(&self, out: &mut String) {
        match self {
            Self::Stored(json) => out.push_str(json),
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
            Self::Scalar(value) => match value.get() {
                Value::Text(text) => push_text(out, text),
                Value::Integer(n) => _ = write!(out, "{n}"), // a String never fails
                Value::Date(seconds) => push_text(out, &rfc3339(seconds)),
                value => out.push_str(&text_of(value)),
            },
        }
    }
}

/// Appends `text` as JSON. Most texts need no escapes.
fn push_text(out: &mut String, text: &str) {
    if json_scan::plain(text.as_bytes()) < text.len() {
        return out.push_str(&serde_json::Value::from(text).to_string());
    }
    out.push('"');
    out.push_str(text);
    out.push('"');
}
