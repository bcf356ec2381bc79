//! The mail about a disabled endpoint.

use askama::Template;

use super::{MAX_TEXT, Shown, Texts, plain_words, shown};
use crate::outbox::notice::EndpointDisabled;

struct Notice {
    account: Shown,
    endpoint: Shown,
    url: Shown,
    reason: Shown,
    why: String,
}

#[derive(Template)]
#[template(path = "webhook_disabled/subject.txt")]
struct Subject<'a> {
    n: &'a Notice,
}

#[derive(Template)]
#[template(path = "webhook_disabled/body.txt")]
struct Text<'a> {
    n: &'a Notice,
}

#[derive(Template)]
#[template(path = "webhook_disabled/body.html")]
struct Html<'a> {
    n: &'a Notice,
}

/// Returns the texts of the mail.
pub(in super::super) fn disabled_texts(told: &EndpointDisabled) -> Result<Texts, askama::Error> {
    let why = match told.failing_since {
        Some(since) => format!("It has failed since {}.", since.strftime("%-d %B %Y %H:%M UTC")),
        None => "It answered that it accepts no more requests.".to_owned(),
    };
    let n = &Notice {
        account: shown(&told.account, MAX_TEXT),
        endpoint: shown(&told.endpoint, MAX_TEXT),
        url: shown(&told.url, MAX_TEXT),
        reason: shown(&told.reason, MAX_TEXT),
        why,
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

    #[test]
    fn says_which_endpoint_why_and_what_to_do() {
        let texts = disabled_texts(&EndpointDisabled {
            account: "acme".into(),
            endpoint: "crm".into(),
            url: "https://crm.example.com/in?a=<b>".into(),
            reason: "503 Service Unavailable: <script>\u{1b}[2J\nBcc: x".into(),
            failing_since: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        })
        .unwrap();
        assert!(!texts.html.contains("<script>") && !texts.text.contains('\u{1b}'));
        insta::assert_snapshot!(format!(
            "Subject: {}\n\n{}\n{}",
            texts.subject, texts.text, texts.html
        ));
    }
}
