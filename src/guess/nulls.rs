//! Texts that exporters write for an empty cell.

use super::column::ColumnFacts;

/// A text, and whether it stands for an empty cell wherever it occurs. The others do so only in a
/// file with a column in which everything else is a number, a boolean or a date.
pub const WORDS: [(&str, bool); 18] = [
    ("\\N", true),
    ("NULL", true),
    ("<null>", true),
    ("(null)", true),
    ("[NULL]", true),
    ("<NA>", true),
    ("null", false),
    ("NaN", false),
    ("nan", false),
    ("NaT", false),
    ("None", false),
    ("NA", false),
    ("N/A", false),
    ("n/a", false),
    ("#N/A", false),
    ("-", false),
    ("?", false),
    (".", false),
];

/// Returns the texts for the manifest: those that are always empty cells, and those in columns of
/// `typed` values.
pub fn texts(columns: &[ColumnFacts], typed: &[bool]) -> Vec<String> {
    let occurs = |word: usize, is_always: bool| {
        let mut columns = columns.iter().zip(typed);
        columns.any(|(facts, typed)| (is_always || *typed) && facts.nulls[word] > 0)
    };
    let words = WORDS.iter().enumerate().filter(|(word, (_, always))| occurs(*word, *always));
    words.map(|(_, (text, _))| (*text).to_owned()).collect()
}

/// Returns the index in [`WORDS`] of a cell.
pub fn word(cell: &str) -> Option<usize> {
    if cell.len() > "(null)".len() {
        return None;
    }
    WORDS.iter().position(|(word, _)| *word == cell)
}
