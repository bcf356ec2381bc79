//! The contracts of engines about stored records: the order of events, names, values and merged
//! profiles.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::harness::*;
use crate::records::{Schema, Value};

pub fn events_keep_their_order(engine: &TestEngine<'_>) {
    let schema = event_schema(&["long"]);
    // This number of records fills several row groups of the events file.
    let long = "x".repeat(400);
    let mut expected = Vec::new();
    let mut batches = Vec::new();
    for batch in 0..40 {
        let names: Vec<_> = (0..2000).map(|n| format!("{batch}-{n}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        batches.push(events(&schema, &names, &vec![Some(&*long); names.len()]));
        expected.extend(names.iter().map(|name| (*name).to_owned()));
    }
    let committed = engine.run(1, &Schema::Event(schema), batches);
    assert_eq!(committed.records, expected.len() as u64);
    assert!(engine.events() == expected, "events are not in the order of their records");
}

pub fn a_wide_schema_is_stored(engine: &TestEngine<'_>) {
    let names: Vec<_> = (0..2000).map(|n| format!("property {n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let schema = event_schema(&names);
    let batch = events(&schema, &["Wide"; 300], &[Some("value"); 300]);
    let schema = Schema::Event(schema);
    let committed = engine.run(1, &schema, vec![batch; 4]);
    assert_eq!(committed.records, 1200);
    let again = engine.store.begin(&account(), &import(1), &schema).unwrap();
    assert_eq!(again.commit().unwrap(), committed);
    let batches = engine.reader.events(&engine.path, &account());
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1200);
    for batch in batches {
        assert_eq!(batch.num_columns(), 2007);
        assert_eq!(strings(batch.column(2006))[0].as_deref(), Some("value"));
    }
}

pub fn names_and_values_are_stored_unchanged(engine: &TestEngine<'_>) {
    // The module `records` adds a suffix to a column name that is already in use. Upper and lower
    // case are equal.
    let names = ["Price", "price_2", "Größe 😀", "a.b", "event_2", "with \"quotes\" and\nlines"];
    let schema = event_schema(&names);
    let values = [Some(""), None, Some("é😀\0\n\"")];
    let batch = events(&schema, &["a", "b", "c"], &values);
    engine.run(1, &Schema::Event(schema), vec![batch]);
    let batch = &engine.reader.events(&engine.path, &account())[0];
    let found: Vec<_> = batch.schema().fields()[7..].iter().map(|f| f.name().clone()).collect();
    assert_eq!(found, names);
    for column in 7..batch.num_columns() {
        assert_eq!(strings(batch.column(column)), values.map(|v| v.map(str::to_owned)));
    }
    let names = properties(&names);
    let changes: Vec<_> = (0..names.len()).map(|n| set(n, Value::Text("é😀\0\n\""))).collect();
    let ids = ["é😀\0", "x' OR 1=1 --", "", "\u{1}"];
    let batch = profiles(&names, &[(ids, &changes)]);
    engine.run(2, &Schema::Profile(Arc::clone(&names)), vec![batch]);
    let seen = &engine.profiles()[0];
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&seen.properties).unwrap();
    assert!(object.keys().eq(names.iter().map(|property| &property.name)));
    assert!(object.values().all(|value| value == "é😀\0\n\""));
    assert_eq!(seen.ids, ["fbId:x' OR 1=1 --", "identity:é😀\0", "objectId:\u{1}"]);
}

pub fn profiles_merge_across_imports(engine: &TestEngine<'_>) {
    let names = properties(&["Name", "Playlist"]);
    let batch = profiles(&names, &[(A, &[set(0, Value::Text("Jo")), add(1, "Rock")]), (A, &[])]);
    engine.run(1, &Schema::Profile(Arc::clone(&names)), vec![batch]);
    // The second import has other property columns than the first import, in another order.
    let names = properties(&["Playlist", "City"]);
    let first = profiles(&names, &[(A, &[add(0, "Pop"), set(1, Value::Text("Pune"))])]);
    let second = profiles(&names, &[(A, &[add(0, "Rock")])]);
    engine.run(2, &Schema::Profile(names), vec![first, second]);
    let seen = StoredProfile {
        ids: vec!["identity:a".into()],
        properties: r#"{"Name":"Jo","Playlist":["Rock","Pop"],"City":"Pune"}"#.into(),
        created_at: 100,
        updated_at: 101,
    };
    assert_eq!(engine.profiles(), [seen]);
}

pub fn profile_ids_move_to_the_strongest(engine: &TestEngine<'_>) {
    let names = properties(&["n"]);
    let schema = Schema::Profile(Arc::clone(&names));
    let one: &[_] = &[set(0, Value::Integer(1))];
    let two: &[_] = &[set(0, Value::Integer(2))];
    let batch = profiles(&names, &[(A, one), (["", "fb", "", "o"], two)]);
    assert_eq!(engine.run(1, &schema, vec![batch]).moved_ids, 0);
    let batch = profiles(&names, &[(["a", "", "", "o"], &[]), (["", "fb", "", "o"], &[])]);
    assert_eq!(engine.run(2, &schema, vec![batch]).moved_ids, 2);
    let ids: Vec<_> = engine.profiles().into_iter().map(|p| (p.ids, p.properties)).collect();
    let ids_of = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        ids,
        [
            (ids_of(&["identity:a"]), r#"{"n":1}"#.to_owned()),
            (ids_of(&["fbId:fb", "objectId:o"]), r#"{"n":2}"#.to_owned())
        ]
    );
}

pub fn many_batches_equal_one_batch(engine: &TestEngine<'_>) {
    let names = properties(&["Playlist"]);
    let schema = Schema::Profile(Arc::clone(&names));
    let texts: Vec<_> = (0..150).map(|n| n.to_string()).collect();
    let changes: Vec<_> = texts.iter().map(|text| [add(0, text)]).collect();
    let records: Vec<_> =
        changes.iter().map(|change| (["a", "", "", "o"], change.as_slice())).collect();
    let batches = records.chunks(7).map(|records| profiles(&names, records)).collect();
    assert_eq!(engine.run(1, &schema, batches).records, 150);
    let list: Vec<_> = texts[50..].to_vec();
    let expected = serde_json::json!({ "Playlist": list }).to_string();
    assert_eq!(engine.profiles()[0].properties, expected);
}
