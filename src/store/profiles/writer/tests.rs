//! Compares the results of whole imports with a simple model. Ids, changes, windows and spills are
//! random.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use rusqlite::OpenFlags;
use serde_json::{Map, Value as Json};

use super::*;
use crate::manifest::PropertyType;
use crate::records::{Change, IdKind, Operation, Value};
use crate::store::local::layout::AccountFolder;
use crate::store::local::profiles::database::Database;
use crate::store::profiles::properties::merge::tests::naive;

/// A record of the test: its ids by kind, its time and its changes. The ids are small numbers, so
/// that records have ids in common.
type Record = ([Option<u8>; 4], i64, Vec<(usize, Operation, u8)>);

const NAMES: [&str; 3] = ["p", "", "é\""];

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    ids: BTreeMap<(String, String), i64>,
    profiles: BTreeMap<i64, (Map<String, Json>, i64, i64)>,
}

impl Model {
    /// Implements the rules "Identity" and "Rows apply in file order" record by record. New
    /// profiles get the ids after `last`.
    fn apply(&mut self, (ids, at, changes): &Record, last: &mut i64) -> CommitCounts {
        let keys: Vec<_> = keys(ids).map(|(kind, id)| (kind.as_str().to_owned(), id)).collect();
        let known = keys.iter().find_map(|key| self.ids.get(key).copied());
        let is_new_identity = keys[0].0 == "identity" && !self.ids.contains_key(&keys[0]);
        let has_identity = |profile| {
            self.ids.iter().any(|((kind, _), owner)| kind == "identity" && *owner == profile)
        };
        let id = known.filter(|&profile| !is_new_identity || !has_identity(profile));
        let id = id.unwrap_or_else(|| {
            *last += 1;
            *last
        });
        let mut counts = CommitCounts { records: 1, ..CommitCounts::default() };
        for key in keys {
            let Some(before) = self.ids.insert(key, id).filter(|before| *before != id) else {
                continue;
            };
            counts.moved_ids += 1;
            if !self.ids.values().any(|owner| *owner == before) {
                counts.absorbed_profiles += 1;
                self.absorb(id, before);
            }
        }
        let profile = self.profiles.entry(id).or_insert((Map::new(), *at, *at));
        profile.1 = profile.1.min(*at);
        profile.2 = profile.2.max(*at);
        for change in changes {
            let text = change.2.to_string();
            naive(&mut profile.0, NAMES[change.0], made(*change, &text));
        }
        counts
    }

    /// Calls [`Self::apply`] for every record of an import.
    fn apply_all<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) -> CommitCounts {
        let mut last = self.profiles.keys().max().copied().unwrap_or_default();
        let mut counts = CommitCounts::default();
        records.into_iter().for_each(|record| counts += self.apply(record, &mut last));
        counts
    }

    fn absorb(&mut self, winner: i64, loser: i64) {
        let (properties, created_at, updated_at) = self.profiles.remove(&loser).unwrap();
        let winner = self.profiles.entry(winner);
        let winner = winner.or_insert((Map::new(), created_at, updated_at));
        winner.1 = winner.1.min(created_at);
        winner.2 = winner.2.max(updated_at);
        for (name, value) in properties {
            winner.0.entry(name).or_insert(value);
        }
    }

    /// Reads the stored profiles from the database without the code under test.
    fn stored(path: &Path) -> Self {
        if !path.exists() {
            return Self::default();
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = rusqlite::Connection::open_with_flags(path, flags).unwrap();
        let mut ids = connection.prepare("SELECT kind, value, profile_id FROM identity").unwrap();
        let ids = ids.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
        let sql = "SELECT id, properties, created_at, updated_at FROM profile";
        let mut profiles = connection.prepare(sql).unwrap();
        let profiles = profiles.query_map([], |row| {
            let properties: String = row.get(1)?;
            let object = serde_json::from_str(&properties).unwrap();
            Ok((row.get(0)?, (object, row.get(2)?, row.get(3)?)))
        });
        Self {
            ids: ids.map(Result::unwrap).collect(),
            profiles: profiles.unwrap().map(Result::unwrap).collect(),
        }
    }
}

fn keys(ids: &[Option<u8>; 4]) -> impl Iterator<Item = (IdKind, String)> {
    let ids = IdKind::ALL.into_iter().zip(ids);
    // With long ids, the estimate of the memory for the table's ids is wrong.
    let id = |id| format!("a long id of someone: {id}{}", "x".repeat(if id > 8 { 300 } else { 0 }));
    ids.filter_map(move |(kind, number)| number.map(|number| (kind, id(number))))
}

fn made((property, operation, seed): (usize, Operation, u8), text: &str) -> Change<'_> {
    let value = match (operation, seed % 3) {
        (Operation::Delete, _) => Value::None,
        (_, 0) => Value::Integer(seed.into()),
        (_, 1) => Value::Boolean(seed > 99),
        _ => Value::Text(text),
    };
    Change { property, operation, value }
}

fn account_folder(data: &Path) -> AccountFolder {
    let folder = AccountFolder::new(data, &"acme".parse().unwrap());
    std::fs::create_dir(folder.path()).unwrap();
    folder
}

fn begin_new(
    folder: &AccountFolder,
    import: &ImportId,
    properties: &Arc<[Property]>,
    limits: MergeLimits,
) -> ProfilesWriter<Database> {
    let database = Database::begin(&folder.profiles()).unwrap();
    let spill_path = folder.profiles_spill();
    ProfilesWriter::new(database, import, properties, spill_path, limits).unwrap()
}

fn properties() -> Arc<[Property]> {
    let kind = PropertyType::String;
    NAMES.iter().map(|name| Property { name: (*name).into(), kind }).collect()
}

fn batch(properties: &Arc<[Property]>, records: &[Record]) -> ProfileBatch {
    let mut batch = ProfileBatch::new(Arc::clone(properties));
    for (ids, at, changes) in records {
        let texts: Vec<_> = changes.iter().map(|change| change.2.to_string()).collect();
        let changes = changes.iter().zip(&texts).map(|(&change, text)| made(change, text));
        let named: Vec<_> = keys(ids).collect();
        let ids = IdKind::ALL
            .map(|kind| named.iter().find(|(named, _)| *named == kind).map(|(_, id)| id.as_str()));
        batch.push(2, *at, ids, changes);
    }
    batch
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    use Operation::{Add, Delete, Remove, Set};
    let id = || prop::option::weighted(0.4, 0..12_u8);
    let ids = [id(), id(), id(), id()]
        .prop_map(|ids| if ids == [None; 4] { [Some(0), None, None, None] } else { ids });
    let operation = prop::sample::select(vec![Set, Add, Add, Remove, Delete]);
    let changes = prop::collection::vec((0..NAMES.len(), operation, any::<u8>()), 0..4);
    prop::collection::vec((ids, -50..50_i64, changes), 0..60)
}

fn limits() -> impl Strategy<Value = MergeLimits> {
    let small = |most: usize| prop_oneof![1..most, Just(1), Just(1_usize << 20)];
    (small(1500), small(20), small(600), small(900), 1..9_usize, 1..9_i64).prop_map(
        |(ids, load_from, waiting, run, chunk, profiles)| MergeLimits {
            ids,
            load_from,
            waiting,
            run,
            chunk,
            profiles,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn imports_agree_with_the_naive_model(
        imports in prop::collection::vec((records(), limits(), 1..20_usize), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let folder = account_folder(folder.path());
        let properties = properties();
        let mut model = Model::default();
        for ((records, limits, cut), n) in imports.iter().zip(1..) {
            let import = ImportId::new("sftp1", n).unwrap();
            let mut writer = begin_new(&folder, &import, &properties, *limits);
            for records in records.chunks(*cut) {
                writer.push(Batch::Profiles(batch(&properties, records))).unwrap();
            }
            let before = Model::stored(&folder.profiles());
            prop_assert_eq!(&before, &model, "the changes are visible before the commit");
            let expected = model.apply_all(records);
            prop_assert_eq!(Box::new(writer).commit().unwrap(), expected);
            prop_assert_eq!(&Model::stored(&folder.profiles()), &model);
        }
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        prop_assert_eq!(names, ["profiles.db", "profiles.db-shm", "profiles.db-wal"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn slow_id_loading_agrees_with_the_naive_model(
        first in records(),
        parts in prop::collection::vec((records(), any::<bool>()), 1..8),
        limits in limits(),
        id_bytes in prop_oneof![1..6000_usize, Just(1 << 20)],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let folder = account_folder(folder.path());
        let properties = properties();
        let mut model = Model::default();
        let imports = [1, 2].map(|n| ImportId::new("sftp1", n).unwrap());
        let mut writer = begin_new(&folder, &imports[0], &properties, MergeLimits::default());
        writer.push(Batch::Profiles(batch(&properties, &first))).unwrap();
        Box::new(writer).commit().unwrap();
        model.apply_all(&first);
        let database = Database::begin(&folder.profiles()).unwrap();
        let spill_path = folder.profiles_spill();
        let mut merge =
            ProfileMerge::new(database, &imports[1], &properties, spill_path, limits).unwrap();
        for (records, is_slow) in &parts {
            let batch = batch(&properties, records);
            let ProfileMerge { window, table, .. } = &mut merge;
            match is_slow {
                true => window.push_while_loading(&batch, table, id_bytes).unwrap(),
                false => window.push(&batch, table).unwrap(),
            }
            if window.is_full() {
                merge.merge_window().unwrap();
            }
        }
        let expected = model.apply_all(parts.iter().flat_map(|(records, _)| records));
        prop_assert_eq!(merge.commit().unwrap(), expected);
        prop_assert_eq!(&Model::stored(&folder.profiles()), &model);
    }
}

#[test]
fn an_import_dropped_while_loading_truncates_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let folder = account_folder(folder.path());
    let property = Property { name: "p".into(), kind: PropertyType::String };
    let properties: Arc<[_]> = [property].into();
    let limits = MergeLimits { load_from: 1, ..MergeLimits::default() };
    let records: Vec<Record> =
        (0..200).map(|n| ([Some(n), None, None, None], 0, vec![(0, Operation::Set, n)])).collect();
    for n in 1..20 {
        let import = ImportId::new("sftp1", n).unwrap();
        let mut writer = begin_new(&folder, &import, &properties, limits);
        writer.push(Batch::Profiles(batch(&properties, &records))).unwrap();
        if n == 1 {
            Box::new(writer).commit().unwrap();
            continue;
        }
        let group = std::mem::take(&mut writer.group);
        writer.merge.send(group).unwrap();
        drop(writer);
        let log = folder.profiles().with_extension("db-wal");
        assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
        assert_eq!(Model::stored(&folder.profiles()).profiles.len(), 200);
    }
}
