//! [`LoggedName`]: the name of a file in incoming, as sftp-server's log spells it. This module is
//! pure.
//!
//! Names are kept in the log's encoding (vis(3), C style and octal). To find a file of incoming in
//! the log, the file's name is encoded. A name from the log is never decoded.

use super::sftp_server_log::LoggedPath;

/// The folder in which sessions start. Relative paths begin in this folder.
const INCOMING: &str = "incoming";

/// The name of a file in incoming, as the SFTP server's log spells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoggedName {
    /// The text of the name. If the log message was truncated, the text may be only the beginning
    /// of the name, or the whole name with some text after it.
    pub text: String,
    /// Whether the log message with the name was truncated.
    pub cut: bool,
}

impl LoggedName {
    /// Encodes the file name `name`.
    pub fn of(name: &str) -> Self {
        Self { text: encode(name), cut: false }
    }

    /// Returns the file in incoming that the path refers to. `None` if the path is not in incoming.
    /// Symbolic links need no handling, as accounts cannot create any.
    pub fn in_incoming(path: LoggedPath<'_>) -> Option<Self> {
        let (parents, last) = path.text.rsplit_once('/').unwrap_or(("", path.text));
        let folders = resolved(path.text.starts_with('/'), parents);
        let is_file = folders == [INCOMING] && !matches!(last, "" | "." | "..");
        is_file.then(|| Self { text: last.to_owned(), cut: path.cut })
    }

    /// Returns whether the path is certainly outside incoming, where an account cannot write.
    pub fn is_outside_incoming(path: LoggedPath<'_>) -> bool {
        let components = resolved(path.text.starts_with('/'), path.text);
        !path.cut && components.first() != Some(&INCOMING)
    }

    /// Returns whether the logged name may be the complete name `whole`.
    pub fn may_be(&self, whole: &str) -> bool {
        if !self.cut {
            return self.text == whole;
        }
        whole.starts_with(&self.text)
            || self.text.strip_prefix(whole).is_some_and(|after| after.starts_with('"'))
    }
}

/// Splits `path` into components from the chroot's root. A relative path starts in incoming.
fn resolved(is_absolute: bool, path: &str) -> Vec<&str> {
    let mut components = if is_absolute { Vec::new() } else { vec![INCOMING] };
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    components
}

/// Encodes `name` in the same way as sftp-server's log.
pub fn encode(name: &str) -> String {
    encode_bytes(name.as_bytes())
}

/// Encodes a file name that need not be UTF-8 (OpenSSH's vis(3), `LOG_SYSLOG_VIS`).
pub fn encode_bytes(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' ' | 0x21..=0x7e => text.push(byte.into()),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            0x08 => text.push_str("\\b"),
            0x07 => text.push_str("\\a"),
            0x0b => text.push_str("\\v"),
            b'\t' => text.push_str("\\t"),
            0x0c => text.push_str("\\f"),
            other => text.push_str(&format!("\\{other:03o}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_to(text: &str) -> Option<String> {
        LoggedName::in_incoming(LoggedPath { text, cut: false }).map(|name| name.text)
    }

    #[test]
    fn resolves_paths_of_incoming() {
        for text in
            ["x.csv", "./x.csv", "/incoming/x.csv", "//incoming/./x.csv", "../incoming/x.csv"]
        {
            assert_eq!(leads_to(text).as_deref(), Some("x.csv"), "{text}");
        }
        assert_eq!(leads_to("/results/../incoming//x.csv").as_deref(), Some("x.csv"));
        for text in [
            "/results/x.csv",
            "/x.csv",
            "../x.csv",
            "",
            "/",
            "/incoming/",
            "a/x.csv",
            "/incoming/..",
        ] {
            assert_eq!(leads_to(text), None, "{text}");
        }
    }

    #[test]
    fn recognises_paths_outside_incoming() {
        let is_outside = |text, cut| LoggedName::is_outside_incoming(LoggedPath { text, cut });
        for text in ["/results/x.csv", "/x.csv", "../x.csv", "/", "/incoming/../dev/log", ".."] {
            assert!(is_outside(text, false), "{text}");
            assert!(!is_outside(text, true), "{text}");
        }
        for text in ["x.csv", "/incoming/x.csv", "/incoming", "sub/x.csv", "/a/../incoming/x", "."]
        {
            assert!(!is_outside(text, false), "{text}");
        }
    }

    /// The file names are spelled as OpenSSH 9.2 logged them.
    #[test]
    fn file_names_are_encoded_as_in_the_log() {
        let names: [(&[u8], &str); 6] = [
            (b"nl\nx.csv", r"nl\nx.csv"),
            (b"tab\tx.csv", r"tab\tx.csv"),
            (b"bs\\x.csv", r"bs\\x.csv"),
            (b"ff\xffx.csv", r"ff\377x.csv"),
            (b"cr\r\x07\x08\x0b\x0c\x01\x7f.csv", r"cr\r\a\b\v\f\001\177.csv"),
            ("a\"b c é".as_bytes(), r#"a"b c \303\251"#),
        ];
        for (name, path) in names {
            assert_eq!(encode_bytes(name), path);
        }
    }

    #[test]
    fn a_truncated_name_may_match_several_names() {
        let cut = |text: &str| LoggedName { text: text.into(), cut: true };
        assert!(cut(r"\303\25").may_be(&encode("é.csv")));
        assert!(cut(r#"e.csv" bytes re"#).may_be("e.csv"));
        assert!(!cut("e.csvx").may_be("e.csv"));
        assert!(!LoggedName::of("e").may_be("e.csv") && LoggedName::of("e").may_be("e"));
    }
}
