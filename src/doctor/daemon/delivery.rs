//! Checks mail and webhooks: whether the mail server accepts mail, and which deliveries were given
//! up.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::config::{Config, MailServer};
use crate::doctor::finding::Finding;
use crate::outbox::greet_mail_server;
use crate::state::State;
use crate::state::endpoints::{self, Endpoint};
use crate::state::health::{self, Backlog};

const MAIL: &str = "mail";
const WEBHOOKS: &str = "webhooks";
const DELIVERIES: &str = "deliveries";

/// The maximum age of a given-up delivery that is reported.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// The duration of unsuccessful attempts after which a delivery is reported.
const LONG: SignedDuration = SignedDuration::from_hours(1);

/// Checks mail, endpoints and deliveries. Connects to the mail server, but sends no mail.
pub fn check(config: &Config, state: Option<&State>, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![mail(config)];
    let Some(state) = state else { return findings };
    if let Ok(endpoints) = state.read(|tx| endpoints::list(tx, None)) {
        findings.extend(judge_endpoints(&endpoints));
    }
    let since = now.checked_sub(RECENT).unwrap_or(now);
    if let Ok(backlog) = state.read(|tx| health::read_backlog(tx, since)) {
        findings.push(judge_deliveries(&backlog, now));
    }
    findings
}

fn mail(config: &Config) -> Finding {
    let url = &config.mail.url;
    match config.mail.server() {
        Err(problem) => {
            Finding::fail(MAIL, format!("mail.url {problem}")).fix("sftp-import config check")
        }
        Ok(MailServer::Off) => Finding::warn(MAIL, "no mail is sent: mail.url is empty")
            .fix("set mail.url, unless partners need only webhooks and results/"),
        Ok(MailServer::Sendmail(program)) => judge_sendmail(&program, mode(&program)),
        Ok(MailServer::Smtp(_))
            if config.mail.password_credential.is_some()
                && std::env::var_os("CREDENTIALS_DIRECTORY").is_none() =>
        {
            Finding::warn(
                MAIL,
                "the mail server was not tested: only the unit has its password credential",
            )
            .fix("`sftp-import delivery list --pending` shows whether mail is delivered")
        }
        Ok(MailServer::Smtp(_)) => match greet_mail_server(&config.mail) {
            Ok(()) => Finding::ok(MAIL, format!("the mail server {url} accepts mail")),
            Err(error) => Finding::fail(
                MAIL,
                format!("the mail server {url} does not accept mail: {error}"),
            )
            .log("the next attempt is at")
            .fix("correct [mail] or the server, then run `sftp-import delivery retry --failed`"),
        },
    }
}

fn mode(program: &Path) -> Option<u32> {
    fs::metadata(program).ok().map(|found| found.permissions().mode())
}

fn judge_sendmail(program: &Path, mode: Option<u32>) -> Finding {
    let name = program.display();
    let cannot_run =
        |message| Finding::fail(MAIL, message).log("cannot run").fix("correct mail.url");
    match mode {
        None => cannot_run(format!("the program {name} does not exist")),
        Some(mode) if mode & 0o111 == 0 => {
            cannot_run(format!("the program {name} is not executable"))
        }
        Some(mode) if mode & 0o6000 != 0 => {
            let message = format!(
                "the program {name} is setuid or setgid, which the unit's NoNewPrivileges disables"
            );
            Finding::warn(MAIL, message)
                .fix("set mail.url = \"smtp://127.0.0.1:25\", or use a sendmail such as msmtp")
        }
        Some(_) => Finding::ok(MAIL, format!("the program {name} is executable")),
    }
}

fn judge_endpoints(endpoints: &[Endpoint]) -> Vec<Finding> {
    let faults = endpoints.iter().filter_map(judge_endpoint);
    Finding::faults_or_ok(
        faults,
        WEBHOOKS,
        format!("none of the {} endpoints fails", endpoints.len()),
    )
}

fn judge_endpoint(endpoint: &Endpoint) -> Option<Finding> {
    let Endpoint { account, name, .. } = endpoint;
    let finding = match (endpoint.disabled_at, endpoint.failing_since) {
        (Some(at), _) => {
            let why = endpoint.disabled_reason.as_deref().unwrap_or("the reason is unknown");
            let message =
                format!("the endpoint {name} has been disabled since {}: {why}", at.strftime("%F"));
            Finding::warn(WEBHOOKS, message).log("the endpoint is now disabled").fix(format!(
                "sftp-import webhook test {account} {name}; \
                 sftp-import webhook enable {account} {name}"
            ))
        }
        (None, Some(since)) => {
            let message =
                format!("the endpoint {name} has failed since {}", since.strftime("%F %H:%M UTC"));
            Finding::warn(WEBHOOKS, message)
                .log("the next attempt is at")
                .fix(format!("sftp-import webhook test {account} {name}"))
        }
        (None, None) => return None,
    };
    Some(account.parse().map(|id| finding.clone().of(&id)).unwrap_or(finding))
}

fn judge_deliveries(backlog: &Backlog, now: Timestamp) -> Finding {
    let age = backlog.oldest_retried.map(|at| now.duration_since(at)).unwrap_or_default();
    if backlog.given_up > 0 {
        let message =
            format!("deliveries that were given up in the last 24 h: {}", backlog.given_up);
        let fix = "`sftp-import delivery list --failed` lists them; fix the cause, then run \
                   `sftp-import delivery retry ID`";
        return Finding::warn(DELIVERIES, message).log("was given up").fix(fix);
    }
    if age >= LONG {
        let message = format!(
            "deliveries that are retried without success: {}, the oldest for {} h",
            backlog.retried,
            age.as_hours()
        );
        let fix = "`sftp-import delivery list --pending` lists them; \
                   `sftp-import delivery show ID` shows the reason";
        return Finding::warn(DELIVERIES, message).log("the next attempt is at").fix(fix);
    }
    Finding::ok(DELIVERIES, "no delivery was given up in the last 24 h")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn reports_a_sendmail_that_cannot_be_run() {
        let of = |mode| judge_sendmail(Path::new("/usr/sbin/sendmail"), mode);
        assert_eq!(of(Some(0o100_755)).level, Level::Ok);
        assert_eq!(of(Some(0o100_644)).level, Level::Fail);
        assert_eq!(of(None).level, Level::Fail);
        assert!(of(Some(0o102_755)).message.contains("NoNewPrivileges"));
    }

    fn endpoint() -> Endpoint {
        Endpoint {
            account: "acme".into(),
            name: "crm".into(),
            url: "https://x".into(),
            chosen: true,
            created_at: Timestamp::UNIX_EPOCH,
            disabled_at: None,
            disabled_reason: None,
            failing_since: None,
            old_secret_until: None,
        }
    }

    #[test]
    fn reports_failing_and_disabled_endpoints() {
        assert_eq!(judge_endpoints(&[endpoint()])[0].level, Level::Ok);
        let disabled_at = Some(Timestamp::UNIX_EPOCH);
        let disabled_reason = Some("410 Gone".into());
        let gone =
            judge_endpoint(&Endpoint { disabled_at, disabled_reason, ..endpoint() }).unwrap();
        assert_eq!(gone.message, "the endpoint crm has been disabled since 1970-01-01: 410 Gone");
        assert_eq!(gone.account.as_deref(), Some("acme"));
        let failing = judge_endpoint(&Endpoint { failing_since: disabled_at, ..endpoint() });
        assert!(failing.unwrap().message.contains("has failed since 1970-01-01"));
    }

    #[test]
    fn reports_deliveries_given_up_or_long_retried() {
        let now = Timestamp::from_second(100_000).unwrap();
        let of = |given_up, second| {
            let oldest_retried = Timestamp::from_second(second).ok();
            judge_deliveries(
                &Backlog { given_up, retried: 2, oldest_retried, ..Backlog::default() },
                now,
            )
        };
        assert_eq!(of(0, 99_000).level, Level::Ok);
        assert_eq!(of(3, 99_000).message, "deliveries that were given up in the last 24 h: 3");
        assert_eq!(
            of(0, 90_000).message,
            "deliveries that are retried without success: 2, the oldest for 2 h"
        );
    }
}
