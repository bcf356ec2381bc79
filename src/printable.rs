//! Text to show: [`printable`] makes a stranger's safe, [`chain`] puts an error on one line. Words
//! that every module shares.

use std::fmt::Write as _;

/// Whether `c` does something to a terminal beside standing there: control characters (newline and
/// tab too) and what turns the direction of writing.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with every character that [`steers`] escaped, so that a name chosen by a partner can't
/// steer a terminal, begin a line or turn what follows round.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            let _ = write!(out, "{}", c.escape_unicode()); // a String takes every write
        } else {
            out.push(c);
        }
    }
    out
}

/// An error and its causes, outermost first, joined by `: `.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}"); // a String takes every write
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_name_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\u{a}c");
        assert_eq!(printable("naïve 日本"), "naïve 日本");
    }
}
