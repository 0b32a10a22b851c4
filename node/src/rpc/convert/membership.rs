//! Membership: wire types to core types and back.

use super::{Checked, Header, Malformed, header, header_to_wire, node, owned};
use scrapering_core::membership::{Config, Entry, Gossip, Liveness, Member, Serving, Update};
use scrapering_proto::v1;

/// What a member says of another or of itself.
pub fn entry(entry: v1::MemberEntry) -> Checked<Entry> {
    let (liveness, serving) = (liveness(entry.liveness())?, serving(entry.serving())?);
    let v1::MemberEntry { member, incarnation, .. } = entry;
    Ok(Entry { member: checked_member(member.ok_or(Malformed("member"))?)?, incarnation, liveness, serving })
}

/// The inverse of [`entry`].
#[must_use]
pub fn entry_to_wire(entry: Entry) -> v1::MemberEntry {
    let Member { node: _, name, generation, address, gateway, zone, weight } = entry.member;
    let (gateway, weight) = (gateway.unwrap_or_default(), u32::from(weight));
    v1::MemberEntry {
        member: Some(v1::Member { name, generation, address, gateway, zone, weight }),
        incarnation: entry.incarnation,
        liveness: liveness_to_wire(entry.liveness).into(),
        serving: serving_to_wire(entry.serving).into(),
    }
}

/// A node id is made of name and generation and does not travel.
fn checked_member(member: v1::Member) -> Checked<Member> {
    let v1::Member { name, generation, address, gateway, zone, weight } = member;
    let weight = u16::try_from(weight).map_err(|_| Malformed("weight"))?;
    let gateway = Some(gateway).filter(|gateway| !gateway.is_empty());
    let member = Member { gateway, zone, weight, ..Member::new(name, generation, address) };
    match member.out_of_bounds() {
        Some(field) => Err(Malformed(field)),
        None => Ok(member),
    }
}

/// Whole tables.
pub fn entries(entries: Vec<v1::MemberEntry>) -> Checked<Vec<Entry>> {
    entries.into_iter().map(entry).collect()
}

/// The inverse of [`entries`].
#[must_use]
pub fn entries_to_wire(entries: Vec<Entry>) -> Vec<v1::MemberEntry> {
    entries.into_iter().map(entry_to_wire).collect()
}

/// What rides on a probe and its answer, and who says it.
pub fn gossip(gossip: v1::SwimGossip) -> Checked<(Header, Gossip)> {
    let v1::SwimGossip { header: said, speaker, updates } = gossip;
    if updates.len() > Config::default().updates_per_message {
        return Err(Malformed("updates"));
    }
    let header = header(said)?;
    let speaker = entry(speaker.ok_or(Malformed("speaker"))?)?;
    if speaker.member.node != header.from {
        return Err(Malformed("speaker"));
    }
    let updates = updates.into_iter().map(update).collect::<Checked<_>>()?;
    Ok((header, Gossip { speaker, updates }))
}

/// The inverse of [`gossip`].
#[must_use]
pub fn gossip_to_wire(header: &Header, gossip: Gossip) -> v1::SwimGossip {
    let update = |update: Update| v1::MemberUpdate {
        entry: Some(entry_to_wire(update.entry)),
        accuser: update.accuser.map(|accuser| owned(&accuser.0)).unwrap_or_default(),
    };
    v1::SwimGossip {
        header: Some(header_to_wire(header)),
        speaker: Some(entry_to_wire(gossip.speaker)),
        updates: gossip.updates.into_iter().map(update).collect(),
    }
}

fn update(update: v1::MemberUpdate) -> Checked<Update> {
    let accuser = if update.accuser.is_empty() { None } else { Some(node(&update.accuser)?) };
    Ok(Update { entry: entry(update.entry.ok_or(Malformed("entry"))?)?, accuser })
}

const fn liveness(wire: v1::Liveness) -> Checked<Liveness> {
    Ok(match wire {
        v1::Liveness::Unspecified => return Err(Malformed("liveness")),
        v1::Liveness::Alive => Liveness::Alive,
        v1::Liveness::Suspect => Liveness::Suspect,
        v1::Liveness::Down => Liveness::Down,
        v1::Liveness::Left => Liveness::Left,
    })
}

const fn liveness_to_wire(liveness: Liveness) -> v1::Liveness {
    match liveness {
        Liveness::Alive => v1::Liveness::Alive,
        Liveness::Suspect => v1::Liveness::Suspect,
        Liveness::Down => v1::Liveness::Down,
        Liveness::Left => v1::Liveness::Left,
    }
}

const fn serving(wire: v1::Serving) -> Checked<Serving> {
    Ok(match wire {
        v1::Serving::Unspecified => return Err(Malformed("serving")),
        v1::Serving::Joining => Serving::Joining,
        v1::Serving::Serving => Serving::Serving,
        v1::Serving::Leaving => Serving::Leaving,
    })
}

const fn serving_to_wire(serving: Serving) -> v1::Serving {
    match serving {
        Serving::Joining => v1::Serving::Joining,
        Serving::Serving => v1::Serving::Serving,
        Serving::Leaving => v1::Serving::Leaving,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use scrapering_core::id::{NodeId, RingId};

    fn said() -> Header {
        let from = NodeId::new("ring-0", 1);
        Header { ring: RingId([1; 16]), from, generation: 1, to: None, founding: [2; 8] }
    }

    fn any_entry(name: impl Strategy<Value = String>) -> impl Strategy<Value = Entry> {
        let liveness =
            prop_oneof![Just(Liveness::Alive), Just(Liveness::Suspect), Just(Liveness::Down), Just(Liveness::Left)];
        let serving = prop_oneof![Just(Serving::Joining), Just(Serving::Serving), Just(Serving::Leaving)];
        let gateway = proptest::option::of("[a-z]{1,9}:[0-9]{1,5}");
        (name, 1..u64::MAX, gateway, "[a-z]{0,9}", 1..=64_u16, any::<u64>(), liveness, serving).prop_map(
            |(name, generation, gateway, zone, weight, incarnation, liveness, serving)| {
                let member = Member { gateway, zone, weight, ..Member::new(name, generation, "h:7443") };
                Entry { member, incarnation, liveness, serving }
            },
        )
    }

    proptest! {
        #[test]
        fn gossip_is_the_same_after_the_wire(
            updates in proptest::collection::vec((any_entry("[a-z]{1,9}"), any::<Option<[u8; 20]>>()), 0..=6),
        ) {
            let speaker = Entry::own(Member::new("ring-0", 1, "h:7443"), 7, Serving::Joining);
            let update = |(entry, accuser): (Entry, Option<[u8; 20]>)| Update { entry, accuser: accuser.map(NodeId) };
            let before = Gossip { speaker, updates: updates.into_iter().map(update).collect() };
            prop_assert_eq!(gossip(gossip_to_wire(&said(), before.clone())), Ok((said(), before)));
        }
    }

    #[test]
    fn what_no_member_says_is_refused_with_the_field() {
        let sound = entry_to_wire(Entry::own(Member::new("ring-0", 1, "h:7443"), 7, Serving::Joining));
        assert_eq!(entry(v1::MemberEntry { member: None, ..sound.clone() }), Err(Malformed("member")));
        assert_eq!(entry(v1::MemberEntry { liveness: 0, ..sound.clone() }), Err(Malformed("liveness")));
        assert_eq!(entry(v1::MemberEntry { serving: 9, ..sound.clone() }), Err(Malformed("serving")));
        let member = sound.member.clone().expect("just made");
        let bad = v1::Member { weight: 70_000, ..member.clone() };
        assert_eq!(entry(v1::MemberEntry { member: Some(bad), ..sound.clone() }), Err(Malformed("weight")));
        let bad = v1::Member { address: String::new(), ..member };
        assert_eq!(entry(v1::MemberEntry { member: Some(bad), ..sound.clone() }), Err(Malformed("address")));
        let of =
            |updates| v1::SwimGossip { header: Some(header_to_wire(&said())), speaker: Some(sound.clone()), updates };
        let update = v1::MemberUpdate { entry: Some(sound.clone()), accuser: Bytes::new() };
        assert_eq!(gossip(of(vec![update.clone(); 7])), Err(Malformed("updates")));
        let bad = v1::MemberUpdate { accuser: Bytes::from_static(b"short"), ..update };
        assert_eq!(gossip(of(vec![bad])), Err(Malformed("node")));
        let other =
            v1::SwimGossip { header: Some(header_to_wire(&Header { from: NodeId([9; 20]), ..said() })), ..of(vec![]) };
        assert_eq!(gossip(other), Err(Malformed("speaker")), "nobody speaks of himself as another");
    }
}
