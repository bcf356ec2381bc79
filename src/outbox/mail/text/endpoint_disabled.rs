//! The mail about a disabled endpoint.

use super::parts::{MAX_TEXT, MailTexts, SafeText, render, safe_text};
use crate::outbox::notice::endpoint_disabled::EndpointDisabled;

/// The values for the templates of the mail about a disabled endpoint.
struct EndpointDisabledMail {
    account: SafeText,
    endpoint: SafeText,
    url: SafeText,
    reason: SafeText,
    why: String,
}

/// Returns the texts of the mail about a disabled endpoint.
pub(super) fn write_texts(notice: &EndpointDisabled) -> Result<MailTexts, askama::Error> {
    let why = match notice.failing_since {
        Some(since) => {
            format!("The endpoint has failed since {}.", since.strftime("%-d %B %Y %H:%M UTC"))
        }
        None => "The endpoint answered that it accepts no more requests.".to_owned(),
    };
    let mail = &EndpointDisabledMail {
        account: safe_text(&notice.account, MAX_TEXT),
        endpoint: safe_text(&notice.endpoint, MAX_TEXT),
        url: safe_text(&notice.url, MAX_TEXT),
        reason: safe_text(&notice.reason, MAX_TEXT),
        why,
    };
    render!(
        mail,
        EndpointDisabledMail,
        "endpoint_disabled/subject.txt",
        "endpoint_disabled/body.txt",
        "endpoint_disabled/body.html"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::whole;
    use super::*;

    #[test]
    fn names_the_endpoint_and_the_next_step() {
        let texts = write_texts(&EndpointDisabled {
            account: "acme".into(),
            endpoint: "crm".into(),
            url: "https://crm.example.com/in?a=<b>".into(),
            reason: "503 Service Unavailable: <script>\u{1b}[2J\nBcc: x".into(),
            failing_since: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        })
        .unwrap();
        assert!(!texts.html.contains("<script>") && !texts.text.contains('\u{1b}'));
        insta::assert_snapshot!(whole(&texts));
    }
}
