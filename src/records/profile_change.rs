//! Defines the changes that a record makes to a profile, and the packed form of changes.
//!
//! Packed changes take little memory, and a single change needs no allocation. Only this process
//! reads packed changes, from its memory or from an unnamed file, so they are not validated again.
//!
//! ```text
//! change   property, operation and type (varint) | value
//! ```

use crate::codec::varint::{
    push_number, push_signed, take, take_array, take_number, take_signed, text,
};

/// The effect that a change has on its property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The operation `$set`: it replaces the value of the property.
    Set,
    /// The operation `$add`: it adds the value to the list of the property.
    Add,
    /// The operation `$remove`: it removes the value from the list of the property.
    Remove,
    /// The operation `$delete`: it removes the property. The change has the value [`Value::None`].
    Delete,
}

/// A typed value of a profile property.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A change with [`Operation::Delete`] has this value. No other change has it.
    None,
    Text(&'a str),
    /// A value of the type INTEGER or LONG.
    Integer(i64),
    /// A finite number of the type FLOAT.
    Float(f64),
    /// A value of the type BOOLEAN, or of a communication preference.
    Boolean(bool),
    /// A value of the type DATE, in seconds since 1970 UTC.
    Date(i64),
}

/// One change to one property of a profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change<'a> {
    /// The index of the changed property in [`properties`](super::ProfileBatch::properties).
    pub property: usize,
    pub operation: Operation,
    pub value: Value<'a>,
}

/// A change of a property whose text is not decoded yet.
#[derive(Clone, Copy, Debug)]
pub struct PackedChange<'a> {
    /// The index of the changed property among the properties of the import.
    pub property: usize,
    pub operation: Operation,
    pub value: PackedValue<'a>,
}

/// The value of a packed change. A text is decoded only when it is needed, because later changes
/// replace many texts.
#[derive(Clone, Copy, Debug)]
pub enum PackedValue<'a> {
    /// The bytes of a text in UTF-8.
    Text(&'a [u8]),
    Other(Value<'a>),
}

impl<'a> PackedChange<'a> {
    pub fn get(self) -> Change<'a> {
        Change { property: self.property, operation: self.operation, value: self.value.get() }
    }
}

impl<'a> PackedValue<'a> {
    pub fn get(self) -> Value<'a> {
        match self {
            Self::Text(bytes) => Value::Text(text(bytes)),
            Self::Other(value) => value,
        }
    }
}

impl<'a> From<Change<'a>> for PackedChange<'a> {
    fn from(Change { property, operation, value }: Change<'a>) -> Self {
        let value = match value {
            Value::Text(text) => PackedValue::Text(text.as_bytes()),
            value => PackedValue::Other(value),
        };
        Self { property, operation, value }
    }
}

/// Iterates over the changes packed in `bytes`.
pub fn unpack(mut bytes: &[u8]) -> impl Iterator<Item = PackedChange<'_>> {
    std::iter::from_fn(move || (!bytes.is_empty()).then(|| take_change(&mut bytes)))
}

/// Appends the packed form of a change.
pub(super) fn pack(out: &mut Vec<u8>, Change { property, operation, value }: Change<'_>) {
    let kind = match value {
        Value::None => 0,
        Value::Text(_) => 1,
        Value::Integer(_) => 2,
        Value::Float(_) => 3,
        Value::Boolean(_) => 4,
        Value::Date(_) => 5,
    };
    let operation = match operation {
        Operation::Set => 0,
        Operation::Add => 1,
        Operation::Remove => 2,
        Operation::Delete => 3,
    };
    push_number(out, (property as u64) << 5 | operation << 3 | kind);
    match value {
        Value::None => {}
        Value::Text(text) => {
            push_number(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Integer(n) | Value::Date(n) => push_signed(out, n),
        Value::Float(n) => out.extend(n.to_le_bytes()),
        Value::Boolean(b) => out.push(b.into()),
    }
}

#[inline]
fn take_change<'a>(rest: &mut &'a [u8]) -> PackedChange<'a> {
    let head = take_number(rest);
    let operation = match head >> 3 & 3 {
        0 => Operation::Set,
        1 => Operation::Add,
        2 => Operation::Remove,
        _ => Operation::Delete,
    };
    let value = match head & 7 {
        0 => Value::None,
        1 => {
            let len = take_number(rest) as usize;
            let value = PackedValue::Text(take(rest, len));
            return PackedChange { property: (head >> 5) as usize, operation, value };
        }
        2 => Value::Integer(take_signed(rest)),
        3 => Value::Float(f64::from_le_bytes(take_array(rest))),
        4 => Value::Boolean(take(rest, 1) != [0]),
        _ => Value::Date(take_signed(rest)),
    };
    let value = PackedValue::Other(value);
    PackedChange { property: (head >> 5) as usize, operation, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpack_returns_packed_changes() {
        let values = [
            Value::None,
            Value::Text(""),
            Value::Text("é😀\0"),
            Value::Integer(i64::MIN),
            Value::Integer(i64::MAX),
            Value::Integer(-1),
            Value::Float(-0.1),
            Value::Boolean(true),
            Value::Boolean(false),
            Value::Date(i64::MIN),
            Value::Date(0),
        ];
        let operations =
            [Operation::Set, Operation::Add, Operation::Remove, Operation::Delete].into_iter();
        let expected: Vec<_> = operations
            .flat_map(|operation| values.map(|value| (operation, value)))
            .zip([0, 1, 127, 128, 1999].into_iter().cycle())
            .map(|((operation, value), property)| Change { property, operation, value })
            .collect();
        let mut bytes = Vec::new();
        expected.iter().for_each(|&change| pack(&mut bytes, change));
        assert_eq!(unpack(&bytes).map(PackedChange::get).collect::<Vec<_>>(), expected);
        assert_eq!(unpack(&[]).count(), 0);
    }
}
