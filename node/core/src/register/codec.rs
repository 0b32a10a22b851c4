//! The bytes of a register on disk.
//!
//! Format 1: `01`, promised ballot, accepted ballot (each: counter u64, node 20 bytes, boot u32, big endian),
//! then nothing for an empty register, or version u64, operation u128, a byte (0 tombstone, 1 content), content.

use super::{Accepted, Ballot, ProposerId, Register, Versioned};
use crate::id::{NodeId, OperationId};
use bytes::{Buf, BufMut, Bytes, BytesMut};

const FORMAT: u8 = 1;
const BALLOT_BYTES: usize = 8 + 20 + 4;
const HEAD_BYTES: usize = 8 + 16 + 1;

/// Bytes that are not a register, or of a format newer than this program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored register has an unknown format or is cut short")]
pub struct CodecError;

/// The bytes of `register`.
#[must_use]
pub fn encode(register: &Register) -> Bytes {
    let content = register.accepted.value.as_ref().and_then(|value| value.content.as_ref()).map_or(0, Bytes::len);
    let mut bytes = BytesMut::with_capacity(1 + 2 * BALLOT_BYTES + HEAD_BYTES + content);
    bytes.put_u8(FORMAT);
    put_ballot(&mut bytes, register.promised);
    put_ballot(&mut bytes, register.accepted.ballot);
    if let Some(value) = &register.accepted.value {
        bytes.put_u64(value.version);
        bytes.put_u128(value.operation.0);
        bytes.put_u8(u8::from(value.content.is_some()));
        bytes.extend_from_slice(value.content.as_deref().unwrap_or_default());
    }
    bytes.freeze()
}

/// The register in `bytes`.
///
/// # Errors
/// [`CodecError`] for anything that [`encode`] does not write.
pub fn decode(mut bytes: Bytes) -> Result<Register, CodecError> {
    if bytes.len() < 1 + 2 * BALLOT_BYTES || bytes.get_u8() != FORMAT {
        return Err(CodecError);
    }
    let promised = take_ballot(&mut bytes);
    let ballot = take_ballot(&mut bytes);
    let value = if bytes.is_empty() { None } else { Some(take_value(bytes)?) };
    Ok(Register { promised, accepted: Accepted { ballot, value } })
}

fn put_ballot(bytes: &mut BytesMut, ballot: Ballot) {
    bytes.put_u64(ballot.counter);
    bytes.put_slice(&ballot.proposer.node.0);
    bytes.put_u32(ballot.proposer.boot);
}

fn take_ballot(bytes: &mut Bytes) -> Ballot {
    let counter = bytes.get_u64();
    let mut node = NodeId::default();
    bytes.copy_to_slice(&mut node.0);
    Ballot { counter, proposer: ProposerId { node, boot: bytes.get_u32() } }
}

fn take_value(mut bytes: Bytes) -> Result<Versioned, CodecError> {
    if bytes.len() < HEAD_BYTES {
        return Err(CodecError);
    }
    let version = bytes.get_u64();
    let operation = OperationId(bytes.get_u128());
    let content = match bytes.get_u8() {
        0 if bytes.is_empty() => None,
        1 => Some(bytes),
        _ => return Err(CodecError),
    };
    Ok(Versioned { version, operation, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ballot() -> impl Strategy<Value = Ballot> {
        (any::<u64>(), any::<[u8; 20]>(), any::<u32>())
            .prop_map(|(counter, node, boot)| Ballot { counter, proposer: ProposerId { node: NodeId(node), boot } })
    }

    fn value() -> impl Strategy<Value = Option<Versioned>> {
        let content = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from));
        proptest::option::of((any::<u64>(), any::<u128>(), content).prop_map(|(version, operation, content)| {
            Versioned { version, operation: OperationId(operation), content }
        }))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(promised in ballot(), accepted in ballot(), value in value()) {
            let register = Register { promised, accepted: Accepted { ballot: accepted, value } };
            prop_assert_eq!(decode(encode(&register)), Ok(register));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(Bytes::from(bytes));
        }
    }
}
