//! Posts a signed milestone to an endpoint, by Standard Webhooks 1.0. Says what came back.
//!
//! Redirects are not followed, proxies of the environment are not used, no address is connected to
//! that the [`Guard`] forbids, and no more of the answer is read than is worth keeping.

pub mod address_class;
pub mod endpoint;
pub mod signature;
pub mod ssrf_guard;

use std::io::Read as _;

use jiff::Timestamp;
use ureq::http::{Response, header};
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Error};

use self::signature::Secret;
use self::ssrf_guard::{Guard, GuardedResolver};
use super::retry::{Outcome, retry_after};
use crate::config::Webhooks;
use crate::sanitize::printable;

/// How much of an answer's body is read, in bytes.
const MAX_ANSWER: u64 = 8 * 1024;

/// How much of an answer's body is kept, in characters.
const MAX_KEPT: usize = 200;

/// One signed request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where to.
    pub url: &'a str,
    /// What it is signed with, the present one first: one signature each.
    pub secrets: &'a [Secret],
    /// `msg_…`: stays the same in every attempt.
    pub id: &'a str,
    /// The time of this attempt.
    pub now: Timestamp,
    /// JSON.
    pub body: &'a str,
}

/// Sends requests; cheap to share.
#[derive(Clone, Debug)]
pub struct Sender {
    agent: Agent,
}

impl Sender {
    /// With the timeout of `webhooks`, from looking the host up to the last byte, and to the
    /// addresses that it allows.
    pub fn new(webhooks: &Webhooks) -> Self {
        Self::resolving_by(webhooks, DefaultResolver::default())
    }

    /// The same, with hosts looked up by `resolver`.
    pub(super) fn resolving_by(webhooks: &Webhooks, resolver: impl Resolver) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(webhooks.timeout.get()))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0) // one that died while idle would look like a failure
            .proxy(None)
            .user_agent(concat!("sftp-import/", env!("CARGO_PKG_VERSION")))
            .build();
        let resolver = GuardedResolver::new(Guard::new(&webhooks.allow), resolver);
        Self { agent: Agent::with_parts(config, DefaultConnector::default(), resolver) }
    }

    /// Posts `request`, and says what came of it.
    pub fn send(&self, request: &Request<'_>) -> Outcome {
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
            // What the guard says; a name can have other addresses later.
            Err(Error::Other(error)) => Outcome::later(shortened(&error.to_string())),
            Err(error) => Outcome::later(shortened(&error.to_string())),
        }
    }
}

/// Separated by spaces, so that a receiver that knows one of the secrets finds its own.
fn signatures(request: &Request<'_>) -> String {
    let sign = |secret: &Secret| secret.sign(request.id, request.now, request.body.as_bytes());
    request.secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

/// What an answer means: its status decides, whatever its body.
fn judge(answer: &mut Response<Body>, now: Timestamp) -> Outcome {
    let status = answer.status();
    if status.is_success() {
        return Outcome::Delivered(status.to_string());
    }
    let asked = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = asked.and_then(|value| retry_after(value, now));
    let target = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let why = match target {
        Some(target) if status.is_redirection() => {
            format!("{status}, to {}; redirects are not followed", shortened(target))
        }
        _ => with_body(status.to_string(), answer),
    };
    match status.as_u16() {
        410 => Outcome::Gone(why),
        _ => Outcome::Later { why, retry_after },
    }
}

/// `status` and the beginning of the answer's body, as far as it can be read.
fn with_body(status: String, answer: &mut Response<Body>) -> String {
    let mut bytes = Vec::new();
    // What came before an error is as good as all of it: the status has decided already.
    let _ = answer.body_mut().as_reader().take(MAX_ANSWER).read_to_end(&mut bytes);
    match String::from_utf8_lossy(&bytes).trim() {
        "" => status,
        body => format!("{status}: {}", shortened(body)),
    }
}

fn shortened(text: &str) -> String {
    printable(&text.chars().take(MAX_KEPT).collect::<String>())
}
