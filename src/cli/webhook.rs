//! Implements the commands `sftp-import webhook …`, which manage the endpoints of accounts.

use jiff::Timestamp;
use serde_json::json;

use super::context::{CliContext, CliError, CliResult};
use crate::account::AccountId;
use crate::outbox::retry::AttemptOutcome;
use crate::outbox::settings::{self, EndpointError, RotatedSecret};
use crate::outbox::{
    EndpointHost, SsrfGuard, WebhookRequest, WebhookSender, check_name, check_url, message_id,
    signing_secrets,
};
use crate::state::endpoints::{self, Endpoint};

#[derive(Debug, clap::Subcommand)]
pub enum WebhookCommand {
    /// Add an endpoint to an account, and print its secret, which is not shown again
    Add {
        /// The account's id
        account: AccountId,
        /// The endpoint's name, which is unique in the account
        name: String,
        /// The URL that gets the messages: https://host/path
        url: String,
    },
    /// List the endpoints of accounts
    List {
        /// List only the endpoints of this account
        account: Option<AccountId>,
    },
    /// Send one signed test message to an endpoint now, and print the answer
    Test(EndpointArguments),
    /// Give an endpoint a new secret, and print the secret, which is not shown again
    Rotate(EndpointArguments),
    /// Enable a disabled endpoint
    Enable(EndpointArguments),
    /// Remove an endpoint; its pending deliveries are given up
    Remove(EndpointArguments),
}

#[derive(Debug, clap::Args)]
pub struct EndpointArguments {
    /// The account's id
    account: AccountId,
    /// The name of the endpoint
    name: String,
}

pub fn run(command: WebhookCommand, context: &CliContext) -> CliResult {
    match command {
        WebhookCommand::Add { account, name, url } => add(context, &account, &name, &url),
        WebhookCommand::List { account } => list(context, account.as_ref()),
        WebhookCommand::Test(endpoint) => test(context, &endpoint),
        WebhookCommand::Rotate(endpoint) => rotate(context, &endpoint),
        WebhookCommand::Enable(endpoint) => enable(context, &endpoint),
        WebhookCommand::Remove(endpoint) => remove(context, &endpoint),
    }
}

fn add(context: &CliContext, account: &AccountId, name: &str, url: &str) -> CliResult {
    check_name(name)?;
    check_url(url)?;
    let config = context.config()?;
    let host = SsrfGuard::new(&config.webhooks.allow).check_host(url)?;
    let state = context.state(&config)?;
    let secret = settings::save_endpoint(&state, Timestamp::now(), account, name, url)?;
    let mut lines = Vec::new();
    if let EndpointHost::Unresolved(why) = host {
        lines.push(format!("The host name does not resolve; each request retries. {why}"));
    }
    lines.extend([
        format!(
            "The endpoint {name} of account {account} has this secret, which is not shown again:"
        ),
        format!("  {secret}"),
        "To send the account's milestones to this endpoint, run:".to_owned(),
        format!("  sftp-import account set {account} --webhook {name}"),
    ]);
    let value = json!({ "account": account.as_str(), "name": name, "url": url, "secret": secret });
    context.done(&value, lines)
}

fn list(context: &CliContext, account: Option<&AccountId>) -> CliResult {
    let endpoints = context.open_state()?.read(|tx| endpoints::list(tx, account))?;
    let titles = ["ACCOUNT", "NAME", "CHOSEN", "STATE", "URL"];
    let row = |endpoint: &Endpoint| {
        let chosen = if endpoint.chosen { "yes" } else { "no" };
        let state = match (&endpoint.disabled_at, &endpoint.disabled_reason) {
            (None, _) => "enabled".to_owned(),
            (Some(at), None) => format!("disabled on {}", at.strftime("%F")),
            (Some(at), Some(why)) => format!("disabled on {}: {why}", at.strftime("%F")),
        };
        let [account, name, url] = [&endpoint.account, &endpoint.name, &endpoint.url];
        vec![account.clone(), name.clone(), chosen.to_owned(), state, url.clone()]
    };
    context.output().list(&endpoints, &titles, "There are no endpoints.", row)?;
    Ok(true)
}

fn test(context: &CliContext, endpoint: &EndpointArguments) -> CliResult {
    let EndpointArguments { account, name } = endpoint;
    let (config, now) = (context.config()?, Timestamp::now());
    let state = context.state(&config)?;
    let target = state
        .read(|tx| endpoints::find_target(tx, account.as_str(), name, now))?
        .ok_or_else(|| no_endpoint(account, name))?;
    // A slow endpoint must not block other users of the database.
    drop(state);
    let (id, secrets) = (message_id(), signing_secrets(&target)?);
    let data = json!({"account": account.as_str()});
    let body = json!({"type": "test", "timestamp": format!("{now:.3}"), "data": data}).to_string();
    let request = WebhookRequest { url: &target.url, secrets: &secrets, id: &id, now, body: &body };
    let outcome = WebhookSender::new(&config.webhooks).send(&request);
    let delivered = matches!(outcome, AttemptOutcome::Delivered(_));
    let verb = if delivered { "accepted" } else { "did not accept" };
    let mut lines =
        vec![format!("{} {verb} the test message {id}: {}", target.url, outcome.text())];
    if target.disabled.is_some() {
        lines.push("The endpoint is disabled. To send milestones to it again, run:".to_owned());
        lines.push(format!("  sftp-import webhook enable {account} {name}"));
    }
    let value = json!({
        "id": id, "url": target.url, "delivered": delivered, "answer": outcome.text(),
    });
    context.output().result(&value, lines)?;
    Ok(delivered)
}

fn rotate(context: &CliContext, endpoint: &EndpointArguments) -> CliResult {
    let EndpointArguments { account, name } = endpoint;
    let config = context.config()?;
    let (state, at) = (context.state(&config)?, Timestamp::now());
    let RotatedSecret { secret, old_secret_until: until } =
        settings::rotate_secret(&state, &config.webhooks, at, account, name)?;
    let value = json!({
        "account": account.as_str(), "name": name, "secret": secret, "oldSecretUntil": until,
    });
    let lines = [
        format!(
            "The endpoint {name} of account {account} has this new secret, which is not shown again:"
        ),
        format!("  {secret}"),
        format!("The old secret also signs until {}.", until.strftime("%F %T UTC")),
    ];
    context.done(&value, lines)
}

fn enable(context: &CliContext, endpoint: &EndpointArguments) -> CliResult {
    let EndpointArguments { account, name } = endpoint;
    settings::enable_endpoint(&context.open_state()?, Timestamp::now(), account, name)?;
    let value = json!({"account": account.as_str(), "name": name});
    context.done(&value, [format!("The endpoint {name} of account {account} is enabled.")])
}

fn remove(context: &CliContext, endpoint: &EndpointArguments) -> CliResult {
    let EndpointArguments { account, name } = endpoint;
    settings::remove_endpoint(&context.open_state()?, Timestamp::now(), account, name)?;
    let value = json!({"account": account.as_str(), "name": name});
    context.done(&value, [format!("The endpoint {name} of account {account} is removed.")])
}

fn no_endpoint(account: &AccountId, name: &str) -> CliError {
    EndpointError::NoEndpoint { account: account.clone(), name: name.to_owned() }.into()
}
