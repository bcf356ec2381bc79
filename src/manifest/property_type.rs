//! [`PropertyType`] is one of the types that a manifest can give to a column.

/// The type of a property, with the same name as in the manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PropertyType {
    /// A text that is kept unchanged (`$D_<epoch>` becomes RFC 3339 text, UTC).
    #[default]
    String,
    /// The values are signed 32-bit integers.
    Integer,
    /// The values are signed 64-bit integers.
    Long,
    /// The values are finite 64-bit floating-point numbers.
    Float,
    Boolean,
    /// The values are times in UTC with a precision of one second.
    Date,
}

impl PropertyType {
    /// All property types, in the order of the import rules.
    pub const ALL: [Self; 6] =
        [Self::String, Self::Integer, Self::Float, Self::Boolean, Self::Long, Self::Date];

    /// Returns the name of the type as written in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "STRING",
            Self::Integer => "INTEGER",
            Self::Long => "LONG",
            Self::Float => "FLOAT",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
        }
    }

    /// Returns the property type called `name`, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_type_names_reverses_formatting() {
        for kind in PropertyType::ALL {
            assert_eq!(PropertyType::named(&kind.as_str().to_lowercase()), Some(kind));
        }
        assert_eq!(PropertyType::named("int"), None);
    }
}
