//! The rule for ids: at least one of identity, fbId, gpId and objectId, each under 1024 characters.

use super::trim;
use crate::records::rules::rejection::{Detail, Rule, RuleCase};

pub static ID: Rule = Rule::new(
    "Atleast one of identity / fbId / gpId / objectId is mandatory under 1024 chars to identify \
     the user",
    "Give every record an id of its user; words such as null, 0 or n/a count as none.",
)
.with_help(hint);

/// The shortest length that is too long, in characters.
const TOO_LONG: usize = 1024;

/// Values that count as absent, in any case.
const ABSENT: [&str; 17] = [
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
    "",
];

/// The longest of [`ABSENT`], in bytes.
const LONGEST_ABSENT: usize = "undefined".len();

/// Returns the id in a cell; `None` if it counts as absent.
pub fn id(cell: &str) -> Result<Option<&str>, &'static Rule> {
    let id = trim(cell);
    if id.len() >= TOO_LONG && id.chars().nth(TOO_LONG - 1).is_some() {
        return Err(&ID);
    }
    Ok(if is_absent(id) { None } else { Some(id) })
}

/// Fast test by length, first and last byte: returns true only if the cell, unchanged, is a valid
/// id.
#[inline]
pub fn is_plain(cell: &[u8]) -> bool {
    let visible = |byte: Option<&u8>| byte.is_some_and(|b| (0x21..0x7f).contains(b));
    (LONGEST_ABSENT + 1..TOO_LONG).contains(&cell.len())
        && visible(cell.first())
        && visible(cell.last())
}

fn is_absent(id: &str) -> bool {
    id.len() <= LONGEST_ABSENT && ABSENT.iter().any(|absent| id.eq_ignore_ascii_case(absent))
}

fn hint(case: &RuleCase<'_>) -> Detail {
    let value = case.value?.trim();
    if is_absent(value) {
        (!value.is_empty()).then(|| "this value counts as absent".into())
    } else {
        Some(format!("it has {} characters", value.chars().count()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_ids_under_1024_characters() {
        let long = "é".repeat(1023);
        for cell in ["a@b.example", "  x ", "00", "-11", "nulls", &long] {
            assert_eq!(id(cell).unwrap(), Some(cell.trim()), "{cell:?}");
        }
        for cell in ["x".repeat(1024), "é".repeat(1024)] {
            assert_eq!(id(&cell).unwrap_err().text(), ID.text());
        }
    }

    proptest::proptest! {
        #[test]
        fn plain_ids_match_the_rule(cell in "[ ~a-z0\u{a0}é]{0,12}|[0-9a-z]{1020,1030}") {
            if is_plain(cell.as_bytes()) {
                proptest::prop_assert_eq!(id(&cell).ok().flatten(), Some(&*cell));
            }
        }
    }

    #[test]
    fn some_values_count_as_absent_in_any_case() {
        assert_eq!(ABSENT.iter().map(|absent| absent.len()).max(), Some(LONGEST_ABSENT));
        for absent in ABSENT {
            for cell in [absent.to_owned(), absent.to_uppercase(), format!(" {absent} ")] {
                assert_eq!(id(&cell).unwrap(), None, "{cell:?}");
            }
        }
    }
}
