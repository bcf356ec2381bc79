//! Completes claims of an earlier version, at the first start after an upgrade.

use crate::import::context::Context;
use crate::import::row::{self, ImportRow};
use crate::report::ImportState;
use crate::sanitize::chain;
use crate::spool::EarlierClaim;
use crate::state;
use crate::state::imports::{self, Origin};

/// Moves manifests that schema 7 left in incoming into the spool. The caller runs this before any
/// scan. If a file can't be moved, the error is logged. The file is refused later, because its name
/// is spent.
pub fn finish_upgrade(context: &Context) -> state::Result<()> {
    let lingering = context.state.read(imports::list_lingering)?;
    if lingering.is_empty() {
        return Ok(());
    }
    for (import, text) in &lingering {
        let row = row::find(&context.state, import)?;
        let Some(ImportRow { account, origin: Origin::Claim(claim), state, .. }) = row else {
            continue;
        };
        let lingering = EarlierClaim {
            account: &account,
            import,
            claim: &claim,
            is_claiming: state == ImportState::Claiming,
            text: text.as_deref(),
        };
        if let Err(error) = lingering.finish(&context.layout) {
            tracing::error!(%account, %import, "cannot move the manifest that an earlier \
                version left: {}", chain(&error));
        }
    }
    context.state.write(imports::clear_lingering)
}
