//! The limits on the files that wait in an account's incoming. If a limit is exceeded, the account
//! is notified once, by a file in results/ and a line in the activity log.
//!
//! An exceeded limit causes no deletion and no refusal. Pairs are still claimed, so that a backlog
//! falls below the limit by itself. The file in results/ is written before the row that records it,
//! and removed before that row. Therefore a crash between the two steps causes no second report.

use jiff::Timestamp;

use super::empty_accounts::EmptyAccounts;
use crate::account::AccountId;
use crate::config::Limits;
use crate::files::dir::FolderError;
use crate::import::context::Context;
use crate::sanitize::chain;
use crate::spool::{IncomingUsage, Results, ResultsError};
use crate::state::{self, State, activity, incoming_full};

/// The file in results/ that exists while incoming exceeds a limit. Answers of imports have other
/// names.
pub const ANSWER: &str = "INCOMING-FULL.txt";

/// Notifies `account` that its incoming exceeds a limit, or no longer exceeds it. If the file in
/// results/ can't be written, the error is logged and the next scan tries again.
pub(super) fn report(
    context: &Context,
    empty_accounts: &EmptyAccounts,
    account: &AccountId,
    held: IncomingUsage,
) -> state::Result<()> {
    let excess = excess(held, context.config.limits_of(account));
    let is_reported = context.state.read(|tx| incoming_full::since(tx, account))?.is_some();
    let results = || Results::open(&context.layout, account);
    let changed = match (&excess, is_reported) {
        (Some(what), false) => results().and_then(|r| r.replace(ANSWER, text(what).as_bytes())),
        (None, true) => results().and_then(|r| r.remove(ANSWER)),
        _ => return Ok(()),
    };
    match changed {
        Ok(()) => record(&context.state, account, excess.as_deref()),
        // The account is being removed, so no partner can read the file.
        Err(ResultsError::Folder(FolderError::Missing { .. })) => Ok(()),
        Err(error) => {
            tracing::error!(%account, "cannot notify the account about its incoming: {}", chain(&error));
            // The next rescan tries again to notify the account.
            empty_accounts.record(account, None);
            Ok(())
        }
    }
}

/// Writes the account's row about the limits and the line of the activity log in one transaction.
fn record(state: &State, account: &AccountId, excess: Option<&str>) -> state::Result<()> {
    let at = Timestamp::now();
    let is_new = state.write(|tx| {
        let (is_new, action) = match excess {
            Some(_) => (incoming_full::begin(tx, account, at)?, "incoming.full"),
            None => (incoming_full::end(tx, account)?, "incoming.below_limit"),
        };
        if is_new {
            activity::log(tx, at, Some(account), None, action, excess.unwrap_or_default())?;
        }
        Ok::<_, state::Error>(is_new)
    })?;
    match excess {
        Some(what) if is_new => tracing::warn!(%account, "incoming exceeds a limit: {what}"),
        None if is_new => tracing::info!(%account, "incoming is below its limits again"),
        _ => {}
    }
    Ok(())
}

/// Describes the limits that are exceeded. `None` if no limit is exceeded. This function is pure.
fn excess(held: IncomingUsage, limits: &Limits) -> Option<String> {
    let mut excess = Vec::new();
    if held.files > limits.max_waiting_files {
        excess.push(format!("there are more than {} files", limits.max_waiting_files));
    }
    let max_bytes = limits.max_waiting_bytes.bytes();
    if held.bytes > max_bytes {
        let at_least = if held.cut { "at least " } else { "" };
        excess.push(format!(
            "there are {at_least}{} bytes, but only {max_bytes} are allowed",
            held.bytes
        ));
    }
    (!excess.is_empty()).then(|| excess.join("; "))
}

fn text(what: &str) -> String {
    format!(
        "The folder /incoming exceeds a limit: {what}.\n\
         \n\
         Complete pairs are still imported, but while there are too many files, not\n\
         all of them are scanned, and imports don't follow the order of uploads.\n\
         Delete the files that you don't need there, and upload the missing files of\n\
         pairs. The next scan that finds the folder below its limits removes this\n\
         file. That takes a minute at most, unless your host's administrator has set\n\
         another interval.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Size;
    use crate::import::tests::host::Host;

    fn held(files: usize, bytes: u64, cut: bool) -> IncomingUsage {
        IncomingUsage { files, bytes, cut }
    }

    #[test]
    fn the_notice_fits_a_terminal() {
        assert!(text("there are more than 10000 files").lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn every_exceeded_limit_is_named() {
        let limits = Limits {
            max_waiting_files: 2,
            max_waiting_bytes: Size::from_bytes(10),
            ..Limits::default()
        };
        for (held, expected) in [
            (held(2, 10, false), None),
            (held(3, 10, false), Some("there are more than 2 files")),
            (held(1, 11, false), Some("there are 11 bytes, but only 10 are allowed")),
            (
                held(3, 11, true),
                Some(
                    "there are more than 2 files; there are at least 11 bytes, but only 10 are allowed",
                ),
            ),
        ] {
            assert_eq!(excess(held, &limits).as_deref(), expected, "{held:?}");
        }
    }

    fn actions(host: &Host) -> Vec<String> {
        let lines =
            host.importer.context.state.read(|tx| activity::recent(tx, Some(&host.account), 100));
        lines.unwrap().into_iter().map(|l| l.action).filter(|a| a.starts_with("incoming")).collect()
    }

    #[test]
    fn a_full_incoming_is_reported_once() {
        let host = Host::with(|config| config.limits.max_waiting_files = 5);
        for n in 0..6 {
            host.put(&format!("junk{n}"), "x");
        }
        let answer = host.results(ANSWER);
        for _ in 0..2 {
            host.scan();
            let text = std::fs::read_to_string(&answer).unwrap();
            assert!(text.contains("more than 5 files"), "{text}");
            assert_eq!(actions(&host), ["incoming.full"]);
        }
        std::fs::remove_file(host.incoming().join("junk0")).unwrap();
        for _ in 0..2 {
            host.scan();
            assert_eq!(actions(&host), ["incoming.full", "incoming.below_limit"]);
        }
    }

    #[test]
    fn the_notice_is_removed_below_the_limit() {
        let host = Host::with(|config| config.limits.max_waiting_bytes = Size::from_bytes(10));
        host.put("junk", "more than ten bytes");
        host.scan();
        assert!(host.results(ANSWER).exists());
        std::fs::remove_file(host.incoming().join("junk")).unwrap();
        host.scan();
        assert!(!host.results(ANSWER).exists());
    }

    #[test]
    fn a_backlog_over_the_limit_is_imported() {
        let host = Host::with(|config| config.limits.max_waiting_files = 7);
        for n in 0..20 {
            host.upload(&format!("p{n:02}"), "event", crate::import::tests::host::EVENTS);
        }
        let mut imports = Vec::new();
        while imports.len() < 20 {
            let outcome = host.scan();
            assert!(!outcome.queued.is_empty(), "{} taken so far", imports.len());
            imports.extend(outcome.queued);
        }
        for import in &imports {
            let row = host.row(&import.id);
            assert!(row.refusal.is_none(), "{row:?}");
        }
        host.scan();
        assert_eq!(actions(&host), ["incoming.full", "incoming.below_limit"]);
    }
}
