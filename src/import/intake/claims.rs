//! Claims: writes the row of a new import, moves its pair into the spool, and queues it.
//!
//! Invariant: the row is written before any file is moved. Therefore a scan after a crash finds the
//! claim, and completes or undoes it. An earlier answer with the same stem is renamed after the
//! files are moved and before the import is queued.

use jiff::Timestamp;

use super::scanner::Scanner;
use crate::account::AccountId;
use crate::import::context::Context;
use crate::import::run::answer::earlier_answer::{self, RenameError};
use crate::import::run::early_start::{self, ClaimEnd};
use crate::import::run::queue::{Queued, Weight};
use crate::import::run::store_check;
use crate::import_id::ImportId;
use crate::outbox;
use crate::recipient::recipient;
use crate::report::{Failure, FailureText};
use crate::sanitize::chain;
use crate::spool::{self, Claim, ClaimError, PlannedClaim};
use crate::state;
use crate::state::accounts::AccountRow;
use crate::state::imports::{self, NewImport, Origin};

/// The outcome of the claim of one pair.
pub(super) enum ClaimOutcome {
    /// The pair is in the spool, and the import is queued or has begun.
    Queued { import: Queued, has_begun: bool },
    /// The files of the pair are in incoming again, and the row of the import is deleted.
    Undone,
    /// The host failed. The row of the import stays `claiming` until the next attempt.
    Unfinished,
}

/// Writes the row of a new import, then moves the files of the pair into the spool.
pub(super) fn claim(
    scanner: Scanner<'_>,
    row: &AccountRow,
    take: &PlannedClaim,
    begins: bool,
) -> Result<ClaimOutcome, outbox::Error> {
    let (account, claim, known) = (&row.id, take.claim(), &take.values);
    let mut warnings = scanner.audit.map(|audit| audit.warnings(account, take)).unwrap_or_default();
    let (rule, contact) = (&row.recipients, row.email.as_deref());
    let mail = known.client_email.as_deref().map(|named| recipient(rule, contact, named));
    let mail = mail.unwrap_or_default();
    warnings.extend(mail.warning);
    let spends = spool::spent_name(&take.manifest.name);
    let new = NewImport {
        account,
        manifest: &take.manifest.name,
        data_file: known.data_file.as_deref(),
        data_type: known.data_type,
        client_email: mail.address.as_deref(),
        stem: &|import| take.stem(import),
        spends: spends.as_deref(),
        origin: Origin::Claim(claim.clone()),
        refusal: take.data.as_ref().err(),
        warnings: &warnings,
        received_at: state::now(),
    };
    let context = scanner.context;
    let (n, import) = context.state.write(|tx| store_check::insert(tx, context, &new))?;
    execute(scanner, account, (n, &import), &claim, begins)
}

/// Moves the files of a claim whose row is already written, then queues the import or starts it.
pub(super) fn execute(
    scanner: Scanner<'_>,
    account: &AccountId,
    (n, import): (i64, &ImportId),
    claim: &Claim,
    begins: bool,
) -> Result<ClaimOutcome, outbox::Error> {
    let Scanner { context, memory, early_starts, audit } = scanner;
    let began = Timestamp::now();
    let unusable = match claim.execute(&context.layout, account, import, &context.opener) {
        Ok(_) => None,
        Err(
            error @ (ClaimError::Gone { .. }
            | ClaimError::Changed { .. }
            | ClaimError::StillWritten { .. }),
        ) => {
            tracing::info!(%account, %import, "the pair was not claimed: {}", chain(&error));
            context.state.write(|tx| imports::undo_insert(tx, import))?;
            return Ok(ClaimOutcome::Undone);
        }
        Err(error @ ClaimError::Stranded { .. }) => {
            tracing::warn!(%account, %import, "{}", chain(&error));
            let detail = "the data file was changed while it was being claimed";
            Some(Failure::new(FailureText::Unreadable, detail))
        }
        Err(error) => {
            tracing::error!(%account, %import, "cannot claim the pair: {}", chain(&error));
            return Ok(ClaimOutcome::Unfinished);
        }
    };
    let lock = context.answer_locks.lock(account);
    let renamed = match earlier_answer::rename(context, account, import) {
        Ok(renamed) => renamed,
        Err(RenameError::State(error)) => return Err(error.into()),
        Err(error) => {
            tracing::error!(%account, %import, "cannot rename the earlier answer: {}", chain(&error));
            return Ok(ClaimOutcome::Unfinished);
        }
    };
    let manifest = claim.manifest.name.as_str();
    let end = ClaimEnd { account, import, manifest, begins, unusable, renamed };
    let has_begun = early_start::end_claim(&context.state, early_starts, end)?;
    drop(lock);
    memory.arrivals.forget(account, manifest);
    if let Some(audit) = audit {
        let files = [claim.data.as_ref(), Some(&claim.manifest)];
        let names = files.into_iter().flatten().map(|file| file.name.as_str());
        audit.forget_claimed(account, names, began);
    }
    let import = queue_entry(context, account.clone(), n, import.clone());
    Ok(ClaimOutcome::Queued { import, has_begun })
}

/// Makes the queue's entry for an import. The weight is determined by the size of the spooled data
/// file.
pub(super) fn queue_entry(context: &Context, account: AccountId, n: i64, id: ImportId) -> Queued {
    let weight = Weight::of(spool::spooled_bytes(&context.layout, &id));
    Queued { account, n, id, weight }
}
