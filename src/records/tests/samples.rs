//! Tests the cells of the samples on the product page. The page hides its addresses, so the
//! addresses here are invented.

use super::*;

/// The manifest for events on the product page.
const EVENT_MANIFEST: &str = r#"{
    "fileName": "events.csv",
    "type": "event",
    "columns": {
        "event_name": { "ctName": "evtName", "dataType": "STRING" },
        "time_stamp": { "ctName": "ts", "dataType": "INTEGER" },
        "identity": { "ctName": "identity", "dataType": "STRING" },
        "cookie_id": { "ctName": "objectId", "dataType": "STRING" },
        "item_name": { "ctName": "Name", "dataType": "STRING" },
        "item_price": { "ctName": "Price", "dataType": "FLOAT" },
        "item_delivery_date": { "ctName": "DeliveryDate", "dataType": "STRING" },
        "status_delivered": { "ctName": "DeliveryStatus", "dataType": "BOOLEAN" }
    },
    "clientEmail": "jane@acme.example"
}"#;

const EVENTS: &str = "\
event_name,time_stamp,identity,cookie_id,item_name,item_price,item_delivery_date,status_delivered
Purchased,1578503667,jane@acme.example,cookie_123,Awesome Ring - 10,123,$D_1589274432,true
Purchased,1578503667,jane@acme.example,cookie_123,Awesome Ring - 11,123,$D_1589274432,false
Purchased,1578503667,jane@acme.example,cookie_123,Awesome Ring - 12,123,$D_1589274432,1
Purchased,1578503667,jane@acme.example,cookie_123,Awesome Ring - 13,123,$D_1589274432,0
";

/// The manifest for profiles on the product page.
const PROFILE_MANIFEST: &str = r#"{
    "fileName": "profiles.csv",
    "type": "profile",
    "columns": {
        "time_stamp": { "ctName": "ts", "dataType": "INTEGER" },
        "identity": { "ctName": "identity", "dataType": "STRING" },
        "cookie_id": { "ctName": "objectId", "dataType": "STRING" },
        "id_name": { "ctName": "Name", "dataType": "STRING" },
        "id_email": { "ctName": "Email", "dataType": "STRING" },
        "id_phone" : { "ctName": "Phone", "dataType": "STRING" },
        "is_married": { "ctName": "Married", "dataType": "BOOLEAN" },
        "age": { "ctName": "Age", "dataType": "INTEGER" },
        "MSG-SMS": { "ctName": "MSG-sms", "dataType": "BOOLEAN" },
        "MSG-DNDSMS": { "ctName": "MSG-dndSMS", "dataType": "BOOLEAN" }
    },
    "clientEmail": "jane@acme.example"
}"#;

const PROFILES: &str = "\
time_stamp,identity,cookie_id,id_name,id_email,id_phone,id_phone.operation,is_married,age,Playlist,Playlist.operation,MSG-SMS,MSG-DNDSMS
1574668407,john1@acme.example,dummy_cookie-001,JohnDoe-001,john1@acme.example,+918876543211,,true,21,Rock,$add,true,false
1574668408,jane2@acme.example,dummy_cookie-002,JaneDoe-002,jane2@acme.example,+918876543212,,false,22,Pop,$remove,false,true
1574668409,john3@acme.example,dummy_cookie-003,JohnRoe-003,john3@acme.example,+918876543213,$set,1,25,,,1,0
1574668410,jane4@acme.example,dummy_cookie-004,JaneRoe-004,jane4@acme.example,+918876543213,$delete,0,28,,,0,1
,jane5@acme.example,dummy_cookie-005,JaneRoe-005,jane5@acme.example,+918876543213,,,32,,,,
";

fn parsed(text: &str) -> Manifest {
    Manifest::parse(text.as_bytes(), &Limits::default()).unwrap()
}

#[test]
fn the_sample_events_are_accepted() {
    let sink = accept(EVENTS.as_bytes(), &parsed(EVENT_MANIFEST));
    let Batch::Events(batch) = &sink.batches[0] else { panic!("not events") };
    let columns: Vec<_> =
        batch.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    assert_eq!(
        columns,
        [
            "event Utf8",
            "ts Timestamp(ms, \"UTC\")",
            "identity Utf8",
            "object_id Utf8",
            "fb_id Utf8",
            "gp_id Utf8",
            "source_line Int64",
            "Name Utf8",
            "Price Float64",
            "DeliveryDate Utf8",
            "DeliveryStatus Boolean",
        ]
    );
    let expected: Vec<Vec<String>> =
        [("10", "true"), ("11", "false"), ("12", "true"), ("13", "false")]
            .iter()
            .zip(2..)
            .map(|((ring, delivered), line)| {
                let (line, ring) = (line.to_string(), format!("Awesome Ring - {ring}"));
                [
                    "Purchased",
                    "2020-01-08T17:14:27Z",
                    "jane@acme.example",
                    "cookie_123",
                    "-",
                    "-",
                    &line,
                    &ring,
                    "123",
                    "2020-05-12T09:07:12Z",
                    delivered,
                ]
                .map(str::to_owned)
                .into()
            })
            .collect();
    assert_eq!(sink.events(), expected);
    assert!(sink.rejected.is_empty());
}

#[test]
fn the_sample_profiles_are_accepted() {
    let sink = accept(PROFILES.as_bytes(), &parsed(PROFILE_MANIFEST));
    assert_eq!(
        sink.profiles(),
        [
            r#"2 1574668407 john1@acme.example - - dummy_cookie-001 | Set Name Text("JohnDoe-001"), Set Email Text("john1@acme.example"), Set Phone Text("+918876543211"), Set Married Boolean(true), Set Age Integer(21), Add Playlist Text("Rock"), Set MSG-sms Boolean(true), Set MSG-dndSMS Boolean(false)"#,
            r#"3 1574668408 jane2@acme.example - - dummy_cookie-002 | Set Name Text("JaneDoe-002"), Set Email Text("jane2@acme.example"), Set Phone Text("+918876543212"), Set Married Boolean(false), Set Age Integer(22), Remove Playlist Text("Pop"), Set MSG-sms Boolean(false), Set MSG-dndSMS Boolean(true)"#,
            r#"4 1574668409 john3@acme.example - - dummy_cookie-003 | Set Name Text("JohnRoe-003"), Set Email Text("john3@acme.example"), Set Phone Text("+918876543213"), Set Married Boolean(true), Set Age Integer(25), Set MSG-sms Boolean(true), Set MSG-dndSMS Boolean(false)"#,
            r#"5 1574668410 jane4@acme.example - - dummy_cookie-004 | Set Name Text("JaneRoe-004"), Set Email Text("jane4@acme.example"), Delete Phone None, Set Married Boolean(false), Set Age Integer(28), Set MSG-sms Boolean(false), Set MSG-dndSMS Boolean(true)"#,
            r#"6 1600000000 jane5@acme.example - - dummy_cookie-005 | Set Name Text("JaneRoe-005"), Set Email Text("jane5@acme.example"), Set Phone Text("+918876543213"), Set Age Integer(32)"#,
        ]
    );
    assert!(sink.rejected.is_empty());
}

#[test]
fn error_files_have_unchanged_rejected_records() {
    let bad = PROFILES.replacen("+918876543211", "918876543211", 1);
    let (sink, result) =
        read_with(bad.as_bytes(), &parsed(PROFILE_MANIFEST), &Limits::default(), 1);
    let summary = result.unwrap();
    assert_eq!((summary.counts.accepted, summary.counts.rejected), (4, 1));
    assert_eq!(summary.rejections[0].message, "Phone number is not valid");
    assert_eq!(summary.rejections[0].first_line, 2);
    let file = String::from_utf8(sink.error_file()).unwrap();
    let mut lines = file.lines();
    let header = bad.lines().next().unwrap();
    assert_eq!(lines.next().unwrap(), format!("{header},\"Failure Description\""));
    let record = bad.lines().nth(1).unwrap();
    let description = lines.next().unwrap().strip_prefix(record).unwrap();
    assert!(
        description
            .starts_with(",\"Phone number is not valid - column id_phone, value 918876543211,")
    );
    assert_eq!(lines.next(), None);
}
