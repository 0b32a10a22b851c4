//! What disks say of themselves while a ring is formed, and ever after.

use super::{Checked, Malformed, fixed, owned};
use scrapering_core::formation::{Founders, Nonce, Record, Stage};
use scrapering_proto::v1;
use std::collections::BTreeSet;

/// Most genesis members of a ring.
const MOST_FOUNDERS: usize = 4096;

/// What a disk holds.
pub fn record(reply: v1::AskReply) -> Checked<Record> {
    use v1::ask_reply::Stage as Wire;
    if reply.genesis.len() > MOST_FOUNDERS {
        return Err(Malformed("genesis"));
    }
    let genesis: BTreeSet<String> = reply.genesis.into_iter().collect();
    let stage = match reply.stage {
        None => Stage::Candidate,
        Some(Wire::Pledged(disks)) => Stage::Pledged(founders(disks)?),
        Some(Wire::Formed(disks)) => Stage::Formed(founders(disks)?),
    };
    Ok(Record { nonce: Nonce(fixed(&reply.nonce, "nonce")?), genesis, stage })
}

/// The inverse of [`record`].
#[must_use]
pub fn record_to_wire(record: Record, newest_generation: u64) -> v1::AskReply {
    use v1::ask_reply::Stage as Wire;
    let stage = match record.stage {
        Stage::Candidate => None,
        Stage::Pledged(founders) => Some(Wire::Pledged(founders_to_wire(founders))),
        Stage::Formed(founders) => Some(Wire::Formed(founders_to_wire(founders))),
    };
    let genesis = record.genesis.into_iter().collect();
    v1::AskReply { nonce: owned(&record.nonce.0), genesis, stage, newest_generation }
}

fn founders(wire: v1::Founders) -> Checked<Founders> {
    if wire.founders.is_empty() || wire.founders.len() > MOST_FOUNDERS {
        return Err(Malformed("founders"));
    }
    let disk = |disk: v1::Founder| Ok((disk.name, Nonce(fixed(&disk.nonce, "founder.nonce")?)));
    wire.founders.into_iter().map(disk).collect::<Checked<_>>().map(Founders)
}

fn founders_to_wire(founders: Founders) -> v1::Founders {
    let disk = |(name, nonce): (String, Nonce)| v1::Founder { name, nonce: owned(&nonce.0) };
    v1::Founders { founders: founders.0.into_iter().map(disk).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_a_disk_holds_is_what_arrives() {
        let founders = Founders(BTreeMap::from([("a".to_owned(), Nonce([1; 16])), ("b".to_owned(), Nonce([2; 16]))]));
        let genesis = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        for stage in [Stage::Candidate, Stage::Pledged(founders.clone()), Stage::Formed(founders)] {
            let sound = Record { nonce: Nonce([9; 16]), genesis: genesis.clone(), stage };
            assert_eq!(record(record_to_wire(sound.clone(), 7)), Ok(sound));
        }
        assert_eq!(record(v1::AskReply::default()), Err(Malformed("nonce")));
        assert_eq!(super::founders(v1::Founders::default()), Err(Malformed("founders")));
    }
}
