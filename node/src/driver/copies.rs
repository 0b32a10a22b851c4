//! Registers as single copies have them: they may be old, and need no majority.

use super::Driver;
use super::registers::Unavailable;
use crate::rpc::kv;
use scrapering_core::id::Key;
use scrapering_core::register::{self, Versioned};
use scrapering_core::view::Standing;
use std::time::Duration;

/// How long one node is waited for.
const COPY_TIMEOUT: Duration = Duration::from_millis(700);

impl Driver {
    /// A register as this node's copy has it, sealed or not; `None` if it has no whole copy.
    pub async fn own_copy(&self, key: Key) -> Option<Option<Versioned>> {
        if !matches!(self.views().standing(key.partition)?, Standing::Active | Standing::Sealed | Standing::Former) {
            return None;
        }
        let found = self.disk().read(move |store| register::acceptor::copy(store, &key)).await?;
        found.inspect_err(|error| tracing::error!(%error, "a copy cannot be read")).ok()
    }

    /// A register as any one copy has it: this node's own, or that of a member that answers, the living first.
    ///
    /// # Errors
    /// [`Unavailable`] if nobody who has a copy answers.
    pub async fn any_copy(&self, key: Key) -> Result<Option<Versioned>, Unavailable> {
        if let Some(found) = self.own_copy(key.clone()).await {
            return Ok(found);
        }
        let mut members = self.view(key.partition).members.clone();
        members.retain(|member| *member != self.me());
        members.sort_by_key(|member| !self.members().is_alive(*member));
        for member in members {
            let answer = tokio::time::timeout(COPY_TIMEOUT, kv::copy(self.peers(), member, &key)).await;
            if let Ok(Some(found)) = answer {
                return Ok(found);
            }
        }
        Err(Unavailable)
    }
}
