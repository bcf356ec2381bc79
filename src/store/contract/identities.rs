//! The contracts of engines about identities: the profile that a record belongs to, and the
//! profile that is left without an id.

use std::sync::Arc;

use super::harness::*;
use crate::records::{Change, Operation, Schema, Value};

/// The ids and the changes of one profile record.
type Record<'a> = ([&'a str; 4], &'a [Change<'a>]);

/// Imports `records`. Returns the number of ids that moved and the number of profiles that were
/// absorbed.
fn import_records(engine: &TestEngine<'_>, n: i64, records: &[Record<'_>]) -> [u64; 2] {
    let names = properties(&["Name", "City", "Tags"]);
    let batch = profiles(&names, records);
    let counts = engine.run(n, &Schema::Profile(Arc::clone(&names)), vec![batch]);
    [counts.moved_ids, counts.absorbed_profiles]
}

fn stored(engine: &TestEngine<'_>) -> Vec<(String, String)> {
    let profiles = engine.profiles().into_iter();
    profiles.map(|profile| (profile.ids.join(" "), profile.properties)).collect()
}

fn expect(engine: &TestEngine<'_>, profiles: &[(&str, &str)]) {
    let expected = profiles.iter().map(|(ids, json)| ((*ids).to_owned(), (*json).to_owned()));
    assert_eq!(stored(engine), expected.collect::<Vec<_>>());
}

pub fn a_new_identity_gets_its_own_profile(engine: &TestEngine<'_>) {
    let name = |name| [set(0, Value::Text(name))];
    let (ann, bob, cid) = (name("Ann"), name("Bob"), name("Cid"));
    let records: [Record<'_>; 2] = [(["ann", "", "", "dev"], &ann), (["bob", "", "", "dev"], &bob)];
    assert_eq!(import_records(engine, 1, &records), [1, 0]);
    expect(
        engine,
        &[
            ("identity:ann", r#"{"Name":"Ann"}"#),
            ("identity:bob objectId:dev", r#"{"Name":"Bob"}"#),
        ],
    );
    // The result is the same if the profile of the device is already stored.
    assert_eq!(import_records(engine, 2, &[(["cid", "f", "", "dev"], &cid)]), [1, 0]);
    let profiles = stored(engine);
    assert_eq!(profiles[1], ("identity:bob".into(), r#"{"Name":"Bob"}"#.into()));
    assert_eq!(
        profiles[2],
        ("fbId:f identity:cid objectId:dev".into(), r#"{"Name":"Cid"}"#.into())
    );
}

pub fn a_new_identity_joins_an_anonymous_profile(engine: &TestEngine<'_>) {
    let city = [set(1, Value::Text("Pune"))];
    assert_eq!(import_records(engine, 1, &[(["", "", "g", "dev"], &city)]), [0, 0]);
    assert_eq!(import_records(engine, 2, &[(["ann", "", "", "dev"], &[])]), [0, 0]);
    expect(engine, &[("gpId:g identity:ann objectId:dev", r#"{"City":"Pune"}"#)]);
}

pub fn a_profile_without_ids_is_absorbed(engine: &TestEngine<'_>) {
    let known = [set(0, Value::Text("Ann")), add(2, "a")];
    let anonymous = [set(0, Value::Text("?")), set(1, Value::Text("Pune")), add(2, "b")];
    let later = [Change { property: 1, operation: Operation::Delete, value: Value::None }];
    let before: [Record<'_>; 2] = [(A, &known), (["", "", "", "dev"], &anonymous)];
    import_records(engine, 1, &before);
    assert_eq!(import_records(engine, 2, &[(["a", "", "", "dev"], &[])]), [1, 1]);
    let merged = r#"{"Name":"Ann","Tags":["a"],"City":"Pune"}"#;
    expect(engine, &[("identity:a objectId:dev", merged)]);
    let times =
        engine.profiles().into_iter().map(|profile| (profile.created_at, profile.updated_at));
    assert_eq!(times.collect::<Vec<_>>(), [(100, 101)]);
    // The changes of the record itself are applied after the absorption.
    import_records(engine, 3, &[(["", "", "", "dev2"], &anonymous)]);
    assert_eq!(import_records(engine, 4, &[(["a", "", "", "dev2"], &later)]), [1, 1]);
    let without = r#"{"Name":"Ann","Tags":["a"]}"#;
    expect(engine, &[("identity:a objectId:dev objectId:dev2", without)]);
}

pub fn absorptions_follow_each_other(engine: &TestEngine<'_>) {
    let texts: Vec<_> = (0..3).map(|n| format!("c{n}")).collect();
    let cities: Vec<_> = texts.iter().map(|text| [set(1, Value::Text(text))]).collect();
    let name = [set(0, Value::Text("Ann"))];
    let records: [Record<'_>; 6] = [
        (["", "", "", "o"], &cities[0]),
        (["", "f", "", ""], &name),
        (["a", "", "", ""], &[]),
        (["", "f", "", "o"], &[]),
        (["", "f", "", ""], &cities[1]),
        (["a", "f", "", "o"], &[]),
    ];
    // The profile of `f` absorbs the profile of `o`. Then the profile of `a` absorbs the profile
    // of `f`.
    assert_eq!(import_records(engine, 1, &records), [3, 2]);
    expect(engine, &[("fbId:f identity:a objectId:o", r#"{"Name":"Ann","City":"c1"}"#)]);
    import_records(engine, 2, &[(["a", "", "", ""], &cities[2])]);
    expect(engine, &[("fbId:f identity:a objectId:o", r#"{"Name":"Ann","City":"c2"}"#)]);
}
