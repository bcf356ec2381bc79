//! [`NullTexts`]: the texts that mean an empty cell, from `null` in the manifest.

use std::collections::HashSet;

/// The texts that mean an empty cell. A cell is empty if all its bytes are equal to one of the
/// texts.
#[derive(Clone, Debug, Default)]
pub struct NullTexts {
    texts: HashSet<Box<[u8]>>,
    /// The length in bytes of the longest text that means an empty cell.
    longest: usize,
}

impl NullTexts {
    pub fn new(texts: &[String]) -> Self {
        Self {
            texts: texts.iter().map(|text| text.as_bytes().into()).collect(),
            longest: texts.iter().map(String::len).max().unwrap_or(0),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns whether the content of `cell` means an empty cell.
    pub fn contains(&self, cell: &[u8]) -> bool {
        cell.len() <= self.longest && self.texts.contains(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_text_must_equal_the_whole_cell() {
        let null = NullTexts::new(&["\\N".to_owned(), "NULL".to_owned()]);
        for cell in ["\\N", "NULL"] {
            assert!(null.contains(cell.as_bytes()), "{cell}");
        }
        for cell in ["\\n", "null", " NULL", "NULLS", "", "N"] {
            assert!(!null.contains(cell.as_bytes()), "{cell}");
        }
        assert!(NullTexts::default().is_empty());
    }
}
