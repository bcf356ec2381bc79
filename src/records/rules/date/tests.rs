//! Tests of all notations of a cell of the type DATE.

use super::*;

fn at(text: &str) -> Option<i64> {
    Some(text.parse::<jiff::Timestamp>().unwrap().as_second())
}

fn named(format: &str) -> Option<DateFormat> {
    let format = DateFormat::named(format);
    assert!(format.is_some());
    format
}

/// Returns the seconds since 1970 in a cell; `None` if the cell is not a DATE.
fn read(cell: &str, format: Option<DateFormat>) -> Option<i64> {
    date(cell, format).map_or(None, |seconds| Some(seconds.unwrap()))
}

#[test]
fn every_date_format_accepts_an_optional_time() {
    for (cell, format) in [
        ("05/12/2020", "dd/MM/yyyy"),
        ("12/05/2020", "MM/dd/yyyy"),
        ("2020/05/12", "yyyy/dd/MM"),
        ("2020/12/05", "yyyy/MM/dd"),
        ("05 Dec 2020", "dd MMM yyyy"),
        ("5 DEC 2020", "dd MMM yyyy"),
    ] {
        for separator in ["/", "-", ".", " "] {
            let other = |text: &str| text.replace(['/', ' '], separator);
            let (cell, format) = (other(cell), other(format));
            if separator == " " && DateFormat::named(&format).is_none() {
                continue;
            }
            let format = named(&format);
            let all = [
                ("", "T00:00:01Z"),
                (" 23:59", "T23:59:00Z"),
                (" 23:59:58", "T23:59:58Z"),
                (" 3:04:05", "T03:04:05Z"),
            ];
            for (time, expected) in all {
                let cell = format!(" {cell}{time} ");
                assert_eq!(read(&cell, format), at(&format!("2020-12-05{expected}")), "{cell:?}");
            }
        }
    }
    let compact = named("yyyyMMdd HH:mm");
    assert_eq!(read("20201205", compact), at("2020-12-05T00:00:01Z"));
    assert_eq!(read("20201205 17:14", compact), at("2020-12-05T17:14:00Z"));
    assert_eq!(read("20201205 17:14", None), at("2020-12-05T17:14:00Z"));
}

#[test]
fn iso_8601_is_accepted_with_any_format() {
    let formats = ["dd/MM/yyyy", "MM.dd.yyyy", "yyyy/dd/MM", "yyyyMMdd", "epoch", "epoch-ms"];
    for format in formats.map(named).into_iter().chain([None]) {
        for (cell, expected) in [
            ("2020-01-08", "2020-01-08T00:00:01Z"),
            ("2020-01-08 17:14", "2020-01-08T17:14:00Z"),
            ("2020-01-08 17:14:27", "2020-01-08T17:14:27Z"),
            ("2020-01-08T17:14:27", "2020-01-08T17:14:27Z"),
            ("2020-01-08T17:14:27Z", "2020-01-08T17:14:27Z"),
            ("2020-01-08 17:14:27 UTC", "2020-01-08T17:14:27Z"),
            ("2020-01-08 17:14:27.999", "2020-01-08T17:14:27Z"),
            ("2020-01-08 17:14:27.0000000 +02:00", "2020-01-08T15:14:27Z"),
            ("2020-01-08 17:14:27.123456 UTC", "2020-01-08T17:14:27Z"),
            ("2020-01-08 17:14:27+05:30", "2020-01-08T11:44:27Z"),
            ("2020-01-08T17:14:27-0800", "2020-01-09T01:14:27Z"),
            ("2020-01-08 17:14:27+00", "2020-01-08T17:14:27Z"),
            ("2020-01-08T17:14Z", "2020-01-08T17:14:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(read(cell, format), at(expected), "{cell:?} {format:?}");
        }
    }
}

#[test]
fn the_format_yyyy_dd_mm_overrides_iso_8601() {
    let format = named("yyyy-dd-MM");
    assert_eq!(read("2020-01-08", format), at("2020-08-01T00:00:01Z"));
    assert_eq!(read("2020-01-08 10:20:30", format), at("2020-08-01T10:20:30Z"));
    assert_eq!(read("2020-01-08T10:20:30", format), at("2020-01-08T10:20:30Z"));
    for cell in ["2020-01-25", "2020-01-08 10:20:30.5", "2020-01-08 10:20:30 UTC"] {
        assert_eq!(read(cell, format), None, "{cell}");
    }
    // If the format is not yyyy-dd-MM, a date with dashes that begins with a year always has the
    // order year, month, day.
    assert_eq!(read("2020-25-01", named("yyyy/dd/MM")), None);
    assert_eq!(read("2020-25-01", None), None);
    assert_eq!(read("2020-1-8", None), at("2020-01-08T00:00:01Z"));
}

#[test]
fn dates_outside_years_1_to_9999_fail() {
    for cell in [
        "31/12/9999 23:59:59",
        "9999/12/31 23:59:59",
        "31 Dec 9999 23:59:59",
        "9999-12-31T23:59:59",
    ] {
        assert_eq!(read(cell, None), Some(253_402_300_799), "{cell:?}");
    }
    for cell in ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "0000-01-01"] {
        assert_eq!(read(cell, None), None, "{cell:?}");
    }
}

#[test]
fn short_numbers_are_rejected_as_dates() {
    assert_eq!(read("1589274432", None), Some(1_589_274_432));
    assert_eq!(read("100000000", None), Some(100_000_000));
    assert_eq!(read("99999999999", None), Some(99_999_999_999));
    assert_eq!(read("-315619200", None), Some(-315_619_200));
    assert_eq!(date("", None).unwrap(), None);
    for cell in ["0", "-86400", "2020", "43838", "20200108", "31011990", "1578503667000"] {
        assert_eq!(read(cell, None), None, "{cell}");
    }
    for format in ["dd/MM/yyyy", "yyyy-MM-dd", "dd MMM yyyy", "yyyyMMdd"] {
        assert_eq!(read("1589274432", named(format)), None, "{format}");
    }
}

#[test]
fn epoch_formats_accept_any_number() {
    let (seconds, milliseconds) = (named("epoch"), named("epoch-ms"));
    for (cell, expected) in [
        ("0", 0),
        ("-86400", -86_400),
        ("20200108", 20_200_108),
        ("1578503667.9", 1_578_503_667),
        ("-1.5", -2),
        ("253402300799", 253_402_300_799),
    ] {
        assert_eq!(read(cell, seconds), Some(expected), "{cell}");
    }
    assert_eq!(read("1578503667999", milliseconds), Some(1_578_503_667));
    assert_eq!(read("-1", milliseconds), Some(-1));
    for cell in ["1578503667000", "1e9", "1.5e9", "1.", ".5", "1,5", "+1", "x", "25/12/2020"] {
        assert_eq!(read(cell, seconds), None, "{cell}");
    }
    assert_eq!(read("1578503667000000", milliseconds), None);
}

#[test]
fn ambiguous_dates_need_a_format() {
    for (cell, day) in [
        ("25/12/2020", Some("2020-12-25T00:00:01Z")),
        ("12/25/2020", Some("2020-12-25T00:00:01Z")),
        ("25.12.2020", Some("2020-12-25T00:00:01Z")),
        ("25-12-2020", Some("2020-12-25T00:00:01Z")),
        ("2020/25/12", Some("2020-12-25T00:00:01Z")),
        ("11/11/2020", Some("2020-11-11T00:00:01Z")),
        ("01 Feb 2020", Some("2020-02-01T00:00:01Z")),
        ("01-FEB-2020", Some("2020-02-01T00:00:01Z")),
        ("01/02/2020", None),
        ("01.02.2020", None),
        ("2020/01/02", None),
    ] {
        assert_eq!(read(cell, None), day.and_then(at), "{cell:?}");
    }
}

#[test]
fn invalid_days_are_rejected() {
    for cell in [
        "30/02/2020",
        "29/02/2019",
        "00/01/2020",
        "01/13/2020",
        "01/01/20",
        "01/01-2020",
        "01 01 2020",
        "01/01/2020 24:00:00",
        "01/01/2020 10",
        "01/01/2020 10:00:00.5",
        "01/01/2020/1",
        "1/1/0000",
        "x",
        "$D_1",
        "999999999999",
        "01/01/2020T10:00:00",
        "-99999999999",
        "2020-01-08T",
        "2020-01-08T17",
        "2020-01-08T17:14:27.",
        "2020-01-08T17:14:60",
        "2020-01-08T17:14:27+",
        "2020-01-08T17:14:27+19:00",
        "2020-01-08T17:14:27 CET",
        "2020-01-08-17:14:27",
        "2020-02-30",
        "2020-W02-3",
        "0000-00-00",
        "Jan 25, 2020",
        "25 December 2020",
        "12/25/2020 3:04:05 PM",
    ] {
        let verdict = date(cell, named("dd/MM/yyyy"));
        assert_eq!(verdict.unwrap_err().text(), "DATE value expected", "{cell:?}");
    }
}

proptest::proptest! {
    #[test]
    fn parsed_iso_8601_times_match_jiff(
        seconds in -62_135_596_800..253_402_207_200_i64,
        nanoseconds in 0..1_000_000_000_i32,
        offset in -64_800..64_800_i32,
    ) {
        let offset = jiff::tz::Offset::from_seconds(offset / 60 * 60).unwrap();
        let time = jiff::Timestamp::new(seconds, 0).unwrap();
        let text = time.display_with_offset(offset).to_string();
        proptest::prop_assume!(!text.starts_with(['-', '+']) && !text.starts_with("0000"));
        proptest::prop_assert_eq!(read(&text, None), Some(seconds), "{}", text);
        let text = text.replacen('T', " ", 1);
        let (clock, zone) = text.split_at(19);
        let text = format!("{clock}.{nanoseconds:09} {zone}");
        proptest::prop_assert_eq!(read(&text, None), Some(seconds), "{}", text);
    }
}
