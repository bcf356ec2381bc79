//! Returns the content of the local store as JSON.

use std::fs;
use std::path::Path;

use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, cast::AsArray};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value as Json, json};

/// The content of the store. The order does not depend on the order of storage.
pub struct Stored {
    /// The number of records of the import, counted by the store.
    pub records: u64,
    /// All events without their line numbers, followed by all profiles.
    pub content: Json,
}

/// Returns the content of an account's folder in the local store, and the number of records of
/// `import`.
pub fn stored(account: &Path, import: &str) -> Stored {
    let events = account.join("events");
    let mut rows = Vec::new();
    let mut records = 0;
    for folder in fs::read_dir(events).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        let of_import = events_in(&folder.join("part-00000.parquet"));
        if folder.ends_with(format!("import={import}")) {
            records = of_import.len() as u64;
        }
        rows.extend(of_import);
    }
    let profiles = account.join("profiles.db");
    if profiles.exists() {
        let database = rusqlite::Connection::open(profiles).unwrap();
        let sql = "SELECT coalesce(sum(records), 0) FROM checkpoint WHERE import = ?1";
        let of_import: i64 = database.query_row(sql, [import], |row| row.get(0)).unwrap();
        records += of_import.cast_unsigned();
        rows.extend(profiles_in(&database));
    }
    Stored { records, content: Json::Array(rows) }
}

/// Returns every event without its line number and without empty cells.
fn events_in(part: &Path) -> Vec<Json> {
    let file = fs::File::open(part).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader.map(Result::unwrap) {
        for row in 0..batch.num_rows() {
            let schema = batch.schema();
            let columns = schema.fields().iter().zip(batch.columns());
            let set = columns.filter(|(f, c)| f.name() != "source_line" && !c.is_null(row));
            let event: Map<_, _> = set.map(|(f, c)| (f.name().clone(), cell(c, row))).collect();
            rows.push(event.into());
        }
    }
    rows
}

fn cell(column: &ArrayRef, row: usize) -> Json {
    match column.data_type() {
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Timestamp(..) => {
            let at = column.as_primitive::<TimestampMillisecondType>().value(row);
            json!(jiff::Timestamp::from_millisecond(at).unwrap().to_string())
        }
        other => panic!("unexpected column type {other}"),
    }
}

/// Returns every profile: its ids in the form `kind value`, and its properties.
fn profiles_in(database: &rusqlite::Connection) -> Vec<Json> {
    let sql = "SELECT properties, coalesce(group_concat(kind || ' ' || value, ', '), '') FROM
               (SELECT * FROM profile LEFT JOIN identity ON profile_id = id ORDER BY kind, value)
               GROUP BY id ORDER BY id";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let properties: String = row.get(0)?;
        Ok(json!({
            "ids": row.get::<_, String>(1)?,
            "properties": serde_json::from_str::<Json>(&properties).unwrap(),
        }))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
