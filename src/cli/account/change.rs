//! Implements the commands `account add` and `account set`.

use jiff::Timestamp;

use super::show::find_account;
use crate::account::AccountId;
use crate::admission::{Admission, InvalidRecipient, NewAccount, check_address, check_domain};
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::outbox::settings::{self, EndpointError};
use crate::recipient::RecipientRule;
use crate::state::accounts;

/// The addresses that may get mail about an account's imports.
#[derive(Debug, clap::Args)]
pub struct RecipientArguments {
    /// Allow this address as a manifest's clientEmail, in addition to the contact. The option may
    /// be given several times; the value "" removes all such addresses
    #[arg(long, value_name = "ADDR")]
    recipient: Vec<String>,
    /// Allow all addresses at this domain, but not at its subdomains. The option may be given
    /// several times; the value "" removes all such domains [default for a new rule: the contact's
    /// domain, unless it is a free-mail provider's]
    #[arg(long, value_name = "DOMAIN")]
    recipient_domain: Vec<String>,
    /// Allow any address as a manifest's clientEmail
    #[arg(long, conflicts_with_all = ["recipient", "recipient_domain"])]
    any_recipient: bool,
}

impl RecipientArguments {
    /// Returns the changed recipient rule. `None` if the options change no part of the rule. A
    /// given list replaces the list of `before`.
    fn change(
        &self,
        contact: Option<&str>,
        before: &RecipientRule,
    ) -> Result<Option<RecipientRule>, CliError> {
        let addresses = check_list(&self.recipient, check_address)?;
        let domains = check_list(&self.recipient_domain, check_domain)?;
        if self.any_recipient {
            return Ok(Some(RecipientRule::Any));
        }
        if addresses.is_none() && domains.is_none() {
            return Ok(None);
        }
        let (old_addresses, old_domains) = match before.clone() {
            RecipientRule::Any => (Vec::new(), None),
            RecipientRule::Limited { addresses, domains } => (addresses, Some(domains)),
        };
        let addresses = addresses.unwrap_or(old_addresses);
        Ok(Some(RecipientRule::limited(contact, addresses, domains.or(old_domains))))
    }
}

pub(super) fn add(
    context: &CliContext,
    id: &AccountId,
    email: Option<&str>,
    recipients: &RecipientArguments,
) -> CliResult {
    let config = context.config()?;
    let state = context.state(&config)?;
    let email = email.map(check_address).transpose()?;
    let default = RecipientRule::limited(email.as_deref(), Vec::new(), None);
    let rule = recipients.change(email.as_deref(), &default)?.unwrap_or(default);
    let registry = context.registry(&config)?;
    let admission = Admission::of_root(&config, &registry);
    let new = NewAccount { id, email: email.as_deref(), recipients: &rule };
    let account = admission.add_account(&state, Timestamp::now(), &new)?;
    let next = format!("next: sftp-import key add {id} FILE.pub --name NAME");
    context.done(&account, [format!("account {id} added"), next])
}

pub(super) fn set(
    context: &CliContext,
    id: &AccountId,
    webhook: Option<String>,
    email: Option<String>,
    recipients: &RecipientArguments,
) -> CliResult {
    let state = context.open_state()?;
    let contact = email.as_deref().filter(|text| !text.is_empty());
    let contact = contact.map(check_address).transpose()?;
    let endpoint = webhook.as_deref().filter(|name| !name.is_empty());
    let at = Timestamp::now();
    let account = state.write(|tx| {
        let before = find_account(tx, id)?;
        if email.is_some() {
            accounts::set_contact(tx, at, id, contact.as_deref())?;
        }
        let contact = email.as_ref().map_or(before.email, |_| contact.clone());
        if let Some(rule) = recipients.change(contact.as_deref(), &before.recipients)? {
            accounts::set_recipients(tx, at, id, &rule)?;
        }
        if webhook.is_some() {
            settings::choose_endpoint(tx, at, id, endpoint).map_err(not_chosen)?;
        }
        find_account(tx, id)
    })?;
    context.done(&account, [format!("account {id} changed")])
}

fn not_chosen(error: EndpointError) -> CliError {
    match error {
        EndpointError::NoEndpoint { account, name } => {
            CliError::new(format_args!("account {account} has no webhook {name:?}"))
                .hint(format_args!("sftp-import webhook list {account}"))
        }
        error => error.into(),
    }
}

/// Checks the values of an option, except empty values. Returns `None` if the option was not given.
fn check_list(
    texts: &[String],
    check: fn(&str) -> Result<String, InvalidRecipient>,
) -> Result<Option<Vec<String>>, InvalidRecipient> {
    let values = texts.iter().filter(|text| !text.is_empty()).map(|text| check(text));
    let values = values.collect::<Result<Vec<String>, InvalidRecipient>>()?;
    Ok((!texts.is_empty()).then_some(values))
}
