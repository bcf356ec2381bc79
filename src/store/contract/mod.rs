//! The contract suite: tests that every engine must pass. To add an engine, add one line of
//! [`contract!`] and a [`Reader`] of its data. This file tests the run and commit of an import,
//! `kept` tests the stored records.

mod kept;
mod make;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;

use self::kept::*;
use self::make::*;
use super::{Committed, Error, Store};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::records::{Batch, Schema, Value};

/// Expands to one test per contract for the named engine.
macro_rules! contract {
    ($engine:ident, $open:expr, $reader:expr) => {
        mod $engine {
            #[allow(unused_imports)]
            use super::*;
            contract!(@tests $open, $reader;
                aborting_leaves_nothing
                commit_makes_visible_what_was_pushed
                nothing_is_visible_before_commit
                a_second_run_discards_and_commits_the_same
                what_a_crashed_run_left_is_cleaned
                accounts_stand_side_by_side
                events_keep_their_order
                a_wide_schema_is_kept
                names_and_values_are_kept_as_they_are
                an_import_without_records_is_committed
                profiles_merge_across_imports
                profile_ids_move_to_the_strongest
                a_batch_of_another_kind_is_refused
                many_batches_come_to_the_same_as_one
            );
        }
    };
    (@tests $open:expr, $reader:expr; $($name:ident)*) => {$(
        #[test]
        fn $name() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("data");
            super::$name(&Engine { store: $open(path.clone()), reader: $reader, path });
        }
    )*};
}

contract!(local, Store::local, &crate::store::local::contract::Reader);

/// Reads an engine's data without the engine.
pub trait Reader {
    /// Returns all visible events of an account, sorted by import id, in file order.
    fn events(&self, data: &Path, account: &AccountId) -> Vec<RecordBatch>;
    /// Returns all visible profiles of an account, sorted by profile id.
    fn profiles(&self, data: &Path, account: &AccountId) -> Vec<SeenProfile>;
    /// Lists the files in the account's folder that belong to no committed import.
    fn leftovers(&self, data: &Path, account: &AccountId) -> Vec<String>;
    /// Creates the leftovers of a crash during the writing of events.
    fn crash(&self, data: &Path, account: &AccountId, import: &ImportId);
}

/// A profile as a [`Reader`] finds it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenProfile {
    /// `kind:value`, sorted.
    pub ids: Vec<String>,
    pub properties: String,
    pub created_at: i64,
    pub updated_at: i64,
}

struct Engine<'a> {
    store: Store,
    reader: &'a dyn Reader,
    path: PathBuf,
}

impl Engine<'_> {
    fn run(&self, n: i64, schema: &Schema, batches: Vec<Batch>) -> Committed {
        let mut writer = self.store.begin(&account(), &import(n), schema).unwrap();
        batches.into_iter().for_each(|batch| writer.push(batch).unwrap());
        writer.commit().unwrap()
    }

    fn events(&self) -> Vec<String> {
        self.events_of(&account())
    }

    fn events_of(&self, account: &AccountId) -> Vec<String> {
        let batches = self.reader.events(&self.path, account);
        batches.iter().flat_map(|batch| strings(batch.column(0))).flatten().collect()
    }

    fn leftovers(&self) -> Vec<String> {
        self.reader.leftovers(&self.path, &account())
    }

    fn profiles(&self) -> Vec<SeenProfile> {
        self.reader.profiles(&self.path, &account())
    }
}

fn aborting_leaves_nothing(engine: &Engine<'_>) {
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

fn commit_makes_visible_what_was_pushed(engine: &Engine<'_>) {
    let (schema, batch) = one_column(&["Purchased", "Viewed"]);
    let committed = engine.run(1, &schema, vec![batch]);
    assert_eq!(committed, Committed { records: 2, moved_ids: 0 });
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
    let committed = engine.run(2, &Schema::Profile(names), vec![batch]);
    assert_eq!(committed, Committed { records: 1, moved_ids: 0 });
    let properties = r#"{"Name":"Jo \"é\" 😀","Age":21,"Score":2.0,"MSG-sms":true,"Joined":"2020-05-12T08:27:12Z"}"#;
    let seen = SeenProfile {
        ids: vec!["identity:a".into()],
        properties: properties.into(),
        created_at: 100,
        updated_at: 100,
    };
    assert_eq!(engine.profiles(), [seen]);
    assert_eq!(engine.leftovers(), [""; 0]);
}

fn nothing_is_visible_before_commit(engine: &Engine<'_>) {
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

fn a_second_run_discards_and_commits_the_same(engine: &Engine<'_>) {
    let (schema, batch) = one_column(&["Purchased", "Viewed"]);
    let names = properties(&["Playlist"]);
    let first = profiles(&names, &[(A, &[]), (["", "", "", "o"], &[])]);
    let moving = profiles(&names, &[(["a", "", "", "o"], &[add(0, "Rock")])]);
    let profile_schema = Schema::Profile(names);
    engine.run(1, &profile_schema, vec![first]);
    for (n, schema, batch, committed) in [
        (2, schema, batch, Committed { records: 2, moved_ids: 0 }),
        (3, profile_schema, moving, Committed { records: 1, moved_ids: 1 }),
    ] {
        assert_eq!(engine.store.committed(&account(), &import(n)).unwrap(), None);
        assert_eq!(engine.run(n, &schema, vec![batch.clone()]), committed);
        assert_eq!(engine.store.committed(&account(), &import(n)).unwrap(), Some(committed));
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

fn what_a_crashed_run_left_is_cleaned(engine: &Engine<'_>) {
    let (schema, batch) = one_column(&["Purchased"]);
    engine.run(1, &schema, vec![batch.clone()]);
    engine.reader.crash(&engine.path, &account(), &import(2));
    assert_eq!(engine.events(), ["Purchased"]);
    assert_eq!(engine.leftovers().len(), 1);
    engine.run(2, &schema, vec![batch]);
    assert_eq!(engine.events(), ["Purchased"; 2]);
    assert_eq!(engine.leftovers(), [""; 0]);
}

fn accounts_stand_side_by_side(engine: &Engine<'_>) {
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

fn an_import_without_records_is_committed(engine: &Engine<'_>) {
    let (events_schema, empty) = one_column(&[]);
    for (n, batches) in [(1, vec![]), (2, vec![empty])] {
        assert_eq!(engine.run(n, &events_schema, batches), Committed::default());
        assert!(engine.store.begin(&account(), &import(n), &events_schema).unwrap().is_committed());
    }
    assert_eq!(engine.events(), [""; 0]);
    let schema = Schema::Profile(properties(&["Name"]));
    assert_eq!(engine.run(3, &schema, vec![]), Committed::default());
    assert!(engine.store.begin(&account(), &import(3), &schema).unwrap().is_committed());
}

fn a_batch_of_another_kind_is_refused(engine: &Engine<'_>) {
    let (schema, _) = one_column(&[]);
    let mut writer = engine.store.begin(&account(), &import(1), &schema).unwrap();
    let batch = profiles(&properties(&[]), &[(A, &[])]);
    assert!(matches!(writer.push(batch), Err(Error::Mismatch { .. })));
    let other = event_schema(&["Other"]);
    let batch = events(&other, &["x"], &[None]);
    assert!(matches!(writer.push(batch), Err(Error::Mismatch { .. })));
}
