//! Maps the columns of the header by the manifest, or reports all mismatches.
//!
//! Invariants of [`Columns`]: every column of the header has one meaning. No property appears
//! twice. At least one column has an id. For events, one column has the event name.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::schema::{IdKind, Property};
use crate::manifest::{Column, DateFormat, Manifest, PropertyType};
use crate::records::rules::event::is_forbidden;
use crate::records::rules::fold;
use crate::records::rules::profile::{SpecialProperty, preference};
use crate::records::rules::timestamp::TimestampNotation;
use crate::report::DataType;
use crate::sanitize::{excerpt, normalized};

/// The name of the last column of every error file. A column of this name in an upload is ignored,
/// unless the manifest maps it.
pub const FAILURE_DESCRIPTION: &str = "Failure Description";

/// The maximum length of a property name, in characters.
const LONGEST_NAME: usize = 120;

/// The meaning of each column of a data file, according to the header and the manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    pub header: Vec<String>,
    /// The index of the column with the event names. `Some` for events.
    pub event_name: Option<usize>,
    pub timestamp: Option<TimestampColumn>,
    /// The indexes of the columns with the ids of users, indexed by [`IdKind`]. At least one is
    /// `Some`.
    pub ids: [Option<usize>; 4],
    /// The columns that hold properties, in the order of the header.
    pub properties: Vec<PropertyColumn>,
    /// The index of the column `Failure Description` if the column is ignored.
    pub description: Option<usize>,
    /// The indexes of the columns without a name. These columns are ignored, and their cells must
    /// be empty.
    pub nameless: Vec<usize>,
}

/// The column of `ts`, which has the times of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampColumn {
    /// The index of the `ts` column in the header.
    pub column: usize,
    pub notation: TimestampNotation,
}

/// A column that holds a property.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyColumn {
    /// The index of the property's column in the header.
    pub column: usize,
    /// The name and the type that the property has in the store.
    pub property: Property,
    /// The format of the dates in the property's column, if the manifest has a format.
    pub format: Option<DateFormat>,
    /// The special rule for the property. Only properties of profiles have a special rule.
    pub special: Option<SpecialProperty>,
    /// The index of the column with the operations for the property. Only properties of profiles
    /// have such a column.
    pub operation: Option<usize>,
}

/// The target to which the cells of a column belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnTarget {
    EventName,
    Timestamp,
    Id(IdKind),
    Property,
    Ignored,
    /// The column has the operations for a property. The number is the index of the property's
    /// column.
    OperationOf(usize),
}

/// A column of the header, and its entry in the manifest.
struct HeaderColumn<'a> {
    /// The name of the column as it is in the header. It is used in messages.
    header: &'a str,
    /// The name of the column for comparisons, in the form that [`name_of`] returns.
    name: String,
    mapped: Option<&'a Column>,
    data_type: DataType,
    is_description: bool,
}

/// The columns of a header, and the mismatches between header and manifest that were found until
/// now. Each mismatch is one sentence.
struct Mapper<'a> {
    columns: Vec<HeaderColumn<'a>>,
    data_type: DataType,
    findings: Vec<String>,
}

impl Columns {
    /// Maps the columns of `header` by the manifest. `line` is the line number of the header. The
    /// error has one sentence for each mismatch of header and manifest.
    pub fn new(header: Vec<String>, line: u64, manifest: &Manifest) -> Result<Self, Vec<String>> {
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let data_type = manifest.data_type;
        let mapped: HashMap<String, &Column> =
            manifest.columns.iter().map(|(key, column)| (name_of(key), column)).collect();
        let is_mapped = mapped.contains_key(FAILURE_DESCRIPTION);
        let description = description_column(&header, is_mapped);
        let column = |(at, header)| {
            let name = name_of(header);
            HeaderColumn {
                header,
                mapped: mapped.get(&name).copied(),
                name,
                data_type,
                is_description: Some(at) == description,
            }
        };
        let columns: Vec<_> = header.iter().map(String::as_str).enumerate().map(column).collect();
        let findings = header_findings(&columns, line, description.filter(|_| is_mapped));
        let mut mapper = Mapper { columns, data_type, findings };
        mapper.findings.extend(absent_columns(&mapper.columns, &manifest.columns));
        let targets = mapper.targets();
        let mut columns = mapper.place(&targets);
        mapper.check_mandatory(&columns);
        if !mapper.findings.is_empty() {
            return Err(mapper.findings);
        }
        let nameless = mapper.columns.iter().enumerate().filter(|(_, column)| column.is_nameless());
        columns.nameless = nameless.map(|(at, _)| at).collect();
        columns.description = description;
        columns.header = header;
        Ok(columns)
    }

    /// Returns whether the column has the name `Failure Description`.
    pub fn is_description(&self, column: usize) -> bool {
        self.header[column] == FAILURE_DESCRIPTION
    }

    /// Returns the format of the dates in a column; `None` if the manifest has no format for the
    /// column.
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
    /// Returns the target of each column. A column of operations is assigned to the column of its
    /// property.
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
                    let finding = "already has a column of operations";
                    self.findings.push(format!("column {header}: {base} {finding}"));
                    ColumnTarget::Ignored
                }
                None => {
                    self.findings
                        .push(format!("column {header}: the header has no property column {base}"));
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
                // `header_findings` has already reported duplicate names.
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
                "no column is identity, fbId, gpId or objectId: rename a column, or map one with \
                 ctName"
                    .to_owned(),
            );
        }
        if self.data_type == DataType::Event && columns.event_name.is_none() {
            let alike = self.columns.iter().find(|column| fold(column.header) == "event_name");
            let hint = alike.map_or_else(String::new, |column| {
                format!(" (map column {} to evtName with ctName)", excerpt(column.header))
            });
            self.findings.push(format!("no column is evtName, the event's name{hint}"));
        }
    }
}

impl HeaderColumn<'_> {
    /// Returns the column's `ctName` from the manifest. If the manifest has no `ctName` for the
    /// column, returns the name in the header.
    fn name(&self) -> &str {
        self.mapped.and_then(|column| column.ct_name.as_deref()).unwrap_or(&self.name)
    }

    fn is_nameless(&self) -> bool {
        self.name().is_empty()
    }

    fn target(&self) -> ColumnTarget {
        if self.is_description || self.is_nameless() {
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
        let forbidden = name.chars().find(|c| is_forbidden(*c));
        let is_too_long = name.chars().nth(LONGEST_NAME).is_some();
        let (header, name) = (excerpt(self.header), excerpt(&name));
        match forbidden {
            Some(c) => Some(format!(
                "column {header}: property name {name} has the character {} that is not allowed",
                excerpt(&format!("{c:?}"))
            )),
            None => is_too_long.then(|| {
                format!(
                    "column {header}: property name {name} is longer than {LONGEST_NAME} characters"
                )
            }),
        }
    }
}

/// Returns the name of the property to which a column of operations belongs: `Playlist` for
/// `Playlist.operation`.
fn operation_of(name: &str) -> Option<&str> {
    const SUFFIX: &str = ".operation";
    let at = name.len().checked_sub(SUFFIX.len())?;
    let suffix = name.get(at..)?;
    (suffix.eq_ignore_ascii_case(SUFFIX) && at > 0).then(|| &name[..at])
}

/// Returns the form of a column name for comparisons and for the store. This form is normalised
/// and has no white space at its start and end.
fn name_of(name: &str) -> String {
    normalized(name).trim().to_owned()
}

/// Returns the column with the descriptions of an earlier error file: the last column with the
/// exact name `Failure Description`. If the manifest maps this name, the first column of the name
/// is data, and only a second column has descriptions.
fn description_column(header: &[String], is_mapped: bool) -> Option<usize> {
    let is_description = |name: &String| name == FAILURE_DESCRIPTION;
    let last = header.iter().rposition(is_description)?;
    let first = header.iter().position(is_description)?;
    (first < last || !is_mapped).then_some(last)
}

/// Returns the findings about column names that occur twice. The name of the column `allowed` may
/// occur twice.
fn header_findings(columns: &[HeaderColumn<'_>], line: u64, allowed: Option<usize>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut first: HashMap<&str, usize> = HashMap::new();
    let named = columns.iter().enumerate().filter(|(_, column)| !column.is_nameless());
    for (at, HeaderColumn { header, name, .. }) in named.filter(|(at, _)| Some(*at) != allowed) {
        let number = at + 1;
        let Some(first) = first.get(name.as_str()) else {
            first.insert(name, number);
            continue;
        };
        let header = excerpt(header);
        findings.push(format!(
            "line {line}, column {number}: the header {header} is already the name of column \
             {first}"
        ));
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
