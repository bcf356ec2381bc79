//! Finds the texts that exporters write for an empty cell.

/// The texts that can mean an empty cell. The second part of each pair is true if the text always
/// means an empty cell. If the second part is false, the text means an empty cell only in a column
/// whose other values are numbers, booleans or dates.
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

/// The number of cells in a column for each of [`WORDS`].
pub type WordCounts = [u64; WORDS.len()];

/// Returns the texts for `null` in the manifest: all found texts that always mean an empty cell,
/// and all texts found in a column whose values have a type. `columns` has the counts of each
/// column, and whether the column has a type.
pub fn texts<'a>(columns: impl Iterator<Item = (&'a WordCounts, bool)> + Clone) -> Vec<String> {
    let occurs = |word: usize, is_always: bool| {
        let mut columns = columns.clone();
        columns.any(|(counts, is_typed)| (is_always || is_typed) && counts[word] > 0)
    };
    let words = WORDS.iter().enumerate().filter(|(word, (_, always))| occurs(*word, *always));
    words.map(|(_, (text, _))| (*text).to_owned()).collect()
}

/// Returns the index of the text in [`WORDS`] that equals a cell. Returns `None` if no text equals
/// the cell.
pub fn word(cell: &str) -> Option<usize> {
    if cell.len() > "(null)".len() {
        return None;
    }
    WORDS.iter().position(|(word, _)| *word == cell)
}
