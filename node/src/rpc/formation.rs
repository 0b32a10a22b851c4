//! What this node's disk says while the ring is formed and ever after, and the question to others.
//!
//! Not behind the gate: who asks may be the successor of a disk that has left, and learns so by asking.

use super::convert;
use super::peers::PeerChannel;
use crate::identity::tls::peer_names;
use bytes::Bytes;
use scrapering_core::formation::Record;
use scrapering_core::id::RingId;
use scrapering_proto::v1;
use scrapering_proto::v1::formation_client::FormationClient;
use scrapering_proto::v1::formation_server::Formation;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// The newest generation of a name that this node has heard of; 0 for none.
pub type Generations = Arc<dyn Fn(&str) -> u64 + Send + Sync>;

/// Answers for the disk of this node. A cheap clone.
#[derive(Clone)]
pub struct FormationDoor {
    ring: RingId,
    record: watch::Receiver<Record>,
    generations: Generations,
}

impl FormationDoor {
    /// Answers what `record` holds, which must be durable.
    #[must_use]
    pub const fn new(ring: RingId, record: watch::Receiver<Record>, generations: Generations) -> Self {
        Self { ring, record, generations }
    }
}

#[tonic::async_trait]
impl Formation for FormationDoor {
    async fn ask(&self, request: Request<v1::AskRequest>) -> Result<Response<v1::AskReply>, Status> {
        let certificates = request.peer_certs().ok_or_else(|| Status::unauthenticated("no client certificate"))?;
        let v1::AskRequest { ring, name } = request.into_inner();
        if ring != self.ring.0.as_slice() {
            return Err(Status::permission_denied("this node belongs to another ring"));
        }
        if !peer_names(&certificates).contains(&name) {
            return Err(Status::permission_denied("the certificate does not prove the sender's name"));
        }
        let record = self.record.borrow().clone();
        Ok(Response::new(convert::formation::record_to_wire(record, (self.generations)(&name))))
    }
}

/// What the node behind `channel` says within `timeout`, and the newest generation of `name` it knows.
///
/// # Errors
/// Why there is no answer, for the log.
pub async fn ask(channel: PeerChannel, ring: RingId, name: &str, timeout: Duration) -> Result<(Record, u64), String> {
    let request = v1::AskRequest { ring: Bytes::copy_from_slice(&ring.0), name: name.to_owned() };
    let mut client = FormationClient::new(channel);
    let reply = tokio::time::timeout(timeout, client.ask(request)).await;
    let reply = reply.map_err(|_| "no answer in time".to_owned())?.map_err(|status| status.message().to_owned())?;
    let reply = reply.into_inner();
    let newest = reply.newest_generation;
    convert::formation::record(reply).map(|record| (record, newest)).map_err(|malformed| malformed.to_string())
}
