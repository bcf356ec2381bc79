//! Reads and writes a profile's properties as JSON.
//!
//! A stored object is only split into names and values. A fast scanner ([`json_scan`]) does this if
//! this program wrote the object. An unchanged value is written back with the same bytes. Names are
//! compared with the import's properties, which nearly all profiles have in the same order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_scan;
use crate::records::{PackedValue, Property, Value};

/// The names of the properties of an import.
#[derive(Clone, Debug)]
pub struct PropertyNames {
    properties: Arc<[Property]>,
    /// The name of each property as JSON, followed by a colon.
    json: Vec<String>,
    by_name: HashMap<String, usize>,
}

/// The properties of the profile that is being merged. If a property is removed, its place stays
/// empty.
pub type Properties<'a> = Vec<Option<PropertyEntry<'a>>>;

/// One property of a profile, with its name and its value.
pub struct PropertyEntry<'a> {
    pub name: PropertyName<'a>,
    pub value: PropertyValue<'a>,
}

/// The name of a property of a profile.
pub enum PropertyName<'a> {
    /// The name of a property of the import. The number is the index of the property.
    Index(usize),
    Other(Cow<'a, str>),
}

/// The value of a property: the stored JSON, or the value of a change.
pub enum PropertyValue<'a> {
    Stored(&'a str),
    Scalar(PackedValue<'a>),
    List(Vec<Cow<'a, str>>),
}

impl PropertyNames {
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

    /// Splits the JSON of a stored profile into its properties.
    ///
    /// # Errors
    /// Returns an error if `json` is not an object.
    pub fn parse<'a>(&self, json: &'a str) -> serde_json::Result<Properties<'a>> {
        if let Some(entries) = self.scan(json) {
            return Ok(entries);
        }
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let entries = deserializer.deserialize_map(ObjectVisitor(self))?;
        deserializer.end()?;
        Ok(entries)
    }

    /// Splits the JSON of a stored profile with a fast scanner. Returns `None` if another program
    /// has written the JSON.
    fn scan<'a>(&self, json: &'a str) -> Option<Properties<'a>> {
        let (mut rest, mut expected) = (json, 0);
        let mut entries = Vec::with_capacity(self.json.len().min(16));
        json_scan::scan_byte(&mut rest, b'{')?;
        loop {
            let name = match self.json.get(expected).and_then(|name| rest.strip_prefix(name)) {
                Some(after) => {
                    rest = after;
                    PropertyName::Index(expected)
                }
                None => {
                    let name = json_scan::scan_string(&mut rest)?;
                    json_scan::scan_byte(&mut rest, b':')?;
                    self.find(name.into(), expected)
                }
            };
            if let PropertyName::Index(property) = name {
                expected = property + 1;
            }
            let value = PropertyValue::Stored(json_scan::scan_value(&mut rest)?);
            entries.push(Some(PropertyEntry { name, value }));
            if json_scan::scan_byte(&mut rest, b',').is_none() {
                return (rest == "}").then_some(entries);
            }
        }
    }

    /// Finds the property of the import with the name `name`. The property at the index `expected`
    /// is compared first.
    fn find<'a>(&self, name: Cow<'a, str>, expected: usize) -> PropertyName<'a> {
        if self.properties.get(expected).is_some_and(|property| property.name == name) {
            return PropertyName::Index(expected);
        }
        match self.by_name.get(&*name) {
            Some(&property) => PropertyName::Index(property),
            None => PropertyName::Other(name),
        }
    }

    /// Returns the name of a property.
    pub fn name<'a>(&'a self, entry: &'a PropertyEntry<'_>) -> &'a str {
        match &entry.name {
            PropertyName::Index(property) => &self.properties[*property].name,
            PropertyName::Other(name) => name,
        }
    }

    /// Appends a JSON object with the properties `entries` to `out`.
    pub fn push_object(&self, out: &mut String, entries: &Properties<'_>) {
        out.push('{');
        for (n, PropertyEntry { name, value }) in entries.iter().flatten().enumerate() {
            if n > 0 {
                out.push(',');
            }
            match name {
                PropertyName::Index(property) => out.push_str(&self.json[*property]),
                PropertyName::Other(name) => {
                    push_text(out, name);
                    out.push(':');
                }
            }
            value.push_to(out);
        }
        out.push('}');
    }
}

impl<'a> PropertyValue<'a> {
    /// Returns the value as a list. A scalar becomes a list with one text.
    ///
    /// # Errors
    /// Returns an error if a string is not valid JSON.
    pub fn into_list(self) -> serde_json::Result<Vec<Cow<'a, str>>> {
        match self {
            Self::List(list) => Ok(list),
            Self::Scalar(value) => Ok(vec![list_text(value.get())]),
            Self::Stored(json) if json.starts_with('[') => parse_list(json),
            Self::Stored(json) => Ok(vec![stored_text(json)?]),
        }
    }
}

/// Parses the JSON of a stored list.
fn parse_list(json: &str) -> serde_json::Result<Vec<Cow<'_, str>>> {
    let mut list = Vec::with_capacity(8);
    match json_scan::scan_list(&mut { json }, |text| list.push(text.into())) {
        Some(()) => Ok(list),
        None => {
            let values: Vec<&RawValue> = serde_json::from_str(json)?;
            values.into_iter().map(|value| stored_text(value.get())).collect()
        }
    }
}

/// Returns a stored scalar as text. For a string, this is its content. For any other value, this
/// is its JSON.
fn stored_text(json: &str) -> serde_json::Result<Cow<'_, str>> {
    match json {
        text if text.starts_with('"') => serde_json::from_str(text).map(|JsonText(text)| text),
        text => Ok(Cow::Borrowed(text)),
    }
}

/// Returns a value as the text of a list element. The text is the value's JSON without quotes.
pub fn list_text(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::None => "".into(),
        Value::Text(text) => text.into(),
        Value::Integer(n) => n.to_string().into(),
        Value::Float(n) => serde_json::Value::from(n).to_string().into(),
        Value::Boolean(b) => if b { "true" } else { "false" }.into(),
        Value::Date(seconds) => format_rfc3339(seconds).into(),
    }
}

/// The first second of the year 0, the earliest time in RFC 3339. The latest time, the end of 9999,
/// is also the latest civil time of jiff.
const YEAR_0: i64 = -62_167_219_200;

/// Formats a time in seconds like `2020-05-12T08:27:12Z`. A time that RFC 3339 cannot represent is
/// formatted as the number of seconds.
pub fn format_rfc3339(seconds: i64) -> String {
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    match epoch.checked_add(jiff::SignedDuration::from_secs(seconds)) {
        Ok(time) if seconds >= YEAR_0 => format!("{time}Z"),
        _ => seconds.to_string(),
    }
}

/// A JSON string. The text is borrowed if the string has no escapes.
#[derive(Deserialize)]
struct JsonText<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the properties of a profile. In most cases, they have the same order as the properties of
/// the import.
struct ObjectVisitor<'n>(&'n PropertyNames);

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = Properties<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of properties")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (mut entries, mut expected) = (Vec::new(), 0);
        while let Some((JsonText(name), json)) = map.next_entry::<_, &RawValue>()? {
            let name = self.0.find(name, expected);
            if let PropertyName::Index(property) = name {
                expected = property + 1;
            }
            entries.push(Some(PropertyEntry { name, value: PropertyValue::Stored(json.get()) }));
        }
        Ok(entries)
    }
}

impl PropertyValue<'_> {
    fn push_to(&self, out: &mut String) {
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
                Value::Integer(n) => _ = write!(out, "{n}"), // writing to a String never fails
                Value::Date(seconds) => push_text(out, &format_rfc3339(seconds)),
                value => out.push_str(&list_text(value)),
            },
        }
    }
}

/// Appends `text` to `out` as a JSON string. Most texts need no escapes.
fn push_text(out: &mut String, text: &str) {
    if json_scan::plain_len(text.as_bytes()) < text.len() {
        return out.push_str(&serde_json::Value::from(text).to_string());
    }
    out.push('"');
    out.push_str(text);
    out.push('"');
}
