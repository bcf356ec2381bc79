//! Tests of all rules about the header of a data file and the columns in its manifest.

use super::*;
use crate::config::Limits;

fn manifest(data_type: &str, columns: &str) -> Manifest {
    let text = format!(
        r#"{{"type":"{data_type}","fileName":"e.csv","clientEmail":"a@b.example","columns":{{{columns}}}}}"#
    );
    Manifest::parse(text.as_bytes(), &Limits::default()).unwrap()
}

fn columns(data_type: &str, header: &str, mapping: &str) -> Result<Columns, Vec<String>> {
    let header = header.split(',').map(str::to_owned).collect();
    Columns::new(header, 1, &manifest(data_type, mapping))
}

fn findings(data_type: &str, header: &str, mapping: &str) -> Vec<String> {
    columns(data_type, header, mapping).unwrap_err()
}

#[test]
fn fixed_columns_are_found_by_header_or_mapping() {
    let found = columns("event", "EvtName,TS, Identity ,FBID,GpId,guid,x", "").unwrap();
    let timestamp = found.timestamp.map(|timestamp| timestamp.column);
    assert_eq!((found.event_name, timestamp), (Some(0), Some(1)));
    assert_eq!(found.ids, [Some(2), Some(3), Some(4), Some(5)]);
    assert_eq!(found.properties.len(), 1);
    let mapping = r#""n":{"ctName":"evt Name"},"c":{"ctName":"objectId"},"p":{"ctName":"Price","dataType":"FLOAT"}"#;
    let found = columns("event", "n,c,p", mapping).unwrap();
    assert_eq!((found.event_name, found.ids[3]), (Some(0), Some(1)));
    assert_eq!(found.properties[0].property.name, "Price");
    assert_eq!(found.properties[0].property.kind, PropertyType::Float);
}

#[test]
fn event_name_columns_need_a_mapping() {
    assert_eq!(
        findings("event", "event_name,identity", ""),
        ["no column is evtName, the event's name (map column event_name to evtName with ctName)"]
    );
    let found = columns("profile", "evtName,identity", "").unwrap();
    assert_eq!(found.properties[0].property.name, "evtName");
}

#[test]
fn all_mismatches_of_a_header_are_reported() {
    let long = "x".repeat(121);
    let header = format!("a,,a,b.c,Price,price,{long},when");
    let mapping = r#""gone":{},"Item":{},"when":{"ctName":"ts","dataType":"FLOAT"}"#;
    let cut = format!("{}…", "x".repeat(64));
    assert_eq!(
        findings("event", &header, mapping),
        [
            "line 1, column 3: the header a is already the name of column 1".to_owned(),
            "column Item of the manifest is not in the header".into(),
            "column gone of the manifest is not in the header".into(),
            "column b.c: property name b.c has the character '.' that is not allowed".into(),
            "columns Price and price are both price".into(),
            format!("column {cut}: property name {cut} is longer than 120 characters"),
            "column when is ts: its dataType is INTEGER, LONG, STRING or DATE, not FLOAT".into(),
            "no column is identity, fbId, gpId or objectId: rename a column, or map one with ctName"
                .into(),
            "no column is evtName, the event's name".into(),
        ]
    );
}

#[test]
fn columns_must_have_different_targets() {
    assert_eq!(
        findings("profile", "guid,objectId", ""),
        ["columns guid and objectId are both objectId"]
    );
    let mapping = r#""a":{"ctName":"Price"},"b":{"ctName":"PRI CE"}"#;
    assert_eq!(findings("profile", "identity,a,b", mapping), ["columns a and b are both PRI CE"]);
}

#[test]
fn wrong_case_in_the_mapping_gets_a_hint() {
    assert_eq!(
        findings("profile", "identity,Price", r#""price":{}"#),
        ["column price of the manifest is not in the header (the header has Price)"]
    );
}

#[test]
fn operation_columns_are_assigned_to_their_properties() {
    let mapping = r#""id_phone":{"ctName":"Phone"}"#;
    let header = "identity,id_phone,id_phone.operation,Playlist.operation,Playlist";
    let found = columns("profile", header, mapping).unwrap();
    let operations: Vec<_> =
        found.properties.iter().map(|p| (p.property.name.as_str(), p.operation)).collect();
    assert_eq!(operations, [("Phone", Some(2)), ("Playlist", Some(3))]);
    assert_eq!(
        findings("profile", "identity,gone.operation,identity.operation", ""),
        [
            "column gone.operation: the header has no property column gone",
            "column identity.operation: the header has no property column identity"
        ]
    );
}

#[test]
fn event_operation_columns_are_invalid_properties() {
    assert_eq!(
        findings("event", "evtName,identity,a,a.operation", ""),
        ["column a.operation: property name a.operation has the character '.' that is not allowed"]
    );
}

#[test]
fn preferences_are_booleans_with_one_spelling() {
    let header = "identity,MSG-SMS,msg-dndphone";
    let found = columns("profile", header, r#""MSG-SMS":{"dataType":"STRING"}"#).unwrap();
    let properties: Vec<_> =
        found.properties.iter().map(|p| (p.property.name.as_str(), p.property.kind)).collect();
    assert_eq!(
        properties,
        [("MSG-sms", PropertyType::Boolean), ("MSG-dndSMS", PropertyType::Boolean)]
    );
    assert_eq!(
        findings("profile", "identity,MSG-dndSMS,MSG-dndPhone", ""),
        ["columns MSG-dndSMS and MSG-dndPhone are both MSG-dndSMS"]
    );
}

#[test]
fn an_unmapped_failure_description_is_ignored() {
    let header = "identity,a,Failure Description";
    let found = columns("profile", header, "").unwrap();
    assert_eq!((found.properties.len(), found.description), (1, Some(2)));
    assert_eq!(found.header.len(), 3);
    for other in ["FailureDescription", "failure description"] {
        let found = columns("profile", &format!("identity,a,{other}"), "").unwrap();
        assert_eq!((found.properties.len(), found.description), (2, None), "{other}");
    }
    let mapping = r#""Failure Description":{"ctName":"Reason"}"#;
    let found = columns("profile", header, mapping).unwrap();
    assert_eq!((&*found.properties[1].property.name, found.description), ("Reason", None));
    let twice = format!("{header},Failure Description");
    let found = columns("profile", &twice, mapping).unwrap();
    assert_eq!((found.properties.len(), found.description), (2, Some(3)));
    assert_eq!(
        findings("profile", &twice, ""),
        ["line 1, column 4: the header Failure Description is already the name of column 3"]
    );
}

#[test]
fn columns_without_a_name_are_ignored() {
    let found = columns("profile", "identity,, ,a,", r#""":{"ctName":"b"}"#);
    assert!(found.is_err(), "three columns are b");
    let found = columns("profile", "identity,,a, ", "").unwrap();
    assert_eq!((found.nameless, found.properties.len()), (vec![1, 3], 1));
    let found = columns("profile", "identity,", r#""":{"ctName":"b"}"#).unwrap();
    assert_eq!((found.nameless, &*found.properties[0].property.name), (vec![], "b"));
}
