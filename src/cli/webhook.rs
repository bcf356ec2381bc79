//! `sftp-import webhook …`: the endpoints of accounts.

use jiff::Timestamp;

use super::{CliError, CliResult, Context};
use crate::account::AccountId;
use crate::outbox::retry::Outcome;
use crate::outbox::{Guard, Lookup, Request, Secret, Sender, check_name, check_url, message_id};
use crate::state::endpoints::{self, AddOutcome, Endpoint};
use crate::state::{self, activity};

#[derive(Debug, clap::Subcommand)]
pub enum WebhookCommand {
    /// Add an endpoint to an account, and print its secret: it is not shown again
    Add {
        /// The account's id
        account: AccountId,
        /// The endpoint's name, unique in the account
        name: String,
        /// The URL to post to: https://host/path
        url: String,
    },
    /// List endpoints
    List {
        /// Only this account's
        account: Option<AccountId>,
    },
    /// Send one signed test message now, and print the answer
    Test {
        /// The account's id
        account: AccountId,
        /// The endpoint's name
        name: String,
    },
    /// Give an endpoint a new secret, and print it: it is not shown again
    Rotate {
        /// The account's id
        account: AccountId,
        /// The endpoint's name
        name: String,
    },
    /// Enable a disabled endpoint
    Enable {
        /// The account's id
        account: AccountId,
        /// The endpoint's name
        name: String,
    },
    /// Remove an endpoint; its pending deliveries are given up
    Remove {
        /// The account's id
        account: AccountId,
        /// The endpoint's name
        name: String,
    },
}

pub fn run(command: WebhookCommand, context: &Context) -> CliResult {
    match command {
        WebhookCommand::Add { account, name, url } => add(context, &account, &name, &url),
        WebhookCommand::List { account } => list(context, account.as_ref()),
        WebhookCommand::Test { account, name } => test(context, &account, &name),
        WebhookCommand::Rotate { account, name } => rotate(context, &account, &name),
        WebhookCommand::Enable { account, name } => enable(context, &account, &name),
        WebhookCommand::Remove { account, name } => remove(context, &account, &name),
    }
}

fn add(context: &Context, account: &AccountId, name: &str, url: &str) -> CliResult {
    check_name(name)?;
    check_url(url)?;
    let config = context.config()?;
    let lookup = Guard::new(&config.webhooks.allow).check_host(url)?;
    let state = context.state(&config)?;
    let (at, secret) = (Timestamp::now(), Secret::generate()?.reveal());
    let added = state.write(|tx| {
        let added = endpoints::add(tx, at, account, name, url, &secret)?;
        if added == AddOutcome::Added {
            activity::log(tx, at, Some(account), None, "webhook.added", &format!("{name}: {url}"))?;
        }
        Ok::<_, state::Error>(added)
    })?;
    match added {
        AddOutcome::Added => {}
        AddOutcome::NoAccount => {
            return Err(CliError::new(format_args!("there is no account {account}"))
                .hint(format_args!("sftp-import account add {account} --email ADDR")));
        }
        AddOutcome::NameTaken => {
            return Err(CliError::new(format_args!("{account} has an endpoint {name} already"))
                .hint(format_args!("sftp-import webhook remove {account} {name}")));
        }
    }
    let out = context.output();
    out.json(&serde_json::json!({
        "account": account.as_str(), "name": name, "url": url, "secret": secret,
    }))?;
    if let Lookup::Unresolved(why) = lookup {
        out.line(&format!("The host name does not resolve; each request retries. {why}"))?;
    }
    out.line(&format!("Added {name} to {account}. Its secret, which is not shown again:"))?;
    out.line(&format!("  {secret}"))?;
    out.line("Milestones go there once the account chooses it:")?;
    out.line(&format!("  sftp-import account set {account} --webhook {name}"))?;
    Ok(true)
}

fn list(context: &Context, account: Option<&AccountId>) -> CliResult {
    let state = context.state(&context.config()?)?;
    let endpoints = state.read(|tx| endpoints::list(tx, account))?;
    let titles = ["ACCOUNT", "NAME", "CHOSEN", "STATE", "URL"];
    context.output().list(
        &endpoints,
        &titles,
        "There are no endpoints.",
        |endpoint: &Endpoint| {
            let chosen = if endpoint.chosen { "yes" } else { "no" };
            let state = match (&endpoint.disabled_at, &endpoint.disabled_reason) {
                (None, _) => "enabled".to_owned(),
                (Some(at), None) => format!("disabled {}", at.strftime("%F")),
                (Some(at), Some(why)) => format!("disabled {}: {why}", at.strftime("%F")),
            };
            let [account, name, url] = [&endpoint.account, &endpoint.name, &endpoint.url];
            vec![account.clone(), name.clone(), chosen.to_owned(), state, url.clone()]
        },
    )?;
    Ok(true)
}

fn test(context: &Context, account: &AccountId, name: &str) -> CliResult {
    let (config, now) = (context.config()?, Timestamp::now());
    let state = context.state(&config)?;
    let target = state
        .read(|tx| endpoints::find_target(tx, account.as_str(), name, now))?
        .ok_or_else(|| unknown(account, name))?;
    drop(state); // a slow endpoint must not block other users of the database
    let (id, secrets) = (message_id(), target.secrets()?);
    let body = serde_json::json!({
        "type": "test", "timestamp": format!("{now:.3}"), "data": {"account": account.as_str()},
    })
    .to_string();
    let request = Request { url: &target.url, secrets: &secrets, id: &id, now, body: &body };
    let outcome = Sender::new(&config.webhooks).send(&request);
    let delivered = matches!(outcome, Outcome::Delivered(_));
    let out = context.output();
    out.json(&serde_json::json!({
        "id": id, "url": target.url, "delivered": delivered, "answer": outcome.text(),
    }))?;
    let verb = if delivered { "accepted" } else { "did not accept" };
    out.line(&format!("{} {verb} the test {id}: {}", target.url, outcome.text()))?;
    if target.disabled.is_some() {
        out.line("The endpoint is disabled. To send milestones to it again:")?;
        out.line(&format!("  sftp-import webhook enable {account} {name}"))?;
    }
    Ok(delivered)
}

fn rotate(context: &Context, account: &AccountId, name: &str) -> CliResult {
    let config = context.config()?;
    let (state, at, secret) =
        (context.state(&config)?, Timestamp::now(), Secret::generate()?.reveal());
    let until = at.checked_add(config.webhooks.old_secret_for.get())?;
    let found = state.write(|tx| {
        let found = endpoints::rotate_secret(tx, account, name, &secret, until)?;
        if found {
            activity::log(tx, at, Some(account), None, "webhook.rotated", name)?;
        }
        Ok::<_, state::Error>(found)
    })?;
    if !found {
        return Err(unknown(account, name));
    }
    let out = context.output();
    out.json(&serde_json::json!({
        "account": account.as_str(), "name": name, "secret": secret, "oldSecretUntil": until,
    }))?;
    out.line(&format!("The new secret of {name} of {account}, which is not shown again:"))?;
    out.line(&format!("  {secret}"))?;
    out.line(&format!("The old secret also signs until {}.", until.strftime("%F %T UTC")))?;
    Ok(true)
}

fn enable(context: &Context, account: &AccountId, name: &str) -> CliResult {
    let done = change(context, account, name, "webhook.enabled", |tx, _| {
        endpoints::enable(tx, account, name)
    })?;
    context.output().line(&format!("Enabled {name} of {account}."))?;
    Ok(done)
}

fn remove(context: &Context, account: &AccountId, name: &str) -> CliResult {
    let done = change(context, account, name, "webhook.removed", |tx, at| {
        endpoints::remove(tx, at, account, name)
    })?;
    context.output().line(&format!("Removed {name} from {account}."))?;
    Ok(done)
}

/// Changes an endpoint and logs it; fails if it does not exist.
fn change(
    context: &Context,
    account: &AccountId,
    name: &str,
    action: &str,
    work: impl FnOnce(&state::Transaction<'_>, Timestamp) -> state::Result<bool>,
) -> CliResult {
    let state = context.state(&context.config()?)?;
    let at = Timestamp::now();
    let found = state.write(|tx| {
        let found = work(tx, at)?;
        if found {
            activity::log(tx, at, Some(account), None, action, name)?;
        }
        Ok::<_, state::Error>(found)
    })?;
    if !found {
        return Err(unknown(account, name));
    }
    context.output().json(&serde_json::json!({"account": account.as_str(), "name": name}))?;
    Ok(true)
}

fn unknown(account: &AccountId, name: &str) -> CliError {
    CliError::new(format_args!("{account} has no endpoint {name}"))
        .hint(format_args!("sftp-import webhook list {account}"))
}
