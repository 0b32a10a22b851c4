//! Chord on the wire: steps of lookups, and messages between virtual nodes in batches.

use super::convert::{Malformed, ring as wire};
use super::gate::Gate;
use super::peers::Peers;
use crate::driver::chord::Chord;
use bytes::Bytes;
use scrapering_core::id::{NodeId, Point};
use scrapering_core::ring::{Message, QUERY_TIMEOUT, Step};
use scrapering_proto::v1;
use scrapering_proto::v1::ring_server::Ring;
use tonic::{Request, Response, Status};

/// Most messages in one call: a few for each virtual node of the largest weight.
const MAX_MESSAGES: usize = 16_384;

/// Asks `node` for a step of a lookup; `None` if it did not answer in time.
pub async fn step(peers: &Peers, node: NodeId, target: Point) -> Option<Step> {
    let request = v1::StepRequest { header: peers.header_to(node), target: Bytes::copy_from_slice(&target.0) };
    let mut client = peers.ring(node)?;
    let reply = tokio::time::timeout(QUERY_TIMEOUT, client.step(request)).await.ok()?.ok()?;
    wire::step(reply.into_inner()).ok()
}

/// Tells `node`; what it could answer at once, or `None` if it was not reached in time.
pub async fn tell(peers: &Peers, node: NodeId, messages: Vec<Message>) -> Option<Vec<Message>> {
    let request = v1::TellRequest { header: peers.header_to(node), messages: wire::messages_to_wire(messages) };
    let mut client = peers.ring(node)?;
    let reply = tokio::time::timeout(QUERY_TIMEOUT, client.tell(request)).await.ok()?.ok()?;
    wire::messages(node, reply.into_inner().messages).ok()
}

/// Answers the other nodes' questions about the ring. A cheap clone.
#[derive(Clone)]
pub struct RingDoor {
    chord: Chord,
    gate: Gate,
}

impl RingDoor {
    /// The door to `chord`, behind `gate`.
    #[must_use]
    pub const fn new(chord: Chord, gate: Gate) -> Self {
        Self { chord, gate }
    }
}

#[tonic::async_trait]
impl Ring for RingDoor {
    async fn step(&self, request: Request<v1::StepRequest>) -> Result<Response<v1::StepReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        let target = wire::point(&message.target)?;
        Ok(Response::new(wire::step_to_wire(self.chord.step(target))))
    }

    async fn tell(&self, request: Request<v1::TellRequest>) -> Result<Response<v1::TellReply>, Status> {
        let (sender, message) = self.gate.admit_from(request, |message| message.header.take())?;
        if message.messages.len() > MAX_MESSAGES {
            return Err(Malformed("messages").into());
        }
        let answers = self.chord.handle(sender.node, wire::messages(sender.node, message.messages)?);
        Ok(Response::new(v1::TellReply { messages: wire::messages_to_wire(answers) }))
    }
}
