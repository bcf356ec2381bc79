//! Posts a signed milestone to an endpoint, by Standard Webhooks 1.0, and decides the outcome by
//! its answer.
//!
//! The sender follows no redirects, ignores proxies of the environment, connects to no address that
//! the [`SsrfGuard`] forbids, and reads a bounded part of the answer.

mod address_class;
pub(super) mod endpoint;
pub(super) mod signature;
pub(super) mod ssrf_guard;

use std::io::Read as _;

use jiff::Timestamp;
use ureq::http::{Response, header};
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Error};

use signature::Secret;
use ssrf_guard::{GuardedResolver, SsrfGuard};

use super::retry::{AttemptOutcome, retry_after};
use crate::config::Webhooks;
use crate::sanitize::printable_start;

/// The maximum number of bytes that are read from the body of an endpoint's answer.
const MAX_ANSWER: u64 = 8 * 1024;

/// The maximum number of characters that are stored from the body of an endpoint's answer.
const MAX_KEPT: usize = 200;

/// A request to an endpoint, before it is signed.
#[derive(Debug)]
pub struct WebhookRequest<'a> {
    pub url: &'a str,
    /// The secrets that sign the request. The current secret is the first. The request has one
    /// signature for each secret.
    pub secrets: &'a [Secret],
    /// The message id, which begins with `msg_`. All attempts at a delivery have the same id.
    pub id: &'a str,
    /// The time of the current attempt.
    pub now: Timestamp,
    /// The body of the request, which is JSON.
    pub body: &'a str,
}

/// Sends webhooks. All clones share one HTTP agent, and cloning is cheap.
#[derive(Clone, Debug)]
pub struct WebhookSender {
    agent: Agent,
}

impl WebhookSender {
    /// Makes a sender with the timeout and the allowed addresses of `webhooks`. The timeout covers
    /// a request from the name resolution to the last byte of the answer.
    pub fn new(webhooks: &Webhooks) -> Self {
        Self::resolving_by(webhooks, DefaultResolver::default())
    }

    /// Makes a sender that uses `resolver` to resolve host names.
    pub fn resolving_by(webhooks: &Webhooks, resolver: impl Resolver) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(webhooks.timeout.get()))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0) // a broken idle connection would count as a failure
            .proxy(None)
            .user_agent(concat!("sftp-import/", env!("CARGO_PKG_VERSION")))
            .build();
        let resolver = GuardedResolver::new(SsrfGuard::new(&webhooks.allow), resolver);
        Self { agent: Agent::with_parts(config, DefaultConnector::default(), resolver) }
    }

    pub fn send(&self, request: &WebhookRequest<'_>) -> AttemptOutcome {
        let answer = self
            .agent
            .post(request.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", request.id)
            .header("webhook-timestamp", request.now.as_second().to_string())
            .header("webhook-signature", signatures(request))
            .send(request.body);
        match answer {
            Ok(mut answer) => judge(&mut answer, request.now),
            // `SsrfGuard` refused an address of the host. This failure is temporary, because the
            // host name can have other addresses later.
            Err(Error::Other(error)) => {
                AttemptOutcome::later(printable_start(&error.to_string(), MAX_KEPT))
            }
            Err(error) => AttemptOutcome::later(printable_start(&error.to_string(), MAX_KEPT)),
        }
    }
}

/// Returns the signatures of a request, separated by spaces. A receiver needs only one of the
/// secrets to check the request.
fn signatures(request: &WebhookRequest<'_>) -> String {
    let sign = |secret: &Secret| secret.sign(request.id, request.now, request.body.as_bytes());
    request.secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

/// Returns the outcome of the attempt. The outcome depends only on the HTTP status of `answer`.
fn judge(answer: &mut Response<Body>, now: Timestamp) -> AttemptOutcome {
    let status = answer.status();
    if status.is_success() {
        return AttemptOutcome::Delivered(status.to_string());
    }
    let asked = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = asked.and_then(|value| retry_after(value, now));
    let target = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let why = match target {
        Some(target) if status.is_redirection() => {
            format!(
                "{status}: the answer redirects to {}, but redirects are not followed",
                printable_start(target, MAX_KEPT)
            )
        }
        _ => with_body(status.to_string(), answer),
    };
    match status.as_u16() {
        410 => AttemptOutcome::Gone(why),
        _ => AttemptOutcome::Later { why, retry_after },
    }
}

/// Returns `status` and the beginning of the answer's body. If a part of the body cannot be read,
/// the text is shorter.
fn with_body(status: String, answer: &mut Response<Body>) -> String {
    let mut bytes = Vec::new();
    // A read error is ignored: the outcome depends only on the HTTP status.
    let _ = answer.body_mut().as_reader().take(MAX_ANSWER).read_to_end(&mut bytes);
    match String::from_utf8_lossy(&bytes).trim() {
        "" => status,
        body => format!("{status}: {}", printable_start(body, MAX_KEPT)),
    }
}
