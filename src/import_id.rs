//! [`ImportId`] is the id of an import, in the form `<node>-<n>`. The id is unique across nodes,
//! and short enough to dictate on the phone.
//!
//! Invariant: an `ImportId` is a safe path component, and a safe word in SQL and in a shell.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of an import, such as `sftp1-42`. It consists of the node's name, a dash and the running
/// number of the import on the node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImportId(Box<str>);

/// The error for a text that is not `<node>-<n>`. A node name is valid if [`is_node_name`] returns
/// true for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an import id such as sftp1-42")]
pub struct InvalidImportId(String);

/// Returns whether `name` is a valid node name: 1 to 63 characters from `A-Z a-z 0-9 - . _`, of
/// which the first is a letter or a digit.
pub fn is_node_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

impl ImportId {
    /// Returns the id of the import with the running number `n` on the node `node`.
    pub fn new(node: &str, n: i64) -> Result<Self, InvalidImportId> {
        format!("{node}-{n}").parse()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `text` has the form of an import id of the same node.
    pub fn is_of_same_node(&self, text: &str) -> bool {
        let node = self.0.rsplit_once('-').map(|(node, _)| node);
        text.rsplit_once('-').is_some_and(|(other, n)| {
            Some(other) == node && !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())
        })
    }

    /// Returns the running number of the import. `None` if the import belongs to another node.
    pub fn number_at(&self, node: &str) -> Option<i64> {
        let (own, n) = self.0.rsplit_once('-')?;
        if own == node { n.parse().ok() } else { None }
    }
}

impl FromStr for ImportId {
    type Err = InvalidImportId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.rsplit_once('-').is_some_and(|(node, n)| {
            is_node_name(node)
                && (1..=19).contains(&n.len())
                && n.bytes().all(|b| b.is_ascii_digit())
        });
        if valid { Ok(Self(text.into())) } else { Err(InvalidImportId(text.into())) }
    }
}

impl TryFrom<String> for ImportId {
    type Error = InvalidImportId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImportId> for String {
    fn from(id: ImportId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for ImportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<Path> for ImportId {
    fn as_ref(&self) -> &Path {
        Path::new(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_id_parses_its_own_text() {
        let id = ImportId::new("eu-west.sftp1", 42).unwrap();
        assert_eq!(id.to_string(), "eu-west.sftp1-42");
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
    }

    #[test]
    fn unsafe_import_ids_are_refused() {
        for text in ["", "-1", "a", "a-", "a-x", "../a-1", ".a-1", "a/b-1", "a-1\n", "a--1x"] {
            assert!(text.parse::<ImportId>().is_err(), "{text:?}");
        }
    }
}
