//! The rule for ids: a record has at least one of identity, fbId, gpId and objectId. Every id is
//! shorter than 1024 characters, and is not a number that a spreadsheet rounded.

use super::{is_dash, trim};
use crate::records::rules::rejection::{Detail, Rule, RuleCase};
use crate::sanitize::is_unprintable;

pub static ID: Rule = Rule::new(
    "Atleast one of identity / fbId / gpId / objectId is mandatory under 1024 chars to identify \
     the user",
    "Give every record an id of its user. Values such as null, 0 or n/a are not ids.",
)
.with_help(hint);

/// The number of characters from which an id is too long.
const TOO_LONG: usize = 1024;

/// The values that mean an absent id, in upper or lower case. A value that consists only of dashes
/// also means an absent id.
const ABSENT: [&str; 28] = [
    "undefined",
    "null",
    "na",
    "n/a",
    "0",
    "nil",
    "-1",
    "infinity",
    "-infinity",
    "inf",
    "-inf",
    "nan",
    "-nan",
    "empty",
    "xxxxxx",
    "none",
    "\\N",
    "<null>",
    "(null)",
    "<na>",
    "nat",
    "#n/a",
    "#ref!",
    "#value!",
    "#name?",
    "#null!",
    "#div/0!",
    "",
];

/// The length of the longest value in [`ABSENT`], in bytes.
const LONGEST_ABSENT: usize = "undefined".len();

/// Returns the id in a cell. Returns `None` if the value means an absent id.
pub fn id(cell: &str) -> Result<Option<&str>, &'static Rule> {
    let id = trim_invisible(cell);
    if is_absent(id) {
        return Ok(None);
    }
    let is_too_long = id.len() >= TOO_LONG && id.chars().nth(TOO_LONG - 1).is_some();
    if is_too_long || is_rounded(id) { Err(&ID) } else { Ok(Some(id)) }
}

/// Tests quickly whether the unchanged cell is a valid id. Examines only the length and some bytes
/// of the cell. Returns false if the id needs a full check.
#[inline]
pub fn is_plain(cell: &[u8]) -> bool {
    let visible = |byte: &u8| (0x21..0x7f).contains(byte);
    let [first, second, .., last] = cell else { return false };
    let may_be_rounded = first.is_ascii_digit() && matches!(second, b'.' | b',' | b'E' | b'e');
    (LONGEST_ABSENT + 1..TOO_LONG).contains(&cell.len())
        && visible(first)
        && visible(last)
        && *first != b'-'
        && !may_be_rounded
}

/// Returns the text of a cell without white space and invisible characters at its start and end.
fn trim_invisible(cell: &str) -> &str {
    let text = trim(cell);
    if text.is_ascii() {
        return text;
    }
    text.trim_matches(|c: char| c.is_whitespace() || is_unprintable(c) && !c.is_control())
}

fn is_absent(id: &str) -> bool {
    // Ids that end in a digit are handled first, because most ids end in a digit. Such an id can be
    // an absent value only if it has one or two characters.
    let ends_in_digit = id.as_bytes().last().is_some_and(u8::is_ascii_digit);
    if ends_in_digit && id.len() > 2 {
        return false;
    }
    id.len() <= LONGEST_ABSENT && ABSENT.iter().any(|absent| id.eq_ignore_ascii_case(absent))
        || id.chars().all(is_dash)
}

/// Returns whether an id is a number that a spreadsheet has rounded, such as `1.23457E+11`.
fn is_rounded(id: &str) -> bool {
    let Some((mantissa, exponent)) = id.split_once(['E', 'e']) else { return false };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (digit, decimals) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
    let exponent = exponent.strip_prefix('+').unwrap_or_default();
    digit.len() == 1
        && are_digits(digit)
        && are_digits(decimals)
        && !exponent.is_empty()
        && are_digits(exponent)
}

fn hint(case: &RuleCase<'_>) -> Detail {
    let value = trim_invisible(case.value?);
    if is_absent(value) {
        (!value.is_empty()).then(|| "this value counts as absent".into())
    } else if is_rounded(value) {
        Some("a spreadsheet rounded this id: format its column as text, and enter it again".into())
    } else {
        Some(format!("the id has {} characters", value.chars().count()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_under_1024_characters_are_accepted() {
        let long = "é".repeat(1023);
        for cell in ["a@b.example", "  x ", "00", "-11", "nulls", "#n/a!", "\\NN", "-a-", &long] {
            assert_eq!(id(cell).unwrap(), Some(cell.trim()), "{cell:?}");
        }
        for cell in ["x".repeat(1024), "é".repeat(1024)] {
            assert_eq!(id(&cell).unwrap_err().text(), ID.text());
        }
    }

    #[test]
    fn rounded_ids_are_rejected() {
        for cell in ["1.23457E+11", " 1,23457E+11 ", "9E+9", "1.234567890123e+15", "1.E+05"] {
            assert_eq!(id(cell).unwrap_err().text(), ID.text(), "{cell:?}");
            assert!(!is_plain(cell.as_bytes()), "{cell:?}");
        }
        for cell in ["12.3E+11", "1.23E11", "1.23E-11", "E+11", "1.2E+", "1.2E+1x", "1a.2E+11"] {
            assert_eq!(id(cell).unwrap(), Some(cell), "{cell:?}");
        }
    }

    #[test]
    fn invisible_characters_around_an_id_are_ignored() {
        for cell in ["\u{feff}jane", "jane\u{200b}", "\u{a0}jane\u{2060} ", "jane"] {
            assert_eq!(id(cell).unwrap(), Some("jane"), "{cell:?}");
        }
        assert_eq!(id("a\u{200d}b").unwrap(), Some("a\u{200d}b"));
        assert_eq!(id("\u{200b}null").unwrap(), None);
    }

    proptest::proptest! {
        #[test]
        fn the_fast_id_check_matches_the_rule(
            cell in "[ ~a-z0\u{a0}é-]{0,12}|[0-9a-z]{1020,1030}|-{0,12}|[0-9][.,]?[0-9]{0,12}[Ee][+][0-9]{1,3}"
        ) {
            if is_plain(cell.as_bytes()) {
                proptest::prop_assert_eq!(id(&cell).ok().flatten(), Some(&*cell));
            }
        }
    }

    #[test]
    fn absent_values_are_found_in_any_case() {
        assert_eq!(ABSENT.iter().map(|absent| absent.len()).max(), Some(LONGEST_ABSENT));
        let dashes = ["-", "--", "------------", "\u{2013}", "\u{2014}\u{2212}"];
        for absent in ABSENT.into_iter().chain(dashes) {
            for cell in [absent.to_owned(), absent.to_uppercase(), format!(" {absent} ")] {
                assert_eq!(id(&cell).unwrap(), None, "{cell:?}");
            }
        }
    }
}
