//! Writes a manifest as JSON text, in the form in which its author would write it.

use serde_json::{Map, Value, json};

use super::{Column, Encoding, Manifest, PropertyType, Quoting};

impl Manifest {
    /// Returns the JSON text of the manifest, with its columns in the order of `header`. Keys with
    /// default values are omitted.
    pub fn to_json(&self, header: &[String]) -> String {
        let mut keys = Map::new();
        let mut set = |key: &str, value: Value| {
            keys.insert(key.to_owned(), value);
        };
        set("type", self.data_type.as_str().into());
        set("fileName", self.file_name.as_str().into());
        set("clientEmail", self.client_email.as_str().into());
        let columns: Map<String, Value> = header
            .iter()
            .filter_map(|name| Some((name.clone(), self.columns.get(name)?.to_value())))
            .collect();
        if !columns.is_empty() {
            set("columns", columns.into());
        }
        if self.delimiter != b',' {
            set("delimiter", char::from(self.delimiter).to_string().into());
        }
        match self.quoting {
            Quoting::Doubled => {}
            Quoting::Backslash => set("escape", "\\".into()),
            Quoting::None => set("quote", "".into()),
        }
        if !self.null.is_empty() {
            set("null", self.null.clone().into());
        }
        if let Some(encoding) = self.encoding {
            set("encoding", encoding.as_str().into());
        }
        if let Some(size) = self.size {
            set("size", size.into());
        }
        if let Some(rows) = self.rows {
            set("rows", rows.into());
        }
        if let Some(digest) = self.sha256 {
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            set("sha256", hex.into());
        }
        if self.dry_run {
            set("dryRun", true.into());
        }
        format!("{:#}\n", Value::from(keys))
    }
}

impl Column {
    fn to_value(&self) -> Value {
        let mut keys = Map::new();
        if let Some(name) = &self.ct_name {
            keys.insert("ctName".to_owned(), json!(name));
        }
        if self.data_type != PropertyType::String || self.ct_name.is_none() {
            keys.insert("dataType".to_owned(), json!(self.data_type.as_str()));
        }
        if let Some(format) = self.format {
            keys.insert("format".to_owned(), json!(format.to_string()));
        }
        keys.into()
    }
}

impl Encoding {
    /// Returns the name of the encoding as written in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
            Self::Windows1252 => "windows-1252",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::manifest::DateFormat;
    use crate::report::DataType;

    #[test]
    fn a_written_manifest_is_read_back() {
        let header = ["b \"x\"", "a", "c"].map(str::to_owned);
        let mut manifest = Manifest::new(DataType::Event, "e\u{e9}.csv", "a@b.example");
        assert_eq!(parsed(&manifest, &header), manifest);
        let date = Column {
            ct_name: Some("Due".to_owned()),
            data_type: PropertyType::Date,
            format: DateFormat::named("dd/MM/yyyy"),
        };
        manifest.columns.insert(header[0].clone(), date);
        manifest.columns.insert(header[1].clone(), Column::default());
        manifest.delimiter = b'\t';
        manifest.encoding = Some(Encoding::Windows1252);
        manifest.quoting = Quoting::Backslash;
        manifest.null = vec!["\\N".to_owned(), "NULL".to_owned()];
        (manifest.size, manifest.rows) = (Some(7), Some(u64::MAX));
        manifest.sha256 = Some([0xA5; 32]);
        manifest.dry_run = true;
        assert_eq!(parsed(&manifest, &header), manifest);
        manifest.quoting = Quoting::None;
        assert_eq!(parsed(&manifest, &header), manifest);
        let text = manifest.to_json(&header);
        assert!(text.find("b \\\"x").unwrap() < text.find("\"a\"").unwrap(), "{text}");
    }

    fn parsed(manifest: &Manifest, header: &[String]) -> Manifest {
        Manifest::parse(manifest.to_json(header).as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn encodings_are_read_by_their_names() {
        use Encoding::{Utf8, Utf16Be, Utf16Le, Windows1252};
        for encoding in [Utf8, Utf16Le, Utf16Be, Windows1252] {
            assert_eq!(Encoding::named(encoding.as_str()), Some(encoding));
        }
    }
}
