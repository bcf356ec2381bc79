//! Tests of the bytes of mails: the headers and parts of a mail, also with hostile texts.

use std::io::Write as _;
use std::process::{Command, Stdio};

use jiff::Timestamp;

use super::text::MailContent;
use super::text::milestone::MilestoneDetails;
use super::*;
use crate::outbox::milestone::Milestone;
use crate::report::Report;

fn report(name: &str) -> Report {
    let received = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut report = Report::queued("events.manifest", received)
        .of(&"sftp1-42".parse().unwrap(), &"acme".parse().unwrap());
    report.data_file = Some(name.to_owned());
    report.records = crate::report::Counts { read: 2, accepted: 1, rejected: 1 };
    report.rejections = vec![crate::report::RejectionCount {
        message: "Event name is mandatory".into(),
        count: 1,
        first_line: 2,
    }];
    report.error_file = Some(format!("{name}.errors.csv"));
    report
}

fn details(milestone: Milestone, report: Report) -> MilestoneDetails {
    MilestoneDetails { milestone, report, samples: Vec::new() }
}

fn formatted(to: &str, name: &str, from: &str) -> String {
    let details = details(Milestone::Completed, report(name));
    let content = b"evtName,ts,Failure Description\n,1,Event name is mandatory\n".to_vec();
    let draft = MailDraft {
        content: MailContent::Milestone(&details),
        id: "msg_0.d7",
        at: "2026-01-02T03:04:06.7Z".parse().unwrap(),
        to,
        error_files: vec![Enclosure::Attached(format!("{name}.errors.csv"), content)],
    };
    String::from_utf8(build(from, &draft).unwrap().formatted()).unwrap()
}

const FROM: &str = "Data imports <imports@host.example>";

#[test]
fn a_mail_has_headers_texts_and_attachment() {
    let mail = formatted("data@acme.example", "events", FROM);
    // This snapshot omits the texts of the mail. Separate snapshots contain the texts.
    let (mut lines, mut in_text) = (Vec::new(), false);
    for line in mail.lines() {
        if line.starts_with("--=_") {
            in_text = false;
        }
        if !in_text {
            lines.push(line);
        }
        in_text |= line.is_empty() && lines.iter().any(|l| l.contains("Content-Type: text"));
        if line.contains("Content-Disposition: attachment") {
            in_text = false;
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_same_draft_results_in_the_same_bytes() {
    let mail = formatted("data@acme.example", "events", FROM);
    assert_eq!(mail, formatted("data@acme.example", "events", FROM));
}

#[test]
fn a_hostile_name_adds_no_header_or_part() {
    let evil = "x\r\nBcc: y@evil.example\r\n\r\n--=_m_msg_0.d7\"; filename=\"evil.exe\u{1b}é";
    let mail = formatted("data@acme.example", evil, FROM);
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("\r\nBcc"), "{head}");
    assert_eq!(mail.matches("\r\n--=_m_msg_0.d7\r\n").count(), 2, "{mail}");
    assert_eq!(mail.matches("Content-Disposition").count(), 1);
    assert!(mail.is_ascii() && !mail.contains('\u{1b}'));
    let part = mail.split("Content-Disposition").nth(1).unwrap();
    assert!(!part.contains("evil.exe\"") && !part.contains("filename=\"evil"), "{part}");
}

/// Parses a mail with the email package of Python, which is an independent implementation.
fn parsed(mail: &str) -> serde_json::Value {
    const SCRIPT: &str = r#"
import email, email.policy, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = [{"type": p.get_content_type(), "name": p.get_filename(), "text": p.get_content()}
         for p in mail.walk() if not p.is_multipart()]
defects = [str(d) for p in mail.walk() for d in p.defects]
print(json.dumps({"headers": mail.keys(), "subject": mail["subject"], "to": mail["to"],
                  "parts": parts, "defects": defects}))
"#;
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(mail.as_bytes()).unwrap();
    serde_json::from_slice(&python.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn another_implementation_parses_mails_with_hostile_names() {
    let evil = "ö\r\nBcc: y@evil.example\r\n\r\n--=_m_msg_0.d7\r\n=?utf-8?q?x?= \";a\u{202e}";
    for name in ["events", evil, &"é".repeat(300), "=?utf-8?b?AAAA?=", "a/../b\\c"] {
        let mail = parsed(&formatted("data@acme.example", name, FROM));
        assert_eq!(mail["defects"], serde_json::json!([]), "{name:?}");
        assert_eq!(mail["to"], "data@acme.example");
        let expected = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"];
        let headers = mail["headers"].as_array().unwrap();
        assert!(expected.iter().all(|h| headers.contains(&(*h).into())), "{headers:?}");
        assert!(headers.len() == expected.len() + 2, "and two headers of MIME: {headers:?}");
        let parts = mail["parts"].as_array().unwrap();
        let types: Vec<_> = parts.iter().map(|part| part["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["text/plain", "text/html", "text/csv"], "{name:?}");
        assert_eq!(
            parts[2]["text"],
            "evtName,ts,Failure Description\n,1,Event name is mandatory\n"
        );
        let first = parts[0]["text"].as_str().unwrap().lines().next();
        assert_eq!(first, Some("1 of 2 records was imported."));
        let file = parts[2]["name"].as_str().unwrap();
        assert!(!file.contains(['/', '\\', '"', '\r', '\n', '\u{202e}']), "{file:?}");
        let start: String = crate::sanitize::printable(name).chars().take(20).collect();
        let subject = mail["subject"].as_str().unwrap();
        assert!(subject.contains(&start.replace("=?", "= ?")), "{subject:?}");
    }
}

#[test]
fn invalid_addresses_are_never_sent_to() {
    for to in ["", "a", "a@b\r\nBcc: c@d.example", "a b@c.example", "<a@b.example>", "a@b, c@d"] {
        let mailer = Mailer::new(&Mail::default());
        let details = details(Milestone::Failed, report("events"));
        let outcome = mailer.send(&MailDraft {
            content: MailContent::Milestone(&details),
            id: "msg_0.d1",
            at: Timestamp::UNIX_EPOCH,
            to,
            error_files: Vec::new(),
        });
        assert!(matches!(outcome, AttemptOutcome::Never(_)), "{to:?}: {outcome:?}");
    }
}
