//! Implements the commands `sftp-import delivery …`, which list, show and retry deliveries.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::context::{CliContext, CliError, CliResult};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::state::deliveries::{self, Attempt, Channel, Delivery, DeliveryFilter};
use crate::state::{self, State, activity, endpoints};

#[derive(Debug, clap::Subcommand)]
pub enum DeliveryCommand {
    /// List deliveries, the newest last
    List {
        /// List only the deliveries of this account
        #[arg(long)]
        account: Option<AccountId>,
        /// List only the deliveries of this import
        #[arg(long)]
        import: Option<ImportId>,
        /// List only the deliveries by this channel: email or webhook
        #[arg(long, value_name = "email|webhook", value_parser = parse_channel)]
        by: Option<Channel>,
        /// List only the pending deliveries
        #[arg(long, conflicts_with_all = ["failed", "delivered"])]
        pending: bool,
        /// List only the deliveries that succeeded
        #[arg(long, conflicts_with = "failed")]
        delivered: bool,
        /// List only the deliveries that were given up
        #[arg(long)]
        failed: bool,
        /// The maximum number of deliveries that are listed
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show a delivery and every attempt at it
    Show {
        /// The number of the delivery, as shown by `delivery list`
        id: i64,
    },
    /// Make one delivery again, in any state, or make all deliveries again that were given up
    Retry {
        /// The number of the delivery, as shown by `delivery list`
        #[arg(required_unless_present = "failed", conflicts_with = "failed")]
        id: Option<i64>,
        /// Make all deliveries again that were given up, for example after days without a mail
        /// server
        #[arg(long)]
        failed: bool,
        /// With --failed, make only the deliveries of this account again
        #[arg(long, requires = "failed")]
        account: Option<AccountId>,
    },
}

pub fn run(command: DeliveryCommand, context: &CliContext) -> CliResult {
    match command {
        DeliveryCommand::List { account, import, by, pending, delivered, failed, limit } => {
            let states = [(pending, "pending"), (delivered, "delivered"), (failed, "failed")];
            let state = states.into_iter().find(|(wanted, _)| *wanted).map(|(_, state)| state);
            let account = account.map(|account| account.to_string());
            let import = import.map(|import| import.to_string());
            list(context, &DeliveryFilter { account, import, channel: by, state, limit })
        }
        DeliveryCommand::Show { id } => show(context, id),
        DeliveryCommand::Retry { id: Some(id), .. } => retry(context, id),
        DeliveryCommand::Retry { id: None, account, .. } => retry_failed(context, account),
    }
}

fn parse_channel(word: &str) -> Result<Channel, String> {
    let channels = [Channel::Email, Channel::Webhook];
    let found = channels.into_iter().find(|channel| channel.as_str() == word);
    found.ok_or_else(|| "the channel must be email or webhook".to_owned())
}

fn list(context: &CliContext, filter: &DeliveryFilter) -> CliResult {
    let state = context.open_state()?;
    let deliveries = state.read(|tx| deliveries::list(tx, filter))?;
    let titles = ["ID", "ACCOUNT", "IMPORT", "MILESTONE", "BY", "TO", "STATE", "TRIES", "NEXT"];
    let out = context.output();
    out.list(&deliveries, &titles, "There are no deliveries.", row)?;
    if filter.state == Some("failed") {
        print_reasons(context, &state, &deliveries, filter)?;
    }
    Ok(true)
}

/// Prints the reasons for deliveries that were given up, and the endpoints that are disabled. Only
/// text output needs these lines: JSON has the reason in each delivery, and `webhook list` has the
/// endpoints.
fn print_reasons(
    context: &CliContext,
    state: &State,
    deliveries: &[Delivery],
    filter: &DeliveryFilter,
) -> Result<(), CliError> {
    let out = context.output();
    for delivery in deliveries {
        let why = delivery.last_error.as_deref().unwrap_or("the reason is unknown");
        out.line(&format!("{}: {why}", delivery.id))?;
    }
    for endpoint in state.read(|tx| endpoints::list(tx, None))? {
        let is_wanted = filter.account.as_ref().is_none_or(|account| *account == endpoint.account);
        let Some(reason) = endpoint.disabled_reason.filter(|_| is_wanted) else { continue };
        let (account, name) = (&endpoint.account, &endpoint.name);
        out.line(&format!("The endpoint {name} of account {account} is disabled: {reason}"))?;
    }
    Ok(())
}

fn row(delivery: &Delivery) -> Vec<String> {
    vec![
        delivery.id.to_string(),
        delivery.account.clone(),
        delivery.import.clone().unwrap_or_default(),
        delivery.kind.clone(),
        delivery.channel.as_str().to_owned(),
        delivery.destination.clone(),
        delivery.state.clone(),
        delivery.attempts.to_string(),
        delivery.next_attempt_at.map(clock).unwrap_or_default(),
    ]
}

/// The output of the command `delivery show --json`.
#[derive(Serialize)]
struct DeliveryDetails {
    #[serde(flatten)]
    delivery: Delivery,
    log: Vec<Attempt>,
}

fn show(context: &CliContext, id: i64) -> CliResult {
    let details = context.open_state()?.read(|tx| {
        let delivery = deliveries::find(tx, id)?.ok_or_else(|| no_such_delivery(id))?;
        Ok::<_, CliError>(DeliveryDetails { delivery, log: deliveries::list_attempts(tx, id)? })
    })?;
    let DeliveryDetails { delivery, log } = &details;
    let import = delivery.import.as_deref().unwrap_or("none");
    let mut lines = vec![
        format!("delivery of {}, import {import}, account {}", delivery.kind, delivery.account),
        format!("  message  {}", delivery.message),
        format!("  to       {} ({})", delivery.destination, delivery.channel.as_str()),
        format!("  state    {}", delivery.state),
    ];
    let error = delivery.last_error.as_ref().filter(|_| log.is_empty());
    lines.extend(error.map(|error| format!("  because  {error}")));
    lines.extend(delivery.next_attempt_at.map(|next| format!("  next     {}", clock(next))));
    lines.extend(log.iter().enumerate().map(|(n, attempt)| {
        let (n, at, took) = (n + 1, clock(attempt.at), attempt.took_ms);
        format!("  attempt {n:<4} {at} took {took} ms: {}", attempt.outcome)
    }));
    context.done(&details, lines)
}

fn retry(context: &CliContext, id: i64) -> CliResult {
    let at = Timestamp::now();
    let delivery = context.open_state()?.write(|tx| {
        let delivery = deliveries::find(tx, id)?.ok_or_else(|| no_such_delivery(id))?;
        deliveries::retry(tx, id, at)?;
        let account: Option<AccountId> = delivery.account.parse().ok();
        let import = delivery.import.as_ref().and_then(|import| import.parse().ok());
        let detail = format!("delivery {id} to {}", delivery.destination);
        activity::log(tx, at, account.as_ref(), import.as_ref(), "delivery.retried", &detail)?;
        Ok::<_, CliError>(delivery)
    })?;
    let to = &delivery.destination;
    context.done(
        &json!({"id": id, "nextAttemptAt": at}),
        [format!("Delivery {id} to {to} is due now: the daemon makes it within 30 seconds.")],
    )
}

fn retry_failed(context: &CliContext, account: Option<AccountId>) -> CliResult {
    let at = Timestamp::now();
    let ids = context.open_state()?.write(|tx| {
        let ids = deliveries::retry_failed(tx, account.as_ref().map(AccountId::as_str), at)?;
        if !ids.is_empty() {
            let detail = format!("deliveries that were given up: {}", ids.len());
            activity::log(tx, at, account.as_ref(), None, "delivery.retried", &detail)?;
        }
        Ok::<_, state::Error>(ids)
    })?;
    let line = match ids.len() {
        0 => "No delivery was given up.".to_owned(),
        1 => "1 delivery is due now: the daemon makes it within 30 seconds.".to_owned(),
        n => format!("{n} deliveries are due now: the daemon makes them within 30 seconds."),
    };
    context.done(&json!({"ids": ids, "nextAttemptAt": at}), [line])
}

fn no_such_delivery(id: i64) -> CliError {
    CliError::new(format_args!("there is no delivery {id}")).hint("sftp-import delivery list")
}

fn clock(time: Timestamp) -> String {
    time.strftime("%F %T UTC").to_string()
}
