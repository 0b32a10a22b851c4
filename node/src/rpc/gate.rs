//! Who may speak to this node: members of this very ring, each proving its name by its certificate.
//!
//! A sender need not be known: its id is made of its name and generation, so that a node can speak before
//! anybody has heard of it. Who has left for good is told so and not listened to.

use super::convert;
use super::peers::Peers;
use crate::identity::tls::peer_names;
use scrapering_core::id::NodeId;
use scrapering_proto::v1;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

/// The metadata word that says why a call was refused for good.
pub const REASON_HEADER: &str = "scrapering-reason";
/// The reason: the sender was removed from the ring.
pub const REMOVED: &str = "removed";

/// A peer that has proven who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its id.
    pub node: NodeId,
    /// Its name, as in its certificate.
    pub name: String,
    /// The generation of its storage.
    pub generation: u64,
}

/// Checks every call from a peer. A cheap clone.
#[derive(Clone)]
pub struct Gate {
    peers: Peers,
}

impl Gate {
    /// The gate of the node whose calls `peers` makes.
    #[must_use]
    pub const fn new(peers: Peers) -> Self {
        Self { peers }
    }

    /// Lets in only members of this ring that are who they say; gives what they said.
    ///
    /// # Errors
    /// A status for the sender: another ring, another node than was meant, no proof of its name, or removed.
    pub fn admit<T>(
        &self,
        request: Request<T>,
        header: impl FnOnce(&mut T) -> Option<v1::Header>,
    ) -> Result<T, Status> {
        self.admit_from(request, header).map(|(_, message)| message)
    }

    /// As [`Gate::admit`], with who it is.
    ///
    /// # Errors
    /// As [`Gate::admit`].
    pub fn admit_from<T>(
        &self,
        request: Request<T>,
        header: impl FnOnce(&mut T) -> Option<v1::Header>,
    ) -> Result<(Sender, T), Status> {
        let certificates = request.peer_certs().ok_or_else(|| Status::unauthenticated("no client certificate"))?;
        let mut message = request.into_inner();
        let said = convert::header(header(&mut message))?;
        let sender = self.check(&said, peer_names(&certificates))?;
        Ok((sender, message))
    }

    fn check(&self, said: &convert::Header, proven: Vec<String>) -> Result<Sender, Status> {
        let mine = self.peers.identity();
        if said.ring != mine.ring {
            return Err(Status::permission_denied("this node belongs to another ring"));
        }
        if said.founding != mine.founding {
            tracing::error!(sender = ?proven, "a node of this ring's name was formed with others: it belongs to another ring with the same key and is refused; give one of the two rings its own key");
            return Err(Status::permission_denied("this node's ring was formed by other disks"));
        }
        let of_sender = |name: &String| NodeId::new(name, said.generation) == said.from;
        let Some(name) = proven.into_iter().find(of_sender) else {
            return Err(Status::permission_denied("the certificate does not prove the sender's name"));
        };
        if self.peers.has_left(said.from) {
            return Err(removed());
        }
        if said.to.is_some_and(|to| to != mine.from) {
            return Err(Status::failed_precondition("the node that is meant is not here any more"));
        }
        Ok(Sender { node: said.from, name, generation: said.generation })
    }
}

/// What a node is told that has left for good.
fn removed() -> Status {
    let mut status = Status::failed_precondition("the sender was removed from this ring");
    status.metadata_mut().insert(REASON_HEADER, MetadataValue::from_static(REMOVED));
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_core::id::RingId;
    use tonic::Code;

    fn header(name: &str, generation: u64) -> convert::Header {
        convert::Header {
            ring: RingId([1; 16]),
            from: NodeId::new(name, generation),
            generation,
            to: None,
            founding: [2; 8],
        }
    }

    fn gate() -> Gate {
        Gate::new(Peers::of_nobody(header("ring-0", 1)))
    }

    #[tokio::test]
    async fn a_sender_is_who_its_certificate_says_in_the_generation_it_says_and_need_not_be_known() {
        let proven = || vec!["other".to_owned(), "ring-9".to_owned()];
        let sender = gate().check(&header("ring-9", 1_700_000_000_000), proven()).expect("let in");
        assert_eq!(sender.name, "ring-9");
        let lied = convert::Header { generation: 2, ..header("ring-9", 1) };
        for said in [header("ring-1", 1), lied] {
            assert_eq!(gate().check(&said, proven()).expect_err("refused").code(), Code::PermissionDenied);
        }
    }

    #[tokio::test]
    async fn another_ring_is_refused_whoever_speaks() {
        let proven = || vec!["ring-1".to_owned()];
        let ring = convert::Header { ring: RingId([9; 16]), ..header("ring-1", 1) };
        let founding = convert::Header { founding: [9; 8], ..header("ring-1", 1) };
        for said in [ring, founding] {
            assert_eq!(gate().check(&said, proven()).expect_err("refused").code(), Code::PermissionDenied);
        }
    }

    #[tokio::test]
    async fn who_was_removed_is_told_so_and_who_is_gone_is_not_impersonated() {
        let gate = gate();
        gate.peers.forget(NodeId::new("ring-1", 1));
        let proven = || vec!["ring-1".to_owned()];
        let status = gate.check(&header("ring-1", 1), proven()).expect_err("refused");
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.metadata().get(REASON_HEADER).map(|word| word.as_bytes()), Some(REMOVED.as_bytes()));
        gate.check(&header("ring-1", 2), proven()).expect("its next generation is let in");
        let to_old = convert::Header { to: Some(NodeId::new("ring-0", 9)), ..header("ring-2", 1) };
        let status = gate.check(&to_old, vec!["ring-2".to_owned()]).expect_err("refused");
        assert!(status.metadata().get(REASON_HEADER).is_none());
    }
}
