//! Volumes that shall be larger: first every claim, then the workload that new claims are made from.
//!
//! A claim grows while its pod runs and whatever state the ring is in: a full disk is the very reason to grow one. A server
//! lets no workload change the claims that it makes, so the workload is taken away from above its pods and made anew.
//! That waits for an update that has begun, and never the other way round.

use super::{Action, Kind, Sight, Step, Workload};

/// The next step towards volumes of the size that is asked for.
pub(super) fn expand(sight: &Sight) -> Option<Step> {
    let size = &sight.size;
    let Workload { replicas, partition, is_observed, claim_bytes, is_terminating, ref uid, .. } = sight.workload;
    if is_terminating {
        let message = "the workload is made anew; its pods run on".to_owned();
        return Some(Step::wait(Kind::Expand, None, "WaitingForWorkload", message));
    }
    if size.is_refused || claim_bytes >= size.bytes {
        return None;
    }
    let small = sight.claims.iter().find(|(_, claim)| claim.bytes < size.bytes && !claim.is_terminating);
    if let Some((&ordinal, claim)) = small {
        // One that has no volume yet gets one of its old size first, and its pod is waited for as any other.
        return claim.is_bound.then(|| {
            let message = format!("its volume grows to {}", size.text);
            let action = Action::Grow { uid: claim.uid.clone(), to: size.text.clone() };
            Step::act(Kind::Expand, ordinal, action, "Growing", message)
        });
    }
    let is_updating = partition < replicas || !is_observed || (0..replicas).any(|ordinal| sight.is_outdated(ordinal));
    if is_updating || !sight.claims_are_whole() {
        return None;
    }
    let message = format!("every volume is to have {}; the workload is made anew, and its pods run on", size.text);
    let action = Action::Renew { uid: uid.clone() };
    Some(Step { action, ..Step::wait(Kind::Expand, None, "RenewingWorkload", message) })
}
