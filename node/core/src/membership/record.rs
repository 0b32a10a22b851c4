//! What is known of a member: its record, how alive it is, what it does; and which of two accounts is newer.

use crate::id::NodeId;
use serde::{Deserialize, Serialize};

/// Who a member is and where. Only the member itself changes its record, under a new incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Made of name and generation.
    pub node: NodeId,
    /// Its stable DNS name, as in its certificate.
    pub name: String,
    /// The generation of its storage: 1 at the ring's genesis, later the wall clock in ms when the disk was new.
    pub generation: u64,
    /// Host and port for peers.
    pub address: String,
    /// Host and port of its gateway, if that is known.
    pub gateway: Option<String>,
    /// Where it stands, so that copies are spread; empty if unknown.
    pub zone: String,
    /// Its share of the ring: 1 is 32 virtual nodes.
    pub weight: u16,
}

/// Longest DNS name, bytes (RFC 1035, section 2.3.4).
const MAX_NAME_BYTES: usize = 253;
/// Longest host and port, bytes.
const MAX_ADDRESS_BYTES: usize = MAX_NAME_BYTES + ":65535".len();
/// Longest zone: a label's value of Kubernetes, bytes.
const MAX_ZONE_BYTES: usize = 63;
/// Largest weight.
const MAX_WEIGHT: u16 = 64;

impl Member {
    /// A member of weight 1 in no known zone, without a known gateway.
    #[must_use]
    pub fn new(name: impl Into<String>, generation: u64, address: impl Into<String>) -> Self {
        let name = name.into();
        let node = NodeId::new(&name, generation);
        Self { node, name, generation, address: address.into(), gateway: None, zone: String::new(), weight: 1 }
    }

    /// The first field that is out of its bounds; records that come from elsewhere are refused by it.
    #[must_use]
    pub fn out_of_bounds(&self) -> Option<&'static str> {
        let gateway = self.gateway.as_deref().unwrap_or_default();
        let checks = [
            ("name", (1..=MAX_NAME_BYTES).contains(&self.name.len())),
            ("generation", self.generation > 0),
            ("node", self.node == NodeId::new(&self.name, self.generation)),
            ("address", (1..=MAX_ADDRESS_BYTES).contains(&self.address.len())),
            ("gateway", gateway.len() <= MAX_ADDRESS_BYTES),
            ("zone", self.zone.len() <= MAX_ZONE_BYTES),
            ("weight", (1..=MAX_WEIGHT).contains(&self.weight)),
        ];
        checks.into_iter().find(|(_, good)| !good).map(|(field, _)| field)
    }
}

/// How alive a member is believed to be. A later one overrules an earlier one of the same incarnation
/// (SWIM, DSN 2002, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Liveness {
    /// It answers.
    Alive,
    /// Not heard of yet, or somebody could not reach it. It may refute that.
    Suspect,
    /// It did not refute the suspicion in time. It may come back under a higher incarnation.
    Down,
    /// It left, was removed, or its disk was replaced: final.
    Left,
}

/// What a member says that it does. Being alive is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Serving {
    /// It takes over what it shall own.
    Joining,
    /// It takes part.
    Serving,
    /// It hands over what it owns.
    Leaving,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who.
    pub member: Member,
    /// Raised only by the member itself, to refute a suspicion or to change its record.
    pub incarnation: u64,
    /// How alive.
    pub liveness: Liveness,
    /// What it does.
    pub serving: Serving,
}

impl Entry {
    /// The first word of a process about itself. `incarnation` should be higher than in its former lives (the
    /// boot number in the upper half); where it is not, the first refutation repairs that.
    #[must_use]
    pub const fn own(member: Member, incarnation: u64, serving: Serving) -> Self {
        Self { member, incarnation, liveness: Liveness::Alive, serving }
    }

    /// A member of whom nothing was heard yet.
    #[must_use]
    pub const fn unheard(member: Member) -> Self {
        Self { member, incarnation: 0, liveness: Liveness::Suspect, serving: Serving::Serving }
    }

    /// Whether this is newer than `known`, an entry of the same node.
    #[must_use]
    pub fn supersedes(&self, known: &Self) -> bool {
        match (known.liveness, self.liveness) {
            (Liveness::Left, _) => false,
            (_, Liveness::Left) => true,
            (before, after) => (self.incarnation, after) > (known.incarnation, before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(incarnation: u64, liveness: Liveness) -> Entry {
        Entry { liveness, ..Entry::own(Member::new("ring-0", 1, "ring-0:7443"), incarnation, Serving::Serving) }
    }

    #[test]
    fn of_two_accounts_the_higher_incarnation_counts_then_the_graver_liveness_swim_4_2() {
        use Liveness::{Alive, Down, Left, Suspect};
        let ranks = [(1, Alive), (1, Suspect), (1, Down), (2, Alive), (2, Suspect), (2, Down), (0, Left)];
        for (index, older) in ranks.iter().enumerate() {
            for newer in &ranks[index + 1..] {
                let (older, newer) = (entry(older.0, older.1), entry(newer.0, newer.1));
                assert!(newer.supersedes(&older), "{newer:?} {older:?}");
                assert!(!older.supersedes(&newer), "{newer:?} {older:?}");
            }
        }
        assert!(!entry(9, Left).supersedes(&entry(1, Left)), "left is final");
    }

    #[test]
    fn a_record_that_is_out_of_bounds_is_named_by_its_field() {
        let good = Member::new("ring-0", 1, "127.0.0.1:7443");
        assert_eq!(good.out_of_bounds(), None);
        let bad = [
            ("name", Member::new("", 1, "h:1")),
            ("generation", Member::new("ring-0", 0, "h:1")),
            ("node", Member { node: NodeId([7; 20]), ..good.clone() }),
            ("address", Member { address: "x".repeat(300), ..good.clone() }),
            ("gateway", Member { gateway: Some("x".repeat(300)), ..good.clone() }),
            ("zone", Member { zone: "x".repeat(64), ..good.clone() }),
            ("weight", Member { weight: 0, ..good }),
        ];
        for (field, member) in bad {
            assert_eq!(member.out_of_bounds(), Some(field));
        }
    }
}
