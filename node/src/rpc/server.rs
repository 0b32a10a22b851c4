//! Serves the ring's peers. Every call must come from this ring, from the node whose name its certificate proves.

use super::convert::{self, Malformed};
use super::peers::{MAX_MESSAGE_BYTES, PeerAddress};
use crate::crawl::Crawl;
use crate::driver::Driver;
use crate::identity::tls::{peer_names, wire};
use futures::future::join_all;
use rustls::ServerConfig;
use scrapering_core::body::BodyHash;
use scrapering_core::id::NodeId;
use scrapering_core::register::message::Reply;
use scrapering_proto::v1;
use scrapering_proto::v1::frontier_server::{Frontier, FrontierServer};
use scrapering_proto::v1::ring_server::{Ring, RingServer};
use scrapering_proto::v1::store_server::{Store, StoreServer};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// The service whose health `grpc.health.v1` reports: serving means that this node takes part in its ring.
pub const HEALTH_SERVICE: &str = "scrapering.v1.Ring";

/// Most envelopes in one message from a peer.
const MAX_ENVELOPES: usize = 1024;

/// What the services need.
#[derive(Clone)]
pub struct Services {
    driver: Driver,
    crawl: Crawl,
    names: Arc<BTreeMap<NodeId, String>>,
}

impl Services {
    /// Services of a node in the ring of `members`.
    #[must_use]
    pub fn new(driver: Driver, crawl: Crawl, members: &[PeerAddress]) -> Self {
        let names = members.iter().map(|member| (member.node, member.name.clone())).collect();
        Self { driver, crawl, names: Arc::new(names) }
    }

    /// Serves peers on `listener` until `stop`, then lets running calls end.
    ///
    /// # Errors
    /// From the transport.
    pub async fn serve(
        self,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        stop: CancellationToken,
    ) -> Result<(), tonic::transport::Error> {
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status(HEALTH_SERVICE, tonic_health::ServingStatus::Serving).await;
        let leaving = stop.clone();
        let shutdown = async move {
            leaving.cancelled().await;
            reporter.set_service_status(HEALTH_SERVICE, tonic_health::ServingStatus::NotServing).await;
        };
        tonic::transport::Server::builder()
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024)
            .add_service(health)
            .add_service(
                StoreServer::new(self.clone())
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            )
            .add_service(RingServer::new(self.clone()))
            .add_service(
                FrontierServer::new(self)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            )
            .serve_with_incoming_shutdown(wire::accept(listener, tls), shutdown)
            .await
    }

    /// Lets in only members of this ring that are who they say.
    fn admit<T>(&self, request: Request<T>, header: impl FnOnce(&mut T) -> Option<v1::Header>) -> Result<T, Status> {
        let certificates = request.peer_certs().ok_or_else(|| Status::unauthenticated("no client certificate"))?;
        let mut message = request.into_inner();
        let (ring, from) = convert::header(header(&mut message))?;
        if ring != self.driver.ring_id() {
            return Err(Status::permission_denied("this node belongs to another ring"));
        }
        let name = self
            .names
            .get(&from)
            .ok_or_else(|| Status::permission_denied("the sender is not a member of this ring"))?;
        if !peer_names(&certificates).contains(name) {
            return Err(Status::permission_denied("the certificate does not prove the sender's name"));
        }
        Ok(message)
    }
}

impl From<Malformed> for Status {
    fn from(malformed: Malformed) -> Self {
        Self::invalid_argument(malformed.to_string())
    }
}

#[tonic::async_trait]
impl Store for Services {
    async fn exchange(&self, request: Request<v1::ExchangeRequest>) -> Result<Response<v1::ExchangeReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        if message.envelopes.len() > MAX_ENVELOPES {
            return Err(Malformed("envelopes").into());
        }
        let envelopes = message.envelopes.into_iter().map(convert::envelope).collect::<Result<Vec<_>, _>>()?;
        let replies = join_all(envelopes.into_iter().map(|envelope| self.driver.disk().handle(envelope))).await;
        Ok(Response::new(v1::ExchangeReply {
            replies: replies.into_iter().map(|reply: Reply| convert::reply_to_wire(reply)).collect(),
        }))
    }

    async fn put_body(&self, request: Request<v1::PutBodyRequest>) -> Result<Response<v1::PutBodyReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        let hash = BodyHash(convert::fixed(&message.hash, "hash")?);
        Ok(Response::new(v1::PutBodyReply { stored: self.driver.disk().keep(hash, message.content).await }))
    }

    async fn get_body(&self, request: Request<v1::GetBodyRequest>) -> Result<Response<v1::GetBodyReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        let hash = BodyHash(convert::fixed(&message.hash, "hash")?);
        Ok(Response::new(v1::GetBodyReply { content: self.driver.disk().kept(hash).await }))
    }
}

#[tonic::async_trait]
impl Ring for Services {
    async fn step(&self, request: Request<v1::StepRequest>) -> Result<Response<v1::StepReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        let target = convert::point(&message.target)?;
        Ok(Response::new(convert::step_to_wire(self.driver.step(target))))
    }
}

#[tonic::async_trait]
impl Frontier for Services {
    async fn follow(&self, request: Request<v1::FollowRequest>) -> Result<Response<v1::FollowReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        self.crawl.handle_follow(message).await.map(Response::new)
    }

    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        self.crawl.handle_submit(message).await.map(Response::new)
    }

    async fn status(&self, request: Request<v1::StatusRequest>) -> Result<Response<v1::StatusReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        self.crawl.handle_status(message).await.map(Response::new)
    }

    async fn report(&self, request: Request<v1::ReportRequest>) -> Result<Response<v1::ReportReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        self.crawl.handle_report(message).await.map(Response::new)
    }

    async fn results(&self, request: Request<v1::ResultsRequest>) -> Result<Response<v1::ResultsReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        self.crawl.handle_results(message).await.map(Response::new)
    }

    async fn purge(&self, request: Request<v1::PurgeRequest>) -> Result<Response<v1::PurgeReply>, Status> {
        let message = self.admit(request, |message| message.header.take())?;
        self.crawl.handle_purge(message).await.map(Response::new)
    }
}
