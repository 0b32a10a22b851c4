//! How long nodes have been leaving: whoever takes longer than `scaleIn.timeout` is reported, and waited for all the same.
//!
//! Nothing is decided by it. It is kept by the operator that watches; the next one counts anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::topology::{Kind, Step};

/// Since when the node with an ordinal leaves, for each ring, by its uid.
#[derive(Debug, Default)]
pub(super) struct Patience(Mutex<BTreeMap<String, (u32, Instant)>>);

impl Patience {
    /// Hears which step the ring of this uid is at, and says whether the node that leaves has been at it for longer
    /// than `limit`.
    pub(super) fn is_over(&self, ring: &str, step: Option<&Step>, limit: Duration, now: Instant) -> bool {
        let mut leaving = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ordinal = step.filter(|step| step.kind == Kind::ScaleIn).and_then(|step| step.ordinal);
        let Some(ordinal) = ordinal else {
            leaving.remove(ring);
            return false;
        };
        let known = leaving.get(ring).filter(|(other, _)| *other == ordinal).map(|(_, since)| *since);
        let since = known.unwrap_or(now);
        leaving.insert(ring.to_owned(), (ordinal, since));
        now.saturating_duration_since(since) > limit
    }

    /// Forgets a ring that is gone.
    pub(super) fn forget(&self, ring: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(ring);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::topology::Action;

    fn step(kind: Kind, ordinal: u32) -> Step {
        let (word, message) = ("HandingOver", String::new());
        Step { kind, ordinal: Some(ordinal), action: Action::Wait, word, message, is_stuck: false }
    }

    #[test]
    fn each_node_that_leaves_has_its_own_time_and_other_operations_have_none() {
        let (patience, begun, limit) = (Patience::default(), Instant::now(), Duration::from_secs(60));
        let at = |seconds| begun + Duration::from_secs(seconds);
        let is_over = |step: &Step, seconds| patience.is_over("ring", Some(step), limit, at(seconds));
        assert!(!is_over(&step(Kind::ScaleIn, 4), 0));
        assert!(!is_over(&step(Kind::ScaleIn, 4), 60));
        assert!(is_over(&step(Kind::ScaleIn, 4), 61));
        assert!(!patience.is_over("other", Some(&step(Kind::ScaleIn, 4)), limit, at(61)));
        assert!(!is_over(&step(Kind::ScaleIn, 3), 62));
        assert!(!is_over(&step(Kind::Update, 3), 200));
        // The update is over, and the node begins to leave again.
        assert!(!is_over(&step(Kind::ScaleIn, 3), 201));
        assert!(!patience.is_over("ring", None, limit, at(300)));
    }
}
