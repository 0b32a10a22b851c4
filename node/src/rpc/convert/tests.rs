//! What is sent is what arrives, and what no peer sends is refused.

use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn a_ballot() -> impl Strategy<Value = Ballot> {
    (any::<u64>(), any::<[u8; 20]>(), any::<u32>())
        .prop_map(|(counter, node, boot)| Ballot { counter, proposer: ProposerId { node: NodeId(node), boot } })
}

fn a_value() -> impl Strategy<Value = Option<Versioned>> {
    let content = option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from));
    option::of((any::<u64>(), any::<u128>(), content).prop_map(|(version, operation, content)| Versioned {
        version,
        operation: OperationId(operation),
        content,
    }))
}

fn an_accepted() -> impl Strategy<Value = Accepted> {
    (a_ballot(), a_value()).prop_map(|(ballot, value)| Accepted { ballot, value })
}

fn names() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 0..40), 0..6)
}

fn an_envelope() -> impl Strategy<Value = Envelope> {
    let partition = (0..PARTITIONS).prop_map(Partition);
    (partition, any::<u64>(), a_ballot(), names(), vec(a_value(), 6), 0_u8..4, 0_usize..2000).prop_map(
        |(partition, epoch, ballot, names, values, kind, limit)| {
            let keys: Vec<Key> = names.iter().map(|name| Key::new(partition, name.clone())).collect();
            let request = match kind {
                0 => Request::Read { keys },
                1 => Request::Prepare { ballot, keys },
                2 => Request::Accept { ballot, writes: keys.into_iter().zip(values).collect() },
                _ => Request::Scan { prefix: names.concat(), after: names.first().cloned(), limit },
            };
            Envelope { partition, epoch: Epoch(epoch), request }
        },
    )
}

fn a_reply() -> impl Strategy<Value = Reply> {
    let members = vec(any::<[u8; 20]>().prop_map(NodeId), 0..6);
    let promises = vec(prop_oneof![an_accepted().prop_map(Ok), a_ballot().prop_map(Err)], 0..6);
    let acks = vec(prop_oneof![Just(Ok(())), a_ballot().prop_map(Err)], 0..6);
    let entries = vec((vec(any::<u8>(), 0..40), an_accepted()), 0..6);
    prop_oneof![
        vec(an_accepted(), 0..6).prop_map(Reply::Read),
        promises.prop_map(Reply::Prepare),
        acks.prop_map(Reply::Accept),
        (entries, any::<bool>()).prop_map(|(entries, complete)| Reply::Scan { entries, complete }),
        (any::<u64>(), members)
            .prop_map(|(epoch, members)| Reply::Stale(View { epoch: Epoch(epoch), ..View::genesis(members) })),
        Just(Reply::Refused),
    ]
}

proptest! {
    #[test]
    fn what_is_asked_is_what_arrives(asked in an_envelope()) {
        prop_assert_eq!(envelope(envelope_to_wire(asked.clone())), Ok(asked));
    }

    #[test]
    fn what_is_answered_is_what_arrives(answered in a_reply()) {
        prop_assert_eq!(reply(reply_to_wire(answered.clone())), Ok(answered));
    }
}

#[test]
fn what_no_peer_sends_is_refused_with_the_field() {
    let sound = envelope_to_wire(Envelope {
        partition: Partition(0),
        epoch: Epoch(1),
        request: Request::Read { keys: Vec::new() },
    });
    let far = v1::Envelope { partition: u32::from(PARTITIONS), ..sound.clone() };
    assert_eq!(envelope(far), Err(Malformed("partition")));
    assert_eq!(envelope(v1::Envelope { request: None, ..sound }), Err(Malformed("request")));
    assert_eq!(reply(v1::Reply { reply: None }), Err(Malformed("reply")));
    assert_eq!(header(None), Err(Malformed("header")));
    assert_eq!(header(Some(v1::Header::default())), Err(Malformed("header.ring")));
    for to in [None, Some(NodeId([3; 20]))] {
        let sound = Header { ring: RingId([1; 16]), from: NodeId([2; 20]), generation: 7, to, founding: [4; 8] };
        let wire = header_to_wire(&sound);
        assert_eq!(header(Some(wire.clone())), Ok(sound));
        let short = v1::Header { to: Bytes::from_static(b"short"), ..wire };
        assert_eq!(header(Some(short)), Err(Malformed("header.to")));
    }
    assert_eq!(node(&[1; 19]), Err(Malformed("node")));
}
