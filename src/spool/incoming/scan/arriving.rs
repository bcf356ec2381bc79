//! Finds data files that are being uploaded under temporary names, if a manifest names the file
//! and the file is missing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Incoming, OpenResult, ScanResult};
use crate::sanitize::normalized;
use crate::spool::incoming::entry::DirEntry;
use crate::spool::incoming::file_index::FileIndex;
use crate::spool::incoming::manifest_cache::{CachedFile, FileVersion, ManifestCache};
use crate::spool::incoming::snapshot::ArrivingFile;
use crate::spool::incoming::temporary::final_name;

/// The maximum number of temporary names that a scan opens for one data file. The scan opens the
/// latest names.
const MAX_UPLOADS_OF_NAME: usize = 16;

/// The maximum number of temporary names that one scan opens. Opening a name takes some
/// microseconds.
const MAX_UPLOADS: usize = 1000;

impl Incoming {
    /// Records the upload under a temporary name for each data file that is missing. `hidden` are
    /// the hidden files with such names. A closed file counts as changed at the time when it was
    /// closed.
    pub(super) fn find_arriving_files(
        &self,
        hidden: Vec<DirEntry>,
        cache: &mut ManifestCache,
        result: &mut ScanResult,
    ) {
        let ScanResult { snapshot, problems, changed, .. } = result;
        let mut temporary: HashMap<String, Vec<&DirEntry>> = HashMap::new();
        for file in snapshot.files.iter().chain(&hidden).filter(|file| file.is_plain()) {
            if let Some(name) = final_name(&file.name) {
                temporary.entry(normalized(name).into_owned()).or_default().push(file);
            }
        }
        let known = std::mem::take(&mut cache.temporary);
        if temporary.is_empty() {
            return;
        }
        let files = FileIndex::new(&snapshot.files);
        let missing = snapshot.manifests.iter().filter_map(|manifest| manifest.data_file());
        // Several manifests can name the same file, with different Unicode forms of its name.
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in missing.filter(|name| files.find(name).is_none()) {
            wanted.entry(normalized(name).into_owned()).or_default().insert(name.to_owned());
        }
        let uploads = wanted.into_iter().flat_map(|(name, written)| {
            let mut uploads = temporary.remove(&name).unwrap_or_default();
            uploads.sort_unstable_by_key(|file| Reverse((file.ctime, &file.name)));
            uploads.truncate(MAX_UPLOADS_OF_NAME);
            uploads.into_iter().map(move |file| (file, written.clone()))
        });
        for (file, names) in uploads.take(MAX_UPLOADS) {
            let version = FileVersion::of(file);
            let mut cached = match known.get(&version) {
                Some(cached) => cached.clone(),
                None => CachedFile::now(file),
            };
            let is_open = match self.lease(file) {
                Ok(OpenResult::Leased(_)) => false,
                Ok(OpenResult::BeingWritten) => true,
                Ok(OpenResult::Changed) => {
                    *changed = true;
                    continue;
                }
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            cached.note_writer(is_open);
            let age = cached.age();
            cache.temporary.insert(version, cached);
            let arriving = ArrivingFile { name: file.name.clone(), is_open, age };
            for name in names {
                let latest = snapshot.arriving.entry(name).or_insert(arriving.clone());
                if arriving.is_later_than(latest) {
                    *latest = arriving.clone();
                }
            }
        }
    }
}
