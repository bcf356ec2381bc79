//! Shared parts of the contracts: an engine with its reader, and short constructors of accounts,
//! imports, schemas and batches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, new_null_array,
};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::manifest::PropertyType;
use crate::records::{
    Batch, Change, EventSchema, Operation, ProfileBatch, Property, Schema, Value,
};
use crate::store::Store;
use crate::store::engine::CommitCounts;

/// Reads the stored data of an engine without using the engine.
pub trait EngineReader {
    /// Returns all visible events of an account, sorted by import id. The events of one import are
    /// in file order.
    fn events(&self, data: &Path, account: &AccountId) -> Vec<RecordBatch>;
    /// Returns all visible profiles of an account, sorted by profile id.
    fn profiles(&self, data: &Path, account: &AccountId) -> Vec<StoredProfile>;
    /// Returns the files in the account's folder that belong to no committed import.
    fn leftovers(&self, data: &Path, account: &AccountId) -> Vec<String>;
    /// Creates the files that a crash during the writing of events leaves.
    fn crash(&self, data: &Path, account: &AccountId, import: &ImportId);
}

/// A stored profile, as an [`EngineReader`] returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredProfile {
    /// The ids of the profile in the form `kind:value`, sorted.
    pub ids: Vec<String>,
    pub properties: String,
    pub created_at: i64,
    pub updated_at: i64,
}

/// A store engine under test, with a reader of its data.
pub struct TestEngine<'a> {
    pub store: Store,
    pub reader: &'a dyn EngineReader,
    pub path: PathBuf,
}

impl TestEngine<'_> {
    pub fn run(&self, n: i64, schema: &Schema, batches: Vec<Batch>) -> CommitCounts {
        let mut writer = self.store.begin(&account(), &import(n), schema).unwrap();
        batches.into_iter().for_each(|batch| writer.push(batch).unwrap());
        writer.commit().unwrap()
    }

    pub fn events(&self) -> Vec<String> {
        self.events_of(&account())
    }

    pub fn events_of(&self, account: &AccountId) -> Vec<String> {
        let batches = self.reader.events(&self.path, account);
        batches.iter().flat_map(|batch| strings(batch.column(0))).flatten().collect()
    }

    pub fn leftovers(&self) -> Vec<String> {
        self.reader.leftovers(&self.path, &account())
    }

    pub fn profiles(&self) -> Vec<StoredProfile> {
        self.reader.profiles(&self.path, &account())
    }
}

pub fn account() -> AccountId {
    "TEST-ABC-123Z".parse().unwrap()
}

pub fn import(n: i64) -> ImportId {
    ImportId::new("sftp1", n).unwrap()
}

pub fn strings(column: &ArrayRef) -> Vec<Option<String>> {
    let column = column.as_any().downcast_ref::<StringArray>().unwrap();
    column.iter().map(|value| value.map(str::to_owned)).collect()
}

/// Returns a schema of events: the fixed columns, and then a string column for each of
/// `properties`.
pub fn event_schema(properties: &[&str]) -> EventSchema {
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let mut fields = vec![Field::new("event", DataType::Utf8, false), Field::new("ts", utc, false)];
    for id in ["identity", "object_id", "fb_id", "gp_id"] {
        fields.push(Field::new(id, DataType::Utf8, true));
    }
    fields.push(Field::new("source_line", DataType::Int64, false));
    fields.extend(properties.iter().map(|name| Field::new(*name, DataType::Utf8, true)));
    EventSchema { arrow: Arc::new(arrow_schema::Schema::new(fields)) }
}

/// Returns a batch of events, one for each name in `names`. Every property column has the texts
/// `values`.
pub fn events(schema: &EventSchema, names: &[&str], values: &[Option<&str>]) -> Batch {
    let n = names.len();
    let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("a@b.c"); n]));
    let null = new_null_array(&DataType::Utf8, n);
    // The times of the events are one second apart. The latest event is the first.
    let times = (0..n as i64).rev().map(|second| 1_578_503_667_000 + second * 1000);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(names.to_vec())),
        Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC")),
        ids,
        null.clone(),
        null.clone(),
        null,
        Arc::new(Int64Array::from_iter_values(2..2 + n as i64)),
    ];
    let property: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    columns.resize(schema.arrow.fields().len(), property);
    Batch::Events(RecordBatch::try_new(schema.arrow.clone(), columns).unwrap())
}

pub fn one_column(names: &[&str]) -> (Schema, Batch) {
    let schema = event_schema(&[]);
    let batch = events(&schema, names, &[]);
    (Schema::Event(schema), batch)
}

pub fn properties(names: &[&str]) -> Arc<[Property]> {
    names.iter().map(|name| Property { name: (*name).into(), kind: PropertyType::String }).collect()
}

/// Returns a batch of profile records. Each record has ids `[identity, fbId, gpId, objectId]`,
/// empty for none, and changes. The times are 100, 101, …
pub fn profiles(properties: &Arc<[Property]>, records: &[([&str; 4], &[Change<'_>])]) -> Batch {
    let mut batch = ProfileBatch::new(Arc::clone(properties));
    for ((ids, changes), n) in records.iter().zip(0..) {
        let ids = ids.map(|id| Some(id).filter(|id| !id.is_empty()));
        batch.push(2 + n, 100 + n as i64, ids, changes.iter().copied());
    }
    Batch::Profiles(batch)
}

pub fn set(property: usize, value: Value<'_>) -> Change<'_> {
    Change { property, operation: Operation::Set, value }
}

pub fn add(property: usize, text: &str) -> Change<'_> {
    Change { property, operation: Operation::Add, value: Value::Text(text) }
}

pub const A: [&str; 4] = ["a", "", "", ""];
