//! What the columns of one data file mean: the manifest's mapping applied to the header.
//!
//! A [`Schema`] that exists fits its header: every column has one meaning, no property comes
//! twice, and there is an identity column (and for events an event name).

use std::sync::Arc;

use arrow_schema::SchemaRef;

/// The four ids of a user, strongest first: when known ids disagree, the earlier one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdKind {
    /// `identity`
    Identity,
    /// `fbId`
    FbId,
    /// `gpId`
    GpId,
    /// `objectId`, `guid`
    ObjectId,
}

impl IdKind {
    /// All four, strongest first; an array indexed by `kind as usize` has this order.
    pub const ALL: [Self; 4] = [Self::Identity, Self::FbId, Self::GpId, Self::ObjectId];

    /// The kind's name in RULES and messages, and in the store's `identity.kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::FbId => "fbId",
            Self::GpId => "gpId",
            Self::ObjectId => "objectId",
        }
    }
}

/// A property's type, as the manifest names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PropertyType {
    /// Text, kept as it is (`$D_<epoch>` becomes RFC 3339 text, UTC).
    #[default]
    String,
    /// 32-bit signed.
    Integer,
    /// 64-bit signed.
    Long,
    /// Finite 64-bit floating point.
    Float,
    /// true/false.
    Boolean,
    /// An instant, UTC, to the second.
    Date,
}

/// One property: its name as stored and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// ctName, else the header.
    pub name: String,
    /// From the manifest; `String` when it says nothing.
    pub kind: PropertyType,
}

/// What a store is told before the first batch.
#[derive(Clone, Debug)]
pub enum Schema {
    /// Batches are [`super::Batch::Events`] with this Arrow schema.
    Event(EventSchema),
    /// Batches are [`super::Batch::Profiles`]; changes index into these properties.
    Profile(Arc<[Property]>),
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
