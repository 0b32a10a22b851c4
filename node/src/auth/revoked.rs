//! Tokens that were revoked before their time, by id. Who keeps the list up to date is outside; here it is asked.

use std::collections::BTreeSet;
use tokio::sync::watch;

/// The ids of revoked tokens, as far as this node knows. A cheap clone.
#[derive(Clone, Debug, Default)]
pub struct Revoked {
    ids: watch::Sender<BTreeSet<String>>,
}

impl Revoked {
    /// From now on exactly these are revoked.
    pub fn set(&self, ids: BTreeSet<String>) {
        self.ids.send_if_modified(|known| {
            let changed = *known != ids;
            *known = ids;
            changed
        });
    }

    /// Whether the token `id` is revoked.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.ids.borrow().contains(id)
    }

    /// Returns when the token `id` is revoked.
    pub async fn until(&self, id: &str) {
        let mut told = self.ids.subscribe();
        // The sender lives as long as this handle.
        let _ = told.wait_for(|ids| ids.contains(id)).await;
    }
}
