//! What must hold for bodies: enough copies before anybody relies on them, and never a damaged one.

use super::{Check, ensure};
use bytes::Bytes;
use scrapering_core::body::{BodyHash, COPIES};
use scrapering_core::register::Versioned;
use std::collections::{BTreeMap, BTreeSet};

/// The body that a register's value refers to, if it does: its hash behind the operation's number.
#[must_use]
pub fn reference_of(value: Option<&Versioned>) -> Option<BodyHash> {
    let (_, hash) = value?.content.as_ref()?.split_first_chunk::<8>()?;
    Some(BodyHash(hash.try_into().ok()?))
}

/// Watches the bodies of a world.
#[derive(Debug)]
pub struct BodyWatcher {
    copies: usize,
    /// By body: the nodes whose disk has ever had it. The world's rot takes nobody off this list: it is the reason
    /// why there must be so many.
    kept_by: BTreeMap<BodyHash, BTreeSet<usize>>,
    referred: BTreeSet<BodyHash>,
}

impl BodyWatcher {
    /// A watcher of a ring of `nodes`.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self { copies: COPIES.min(nodes), kept_by: BTreeMap::new(), referred: BTreeSet::new() }
    }

    /// The disk of `node` has taken over the body `hash`.
    pub fn handle_kept(&mut self, node: usize, hash: BodyHash) {
        self.kept_by.entry(hash).or_default().insert(node);
    }

    /// A client was told of a record that refers to the body `hash`: as acknowledged, or as read.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_referred(&mut self, hash: BodyHash) -> Check {
        self.referred.insert(hash);
        let holders = self.kept_by.get(&hash).map_or(0, BTreeSet::len);
        invariant_a_body_is_on_enough_disks_when_a_record_that_refers_to_it_is_acknowledged(holders, self.copies)
    }

    /// A client was given `content` for the body `hash`.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_found(&self, hash: BodyHash, content: &Bytes) -> Check {
        invariant_a_damaged_copy_is_never_returned(hash, content)
    }

    /// Faults are over and everybody is up, and the body `hash` was looked for.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_looked_for(&self, hash: BodyHash, found: bool) -> Check {
        invariant_after_the_faults_every_body_that_a_record_refers_to_is_found(hash, found)
    }

    /// Every body of which a client was told.
    #[must_use]
    pub fn referred(&self) -> Vec<BodyHash> {
        self.referred.iter().copied().collect()
    }
}

fn invariant_a_body_is_on_enough_disks_when_a_record_that_refers_to_it_is_acknowledged(
    holders: usize,
    copies: usize,
) -> Check {
    ensure(holders >= copies, "a body is on enough disks when a record that refers to it is acknowledged", || {
        format!("{holders} of {copies}")
    })
}

fn invariant_a_damaged_copy_is_never_returned(hash: BodyHash, content: &Bytes) -> Check {
    ensure(BodyHash::of(content) == hash, "a damaged copy is never returned", || format!("{hash:?}"))
}

fn invariant_after_the_faults_every_body_that_a_record_refers_to_is_found(hash: BodyHash, found: bool) -> Check {
    ensure(found, "after the faults every body that a record refers to is found", || format!("{hash:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_disk_twice_is_one_copy() {
        let (mut watcher, hash) = (BodyWatcher::new(4), BodyHash::of(b"body"));
        for node in [0, 1, 1] {
            watcher.handle_kept(node, hash);
        }
        assert!(watcher.handle_referred(hash).is_err());
        watcher.handle_kept(2, hash);
        assert_eq!(watcher.handle_referred(hash), Ok(()));
    }

    #[test]
    fn content_of_another_hash_is_noticed() {
        let watcher = BodyWatcher::new(4);
        assert_eq!(watcher.handle_found(BodyHash::of(b"body"), &Bytes::from_static(b"body")), Ok(()));
        assert!(watcher.handle_found(BodyHash::of(b"body"), &Bytes::from_static(b"bodx")).is_err());
    }
}
