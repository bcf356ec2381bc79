//! Texts that exporters write for an empty cell.

/// A text, and whether it means an empty cell wherever it occurs. The others do so only in a file
/// with a column in which everything else is a number, a boolean or a date.
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

/// How often each of [`WORDS`] occurs in a column.
pub type WordCounts = [u64; WORDS.len()];

/// Returns the texts for the manifest: those that always mean an empty cell, and those in columns
/// whose values have a type. `columns` are counts, and whether the column has a type.
pub fn texts<'a>(columns: impl Iterator<Item = (&'a WordCounts, bool)> + Clone) -> Vec<String> {
    let occurs = |word: usize, is_always: bool| {
        let mut columns = columns.clone();
        columns.any(|(counts, is_typed)| (is_always || is_typed) && counts[word] > 0)
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
