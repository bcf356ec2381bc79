//! Parses ISO 8601 in the notations that databases write: `2020-01-08`, `2020-01-08T17:14:27Z`,
//! `2020-01-08 17:14:27.000000 UTC`, `2020-01-08 17:14:27+02`.

use crate::records::rules::calendar::{NO_TIME, day_number};

/// Parses a date with an optional time to seconds since 1970 UTC. A fraction of a second is
/// dropped.
pub fn iso8601(text: &str) -> Option<i64> {
    let (day, rest) = text.as_bytes().split_first_chunk::<10>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *day else { return None };
    let year = two_digits([y1, y2])? * 100 + two_digits([y3, y4])?;
    let days = day_number(year, two_digits([m1, m2])?, two_digits([d1, d2])?)?;
    let seconds = match rest {
        [] => NO_TIME,
        [b'T' | b' ', time @ ..] => time_and_zone(time)?,
        _ => return None,
    };
    Some(days * 86_400 + seconds)
}

/// Parses a time such as `17:14`, `17:14:27` or `17:14:27.123` with an optional time zone. Returns
/// the seconds since midnight in UTC.
fn time_and_zone(text: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else { return None };
    let (hour, minute) = (two_digits([*h1, *h2])?, two_digits([*m1, *m2])?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (two_digits([*s1, *s2])?, without_fraction(rest)?),
        rest => (0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(hour * 3600 + minute * 60 + second - offset(rest)?)
}

/// Removes the decimal point at the start of `text` and the digits after the point. Returns `None`
/// if no digit follows the point.
fn without_fraction(text: &[u8]) -> Option<&[u8]> {
    let [b'.', rest @ ..] = text else { return Some(text) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { None } else { Some(&rest[digits..]) }
}

/// Parses a time zone to its offset in seconds east of UTC. An empty text means UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let zone = match zone {
        [] => return Some(0),
        [b' ', zone @ ..] | zone => zone,
    };
    let (sign, hour, minute) = match *zone {
        [b'Z'] | [b'U', b'T', b'C'] => return Some(0),
        [sign, h1, h2] => (sign, [h1, h2], [b'0'; 2]),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, [h1, h2], [m1, m2]),
        _ => return None,
    };
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    let seconds = hour * 3600 + minute * 60;
    match sign {
        _ if hour > 18 || minute > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn two_digits(text: [u8; 2]) -> Option<i64> {
    let [tens, ones] = text.map(|byte| i64::from(byte.wrapping_sub(b'0')));
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}
