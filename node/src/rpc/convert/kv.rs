//! The key-value store's messages.

use super::{Checked, versioned, versioned_to_wire};
use scrapering_core::register::Versioned;
use scrapering_proto::v1;

/// A copy of a register; `None` if the node has none.
pub fn copy(reply: v1::CopyReply) -> Checked<Option<Option<Versioned>>> {
    let value = reply.value.map(versioned).transpose()?;
    Ok(reply.held.then_some(value))
}

/// The inverse of [`copy`].
#[must_use]
pub fn copy_to_wire(copy: Option<Option<Versioned>>) -> v1::CopyReply {
    v1::CopyReply { held: copy.is_some(), value: copy.flatten().map(versioned_to_wire) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_core::id::OperationId;

    #[test]
    fn a_copy_is_read_back() {
        let value = Versioned { version: 3, operation: OperationId(7), content: None };
        for sent in [None, Some(None), Some(Some(value))] {
            assert_eq!(copy(copy_to_wire(sent.clone())), Ok(sent));
        }
    }
}
