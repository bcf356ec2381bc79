//! Makes text safe to print and to compare. [`printable`] escapes characters that could mislead a
//! reader or control a terminal. [`excerpt`] also truncates the text. [`chain`] formats an error
//! and its causes in one line. [`normalized`] removes invisible characters from a name.

use std::borrow::Cow;
use std::fmt::Write as _;

use icu_normalizer::ComposingNormalizer;

/// Ranges of code points that are always escaped, in ascending order. Control characters are
/// escaped as well, but are not listed. The listed code points change the direction of text,
/// separate lines or are invisible.
///
/// The list contains `Default_Ignorable_Code_Point` of Unicode 14 (DerivedCoreProperties.txt), the
/// line and paragraph separators, and the interlinear annotation characters.
const UNPRINTABLE: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),       // soft hyphen
    ('\u{34f}', '\u{34f}'),     // combining grapheme joiner
    ('\u{61c}', '\u{61c}'),     // Arabic letter mark
    ('\u{115f}', '\u{1160}'),   // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),   // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),   // Mongolian variation selectors, vowel separator
    ('\u{200b}', '\u{200f}'),   // zero-width space and joiners, direction marks
    ('\u{2028}', '\u{202e}'),   // line and paragraph separator, embeddings and overrides
    ('\u{2060}', '\u{206f}'),   // word joiner, invisible operators, isolates
    ('\u{3164}', '\u{3164}'),   // Hangul filler
    ('\u{fe00}', '\u{fe0f}'),   // variation selectors
    ('\u{feff}', '\u{feff}'),   // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),   // halfwidth Hangul filler
    ('\u{fff0}', '\u{fffb}'),   // reserved, interlinear annotation
    ('\u{1bca0}', '\u{1bca3}'), // shorthand format controls
    ('\u{1d173}', '\u{1d17a}'), // musical format controls
    ('\u{e0000}', '\u{e0fff}'), // tags, variation selectors
];

/// Returns whether the character `c` must be escaped. Control characters including newline and
/// tab, characters that change the direction of text, and invisible characters must be escaped.
pub fn is_unprintable(c: char) -> bool {
    let is_listed = || {
        let next = UNPRINTABLE.partition_point(|&(_, last)| last < c);
        UNPRINTABLE.get(next).is_some_and(|&(first, _)| first <= c)
    };
    c.is_control() || (!c.is_ascii() && is_listed())
}

/// Returns `text` with every character escaped for which [`is_unprintable`] returns true. Partners
/// can choose names with such characters. An escaped name can't control a terminal, begin a line,
/// reorder text or hide text.
pub fn printable(text: &str) -> String {
    escape(text.chars(), is_unprintable)
}

fn escape(text: impl Iterator<Item = char>, is_escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.size_hint().0);
    for c in text {
        if is_escaped(c) {
            let _ = write!(out, "{}", c.escape_unicode()); // writing to a String can't fail
        } else {
            out.push(c);
        }
    }
    out
}

/// The maximum number of characters that a message shows of a partner's text.
const EXCERPT: usize = 64;

/// Returns the first `max` characters of `text` with unprintable characters and no-break spaces
/// escaped.
pub fn printable_start(text: &str, max: usize) -> String {
    escape(text.chars().take(max), |c| is_unprintable(c) || is_no_break_space(c))
}

/// Returns a partner's text for use in a message. The text is truncated, and unprintable characters
/// and no-break spaces are escaped.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    if text.len() <= EXCERPT && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut excerpt = printable_start(text, EXCERPT);
    if text.chars().nth(EXCERPT).is_some() {
        excerpt.push('…');
    }
    Cow::Owned(excerpt)
}

/// Returns a name of a column or file for comparison: in NFC, with no-break spaces as spaces, and
/// without characters that have no width, such as byte order marks.
pub fn normalized(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let has_width = |c: &char| !is_unprintable(*c) || c.is_control() || c.is_whitespace();
    let space = |c: char| if is_no_break_space(c) { ' ' } else { c };
    let visible: String = name.chars().filter(has_width).map(space).collect();
    Cow::Owned(ComposingNormalizer::new_nfc().normalize(&visible).into_owned())
}

fn is_no_break_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}')
}

/// Returns an error and its causes in one line, joined by `: ` and escaped by [`printable`]. The
/// outermost error is first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}"); // writing to a String can't fail
        source = cause.source();
    }
    printable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\u{a}c");
        assert_eq!(printable("\u{7f}\u{9b}"), "\\u{7f}\\u{9b}");
        assert_eq!(printable("naïve 日本 \u{5d0}\u{644}"), "naïve 日本 \u{5d0}\u{644}");
    }

    /// The test uses the first and the last code point of each range of characters in Unicode's
    /// DerivedCoreProperties.txt.
    #[test]
    fn escapes_hidden_and_reordering_characters() {
        for (first, last) in [
            (0xad, 0xad),
            (0x34f, 0x34f),
            (0x61c, 0x61c),
            (0x115f, 0x1160),
            (0x17b4, 0x17b5),
            (0x180b, 0x180f),
            (0x200b, 0x200f),
            (0x2028, 0x202e),
            (0x2060, 0x206f),
            (0x3164, 0x3164),
            (0xfe00, 0xfe0f),
            (0xfeff, 0xfeff),
            (0xffa0, 0xffa0),
            (0xfff0, 0xfffb),
            (0x1bca0, 0x1bca3),
            (0x1d173, 0x1d17a),
            (0xe0000, 0xe0fff),
        ] {
            let is_shown = |code: u32| !is_unprintable(char::from_u32(code).unwrap());
            let hidden: Vec<u32> = (first..=last).filter(|code| is_shown(*code)).collect();
            assert_eq!(hidden, [0; 0], "{first:x}");
            assert!(is_shown(first - 1), "before {first:x}");
            assert!(is_shown(last + 1), "after {last:x}");
        }
    }

    #[test]
    fn excerpts_are_truncated_and_printable() {
        assert_eq!(excerpt("a\x1b[31m\n\u{202e}b"), "a\\u{1b}[31m\\u{a}\\u{202e}b");
        assert_eq!(excerpt("a\u{a0}\u{200b}\u{e0041}b"), "a\\u{a0}\\u{200b}\\u{e0041}b");
        assert_eq!(excerpt(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
        assert_eq!(excerpt(&"é".repeat(64)), "é".repeat(64));
    }

    #[test]
    fn names_with_invisible_differences_are_equal() {
        for (name, expected) in [
            ("Ka\u{308}ufe.csv", "K\u{e4}ufe.csv"),
            ("\u{feff}\u{feff}identity", "identity"),
            ("Unit\u{a0}Price\u{200b}", "Unit Price"),
            ("a\u{2007}b\u{202f}c", "a b c"),
            ("a\u{ad}\u{200d}\u{2060}\u{fe0f}b", "ab"),
            ("a\u{200b}\u{308}", "\u{e4}"),
            ("\u{1e9b}\u{2126} \u{ff21}", "\u{1e9b}\u{3a9} \u{ff21}"),
            ("a\u{2028}b\u{1}", "a\u{2028}b\u{1}"),
            ("plain", "plain"),
        ] {
            assert_eq!(normalized(name), expected, "{name:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(
            name in "([a-z ]|[\u{a0}\u{ad}\u{300}-\u{360}\u{1100}-\u{11ff}]|[\u{200b}-\u{206f}\u{feff}]|\\PC){0,12}"
        ) {
            let once = normalized(&name);
            proptest::prop_assert_eq!(normalized(&once), &*once);
        }
    }

    #[test]
    fn bidirectional_isolates_are_escaped() {
        assert_eq!(
            printable("a\u{2066}b\u{2067}c\u{2068}d\u{2069}"),
            "a\\u{2066}b\\u{2067}c\\u{2068}d\\u{2069}"
        );
    }

    #[test]
    fn an_error_is_one_printable_line() {
        let cause = std::io::Error::other("x\u{2066}\ny");
        let error = std::io::Error::other(Wrapped(cause));
        assert_eq!(chain(&error), "cannot read: x\\u{2066}\\u{a}y");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read")]
    struct Wrapped(#[source] std::io::Error);

    #[test]
    fn unprintable_ranges_are_in_order() {
        assert!(UNPRINTABLE.iter().all(|(first, last)| first <= last));
        assert!(UNPRINTABLE.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}
