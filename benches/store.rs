//! Measures how fast the local store writes records that are already in memory. The records have
//! the columns of the samples on the product page.
//!
//! `cargo bench --bench store -- [events|wide|sparse|profiles] [records] [profiles]` prints the
//! time and the peak memory of the process. Batches of events are created before the measurement
//! and are pushed repeatedly, so that only the store is measured.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may panic")]

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, new_null_array,
};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use sftp_import::import_id::ImportId;
use sftp_import::manifest::PropertyType;
use sftp_import::records::{
    Batch, Change, EventSchema, Operation, ProfileBatch, Property, Schema, Value,
};
use sftp_import::store::Store;

const BATCH: usize = 8192;

fn main() {
    // cargo bench adds the argument --bench.
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let number = |n: usize, default| args.get(n).map_or(default, |arg| arg.parse().unwrap());
    match args.first().map_or("events", String::as_str) {
        "events" => events(number(1, 10_000_000)),
        "wide" => wide(number(1, 100_000), 1),
        "sparse" => wide(number(1, 100_000), 20),
        "profiles" => profiles(number(1, 3_000_000), number(2, 1_000_000)),
        other => panic!("unknown bench {other}"),
    }
}

/// A seeded random number generator (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn fixed_fields() -> Vec<Field> {
    let mut fields =
        vec![Field::new("event", DataType::Utf8, false), Field::new("ts", utc(), false)];
    for id in ["identity", "object_id", "fb_id", "gp_id"] {
        fields.push(Field::new(id, DataType::Utf8, true));
    }
    fields.push(Field::new("source_line", DataType::Int64, false));
    fields
}

fn fixed_columns(random: &mut Random, n: usize, line: usize) -> Vec<ArrayRef> {
    let null = new_null_array(&DataType::Utf8, n);
    let ts = |r: &mut Random| 1_578_503_667_000 + r.below(86_400 * 365) as i64 * 1000;
    let times: Vec<_> = (0..n).map(|_| ts(random)).collect();
    let strings = |prefix: &str, suffix: &str, below, random: &mut Random| -> ArrayRef {
        let text = |_| format!("{prefix}{}{suffix}", random.below(below));
        Arc::new(StringArray::from_iter_values((0..n).map(text)))
    };
    vec![
        Arc::new(StringArray::from(vec!["Purchased"; n])),
        Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC")),
        strings("user", "@example.com", 1_000_000, random),
        strings("cookie_", "", 1_000_000, random),
        null.clone(),
        null,
        Arc::new(Int64Array::from_iter_values((line..line + n).map(|n| n as i64))),
    ]
}

fn product_page(random: &mut Random, schema: &Arc<ArrowSchema>, line: usize) -> RecordBatch {
    let mut columns = fixed_columns(random, BATCH, line);
    let names: Vec<_> =
        (0..BATCH).map(|_| format!("Awesome Ring - {}", random.below(5000))).collect();
    let prices: Vec<_> = (0..BATCH).map(|_| random.below(100_000) as f64 / 100.0).collect();
    let day = |n| 1_589_272_032_000 + n as i64 * 86_400_000;
    let dates: Vec<_> = (0..BATCH).map(|_| day(random.below(365))).collect();
    let delivered: Vec<_> = (0..BATCH).map(|_| random.below(2) == 1).collect();
    columns.push(Arc::new(StringArray::from(names)));
    columns.push(Arc::new(Float64Array::from(prices)));
    columns.push(Arc::new(TimestampMillisecondArray::from(dates).with_timezone("UTC")));
    columns.push(Arc::new(BooleanArray::from(delivered)));
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

fn events(records: usize) {
    let mut fields = fixed_fields();
    fields.push(Field::new("Name", DataType::Utf8, true));
    fields.push(Field::new("Price", DataType::Float64, true));
    fields.push(Field::new("DeliveryDate", utc(), true));
    fields.push(Field::new("DeliveryStatus", DataType::Boolean, true));
    let schema = Arc::new(ArrowSchema::new(fields));
    let mut random = Random(1);
    let batches: Vec<_> = (0..64).map(|n| product_page(&mut random, &schema, n * BATCH)).collect();
    run_events(&schema, &batches, records);
}

/// Writes 2,000 string columns. One in `sparsity` cells has a value.
fn wide(records: usize, sparsity: u64) {
    const ROWS: usize = 500;
    let mut fields = fixed_fields();
    fields.extend((0..2000).map(|n| Field::new(format!("property {n}"), DataType::Utf8, true)));
    let schema = Arc::new(ArrowSchema::new(fields));
    let mut random = Random(2);
    let mut columns = fixed_columns(&mut random, ROWS, 2);
    for _ in 0..2000 {
        let cell = |_| (random.below(sparsity) == 0).then(|| format!("v{}", random.below(100_000)));
        columns.push(Arc::new((0..ROWS).map(cell).collect::<StringArray>()));
    }
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    run_events(&schema, &[batch], records);
}

fn run_events(schema: &Arc<ArrowSchema>, batches: &[RecordBatch], records: usize) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::local(folder.path().to_owned());
    let schema = Schema::Event(EventSchema { arrow: Arc::clone(schema) });
    let before = peak_memory();
    let start = Instant::now();
    let mut writer = store.begin(&account(), &import(1), &schema).unwrap();
    let mut pushed = 0;
    for batch in batches.iter().cycle() {
        if pushed >= records {
            break;
        }
        pushed += batch.num_rows();
        writer.push(Batch::Events(batch.clone())).unwrap();
    }
    let committed = writer.commit().unwrap();
    report("events", committed.records, start, before, folder.path());
}

fn profiles(records: usize, profiles: usize) {
    let names = ["Name", "Email", "Phone", "Married", "Age", "Playlist"];
    let properties: Arc<[Property]> = names
        .iter()
        .map(|name| Property { name: (*name).into(), kind: PropertyType::String })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::local(folder.path().to_owned());
    let schema = Schema::Profile(Arc::clone(&properties));
    for (n, what) in [(1, "first load"), (2, "again")] {
        let before = peak_memory();
        let start = Instant::now();
        let mut writer = store.begin(&account(), &import(n), &schema).unwrap();
        let mut random = Random(3);
        let mut pushed = 0;
        while pushed < records {
            let count = BATCH.min(records - pushed);
            let batch = profile_batch(&properties, &mut random, pushed, count, profiles);
            writer.push(Batch::Profiles(batch)).unwrap();
            pushed += count;
        }
        let committed = writer.commit().unwrap();
        report(what, committed.records, start, before, folder.path());
    }
}

fn profile_batch(
    properties: &Arc<[Property]>,
    random: &mut Random,
    line: usize,
    count: usize,
    profiles: usize,
) -> ProfileBatch {
    let mut batch = ProfileBatch::new(Arc::clone(properties));
    for n in 0..count {
        let user = random.below(profiles as u64);
        let text = [
            format!("user{user}@example.com"),
            format!("cookie_{user}"),
            format!("John Doe {}", random.below(10_000)),
            format!("+9188765{:05}", random.below(100_000)),
            ["Rock", "Pop", "Jazz", "Folk"][random.below(4) as usize].to_owned(),
        ];
        let set = |property, value| Change { property, operation: Operation::Set, value };
        let changes = [
            set(0, Value::Text(&text[2])),
            set(1, Value::Text(&text[0])),
            set(2, Value::Text(&text[3])),
            set(3, Value::Boolean(user.is_multiple_of(2))),
            set(4, Value::Integer(random.below(100) as i64)),
            Change { property: 5, operation: Operation::Add, value: Value::Text(&text[4]) },
        ];
        let ids = [Some(&*text[0]), None, None, Some(&*text[1])];
        batch.push((line + n) as u64, 1_574_668_407, ids, changes);
    }
    batch
}

fn report(what: &str, records: u64, start: Instant, before: u64, folder: &std::path::Path) {
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{what}: {records} records in {seconds:.2} s, {:.2} M/s, peak {} MB (before: {before}), {} MB on disk",
        records as f64 / seconds / 1e6,
        peak_memory(),
        disk(folder) >> 20,
    );
}

fn disk(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { disk(&path) } else { path.metadata().unwrap().len() })
        .sum()
}

/// Returns the peak resident memory of the process, in MB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

fn account() -> sftp_import::account::AccountId {
    "bench".parse().unwrap()
}

fn import(n: i64) -> ImportId {
    ImportId::new("sftp1", n).unwrap()
}
