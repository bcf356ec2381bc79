//! Maps the columns of the header by the manifest, or reports everything that does not fit.
//!
//! Invariants of [`Columns`]: every column of the header has one meaning, no property appears
//! twice, there is a column for an id, and for events one for the name.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::schema::{IdKind, Property};
use crate::manifest::{Column, DateFormat, Manifest, PropertyType};
use crate::records::rules::event::is_forbidden;
use crate::records::rules::fold;
use crate::records::rules::profile::{SpecialProperty, preference};
use crate::records::rules::timestamp::TimestampNotation;
use crate::report::DataType;
use crate::sanitize::{excerpt, normalized};

/// The last column of an error file. It is ignored in uploads.
pub const FAILURE_DESCRIPTION: &str = "Failure Description";

/// The longest name of a property, in characters.
const LONGEST_NAME: usize = 120;

/// The meaning of each column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    pub header: Vec<String>,
    /// `Some` for events.
    pub event_name: Option<usize>,
    pub timestamp: Option<TimestampColumn>,
    /// Indexed by [`IdKind`]; at least one is `Some`.
    pub ids: [Option<usize>; 4],
    /// All other columns, in the order of the header.
    pub properties: Vec<PropertyColumn>,
}

/// The column of `ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampColumn {
    /// Its index in the header.
    pub column: usize,
    pub notation: TimestampNotation,
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
    pub special: Option<SpecialProperty>,
    /// The column of its operations (profiles).
    pub operation: Option<usize>,
}

/// The target of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnTarget {
    EventName,
    Timestamp,
    Id(IdKind),
    Property,
    Ignored,
    /// The column has the operations for the property in this other column.
    OperationOf(usize),
}

/// A column's header and its entry in the manifest.
struct HeaderColumn<'a> {
    /// As written, for messages.
    header: &'a str,
    /// For comparison, see [`name_of`].
    name: String,
    mapped: Option<&'a Column>,
    data_type: DataType,
}

/// The columns of a header, and the mismatches found so far, one sentence each.
struct Mapper<'a> {
    columns: Vec<HeaderColumn<'a>>,
    data_type: DataType,
    findings: Vec<String>,
}

impl Columns {
    /// Maps the columns of `header`. Errors are all mismatches of header and manifest, one sentence
    /// each.
    pub fn new(header: Vec<String>, manifest: &Manifest) -> Result<Self, Vec<String>> {
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let data_type = manifest.data_type;
        let mapped: HashMap<String, &Column> =
            manifest.columns.iter().map(|(key, column)| (name_of(key), column)).collect();
        let column = |(header, name): (_, String)| HeaderColumn {
            header,
            mapped: mapped.get(&name).copied(),
            name,
            data_type,
        };
        let columns: Vec<_> =
            header.iter().map(|header| column((header, name_of(header)))).collect();
        let findings = header_findings(&columns);
        let mut mapper = Mapper { columns, data_type, findings };
        mapper.findings.extend(absent_columns(&mapper.columns, &manifest.columns));
        let targets = mapper.targets();
        let mut columns = mapper.place(&targets);
        mapper.check_mandatory(&columns);
        if !mapper.findings.is_empty() {
            return Err(mapper.findings);
        }
        columns.header = header;
        Ok(columns)
    }

    /// Returns the format of a column's DATE, if it has one.
    pub fn format(&self, column: usize) -> Option<DateFormat> {
        if let Some(TimestampColumn { notation: TimestampNotation::Date(format), .. }) =
            self.timestamp.filter(|timestamp| timestamp.column == column)
        {
            return format;
        }
        let found = self.properties.binary_search_by_key(&column, |property| property.column);
        self.properties[found.ok()?].format
    }
}

impl Mapper<'_> {
    /// Returns the target of each column. Columns of operations are assigned to their properties.
    fn targets(&mut self) -> Vec<ColumnTarget> {
        let mut targets: Vec<_> = self.columns.iter().map(HeaderColumn::target).collect();
        if self.data_type == DataType::Event {
            return targets;
        }
        for (at, column) in self.columns.iter().enumerate() {
            if targets[at] != ColumnTarget::Property {
                continue;
            }
            let Some(base) = operation_of(&column.name).or_else(|| operation_of(column.name()))
            else {
                continue;
            };
            let is_base = |name| fold(name) == fold(base);
            let of = self.columns.iter().position(|c| is_base(&c.name) || is_base(c.name()));
            let of = of.filter(|of| targets[*of] == ColumnTarget::Property);
            let (header, base) = (excerpt(column.header), excerpt(base));
            targets[at] = match of {
                Some(of) if !targets.contains(&ColumnTarget::OperationOf(of)) => {
                    ColumnTarget::OperationOf(of)
                }
                Some(_) => {
                    let finding = "has a column of operations already";
                    self.findings.push(format!("column {header}: {base} {finding}"));
                    ColumnTarget::Ignored
                }
                None => {
                    self.findings.push(format!("column {header}: no property column is {base}"));
                    ColumnTarget::Ignored
                }
            };
        }
        targets
    }

    fn place(&mut self, targets: &[ColumnTarget]) -> Columns {
        let mut columns = Columns::default();
        let mut taken: HashMap<String, usize> = HashMap::new();
        for (at, (column, target)) in self.columns.iter().zip(targets).enumerate() {
            let slot = match target {
                ColumnTarget::EventName => "evtName".to_owned(),
                ColumnTarget::Timestamp => "ts".to_owned(),
                ColumnTarget::Id(kind) => kind.as_str().to_owned(),
                ColumnTarget::Property => column.property().name,
                ColumnTarget::Ignored | ColumnTarget::OperationOf(_) => continue,
            };
            if let Some(first) = taken.insert(fold(&slot), at) {
                let first = &self.columns[first];
                // A duplicate header has been reported already.
                if first.name != column.name {
                    let (first, second) = (excerpt(first.header), excerpt(column.header));
                    let slot = excerpt(&slot);
                    self.findings.push(format!("columns {first} and {second} are both {slot}"));
                }
                continue;
            }
            match target {
                ColumnTarget::EventName => columns.event_name = Some(at),
                ColumnTarget::Timestamp => {
                    let notation = column.timestamp_notation();
                    columns.timestamp = Some(TimestampColumn { column: at, notation });
                    self.findings.extend(column.timestamp_finding());
                }
                ColumnTarget::Id(kind) => columns.ids[*kind as usize] = Some(at),
                _ => {
                    self.findings.extend(column.name_finding());
                    let operation =
                        targets.iter().position(|t| *t == ColumnTarget::OperationOf(at));
                    columns.properties.push(column.property_column(at, operation));
                }
            }
        }
        columns
    }

    fn check_mandatory(&mut self, columns: &Columns) {
        if columns.ids.iter().all(Option::is_none) {
            self.findings.push(
                "no column is identity, fbId, gpId or objectId: name one so, or map one by ctName"
                    .to_owned(),
            );
        }
        if self.data_type == DataType::Event && columns.event_name.is_none() {
            let alike = self.columns.iter().find(|column| fold(column.header) == "event_name");
            let hint = alike.map_or_else(String::new, |column| {
                format!(" (map column {} to it by ctName)", excerpt(column.header))
            });
            self.findings.push(format!("no column is evtName, the event's name{hint}"));
        }
    }
}

impl HeaderColumn<'_> {
    /// Returns the manifest's name for the column, else the header.
    fn name(&self) -> &str {
        self.mapped.and_then(|column| column.ct_name.as_deref()).unwrap_or(&self.name)
    }

    fn target(&self) -> ColumnTarget {
        if fold(self.header) == fold(FAILURE_DESCRIPTION) {
            return ColumnTarget::Ignored;
        }
        match fold(self.name()).as_str() {
            "evtname" if self.data_type == DataType::Event => ColumnTarget::EventName,
            "ts" => ColumnTarget::Timestamp,
            "identity" => ColumnTarget::Id(IdKind::Identity),
            "fbid" => ColumnTarget::Id(IdKind::FbId),
            "gpid" => ColumnTarget::Id(IdKind::GpId),
            "objectid" | "guid" => ColumnTarget::Id(IdKind::ObjectId),
            _ => ColumnTarget::Property,
        }
    }

    fn property(&self) -> Property {
        match preference(self.name()).filter(|_| self.data_type == DataType::Profile) {
            Some(name) => Property { name: name.to_owned(), kind: PropertyType::Boolean },
            None => Property { name: name_of(self.name()), kind: self.property_type() },
        }
    }

    fn property_column(&self, column: usize, operation: Option<usize>) -> PropertyColumn {
        let property = self.property();
        let special = SpecialProperty::of(&property.name);
        let special = special.filter(|_| self.data_type == DataType::Profile);
        PropertyColumn { column, property, format: self.format(), special, operation }
    }

    fn format(&self) -> Option<DateFormat> {
        self.mapped.and_then(|column| column.format)
    }

    fn property_type(&self) -> PropertyType {
        self.mapped.map_or_else(PropertyType::default, |column| column.data_type)
    }

    fn timestamp_notation(&self) -> TimestampNotation {
        match self.property_type() {
            PropertyType::Date => TimestampNotation::Date(self.format()),
            _ => TimestampNotation::Epoch,
        }
    }

    fn timestamp_finding(&self) -> Option<String> {
        use PropertyType::{Boolean, Float};
        matches!(self.property_type(), Boolean | Float).then(|| {
            let (header, kind) = (excerpt(self.header), self.property_type().as_str());
            format!(
                "column {header} is ts: its dataType is INTEGER, LONG, STRING or DATE, not {kind}"
            )
        })
    }

    fn name_finding(&self) -> Option<String> {
        let name = self.property().name;
        let what = if let Some(c) = name.chars().find(|c| is_forbidden(*c)) {
            format!("has the character {} that is not allowed", excerpt(&format!("{c:?}")))
        } else if name.chars().nth(LONGEST_NAME).is_some() {
            format!("is longer than {LONGEST_NAME} characters")
        } else {
            return None;
        };
        let (header, name) = (excerpt(self.header), excerpt(&name));
        Some(format!("column {header}: property name {name} {what}"))
    }
}

/// Returns `Playlist` for `Playlist.operation`.
fn operation_of(name: &str) -> Option<&str> {
    const SUFFIX: &str = ".operation";
    let at = name.len().checked_sub(SUFFIX.len())?;
    let suffix = name.get(at..)?;
    (suffix.eq_ignore_ascii_case(SUFFIX) && at > 0).then(|| &name[..at])
}

/// Returns a name as it is compared and stored: normalised, without white space around it.
fn name_of(name: &str) -> String {
    normalized(name).trim().to_owned()
}

fn header_findings(columns: &[HeaderColumn<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (at, HeaderColumn { header, name, .. }) in columns.iter().enumerate() {
        let number = at + 1;
        if name.is_empty() {
            findings.push(format!("line 1, column {number}: the header has no name here"));
        } else if let Some(first) = first.get(name.as_str()) {
            let header = excerpt(header);
            findings.push(format!(
                "line 1, column {number}: the header {header} is column {first} already"
            ));
        } else {
            first.insert(name, number);
        }
    }
    findings
}

fn absent_columns(header: &[HeaderColumn<'_>], columns: &BTreeMap<String, Column>) -> Vec<String> {
    let names: HashSet<&str> = header.iter().map(|column| column.name.as_str()).collect();
    let absent = |key: &&String| !names.contains(name_of(key).as_str());
    let finding = |key: &String| {
        let alike = header.iter().find(|column| fold(&column.name) == fold(key));
        let hint = alike.map_or_else(String::new, |column| {
            format!(" (the header has {})", excerpt(column.header))
        });
        format!("column {} of the manifest is not in the header{hint}", excerpt(key))
    };
    columns.keys().filter(absent).map(finding).collect()
}

#[cfg(test)]
mod tests;
