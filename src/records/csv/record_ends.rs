//! Finds the ends of records in a text that arrives in pieces. The quoting rules are the same as in
//! the lexer.

use super::dialect::Dialect;
use crate::manifest::Quoting;

/// The state of the quoting at a position in the text. The state gives the next byte its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuoteContext {
    /// The position is at the start of a cell. A quote opens a quoted cell.
    CellStart,
    /// The position is inside a cell without quotes. A quote is an ordinary byte.
    Cell,
    /// The position is inside the quotes of a quoted cell.
    Quoted,
    /// The position is after a quote inside a quoted cell. The quote closes the cell unless
    /// another quote follows.
    QuoteInQuoted,
    /// The position is after a backslash inside a quoted cell. The backslash escapes the next
    /// byte.
    EscapedInQuoted,
}

/// Tracks the quoting of a text to find the ends of its records.
#[derive(Clone, Copy, Debug)]
pub struct RecordEnds {
    dialect: Dialect,
    context: QuoteContext,
    /// Whether the current record has text after a closing quote.
    is_broken: bool,
    /// Whether any record that was read until now had text after a closing quote.
    had_broken: bool,
}

impl RecordEnds {
    pub fn new(dialect: Dialect) -> Self {
        let context = QuoteContext::CellStart;
        Self { dialect, context, is_broken: false, had_broken: false }
    }

    /// Returns whether the text that was read until now ends inside quotes.
    pub fn is_quoted(self) -> bool {
        matches!(self.context, QuoteContext::Quoted | QuoteContext::EscapedInQuoted)
    }

    /// Returns whether any record that was read until now had text after a closing quote.
    pub fn had_broken(self) -> bool {
        self.had_broken
    }

    /// Returns whether the record that ended in [`Self::first_end`] had text after a closing quote.
    /// Resets this state for the next record.
    pub fn take_broken(&mut self) -> bool {
        std::mem::take(&mut self.is_broken)
    }

    /// Resets the state to the state at the start of a record.
    pub fn restart(&mut self) {
        self.context = QuoteContext::CellStart;
        self.is_broken = false;
    }

    /// Reads all of `text`. Returns the position after the last line end that ends a record, or
    /// `None` if no record ends in `text`.
    pub fn last_end(&mut self, text: &[u8]) -> Option<usize> {
        let mut last = None;
        let mut at = 0;
        while at < text.len() {
            let (plain, next) = self.step(text, at);
            if let Some(end) = memchr::memrchr2(b'\n', b'\r', &text[plain.clone()]) {
                last = Some(plain.start + end + 1);
                self.is_broken = false;
            }
            at = next;
        }
        last
    }

    /// Reads `text` up to the first line end that ends a record. Returns the position of that line
    /// end, or `None` if no record ends in `text`.
    pub fn first_end(&mut self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < text.len() {
            let (plain, next) = self.step(text, at);
            if let Some(end) = memchr::memchr2(b'\n', b'\r', &text[plain.clone()]) {
                self.context = QuoteContext::CellStart;
                return Some(plain.start + end);
            }
            at = next;
        }
        None
    }

    /// Reads the part of `text` from `at` to the next change of the context. Returns the range that
    /// is outside quotes, and the start of the next step.
    fn step(&mut self, text: &[u8], at: usize) -> (std::ops::Range<usize>, usize) {
        if self.dialect.quoting == Quoting::None {
            return (at..text.len(), text.len());
        }
        let nothing = at..at;
        let quote = text[at] == b'"';
        match self.context {
            QuoteContext::Quoted => {
                let Some(special) = self.dialect.special(&text[at..]) else {
                    return (nothing, text.len());
                };
                self.context = match text[at + special] {
                    b'"' => QuoteContext::QuoteInQuoted,
                    _ => QuoteContext::EscapedInQuoted,
                };
                (nothing, at + special + 1)
            }
            QuoteContext::EscapedInQuoted => {
                self.context = QuoteContext::Quoted;
                (nothing, at + 1)
            }
            QuoteContext::QuoteInQuoted if quote => {
                self.context = QuoteContext::Quoted;
                (nothing, at + 1)
            }
            QuoteContext::QuoteInQuoted => {
                self.context = QuoteContext::Cell;
                self.is_broken |= !self.dialect.ends_cell(text[at]);
                self.had_broken |= self.is_broken;
                (nothing, at)
            }
            QuoteContext::CellStart if quote => {
                self.context = QuoteContext::Quoted;
                (nothing, at + 1)
            }
            QuoteContext::CellStart | QuoteContext::Cell => self.outside(text, at),
        }
    }

    /// Reads text outside quotes from the position `at` to the next quote or to the end of `text`.
    fn outside(&mut self, text: &[u8], at: usize) -> (std::ops::Range<usize>, usize) {
        let quote = memchr::memchr(b'"', &text[at..]).map(|quote| at + quote);
        let stop = quote.unwrap_or(text.len());
        if let Some(before) = text[at..stop].last() {
            let starts = self.dialect.ends_cell(*before);
            self.context = if starts { QuoteContext::CellStart } else { QuoteContext::Cell };
        }
        // A quote inside a cell without quotes is skipped. A quote at the start of a cell is read
        // by the next step.
        let passed = quote.is_some() && self.context == QuoteContext::Cell;
        (at..stop, stop + usize::from(passed))
    }
}

/// Returns the end of the line with the quote that is never closed; the length of `text` if every
/// quote is closed. `text` begins with a record. The lines after that line have only escaped
/// quotes, so they can't leave a quote open.
pub fn end_of_open_line(text: &[u8], dialect: Dialect) -> usize {
    let mut ends = RecordEnds::new(dialect);
    let (mut at, mut open) = (0, text.len());
    while at < text.len() {
        if ends.context == QuoteContext::CellStart && text[at] == b'"' {
            open = at;
        }
        at = ends.step(text, at).1;
    }
    let Some(end) = memchr::memchr2(b'\n', b'\r', &text[open..]) else { return text.len() };
    let end = open + end;
    end + 1 + usize::from(text[end..].starts_with(b"\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::csv::lexer::lex;

    const COMMA: Dialect = Dialect { delimiter: b',', quoting: Quoting::Doubled };

    fn dialects() -> [Dialect; 3] {
        [Quoting::Doubled, Quoting::Backslash, Quoting::None]
            .map(|quoting| Dialect { quoting, ..COMMA })
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

        #[test]
        fn record_ends_match_the_lexer(text in "[ab,\"\\\\\n ]{0,40}", cut in 0_usize..40) {
            let text = text.as_bytes();
            let cut = cut.min(text.len());
            for dialect in dialects() {
                let mut quotes = RecordEnds::new(dialect);
                let first = quotes.last_end(&text[..cut]);
                let second = quotes.last_end(&text[cut..]).map(|end| cut + end);
                let end = second.or(first).unwrap_or(0);
                let whole = lex(text, dialect, 0).records;
                let before = lex(&text[..end], dialect, 0).records;
                proptest::prop_assert_eq!(&whole[..before.len()], &before[..]);
                let rest = lex(&text[end..], dialect, 0).records;
                proptest::prop_assert_eq!(before.len() + rest.len(), whole.len());
                let is_one = rest.len() <= 1 || rest.iter().all(|record| record.broken.is_some());
                proptest::prop_assert!(is_one, "the end is the last one");
            }
        }

        #[test]
        fn the_first_record_end_is_found(text in "[ab,\"\\\\\n]{0,40}") {
            let text = text.as_bytes();
            for dialect in dialects() {
                let first = RecordEnds::new(dialect).first_end(text);
                let expected = (0..text.len()).find(|at| {
                    RecordEnds::new(dialect).last_end(&text[..=*at]).is_some()
                });
                proptest::prop_assert_eq!(first, expected);
            }
        }

        #[test]
        fn an_unclosed_quote_affects_only_its_line(text in "[ab,\"\\\\\n]{0,40}") {
            let text = text.as_bytes();
            for dialect in dialects() {
                let mut quotes = RecordEnds::new(dialect);
                quotes.last_end(text);
                let end = end_of_open_line(text, dialect);
                let mut after = RecordEnds::new(dialect);
                after.last_end(&text[end..]);
                proptest::prop_assert!(!quotes.is_quoted() || !after.is_quoted());
            }
        }
    }

    #[test]
    fn records_with_broken_quoting_are_detected() {
        let mut ends = RecordEnds::new(COMMA);
        assert_eq!(ends.first_end(b"\"a\",b\nc"), Some(5));
        assert!(!ends.take_broken() && !ends.had_broken());
        assert_eq!(ends.first_end(b"\"a\"b\nc"), Some(4));
        assert!(ends.take_broken() && ends.had_broken());
        ends.last_end(b"\"a\"b\nc");
        assert!(!ends.take_broken() && ends.had_broken());
    }
}
