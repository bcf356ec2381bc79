//! Finds a sample record for each rejection that a mail lists, in the beginning of the error file.
//! Pure.
//!
//! The error file (written by `records::error_file`) has a header whose last field is `"Failure
//! Description"`, and records whose last field, always quoted, has the texts. A file of another
//! form has no samples.

/// The maximum number of bytes of an error file that are scanned for samples. Most rejections
/// occur near the beginning of a file.
pub const MAX_SCANNED: u64 = 256 * 1024;

/// The last field in the header of every error file, with its quotation marks.
const DESCRIPTION: &[u8] = b"\"Failure Description\"";

/// Finds a sample record for each of `messages`: the first record of `head` that was rejected with
/// the message. The sample is verbatim, without the reasons.
pub fn find_samples<'a>(
    head: &[u8],
    messages: impl Iterator<Item = &'a str>,
) -> Vec<Option<String>> {
    let records = records(head);
    let find = |message: &str| {
        let found = records.iter().find(|(_, why)| contains(why, message.as_bytes()));
        let found = found.map(|(record, _)| *record).or_else(|| line_before(head, message))?;
        Some(String::from_utf8_lossy(found).trim().to_owned()).filter(|text| !text.is_empty())
    };
    messages.map(find).collect()
}

/// Returns the text in a line of an error file before the description that begins with `message`.
/// The text has the fields of a line whose quoting is broken.
fn line_before<'a>(head: &'a [u8], message: &str) -> Option<&'a [u8]> {
    let (delimiter, rest) = after_header(head)?;
    let description = [&[delimiter, b'"'], message.as_bytes()].concat();
    let mut lines =
        rest.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.find_map(|line| {
        let at = line.windows(description.len()).position(|window| window == description)?;
        Some(&line[..at])
    })
}

/// Returns each complete record of an error file as a pair: its original fields, and its last
/// field.
fn records(head: &[u8]) -> Vec<(&[u8], &[u8])> {
    let Some((delimiter, rest)) = after_header(head) else { return Vec::new() };
    let mut records = Vec::new();
    let (mut start, mut last_field) = (0, None);
    let mut quotes = QuoteState { delimiter, quoted: false, may_open: true };
    for (at, byte) in rest.iter().enumerate() {
        if !quotes.is_outside_after(*byte) {
            continue;
        }
        if *byte == delimiter {
            last_field = Some(at);
        } else if *byte == b'\n' {
            // Only a record that is too long can have no field before its description.
            records.extend(last_field.take().map(|last| (&rest[start..last], &rest[last..at])));
            start = at + 1;
        }
    }
    records
}

/// Returns the delimiter, and the bytes after the header. The header ends where a line end follows
/// its last field: inside another field the closing quotation mark would be doubled.
fn after_header(head: &[u8]) -> Option<(u8, &[u8])> {
    let is_end = |rest: &[u8]| rest.starts_with(b"\n") || rest.starts_with(b"\r\n");
    let of = |window: &[u8]| window == DESCRIPTION;
    let mut places = head.windows(DESCRIPTION.len()).enumerate().filter(|(_, w)| of(w));
    let at = places.find(|(at, _)| is_end(&head[at + DESCRIPTION.len()..]))?.0;
    let delimiter = *head.get(at.checked_sub(1)?)?;
    let end = at + head[at..].iter().position(|byte| *byte == b'\n')?;
    Some((delimiter, &head[end + 1..]))
}

/// Tracks whether the text is inside quotation marks. A quotation mark in the middle of a cell is
/// an ordinary byte, as in data files.
struct QuoteState {
    delimiter: u8,
    quoted: bool,
    /// Whether the next quotation mark opens a quoted text. This is the case at the start of a
    /// cell and after a closing quotation mark.
    may_open: bool,
}

impl QuoteState {
    fn is_outside_after(&mut self, byte: u8) -> bool {
        if byte == b'"' && (self.quoted || self.may_open) {
            self.quoted = !self.quoted;
            self.may_open = true;
        } else if !self.quoted {
            self.may_open = byte == self.delimiter || matches!(byte, b'\n' | b'\r');
        }
        !self.quoted
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1)).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_record_of_each_reason_verbatim() {
        let file = "evtName;Note;\"Failure Description\"\r\n\
                    A;\"x;\r\n\"\"y\";\"INTEGER value expected - column Note; Event name is mandatory\"\r\n\
                    B;Event name is mandatory;\"FLOAT value expected\"\r\n\
                    C;cut off;\"BOOLEAN value expected\"";
        let messages =
            ["FLOAT value expected", "Event name is mandatory", "BOOLEAN value expected"];
        let found = find_samples(file.as_bytes(), messages.into_iter());
        let expected = [Some("B;Event name is mandatory"), Some("A;\"x;\r\n\"\"y\""), None];
        assert_eq!(found, expected.map(|text| text.map(str::to_owned)));
    }

    /// Regression: quotation marks were counted in pairs. The record after a cell such as `5"` was
    /// read as a part of that cell, and the sample was of another rejection.
    #[test]
    fn quotation_marks_inside_a_cell_are_ordinary_bytes() {
        let file = "a,b,\"Failure Description\"\n\
                    5\",x,\"FLOAT value expected\"\n\
                    7,\"y, \"\"z\"\"\"\"\",\"Event name is mandatory - value \"\"q\"\"\"\n\
                    \"a\"b\"c,8,\"BOOLEAN value expected\"\n";
        let messages =
            ["FLOAT value expected", "Event name is mandatory", "BOOLEAN value expected"];
        let found = find_samples(file.as_bytes(), messages.into_iter());
        let expected = ["5\",x", "7,\"y, \"\"z\"\"\"\"\"", "\"a\"b\"c,8"];
        assert_eq!(found, expected.map(|text| Some(text.to_owned())));
    }

    #[test]
    fn a_line_with_broken_quoting_becomes_a_sample() {
        let file = "a,b,\"Failure Description\"\n\
                    1,\"size 5,\"Text after a closing quote - write it twice, or set quote\"\n\
                    2,\"size 6,\"Text after a closing quote - write it twice, or set quote\"\n\
                    3,x,\"FLOAT value expected\"\n";
        let messages = ["Text after a closing quote", "FLOAT value expected"];
        let found = find_samples(file.as_bytes(), messages.into_iter());
        assert_eq!(found, ["1,\"size 5", "3,x"].map(|text| Some(text.to_owned())));
    }

    #[test]
    fn a_header_that_quotes_the_description_is_skipped() {
        let file = "\"x,\"\"Failure Description\"\"\n\",b,\"Failure Description\"\n1,2,\"r\"\n";
        assert_eq!(find_samples(file.as_bytes(), ["r"].into_iter()), [Some("1,2".to_owned())]);
    }

    #[test]
    fn unrecognized_error_files_have_no_samples() {
        for file in ["", "a,b\n1,2\n", "\"Failure Description\"\n\"x\"\n", "a\n\n\n\"\n"] {
            assert_eq!(find_samples(file.as_bytes(), ["x"].into_iter()), [None], "{file:?}");
        }
    }
}
