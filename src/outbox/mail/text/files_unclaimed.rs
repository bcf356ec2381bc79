//! The mail about data files that no manifest names.

use askama::Template;

use super::wording::{length, thousands};
use super::{MAX_SUBJECT_NAME, MAX_TEXT, Shown, Texts, plain_words, shown};
use crate::config::Size;
use crate::outbox::notice::files_unclaimed::FilesUnclaimed;

struct Notice {
    account: Shown,
    headline: String,
    subject: String,
    /// The age from which on files count as unclaimed.
    after: String,
    files: Vec<File>,
    more: Option<String>,
}

struct File {
    name: Shown,
    size: Size,
    since: String,
}

#[derive(Template)]
#[template(path = "unclaimed/subject.txt")]
struct Subject<'a> {
    n: &'a Notice,
}

#[derive(Template)]
#[template(path = "unclaimed/body.txt")]
struct Text<'a> {
    n: &'a Notice,
}

#[derive(Template)]
#[template(path = "unclaimed/body.html")]
struct Html<'a> {
    n: &'a Notice,
}

/// Returns the texts of the mail.
pub(in super::super) fn unclaimed_texts(told: &FilesUnclaimed) -> Result<Texts, askama::Error> {
    let count = told.files.len() as u64 + told.more;
    let subject = match told.files.as_slice() {
        [file] if told.more == 0 => shown(&file.name, MAX_SUBJECT_NAME).to_string(),
        _ => format!("{} data files", thousands(count)),
    };
    let n = &Notice {
        account: shown(&told.account, MAX_TEXT),
        headline: match count {
            1 => "A data file waits, and no manifest names it.".to_owned(),
            _ => format!("{} data files wait, and no manifest names them.", thousands(count)),
        },
        subject,
        after: length(told.after_seconds),
        files: told
            .files
            .iter()
            .map(|file| File {
                name: shown(&file.name, MAX_TEXT),
                size: Size::from_bytes(file.bytes),
                since: file.since.strftime("%-d %B %Y %H:%M UTC").to_string(),
            })
            .collect(),
        more: (told.more > 0).then(|| thousands(told.more)),
    };
    Ok(Texts {
        subject: plain_words(Subject { n }.render()?.trim()),
        text: Text { n }.render()?,
        html: Html { n }.render()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[&str]) -> FilesUnclaimed {
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        let files = names.iter().map(|name| (*name, 1_234_567, at));
        let day = std::time::Duration::from_secs(24 * 3600);
        FilesUnclaimed::new(&"acme".parse().unwrap(), day, files)
    }

    #[test]
    fn says_which_files_and_what_to_do() {
        let texts = unclaimed_texts(&told(&["orders.csv"])).unwrap();
        insta::assert_snapshot!(format!(
            "Subject: {}\n\n{}\n{}",
            texts.subject, texts.text, texts.html
        ));
    }

    #[test]
    fn many_are_counted_and_a_hostile_name_breaks_out_of_nothing() {
        let evil = "a\r\nBcc: x@evil.example\r\n\r\n<script>\"'><img src=x>\u{1b}[2J\u{202e}.csv";
        let texts = unclaimed_texts(&told(&[evil; 1000])).unwrap();
        assert_eq!(texts.subject, "No manifest for 1,000 data files");
        assert!(texts.text.contains("and 980 more"), "{}", texts.text);
        let one = unclaimed_texts(&told(&[evil])).unwrap();
        for text in [&one.subject, &texts.text, &texts.html] {
            assert!(!text.contains(['\r', '\u{1b}', '\u{202e}']), "{text}");
            assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
        }
        assert!(!one.subject.contains('\n'));
        assert!(!texts.html.contains("<script") && !texts.html.contains("<img"), "{}", texts.html);
    }
}
