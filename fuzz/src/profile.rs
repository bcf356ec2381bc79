//! Any bytes as changes to a profile: the four operations keep what they promise, however the
//! changes are cut into calls.

use std::sync::Arc;

use serde_json::Value as Json;
use sftp_import::manifest::PropertyType;
use sftp_import::records::{Change, Operation, Property, Value};
use sftp_import::store::Merger;

/// Inputs to begin with.
pub const SEEDS: &[&[u8]] = &[
    b"",
    b"{\"Playlist\":[\"Rock\"],\"Age\":21,\"other\":1e400}\0\x01\x00a\x02\x00a\x03\x00b\x00\x01c",
    b"{\"Playlist\":\"a\\u0000\\n\",\"Plan\":null}\0\x01\x00a\x01\x01b\x01\x02c\x01\x03d",
    b"{\"Age\":{\"x\":[1]},\"Age\":2}\0\x01\x01a",
    b"[1]\0\x00\x00a",
    b"\x01\x00a\x01\x00b\x01\x00c\x02\x00a\x02\x00b\x02\x00c",
];

fn properties() -> Arc<[Property]> {
    let property = |name: &str, kind| Property { name: name.to_owned(), kind };
    Arc::new([
        property("Playlist", PropertyType::String),
        property("Age", PropertyType::Integer),
        property("Price", PropertyType::Float),
        property("MSG-sms", PropertyType::Boolean),
        property("Since", PropertyType::Date),
    ])
}

/// The profile before, a zero byte, and three bytes for each change. Without a zero byte the
/// profile is new.
pub fn run(bytes: &[u8]) {
    let (before, changes) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) if bytes.first() == Some(&b'{') => (&bytes[..at], &bytes[at + 1..]),
        _ => (&b"{}"[..], bytes),
    };
    let texts: Vec<String> =
        changes.chunks_exact(3).map(|c| char::from(c[2]).to_string()).collect();
    let changes: Vec<Change<'_>> =
        changes.chunks_exact(3).zip(&texts).map(|(c, text)| change(c, text)).collect();
    let mut merger = Merger::new(&properties());
    match stored(before) {
        Some(before) => agrees(&mut merger, &before, &changes),
        None => {
            // What the store never wrote: no panic, and it leaves nothing behind in the merger.
            merge(&mut merger, &String::from_utf8_lossy(before), &changes);
            let new = merge(&mut merger, "{}", &changes);
            assert_eq!(new, merge(&mut Merger::new(&properties()), "{}", &changes));
        }
    }
}

/// One call and many give the same, and what was asked for.
fn agrees(merger: &mut Merger, before: &str, changes: &[Change<'_>]) {
    let after = merge(merger, before, changes).expect("an object of ours");
    holds(&after, changes);
    let steps = changes.iter().fold(before.to_owned(), |profile, change| {
        merge(merger, &profile, &[*change]).expect("as in one call")
    });
    assert_eq!(after, steps);
}

/// `json` as the store writes objects, where no key comes twice; none if it is no object.
fn stored(json: &[u8]) -> Option<String> {
    let json: Json = serde_json::from_slice(json).ok()?;
    json.is_object().then(|| json.to_string())
}

fn change<'a>(bytes: &[u8], text: &'a str) -> Change<'a> {
    let operation = [Operation::Set, Operation::Add, Operation::Remove, Operation::Delete]
        [bytes[0] as usize % 4];
    let property = bytes[1] as usize % 5;
    let number = i64::from(bytes[2]) - 128;
    let value = match property {
        _ if operation == Operation::Delete => Value::None,
        0 => Value::Text(text),
        1 => Value::Integer(number),
        2 => Value::Float(number as f64 / 8.0),
        3 => Value::Boolean(number > 0),
        _ => Value::Date(number * 100_000_000),
    };
    Change { property, operation, value }
}

fn merge(merger: &mut Merger, before: &str, changes: &[Change<'_>]) -> Option<String> {
    let mut after = String::new();
    merger.merge(before, changes.iter().copied(), &mut after).ok()?;
    Some(after)
}

fn holds(after: &str, changes: &[Change<'_>]) {
    let after: Json = serde_json::from_str(after).expect("JSON");
    for (at, property) in properties().iter().enumerate() {
        let Some(last) = changes.iter().rfind(|change| change.property == at) else { continue };
        let value = after.get(&property.name);
        match last.operation {
            Operation::Delete => assert_eq!(value, None),
            Operation::Set => assert!(value.is_some_and(|value| !value.is_array())),
            Operation::Add => list(value.expect("what was added is there")),
            Operation::Remove => value.iter().for_each(|value| list(value)),
        }
    }
}

/// A list has 1 to 100 different texts.
fn list(value: &Json) {
    let Json::Array(values) = value else { panic!("no list: {value}") };
    assert!((1..=100).contains(&values.len()) && values.iter().all(Json::is_string), "{value}");
}
