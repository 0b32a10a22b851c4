//! How a ring is formed: once, by the disks that were there, and never by two groups of them.
//!
//! Every disk draws a nonce before it says anything. The genesis members ask each other in rounds; what a node
//! answers is what its disk holds. When a node has heard every nonce it *pledges* itself to them; when it has
//! heard in one round that everybody is pledged to the same nonces, the ring is formed. So for a ring formed by
//! other disks every member would have to be pledged to those, and a member whose disk is formed is pledged to
//! nothing else: of the disks that live, all that are formed hold the same record. A disk that is not in the
//! record of its ring is the successor of a lost one: it joins in a new generation and never speaks for the old.

use crate::id::NodeId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The generation of every member of a ring at its genesis.
pub const GENESIS_GENERATION: u64 = 1;

/// Drawn at random once by every disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nonce(pub [u8; 16]);

/// The disks that formed a ring: the names of its genesis members and their nonces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Founders(pub BTreeMap<String, Nonce>);

impl Founders {
    /// The genesis members' ids: what the first views are made of.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.keys().map(|name| NodeId::new(name, GENESIS_GENERATION))
    }

    /// The first 8 bytes of SHA-256 of the record: tells rings apart that have one id.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 8] {
        let mut hasher = Sha256::new();
        for (name, nonce) in &self.0 {
            hasher.update((name.len() as u64).to_be_bytes());
            hasher.update(name.as_bytes());
            hasher.update(nonce.0);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        *digest.first_chunk().expect("32 bytes have a first 8")
    }
}

/// How far a disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It knows of no ring.
    Candidate,
    /// It has heard these nonces and waits for everybody to have heard the same.
    Pledged(Founders),
    /// It knows the ring, as a founder or as one that joined.
    Formed(Founders),
}

/// What a node's disk holds, and what the node answers when asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The disk's nonce.
    pub nonce: Nonce,
    /// The genesis members as this node was told them.
    pub genesis: BTreeSet<String>,
    /// How far it is.
    pub stage: Stage,
}

/// What a round of questions leads to. What is to be recorded must be durable before the node answers anybody again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing changes; ask again.
    Wait(Lack),
    /// Record [`Stage::Pledged`], then ask again.
    Pledge(Founders),
    /// Record [`Stage::Formed`]: this disk is a founder.
    Found(Founders),
    /// The ring was formed without this disk: take a new generation, record [`Stage::Formed`], and join.
    Join(Founders),
}

/// Why a node is not yet of a ring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// These did not answer.
    Silent(Vec<String>),
    /// Everybody answers; some are a round behind.
    Behind,
    /// This member was told other genesis members: both lists must be the same.
    OtherList(String),
    /// These two know rings that were formed by different disks: nobody may guess which is the right one.
    TwoRings(String, String),
    /// Only a formed ring may be joined, and nobody who answers knows one.
    NoRing,
}

/// What the node `me`, whose durable record is `mine`, concludes from the `answers` of one round.
///
/// Each answer must be to a question asked after `mine` was durable. `may_found` is false for a node that
/// knows otherwise that the ring was formed before.
#[must_use]
pub fn conclude(me: &str, mine: &Record, answers: &BTreeMap<String, Record>, may_found: bool) -> Verdict {
    if let Some(verdict) = of_a_formed_ring(me, mine, answers) {
        return verdict;
    }
    if !mine.genesis.contains(me) || !may_found {
        return Verdict::Wait(Lack::NoRing);
    }
    let others: Vec<&String> = mine.genesis.iter().filter(|name| *name != me).collect();
    let silent: Vec<String> =
        others.iter().filter(|name| !answers.contains_key(**name)).map(|name| (*name).clone()).collect();
    let heard: BTreeMap<&String, &Record> =
        others.iter().filter_map(|name| Some((*name, answers.get(*name)?))).collect();
    if let Some((name, _)) = heard.iter().find(|(_, record)| record.genesis != mine.genesis) {
        return Verdict::Wait(Lack::OtherList((*name).clone()));
    }
    if !silent.is_empty() {
        return Verdict::Wait(Lack::Silent(silent));
    }
    let nonces = heard.iter().map(|(name, record)| ((*name).clone(), record.nonce));
    let founders = Founders(nonces.chain([(me.to_owned(), mine.nonce)]).collect());
    let pledged = Stage::Pledged(founders.clone());
    if mine.stage != pledged {
        Verdict::Pledge(founders)
    } else if heard.values().all(|record| record.stage == pledged) {
        Verdict::Found(founders)
    } else {
        Verdict::Wait(Lack::Behind)
    }
}

/// The verdict if anybody knows a ring.
fn of_a_formed_ring(me: &str, mine: &Record, answers: &BTreeMap<String, Record>) -> Option<Verdict> {
    let mut known = answers.iter().filter_map(|(name, record)| match &record.stage {
        Stage::Formed(founders) => Some((name, founders)),
        Stage::Candidate | Stage::Pledged(_) => None,
    });
    let (first, founders) = known.next()?;
    if let Some((other, _)) = known.find(|(_, others)| *others != founders) {
        return Some(Verdict::Wait(Lack::TwoRings(first.clone(), other.clone())));
    }
    let is_founder = founders.0.get(me) == Some(&mine.nonce);
    Some(if is_founder { Verdict::Found(founders.clone()) } else { Verdict::Join(founders.clone()) })
}

#[cfg(test)]
mod tests;
