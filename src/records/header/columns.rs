//! Maps the columns of the header by the manifest, or reports everything that does not fit.
//!
//! Invariants of [`Columns`]: every column of the header has one meaning, no property appears
//! twice, there is a column for an id, and for events one for the name.

use std::collections::{BTreeMap, HashMap};

use super::schema::{IdKind, Property, PropertyType};
use crate::manifest::{Column, DateFormat, Manifest};
use crate::records::rules::event::is_forbidden;
use crate::records::rules::fold;
use crate::records::rules::profile::{Known, preference};
use crate::records::rules::rejection::shown;
use crate::report::DataType;

/// The last column of an error file. It is ignored in uploads.
pub const FAILURE_DESCRIPTION: &str = "Failure Description";

/// The longest name of a property, in characters.
const LONGEST_NAME: usize = 120;

/// The meaning of each column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// The name of each column.
    pub header: Vec<String>,
    /// `Some` for events.
    pub event_name: Option<usize>,
    /// The `ts` column.
    pub timestamp: Option<usize>,
    /// Indexed by [`IdKind`]; at least one is `Some`.
    pub ids: [Option<usize>; 4],
    /// All other columns, in the order of the header.
    pub properties: Vec<PropertyColumn>,
}

/// A column that holds a property.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyColumn {
    /// Its index in the header.
    pub column: usize,
    /// Name and type in the store.
    pub property: Property,
    /// The format of a DATE, if the manifest has one.
    pub format: Option<DateFormat>,
    /// The special rule for this property (profiles).
    pub known: Option<Known>,
    /// The column of its operations (profiles).
    pub operation: Option<usize>,
}

/// The target of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    EventName,
    Timestamp,
    Id(IdKind),
    Property,
    Ignored,
    /// The column has the operations for the property in this other column.
    OperationOf(usize),
}

/// A column's header and its entry in the manifest.
struct Named<'a> {
    header: &'a str,
    mapped: Option<&'a Column>,
}

impl Columns {
    /// Maps the columns of `header`. Errors are all mismatches of header and manifest, one sentence
    /// each.
    pub fn new(header: Vec<String>, manifest: &Manifest) -> Result<Self, Vec<String>> {
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let mut findings = header_findings(&header);
        findings.extend(absent_columns(&header, &manifest.columns));
        let named: Vec<_> = header
            .iter()
            .map(|name| Named { header: name, mapped: mapping(name, &manifest.columns) })
            .collect();
        let targets = targets(&named, manifest.data_type, &mut findings);
        let mut columns = Self::default();
        columns.place(&named, &targets, manifest.data_type, &mut findings);
        columns.check_mandatory(&named, manifest.data_type, &mut findings);
        columns.header = header;
        if findings.is_empty() { Ok(columns) } else { Err(findings) }
    }

    fn place(
        &mut self,
        named: &[Named<'_>],
        targets: &[Target],
        data_type: DataType,
        findings: &mut Vec<String>,
    ) {
        let mut taken: HashMap<String, usize> = HashMap::new();
        for (at, (name, target)) in named.iter().zip(targets).enumerate() {
            let slot = match target {
                Target::EventName => "evtName".to_owned(),
                Target::Timestamp => "ts".to_owned(),
                Target::Id(kind) => kind.as_str().to_owned(),
                Target::Property => name.property(data_type).name,
                Target::Ignored | Target::OperationOf(_) => continue,
            };
            if let Some(first) = taken.insert(fold(&slot), at) {
                // A duplicate header has been reported already.
                if named[first].header != name.header {
                    let (first, second) = (shown(named[first].header), shown(name.header));
                    let slot = shown(&slot);
                    findings.push(format!("columns {first} and {second} are both {slot}"));
                }
                continue;
            }
            match target {
                Target::EventName => self.event_name = Some(at),
                Target::Timestamp => {
                    self.timestamp = Some(at);
                    findings.extend(name.timestamp_finding());
                }
                Target::Id(kind) => self.ids[*kind as usize] = Some(at),
                _ => {
                    findings.extend(name.name_finding(data_type));
                    let operation = targets.iter().position(|t| *t == Target::OperationOf(at));
                    self.properties.push(name.property_column(at, data_type, operation));
                }
            }
        }
    }

    fn check_mandatory(
        &self,
        named: &[Named<'_>],
        data_type: DataType,
        findings: &mut Vec<String>,
    ) {
        if self.ids.iter().all(Option::is_none) {
            findings.push(
                "no column is identity, fbId, gpId or objectId: name one so, or map one by ctName"
                    .to_owned(),
            );
        }
        if data_type == DataType::Event && self.event_name.is_none() {
            let alike = named.iter().find(|name| fold(name.header) == "event_name");
            let hint = alike.map_or_else(String::new, |name| {
                format!(" (map column {} to it by ctName)", shown(name.header))
            });
            findings.push(format!("no column is evtName, the event's name{hint}"));
        }
    }
}

impl Named<'_> {
    /// Returns the manifest's name for the column, else the header.
    fn name(&self) -> &str {
        self.mapped.and_then(|column| column.ct_name.as_deref()).unwrap_or(self.header)
    }

    fn target(&self, data_type: DataType) -> Target {
        if fold(self.header) == fold(FAILURE_DESCRIPTION) {
            return Target::Ignored;
        }
        match fold(self.name()).as_str() {
            "evtname" if data_type == DataType::Event => Target::EventName,
            "ts" => Target::Timestamp,
            "identity" => Target::Id(IdKind::Identity),
            "fbid" => Target::Id(IdKind::FbId),
            "gpid" => Target::Id(IdKind::GpId),
            "objectid" | "guid" => Target::Id(IdKind::ObjectId),
            _ => Target::Property,
        }
    }

    fn property(&self, data_type: DataType) -> Property {
        match preference(self.name()).filter(|_| data_type == DataType::Profile) {
            Some(name) => Property { name: name.to_owned(), kind: PropertyType::Boolean },
            None => Property { name: self.name().to_owned(), kind: self.data_type() },
        }
    }

    fn property_column(
        &self,
        column: usize,
        data_type: DataType,
        operation: Option<usize>,
    ) -> PropertyColumn {
        let property = self.property(data_type);
        let known = Known::of(&property.name).filter(|_| data_type == DataType::Profile);
        let format = self.mapped.and_then(|column| column.format);
        PropertyColumn { column, property, format, known, operation }
    }

    fn data_type(&self) -> PropertyType {
        self.mapped.map_or_else(PropertyType::default, |column| column.data_type)
    }

    fn timestamp_finding(&self) -> Option<String> {
        use PropertyType::{Integer, Long, String};
        (!matches!(self.data_type(), Integer | Long | String)).then(|| {
            let (header, kind) = (shown(self.header), self.data_type().as_str());
            format!("column {header} is ts: its dataType is INTEGER, LONG or STRING, not {kind}")
        })
    }

    fn name_finding(&self, data_type: DataType) -> Option<String> {
        let name = self.property(data_type).name;
        let what = if let Some(c) = name.chars().find(|c| is_forbidden(*c)) {
            format!("has the character {} that is not allowed", shown(&format!("{c:?}")))
        } else if name.chars().nth(LONGEST_NAME).is_some() {
            format!("is longer than {LONGEST_NAME} characters")
        } else {
            return None;
        };
        let (header, name) = (shown(self.header), shown(&name));
        Some(format!("column {header}: property name {name} {what}"))
    }
}

/// Returns the target of each column. Columns of operations are assigned to their properties.
fn targets(named: &[Named<'_>], data_type: DataType, findings: &mut Vec<String>) -> Vec<Target> {
    let mut targets: Vec<_> = named.iter().map(|name| name.target(data_type)).collect();
    if data_type == DataType::Event {
        return targets;
    }
    for (at, name) in named.iter().enumerate() {
        if targets[at] != Target::Property {
            continue;
        }
        let Some(base) = operation_of(name.header).or_else(|| operation_of(name.name())) else {
            continue;
        };
        let of = named
            .iter()
            .position(|other| fold(other.header) == fold(base) || fold(other.name()) == fold(base));
        match of.filter(|of| targets[*of] == Target::Property) {
            Some(of) if targets.contains(&Target::OperationOf(of)) => {
                targets[at] = Target::Ignored;
                let (header, base) = (shown(name.header), shown(base));
                findings
                    .push(format!("column {header}: {base} has a column of operations already"));
            }
            Some(of) => targets[at] = Target::OperationOf(of),
            None => {
                targets[at] = Target::Ignored;
                let (header, base) = (shown(name.header), shown(base));
                findings.push(format!("column {header}: no property column is {base}"));
            }
        }
    }
    targets
}

/// Returns `Playlist` for `Playlist.operation`.
fn operation_of(name: &str) -> Option<&str> {
    const SUFFIX: &str = ".operation";
    let at = name.len().checked_sub(SUFFIX.len())?;
    let suffix = name.get(at..)?;
    (suffix.eq_ignore_ascii_case(SUFFIX) && at > 0).then(|| &name[..at])
}

/// Returns the manifest's entry for the column `header`, ignoring spaces around the name.
fn mapping<'a>(header: &str, columns: &'a BTreeMap<String, Column>) -> Option<&'a Column> {
    columns
        .get(header)
        .or_else(|| columns.iter().find(|(key, _)| key.trim() == header).map(|(_, c)| c))
}

fn header_findings(header: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (at, name) in header.iter().enumerate() {
        let number = at + 1;
        if name.is_empty() {
            findings.push(format!("line 1, column {number}: the header has no name here"));
        } else if let Some(first) = first.get(name.as_str()) {
            let name = shown(name);
            findings.push(format!(
                "line 1, column {number}: the header {name} is column {first} already"
            ));
        } else {
            first.insert(name, number);
        }
    }
    findings
}

fn absent_columns(header: &[String], columns: &BTreeMap<String, Column>) -> Vec<String> {
    let absent = |key: &&String| !header.iter().any(|name| name == key.trim());
    let told = |key: &String| {
        let alike = header.iter().find(|name| fold(name) == fold(key));
        let hint =
            alike.map_or_else(String::new, |name| format!(" (the header has {})", shown(name)));
        format!("column {} of the manifest is not in the header{hint}", shown(key))
    };
    columns.keys().filter(absent).map(told).collect()
}

#[cfg(test)]
mod tests;
