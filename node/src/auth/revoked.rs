//! Tokens that were revoked before their time, by id. Who keeps the list up to date is outside; here it is asked.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The ids of revoked tokens, as far as this node knows. A cheap clone.
#[derive(Clone, Debug, Default)]
pub struct Revoked {
    ids: Arc<RwLock<BTreeSet<String>>>,
}

impl Revoked {
    /// From now on exactly these are revoked.
    pub fn set(&self, ids: BTreeSet<String>) {
        *self.ids.write().unwrap_or_else(PoisonError::into_inner) = ids;
    }

    /// Whether the token `id` is revoked.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).contains(id)
    }
}
