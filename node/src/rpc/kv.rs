//! The key-value store between nodes: copies that may be old, and hints of what was written.

use super::convert::{self, kv as wire};
use super::gate::Gate;
use super::peers::{MAX_MESSAGE_BYTES, PeerChannel, Peers};
use crate::driver::Driver;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use scrapering_core::id::{Key, NodeId};
use scrapering_core::register::Versioned;
use scrapering_proto::v1;
use scrapering_proto::v1::key_value_client::KeyValueClient;
use scrapering_proto::v1::key_value_server::{KeyValue, KeyValueServer};
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Names of registers, as they are written.
pub type Names = BoxStream<'static, Arc<[u8]>>;

fn client(peers: &Peers, node: NodeId) -> Option<KeyValueClient<PeerChannel>> {
    Some(KeyValueClient::new(peers.channel(node)?).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

/// The register as the copy of `node` has it; `None` if it has no whole copy or does not answer.
pub async fn copy(peers: &Peers, node: NodeId, key: &Key) -> Option<Option<Versioned>> {
    let request = v1::CopyRequest {
        header: peers.header_to(node),
        partition: u32::from(key.partition.0),
        name: Bytes::copy_from_slice(&key.name),
    };
    wire::copy(client(peers, node)?.copy(request).await.ok()?.into_inner()).ok()?
}

/// Names under `prefix` that `node` accepts from now on; ends when one may have been missed. `None` if it does not
/// answer.
pub async fn watch(peers: &Peers, node: NodeId, prefix: &[u8]) -> Option<Names> {
    let request = v1::WatchRequest { header: peers.header_to(node), prefix: Bytes::copy_from_slice(prefix) };
    let answers = client(peers, node)?.watch(request).await.ok()?.into_inner();
    let names = stream::unfold(answers, |mut answers| async move {
        let written = answers.message().await.ok()??;
        Some((Arc::from(written.name.as_ref()), answers))
    });
    Some(names.boxed())
}

/// What this node's own disk accepts under `prefix`; ends when it is too fast for who listens.
pub fn written(receiver: broadcast::Receiver<Arc<[u8]>>, prefix: Vec<u8>) -> Names {
    let names = stream::unfold((receiver, prefix), |(mut receiver, prefix)| async move {
        loop {
            let name = receiver.recv().await.ok()?;
            if name.starts_with(&prefix) {
                return Some((name, (receiver, prefix)));
            }
        }
    });
    names.boxed()
}

/// Answers the other nodes.
pub struct KvDoor {
    driver: Driver,
    gate: Gate,
    stop: CancellationToken,
}

impl KvDoor {
    /// The door to this node's copies, behind `gate`; nothing is told any more after `stop`.
    #[must_use]
    pub fn server(driver: Driver, gate: Gate, stop: CancellationToken) -> KeyValueServer<Self> {
        KeyValueServer::new(Self { driver, gate, stop }).max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl KeyValue for KvDoor {
    type WatchStream = BoxStream<'static, Result<v1::Written, Status>>;

    async fn copy(&self, request: Request<v1::CopyRequest>) -> Result<Response<v1::CopyReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        let key = Key::new(convert::partition(message.partition)?, message.name);
        Ok(Response::new(wire::copy_to_wire(self.driver.own_copy(key).await)))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        // Listening has begun when the caller has this answer.
        let names = written(self.driver.disk().written(), message.prefix.into());
        let names = names.map(|name| Ok(v1::Written { name: Bytes::copy_from_slice(&name) }));
        Ok(Response::new(names.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }
}
