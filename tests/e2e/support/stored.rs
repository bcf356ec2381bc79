//! Reads the content of the store: rows of events from Parquet, and rows of profiles from SQLite.

use std::fs::File;
use std::path::PathBuf;

use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::support::account::Account;
use crate::support::host::open_read_only;

impl Account<'_> {
    fn data(&self) -> PathBuf {
        self.host.state().join("data").join(&self.id)
    }

    /// Returns every row of one import's events as text, in the order of the file.
    #[track_caller]
    pub fn events(&self, import: &str) -> Vec<String> {
        let folder = self.data().join("events").join(format!("import={import}"));
        let mut parts: Vec<PathBuf> =
            std::fs::read_dir(&folder).into_iter().flatten().map(|e| e.unwrap().path()).collect();
        parts.sort();
        let rows = parts.iter().flat_map(|part| {
            let reader = SerializedFileReader::new(File::open(part).unwrap()).unwrap();
            let rows = reader.get_row_iter(None).unwrap();
            rows.map(|row| row.unwrap().to_string()).collect::<Vec<_>>()
        });
        rows.collect()
    }

    /// Returns the imports that have a folder of events.
    pub fn event_folders(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.data().join("events")).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Returns every profile in the form `identity value: properties`, for identities that begin
    /// with `prefix`.
    #[track_caller]
    pub fn profiles(&self, prefix: &str) -> Vec<String> {
        let path = self.data().join("profiles.db");
        if !path.exists() {
            return Vec::new();
        }
        let db = open_read_only(&path);
        let mut statement = db
            .prepare(
                "SELECT i.kind || ' ' || i.value || ': ' || p.properties
                 FROM identity i JOIN profile p ON p.id = i.profile_id
                 WHERE i.value LIKE ?1 || '%' ORDER BY i.kind, i.value",
            )
            .unwrap();
        let rows = statement.query_map([prefix], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}
