//! The rule for `ts`: epoch seconds of 1 to 11 digits, or empty for the time of processing.

use super::digits::digits;
use super::{epoch, trim};
use crate::records::rules::rejection::{Detail, Rule, RuleCase};

pub static TIMESTAMP: Rule = Rule::new(
    "Timestamp not in UNIX epoch format",
    "Write ts in seconds since 1970, 1 to 11 digits, or leave it empty.",
)
.with_help(hint);

/// Parses a cell to seconds since 1970 UTC; `None` if it is empty.
pub fn timestamp(cell: &str) -> Result<Option<i64>, &'static Rule> {
    match trim(cell) {
        "" => Ok(None),
        text => epoch(text).map(Some).ok_or(&TIMESTAMP),
    }
}

/// Fast path for digits only. `None` does not mean that the cell is invalid.
#[inline]
pub fn plain(cell: &[u8]) -> Option<i64> {
    if cell.len() > 11 { None } else { digits(cell) }
}

fn hint(case: &RuleCase<'_>) -> Detail {
    let text = case.value?.trim();
    let milliseconds = text.len() == 13 && text.bytes().all(|b| b.is_ascii_digit());
    let hint = if milliseconds {
        "these seem to be milliseconds, write seconds"
    } else {
        "write seconds since 1970 in 1 to 11 digits"
    };
    Some(hint.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_epoch_seconds_or_empty() {
        for (cell, seconds) in [
            ("1578503667", Some(1_578_503_667)),
            (" 1578503667 ", Some(1_578_503_667)),
            ("0", Some(0)),
            ("99999999999", Some(99_999_999_999)),
            ("", None),
            ("  ", None),
        ] {
            assert_eq!(timestamp(cell).unwrap(), seconds, "{cell:?}");
            assert_eq!(plain(cell.as_bytes()).or(seconds), seconds, "{cell:?}");
        }
        for cell in ["1578503667000", "-1", "1.5", "2020-01-01", "$D_1578503667", "1e9", "x"] {
            assert_eq!(timestamp(cell).unwrap_err().text(), TIMESTAMP.text(), "{cell:?}");
            assert_eq!(plain(cell.as_bytes()), None, "{cell:?}");
        }
    }
}
