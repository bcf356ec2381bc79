//! [`Schema`]: the columns of the batches of one data file.
//!
//! Invariant: no property appears twice, and there is an id column, and for events an event name.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit};

use crate::manifest::PropertyType;
use crate::records::rules::profile::SpecialProperty;

/// The four kinds of ids of a user, strongest first: if known ids disagree, the earlier kind wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdKind {
    Identity,
    FbId,
    GpId,
    ObjectId,
}

impl IdKind {
    /// All kinds, strongest first. An array indexed by `kind as usize` has this order.
    pub const ALL: [Self; 4] = [Self::Identity, Self::FbId, Self::GpId, Self::ObjectId];

    /// Returns the name in the rules and messages, and in the store's `identity.kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::FbId => "fbId",
            Self::GpId => "gpId",
            Self::ObjectId => "objectId",
        }
    }
}

/// One property: its name as stored and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The ctName, else the header.
    pub name: String,
    /// From the manifest; default `String`.
    pub kind: PropertyType,
}

/// The schema that a store gets before the first batch.
#[derive(Clone, Debug)]
pub enum Schema {
    /// Batches are [`crate::records::Batch::Events`] with this Arrow schema.
    Event(EventSchema),
    /// Batches are [`Batch::Profiles`](crate::records::Batch::Profiles), whose changes index into
    /// these properties.
    Profile(Arc<[Property]>),
}

impl Schema {
    /// Returns the properties with their names as stored, but those that are stored in one form by a
    /// rule of their own.
    pub fn properties(&self) -> Vec<Property> {
        match self {
            Self::Profile(properties) => {
                let has_one_form =
                    |name| SpecialProperty::of(name).is_some_and(SpecialProperty::has_one_form);
                properties.iter().filter(|p| !has_one_form(&p.name)).cloned().collect()
            }
            Self::Event(schema) => {
                let fields = schema.arrow.fields().iter().skip(FIXED.len());
                let kind = |field: &Field| {
                    let is_same = |kind: &PropertyType| arrow_type(*kind) == *field.data_type();
                    PropertyType::ALL.into_iter().find(is_same).unwrap_or_default()
                };
                let property =
                    |field: &Arc<Field>| Property { name: field.name().clone(), kind: kind(field) };
                fields.map(property).collect()
            }
        }
    }
}

/// The columns of events, the same for every batch of an import.
#[derive(Clone, Debug)]
pub struct EventSchema {
    /// `event`, `ts`, `identity`, `object_id`, `fb_id`, `gp_id`, `source_line`, then the properties.
    ///
    /// event Utf8, not null · ts Timestamp(Millisecond, "UTC"), not null · the ids Utf8, nullable ·
    /// source_line Int64, not null · properties nullable: STRING Utf8, INTEGER Int32, LONG Int64,
    /// FLOAT Float64, BOOLEAN Boolean, DATE Timestamp(Millisecond, "UTC").
    pub arrow: SchemaRef,
}

/// The index of the column `ts`.
pub const TS: usize = 1;

/// The names of the columns before the properties.
const FIXED: [&str; 7] = ["event", "ts", "identity", "object_id", "fb_id", "gp_id", "source_line"];

/// A name that no column may have: readers take it from the folder `import=<import>`.
const PARTITION: &str = "import";

impl EventSchema {
    /// Returns the columns of an event file: the fixed ones, then `properties` in their order.
    ///
    /// A property whose name equals that of an earlier column (ignoring case) or [`PARTITION`] gets
    /// the first free suffix of `_2`, `_3`, and so on, since engines that read Parquet ignore the
    /// case of names.
    pub fn new(properties: &[Property]) -> Self {
        let mut fields = Vec::with_capacity(FIXED.len() + properties.len());
        for name in FIXED {
            let (kind, nullable) = match name {
                "event" => (DataType::Utf8, false),
                "ts" => (instant(), false),
                "source_line" => (DataType::Int64, false),
                _ => (DataType::Utf8, true),
            };
            fields.push(Field::new(name, kind, nullable));
        }
        let mut taken: HashSet<String> = FIXED.map(str::to_owned).into();
        taken.insert(PARTITION.to_owned());
        for property in properties {
            let name = free_name(&property.name, &mut taken);
            fields.push(Field::new(name, arrow_type(property.kind), true));
        }
        Self { arrow: Arc::new(ArrowSchema::new(fields)) }
    }
}

/// The type of instants: milliseconds, which every engine reads. The values are whole seconds.
fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// Returns the type of a property's column in an event batch.
fn arrow_type(kind: PropertyType) -> DataType {
    match kind {
        PropertyType::String => DataType::Utf8,
        PropertyType::Integer => DataType::Int32,
        PropertyType::Long => DataType::Int64,
        PropertyType::Float => DataType::Float64,
        PropertyType::Boolean => DataType::Boolean,
        PropertyType::Date => instant(),
    }
}

/// Returns `name`, or `name` with the first free suffix, and adds it to `taken`.
fn free_name(name: &str, taken: &mut HashSet<String>) -> String {
    let suffixed = (2_usize..).map(|n| format!("{name}_{n}"));
    std::iter::once(name.to_owned())
        .chain(suffixed)
        .find(|candidate| taken.insert(candidate.to_lowercase()))
        .expect("suffixes do not run out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_clashes_gets_a_number() {
        for (names, expected) in [
            (["Event", "Price", "TS", "price"], ["Event_2", "Price", "TS_2", "price_2"]),
            (["Event", "Event_2", "Élan", "élan"], ["Event_2", "Event_2_2", "Élan", "élan_2"]),
            (["import", "Import", "x", "y"], ["import_2", "Import_3", "x", "y"]),
        ] {
            let kinds = [0, 1, 2, 3].map(|n| PropertyType::ALL[n]);
            let of = |(name, kind): (&str, _)| Property { name: name.to_owned(), kind };
            let properties: Vec<_> = names.into_iter().zip(kinds).map(of).collect();
            let stored = Schema::Event(EventSchema::new(&properties)).properties();
            let expected: Vec<_> = expected.into_iter().zip(kinds).map(of).collect();
            assert_eq!(stored, expected);
        }
    }
}
