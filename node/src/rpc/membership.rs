//! Membership on the wire: probes are `grpc.health.v1` with gossip in their metadata, the rest has its own service.

use super::convert::membership as wire;
use super::gate::Gate;
use super::peers::Peers;
use super::server::HEALTH_SERVICE;
use crate::driver::members::Members;
use futures::stream::BoxStream;
use prost::Message as _;
use scrapering_core::id::NodeId;
use scrapering_core::membership::{Entry, Gossip, Reply};
use scrapering_proto::v1;
use scrapering_proto::v1::membership_client::MembershipClient;
use scrapering_proto::v1::membership_server::Membership;
use std::time::Duration;
use tonic::metadata::{BinaryMetadataValue, MetadataMap};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// The metadata word under which gossip travels.
pub const GOSSIP_HEADER: &str = "x-swim-bin";

/// Longest gossip, bytes: six updates and the speaker with the longest names there are. In base64 it fits in the
/// headers that an HTTP/2 peer takes.
const MAX_GOSSIP_BYTES: usize = 8 * 1024;
/// Largest table, bytes: every name there may be with all its tombstones.
pub const MAX_TABLE_BYTES: usize = 16 * 1024 * 1024;

/// PING: asks `node` whether it is there.
pub async fn ping(peers: &Peers, node: NodeId, gossip: Gossip, timeout: Duration) -> Option<Reply> {
    let mut client = HealthClient::new(peers.channel(node)?);
    let mut request = Request::new(HealthCheckRequest { service: HEALTH_SERVICE.to_owned() });
    ride(peers, gossip, request.metadata_mut());
    let answer = tokio::time::timeout(timeout, client.check(request)).await.ok()?.ok()?;
    Some(Reply::Ack(heard(peers, answer.metadata())))
}

/// PING-REQ: asks `helper` to probe `target`.
pub async fn ping_req(
    peers: &Peers,
    helper: NodeId,
    target: NodeId,
    gossip: Gossip,
    timeout: Duration,
) -> Option<Reply> {
    let mut client = MembershipClient::new(peers.channel(helper)?);
    let gossip = Some(wire::gossip_to_wire(peers.identity(), gossip));
    let request = v1::PingReqRequest { gossip, target: target.0.to_vec().into() };
    let answer = tokio::time::timeout(timeout, client.ping_req(request)).await.ok()?.ok()?;
    Some(Reply::Relayed(answer.into_inner().target.map(wire::entry).transpose().ok()?))
}

/// Gives `node` this node's table for its own.
pub async fn exchange(peers: &Peers, node: NodeId, table: Vec<Entry>, timeout: Duration) -> Option<Vec<Entry>> {
    let mut client = MembershipClient::new(peers.channel(node)?)
        .max_decoding_message_size(MAX_TABLE_BYTES)
        .max_encoding_message_size(MAX_TABLE_BYTES);
    let request = v1::JoinRequest { header: peers.header(), entries: wire::entries_to_wire(table) };
    let answer = tokio::time::timeout(timeout, client.join(request)).await.ok()?;
    match answer {
        Ok(answer) => wire::entries(answer.into_inner().entries).ok(),
        Err(status) => {
            tracing::debug!(%node, code = ?status.code(), message = status.message(), "no table was given");
            None
        }
    }
}

fn ride(peers: &Peers, gossip: Gossip, metadata: &mut MetadataMap) {
    let bytes = wire::gossip_to_wire(peers.identity(), gossip).encode_to_vec();
    metadata.insert_bin(GOSSIP_HEADER, BinaryMetadataValue::from_bytes(&bytes));
}

/// The gossip of an answer; that of another ring is not listened to.
fn heard(peers: &Peers, metadata: &MetadataMap) -> Option<Gossip> {
    let (header, gossip) = wire::gossip(read(metadata).ok()??).ok()?;
    let mine = peers.identity();
    ((header.ring, header.founding) == (mine.ring, mine.founding)).then_some(gossip)
}

fn read(metadata: &MetadataMap) -> Result<Option<v1::SwimGossip>, Status> {
    let Some(value) = metadata.get_bin(GOSSIP_HEADER) else { return Ok(None) };
    let bytes = value.to_bytes().map_err(|_| Status::invalid_argument("x-swim-bin is not base64"))?;
    if bytes.len() > MAX_GOSSIP_BYTES {
        return Err(Status::invalid_argument("x-swim-bin is longer than any gossip"));
    }
    let gossip = v1::SwimGossip::decode(bytes).map_err(|_| Status::invalid_argument("x-swim-bin is not gossip"))?;
    Ok(Some(gossip))
}

/// Answers membership's questions. A cheap clone.
#[derive(Clone)]
pub struct MembershipDoor {
    members: Members,
    gate: Gate,
}

impl MembershipDoor {
    /// The door to `members`, behind `gate`.
    #[must_use]
    pub const fn new(members: Members, gate: Gate) -> Self {
        Self { members, gate }
    }

    fn status(&self, service: &str) -> Result<HealthCheckResponse, Status> {
        if !service.is_empty() && service != HEALTH_SERVICE {
            return Err(Status::not_found("this node does not know that service"));
        }
        let serving = self.members.serves();
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        Ok(HealthCheckResponse { status: status.into() })
    }
}

/// Everybody who gets through TLS may ask: the kubelet, load balancers, members. Only members gossip.
#[tonic::async_trait]
impl Health for MembershipDoor {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let mut response = Response::new(self.status(&request.get_ref().service)?);
        if let Some(gossip) = read(request.metadata())? {
            let header = gossip.header.clone();
            self.gate.admit(request, |_| header)?;
            let (_, gossip) = wire::gossip(gossip)?;
            ride(self.members.peers(), self.members.handle_ping(gossip), response.metadata_mut());
        }
        Ok(response)
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let known = self.status(&service).is_ok();
        let (door, changes) = (self.clone(), self.members.changes());
        let stream = futures::stream::unfold((door, changes, None), move |(door, mut changes, told)| {
            let service = service.clone();
            async move {
                loop {
                    changes.borrow_and_update();
                    let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
                    let now = if known { door.status(&service).ok()? } else { unknown };
                    if told != Some(now.status) {
                        let status = now.status;
                        return Some((Ok(now), (door, changes, Some(status))));
                    }
                    changes.changed().await.ok()?;
                }
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

#[tonic::async_trait]
impl Membership for MembershipDoor {
    async fn ping_req(&self, request: Request<v1::PingReqRequest>) -> Result<Response<v1::PingReqReply>, Status> {
        let header = request.get_ref().gossip.as_ref().and_then(|gossip| gossip.header.clone());
        let message = self.gate.admit(request, |_| header)?;
        let (_, gossip) = wire::gossip(message.gossip.unwrap_or_default())?;
        let target = super::convert::node(&message.target)?;
        let reached = self.members.handle_ping_req(target, gossip).await;
        Ok(Response::new(v1::PingReqReply { target: reached.map(wire::entry_to_wire) }))
    }

    async fn join(&self, request: Request<v1::JoinRequest>) -> Result<Response<v1::JoinReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        let table = self.members.handle_exchange(wire::entries(message.entries)?);
        Ok(Response::new(v1::JoinReply { entries: wire::entries_to_wire(table) }))
    }
}
