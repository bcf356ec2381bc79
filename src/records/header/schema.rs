//! [`Schema`] defines the columns of the batches of a data file.
//!
//! Invariants: no property appears twice. A schema has an id column. A schema of events has an
//! event name.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit};

use crate::manifest::PropertyType;
use crate::records::rules::profile::SpecialProperty;

/// The four kinds of ids that a user can have, the strongest first. If the ids of a record belong
/// to different profiles, the id of the strongest kind wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdKind {
    Identity,
    FbId,
    GpId,
    ObjectId,
}

impl IdKind {
    /// All kinds of ids, the strongest first. Arrays that are indexed by `kind as usize` have the
    /// same order.
    pub const ALL: [Self; 4] = [Self::Identity, Self::FbId, Self::GpId, Self::ObjectId];

    /// Returns the name of the id kind. The name is used in rules, in messages, and in the column
    /// `identity.kind` of the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::FbId => "fbId",
            Self::GpId => "gpId",
            Self::ObjectId => "objectId",
        }
    }
}

/// The name and the type of a stored property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The name of the property: the manifest's `ctName`, or the name in the header if there is no
    /// `ctName`.
    pub name: String,
    /// The type of the property in the manifest. The default is `String`.
    pub kind: PropertyType,
}

/// The schema of the accepted records. The store receives the schema before the first batch.
#[derive(Clone, Debug)]
pub enum Schema {
    /// The records are events. Their batches are [`crate::records::Batch::Events`] with this Arrow
    /// schema.
    Event(EventSchema),
    /// The records are profiles. The changes in their batches,
    /// [`Batch::Profiles`](crate::records::Batch::Profiles), have indexes into these properties.
    Profile(Arc<[Property]>),
}

impl Schema {
    /// Returns the properties that are stored. Leaves out each property that a special rule always
    /// stores in the same form.
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

/// The columns of event batches. The columns are the same for every batch of an import.
#[derive(Clone, Debug)]
pub struct EventSchema {
    /// The Arrow schema: `event`, `ts`, `identity`, `object_id`, `fb_id`, `gp_id`, `source_line`,
    /// and then the properties.
    ///
    /// `event` is Utf8, `ts` is Timestamp(Millisecond, "UTC"), `source_line` is Int64, and all
    /// three are not null. The ids are Utf8 and nullable. The properties are nullable: STRING is
    /// Utf8, INTEGER is Int32, LONG is Int64, FLOAT is Float64, BOOLEAN is Boolean, DATE is
    /// Timestamp(Millisecond, "UTC").
    pub arrow: SchemaRef,
}

/// The index of the column `ts` in an event batch.
pub const TS: usize = 1;

/// The names of the event columns before the columns of properties.
const FIXED: [&str; 7] = ["event", "ts", "identity", "object_id", "fb_id", "gp_id", "source_line"];

/// A name that no column may have. Programs that read the folder `import=<import>` make a column
/// with this name from the name of the folder.
const PARTITION: &str = "import";

impl EventSchema {
    /// Returns the columns of an event file: the fixed columns, and then `properties` in their
    /// order.
    ///
    /// If the name of a property equals [`PARTITION`] or the name of an earlier column, the
    /// property gets the first free suffix of `_2`, `_3`, and so on. Case is ignored, because many
    /// engines that read Parquet ignore the case of names.
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

/// Returns the Arrow type of a time. The unit is the millisecond, because every engine can read
/// times in milliseconds. All values are whole seconds.
fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// Returns the Arrow type of a property's column in an event batch.
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

/// Returns `name` if it is free. Otherwise returns `name` with the first free suffix. Adds the
/// returned name to `taken`.
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
    fn a_property_whose_name_clashes_gets_a_suffix() {
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
