//! The header of a data file: its columns, and the schema they give with the manifest.

pub mod columns;
pub mod open;
pub mod plan;
pub mod schema;

use std::io::Read;

use crate::config::Limits;
use crate::manifest::Encoding;
use crate::records::csv::blocks::{Block, FilePiece, Splitter};
use crate::records::csv::dialect::Dialect;
use crate::records::csv::lexer::{BrokenQuoting, Span, lex};
use crate::records::csv::line_count::count_lines;
use crate::records::csv::record_ends::RecordEnds;
use crate::report::Failure;

/// The first record of a data file.
pub struct Header {
    /// The cells, unescaped and with white space around them.
    pub names: Vec<String>,
    /// The record in UTF-8, without its line end.
    pub raw: Vec<u8>,
    /// The rest of its block. It begins with the header's line end.
    pub rest: Block,
}

impl Header {
    /// Reads the first record that is not an empty line. `encoding` is that of the file.
    pub fn read<R: Read>(
        splitter: &mut Splitter<R>,
        dialect: Dialect,
        encoding: Encoding,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        loop {
            let mut block = match splitter.next()? {
                None => return Err(Failure::unreadable("the file is empty")),
                Some(FilePiece::TooLong { .. }) => {
                    return Err(Failure::unreadable("the header is too long"));
                }
                Some(FilePiece::Block(block)) => block,
            };
            let Some(start) = block.text.iter().position(|b| !matches!(b, b'\n' | b'\r')) else {
                continue;
            };
            let length = RecordEnds::new(dialect).first_end(&block.text[start..]);
            let end = length.map_or(block.text.len(), |length| start + length);
            let raw = block.text[start..end].to_vec();
            let names = names(&raw, dialect, encoding, limits)?;
            // The line end stays in the block. The lexer skips it as an empty line.
            block.first_line += count_lines(&block.text[..end]);
            block.text.drain(..end);
            return Ok(Self { names, raw, rest: block });
        }
    }
}

fn names(
    raw: &[u8],
    dialect: Dialect,
    encoding: Encoding,
    limits: &Limits,
) -> Result<Vec<String>, Failure> {
    let text = std::str::from_utf8(raw).map_err(|_| {
        Failure::unreadable(
            "the header has bytes that are invalid in the file's encoding: save the file as \
             UTF-8, or name its encoding in the manifest",
        )
    })?;
    if text.contains(|c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n')) {
        let hint = match encoding {
            Encoding::Utf8 => " (for UTF-16, name the encoding in the manifest)",
            _ => "",
        };
        let detail = format!("the header has control characters, it is not CSV{hint}");
        return Err(Failure::unreadable(detail));
    }
    let lexed = lex(raw, dialect, usize::MAX);
    if let Some(how) = lexed.records.first().and_then(|record| record.broken) {
        return Err(Failure::unreadable(match how {
            BrokenQuoting::TextAfterQuote => {
                "the header has text after a closing quote: write a quote inside a name twice, or \
                 set escape/quote in the manifest"
            }
            BrokenQuoting::SpaceBeforeQuote => {
                "the header has a space before the quote of a name with a delimiter inside: remove \
                 the space"
            }
        }));
    }
    let (columns, max) = (lexed.cells.len(), limits.max_columns);
    if columns > max {
        let detail = format!("the header has {columns} columns, at most {max} are allowed");
        return Err(Failure::unreadable(detail));
    }
    let all = [raw, &lexed.unquoted].concat();
    let name = |range| String::from_utf8_lossy(&all[range]).into_owned();
    Ok(lexed.cells.iter().map(|cell: &Span| name(cell.range())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Quoting;
    use crate::records::input::decode::Utf8Stream;
    use crate::records::input::source::Meter;

    const COMMA: Dialect = Dialect { delimiter: b',', quoting: Quoting::Doubled };

    fn read(text: &[u8]) -> Result<Header, Failure> {
        let (stream, head) = Utf8Stream::open(text, None).unwrap();
        let mut splitter = Splitter::new(stream, Meter::default(), COMMA, 1000);
        Header::read(&mut splitter, COMMA, head.encoding, &Limits::default())
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

        #[test]
        fn the_header_is_the_first_record(text in "[ab,\"\r\n]{0,40}") {
            let text = text.as_bytes();
            let lexed = lex(text, COMMA, usize::MAX);
            let Ok(header) = read(text) else { return Ok(()) };
            let first = lexed.records[0];
            proptest::prop_assert_eq!(first.broken, None);
            let end = first.end as usize;
            proptest::prop_assert_eq!(&*header.raw, &text[first.start as usize..end]);
            let all = [text, &lexed.unquoted].concat();
            let cells = lexed.cells[..first.fields as usize].iter();
            let names: Vec<_> = cells.map(|cell| &all[cell.range()]).collect();
            let found: Vec<_> = header.names.iter().map(String::as_bytes).collect();
            proptest::prop_assert_eq!(found, names);
            proptest::prop_assert_eq!(header.rest.first_line, 1 + count_lines(&text[..end]));
            proptest::prop_assert!(text[end..].starts_with(&header.rest.text));
        }
    }

    #[test]
    fn a_file_without_a_record_is_empty() {
        for text in ["", "\n\r\n\r"] {
            assert_eq!(read(text.as_bytes()).err().unwrap().detail, "the file is empty");
        }
    }
}
