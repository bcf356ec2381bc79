//! Finds data files that stay in incoming because no manifest names them. Pure.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::entry::{Entry, data_ending};
use crate::spool::pairing::{Content, Sight};

/// Returns the files that are named like data files, have been unchanged for `after` at `now`, and
/// are named by no manifest in incoming. Oldest first.
///
/// The age is that of the ctime, which an account cannot set. A ctime in the future counts as new.
pub fn unclaimed(sight: &Sight, now: Timestamp, after: Duration) -> Vec<&Entry> {
    let named: HashSet<_> = sight
        .manifests
        .iter()
        .filter_map(|manifest| match &manifest.content {
            Content::Read(verdict) => verdict.known().data_file,
            Content::BeingWritten | Content::NotPlain => None,
        })
        .collect();
    let is_old = |entry: &Entry| {
        Duration::try_from(now.duration_since(entry.ctime)).is_ok_and(|age| age >= after)
    };
    let mut files: Vec<_> = sight
        .files
        .iter()
        .filter(|entry| data_ending(&entry.name).is_some() && entry.is_plain())
        .filter(|entry| is_old(entry) && !named.contains(&entry.name))
        .collect();
    files.sort_by_key(|entry| (entry.ctime, &entry.name));
    files
}

#[cfg(test)]
mod tests {
    use super::super::entry::Kind;
    use super::*;
    use crate::spool::pairing::{Age, Known, ManifestSeen, Verdict};

    fn entry(name: &str, second: i64) -> Entry {
        let ctime = Timestamp::from_second(second).unwrap();
        Entry { name: name.into(), kind: Kind::Regular, size: 1, ctime, dev: 1, ino: 1, nlink: 1 }
    }

    #[test]
    fn old_data_files_that_no_manifest_names() {
        let known = Known { data_file: Some("named.csv".into()), ..Known::default() };
        let verdict = Verdict::Invalid { findings: String::new(), known };
        let manifest = ManifestSeen {
            entry: entry("e.manifest", 0),
            content: Content::Read(verdict),
            age: Age { then: Duration::ZERO, since: Duration::ZERO },
        };
        let sight = Sight {
            manifests: vec![manifest],
            files: vec![
                entry("later.csv.gz", 30),
                entry("OLD.CSV", 20),
                entry("new.csv", 31),
                entry("future.csv", 1000),
                entry("notes.txt", 0),
                entry("named.csv", 0),
                Entry { nlink: 2, ..entry("linked.csv", 0) },
            ],
            ..Sight::default()
        };
        let now = Timestamp::from_second(130).unwrap();
        let found = unclaimed(&sight, now, Duration::from_secs(100));
        let names: Vec<_> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["OLD.CSV", "later.csv.gz"]);
    }
}
