//! The rules for the values of properties: the length of a value, and the date notation
//! `$D_<epoch>`.

use super::{date, epoch, trim, value};
use crate::manifest::DateFormat;
use crate::manifest::PropertyType;
use crate::records::profile_change::Value;
use crate::records::rules::rejection::{Rule, RuleCase};

pub static TOO_LONG: Rule = Rule::new(
    "Property value is longer than 512 characters",
    "Shorten the value, or leave the column out of the file.",
)
.with_limit(|limits| {
    Some(format!("Property value is longer than {} characters", limits.max_property_value).into())
})
.with_help(|case: &RuleCase<'_>| {
    Some(format!("the value has {} characters", case.value?.chars().count()).into())
});

pub static DOLLAR_DATE: Rule = Rule::new(
    "$D_ must be followed by an epoch",
    "Write $D_ and seconds since 1970, such as $D_1589274432.",
)
.with_help(|_| Some("write seconds since 1970, as in $D_1589274432".into()));

/// Checks that the value in a cell has at most `max` characters.
pub fn length(cell: &str, max: usize) -> Result<(), &'static Rule> {
    // The characters are counted only if there are more bytes than `max`, because a text never has
    // more characters than bytes.
    if cell.len() > max && cell.chars().nth(max).is_some() { Err(&TOO_LONG) } else { Ok(()) }
}

/// Tests quickly whether a value of the type STRING is the unchanged cell. Examines only the length
/// and the first byte of the cell. Returns false if a full check is needed. `max` is in characters.
/// It is compared with the length in bytes, because a cell never has more characters than bytes.
#[inline]
pub fn is_plain(cell: &[u8], max: usize) -> bool {
    cell.len() <= max && cell.first().is_some_and(|first| BEGINS_TEXT[*first as usize])
}

/// For each byte, true if a text that begins with the byte needs no special handling. A text needs
/// special handling if it begins with white space or `$`.
static BEGINS_TEXT: [bool; 256] = {
    let mut begins = [true; 256];
    let mut byte = 0;
    while byte <= b' ' as usize {
        begins[byte] = false;
        byte += 1;
    }
    // White space that is not ASCII begins with one of these bytes.
    let others = [b'$', 0xc2, 0xe1, 0xe2, 0xe3];
    let mut n = 0;
    while n < others.len() {
        begins[others[n] as usize] = false;
        n += 1;
    }
    begins
};

/// Parses a cell in the notation `$D_<epoch>` to seconds since 1970. Returns `None` if the cell
/// does not begin with `$D_`. The cell must have no white space at its start and end.
pub fn dollar_date(cell: &str) -> Result<Option<i64>, &'static Rule> {
    match cell.strip_prefix("$D_") {
        None => Ok(None),
        Some(epoch) => date::signed_epoch(trim(epoch)).map(Some).ok_or(&DOLLAR_DATE),
    }
}

/// Parses the simple case of `$D_` and digits quickly. If the result is `None`, the cell can still
/// be valid. `max` is the maximum length in characters.
#[inline]
pub fn plain_dollar_date(cell: &[u8], max: usize) -> Option<i64> {
    epoch(cell.strip_prefix(b"$D_").filter(|_| cell.len() <= max)?)
}

/// Returns the value of a cell of the type STRING: the unchanged text, or a date. A cell with only
/// white space is empty.
pub fn string(cell: &str) -> Result<Value<'_>, &'static Rule> {
    let text = trim(cell);
    if text.is_empty() {
        return Ok(Value::None);
    }
    Ok(dollar_date(text)?.map_or(Value::Text(cell), Value::Date))
}

/// Returns the value of a cell of the type INTEGER, LONG, FLOAT or BOOLEAN, which `parse`
/// converts. Returns `None` if the cell is empty.
pub fn typed<T>(
    cell: &str,
    parse: impl Fn(&str) -> Result<T, &'static Rule>,
) -> Result<Option<T>, &'static Rule> {
    let text = trim(cell);
    if text.is_empty() {
        return Ok(None);
    }
    // A value of these types cannot be a date. The call is needed to report an invalid `$D_` as a
    // violation of the rule for `$D_`.
    dollar_date(text)?;
    parse(text).map(Some)
}

/// Parses a cell of the type DATE to seconds since 1970. Returns `None` if the cell is empty.
pub fn instant(cell: &str, format: Option<DateFormat>) -> Result<Option<i64>, &'static Rule> {
    match dollar_date(trim(cell))? {
        Some(seconds) => Ok(Some(seconds)),
        None => date::date(cell, format),
    }
}

/// Returns the value of a cell of the type `kind`. Returns [`Value::None`] if the cell is empty.
pub fn of_type(
    cell: &str,
    kind: PropertyType,
    format: Option<DateFormat>,
) -> Result<Value<'_>, &'static Rule> {
    let value = match kind {
        PropertyType::String => return string(cell),
        PropertyType::Integer => typed(cell, value::integer)?.map(i64::from).map(Value::Integer),
        PropertyType::Long => typed(cell, value::long)?.map(Value::Integer),
        PropertyType::Float => typed(cell, value::float)?.map(Value::Float),
        PropertyType::Boolean => typed(cell, value::boolean)?.map(Value::Boolean),
        PropertyType::Date => instant(cell, format)?.map(Value::Date),
    };
    Ok(value.unwrap_or(Value::None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_length_is_counted_in_characters() {
        for cell in ["x".repeat(512), "é".repeat(512)] {
            assert!(length(&cell, 512).is_ok());
            assert_eq!(length(&(cell + "x"), 512).unwrap_err().text(), TOO_LONG.text());
        }
    }

    proptest::proptest! {
        #[test]
        fn the_fast_text_check_matches_the_rule(
            cell in "[ $D_é0-9]{0,8}|\\s{0,2}.{0,2}\\s{0,2}",
            max in 0_usize..10,
        ) {
            if is_plain(cell.as_bytes(), max) {
                proptest::prop_assert!(length(&cell, max).is_ok());
                proptest::prop_assert_eq!(string(&cell).map_err(Rule::text), Ok(Value::Text(&cell)));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn the_fast_date_check_matches_the_rule(
            cell in "([$]D_)?[0-9 -]{0,2}[0-9]{0,12}[0-9x]?",
            max in 0_usize..20,
        ) {
            if let Some(at) = plain_dollar_date(cell.as_bytes(), max) {
                proptest::prop_assert!(length(&cell, max).is_ok());
                proptest::prop_assert_eq!(string(&cell).map_err(Rule::text), Ok(Value::Date(at)));
            }
        }
    }

    #[test]
    fn dollar_dates_need_text_or_date_columns() {
        for (kind, expected) in [
            (PropertyType::String, Ok(Value::Date(7))),
            (PropertyType::Date, Ok(Value::Date(7))),
            (PropertyType::Integer, Err("INTEGER value expected")),
            (PropertyType::Long, Err("LONG value expected")),
            (PropertyType::Float, Err("FLOAT value expected")),
            (PropertyType::Boolean, Err("BOOLEAN value expected")),
        ] {
            assert_eq!(of_type("$D_7", kind, None).map_err(Rule::text), expected);
            let malformed = of_type("$D_x", kind, None).map_err(Rule::text);
            assert_eq!(malformed, Err(DOLLAR_DATE.text()), "{kind:?}");
        }
    }

    #[test]
    fn text_is_kept_and_typed_cells_are_trimmed() {
        let read = |cell, kind| of_type(cell, kind, None).map_err(Rule::text);
        assert_eq!(read(" a ", PropertyType::String), Ok(Value::Text(" a ")));
        assert_eq!(read(" 7 ", PropertyType::Integer), Ok(Value::Integer(7)));
        assert_eq!(read(" 7.5 ", PropertyType::Float), Ok(Value::Float(7.5)));
        assert_eq!(read(" y ", PropertyType::Boolean), Ok(Value::Boolean(true)));
    }

    #[test]
    fn a_cell_of_white_space_is_empty() {
        for cell in ["", " ", "\t \r\n", "\u{a0}", "\u{2003}\u{3000} "] {
            assert!(!is_plain(cell.as_bytes(), 512), "{cell:?}");
            for kind in PropertyType::ALL {
                let value = of_type(cell, kind, None).map_err(Rule::text);
                assert_eq!(value, Ok(Value::None), "{cell:?} {kind:?}");
            }
        }
    }

    #[test]
    fn white_space_around_a_dollar_date_is_ignored() {
        for cell in [" $D_5", "$D_5\t", " $D_ 5 ", "\u{a0}$D_5"] {
            assert_eq!(string(cell).map_err(Rule::text), Ok(Value::Date(5)), "{cell:?}");
        }
        assert_eq!(string(" $D_x").unwrap_err().text(), DOLLAR_DATE.text());
        assert_eq!(string("x $D_5").map_err(Rule::text), Ok(Value::Text("x $D_5")));
    }

    #[test]
    fn dollar_dates_are_parsed_as_seconds() {
        assert_eq!(dollar_date("$D_1589274432").unwrap(), Some(1_589_274_432));
        assert_eq!(dollar_date("$D_-1").unwrap(), Some(-1));
        for cell in ["", "$D", "$d_1", " $D_1", "x"] {
            assert_eq!(dollar_date(cell).unwrap(), None, "{cell:?}");
        }
        for cell in ["$D_", "$D_x", "$D_1589274432000", "$D_2020-01-01", "$D_1.5"] {
            assert_eq!(dollar_date(cell).unwrap_err().text(), DOLLAR_DATE.text(), "{cell:?}");
        }
    }
}
