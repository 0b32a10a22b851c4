//! What must hold for bodies: enough copies before anybody relies on them, and never a damaged one.

use super::{Check, ensure};
use bytes::Bytes;
use scrapering_core::body::{BodyHash, BodyRef, PutOutcome, copies, least_copies};
use scrapering_core::id::Key;
use scrapering_core::register::Versioned;
use std::collections::{BTreeMap, BTreeSet};

/// The body that the value of the register `key` refers to, if it does: its hash behind the operation's number.
#[must_use]
pub fn reference_of(key: &Key, value: Option<&Versioned>) -> Option<BodyRef> {
    let (_, hash) = value?.content.as_ref()?.split_first_chunk::<8>()?;
    Some(BodyRef { partition: key.partition, hash: BodyHash(hash.try_into().ok()?) })
}

/// Watches the bodies of a world.
#[derive(Debug)]
pub struct BodyWatcher {
    nodes: usize,
    /// By body: the nodes whose disk has ever had it. The world's rot takes nobody off this list: it is the reason
    /// why there must be so many.
    kept_by: BTreeMap<BodyRef, BTreeSet<usize>>,
    referred: BTreeSet<BodyRef>,
}

impl BodyWatcher {
    /// A watcher of a ring of `nodes`.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self { nodes, kept_by: BTreeMap::new(), referred: BTreeSet::new() }
    }

    /// The disk of `node` has taken over `body`.
    pub fn handle_kept(&mut self, node: usize, body: BodyRef) {
        self.kept_by.entry(body).or_default().insert(node);
    }

    /// A put of `body` is over.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_put(&self, body: BodyRef, outcome: PutOutcome) -> Check {
        let needed = match outcome {
            PutOutcome::Stored => copies(self.nodes),
            PutOutcome::Short => least_copies(self.nodes),
            PutOutcome::Unavailable => 0,
        };
        invariant_a_put_has_made_as_many_copies_as_it_says(self.holders(body), needed)
    }

    /// A client was told of a record that refers to `body`: as acknowledged, or as read.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_referred(&mut self, body: BodyRef) -> Check {
        self.referred.insert(body);
        invariant_a_body_is_on_enough_disks_when_a_record_that_refers_to_it_is_acknowledged(
            self.holders(body),
            least_copies(self.nodes),
        )
    }

    fn holders(&self, body: BodyRef) -> usize {
        self.kept_by.get(&body).map_or(0, BTreeSet::len)
    }

    /// A client was given `content` for the body `hash`.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_found(&self, hash: BodyHash, content: &Bytes) -> Check {
        invariant_a_damaged_copy_is_never_returned(hash, content)
    }

    /// Faults are over and everybody is up, and `body` was looked for.
    ///
    /// # Errors
    /// The sentence that this breaks.
    pub fn handle_looked_for(&self, body: BodyRef, found: bool) -> Check {
        invariant_after_the_faults_every_body_that_a_record_refers_to_is_found(body, found)
    }

    /// Every body of which a client was told.
    #[must_use]
    pub fn referred(&self) -> Vec<BodyRef> {
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

fn invariant_a_put_has_made_as_many_copies_as_it_says(holders: usize, needed: usize) -> Check {
    ensure(holders >= needed, "a put has made as many copies as it says", || format!("{holders} of {needed}"))
}

fn invariant_a_damaged_copy_is_never_returned(hash: BodyHash, content: &Bytes) -> Check {
    ensure(BodyHash::of(content) == hash, "a damaged copy is never returned", || format!("{hash:?}"))
}

fn invariant_after_the_faults_every_body_that_a_record_refers_to_is_found(body: BodyRef, found: bool) -> Check {
    ensure(found, "after the faults every body that a record refers to is found", || format!("{body:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> BodyRef {
        BodyRef { partition: scrapering_core::id::Partition(1), hash: BodyHash::of(b"body") }
    }

    #[test]
    fn two_copies_are_enough_only_in_a_small_ring_and_only_for_a_put_that_says_so() {
        for (nodes, fine) in [(4, true), (6, false)] {
            let mut watcher = BodyWatcher::new(nodes);
            [0, 1].into_iter().for_each(|node| watcher.handle_kept(node, body()));
            assert_eq!(watcher.handle_put(body(), PutOutcome::Short).is_ok(), fine);
            assert_eq!(watcher.handle_referred(body()).is_ok(), fine);
            assert!(watcher.handle_put(body(), PutOutcome::Stored).is_err());
            assert_eq!(watcher.handle_put(body(), PutOutcome::Unavailable), Ok(()));
        }
    }

    #[test]
    fn the_same_disk_twice_is_one_copy() {
        let (mut watcher, body) = (BodyWatcher::new(6), body());
        for node in [0, 1, 1] {
            watcher.handle_kept(node, body);
        }
        assert!(watcher.handle_referred(body).is_err());
        watcher.handle_kept(2, body);
        assert_eq!(watcher.handle_referred(body), Ok(()));
    }

    #[test]
    fn content_of_another_hash_is_noticed() {
        let watcher = BodyWatcher::new(4);
        assert_eq!(watcher.handle_found(BodyHash::of(b"body"), &Bytes::from_static(b"body")), Ok(()));
        assert!(watcher.handle_found(BodyHash::of(b"body"), &Bytes::from_static(b"bodx")).is_err());
    }
}
