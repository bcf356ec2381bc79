//! Finds the ends of records in a text that arrives in pieces, by the lexer's quoting rules.

/// The context at a place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuoteContext {
    /// A quote here opens a cell.
    CellStart,
    /// A quote here is an ordinary byte.
    Cell,
    /// Inside quotes.
    Quoted,
    /// After a quote inside quotes: the closing one unless another quote follows.
    QuoteInQuoted,
}

/// Tracks the quoting of a text.
#[derive(Clone, Copy, Debug)]
pub struct RecordEnds {
    delimiter: u8,
    context: QuoteContext,
}

impl RecordEnds {
    pub fn new(delimiter: u8) -> Self {
        Self { delimiter, context: QuoteContext::CellStart }
    }

    /// Returns whether the text so far ends inside quotes.
    pub fn is_quoted(self) -> bool {
        self.context == QuoteContext::Quoted
    }

    /// Reads all of `text` and returns the place after the last line end that ends a record.
    pub fn last_end(&mut self, text: &[u8]) -> Option<usize> {
        let mut last = None;
        let mut at = 0;
        while at < text.len() {
            let (plain, next) = self.step(text, at);
            let end = memchr::memrchr2(b'\n', b'\r', &text[plain.clone()]);
            last = end.map(|end| plain.start + end + 1).or(last);
            at = next;
        }
        last
    }

    /// Reads `text` up to the first line end that ends a record, and returns its place.
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

    /// Makes one step from `at`. Returns the part outside quotes, and the start of the next step.
    fn step(&mut self, text: &[u8], at: usize) -> (std::ops::Range<usize>, usize) {
        let nothing = at..at;
        let quote = text[at] == b'"';
        match self.context {
            QuoteContext::Quoted => {
                let close = memchr::memchr(b'"', &text[at..]);
                if close.is_some() {
                    self.context = QuoteContext::QuoteInQuoted;
                }
                (nothing, close.map_or(text.len(), |close| at + close + 1))
            }
            QuoteContext::QuoteInQuoted if quote => {
                self.context = QuoteContext::Quoted;
                (nothing, at + 1)
            }
            QuoteContext::QuoteInQuoted => {
                self.context = QuoteContext::Cell;
                (nothing, at)
            }
            QuoteContext::CellStart if quote => {
                self.context = QuoteContext::Quoted;
                (nothing, at + 1)
            }
            QuoteContext::CellStart | QuoteContext::Cell => self.outside(text, at),
        }
    }

    /// Makes a step outside quotes, from `at` to the next quote or to the end.
    fn outside(&mut self, text: &[u8], at: usize) -> (std::ops::Range<usize>, usize) {
        let quote = memchr::memchr(b'"', &text[at..]).map(|quote| at + quote);
        let stop = quote.unwrap_or(text.len());
        if let Some(before) = text[at..stop].last() {
            let starts = *before == self.delimiter || matches!(before, b'\n' | b'\r');
            self.context = if starts { QuoteContext::CellStart } else { QuoteContext::Cell };
        }
        // Inside a cell the quote is skipped; at a cell's start the next step opens the quotes.
        let passed = quote.is_some() && self.context == QuoteContext::Cell;
        (at..stop, stop + usize::from(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::csv::lexer::lex;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

        #[test]
        fn ends_records_where_the_lexer_does(text in "[ab,\"\n]{0,40}", cut in 0_usize..40) {
            let text = text.as_bytes();
            let cut = cut.min(text.len());
            let mut quotes = RecordEnds::new(b',');
            let first = quotes.last_end(&text[..cut]);
            let second = quotes.last_end(&text[cut..]).map(|end| cut + end);
            let end = second.or(first).unwrap_or(0);
            let whole = lex(text, b',', 0).records;
            let before = lex(&text[..end], b',', 0).records;
            proptest::prop_assert_eq!(&whole[..before.len()], &before[..]);
            let rest = lex(&text[end..], b',', 0).records.len();
            proptest::prop_assert_eq!(before.len() + rest, whole.len());
            proptest::prop_assert!(rest <= 1, "the end is the last one");
        }

        #[test]
        fn finds_the_first_end(text in "[ab,\"\n]{0,40}") {
            let text = text.as_bytes();
            let first = RecordEnds::new(b',').first_end(text);
            let expected = (0..text.len()).find(|at| {
                RecordEnds::new(b',').last_end(&text[..=*at]).is_some()
            });
            proptest::prop_assert_eq!(first, expected);
        }
    }
}
