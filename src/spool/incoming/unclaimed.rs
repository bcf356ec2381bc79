//! Finds data files that remain in incoming because no manifest names them. This module is pure.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::entry::{DirEntry, data_ending};
use super::snapshot::{ManifestContent, Snapshot};
use crate::sanitize::normalized;

/// Returns the files that are named like data files, have been unchanged for `after` at `now`, and
/// are not named in any manifest in incoming. The oldest file is first.
///
/// The age is computed from the ctime, which an account cannot set. A file with a ctime in the
/// future counts as new.
pub fn unclaimed(snapshot: &Snapshot, now: Timestamp, after: Duration) -> Vec<&DirEntry> {
    let named: HashSet<_> = snapshot
        .manifests
        .iter()
        .filter_map(|manifest| match &manifest.content {
            ManifestContent::Read(parsed) => {
                parsed.values().data_file.map(|name| normalized(&name).into_owned())
            }
            ManifestContent::BeingWritten | ManifestContent::NotPlain => None,
        })
        .collect();
    let is_old = |entry: &DirEntry| {
        Duration::try_from(now.duration_since(entry.ctime)).is_ok_and(|age| age >= after)
    };
    let mut files: Vec<_> = snapshot
        .files
        .iter()
        .filter(|entry| data_ending(&entry.name).is_some() && entry.is_plain())
        .filter(|entry| is_old(entry) && !named.contains(&*normalized(&entry.name)))
        .collect();
    files.sort_by_key(|entry| (entry.ctime, &entry.name));
    files
}

#[cfg(test)]
mod tests {
    use super::super::entry::FileKind;
    use super::*;
    use crate::spool::{Age, ListedManifest, ManifestValues, ParsedManifest};

    fn entry(name: &str, second: i64) -> DirEntry {
        let ctime = Timestamp::from_second(second).unwrap();
        DirEntry {
            name: name.into(),
            kind: FileKind::Regular,
            size: 1,
            ctime,
            dev: 1,
            ino: 1,
            nlink: 1,
        }
    }

    #[test]
    fn old_data_files_without_manifest_are_found() {
        let values =
            ManifestValues { data_file: Some("named.csv".into()), ..ManifestValues::default() };
        let parsed = ParsedManifest::Invalid { findings: String::new(), values };
        let manifest = ListedManifest {
            entry: entry("e.manifest", 0),
            content: ManifestContent::Read(parsed),
            age: Age { then: Duration::ZERO, since: Duration::ZERO },
        };
        let snapshot = Snapshot {
            manifests: vec![manifest],
            files: vec![
                entry("later.csv.gz", 30),
                entry("OLD.CSV", 20),
                entry("new.csv", 31),
                entry("future.csv", 1000),
                entry("notes.txt", 0),
                entry("named.csv", 0),
                DirEntry { nlink: 2, ..entry("linked.csv", 0) },
            ],
            ..Snapshot::default()
        };
        let now = Timestamp::from_second(130).unwrap();
        let found = unclaimed(&snapshot, now, Duration::from_secs(100));
        let names: Vec<_> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["OLD.CSV", "later.csv.gz"]);
    }
}
