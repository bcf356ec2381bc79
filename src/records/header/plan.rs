//! [`ReadPlan`]: everything that the workers must know about a data file.

use super::columns::Columns;
use super::schema::{EventSchema, Property, Schema};
use crate::config::Limits;
use crate::manifest::{Manifest, failure_of};
use crate::records::csv::dialect::Dialect;
use crate::records::csv::null::NullTexts;
use crate::records::rules::event::{ReservedNames, is_items};
use crate::report::{DataType, Failure};

/// The parameters of [`read()`](crate::records::read()).
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions<'a> {
    pub limits: &'a Limits,
    /// The time for an empty `ts`, in seconds since 1970 UTC.
    pub processing_time: i64,
    /// Threads that parse, in addition to the one that reads; at least one is used.
    pub workers: usize,
}

/// The parameters for parsing blocks, the same for a whole import.
#[derive(Debug)]
pub struct ReadPlan {
    pub columns: Columns,
    pub schema: Schema,
    pub dialect: Dialect,
    pub null: NullTexts,
    pub limits: Limits,
    pub reserved: ReservedNames,
    /// The column with the items of a Charged event.
    pub items: Option<usize>,
    /// The time for an empty `ts`, in seconds since 1970 UTC.
    pub processing_time: i64,
}

impl ReadPlan {
    /// Maps the columns called `names` by the manifest.
    pub fn new(
        names: Vec<String>,
        manifest: &Manifest,
        options: &ReadOptions<'_>,
    ) -> Result<Self, Failure> {
        let columns = Columns::new(names, manifest).map_err(|findings| failure_of(&findings))?;
        let properties: Vec<Property> =
            columns.properties.iter().map(|column| column.property.clone()).collect();
        let schema = match manifest.data_type {
            DataType::Event => Schema::Event(EventSchema::new(&properties)),
            DataType::Profile => Schema::Profile(properties.into()),
        };
        let items = columns.properties.iter().find(|column| is_items(&column.property.name));
        Ok(Self {
            items: items.map(|items| items.column),
            columns,
            schema,
            dialect: Dialect::of(manifest),
            null: NullTexts::new(&manifest.null),
            limits: options.limits.clone(),
            reserved: ReservedNames::new(&options.limits.reserved_event_names),
            processing_time: options.processing_time,
        })
    }

    /// Returns the number of columns.
    pub fn width(&self) -> usize {
        self.columns.header.len()
    }
}
