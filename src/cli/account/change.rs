//! `account add` and `account set`.

use jiff::Timestamp;

use super::{CliError, CliResult, Host, existing, hinted};
use crate::account::AccountId;
use crate::provision;
use crate::state::{self, accounts};

impl Host<'_> {
    pub(super) fn add(&self, id: &AccountId, email: Option<&str>, domains: &[String]) -> CliResult {
        let email = email.map(checked_email).transpose()?;
        let domains = domains.iter().map(|domain| checked_domain(domain));
        let domains = domains.collect::<Result<Vec<String>, CliError>>()?;
        provision::check_new(&self.config, id).map_err(hinted)?;
        let added = self.state.write(|tx| {
            let added = accounts::add(tx, Timestamp::now(), id, email.as_deref(), &domains)?;
            Ok::<_, state::Error>(if added { accounts::get(tx, id)? } else { None })
        })?;
        let Some(account) = added else {
            return Err(CliError::new(format_args!("there is an account {id} already"))
                .hint(format_args!("sftp-import account show {id}")));
        };
        let output = self.context.output();
        output.json(&account)?;
        output.line(&format!("account {id} added"))?;
        output.line(&format!("next: sftp-import key add {id} FILE.pub --name NAME"))?;
        Ok(true)
    }

    pub(super) fn set(
        &self,
        id: &AccountId,
        webhook: Option<String>,
        email: Option<String>,
    ) -> CliResult {
        let filled = |text: &String| !text.is_empty();
        let contact = email.as_ref().filter(|text| filled(text));
        let contact = contact.map(|text| checked_email(text)).transpose()?;
        let endpoint = webhook.as_deref().filter(|name| !name.is_empty());
        let at = Timestamp::now();
        let account = self.state.write(|tx| {
            existing(tx, id)?;
            if email.is_some() {
                accounts::set_contact(tx, at, id, contact.as_deref())?;
            }
            if webhook.is_some() && !accounts::set_webhook(tx, at, id, endpoint)? {
                let name = endpoint.unwrap_or_default();
                return Err(CliError::new(format_args!("account {id} has no webhook {name:?}"))
                    .hint(format_args!("sftp-import webhook list {id}")));
            }
            existing(tx, id)
        })?;
        self.context.output().json(&account)?;
        self.context.output().line(&format!("account {id} changed"))?;
        Ok(true)
    }
}

fn checked_email(text: &str) -> Result<String, CliError> {
    if crate::manifest::is_address(text) {
        return Ok(text.to_owned());
    }
    Err(CliError::new(format_args!("{text:?} is not an email address")))
}

/// A domain in lower case.
fn checked_domain(text: &str) -> Result<String, CliError> {
    match format!("x@{text}").parse::<email_address::EmailAddress>() {
        Ok(_) if !text.contains(['@', '[', '<']) => Ok(text.to_ascii_lowercase()),
        _ => Err(CliError::new(format_args!("{text:?} is not a domain such as example.com"))),
    }
}
