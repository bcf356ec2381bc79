//! Pairs for uploads: a data file and its manifest, written to a folder of the host.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A data file and its manifest in a folder of the partner.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The common beginning of both names.
    pub stem: String,
    /// The path of the data file, `<stem>.csv`.
    pub data: PathBuf,
    /// The path of the manifest, `<stem>.manifest`.
    pub manifest: PathBuf,
}

/// The header of [`Pair::events`].
pub const EVENTS_HEADER: &str = "event_name,time_stamp,identity,Price,Note";

impl Pair {
    /// Writes a pair with the given content to `folder`. The manifest has the columns of
    /// [`Pair::events`].
    pub fn new(folder: &Path, stem: &str, kind: &str, csv: &str) -> Self {
        let pair = Self {
            stem: stem.to_owned(),
            data: folder.join(format!("{stem}.csv")),
            manifest: folder.join(format!("{stem}.manifest")),
        };
        let columns = match kind {
            "event" => serde_json::json!({
                "event_name": {"ctName": "evtName"},
                "time_stamp": {"ctName": "ts", "dataType": "INTEGER"},
                "Price": {"dataType": "FLOAT"},
            }),
            _ => serde_json::json!({"Age": {"dataType": "INTEGER"}}),
        };
        let manifest = serde_json::json!({
            "fileName": format!("{stem}.csv"),
            "type": kind,
            "columns": columns,
            "clientEmail": format!("{stem}@example.com"),
        });
        std::fs::write(&pair.data, csv).unwrap();
        std::fs::write(&pair.manifest, manifest.to_string()).unwrap();
        pair
    }

    /// Writes `count` events, which are all accepted.
    pub fn events(folder: &Path, stem: &str, count: usize) -> Self {
        let mut csv = format!("{EVENTS_HEADER}\n");
        for i in 0..count {
            let ts = 1_600_000_000 + i;
            writeln!(csv, "Purchased,{ts},user{i}@example.com,{i}.5,\"a, b {i}\"").unwrap();
        }
        Self::new(folder, stem, "event", &csv)
    }

    /// Writes `count` events. The events at the positions `rejected`, counted from 0, have no event
    /// name.
    pub fn events_with(folder: &Path, stem: &str, count: usize, rejected: &[usize]) -> Self {
        let pair = Self::events(folder, stem, count);
        let csv = std::fs::read_to_string(&pair.data).unwrap();
        let lines = csv.lines().enumerate().map(|(i, line)| match line.strip_prefix("Purchased") {
            Some(rest) if rejected.contains(&(i - 1)) => rest.to_owned(),
            _ => line.to_owned(),
        });
        std::fs::write(&pair.data, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
        pair
    }

    /// Writes `count` profiles with two records each. Their ids begin with `stem`.
    pub fn profiles(folder: &Path, stem: &str, count: usize) -> Self {
        let mut csv = "identity,Name,Age,Playlist,Playlist.operation\n".to_owned();
        for i in 0..count {
            writeln!(csv, "{stem}.{i},Jane {i},{},Rock,$add", 20 + i % 50).unwrap();
            writeln!(csv, "{stem}.{i},,,Pop,$add").unwrap();
        }
        Self::new(folder, stem, "profile", &csv)
    }
}
