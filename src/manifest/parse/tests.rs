//! Tests of every rule that applies to the manifest alone, without a data file.

use super::*;
use crate::manifest::PropertyType;
use crate::manifest::{Column, DateFormat, Quoting};

fn read(text: &str) -> Result<Manifest, ManifestErrors> {
    Manifest::parse(text.as_bytes(), &Limits::default())
}

/// Parses the smallest valid manifest, to which the keys in `more` are added.
fn with(more: &str) -> Result<Manifest, ManifestErrors> {
    read(&format!(r#"{{"type":"event","fileName":"e.csv","clientEmail":"a@b.example"{more}}}"#))
}

fn findings(text: &str) -> Vec<String> {
    with(text).unwrap_err().findings
}

#[test]
fn minimal_manifest_and_byte_order_mark_are_accepted() {
    let plain = with("").unwrap();
    assert_eq!((plain.delimiter, plain.encoding, plain.dry_run), (b',', None, false));
    let marked =
        "\u{feff}{\"type\":\"EVENT\",\"fileName\":\"e.csv\",\"clientEmail\":\"a@b.example\"}";
    assert_eq!(read(marked).unwrap(), plain);
}

#[test]
fn every_optional_key_is_accepted() {
    let digest = "0123456789ABCDEFabcdef0123456789".repeat(2);
    let manifest = with(&format!(
        r#","columns":{{"d":{{"ctName":"When","dataType":"date","format":"dd/MM/yyyy HH:mm:ss"}},
           "n":{{"dataType":"Long"}},"s":{{}}}},"size":12,"rows":3,"sha256":"{digest}",
           "delimiter":"\t","quote":"\"","escape":"\\","null":["\\N",""],"encoding":"UTF-16",
           "dryRun":true"#
    ))
    .unwrap();
    let when = Column {
        ct_name: Some("When".into()),
        data_type: PropertyType::Date,
        format: DateFormat::named("dd/MM/yyyy"),
    };
    assert_eq!(manifest.columns["d"], when);
    assert_eq!(manifest.columns["n"].data_type, PropertyType::Long);
    assert_eq!(manifest.columns["s"], Column::default());
    assert_eq!((manifest.size, manifest.rows, manifest.delimiter), (Some(12), Some(3), b'\t'));
    assert_eq!((manifest.encoding, manifest.dry_run), (Some(Encoding::Utf16Le), true));
    assert_eq!(manifest.quoting, Quoting::Backslash);
    assert_eq!(manifest.null, ["\\N", ""]);
    assert_eq!(manifest.sha256.unwrap()[..3], [0x01, 0x23, 0x45]);
    assert_eq!(manifest.warnings, Vec::<String>::new());
}

#[test]
fn all_mistakes_in_a_manifest_are_reported() {
    let errors = read(
        r#"{"type":"events","filename":"e.csv","clientEmail":"nobody","size":-1,"rows":1.5,
            "sha256":"ab","delimiter":"ab","encoding":"latin9","dryRun":"yes","columns":[]}"#,
    )
    .unwrap_err();
    assert_eq!(
        errors.findings,
        [
            r#"write "filename" as "fileName""#,
            r#"type must be "event" or "profile", not "events""#,
            r#"clientEmail must be one valid email address, not "nobody""#,
            "columns must be an object, not a list",
            "size must be the data file's size in bytes, a whole number, not -1",
            "rows must be the number of records after the header, a whole number, not 1.5",
            r#"sha256 must be the data file's SHA-256, 64 hexadecimal digits, not "ab""#,
            r#"delimiter must be one character such as ",", ";", "|", "\t" or "\u0001", and no quote, line end or NUL, not "ab""#,
            r#"encoding must be one of utf-8, utf-16, utf-16le, utf-16be, windows-1252, not "latin9""#,
            r#"dryRun must be true or false, not "yes""#,
        ]
    );
    assert!(!errors.syntax);
    let failure = errors.into_failure();
    assert_eq!(failure.message.as_str(), "Incorrect details in manifest file");
    assert!(failure.detail.contains(r#"not "events"; clientEmail must"#));
}

#[test]
fn quotes_are_doubled_escaped_or_ordinary() {
    for (more, quoting) in [
        ("", Quoting::Doubled),
        (r#","quote":"\"","escape":"\"""#, Quoting::Doubled),
        (r#","escape":"\\""#, Quoting::Backslash),
        (r#","quote":"""#, Quoting::None),
        (r#","quote":"","escape":"\"""#, Quoting::None),
    ] {
        assert_eq!(with(more).unwrap().quoting, quoting, "{more}");
    }
    assert_eq!(
        findings(r#","quote":"'","escape":"'""#),
        [
            r#"quote must be "\"", or "" for a file without quoting, not "'""#,
            r#"escape must be "\"" for quotes that are written twice, or "\\" for \", not "'""#,
        ]
    );
    assert_eq!(
        findings(r#","quote":"","escape":"\\","delimiter":" ""#),
        [
            r#"escape is for files with quoting: remove it, or quote """#,
            r#"a file without quoting (quote "") can't have a space as delimiter"#,
        ]
    );
}

#[test]
fn null_lists_have_length_limits() {
    assert_eq!(with(r#","null":[]"#).unwrap().null, Vec::<String>::new());
    let long = format!("[{:?}]", "x".repeat(65));
    let many = format!("[{}\"\"]", "\"\",".repeat(32));
    for null in ["\"NULL\"", "[1]", "[null]", &long, &many] {
        let found = findings(&format!(r#","null":{null}"#));
        let wanted = r#"null must be a list of at most 32 texts such as ["\\N", "NULL"], each of at most 64 bytes without NUL, not "#;
        assert!(found[0].starts_with(wanted), "{found:?}");
    }
}

#[test]
fn missing_mandatory_keys_are_errors() {
    let errors = read(r#"{"type":null}"#).unwrap_err();
    assert_eq!(
        errors.findings,
        ["type is missing", "fileName is missing", "clientEmail is missing"]
    );
}

#[test]
fn a_wrong_data_type_gets_a_hint() {
    assert_eq!(
        findings(r#","columns":{"age":{"dataType":"int"},"x":{"dataType":7}}"#),
        [
            r#"column "age": dataType "int" is not supported (use INTEGER), it must be one of STRING, INTEGER, FLOAT, BOOLEAN, LONG, DATE"#,
            r#"column "x": dataType 7 is not supported, it must be one of STRING, INTEGER, FLOAT, BOOLEAN, LONG, DATE"#,
        ]
    );
}

#[test]
fn duplicate_keys_are_errors() {
    assert_eq!(
        findings(r#","type":"event","columns":{"a":{},"a":{"ctName":"x","ctName":"y"},"a":{}}"#),
        [
            r#"key "type" appears twice"#,
            r#"column "a" is mapped twice"#,
            r#"column "a": key "ctName" appears twice"#
        ]
    );
}

#[test]
fn columns_need_valid_names_and_formats() {
    assert_eq!(
        findings(r#","columns":{"a":"x","b":{"ctName":" "},"c":{"format":"yy/MM"}}"#),
        [
            r#"column "a" must be an object with ctName and dataType, not "x""#,
            r#"column "b": ctName must be a name, not " ""#,
            r#"column "c": format "yy/MM" is not supported, it must be one of dd/MM/yyyy, MM/dd/yyyy, yyyy/dd/MM, yyyy/MM/dd or dd MMM yyyy (with /, - or . between) or yyyyMMdd, each with or without HH:mm or HH:mm:ss, or epoch or epoch-ms"#,
        ]
    );
}

#[test]
fn unknown_keys_are_warnings() {
    let manifest = with(r#","owner":"x","columns":{"a":{"type":"x"}}"#).unwrap();
    assert_eq!(
        manifest.warnings,
        [r#"column "a": key "type" is not known"#, r#"the manifest's key "owner" is not known"#]
    );
}

#[test]
fn syntax_errors_have_line_and_column() {
    let errors = read("{\n  \"type\": event\n}").unwrap_err();
    assert_eq!(
        errors.findings,
        ["the manifest is not valid JSON: line 2, column 11: text without quotes: write \"event\""]
    );
    assert!(errors.syntax);
    let errors = Manifest::parse(b"{\n\"type\xff\"", &Limits::default()).unwrap_err();
    let expected =
        "the manifest is not UTF-8 text: line 2, column 6 has the byte 0xFF; save it as UTF-8";
    assert_eq!(errors.findings, [expected]);
    assert!(errors.syntax);
    assert!(read("").unwrap_err().syntax);
    assert!(!read("[]").unwrap_err().syntax);
}

#[test]
fn utf16_manifest_yields_its_contact() {
    let text = r#"{"fileName":"e.csv","clientEmail":"a@b.example"}"#;
    for bytes in [
        text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ] {
        let errors = Manifest::parse(&bytes, &Limits::default()).unwrap_err();
        assert_eq!(errors.findings, ["the manifest is UTF-16 text: save it as UTF-8"]);
        assert_eq!(errors.client_email.as_deref(), Some("a@b.example"));
        assert!(errors.syntax);
    }
}

/// The value of a misspelled key is checked like the value of the right key.
#[test]
fn values_of_misspelled_keys_are_checked() {
    let errors = findings(r#","DryRun":"yes","ROWS":2.0"#);
    assert_eq!(
        errors,
        [
            r#"write "DryRun" as "dryRun""#,
            r#"write "ROWS" as "rows""#,
            "rows must be the number of records after the header, a whole number, not 2.0",
            r#"dryRun must be true or false, not "yes""#,
        ]
    );
}

#[test]
fn data_file_is_read_if_format_is_known() {
    let readable = |text: &str| with(text).unwrap_err().readable.is_some();
    assert!(readable(r#","dryrun":true"#));
    assert!(readable(r#","columns":{"a":{"dataType":"int"}}"#));
    assert!(!readable(r#","delimiter":"ab""#));
    assert!(!readable(r#","encoding":"x""#));
    assert!(read(r#"{"type":"x","fileName":"e.csv"}"#).unwrap_err().readable.is_none());
}

#[test]
fn a_header_cannot_be_injected_into_mail() {
    for email in
        [r"a@b.example\r\nBcc: c@d.example", r"a@b.example\u0000", "a@b.example, c@d.example", ""]
    {
        let text = format!(r#"{{"type":"event","fileName":"e.csv","clientEmail":"{email}"}}"#);
        assert_eq!(read(&text).unwrap_err().findings.len(), 1, "{email:?}");
    }
}

#[test]
fn a_manifest_over_its_limit_is_not_parsed() {
    let errors = Manifest::parse(&vec![b' '; 1024 * 1024 + 1], &Limits::default()).unwrap_err();
    assert_eq!(
        errors.findings,
        ["the manifest is 1048577 bytes long, at most 1048576 are allowed"]
    );
}

#[test]
fn valid_values_are_kept_despite_other_errors() {
    let errors = with(r#","size":"big""#).unwrap_err();
    assert_eq!(errors.file_name.as_deref(), Some("e.csv"));
    assert_eq!(errors.client_email.as_deref(), Some("a@b.example"));
    assert_eq!(errors.data_type, Some(DataType::Event));
}

proptest::proptest! {
    #[test]
    fn the_parser_does_not_panic_on_any_bytes(bytes: Vec<u8>) {
        let _ = Manifest::parse(&bytes, &Limits::default());
    }

    #[test]
    fn the_parser_does_not_panic_on_any_json(text in r#"\{("(type|fileName|columns|x)":(\[|\]|\{|\}|"[a-z.]*"|[0-9]|null|,)*,?){0,8}\}?"#) {
        let _ = Manifest::parse(text.as_bytes(), &Limits::default());
    }
}
