//! Registers in memory that change by the rules of CASPaxos registers, and whose answers may get lost.

use super::dice::Dice;
use crate::frontier::keys::Name;
use crate::frontier::record::{JobId, UrlHash, UrlRecord, decode};
use crate::id::{Key, OperationId, Partition};
use crate::register::{Change, Outcome, Versioned};
use std::collections::BTreeMap;

/// All registers of the ring.
#[derive(Default)]
pub(super) struct Registers {
    pub(super) map: BTreeMap<Key, Versioned>,
    operations: u128,
}

/// A change that may still happen, though its caller has heard that nobody knows.
pub(super) struct Straggler {
    key: Key,
    value: Versioned,
    over: u64,
}

impl Registers {
    fn version(&self, key: &Key) -> u64 {
        self.map.get(key).map_or(0, |value| value.version)
    }

    /// What `change` would write, if it may.
    fn decide(&mut self, key: &Key, change: &Change) -> Option<Versioned> {
        let current = self.map.get(key).filter(|value| value.content.is_some());
        let content = match (change, current) {
            (Change::Put(content), _) | (Change::Create(content), None) => Some(content.clone()),
            (Change::CompareAndSet { version, content }, Some(value)) if *version == value.version => {
                Some(content.clone())
            }
            (Change::Delete { version }, Some(value)) if version.is_none_or(|version| version == value.version) => None,
            _ => return None,
        };
        self.operations += 1;
        Some(Versioned { version: self.version(key) + 1, operation: OperationId(self.operations), content })
    }

    /// Makes a change, as the answer of a majority tells it.
    pub(super) fn apply(&mut self, key: &Key, change: &Change) -> Outcome {
        let written = self.decide(key, change);
        let nothing_to_delete = matches!(change, Change::Delete { version: None });
        match written {
            Some(value) => {
                self.map.insert(key.clone(), value.clone());
                Outcome::Done { value: Some(value), replaced: false }
            }
            None if nothing_to_delete => Outcome::Done { value: self.map.get(key).cloned(), replaced: false },
            None => Outcome::Conflict { current: self.map.get(key).cloned() },
        }
    }

    /// Makes a change or not, and tells so or not.
    pub(super) fn apply_badly(&mut self, key: &Key, change: &Change, dice: &mut Dice) -> (Outcome, Option<Straggler>) {
        match dice.below(100) {
            0..76 => (self.apply(key, change), None),
            76..84 => {
                self.apply(key, change);
                (Outcome::Indeterminate, None)
            }
            84..88 => (Outcome::Indeterminate, None),
            88..96 => {
                let over = self.version(key);
                let straggler = self.decide(key, change).map(|value| Straggler { key: key.clone(), value, over });
                (Outcome::Indeterminate, straggler)
            }
            _ => (Outcome::Unavailable, None),
        }
    }

    /// What stands in the registers of these URLs.
    pub(super) fn read_urls(
        &self,
        partition: Partition,
        job: JobId,
        urls: Vec<UrlHash>,
    ) -> Vec<(UrlHash, Option<(UrlRecord, u64)>)> {
        let read = |hash| {
            let value = self.map.get(&Name::Url(job, hash).key(partition))?;
            Some((decode(value.content.as_deref()?).expect("a record"), value.version))
        };
        urls.into_iter().map(|hash| (hash, read(hash))).collect()
    }

    /// A proposal that was thought lost is found by another one and finished, unless the register has moved on.
    pub(super) fn finish(&mut self, straggler: Straggler) {
        if self.version(&straggler.key) == straggler.over {
            self.map.insert(straggler.key, straggler.value);
        }
    }
}
