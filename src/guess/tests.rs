//! Tests of guesses that are not covered by the corpus of exported files.

use super::*;
use crate::config::Limits;
use crate::manifest::{Encoding, Manifest, Quoting};
use crate::report::{DataType, Failure};

/// Proposes a manifest for a file with the given answers.
fn guess_with(text: &[u8], answers: &Answers) -> Result<Proposal, Failure> {
    let limits = Limits::default();
    let text_guess = guess_text(text, answers, &limits);
    let mut manifest = Manifest::new(DataType::Profile, "e.csv", "a@b.example");
    text_guess.describe(&mut manifest);
    let survey = Survey::read(text, "e.csv", &manifest, &limits, &mut |_, _| {})?;
    let draft = Draft { file_name: "e.csv", client_email: "a@b.example" };
    propose(&text_guess, &survey, answers, draft)
}

fn guess(text: &str) -> Proposal {
    guess_with(text.as_bytes(), &Answers::default()).unwrap()
}

/// Returns the name and the type of each column in the proposal.
fn columns(proposal: &Proposal) -> Vec<String> {
    let column = |column: &ProposedColumn| {
        let kind = column.data_type.map_or("", |kind| kind.as_str());
        let becomes = column.becomes.as_deref().unwrap_or("-");
        format!("{becomes} {kind}").trim_end().to_owned()
    };
    proposal.columns.iter().map(column).collect()
}

/// Returns the name and the type of a property with the given values, in a file of profiles.
fn type_of(header: &str, values: &[&str]) -> String {
    let mut text = format!("identity\t{header}\n");
    for (number, value) in values.iter().enumerate() {
        text.push_str(&format!("u{number}\t{value}\n"));
    }
    let answers = Answers { delimiter: Some(b'\t'), ..Answers::default() };
    let proposal = guess_with(text.as_bytes(), &answers).unwrap();
    columns(&proposal)[1].clone()
}

#[test]
fn all_column_values_must_have_the_guessed_type() {
    for (values, kind) in [
        (&["1", "-7", "2147483647"][..], "a INTEGER"),
        (&["1", "2147483648"], "a LONG"),
        (&["1", "2.5", ""], "a FLOAT"),
        (&["1", "x"], "a STRING"),
        (&["true", "N", "1"], "a BOOLEAN"),
        (&["0", "1"], "a INTEGER"),
        (&["25/12/2020", "01/02/2020"], "a DATE"),
        (&["", ""], "a STRING"),
    ] {
        assert_eq!(type_of("a", values), kind, "{values:?}");
    }
    assert_eq!(type_of("is_a", &["0", "1"]), "is_a BOOLEAN");
}

#[test]
fn codes_and_long_numbers_become_strings() {
    for value in ["007", "+4930", " 5", "01.5", "12345678901234567890", "1,5", "$D_7", "1e5x"] {
        assert_eq!(type_of("a", &[value, "7"]), "a STRING", "{value}");
    }
    // A FLOAT cannot store all digits of the first number.
    assert_eq!(type_of("a", &["1234567890123456789", "0.5"]), "a STRING");
}

#[test]
fn the_encoding_is_guessed_from_the_bytes() {
    let limits = Limits::default();
    let encoding = |head: &[u8]| guess_text(head, &Answers::default(), &limits).encoding;
    assert_eq!(encoding(b"\xEF\xBB\xBFidentity\n"), None);
    assert_eq!(encoding("identity,\u{e4}\n".as_bytes()), None);
    assert_eq!(encoding(b"identity,caf\xE9\n"), Some(Encoding::Windows1252));
    let utf_16: Vec<u8> = "identity,a\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(encoding(&utf_16), Some(Encoding::Utf16Be));
    // A few broken characters do not mean that the file has another encoding.
    let broken = guess_text("\u{e4}\u{e9}\u{fc},b\n".as_bytes(), &Answers::default(), &limits);
    assert_eq!(broken.notes, [""; 0]);
    let broken = ["\u{e4}\u{e9}\u{fc},b\n".as_bytes(), b"\xC3,\n"].concat();
    let broken = guess_text(&broken, &Answers::default(), &limits);
    assert_eq!((broken.encoding, broken.notes.len()), (None, 1));
}

#[test]
fn the_delimiter_with_equal_field_counts_is_guessed() {
    let limits = Limits::default();
    let text = |text: &str| guess_text(text.as_bytes(), &Answers::default(), &limits);
    for (file, delimiter) in [
        ("identity,a\nj,1;2\n", b','),
        ("identity;a\nj;1,5\nk;2,5\n", b';'),
        ("identity|a|b\nj|1,2|3\n", b'|'),
        ("identity\ta\nj\t1\n", b'\t'),
        ("identity\nj\n", b','),
        ("sep=|\nidentity|a,b\nj|1\n", b'|'),
    ] {
        let guess = text(file);
        assert_eq!((guess.delimiter, guess.question), (delimiter, None), "{file:?}");
    }
    let both = text("a,b;c,d\n1,2;3,4\n");
    let question = both.question.unwrap();
    let labels: Vec<_> = question.choices.iter().map(|choice| &*choice.label).collect();
    assert_eq!(labels, [",", ";"]);
}

#[test]
fn the_quoting_that_breaks_fewest_records_wins() {
    let limits = Limits::default();
    let quoting = |text: &str| guess_text(text.as_bytes(), &Answers::default(), &limits).quoting;
    for (file, expected) in [
        ("identity,a\nj,\"1,\"\"2\"\"\"\n", Quoting::Doubled),
        ("identity,a\nj,\"1,\\\"2\\\"\"\nk,\"C:\\\\\"\n", Quoting::Backslash),
        ("identity,a\nj,\"1\" x\nk,\"\n", Quoting::None),
        ("identity,a\nj,1\n", Quoting::Doubled),
        ("identity,a\nj,1\nk,\"x\nl,2\n", Quoting::None),
        // The quoting of an incomplete file is still recognised.
        ("identity,a\nj,\"1\"\nk,\"2\"\nl,\"3", Quoting::Doubled),
    ] {
        assert_eq!(quoting(file), expected, "{file:?}");
    }
}

#[test]
fn column_names_determine_ids_and_times() {
    let events =
        guess("Event Name,time,CustomerID,e-mail,GUID,fb_id\nA,1793527200,c,j@x.example,g,f\n");
    assert_eq!(events.manifest.data_type, DataType::Event);
    assert_eq!(
        columns(&events),
        ["evtName", "ts INTEGER", "identity", "e-mail STRING", "objectId", "fbId"]
    );
    let profiles = guess("email,Full_Name,Zip\nj@x.example,Jane,01234\n");
    assert_eq!(columns(&profiles), ["identity", "Name STRING", "Zip STRING"]);
}

#[test]
fn columns_with_few_ids_are_not_id_columns() {
    let text = "user_id,email\n,a@x.example\n,b@x.example\nu3,c@x.example\n";
    assert_eq!(columns(&guess(text)), ["user_id STRING", "identity"]);
    let both = guess("user_id,device_id\nu1,\n,d2\n,d3\n");
    assert_eq!(columns(&both), ["identity", "objectId"]);
}

#[test]
fn property_names_are_valid_and_unique() {
    let proposal = guess("identity,a.b,a_b,A_B,ts,Failure Description\nj,1,2,3,x,y\n");
    assert_eq!(
        columns(&proposal),
        ["identity", "a_b 3 INTEGER", "a_b INTEGER", "A_B 2 INTEGER", "ts text STRING", "-"]
    );
}

#[test]
fn an_answer_selects_a_choice_by_label() {
    let text = "user_id,customer_id,due\nu,c,01/02/2020\n";
    let mut answers = Answers::default();
    let open = guess_with(text.as_bytes(), &answers).unwrap().questions;
    let topics: Vec<_> = open.iter().map(|question| question.topic.clone()).collect();
    assert_eq!(topics, [Topic::Identity, Topic::DateFormat("due".to_owned())]);
    for question in &open {
        answers.set(&question.topic, &question.choices[1].label);
    }
    let proposal = guess_with(text.as_bytes(), &answers).unwrap();
    assert_eq!(proposal.questions, []);
    assert_eq!(columns(&proposal), ["user_id STRING", "identity", "due DATE"]);
    let format = proposal.columns[2].format.map(|format| format.to_string());
    assert_eq!(format.as_deref(), Some("MM/dd/yyyy"));
}

#[test]
fn an_unlikely_id_column_must_be_confirmed() {
    let topics = |text: &str| {
        let questions = guess(text).questions;
        questions.into_iter().map(|question| question.topic).collect::<Vec<_>>()
    };
    assert_eq!(topics("Report\nj\n"), [Topic::Identity]);
    assert_eq!(topics("id,name\n7,Jane\n"), []);
    assert_eq!(topics("login,name\njdoe,Jane\n"), [Topic::Identity]);
    let no_id = guess_with(b"a,b\n,\n,\n", &Answers::default()).unwrap_err();
    assert_eq!(no_id.detail, "no column has ids of the users");
}

#[test]
fn ambiguous_record_kinds_cause_a_question() {
    let topics = |text: &str| {
        let questions = guess(text).questions;
        questions.into_iter().map(|question| question.topic).collect::<Vec<_>>()
    };
    assert_eq!(topics("event,identity,MSG-push\nA,j,Y\n"), [Topic::DataType]);
    assert_eq!(topics("action,identity,ts\nA,j,1793527200\n"), [Topic::DataType]);
    assert_eq!(topics("event,identity\nA,j\n"), []);
    assert_eq!(topics("action,identity\nA,j\n"), []);
}

#[test]
fn null_texts_are_found_in_typed_columns() {
    let null = |text: &str| guess(text).manifest.null;
    assert_eq!(null("identity,a\nj,NA\nk,Namibia\n"), [""; 0]);
    assert_eq!(null("identity,a\nj,NA\nk,7\n"), ["NA"]);
    assert_eq!(null("identity,a\nj,\\N\nk,x\n"), ["\\N"]);
    assert_eq!(null("identity,Age\nj,-\nk,7\n"), ["-"]);
}

#[test]
fn notes_report_near_misses_and_missing_headers() {
    let mut text = "identity,n\n".to_owned();
    for number in 0..200 {
        text.push_str(&format!("u{number},{number}\n"));
    }
    text.push_str("x,many\n");
    let notes = guess(&text).notes;
    let near = "column n stays a STRING: 200 of 201 values are whole numbers, but many in line 202 \
                is not";
    assert_eq!(notes, [near]);
    let notes = guess("identity;n\nj;1,5\nk;1.000,25\n").notes;
    assert!(notes[0].contains("decimal commas"), "{notes:?}");
    let notes = guess("jane@x.example,7\njohn@x.example,8\n").notes;
    assert!(notes.iter().any(|note| note.starts_with("the first line seems to be")), "{notes:?}");
}

#[test]
fn notes_report_columns_with_values_but_no_name() {
    let proposal = guess(",identity,,n\n0,j,,1\n1,k,,2\n");
    assert!(proposal.notes[0].starts_with("column 1 has values but no name"), "{proposal:?}");
    assert_eq!(proposal.notes.len(), 1, "column 3 is empty");
    let invisible = guess("\u{200b},identity\n0,j\n1,k\n");
    assert!(invisible.notes[0].starts_with("column 1 has values but no name"), "{invisible:?}");
    let questions = guess(",n,m\n0,1,2\n1,2,3\n").questions;
    let mut choices = questions.iter().flat_map(|question| &question.choices);
    assert!(choices.all(|choice| !choice.label.is_empty()), "{questions:?}");
}
