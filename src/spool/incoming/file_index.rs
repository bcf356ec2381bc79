//! [`FileIndex`]: finds files by the names in manifests. This module is pure.

use std::collections::HashMap;

use super::entry::DirEntry;
use crate::sanitize::normalized;

/// Files by name. Some systems decompose the letters of a name. Therefore a name also finds a file
/// whose normalized name is equal, if no file has exactly that name.
#[derive(Debug)]
pub struct FileIndex<'a> {
    by_name: HashMap<&'a str, &'a DirEntry>,
    /// The files whose names are not ASCII. The key of each file is its normalized name.
    by_normal_name: HashMap<String, &'a DirEntry>,
}

impl<'a> FileIndex<'a> {
    pub fn new(files: impl IntoIterator<Item = &'a DirEntry>) -> Self {
        let by_name: HashMap<_, _> =
            files.into_iter().map(|file| (file.name.as_str(), file)).collect();
        let mut by_normal_name: HashMap<String, &DirEntry> = HashMap::new();
        for file in by_name.values().filter(|file| !file.name.is_ascii()) {
            let first = by_normal_name.entry(normalized(&file.name).into_owned()).or_insert(file);
            if file.name < first.name {
                *first = file; // all scans must choose the same file
            }
        }
        Self { by_name, by_normal_name }
    }

    /// Returns the file that a manifest means by `name`.
    pub fn find(&self, name: &str) -> Option<&'a DirEntry> {
        let found = self.by_name.get(name).copied();
        if found.is_some() || (name.is_ascii() && self.by_normal_name.is_empty()) {
            return found;
        }
        let name = normalized(name);
        self.by_normal_name.get(&*name).or_else(|| self.by_name.get(&*name)).copied()
    }

    /// Returns the names of all files in the index. The names have no particular order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.by_name.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::entry::FileKind;
    use super::*;

    fn found(files: &[&str], name: &str) -> Option<String> {
        let entry = |name: &&str| DirEntry {
            name: (*name).into(),
            kind: FileKind::Regular,
            size: 1,
            ctime: Timestamp::UNIX_EPOCH,
            dev: 1,
            ino: 1,
            nlink: 1,
        };
        let files: Vec<_> = files.iter().map(entry).collect();
        FileIndex::new(&files).find(name).map(|file| file.name.clone())
    }

    #[test]
    fn files_with_decomposed_names_are_found() {
        let (composed, decomposed) = ("K\u{e4}ufe.csv", "Ka\u{308}ufe.csv");
        assert_eq!(found(&[decomposed], composed).as_deref(), Some(decomposed));
        assert_eq!(found(&[composed], decomposed).as_deref(), Some(composed));
        assert_eq!(found(&[composed, decomposed], composed).as_deref(), Some(composed));
        assert_eq!(found(&["a\u{a0}b.csv"], "a b.csv").as_deref(), Some("a\u{a0}b.csv"));
        assert_eq!(found(&["a b.csv"], "a\u{a0}b.csv").as_deref(), Some("a b.csv"));
        assert_eq!(found(&["e.csv"], "E.csv"), None);
    }
}
