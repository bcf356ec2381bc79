//! The mail about data files that no manifest names.

use super::parts::{MAX_SUBJECT_NAME, MAX_TEXT, MailTexts, SafeText, render, safe_text, thousands};
use super::wording::length;
use crate::config::Size;
use crate::outbox::notice::files_unclaimed::FilesUnclaimed;

/// The values for the templates of the mail about data files that no manifest names.
struct FilesUnclaimedMail {
    account: SafeText,
    headline: String,
    subject: String,
    /// The age at which a data file without a manifest counts as unclaimed.
    after: String,
    files: Vec<FileEntry>,
    more: Option<String>,
}

struct FileEntry {
    name: SafeText,
    size: Size,
    since: String,
}

/// Returns the texts of the mail about data files that no manifest names.
pub(super) fn write_texts(notice: &FilesUnclaimed) -> Result<MailTexts, askama::Error> {
    let count = notice.files.len() as u64 + notice.more;
    let subject = match notice.files.as_slice() {
        [file] if notice.more == 0 => safe_text(&file.name, MAX_SUBJECT_NAME).to_string(),
        _ => format!("{} data files", thousands(count)),
    };
    let mail = &FilesUnclaimedMail {
        account: safe_text(&notice.account, MAX_TEXT),
        headline: match count {
            1 => "A data file waits, and no manifest names it.".to_owned(),
            _ => format!("{} data files wait, and no manifest names them.", thousands(count)),
        },
        subject,
        after: length(notice.after_seconds),
        files: notice
            .files
            .iter()
            .map(|file| FileEntry {
                name: safe_text(&file.name, MAX_TEXT),
                size: Size::from_bytes(file.bytes),
                since: file.since.strftime("%-d %B %Y %H:%M UTC").to_string(),
            })
            .collect(),
        more: (notice.more > 0).then(|| thousands(notice.more)),
    };
    render!(
        mail,
        FilesUnclaimedMail,
        "files_unclaimed/subject.txt",
        "files_unclaimed/body.txt",
        "files_unclaimed/body.html"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::whole;
    use super::*;

    fn notice(names: &[&str]) -> FilesUnclaimed {
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        let files = names.iter().map(|name| (*name, 1_234_567, at));
        let day = std::time::Duration::from_secs(24 * 3600);
        FilesUnclaimed::new(&"acme".parse().unwrap(), day, files)
    }

    #[test]
    fn names_the_files_and_the_next_step() {
        let texts = write_texts(&notice(&["orders.csv"])).unwrap();
        insta::assert_snapshot!(whole(&texts));
    }

    #[test]
    fn long_lists_and_hostile_names_are_safe() {
        let evil = "a\r\nBcc: x@evil.example\r\n\r\n<script>\"'><img src=x>\u{1b}[2J\u{202e}.csv";
        let texts = write_texts(&notice(&[evil; 1000])).unwrap();
        assert_eq!(texts.subject, "No manifest for 1,000 data files");
        assert!(texts.text.contains("and 980 more"), "{}", texts.text);
        let one = write_texts(&notice(&[evil])).unwrap();
        for text in [&one.subject, &texts.text, &texts.html] {
            assert!(!text.contains(['\r', '\u{1b}', '\u{202e}']), "{text}");
            assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
        }
        assert!(!one.subject.contains('\n'));
        assert!(!texts.html.contains("<script") && !texts.html.contains("<img"), "{}", texts.html);
    }
}
