//! Bodies and comparisons of copies between nodes: the calls and their answers.

use super::convert::copies::{MAX_HASHES, RootOf};
use super::convert::{self, Malformed, copies as wire};
use super::gate::Gate;
use super::peers::{MAX_MESSAGE_BYTES, PeerChannel, Peers};
use crate::driver::Driver;
use crate::driver::bodies::Copy;
use bytes::Bytes;
use scrapering_core::body::{BodyRef, shelf};
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::store::StoreError;
use scrapering_core::sync::reconcile::{self, MAX_MESSAGE_BYTES as MAX_QUESTION_BYTES, Set};
use scrapering_core::sync::{Subject, reading};
use scrapering_core::view::Epoch;
use scrapering_proto::v1;
use scrapering_proto::v1::copies_client::CopiesClient;
use scrapering_proto::v1::copies_server::{Copies, CopiesServer};
use tonic::{Request, Response, Status};

fn client(peers: &Peers, node: NodeId) -> Option<CopiesClient<PeerChannel>> {
    let client = CopiesClient::new(peers.channel(node)?);
    Some(client.max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// Gives `node` a body; whether it has it on disk. `stored_ms` is that of the copy that it is made from, if any.
pub async fn put_body(peers: &Peers, node: NodeId, body: BodyRef, content: Bytes, stored_ms: Option<u64>) -> bool {
    let Some(mut client) = client(peers, node) else { return false };
    let request = v1::PutBodyRequest {
        header: peers.header_to(node),
        hash: wire::hash_to_wire(body.hash),
        content,
        partition: u32::from(body.partition.0),
        stored_ms,
    };
    client.put_body(request).await.is_ok_and(|reply| reply.get_ref().stored)
}

/// The copy of `body` at `node`, not checked; `None` if it has none or did not answer.
pub async fn body(peers: &Peers, node: NodeId, body: BodyRef) -> Option<Copy> {
    let request = v1::GetBodyRequest {
        header: peers.header_to(node),
        hash: wire::hash_to_wire(body.hash),
        partition: u32::from(body.partition.0),
    };
    let v1::GetBodyReply { content, stored_ms } = client(peers, node)?.get_body(request).await.ok()?.into_inner();
    Some(Copy { content: content?, stored_ms })
}

/// When each of `bodies`, of one partition, was put as `node` knows; `None` if it did not answer.
pub async fn describe(peers: &Peers, node: NodeId, bodies: &[BodyRef]) -> Option<Vec<Option<u64>>> {
    debug_assert!(bodies.len() <= MAX_HASHES);
    let request = v1::DescribeBodiesRequest {
        header: peers.header_to(node),
        partition: u32::from(bodies.first()?.partition.0),
        hashes: bodies.iter().map(|body| wire::hash_to_wire(body.hash)).collect(),
    };
    let labels = client(peers, node)?.describe_bodies(request).await.ok()?.into_inner().labels;
    (labels.len() == bodies.len()).then(|| labels.into_iter().map(|label| label.stored_ms).collect())
}

/// The partitions in which `node`'s copies differ from `roots`; `None` if it did not answer.
pub async fn compare_roots(
    peers: &Peers,
    node: NodeId,
    subject: Subject,
    roots: Vec<RootOf>,
) -> Option<Vec<Partition>> {
    let request = v1::CompareRootsRequest {
        header: peers.header_to(node),
        subject: wire::subject_to_wire(subject),
        roots: wire::roots_to_wire(roots),
    };
    let different = client(peers, node)?.compare_roots(request).await.ok()?.into_inner().different;
    different.into_iter().map(|number| convert::partition(number).ok()).collect()
}

/// `node`'s answer to one question of a comparison; `None` if it does not answer, or may not in this epoch.
pub async fn compare(
    peers: &Peers,
    node: NodeId,
    subject: Subject,
    partition: Partition,
    epoch: Epoch,
    message: Vec<u8>,
) -> Option<Bytes> {
    let request = v1::CompareRequest {
        header: peers.header_to(node),
        subject: wire::subject_to_wire(subject),
        partition: u32::from(partition.0),
        epoch: epoch.0,
        message: message.into(),
    };
    client(peers, node)?.compare(request).await.ok()?.into_inner().message
}

/// Answers the other nodes' calls about copies. A cheap clone.
#[derive(Clone)]
pub struct CopiesDoor {
    driver: Driver,
    gate: Gate,
}

impl CopiesDoor {
    /// The door to `driver`'s copies, behind `gate`.
    #[must_use]
    pub const fn new(driver: Driver, gate: Gate) -> Self {
        Self { driver, gate }
    }

    /// The service.
    #[must_use]
    pub fn into_service(self) -> CopiesServer<Self> {
        CopiesServer::new(self)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn scrapering_core::store::Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Status> {
        let read = self.driver.disk().read(read).await.ok_or_else(|| Status::unavailable("this node is stopping"))?;
        read.map_err(|error| Status::internal(error.to_string()))
    }
}

#[tonic::async_trait]
impl Copies for CopiesDoor {
    async fn put_body(&self, request: Request<v1::PutBodyRequest>) -> Result<Response<v1::PutBodyReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        let body = wire::body(message.partition, &message.hash)?;
        let stored = self.driver.keep_body(body, message.content, message.stored_ms).await;
        Ok(Response::new(v1::PutBodyReply { stored }))
    }

    async fn get_body(&self, request: Request<v1::GetBodyRequest>) -> Result<Response<v1::GetBodyReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        let body = wire::body(message.partition, &message.hash)?;
        let copy = self.driver.own_body(body).await;
        Ok(Response::new(match copy {
            Some(Copy { content, stored_ms }) => v1::GetBodyReply { content: Some(content), stored_ms },
            None => v1::GetBodyReply { content: None, stored_ms: 0 },
        }))
    }

    async fn describe_bodies(
        &self,
        request: Request<v1::DescribeBodiesRequest>,
    ) -> Result<Response<v1::DescribeBodiesReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        let bodies = wire::bodies(message.partition, &message.hashes)?;
        let label = |body, store: &dyn scrapering_core::store::Store| -> Result<_, StoreError> {
            let stored_ms = shelf::label(body, store)?.map(|label| label.stored_ms);
            Ok(v1::describe_bodies_reply::Label { stored_ms })
        };
        let labels = self.read(move |store| bodies.into_iter().map(|body| label(body, store)).collect()).await?;
        Ok(Response::new(v1::DescribeBodiesReply { labels }))
    }

    async fn compare_roots(
        &self,
        request: Request<v1::CompareRootsRequest>,
    ) -> Result<Response<v1::CompareRootsReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        let (subject, roots) = (wire::subject(message.subject)?, wire::roots(message.roots)?);
        let me = self.driver.me();
        let different = self
            .read(move |store| {
                let mut different = Vec::new();
                for (partition, epoch, theirs) in roots {
                    let mine = reading::root(subject, me, partition, epoch, store)?;
                    if mine.is_some_and(|mine| mine != theirs) {
                        different.push(u32::from(partition.0));
                    }
                }
                Ok(different)
            })
            .await?;
        Ok(Response::new(v1::CompareRootsReply { different }))
    }

    async fn compare(&self, request: Request<v1::CompareRequest>) -> Result<Response<v1::CompareReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        let (subject, partition) = (wire::subject(message.subject)?, convert::partition(message.partition)?);
        let (epoch, question, me) = (Epoch(message.epoch), message.message, self.driver.me());
        if question.len() > MAX_QUESTION_BYTES {
            return Err(Malformed("message").into());
        }
        let answer = self
            .read(move |store| {
                if reading::root(subject, me, partition, epoch, store)?.is_none() {
                    return Ok(None);
                }
                let set = Set::new(reading::places(subject, partition, store)?);
                Ok(Some(reconcile::respond(&set, &question)))
            })
            .await?;
        let message = answer.transpose().map_err(|_| Malformed("message"))?;
        Ok(Response::new(v1::CompareReply { message: message.map(Bytes::from) }))
    }
}
