//! A sample record for each rejection of a mail, from the beginning of the error file. Pure.
//!
//! Only the error file's own form is known here: a header whose last field is `"Failure
//! Description"`, and records whose last field, always quoted, holds the texts (`records::error_file`
//! writes it). What doesn't look so gives no samples.

/// How much of an error file is looked through, in bytes; its rejections mostly begin early.
pub(super) const HEAD: u64 = 256 * 1024;

/// The header's last field.
const DESCRIPTION: &[u8] = b"\"Failure Description\"";

/// For each of `messages` the first record in `head` whose reasons name it, as it stands in the
/// file, without its reasons.
pub(super) fn samples<'a>(
    head: &[u8],
    messages: impl Iterator<Item = &'a str>,
) -> Vec<Option<String>> {
    let records = records(head);
    let of = |message: &str| {
        let found = records.iter().find(|(_, why)| contains(why, message.as_bytes()))?;
        Some(String::from_utf8_lossy(found.0).trim().to_owned()).filter(|text| !text.is_empty())
    };
    messages.map(of).collect()
}

/// Each whole record after the header: its own fields, and the last one.
fn records(head: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut lines = lines(head).into_iter();
    let header = lines.next().and_then(|line| line.trim_ascii_end().strip_suffix(DESCRIPTION));
    let Some(delimiter) = header.and_then(|header| header.last().copied()) else {
        return Vec::new();
    };
    lines.filter_map(|line| line.split_at_checked(last_field(line, delimiter)?)).collect()
}

/// The records of `text`, line ends inside quotation marks being part of one; no cut one.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => {
                lines.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    lines
}

/// Where the delimiter before the last field of `line` is.
fn last_field(line: &[u8], delimiter: u8) -> Option<usize> {
    let (mut last, mut quoted) = (None, false);
    for (at, byte) in line.iter().enumerate() {
        quoted ^= *byte == b'"';
        if !quoted && *byte == delimiter {
            last = Some(at);
        }
    }
    last
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1)).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_of_each_reason_as_it_stands() {
        let file = "evtName;Note;\"Failure Description\"\r\n\
                    A;\"x;\r\n\"\"y\";\"INTEGER value expected - column Note; Event name is mandatory\"\r\n\
                    B;Event name is mandatory;\"FLOAT value expected\"\r\n\
                    C;cut off;\"BOOLEAN value expected\"";
        let messages =
            ["FLOAT value expected", "Event name is mandatory", "BOOLEAN value expected"];
        let found = samples(file.as_bytes(), messages.into_iter());
        let expected = [Some("B;Event name is mandatory"), Some("A;\"x;\r\n\"\"y\""), None];
        assert_eq!(found, expected.map(|text| text.map(str::to_owned)));
    }

    #[test]
    fn what_is_no_error_file_gives_none() {
        for file in ["", "a,b\n1,2\n", "\"Failure Description\"\n\"x\"\n", "a\n\n\n\"\n"] {
            assert_eq!(samples(file.as_bytes(), ["x"].into_iter()), [None], "{file:?}");
        }
    }
}
