//! Tests of all rules for records. The tests compare the text that a partner gets.

use super::*;

/// Reads one event with the cells `cells`. Returns the failure description of the event, or `None`
/// if the event was accepted.
fn event(header: &str, mapping: &str, cells: &str) -> Option<String> {
    let text = format!("evtName,identity,{header}\nBought,jane,{cells}\n");
    one(&text, &manifest("event", mapping, ""))
}

fn profile(header: &str, mapping: &str, cells: &str) -> Option<String> {
    let text = format!("identity,{header}\njane,{cells}\n");
    one(&text, &manifest("profile", mapping, ""))
}

fn one(text: &str, manifest: &Manifest) -> Option<String> {
    let sink = accept(text.as_bytes(), manifest);
    assert_eq!(sink.rejected.len() + sink.batches.iter().map(Batch::len).sum::<usize>(), 1);
    sink.rejected.into_iter().next().map(|(_, _, description)| description)
}

/// Checks that `description` begins with the fixed text of a rule.
fn begins(description: Option<String>, text: &str) {
    let description = description.unwrap_or_else(|| panic!("accepted, expected {text:?}"));
    assert!(description == text || description.starts_with(&format!("{text} - ")), "{description}");
}

const USER: &str = "Atleast one of identity / fbId / gpId / objectId is mandatory under 1024 chars \
                    to identify the user";

#[test]
fn a_record_without_a_valid_id_is_rejected() {
    let manifest = manifest("event", "", "");
    let long = "x".repeat(1024);
    for (ids, accepted) in [
        ("jane,,,", true),
        (",fb,,", true),
        (",,gp,", true),
        (",,,cookie", true),
        (",,,", false),
        ("null,NaN,0,none", false),
        ("null,,,x", true),
        (&*format!("{long},,,"), false),
        (&*format!("{long},,,x"), false),
        (&*format!("{},,,", &long[1..]), true),
    ] {
        let text = format!("evtName,identity,fbId,gpId,guid\nBought,{ids}\n");
        match one(&text, &manifest) {
            None => assert!(accepted, "{ids}"),
            description => begins(description, USER),
        }
    }
    assert_eq!(
        one("evtName,identity\nBought,NULL\n", &manifest).unwrap(),
        format!("{USER} - column identity, value NULL, this value counts as absent")
    );
}

#[test]
fn values_must_match_the_column_type() {
    for (kind, good, bad) in [
        ("INTEGER", "7", "7.5"),
        ("LONG", "9000000000", "9223372036854775808"),
        ("FLOAT", "7.5", "seven"),
        ("BOOLEAN", "Y", "maybe"),
        ("DATE", "25/12/2020", "Christmas"),
    ] {
        let mapping = format!(r#""p":{{"dataType":"{kind}"}}"#);
        for cell in [good, "", "  "] {
            assert_eq!(event("p", &mapping, cell), None, "{kind} {cell:?}");
            assert_eq!(profile("p", &mapping, cell), None, "{kind} {cell:?}");
        }
        begins(event("p", &mapping, bad), &format!("{kind} value expected"));
        begins(profile("p", &mapping, bad), &format!("{kind} value expected"));
        if kind != "DATE" {
            begins(event("p", &mapping, "$D_1589274432"), &format!("{kind} value expected"));
        }
        begins(event("p", &mapping, "$D_today"), "$D_ must be followed by an epoch");
    }
}

#[test]
fn dates_are_read_in_text_and_date_columns() {
    let manifest = manifest(
        "event",
        r#""d":{"dataType":"DATE"},"f":{"dataType":"DATE","format":"MM/dd/yyyy"}"#,
        "",
    );
    let text = "evtName,identity,s,d,f\nA,j,$D_1589274432,$D_1589274432,2020-05-12T09:07:12Z\n\
                A,j,,25/12/2020 10:00:00,02/01/2020\n";
    let sink = accept(text.as_bytes(), &manifest);
    let values: Vec<_> = sink.events().into_iter().map(|row| row[7..].to_vec()).collect();
    let instant = "2020-05-12T09:07:12Z";
    assert_eq!(values[0], [instant; 3]);
    assert_eq!(values[1], ["-", "2020-12-25T10:00:00Z", "2020-02-01T00:00:01Z"]);
}

#[test]
fn profile_dates_in_text_columns_become_text() {
    let sink = accept(b"identity,s,t\nj,$D_1589274432,$D_0\n", &manifest("profile", "", ""));
    assert_eq!(
        sink.profiles(),
        [
            r#"2 1600000000 j - - - | Set s Text("2020-05-12T09:07:12Z"), Set t Text("1970-01-01T00:00:00Z")"#
        ]
    );
}

#[test]
fn all_broken_rules_of_a_record_are_listed() {
    let mapping = r#""n":{"dataType":"INTEGER"},"b":{"dataType":"BOOLEAN"}"#;
    let text = "evtName,ts,identity,n,b,s\n,1578503667000,,x,y,$D_\n";
    assert_eq!(
        one(text, &manifest("event", mapping, "")).unwrap(),
        format!(
            "Event name is mandatory - column evtName; \
             Timestamp not in UNIX epoch format - column ts, value 1578503667000, the value seems \
             to be in milliseconds, write seconds; {USER} - column identity; \
             INTEGER value expected - column n, value x, write a whole number from -2147483648 to \
             2147483647; $D_ must be followed by an epoch - column s, value $D_, write seconds \
             since 1970, as in $D_1589274432"
        )
    );
}

#[test]
fn the_field_count_must_match_the_header() {
    assert_eq!(
        event("a,b", "", "1").unwrap(),
        "Record has 3 fields, the header has 4 - write empty cells too"
    );
    assert_eq!(
        event("a", "", "1,2").unwrap(),
        "Record has 4 fields, the header has 3 - put quotes around a cell that has the delimiter in it"
    );
    let (_, result) = read_with(
        &b"identity,a\nx\ny,1\nz,1,2\n"[..],
        &manifest("profile", "", ""),
        &Limits::default(),
        1,
    );
    let summary = result.unwrap();
    assert_eq!(summary.rejections[0].message, "Record has N fields, the header has M");
    assert_eq!((summary.rejections[0].count, summary.rejections[0].first_line), (2, 2));
}

#[test]
fn property_values_over_512_characters_are_rejected() {
    assert_eq!(event("p", "", &"é".repeat(512)), None);
    let text = "Property value is longer than 512 characters";
    begins(event("p", "", &"é".repeat(513)), text);
    begins(profile("p", "", &"é".repeat(513)), text);
    let limits = Limits { max_property_value: 3, ..Limits::default() };
    let text = &b"identity,p\nj,abc\nj,abcd\n"[..];
    let (sink, result) = read_with(text, &manifest("profile", "", ""), &limits, 1);
    let expected = "Property value is longer than 3 characters - column p, value abcd, the value \
                    has 4 characters";
    assert_eq!(sink.descriptions(), [expected]);
    let message = &result.unwrap().rejections[0].message;
    assert_eq!(message, "Property value is longer than 3 characters");
}

#[test]
fn reserved_or_missing_event_names_are_rejected() {
    let manifest = manifest("event", "", "");
    for name in ["App Launched", "app launched", "APPLAUNCHED", "wzrk_d", " Web  Page Viewed "] {
        let text = format!("evtName,identity\n{name},j\n");
        begins(one(&text, &manifest), "Event name belongs to CleverTap restricted system events");
    }
    begins(one("evtName,identity\n  ,j\n", &manifest), "Event name is mandatory");
    begins(
        one("evtName,identity\nA: b,j\n", &manifest),
        "Event name has a character that is not allowed",
    );
    assert_eq!(one("evtName,identity\nCharged,j\n", &manifest), None);
}

#[test]
fn events_over_100_properties_are_rejected() {
    let header: Vec<_> = (0..101).map(|n| format!("p{n}")).collect();
    let cells = vec!["1"; 101].join(",");
    let text = "Cannot have more than 100 event properties";
    begins(event(&header.join(","), "", &cells), text);
    let hundred = format!("{},", vec!["1"; 100].join(","));
    assert_eq!(
        event(&header.join(","), "", &hundred),
        None,
        "an empty cell does not count as a property"
    );
    assert_eq!(profile(&header.join(","), "", &cells), None, "the limit is only for events");
}

#[test]
fn charged_events_with_items_are_rejected() {
    let manifest = manifest("event", "", "");
    let header = "evtName,identity,items\n";
    begins(
        one(&format!("{header}charged,j,ring\n"), &manifest),
        "Charged items are not supported in file imports",
    );
    assert_eq!(one(&format!("{header}Charged,j,\n"), &manifest), None);
    assert_eq!(one(&format!("{header}Bought,j,ring\n"), &manifest), None);
}

#[test]
fn profile_operations_are_validated() {
    let operation = "Profile operation must be one of $add, $set, $remove, $delete";
    for (cells, expected) in [
        ("Rock,$add", None),
        ("Rock,", None),
        ("Rock,$delete", None),
        (",$delete", None),
        ("Rock,add", Some(operation)),
        (",$push", Some(operation)),
    ] {
        match expected {
            None => assert_eq!(profile("p,p.operation", "", cells), None, "{cells}"),
            Some(text) => begins(profile("p,p.operation", "", cells), text),
        }
    }
    for name in ["Name", "Email", "Phone", "Gender", "Age", "MSG-sms", "DOB"] {
        let text = "Profile operation $add or $remove is not allowed on this property";
        let header = format!("{name},{name}.operation");
        begins(profile(&header, "", ",$add"), text);
        begins(profile(&header, "", ",$remove"), text);
        assert_eq!(profile(&header, "", ",$delete"), None);
    }
}

#[test]
fn delete_and_empty_cells_ignore_values() {
    let text = "identity,p,p.operation,n,n.operation\nj,,$set,,$add\nj,x,$delete,x,$delete\n";
    let sink = accept(text.as_bytes(), &manifest("profile", r#""n":{"dataType":"LONG"}"#, ""));
    assert_eq!(
        sink.profiles(),
        ["2 1600000000 j - - - | ", "3 1600000000 j - - - | Delete p None, Delete n None"]
    );
}

#[test]
fn values_of_known_profile_properties_are_validated() {
    for (name, good, bad, text) in [
        ("Phone", "+49 (30) 12345-6", "030 12345", "Phone number is not valid"),
        ("Email", "a@b.example", "a@", "Email is not valid"),
        ("Gender", "f", "x", "Gender is not valid"),
        ("Age", "150", "151", "Age is not valid"),
    ] {
        assert_eq!(profile(name, "", good), None, "{name}");
        assert_eq!(profile(name, "", ""), None, "{name}");
        begins(profile(name, "", bad), text);
        let mapping = format!(r#""x":{{"ctName":"{name}"}}"#);
        begins(profile("x", &mapping, bad), text);
        assert_eq!(event(name, "", bad), None, "the rule is only for profiles: {name}");
    }
}

#[test]
fn preferences_are_always_booleans() {
    let mapping = r#""msg-dndphone":{"dataType":"STRING"}"#;
    let text = "identity,msg-dndphone\nj,Y\nj,perhaps\n";
    let sink = accept(text.as_bytes(), &manifest("profile", mapping, ""));
    assert_eq!(sink.profiles(), ["2 1600000000 j - - - | Set MSG-dndSMS Boolean(true)"]);
    assert!(sink.descriptions()[0].starts_with("BOOLEAN value expected - column msg-dndphone"));
}
