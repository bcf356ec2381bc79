//! Completes claims of an earlier version, at the first start after an upgrade.

use crate::import::{Engine, ImportRow};
use crate::report::ImportState;
use crate::sanitize::chain;
use crate::spool::EarlierClaim;
use crate::state;
use crate::state::imports::{self, Origin};

impl Engine {
    /// Moves manifests that schema 7 left in incoming into the spool. Call it before any scan. A
    /// file that can't be moved is logged; it will be refused later, as its name is spent.
    pub fn finish_upgrade(&self) -> state::Result<()> {
        let lingering = self.state.read(imports::list_lingering)?;
        if lingering.is_empty() {
            return Ok(());
        }
        for (import, text) in &lingering {
            let row: Option<ImportRow> = self.state.read(|tx| imports::get(tx, import.as_str()))?;
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
            if let Err(error) = lingering.finish(&self.layout) {
                tracing::error!(%account, %import, "cannot move the manifest that an earlier \
                    version left: {}", chain(&error));
            }
        }
        self.state.write(imports::clear_lingering)
    }
}
