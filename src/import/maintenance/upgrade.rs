//! Finishes what an earlier version left, at the first start after an upgrade.

use crate::import::{Engine, ImportRow};
use crate::report::ImportState;
use crate::sanitize::chain;
use crate::spool::Lingering;
use crate::state;
use crate::state::imports::{self, Origin};

impl Engine {
    /// Gives the manifests of schema 7 their place. Call it before anything is scanned.
    ///
    /// # Errors
    /// The state database's. What the host refuses is logged: such a manifest is refused later, as
    /// its name is spent.
    pub fn finish_upgrade(&self) -> state::Result<()> {
        let lingering = self.state.read(imports::lingering)?;
        if lingering.is_empty() {
            return Ok(());
        }
        for (import, text) in &lingering {
            let row: Option<ImportRow> = self.state.read(|tx| imports::get(tx, import.as_str()))?;
            let Some(ImportRow { account, origin: Origin::Claim(claim), state, .. }) = row else {
                continue;
            };
            let lingering = Lingering {
                account: &account,
                import,
                claim: &claim,
                is_claiming: state == ImportState::Claiming,
                text: text.as_deref(),
            };
            if let Err(error) = lingering.finish(&self.layout) {
                tracing::error!(%account, %import, "cannot finish the manifest of the version \
                    before: {}", chain(&error));
            }
        }
        self.state.write(imports::forget_lingering)
    }
}
