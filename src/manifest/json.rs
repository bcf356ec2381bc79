//! JSON values whose objects keep the order of keys and duplicate keys.
//!
//! `serde_json::Value` silently keeps the last of two equal keys. A manifest that maps a column
//! twice has a mistake, which its author must see.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::sanitize::printable;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A JSON number that is an integer of zero or more.
    Whole(u64),
    /// Any other JSON number, in its written form.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a JSON text.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        let mut json: Self = serde_json::from_str(text)?;
        json.set_numbers(&mut number_texts(text));
        Ok(json)
    }

    /// Sets the written form of each number, in document order. The parser serde_json returns only
    /// the values.
    fn set_numbers<'a>(&mut self, texts: &mut impl Iterator<Item = &'a str>) {
        match self {
            Self::Whole(_) => drop(texts.next()),
            Self::Number(number) => *number = texts.next().unwrap_or(number).to_owned(),
            Self::Array(items) => items.iter_mut().for_each(|item| item.set_numbers(texts)),
            Self::Object(entries) => {
                entries.iter_mut().for_each(|(_, value)| value.set_numbers(texts));
            }
            Self::Null | Self::Bool(_) | Self::Text(_) => {}
        }
    }
}

/// Returns the numbers of a JSON text as written.
fn number_texts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(|c: char| matches!(c, '"' | '-' | '0'..='9'))?;
            rest = &rest[start..];
            let number = match rest.strip_prefix('"') {
                Some(_) => None,
                None => {
                    let is_inside = |c| matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9');
                    Some(&rest[..rest.find(|c| !is_inside(c)).unwrap_or(rest.len())])
                }
            };
            let length = number.map_or_else(|| length_in_quotes(rest), str::len);
            rest = &rest[length..];
            if number.is_some() {
                return number;
            }
        }
    })
}

/// Returns the length of the quoted text at the start of `rest`, including its quotes.
fn length_in_quotes(rest: &str) -> usize {
    let mut is_escaped = false;
    let is_end = |(_, c): &(usize, char)| {
        let ends = *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        ends
    };
    rest.char_indices().skip(1).find(is_end).map_or(rest.len(), |(at, _)| at + 1)
}

impl fmt::Display for Json {
    /// Formats the value for a message. A text is cut after 64 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Whole(n) => n.fmt(f),
            Self::Number(text) => f.write_str(&text.chars().take(64).collect::<String>()),
            Self::Text(text) => f.write_str(&quote(text)),
            Self::Array(_) => f.write_str("a list"),
            Self::Object(_) => f.write_str("an object"),
        }
    }
}

/// Returns a partner's text for a message: quoted, escaped, and cut after 64 characters.
pub(super) fn quote(text: &str) -> String {
    let start: String = text.chars().take(64).collect();
    let end = if start.len() < text.len() { "…" } else { "" };
    printable(&format!("{start:?}{end}"))
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Json, E> {
        Ok(Json::Whole(n))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Json, E> {
        Ok(u64::try_from(n).map_or_else(|_| Json::Number(n.to_string()), Json::Whole))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Json, E> {
        Ok(Json::Number(n.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_key_order_and_duplicate_keys() {
        let json: Json = serde_json::from_str(r#"{"b":1,"a":-1,"b":[null,true,"x"]}"#).unwrap();
        let list = Json::Array(vec![Json::Null, Json::Bool(true), Json::Text("x".into())]);
        let entries = [("b", Json::Whole(1)), ("a", Json::Number("-1".into())), ("b", list)];
        assert_eq!(json, Json::Object(entries.map(|(k, v)| (k.to_owned(), v)).into()));
    }

    #[test]
    fn json_numbers_are_printed_as_written() {
        let text = r#"{"-1":2.0,"\\":"\"3","a":[7,1e3,-0,{"b":1.50}],"c":123456789012345678901}"#;
        let Json::Object(entries) = Json::read(text).unwrap() else { panic!() };
        let number = |text: &str| Json::Number(text.into());
        assert_eq!(entries[0].1, number("2.0"));
        let Json::Array(list) = &entries[2].1 else { panic!() };
        let inner = Json::Object(vec![("b".into(), number("1.50"))]);
        assert_eq!(*list, [Json::Whole(7), number("1e3"), number("-0"), inner]);
        assert_eq!(entries[3].1.to_string(), "123456789012345678901");
    }

    #[test]
    fn deep_nesting_is_an_error() {
        assert!(serde_json::from_str::<Json>(&"[".repeat(100_000)).is_err());
    }
}
