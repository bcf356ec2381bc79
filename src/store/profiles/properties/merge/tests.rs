//! Tests of the operations on properties: a table of cases, and a comparison with a simple model
//! over random changes.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::super::json_object::format_rfc3339;
use super::*;
use crate::manifest::PropertyType;

const ADD: Operation = Operation::Add;
const SET: Operation = Operation::Set;
const REMOVE: Operation = Operation::Remove;
const DELETE: Operation = Operation::Delete;

fn merger(names: &[&str]) -> Merger {
    let kind = PropertyType::String;
    let properties: Arc<[_]> =
        names.iter().map(|name| Property { name: (*name).into(), kind }).collect();
    Merger::new(&properties)
}

fn merge(merger: &mut Merger, before: &str, changes: &[Change<'_>]) -> String {
    let mut after = String::new();
    merger.merge(before, changes.iter().copied(), &mut after).unwrap();
    after
}

#[test]
fn every_operation_handles_every_kind_of_value() {
    let text = Value::Text;
    for (before, operation, value, after) in [
        // The operation $set replaces the value.
        (r#"{}"#, SET, text("x"), r#"{"p":"x"}"#),
        (r#"{"p":["a","b"]}"#, SET, text(""), r#"{"p":""}"#),
        (r#"{"p":"old"}"#, SET, Value::Integer(-5), r#"{"p":-5}"#),
        (r#"{}"#, SET, Value::Integer(i64::MIN), r#"{"p":-9223372036854775808}"#),
        (r#"{}"#, SET, Value::Float(123.0), r#"{"p":123.0}"#),
        (r#"{}"#, SET, Value::Float(0.1), r#"{"p":0.1}"#),
        (r#"{}"#, SET, Value::Boolean(false), r#"{"p":false}"#),
        (r#"{}"#, SET, Value::Date(1_589_272_032), r#"{"p":"2020-05-12T08:27:12Z"}"#),
        (r#"{}"#, SET, Value::Date(-1), r#"{"p":"1969-12-31T23:59:59Z"}"#),
        (r#"{}"#, SET, Value::Date(i64::MAX), r#"{"p":"9223372036854775807"}"#),
        // The operation $add makes a list of different strings.
        (r#"{}"#, ADD, text("a"), r#"{"p":["a"]}"#),
        (r#"{"p":["a"]}"#, ADD, text("b"), r#"{"p":["a","b"]}"#),
        (r#"{"p":["a","b"]}"#, ADD, text("a"), r#"{"p":["a","b"]}"#),
        (r#"{"p":"old"}"#, ADD, text("new"), r#"{"p":["old","new"]}"#),
        (r#"{"p":"old"}"#, ADD, text("old"), r#"{"p":["old"]}"#),
        (r#"{"p":1.50}"#, ADD, text("b"), r#"{"p":["1.50","b"]}"#),
        (r#"{"p":true}"#, ADD, Value::Boolean(true), r#"{"p":["true"]}"#),
        (r#"{"p":7}"#, ADD, Value::Integer(8), r#"{"p":["7","8"]}"#),
        (r#"{}"#, ADD, Value::Float(2.0), r#"{"p":["2.0"]}"#),
        (r#"{}"#, ADD, Value::Date(0), r#"{"p":["1970-01-01T00:00:00Z"]}"#),
        (r#"{"p":"\"é\n"}"#, ADD, text("\u{0}"), r#"{"p":["\"é\n","\u0000"]}"#),
        // The operation $remove removes a value from the list. A list that becomes empty is
        // removed too.
        (r#"{}"#, REMOVE, text("a"), r#"{}"#),
        (r#"{"p":["a","b"]}"#, REMOVE, text("a"), r#"{"p":["b"]}"#),
        (r#"{"p":["a"]}"#, REMOVE, text("a"), r#"{}"#),
        (r#"{"p":["a"]}"#, REMOVE, text("x"), r#"{"p":["a"]}"#),
        (r#"{"p":"a"}"#, REMOVE, text("a"), r#"{}"#),
        (r#"{"p":"a"}"#, REMOVE, text("x"), r#"{"p":["a"]}"#),
        (r#"{"p":7}"#, REMOVE, Value::Integer(7), r#"{}"#),
        // The operation $delete removes the property.
        (r#"{"p":["a"]}"#, DELETE, Value::None, r#"{}"#),
        (r#"{}"#, DELETE, Value::None, r#"{}"#),
        // An empty cell does not change the property.
        (r#"{"p":1}"#, SET, Value::None, r#"{"p":1}"#),
    ] {
        let change = Change { property: 0, operation, value };
        assert_eq!(merge(&mut merger(&["p"]), before, &[change]), after, "{before} {change:?}");
    }
}

#[test]
fn a_list_keeps_its_newest_hundred_values() {
    let texts: Vec<_> = (0..103).map(|n| n.to_string()).collect();
    let changes: Vec<_> = texts
        .iter()
        .map(|text| Change { property: 0, operation: ADD, value: Value::Text(text) })
        .collect();
    let after: Json = serde_json::from_str(&merge(&mut merger(&["p"]), "{}", &changes)).unwrap();
    assert_eq!(after["p"], json!(texts[3..]));
}

#[test]
fn unchanged_values_keep_their_bytes() {
    let before = r#"{"x":0.10000000000000000001,"p":1,"y":{"z":[1e400]},"é\u0001":null}"#;
    let change = Change { property: 0, operation: SET, value: Value::Integer(2) };
    let after = before.replace(r#""p":1"#, r#""p":2"#);
    let mut merger = merger(&["p", "unused"]);
    assert_eq!(merge(&mut merger, before, &[change]), after);
    assert_eq!(
        merge(&mut merger, "{}", &[change]),
        r#"{"p":2}"#,
        "the profile before has no effect"
    );
}

#[test]
fn a_property_set_after_removal_comes_last() {
    let change = |operation, value| Change { property: 0, operation, value };
    let changes = [change(DELETE, Value::None), change(SET, Value::Text("x"))];
    assert_eq!(merge(&mut merger(&["p"]), r#"{"p":1,"q":2}"#, &changes), r#"{"q":2,"p":"x"}"#);
}

#[test]
fn invalid_json_is_an_error_without_effects() {
    let mut merger = merger(&["p"]);
    let change = Change { property: 0, operation: ADD, value: Value::Text("x") };
    for before in ["", "[]", "{", r#"{"p":["\ud800"]}"#] {
        assert!(
            merger.merge(before, [change].into_iter(), &mut String::new()).is_err(),
            "{before}"
        );
    }
    assert_eq!(merge(&mut merger, r#"{"q":1}"#, &[change]), r#"{"q":1,"p":["x"]}"#);
}

/// Implements the sentences of the import rules about operations as directly as possible.
pub fn naive(profile: &mut Map<String, Json>, name: &str, change: Change<'_>) {
    let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    let value = match change.value {
        Value::None => Json::Null,
        Value::Text(text) => json!(text),
        Value::Integer(n) => json!(n),
        Value::Float(n) => json!(n),
        Value::Boolean(b) => json!(b),
        Value::Date(seconds) => json!(format_rfc3339(seconds)),
    };
    let mut list: Vec<String> = match profile.get(name) {
        None => vec![],
        Some(Json::Array(values)) => values.iter().map(text).collect(),
        Some(scalar) => vec![text(scalar)],
    };
    let after = match change.operation {
        SET => Some(value),
        DELETE => None,
        ADD => {
            if !list.contains(&text(&value)) {
                list.push(text(&value));
            }
            Some(json!(list[list.len().saturating_sub(100)..]))
        }
        REMOVE => {
            list.retain(|item| *item != text(&value));
            (!list.is_empty()).then(|| json!(list))
        }
    };
    match after {
        Some(after) => {
            profile.insert(name.to_owned(), after);
        }
        None => {
            profile.shift_remove(name);
        }
    }
}

fn operations() -> impl Strategy<Value = (usize, Operation, u8)> {
    (0..4_usize, prop::sample::select(vec![SET, ADD, ADD, ADD, REMOVE, DELETE]), any::<u8>())
}

fn value(operation: Operation, seed: u8, texts: &[String]) -> Value<'_> {
    match (operation, seed % 5) {
        (DELETE, _) => Value::None,
        (_, 0) => Value::Integer(i64::from(seed)),
        (_, 1) => Value::Float(f64::from(seed) / 10.0),
        (_, 2) => Value::Boolean(seed < 128),
        (_, 3) => Value::Date(i64::from(seed)),
        _ => Value::Text(&texts[seed as usize % texts.len()]),
    }
}

proptest! {
    #[test]
    fn merging_agrees_with_the_naive_model(
        operations in prop::collection::vec(operations(), 0..400),
        texts in prop::collection::vec(any::<String>(), 1..120),
        cut in 1..50_usize,
    ) {
        let names = ["p", "", "é\"", "p "];
        let mut merger = merger(&names);
        let changes: Vec<_> = operations
            .iter()
            .map(|&(property, operation, seed)| {
                Change { property, operation, value: value(operation, seed, &texts) }
            })
            .collect();
        let mut expected = Map::new();
        let mut found = "{}".to_owned();
        for changes in changes.chunks(cut) {
            changes.iter().for_each(|&change| naive(&mut expected, names[change.property], change));
            found = merge(&mut merger, &found, changes);
            prop_assert_eq!(&found, &Json::Object(expected.clone()).to_string());
        }
    }
}
