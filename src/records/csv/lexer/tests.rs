//! Compares the lexer with the `csv` crate, and tests the places it returns.

use super::*;

/// Returns the text of the cells by record.
fn cells(text: &[u8], delimiter: u8) -> Vec<Vec<Vec<u8>>> {
    let lexed = lex(text, delimiter, usize::MAX);
    let all = [text, &lexed.unquoted].concat();
    let cell = |span: &Span| all[span.range()].to_vec();
    lexed
        .records
        .iter()
        .map(|r| lexed.cells[r.cells as usize..][..r.fields as usize].iter().map(cell).collect())
        .collect()
}

fn by_csv_crate(text: &[u8], delimiter: u8) -> Vec<Vec<Vec<u8>>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text)
        .byte_records()
        .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
        .collect()
}

#[test]
fn matches_the_csv_crate_in_odd_cases() {
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
        assert_eq!(cells(text.as_bytes(), b','), by_csv_crate(text.as_bytes(), b','), "{text:?}");
    }
}

#[test]
fn lines_count_quoted_newlines_and_empty_lines() {
    let lexed = lex(b"a\n\n\"b\r\nb\",\"\n\"\r\nc\rd\n", b',', usize::MAX);
    let lines: Vec<_> = lexed.records.iter().map(|record| record.line).collect();
    assert_eq!(lines, [0, 2, 5, 6]);
}

#[test]
fn a_record_is_where_its_bytes_are() {
    let text = b"a,b\r\n\"x\ny\",z\n\nlast";
    let lexed = lex(text, b',', usize::MAX);
    let records: Vec<_> =
        lexed.records.iter().map(|r| &text[r.start as usize..r.end as usize]).collect();
    assert_eq!(records, [&b"a,b"[..], b"\"x\ny\",z", b"last"]);
}

#[test]
fn extra_fields_are_counted_but_not_kept() {
    let lexed = lex(b"a,b,c\n1\n2,3\n", b',', 2);
    let fields: Vec<_> = lexed.records.iter().map(|r| (r.fields, r.cells)).collect();
    assert_eq!(fields, [(3, 0), (1, 2), (2, 3)]);
    assert_eq!(lexed.cells.len(), 5);
}

#[test]
fn raw_fields_keep_their_quotes() {
    let record = b"\"a,\"\"b\"x,,c\"d";
    let raw: Vec<_> = raw_fields(record, b',').into_iter().map(|f| &record[f]).collect();
    assert_eq!(raw, [&b"\"a,\"\"b\"x"[..], b"", b"c\"d"]);
    assert_eq!(raw_fields(b"", b',').len(), 1, "one empty field");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    #[test]
    fn matches_the_csv_crate(text in "[ab,;\"\r\n\u{e9}]{0,60}") {
        for delimiter in [b',', b';'] {
            let text = text.as_bytes();
            proptest::prop_assert_eq!(cells(text, delimiter), by_csv_crate(text, delimiter));
        }
    }

    #[test]
    fn matches_the_csv_crate_without_quotes(text in "[a-z,\n]{0,100}") {
        let text = text.as_bytes();
        proptest::prop_assert_eq!(cells(text, b','), by_csv_crate(text, b','));
    }

    #[test]
    fn raw_fields_are_as_many_as_cells(text in "[ab,\"\r\n]{0,40}") {
        let lexed = lex(text.as_bytes(), b',', usize::MAX);
        for record in lexed.records {
            let raw = &text.as_bytes()[record.start as usize..record.end as usize];
            proptest::prop_assert_eq!(raw_fields(raw, b',').len(), record.fields as usize);
        }
    }
}
