//! Compares the lexer with the `csv` crate, and tests the positions that the lexer returns.

use super::*;
use crate::records::csv::fields::RawFields;

const COMMA: Dialect = Dialect { delimiter: b',', quoting: Quoting::Doubled };

/// The expected result for a record: its cells, or one line of a record whose quoting is broken.
#[derive(Clone, Debug, PartialEq)]
enum Lexed {
    Cells(Vec<Vec<u8>>),
    Broken(Vec<u8>),
}

/// Returns the records that the lexer finds in `text`, with their cells.
fn cells(text: &[u8], dialect: Dialect) -> Vec<Lexed> {
    let lexed = lex(text, dialect, usize::MAX);
    let all = [text, &lexed.unquoted].concat();
    let cell = |span: &Span| all[span.range()].to_vec();
    let record = |r: &RecordSpan| match r.broken {
        None => Lexed::Cells(
            lexed.cells[r.cells as usize..][..r.fields as usize].iter().map(cell).collect(),
        ),
        Some(_) => Lexed::Broken(text[r.start as usize..r.end as usize].to_vec()),
    };
    lexed.records.iter().map(record).collect()
}

/// Returns the expected result of the lexer: the records that the `csv` crate finds. A record whose
/// quoting is broken by [`is_broken`] is replaced by its lines.
fn by_csv_crate(text: &[u8], dialect: Dialect) -> Vec<Lexed> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(dialect.delimiter);
    builder.quoting(dialect.quoting != Quoting::None);
    if dialect.quoting == Quoting::Backslash {
        builder.escape(Some(b'\\'));
    }
    let mut reader = builder.from_reader(text);
    let (mut found, mut record) = (Vec::new(), csv::ByteRecord::new());
    let mut start = 0;
    while reader.read_byte_record(&mut record).unwrap() {
        let end = reader.position().byte() as usize;
        let raw = &text[std::mem::replace(&mut start, end)..end];
        let begin = raw.iter().position(|byte| !matches!(byte, b'\n' | b'\r'));
        let raw = &raw[begin.unwrap_or(0)..];
        if is_broken(raw, dialect) {
            found.extend(lines(raw).map(|line| Lexed::Broken(line.to_vec())));
        } else {
            found.push(Lexed::Cells(record.iter().map(<[u8]>::to_vec).collect()));
        }
    }
    found
}

/// Returns the lines of `text` that are not empty.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty())
}

/// Returns whether the quoting of a record is broken. Reads the record byte by byte, unlike the
/// lexer.
fn is_broken(record: &[u8], dialect: Dialect) -> bool {
    if dialect.quoting == Quoting::None {
        return false;
    }
    let mut bytes = record.iter().copied().peekable();
    let mut cell = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'"' && cell.is_empty() {
            loop {
                match bytes.next() {
                    None => return true,
                    Some(b'\\') if dialect.quoting == Quoting::Backslash => drop(bytes.next()),
                    Some(b'"') if bytes.peek() == Some(&b'"') => drop(bytes.next()),
                    Some(b'"') => break,
                    Some(_) => {}
                }
            }
            if bytes.peek().is_some_and(|next| !dialect.ends_cell(*next)) {
                return true;
            }
        } else if dialect.ends_cell(byte) {
            cell.clear();
        } else {
            cell.push(byte);
            let rest: Vec<u8> =
                bytes.clone().take_while(|byte| !dialect.ends_cell(*byte)).collect();
            let spaces = cell.iter().all(|byte| *byte == b' ');
            if spaces && rest.first() == Some(&b'"') && is_broken(&rest, dialect) {
                // The recursive call also returns true for text after a closing quote. That case
                // does not count here, so the function checks for the missing closing quote.
                let (close, _) = dialect.closing_quote(&rest, 0);
                if close == rest.len() {
                    return true;
                }
            }
        }
    }
    false
}

#[test]
fn lexer_and_csv_crate_agree_in_special_cases() {
    for text in [
        "",
        "a",
        "a,b\n",
        "a,\n",
        ",",
        "\n\n\na\n\n",
        "\"\"",
        "\"a\"b,c",
        "a\"b\",c",
        "\"a\"\"b\"\n",
        "\"a\nb\",c\r\nd",
        "a\rb\r\nc\nd",
        "\"a\"b\"c,d\"\n",
        "\"unclosed\n,",
        "\"a\"\r\n\"b\"",
        "\"\"\"\"",
        "\"a\" ,b",
        " \"a\",b",
        "\r\n\r\n",
        "a,b\n\"\"\n,\n",
    ] {
        assert_eq!(cells(text.as_bytes(), COMMA), by_csv_crate(text.as_bytes(), COMMA), "{text:?}");
    }
}

#[test]
fn line_numbers_count_quoted_and_empty_lines() {
    let lexed = lex(b"a\n\n\"b\r\nb\",\"\n\"\r\nc\rd\n", COMMA, usize::MAX);
    let lines: Vec<_> = lexed.records.iter().map(|record| record.line).collect();
    assert_eq!(lines, [0, 2, 5, 6]);
}

#[test]
fn record_spans_cover_the_bytes_of_records() {
    let text = b"a,b\r\n\"x\ny\",z\n\nlast";
    let lexed = lex(text, COMMA, usize::MAX);
    let records: Vec<_> =
        lexed.records.iter().map(|r| &text[r.start as usize..r.end as usize]).collect();
    assert_eq!(records, [&b"a,b"[..], b"\"x\ny\",z", b"last"]);
}

#[test]
fn fields_beyond_the_width_are_only_counted() {
    let lexed = lex(b"a,b,c\n1\n2,3\n", COMMA, 2);
    let fields: Vec<_> = lexed.records.iter().map(|r| (r.fields, r.cells)).collect();
    assert_eq!(fields, [(3, 0), (1, 2), (2, 3)]);
    assert_eq!(lexed.cells.len(), 5);
}

#[test]
fn records_with_broken_quoting_become_lines() {
    let text = b"a,\"b\nc\"d\r\n\ne,f\n\"g\" h,\"i\r\n\r\nj\"\nk, \"l, m\"\nn";
    let records = lex(text, COMMA, usize::MAX).records;
    let found: Vec<_> = records
        .iter()
        .map(|r| (&text[r.start as usize..r.end as usize], r.line, r.fields, r.broken))
        .collect();
    let after = Some(BrokenQuoting::TextAfterQuote);
    let expected: [(&[u8], _, _, _); 7] = [
        (b"a,\"b", 0, 0, after),
        (b"c\"d", 1, 0, after),
        (b"e,f", 3, 2, None),
        (b"\"g\" h,\"i", 4, 0, after),
        (b"j\"", 6, 0, after),
        (b"k, \"l, m\"", 7, 0, Some(BrokenQuoting::SpaceBeforeQuote)),
        (b"n", 8, 1, None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn spaces_and_quotes_inside_a_cell_are_text() {
    for text in ["a, \"b\",c", "a, \"b\" c,d", "a,12\" x", "a,x \"b,c\"", "a, b \"c,d", "a, ,\"b\""]
    {
        let records = lex(text.as_bytes(), COMMA, usize::MAX).records;
        assert!(records.iter().all(|record| record.broken.is_none()), "{text}");
    }
}

#[test]
fn a_backslash_escapes_quotes_and_itself() {
    let dialect = Dialect { quoting: Quoting::Backslash, ..COMMA };
    let text = br#""a\"b\\c\n""d",e\"f,"g\\""#;
    let expected = [&br#"a"b\c\n"d"#[..], br#"e\"f"#, br#"g\"#].map(<[u8]>::to_vec);
    assert_eq!(cells(text, dialect), [Lexed::Cells(expected.into())]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    #[test]
    fn the_lexer_matches_the_csv_crate(text in "[ab,;\" \r\n\u{e9}]{0,60}") {
        for delimiter in [b',', b';'] {
            let (text, dialect) = (text.as_bytes(), Dialect { delimiter, ..COMMA });
            proptest::prop_assert_eq!(cells(text, dialect), by_csv_crate(text, dialect));
        }
    }

    #[test]
    fn lexer_and_csv_crate_agree_in_all_dialects(
        text in r#"([ab,;" \r\n]|""|\\"|\\\\|,"|",){0,30}"#,
    ) {
        for quoting in [Quoting::Backslash, Quoting::None] {
            let (text, dialect) = (text.as_bytes(), Dialect { quoting, ..COMMA });
            proptest::prop_assert_eq!(cells(text, dialect), by_csv_crate(text, dialect));
        }
    }

    #[test]
    fn lexer_and_csv_crate_agree_without_quotes(text in "[a-z,\n]{0,100}") {
        let text = text.as_bytes();
        proptest::prop_assert_eq!(cells(text, COMMA), by_csv_crate(text, COMMA));
    }

    #[test]
    fn every_line_belongs_to_one_record(text in "[ab,\" \\\\\r\n]{0,60}") {
        let text = text.as_bytes();
        for quoting in [Quoting::Doubled, Quoting::Backslash, Quoting::None] {
            let records = lex(text, Dialect { quoting, ..COMMA }, usize::MAX).records;
            let raw = |record: &RecordSpan| &text[record.start as usize..record.end as usize];
            let found: Vec<_> = records.iter().flat_map(|record| lines(raw(record))).collect();
            proptest::prop_assert_eq!(found, lines(text).collect::<Vec<_>>());
        }
    }

    #[test]
    fn raw_fields_and_cells_have_equal_counts(text in "[ab,\" \\\\\r\n]{0,40}") {
        for quoting in [Quoting::Doubled, Quoting::Backslash, Quoting::None] {
            let dialect = Dialect { quoting, ..COMMA };
            for record in lex(text.as_bytes(), dialect, usize::MAX).records {
                let raw = &text.as_bytes()[record.start as usize..record.end as usize];
                let found = RawFields::of(raw, dialect);
                if record.broken.is_none() {
                    let fields = record.fields as usize;
                    proptest::prop_assert_eq!((found.fields.len(), found.is_broken), (fields, false));
                }
            }
        }
    }
}
