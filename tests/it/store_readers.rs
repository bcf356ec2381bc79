//! Reads the local store with DuckDB, Polars and sqlite3 from PyPI.
//!
//! `scripts/venv` installs these programs. `SFTP_IMPORT_TEST_PYTHON` can name another Python that
//! has them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use parquet::basic::{Compression, Encoding};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value as Json, json};
use sftp_import::account::AccountId;
use sftp_import::import_id::ImportId;
use sftp_import::manifest::PropertyType;
use sftp_import::records::{
    Batch, Change, EventSchema, Operation, ProfileBatch, Property, Schema, Value,
};
use sftp_import::store::{ImportWriter, Store};
use sha2::{Digest, Sha256};

/// A store with two imports of events, one import of profiles, and one uncommitted import of each
/// type.
struct Sample {
    folder: tempfile::TempDir,
    unfinished: Vec<Box<dyn ImportWriter>>,
}

impl Sample {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::local(folder.path().to_owned());
        let begin = |n, schema: &Schema| store.begin(&account(), &import(n), schema).unwrap();
        for n in [1, 2] {
            let (schema, batch) = events(n);
            let mut writer = begin(n, &schema);
            writer.push(batch).unwrap();
            writer.commit().unwrap();
        }
        let (schema, batch) = profiles("Rock");
        let mut writer = begin(3, &schema);
        writer.push(batch).unwrap();
        writer.commit().unwrap();
        let (event_schema, event_batch) = events(4);
        let (_, profile_batch) = profiles("Pop");
        let mut unfinished = vec![begin(4, &event_schema), begin(5, &schema)];
        unfinished[0].push(event_batch).unwrap();
        unfinished[1].push(profile_batch).unwrap();
        let sample = Self { folder, unfinished };
        sample.add_crash_leftovers();
        sample
    }

    /// Creates a complete file under its temporary name, which a crash just before the rename would
    /// leave.
    fn add_crash_leftovers(&self) {
        let part = "part-00000.parquet";
        let committed = self.account_folder().join("events/import=sftp1-1").join(part);
        let unfinished = self.account_folder().join(".unfinished/import=sftp1-6");
        fs::create_dir(&unfinished).unwrap();
        fs::copy(committed, unfinished.join(part)).unwrap();
    }

    fn account_folder(&self) -> PathBuf {
        self.folder.path().join(account())
    }

    /// Runs the readers, as root or as the given user and group.
    fn read(&self, user: Option<(u32, u32)>) -> Json {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/read.py");
        let mut command = Command::new(python());
        command.arg("-B").arg(script).arg(self.account_folder()).env("TZ", "UTC");
        if let Some((uid, gid)) = user {
            command.arg(uid.to_string()).arg(gid.to_string());
        }
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the readers failed as {user:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

pub fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("SFTP_IMPORT_TEST_PYTHON") {
        return python.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    let made = root.join("target/venv/requirements.txt").exists();
    assert!(made, "{} is missing; create it with: scripts/venv", python.display());
    python
}

fn account() -> AccountId {
    "TEST-ABC-123Z".parse().unwrap()
}

fn import(n: i64) -> ImportId {
    ImportId::new("sftp1", n).unwrap()
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// Returns events with the columns of the product page, with column names that are hard to quote,
/// and with a column of every type. Import 2 has one more column.
fn events(n: i64) -> (Schema, Batch) {
    let text = |cells: [Option<&str>; 3]| Arc::new(StringArray::from(cells.to_vec())) as ArrayRef;
    let times = |cells: [Option<i64>; 3]| {
        let cells = cells.map(|seconds| seconds.map(|seconds| seconds * 1000));
        Arc::new(TimestampMillisecondArray::from(cells.to_vec()).with_timezone("UTC")) as ArrayRef
    };
    let mut columns: Vec<(&str, DataType, bool, ArrayRef)> = vec![
        ("event", DataType::Utf8, false, text([Some("Purchased"); 3])),
        ("ts", utc(), false, times([Some(1_578_503_667), Some(0), Some(99_999_999_999)])),
        ("identity", DataType::Utf8, true, text([Some("a@b.c"), None, Some("")])),
        ("object_id", DataType::Utf8, true, text([Some("cookie_123"); 3])),
        ("fb_id", DataType::Utf8, true, text([None; 3])),
        ("gp_id", DataType::Utf8, true, text([None; 3])),
        ("source_line", DataType::Int64, false, Arc::new(Int64Array::from(vec![2, 3, 5]))),
        ("Name", DataType::Utf8, true, text([Some("Größe 😀"), Some(""), None])),
        ("name_2", DataType::Utf8, true, text([Some("a\"b\n'c"), None, None])),
        (
            "Price",
            DataType::Float64,
            true,
            Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-1e300)])),
        ),
        (
            "Count of. \"it\"",
            DataType::Int32,
            true,
            Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(7)])),
        ),
        (
            "Long",
            DataType::Int64,
            true,
            Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(7)])),
        ),
        (
            "Delivered",
            DataType::Boolean,
            true,
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        ("DeliveryDate", utc(), true, times([Some(1_589_272_032), None, None])),
    ];
    if n == 2 {
        columns.push(("New", DataType::Utf8, true, text([Some("x"); 3])));
    }
    let fields = columns.iter().map(|(name, kind, null, _)| Field::new(*name, kind.clone(), *null));
    let arrow = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.iter().map(|(.., array)| Arc::clone(array)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&arrow), arrays).unwrap();
    (Schema::Event(EventSchema { arrow }), Batch::Events(batch))
}

fn profiles(song: &str) -> (Schema, Batch) {
    let property = |name: &str| Property { name: name.into(), kind: PropertyType::String };
    let properties: Arc<[_]> = ["Name", "Age", "Playlist", "MSG-sms"].map(property).into();
    let mut batch = ProfileBatch::new(Arc::clone(&properties));
    let set = |property, value| Change { property, operation: Operation::Set, value };
    let add = Change { property: 2, operation: Operation::Add, value: Value::Text(song) };
    let changes = [
        set(0, Value::Text("Größe 😀 \"q\"")),
        set(1, Value::Integer(21)),
        add,
        set(3, Value::Boolean(true)),
    ];
    let ids = [Some("a@b.c"), None, None, Some("cookie_123")];
    batch.push(2, 1_574_668_407, ids, changes);
    batch.push(3, 1_574_668_408, [None, Some("fb"), None, None], []);
    (Schema::Profile(properties), Batch::Profiles(batch))
}

fn column<'a>(table: &'a Json, name: &str) -> Vec<&'a Json> {
    table["rows"].as_array().unwrap().iter().map(|row| &row[name]).collect()
}

#[test]
fn readers_see_committed_events_with_their_types() {
    let found = Sample::new().read(None);
    for (reader, types) in [
        ("duckdb", ["VARCHAR", "TIMESTAMP WITH TIME ZONE", "DOUBLE", "INTEGER", "BOOLEAN"]),
        (
            "polars",
            ["String", "Datetime(time_unit='ms', time_zone='UTC')", "Float64", "Int32", "Boolean"],
        ),
    ] {
        let table = &found[reader];
        let names = ["import", "ts", "Price", "Count of. \"it\"", "Delivered"];
        assert_eq!(names.map(|name| &table["columns"][name]), types.each_ref(), "{reader}");
        let six = |cells: [Json; 3]| [cells.clone(), cells].concat();
        for (name, cells) in [
            ("source_line", [json!(2), json!(3), json!(5)]),
            ("identity", [json!("a@b.c"), json!(null), json!("")]),
            ("fb_id", [json!(null), json!(null), json!(null)]),
            ("Name", [json!("Größe 😀"), json!(""), json!(null)]),
            ("name_2", [json!("a\"b\n'c"), json!(null), json!(null)]),
            ("Price", [json!(0.1), json!(null), json!(-1e300)]),
            ("Count of. \"it\"", [json!(i32::MIN), json!(null), json!(7)]),
            ("Long", [json!(i64::MAX), json!(null), json!(7)]),
            ("Delivered", [json!(true), json!(false), json!(null)]),
            ("DeliveryDate", [json!("2020-05-12T08:27:12+00:00"), json!(null), json!(null)]),
        ] {
            assert_eq!(
                column(table, name),
                six(cells).iter().collect::<Vec<_>>(),
                "{reader} {name}"
            );
        }
        let ts =
            ["2020-01-08T17:14:27+00:00", "1970-01-01T00:00:00+00:00", "5138-11-16T09:46:39+00:00"];
        assert_eq!(column(table, "ts")[..3], ts, "{reader}");
        let imports = ["sftp1-1", "sftp1-1", "sftp1-1", "sftp1-2", "sftp1-2", "sftp1-2"];
        assert_eq!(column(table, "import"), imports, "{reader}");
        // A glob over all files must find no unfinished import.
        assert_eq!(found[format!("{reader}_everything")], *table, "{reader}");
    }
}

/// Polars uses the columns of the first file. Therefore later columns need
/// `concat(how="diagonal")`.
#[test]
fn a_later_column_is_null_in_earlier_imports() {
    let found = Sample::new().read(None);
    let new = [json!(null), json!(null), json!(null), json!("x"), json!("x"), json!("x")];
    assert_eq!(column(&found["duckdb"], "New"), new.each_ref());
}

#[test]
fn readers_see_committed_profiles_during_an_import() {
    assert_profiles(&Sample::new().read(None));
}

/// If a WAL database was closed cleanly, a user without write access to its folder can open it only
/// if its -wal and -shm files exist.
#[test]
fn a_group_member_can_read_but_not_write() {
    let mut sample = Sample::new();
    assert_eq!(mode(&sample.account_folder()), 0o750);
    assert_eq!(mode(&sample.account_folder().join("events/import=sftp1-1")), 0o750);
    for file in ["profiles.db", "profiles.db-wal", "profiles.db-shm"] {
        assert_eq!(mode(&sample.account_folder().join(file)), 0o640, "{file}");
    }
    let part = "events/import=sftp1-1/part-00000.parquet";
    assert_eq!(mode(&sample.account_folder().join(part)), 0o640);
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: reading as another user needs root");
        return;
    }
    fs::set_permissions(sample.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let gid = fs::metadata(sample.account_folder()).unwrap().gid();
    let nobody = Some((65534, gid));
    assert_profiles(&sample.read(nobody));
    // After this line no program has the database open.
    sample.unfinished.clear();
    assert_profiles(&sample.read(nobody));
}

#[test]
fn readers_can_read_every_text_layout() {
    const ROWS: usize = 120_000;
    let random = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 32;
    type Text<'a> = &'a dyn Fn(usize) -> Option<String>;
    let columns: [(&str, Text<'_>); 9] = [
        ("event", &|n| Some(["Viewed", "Added To Cart", "Größe 😀"][random(n) % 3].to_owned())),
        ("identity", &|n| Some(format!("user{}@acme.example", random(n)))),
        ("object_id", &|n| Some(format!("cookie_{:08}", random(n) % 100_000_000))),
        ("fb_id", &|_| None),
        ("dates", &|n| {
            let at = jiff::Timestamp::from_second(1_590_000_000 + (random(n) % 3_000_000) as i64);
            (n % 5 > 0).then(|| at.unwrap().to_string())
        }),
        ("begins_few", &|n| Some(format!("{:x}", random(if n < 60_000 { n % 9 } else { n })))),
        ("words", &|n| Some(format!("{:x} {:x} {n}", random(n % 900), random(n % 890)))),
        ("sometimes", &|n| (random(n) % 7 == 0).then(|| "é".repeat(random(n) % 400))),
        ("sorted", &|n| Some(format!("/srv/data/2026/{:06}.csv", n / 2))),
    ];
    let mut fields: Vec<_> =
        columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect();
    // Random numbers can't be compressed.
    let number = |n: usize| {
        let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) as i64
    };
    fields.push(Field::new("numbers", DataType::Int64, false));
    fields.push(Field::new("source_line", DataType::Int64, false));
    let arrow = Arc::new(ArrowSchema::new(fields));
    let folder = tempfile::tempdir().unwrap();
    let store = Store::local(folder.path().to_owned());
    let schema = Schema::Event(EventSchema { arrow: Arc::clone(&arrow) });
    let mut writer = store.begin(&account(), &import(1), &schema).unwrap();
    for from in (0..ROWS).step_by(5_000) {
        let rows = || from..from + 5_000;
        let texts =
            |text: Text<'_>| Arc::new(rows().map(text).collect::<StringArray>()) as ArrayRef;
        let mut arrays: Vec<_> = columns.iter().map(|(_, text)| texts(*text)).collect();
        arrays.push(Arc::new(rows().map(number).collect::<Int64Array>()));
        arrays.push(Arc::new(rows().map(|n| n as i64).collect::<Int64Array>()));
        let batch = RecordBatch::try_new(Arc::clone(&arrow), arrays).unwrap();
        writer.push(Batch::Events(batch)).unwrap();
    }
    writer.commit().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/texts.py");
    assert_layouts(&folder.path().join(account()).join("events/import=sftp1-1"));
    let events = folder.path().join(account()).join("events/import=sftp1-1");
    let output = Command::new(python()).arg("-B").arg(script).arg(events).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Json = serde_json::from_slice(&output.stdout).unwrap();
    let summary = |text: Text<'_>| {
        let (mut digest, mut nulls) = (Sha256::new(), 0);
        for text in (0..ROWS).map(text) {
            match text {
                Some(text) => digest.update(format!("{}:{text}", text.len())),
                None => nulls += 1,
            }
        }
        json!([nulls, format!("{:x}", digest.finalize())])
    };
    let numbers = summary(&|n| Some(number(n).to_string()));
    for reader in ["duckdb", "polars"] {
        assert_eq!(found[reader]["columns"]["numbers"], numbers, "{reader}");
        for (name, text) in columns {
            assert_eq!(found[reader]["columns"][name], summary(text), "{reader} {name}");
            assert_eq!(found[reader]["row"][name], json!(text(40_000)), "{reader} {name}");
        }
    }
}

/// Checks that the file contains every layout that the test needs.
fn assert_layouts(folder: &Path) {
    let file = fs::File::open(folder.join("part-00000.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let groups = reader.metadata().row_groups();
    let dictionaries = |column| -> Vec<_> {
        let chunks = groups.iter().map(|group| group.column(column));
        chunks.map(|chunk| chunk.encodings().any(|e| e == Encoding::RLE_DICTIONARY)).collect()
    };
    assert!(groups.len() > 1);
    assert!(dictionaries(0).iter().all(|is| *is), "event");
    assert!(dictionaries(1).iter().all(|is| !*is), "identity");
    let numbers = groups.iter().map(|group| group.column(9).compression());
    assert!(numbers.eq(groups.iter().map(|_| Compression::UNCOMPRESSED)));
    let begins_few = dictionaries(5);
    assert!(begins_few[0] && begins_few.iter().any(|is| !*is), "the dictionary must overflow");
}

fn assert_profiles(found: &Json) {
    for reader in ["duckdb_profiles", "sqlite_profiles"] {
        let table = &found[reader];
        assert_eq!(column(table, "kind"), ["fbId", "identity", "objectId"], "{reader}");
        assert_eq!(column(table, "value"), ["fb", "a@b.c", "cookie_123"], "{reader}");
        let full = r#"{"Name":"Größe 😀 \"q\"","Age":21,"Playlist":["Rock"],"MSG-sms":true}"#;
        assert_eq!(column(table, "properties"), ["{}", full, full], "{reader}");
        let times = [1_574_668_408, 1_574_668_407, 1_574_668_407];
        assert_eq!(column(table, "created_at"), times, "{reader}");
        assert_eq!(column(table, "updated_at"), times, "{reader}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
