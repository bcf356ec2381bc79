//! Parses the manifest's key `columns`, which maps the columns of the data file.

use std::collections::BTreeMap;

use super::{ManifestReader, correct_keys, duplicates, text};
use crate::manifest::date_format::DATE_FORMATS;
use crate::manifest::json::{Json, quote};
use crate::manifest::property_type::PropertyType;
use crate::manifest::{Column, DateFormat};
use crate::sanitize::normalized;

const COLUMN_KEYS: [&str; 3] = ["ctName", "dataType", "format"];

impl ManifestReader {
    pub fn columns(&mut self) -> BTreeMap<String, Column> {
        let entries = match self.take("columns") {
            None => return BTreeMap::new(),
            Some(Json::Object(entries)) => entries,
            Some(other) => {
                self.findings.push(format!("columns must be an object, not {other}"));
                return BTreeMap::new();
            }
        };
        // Spaces around a header and invisible characters in a header are ignored.
        let names: Vec<_> = entries.iter().map(|(header, _)| normalized(header)).collect();
        for key in duplicates(names.iter().map(|name| name.trim())) {
            self.findings.push(format!("column {} is mapped twice", quote(key)));
        }
        entries.into_iter().map(|(header, value)| self.column(header, value)).collect()
    }

    fn column(&mut self, header: String, value: Json) -> (String, Column) {
        let name = quote(&header);
        let mut entries = match value {
            Json::Object(entries) => entries,
            Json::Null => Vec::new(),
            other => {
                let wanted = "an object with ctName and dataType";
                self.findings.push(format!("column {name} must be {wanted}, not {other}"));
                Vec::new()
            }
        };
        let findings = correct_keys(&mut entries, &COLUMN_KEYS);
        self.findings.extend(findings.iter().map(|finding| format!("column {name}: {finding}")));
        let mut column = Column::default();
        for key in duplicates(entries.iter().map(|(key, _)| key.as_str())) {
            self.findings.push(format!("column {name}: key {} appears twice", quote(key)));
        }
        for (key, value) in entries.iter().filter(|(_, value)| *value != Json::Null) {
            match key.as_str() {
                "ctName" => column.ct_name = self.ct_name(&name, value),
                "dataType" => column.data_type = self.property_type(&name, value),
                "format" => column.format = self.date_format(&name, value),
                _ => self.warnings.push(format!("column {name}: key {} is not known", quote(key))),
            }
        }
        if column.format.is_some() && column.data_type != PropertyType::Date {
            self.warnings.push(format!("column {name}: format applies only to dataType DATE"));
        }
        (header, column)
    }

    fn ct_name(&mut self, column: &str, value: &Json) -> Option<String> {
        let name = text(value).map(str::trim).filter(|name| !name.is_empty());
        if name.is_none() {
            self.findings.push(format!("column {column}: ctName must be a name, not {value}"));
        }
        name.map(str::to_owned)
    }

    fn property_type(&mut self, column: &str, value: &Json) -> PropertyType {
        let name = text(value).unwrap_or_default().trim();
        if let Some(found) = PropertyType::named(name) {
            return found;
        }
        let hint =
            likely_type(name).map_or(String::new(), |kind| format!(" (use {})", kind.as_str()));
        let allowed = PropertyType::ALL.map(PropertyType::as_str).join(", ");
        self.findings.push(format!(
            "column {column}: dataType {value} is not supported{hint}, it must be one of {allowed}"
        ));
        PropertyType::String
    }

    fn date_format(&mut self, column: &str, value: &Json) -> Option<DateFormat> {
        let name = text(value).unwrap_or_default().trim();
        let format = DateFormat::named(name);
        if format.is_none() {
            let hint = likely_format(name).map_or(String::new(), |hint| format!(" ({hint})"));
            self.findings.push(format!(
                "column {column}: format {value} is not supported{hint}, it must be one of \
                 {DATE_FORMATS}"
            ));
        }
        format
    }
}

/// Returns the type that the author of `name` most likely meant.
fn likely_type(name: &str) -> Option<PropertyType> {
    Some(match name.to_ascii_lowercase().as_str() {
        "int" | "int32" | "integer32" | "short" | "smallint" => PropertyType::Integer,
        "int64" | "bigint" | "longint" => PropertyType::Long,
        "double" | "decimal" | "number" | "numeric" | "real" | "float64" => PropertyType::Float,
        "bool" => PropertyType::Boolean,
        "str" | "text" | "varchar" | "char" => PropertyType::String,
        "datetime" | "timestamp" | "time" => PropertyType::Date,
        _ => return None,
    })
}

/// Returns advice for the author of the unknown format `name`.
fn likely_format(name: &str) -> Option<String> {
    if let Some(format) = DateFormat::likely(name) {
        return Some(format!("write \"{format}\""));
    }
    let name = name.to_ascii_lowercase();
    let is_iso = name.starts_with("iso") || name.starts_with("yyyy-mm-dd");
    is_iso.then(|| "leave format out: ISO 8601 is always read".to_owned())
}
