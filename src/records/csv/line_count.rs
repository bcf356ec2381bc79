//! Counts line ends. LF, CRLF and a lone CR count as one line end.

/// Returns the number of line ends in `bytes`. `bytes` must not begin or end inside a CRLF.
/// [`LineCounter`] counts the line ends of a text in pieces.
pub fn count_lines(bytes: &[u8]) -> u64 {
    let mut counter = LineCounter::default();
    counter.push(bytes);
    counter.lines
}

/// Counts the line ends of a text that arrives in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineCounter {
    pub lines: u64,
    after_cr: bool,
}

impl LineCounter {
    pub fn push(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        // The LF completes a CRLF. The CR of this CRLF was already counted in the previous piece.
        if self.after_cr && bytes[0] == b'\n' {
            self.lines -= 1;
        }
        self.lines += memchr::memchr_iter(b'\r', bytes)
            .filter(|at| bytes.get(at + 1) != Some(&b'\n'))
            .count() as u64;
        self.after_cr = *last == b'\r';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_counts_once() {
        for (text, lines) in
            [("", 0), ("a", 0), ("\n\n", 2), ("a\r\nb\r\n", 2), ("\r\r", 2), ("\n\r\n\r", 3)]
        {
            assert_eq!(count_lines(text.as_bytes()), lines, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn pieces_of_a_text_have_equal_line_counts(text in "[a\r\n]{0,20}", at in 0_usize..20) {
            let text = text.as_bytes();
            let at = at.min(text.len());
            let mut counter = LineCounter::default();
            counter.push(&text[..at]);
            counter.push(&text[at..]);
            proptest::prop_assert_eq!(counter.lines, count_lines(text));
        }
    }
}
