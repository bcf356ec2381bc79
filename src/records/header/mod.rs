//! Reads the header of a data file, maps its columns by the manifest, and makes the schema of the
//! batches.

pub mod columns;
pub mod delimiter;
pub mod open;
pub mod plan;
pub mod schema;

use std::borrow::Cow;
use std::io::Read;

use self::delimiter::{delimiter_finding, likely_delimiter, separator_line};
use crate::config::Limits;
use crate::manifest::{DELIMITER_SUBSTITUTE, Encoding, Manifest, Quoting, failure_of};
use crate::records::csv::blocks::{Block, FilePiece, Splitter};
use crate::records::csv::dialect::Dialect;
use crate::records::csv::lexer::{BrokenQuoting, Span, lex};
use crate::records::csv::line_count::count_lines;
use crate::records::csv::record_ends::RecordEnds;
use crate::records::input::wide_delimiter::exchanged;
use crate::report::Failure;
use crate::sanitize::printable_start;

/// The byte order mark in UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The maximum number of characters of the header that a message contains.
const QUOTED: usize = 200;

/// The first record of a data file, which has the names of the columns.
pub struct Header {
    /// The unescaped cells of the header. White space at their start and end is kept.
    pub names: Vec<String>,
    /// The text of the header in UTF-8, without its line end.
    pub raw: Vec<u8>,
    /// The line number of the header in the data file.
    pub line: u64,
    /// The quoted text of the header for messages.
    pub quoted_line: String,
    /// The `sep=` line before the header, with its line end; empty if the file has no such line.
    pub separator_line: Vec<u8>,
    /// The dialect from the manifest. If the file has a `sep=` line, the delimiter of this line
    /// replaces the delimiter from the manifest.
    pub dialect: Dialect,
    /// The delimiter that the file seems to have. `None` if the dialect seems to have the right
    /// delimiter.
    likely_delimiter: Option<u8>,
    /// The rest of the block that contained the header. The rest begins with the line end of the
    /// header.
    pub rest: Block,
}

impl Header {
    /// Reads the header of a data file: the first line that is not empty and does not consist only
    /// of delimiters. `encoding` is the encoding of the file.
    pub fn read<R: Read>(
        splitter: &mut Splitter<R>,
        manifest: &Manifest,
        encoding: Encoding,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let mut dialect = Dialect::of(manifest);
        let quoted_line = |line, raw: &[u8]| quoted_line(line, raw, manifest.wide_delimiter);
        let beginning = splitter.beginning()?;
        let marks = beginning.len() - without_marks(beginning).len();
        let separator = separator_line(&beginning[marks..]);
        let end = marks + separator.map_or(0, |separator| separator.length);
        let separator_line = beginning[marks..end].to_vec();
        splitter.skip(end);
        if let Some(separator) = separator {
            dialect.delimiter = separator.delimiter;
            if dialect.quoting == Quoting::None && separator.delimiter == b' ' {
                let detail =
                    "line 1 has sep= with a space, which a file without quoting can't have";
                return Err(Failure::unreadable(detail));
            }
            splitter.set_delimiter(separator.delimiter);
        }
        loop {
            let mut block = match splitter.next()? {
                None => return Err(Failure::unreadable("the file is empty")),
                Some(FilePiece::TooLong { line, start, .. }) => {
                    let detail = format!("the header is too long; {}", quoted_line(line, &start));
                    return Err(Failure::unreadable(detail));
                }
                Some(FilePiece::Block(block)) => block,
            };
            let Some(start) = first_record(&block.text, dialect.delimiter) else { continue };
            let length = RecordEnds::new(dialect).first_end(&block.text[start..]);
            let end = length.map_or(block.text.len(), |length| start + length);
            let raw = block.text[start..end].to_vec();
            let line = block.first_line + count_lines(&block.text[..start]);
            let likely_delimiter = likely_delimiter(&block.text[start..], dialect);
            let names = names(&raw, dialect, manifest.wide_delimiter, encoding, limits).map_err(
                |detail| match likely_delimiter {
                    Some(likely) => failure_of(&[delimiter_finding(likely, &separator_line)]),
                    _ => Failure::unreadable(format!("{detail}; {}", quoted_line(line, &raw))),
                },
            )?;
            // The line end of the header stays in the block. The lexer treats it as an empty line
            // and skips it.
            block.first_line += count_lines(&block.text[..end]);
            block.text.drain(..end);
            return Ok(Self {
                names,
                line,
                separator_line,
                dialect,
                quoted_line: quoted_line(line, &raw),
                likely_delimiter,
                raw,
                rest: block,
            });
        }
    }

    /// Returns the failure of a data file whose header does not fit the manifest. The text of the
    /// failure contains `findings`.
    pub fn failure(&self, findings: &[String]) -> Failure {
        if let Some(likely) = self.likely_delimiter {
            return failure_of(&[delimiter_finding(likely, &self.separator_line)]);
        }
        let mut failure = failure_of(findings);
        failure.detail = format!("{}; {}", failure.detail, self.quoted_line);
        failure
    }
}

fn quoted_line(line: u64, raw: &[u8], wide_delimiter: Option<char>) -> String {
    let raw = original(raw, wide_delimiter);
    let text = String::from_utf8_lossy(&raw);
    let cut = if text.chars().nth(QUOTED).is_some() { "…" } else { "" };
    format!("line {line} was taken as the header: {}{cut}", printable_start(&text, QUOTED))
}

/// Returns `text` with the original delimiter of the data file.
fn original(text: &[u8], wide_delimiter: Option<char>) -> Cow<'_, [u8]> {
    wide_delimiter.map_or(Cow::Borrowed(text), |delimiter| exchanged(delimiter, text))
}

/// Returns `text` without the byte order marks at its start. A file can have more than one: a tool
/// that reads a mark as an ordinary character writes another mark before it.
pub fn without_marks(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK) {
        text = rest;
    }
    text
}

/// Returns the position of the first line that is not empty and does not consist only of
/// delimiters.
fn first_record(text: &[u8], delimiter: u8) -> Option<usize> {
    let mut start = 0;
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if line.iter().any(|byte| *byte != delimiter) {
            return Some(start);
        }
        start += line.len() + 1;
    }
    None
}

/// Returns the cells of the header. The error is the reason why the line is not a valid header.
fn names(
    raw: &[u8],
    dialect: Dialect,
    wide_delimiter: Option<char>,
    encoding: Encoding,
    limits: &Limits,
) -> Result<Vec<String>, String> {
    let text = original(raw, wide_delimiter);
    let text = std::str::from_utf8(&text).map_err(|_| {
        "the header has bytes that are invalid in the file's encoding: save the file as UTF-8, or \
         name its encoding in the manifest"
    })?;
    let delimiter = match wide_delimiter {
        Some(wide) if dialect.delimiter == DELIMITER_SUBSTITUTE => wide,
        _ => char::from(dialect.delimiter), // that of a sep= line, if there is one
    };
    let is_plain = |c: char| matches!(c, '\t' | '\r' | '\n') || c == delimiter;
    if text.contains(|c: char| c.is_control() && !is_plain(c)) {
        let hint = match encoding {
            Encoding::Utf8 => " (for UTF-16, name the encoding in the manifest)",
            _ => "",
        };
        return Err(format!("the header has control characters, so the file is not CSV{hint}"));
    }
    let lexed = lex(raw, dialect, usize::MAX);
    if let Some(how) = lexed.records.first().and_then(|record| record.broken) {
        let what = match how {
            BrokenQuoting::TextAfterQuote => {
                "the header has text after a closing quote: write a quote inside a name twice, or \
                 set escape/quote in the manifest"
            }
            BrokenQuoting::SpaceBeforeQuote => {
                "the header has a space before the quote of a name with a delimiter inside: remove \
                 the space"
            }
        };
        return Err(what.to_owned());
    }
    let (columns, max) = (lexed.cells.len(), limits.max_columns);
    if columns > max {
        return Err(format!("the header has {columns} columns, at most {max} are allowed"));
    }
    let all = [raw, &lexed.unquoted].concat();
    let name = |range| String::from_utf8_lossy(&original(&all[range], wide_delimiter)).into_owned();
    Ok(lexed.cells.iter().map(|cell: &Span| name(cell.range())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Quoting;
    use crate::records::csv::lexer::RecordSpan;
    use crate::records::input::decode::Utf8Stream;
    use crate::records::input::source::Meter;

    const COMMA: Dialect = Dialect { delimiter: b',', quoting: Quoting::Doubled };

    fn read(text: &[u8]) -> Result<Header, Failure> {
        let (stream, head) = Utf8Stream::open(text, None).unwrap();
        let mut splitter = Splitter::new(stream, Meter::default(), COMMA, 1000);
        let manifest = br#"{"type":"event","fileName":"e.csv","clientEmail":"a@b.example"}"#;
        let manifest = Manifest::parse(manifest, &Limits::default()).unwrap();
        Header::read(&mut splitter, &manifest, head.encoding, &Limits::default())
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

        #[test]
        fn the_header_is_the_first_record(text in "[ab,\"\r\n]{0,40}") {
            let text = text.as_bytes();
            let lexed = lex(text, COMMA, usize::MAX);
            let Ok(header) = read(text) else { return Ok(()) };
            let is_padding = |record: &&RecordSpan| {
                text[record.start as usize..record.end as usize].iter().all(|byte| *byte == b',')
            };
            let at = lexed.records.iter().take_while(is_padding).count();
            let first = lexed.records[at];
            proptest::prop_assert_eq!(first.broken, None);
            let end = first.end as usize;
            proptest::prop_assert_eq!(&*header.raw, &text[first.start as usize..end]);
            let all = [text, &lexed.unquoted].concat();
            let cells = lexed.cells[first.cells as usize..][..first.fields as usize].iter();
            let names: Vec<_> = cells.map(|cell| &all[cell.range()]).collect();
            let found: Vec<_> = header.names.iter().map(String::as_bytes).collect();
            proptest::prop_assert_eq!(found, names);
            proptest::prop_assert_eq!(header.rest.first_line, 1 + count_lines(&text[..end]));
            proptest::prop_assert!(text[end..].starts_with(&header.rest.text));
        }
    }

    #[test]
    fn reading_skips_marks_and_the_separator_line() {
        let header = read("\u{feff}\u{feff}sep=;\r\n;;\r\nidentity;a\r\n".as_bytes()).ok().unwrap();
        assert_eq!((header.line, header.dialect.delimiter), (3, b';'));
        assert_eq!(header.separator_line, b"sep=;\r\n");
        assert_eq!(header.names, ["identity", "a"]);
    }

    #[test]
    fn messages_quote_the_line_of_the_header() {
        let error = |text: &[u8]| read(text).err().unwrap().detail;
        let long = format!("\n{}\x02\n", "x".repeat(200));
        let end = format!("; line 2 was taken as the header: {}…", "x".repeat(200));
        assert!(error(long.as_bytes()).ends_with(&end));
        let end = "; line 1 was taken as the header: i\\u{2},\u{fffd}";
        assert!(error(b"i\x02,\xFF\n").ends_with(end));
    }

    #[test]
    fn a_file_without_records_counts_as_empty() {
        for text in ["", "\n\r\n\r", "\u{feff}\u{feff}", ",,\n,", "sep=;"] {
            assert_eq!(read(text.as_bytes()).err().unwrap().detail, "the file is empty");
        }
    }
}
