//! Tests of the parser with lines that internal-sftp of OpenSSH 9.2 sent, and with hostile names.

use proptest::prelude::*;

use super::*;
use crate::audit::logged_name::encode;

fn datagram(message: &str) -> String {
    format!("<38>Nov 25 18:12:24 internal-sftp[24551]: {message}")
}

/// Returns the datagram that OpenSSH sends for a message that contains `name`.
fn sent(before: &str, name: &str, after: &str) -> String {
    let mut message = format!("{before}{}{after}", encode(name));
    // The encoded names are ASCII.
    message.truncate(MAX_MESSAGE);
    datagram(&message)
}

fn plain(text: &str) -> LoggedPath<'_> {
    LoggedPath { text, cut: false }
}

#[track_caller]
fn parsed(message: &str, check: impl FnOnce(Option<ServerMessage<'_>>)) {
    check(parse(datagram(message).as_bytes()));
}

#[test]
fn parses_session_messages() {
    parsed("session opened for local user audx from [127.0.0.1]", |message| {
        assert_eq!(message, Some(ServerMessage::SessionOpened { from: "127.0.0.1" }));
    });
    parsed("session opened for local user a from [2001:db8::1%eth0]", |message| {
        assert_eq!(message, Some(ServerMessage::SessionOpened { from: "2001:db8::1%eth0" }));
    });
    parsed("session closed for local user audx from [127.0.0.1]", |message| {
        assert_eq!(message, Some(ServerMessage::SessionClosed));
    });
}

#[test]
fn parses_file_requests() {
    parsed(r#"open "/incoming/x.csv" flags WRITE,CREATE,TRUNCATE mode 0644"#, |message| {
        assert_eq!(
            message,
            Some(ServerMessage::Opened {
                path: plain("/incoming/x.csv"),
                writes: true,
                empties: true,
                creates: true
            })
        );
    });
    parsed(r#"open "rel5.csv" flags READ mode 0666"#, |message| {
        assert_eq!(
            message,
            Some(ServerMessage::Opened {
                path: plain("rel5.csv"),
                writes: false,
                empties: false,
                creates: false
            })
        );
    });
    let bytes = Some(HandleBytes { read: 5, written: 6 });
    parsed(r#"close "/incoming/x.csv" bytes read 5 written 6"#, |message| {
        let path = plain("/incoming/x.csv");
        assert_eq!(message, Some(ServerMessage::Closed { path, bytes, forced: false }));
    });
    parsed(r#"forced close "./rel5.csv" bytes read 5 written 6"#, |message| {
        let path = plain("./rel5.csv");
        assert_eq!(message, Some(ServerMessage::Closed { path, bytes, forced: true }));
    });
    parsed(r#"remove name "rel2.csv""#, |message| {
        assert_eq!(message, Some(ServerMessage::Removed(plain("rel2.csv"))));
    });
    for tail in ["mode 0600", "modtime 19700101-00:00:01", "size 5"] {
        parsed(&format!(r#"set "rel5.csv" {tail}"#), |message| {
            assert_eq!(message, Some(ServerMessage::Set(plain("rel5.csv"))));
        });
    }
    parsed("sent status No such file", |message| {
        assert_eq!(message, Some(ServerMessage::Failed("No such file")));
    });
}

/// Log lines about other requests are parsed, so that a failure after such a line is not assigned
/// to an earlier request.
#[test]
fn parses_other_requests() {
    for line in [
        r#"opendir "/incoming/""#,
        r#"mkdir name "/d" mode 0777"#,
        r#"stat name "/incoming/x.csv""#,
        r#"lstat name "/incoming/x.csv""#,
        r#"realpath ".""#,
        r#"closedir "/incoming/""#,
        r#"statvfs "/incoming""#,
        "Refusing denylisted mkdir request",
    ] {
        parsed(line, |message| assert_eq!(message, Some(ServerMessage::Other), "{line}"));
    }
}

#[test]
fn parses_renames() {
    for verb in ["rename", "posix-rename"] {
        let message = format!(r#"{verb} old "rel.csv" new "bs\\x.csv""#);
        parsed(&message, |message| {
            let Some(ServerMessage::Renamed { paths, .. }) = message else { panic!("{message:?}") };
            assert_eq!(paths, [(plain("rel.csv"), plain(r"bs\\x.csv"))]);
        });
    }
    parsed(r#"rename old "a" new "b" new "c""#, |message| {
        let Some(ServerMessage::Renamed { paths, .. }) = message else { panic!("{message:?}") };
        let both = [(plain("a"), plain("b\" new \"c")), (plain("a\" new \"b"), plain("c"))];
        assert_eq!(paths, both);
    });
    let long = "x".repeat(251);
    let message = format!(r#"posix-rename old "{long}.csv" new "{long}.csv""#);
    parsed(&message[..MAX_MESSAGE], |message| {
        let Some(ServerMessage::Renamed { paths, .. }) = message else { panic!("{message:?}") };
        assert_eq!(paths.len(), 1);
        assert!(!paths[0].0.cut && paths[0].1.cut && long.starts_with(paths[0].1.text));
    });
}

/// A file name that contains the end of a log line does not mislead the parser.
#[test]
fn parses_a_name_that_contains_a_log_line() {
    parsed(r#"close "q" bytes read 0 written 7.csv" bytes read 0 written 2"#, |message| {
        let path = plain(r#"q" bytes read 0 written 7.csv"#);
        let bytes = Some(HandleBytes { read: 0, written: 2 });
        assert_eq!(message, Some(ServerMessage::Closed { path, bytes, forced: false }));
    });
    parsed(r#"open "x" flags WRITE mode 1" flags READ mode 0666"#, |message| {
        let path = plain(r#"x" flags WRITE mode 1"#);
        let read = ServerMessage::Opened { path, writes: false, empties: false, creates: false };
        assert_eq!(message, Some(read));
    });
}

#[test]
fn truncated_message_is_parsed_without_byte_counts() {
    let name = format!("{}.csv", "é".repeat(123));
    let line = sent("forced close \"/incoming/", &name, "\" bytes read 0 written 6");
    let Some(ServerMessage::Closed { path, bytes: None, forced: true }) = parse(line.as_bytes())
    else {
        panic!("{line}")
    };
    assert!(path.cut && path.text.starts_with(r"/incoming/\303\251\303"), "{path:?}");
    // The message is so long that only digits of a number were truncated. Such a truncation is not
    // visible.
    let name = "x".repeat(MAX_MESSAGE - r#"close "" bytes read 0 written 1"#.len());
    let line = sent("close \"", &name, "\" bytes read 0 written 123");
    let Some(ServerMessage::Closed { path, bytes: None, .. }) = parse(line.as_bytes()) else {
        panic!("{line}")
    };
    assert!(path.cut);
}

#[test]
fn log_lines_of_other_kinds_are_ignored() {
    for line in [
        "",
        "<38>",
        "<38>Nov 25 18:12:24 sshd[1]: close \"/incoming/x.csv\" bytes read 0 written 6",
        "<38>Nov 25 18:12:24 internal-sftp[1]: received client version 3",
        "<38>Nov 25 18:12:24 internal-sftp[1]: session opened for local user x",
    ] {
        assert_eq!(parse(line.as_bytes()), None, "{line}");
    }
    assert_eq!(parse(b"<38> internal-sftp[1]: open \"\xff\" flags READ mode 0"), None);
}

proptest! {
    #[test]
    fn parser_accepts_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn parser_accepts_any_message(message in "(forced )?(open|close|rename old|posix-rename old|set|remove name) \"\\PC{0,600}") {
        let _ = parse(datagram(&message).as_bytes());
    }

    /// For every file name, the parser finds the name or its beginning.
    #[test]
    fn parser_finds_any_name(name in "[^/\\p{Cc}]{1,200}", written in any::<u64>(), forced in any::<bool>()) {
        let verb = if forced { "forced close" } else { "close" };
        let line = sent(&format!("{verb} \""), &name, &format!("\" bytes read 0 written {written}"));
        let Some(ServerMessage::Closed { path, bytes, forced: was_forced }) = parse(line.as_bytes()) else {
            panic!("{line}")
        };
        prop_assert_eq!(was_forced, forced);
        if path.cut {
            let is_it = encode(&name).starts_with(path.text) || path.text.starts_with(&*encode(&name));
            prop_assert!(is_it);
        } else {
            prop_assert_eq!(path.text, &*encode(&name));
            prop_assert_eq!(bytes, Some(HandleBytes { read: 0, written }));
        }
    }
}
