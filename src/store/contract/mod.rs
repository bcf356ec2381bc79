//! The contract suite: tests that every engine must pass. To add an engine, add one line of
//! [`contract!`] and an [`EngineReader`]. This file tests the run and commit of an import,
//! `stored_records` tests the stored records, `identities` the profiles of ids.

pub mod harness;
mod identities;
mod stored_records;

use std::sync::Arc;

use self::harness::*;
use self::identities::*;
use self::stored_records::*;
use super::engine::CommitCounts;
use super::{Error, Store};
use crate::account::AccountId;
use crate::records::{Schema, Value};
use crate::report::TsRange;

/// Expands to one test of the engine `$engine` for each contract.
macro_rules! contract {
    ($engine:ident, $open:expr, $reader:expr) => {
        mod $engine {
            #[allow(unused_imports)]
            use super::*;
            contract!(@tests $open, $reader;
                an_aborted_import_is_removed_completely
                commit_makes_pushed_records_visible
                records_are_invisible_before_the_commit
                a_second_run_discards_its_records
                leftovers_of_a_crash_are_removed
                accounts_are_independent
                events_keep_their_order
                a_wide_schema_is_stored
                names_and_values_are_stored_unchanged
                an_import_without_records_is_committed
                profiles_merge_across_imports
                profile_ids_move_to_the_strongest
                a_new_identity_gets_its_own_profile
                a_new_identity_joins_an_anonymous_profile
                a_profile_without_ids_is_absorbed
                absorptions_follow_each_other
                a_batch_of_another_kind_is_refused
                many_batches_equal_one_batch
            );
        }
    };
    (@tests $open:expr, $reader:expr; $($name:ident)*) => {$(
        #[test]
        fn $name() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("data");
            super::$name(&TestEngine { store: $open(path.clone()), reader: $reader, path });
        }
    )*};
}

contract!(local, Store::local, &super::super::local::contract::LocalReader);

fn an_aborted_import_is_removed_completely(engine: &TestEngine<'_>) {
    let (schema, batch) = one_column(&["Purchased"]);
    let mut writer = engine.store.begin(&account(), &import(1), &schema).unwrap();
    writer.push(batch).unwrap();
    drop(writer);
    let names = properties(&["Name"]);
    let schema = Schema::Profile(Arc::clone(&names));
    let mut writer = engine.store.begin(&account(), &import(2), &schema).unwrap();
    writer.push(profiles(&names, &[(A, &[set(0, Value::Text("Jo"))])])).unwrap();
    drop(writer);
    assert_eq!(engine.events(), [""; 0]);
    assert_eq!(engine.profiles(), []);
    assert_eq!(engine.leftovers(), [""; 0]);
    assert!(!engine.store.begin(&account(), &import(2), &schema).unwrap().is_committed());
}

fn commit_makes_pushed_records_visible(engine: &TestEngine<'_>) {
    let (schema, batch) = one_column(&["Purchased", "Viewed"]);
    let counts = engine.run(1, &schema, vec![batch]);
    assert_eq!(counts, of_events(2));
    assert_eq!(engine.events(), ["Purchased", "Viewed"]);
    let names = properties(&["Name", "Age", "Score", "MSG-sms", "Joined"]);
    let changes = [
        set(0, Value::Text("Jo \"é\" 😀")),
        set(1, Value::Integer(21)),
        set(2, Value::Float(2.0)),
        set(3, Value::Boolean(true)),
        set(4, Value::Date(1_589_272_032)),
    ];
    let batch = profiles(&names, &[(A, &changes)]);
    let counts = engine.run(2, &Schema::Profile(names), vec![batch]);
    assert_eq!(counts, CommitCounts { records: 1, ..CommitCounts::default() });
    let properties = r#"{"Name":"Jo \"é\" 😀","Age":21,"Score":2.0,"MSG-sms":true,"Joined":"2020-05-12T08:27:12Z"}"#;
    let seen = StoredProfile {
        ids: vec!["identity:a".into()],
        properties: properties.into(),
        created_at: 100,
        updated_at: 100,
    };
    assert_eq!(engine.profiles(), [seen]);
    assert_eq!(engine.leftovers(), [""; 0]);
}

/// Returns the counts of an import of `records` events that the harness made.
fn of_events(records: u64) -> CommitCounts {
    let ts = TsRange { first: 1_578_503_667, last: 1_578_503_667 + records as i64 - 1 };
    CommitCounts { records, ts_range: Some(ts), ..CommitCounts::default() }
}

fn records_are_invisible_before_the_commit(engine: &TestEngine<'_>) {
    let (schema, batch) = one_column(&["Purchased"]);
    engine.run(1, &schema, vec![batch.clone()]);
    let names = properties(&["Name"]);
    let profile = profiles(&names, &[(A, &[set(0, Value::Text("Jo"))])]);
    engine.run(2, &Schema::Profile(names.clone()), vec![profile]);
    let before = (engine.events(), engine.profiles());
    let mut events = engine.store.begin(&account(), &import(3), &schema).unwrap();
    let mut changes =
        engine.store.begin(&account(), &import(4), &Schema::Profile(names.clone())).unwrap();
    events.push(batch).unwrap();
    changes.push(profiles(&names, &[(A, &[set(0, Value::Text("Joe"))])])).unwrap();
    assert_eq!((engine.events(), engine.profiles()), before);
    events.commit().unwrap();
    changes.commit().unwrap();
    assert_eq!(engine.events().len(), 2);
    assert_eq!(engine.profiles()[0].properties, r#"{"Name":"Joe"}"#);
}

fn a_second_run_discards_its_records(engine: &TestEngine<'_>) {
    let (schema, batch) = one_column(&["Purchased", "Viewed"]);
    let names = properties(&["Playlist"]);
    let first = profiles(&names, &[(A, &[]), (["", "", "", "o"], &[])]);
    let moving = profiles(&names, &[(["a", "", "", "o"], &[add(0, "Rock")])]);
    let profile_schema = Schema::Profile(names);
    engine.run(1, &profile_schema, vec![first]);
    for (n, schema, batch, committed) in [
        (2, schema, batch, of_events(2)),
        (
            3,
            profile_schema,
            moving,
            CommitCounts { records: 1, moved_ids: 1, absorbed_profiles: 1, ts_range: None },
        ),
    ] {
        assert_eq!(engine.store.commit_counts(&account(), &import(n)).unwrap(), None);
        assert_eq!(engine.run(n, &schema, vec![batch.clone()]), committed);
        assert_eq!(engine.store.commit_counts(&account(), &import(n)).unwrap(), Some(committed));
        let seen = (engine.events(), engine.profiles());
        let mut again = engine.store.begin(&account(), &import(n), &schema).unwrap();
        assert!(again.is_committed());
        again.push(batch.clone()).unwrap();
        again.push(batch).unwrap();
        assert_eq!(again.commit().unwrap(), committed);
        drop(engine.store.begin(&account(), &import(n), &schema).unwrap());
        assert_eq!((engine.events(), engine.profiles()), seen);
    }
}

fn leftovers_of_a_crash_are_removed(engine: &TestEngine<'_>) {
    let (schema, batch) = one_column(&["Purchased"]);
    engine.run(1, &schema, vec![batch.clone()]);
    engine.reader.crash(&engine.path, &account(), &import(2));
    assert_eq!(engine.events(), ["Purchased"]);
    assert_eq!(engine.leftovers().len(), 1);
    engine.run(2, &schema, vec![batch]);
    assert_eq!(engine.events(), ["Purchased"; 2]);
    assert_eq!(engine.leftovers(), [""; 0]);
}

fn accounts_are_independent(engine: &TestEngine<'_>) {
    let other: AccountId = "acme".parse().unwrap();
    let (schema, batch) = one_column(&["Purchased"]);
    let (_, viewed) = one_column(&["Viewed"]);
    let mut one = engine.store.begin(&account(), &import(1), &schema).unwrap();
    let mut two = engine.store.begin(&other, &import(1), &schema).unwrap();
    one.push(batch).unwrap();
    two.push(viewed).unwrap();
    one.commit().unwrap();
    two.commit().unwrap();
    assert_eq!(engine.events(), ["Purchased"]);
    assert_eq!(engine.events_of(&other), ["Viewed"]);
    let schema = Schema::Profile(properties(&[]));
    let one = engine.store.begin(&account(), &import(2), &schema).unwrap();
    let two = engine.store.begin(&other, &import(2), &schema).unwrap();
    one.commit().unwrap();
    two.commit().unwrap();
}

fn an_import_without_records_is_committed(engine: &TestEngine<'_>) {
    let (events_schema, empty) = one_column(&[]);
    for (n, batches) in [(1, vec![]), (2, vec![empty])] {
        assert_eq!(engine.run(n, &events_schema, batches), CommitCounts::default());
        assert!(engine.store.begin(&account(), &import(n), &events_schema).unwrap().is_committed());
    }
    assert_eq!(engine.events(), [""; 0]);
    let schema = Schema::Profile(properties(&["Name"]));
    assert_eq!(engine.run(3, &schema, vec![]), CommitCounts::default());
    assert!(engine.store.begin(&account(), &import(3), &schema).unwrap().is_committed());
}

fn a_batch_of_another_kind_is_refused(engine: &TestEngine<'_>) {
    let (schema, _) = one_column(&[]);
    let mut writer = engine.store.begin(&account(), &import(1), &schema).unwrap();
    let batch = profiles(&properties(&[]), &[(A, &[])]);
    assert!(matches!(writer.push(batch), Err(Error::Mismatch)));
    let other = event_schema(&["Other"]);
    let batch = events(&other, &["x"], &[None]);
    assert!(matches!(writer.push(batch), Err(Error::Mismatch)));
}
