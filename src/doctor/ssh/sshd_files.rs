//! Reads sshd's configuration files in sshd's order, to find the line that sets a value.
//!
//! `sshd -T` prints the values but not the lines that set them. This module reads keywords, `Match`
//! and `Include` as sshd_config(5) describes them. It does not evaluate `Match`, so the line that
//! it finds is only a candidate.

use std::fs;
use std::path::{Path, PathBuf};

/// The maximum depth of nested `Include`s that sshd allows (SERVCONF_MAX_DEPTH).
const MAX_DEPTH: usize = 16;

/// One setting in a configuration file of sshd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub file: PathBuf,
    /// The number of the setting's line, counted from 1.
    pub line: usize,
    /// The keyword of the setting in lower case.
    pub keyword: String,
    /// The value of the setting, which is the rest of the line.
    pub value: String,
    /// The condition of the `Match` block that contains the setting. `None` for a global setting.
    pub within: Option<String>,
}

/// Returns every setting in the order in which sshd reads it. Skips files that can't be read,
/// because `sshd -t` reports them.
pub fn read(config: &Path) -> Vec<Setting> {
    let mut settings = Vec::new();
    read_file(config, None, 0, &mut settings);
    settings
}

fn read_file(file: &Path, within: Option<&str>, depth: usize, settings: &mut Vec<Setting>) {
    let Ok(text) = fs::read_to_string(file) else { return };
    let mut within = within.map(str::to_owned);
    for (line, (keyword, value)) in (1..).zip(text.lines().map(split)) {
        match keyword.as_str() {
            "" => {}
            "match" => within = (!value.eq_ignore_ascii_case("all")).then(|| value.to_owned()),
            "include" if depth < MAX_DEPTH => {
                for included in value.split_whitespace().flat_map(expand) {
                    read_file(&included, within.as_deref(), depth + 1, settings);
                }
            }
            _ => settings.push(Setting {
                file: file.to_owned(),
                line,
                keyword,
                value: value.to_owned(),
                within: within.clone(),
            }),
        }
    }
}

/// Splits a line of sshd's configuration into the keyword, in lower case, and the value. Both are
/// empty for a comment.
fn split(line: &str) -> (String, &str) {
    let line = line.trim();
    if line.starts_with('#') {
        return Default::default();
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    (keyword.to_ascii_lowercase(), rest.trim_start_matches(|c: char| c.is_whitespace() || c == '='))
}

/// Returns the files that a pattern of `Include` matches, in sshd's order. Supports wildcards in
/// the last part of the path only.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new("/etc/ssh").join(pattern.trim_matches('"'));
    let (Some(folder), Some(last)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    if !last.contains(['*', '?']) {
        return vec![path];
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> =
        names.filter(|name| !name.starts_with('.') && matches(last, name)).collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Returns whether `text` matches `pattern`. In a pattern, `*` is any text and `?` any character
/// (ssh_config(5), PATTERNS).
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            (0..=text.len())
                .filter(|i| text.is_char_boundary(*i))
                .any(|i| matches(rest, &text[i..]))
        }
        Some(c) => text.chars().next().is_some_and(|first| {
            (c == '?' || c == first) && matches(&pattern[c.len_utf8()..], &text[first.len_utf8()..])
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_files_in_order_and_ends_match_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let included = folder.path().join("d");
        fs::create_dir(&included).unwrap();
        fs::write(included.join("20-b.conf"), "Port=2222\n").unwrap();
        fs::write(included.join("10-a.conf"), "# no\nMatch Group x\n  PermitTTY  yes\n").unwrap();
        fs::write(included.join("30-c.txt"), "Port 1\n").unwrap();
        let main = folder.path().join("sshd_config");
        let text =
            format!("Include {}/*.conf\nMatch User a\nX11Forwarding no\n", included.display());
        fs::write(&main, text).unwrap();
        let settings: Vec<_> = read(&main)
            .into_iter()
            .map(|s| format!("{} {} {} {:?}", s.line, s.keyword, s.value, s.within))
            .collect();
        assert_eq!(
            settings,
            [
                "3 permittty yes Some(\"Group x\")",
                "1 port 2222 None",
                "3 x11forwarding no Some(\"User a\")"
            ]
        );
    }

    #[test]
    fn patterns_match_as_in_sshd() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("?b", "äb", true),
            ("?", "", false),
            ("ab", "ab", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
