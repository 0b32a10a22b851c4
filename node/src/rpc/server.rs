//! Serves the ring's peers. Every call must come through the [`Gate`].

use super::control::ControlDoor;
use super::convert::{self, Malformed};
use super::copies::CopiesDoor;
use super::formation::FormationDoor;
use super::gate::Gate;
use super::kv::KvDoor;
use super::membership::{MAX_TABLE_BYTES, MembershipDoor};
use super::peers::{FULL_MESSAGE_BYTES, MAX_MESSAGE_BYTES};
use super::ring::RingDoor;
use super::traced::Traced;
use crate::crawl::Crawl;
use crate::driver::Driver;
use crate::identity::tls::live::Live;
use crate::identity::tls::wire;
use crate::traces;
use futures::future::join_all;
use prost::Message;
use rustls::ServerConfig;
use scrapering_core::register::message::Reply;
use scrapering_proto::v1;
use scrapering_proto::v1::control_server::ControlServer;
use scrapering_proto::v1::formation_server::FormationServer;
use scrapering_proto::v1::frontier_server::{Frontier, FrontierServer};
use scrapering_proto::v1::membership_server::MembershipServer;
use scrapering_proto::v1::ring_server::RingServer;
use scrapering_proto::v1::store_server::{Store, StoreServer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::HealthServer;
use tracing::{Instrument, Span};

/// The service whose health `grpc.health.v1` reports: serving means that this node takes part in its ring.
pub const HEALTH_SERVICE: &str = "scrapering.v1.Ring";

/// Most envelopes in one message from a peer.
const MAX_ENVELOPES: usize = 1024;

/// What is served of the node as a whole.
pub struct Doors {
    /// What its disk says.
    pub formation: FormationDoor,
    /// What administrators ask of it.
    pub control: ControlDoor,
}

/// What the services need.
#[derive(Clone)]
pub struct Services {
    driver: Driver,
    crawl: Crawl,
    gate: Gate,
}

impl Services {
    /// Services of a node that asks its peers through `driver`'s.
    #[must_use]
    pub fn new(driver: Driver, crawl: Crawl) -> Self {
        let gate = Gate::new(driver.peers().clone());
        Self { driver, crawl, gate }
    }

    /// Serves peers on `listener` until `stop`, then lets running calls end.
    ///
    /// # Errors
    /// From the transport.
    pub async fn serve(
        self,
        listener: TcpListener,
        tls: Live<ServerConfig>,
        doors: Doors,
        stop: CancellationToken,
    ) -> Result<(), tonic::transport::Error> {
        let door = MembershipDoor::new(self.driver.members().clone(), self.gate.clone());
        tonic::transport::Server::builder()
            .layer(tower::layer::layer_fn(Traced))
            // A node that stood still finds many calls that their callers have given up: no attack among members.
            .http2_max_pending_accept_reset_streams(Some(MAX_ENVELOPES))
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024)
            .add_service(HealthServer::new(door.clone()))
            .add_service(FormationServer::new(doors.formation))
            .add_service(ControlServer::new(doors.control))
            .add_service(
                MembershipServer::new(door)
                    .max_decoding_message_size(MAX_TABLE_BYTES)
                    .max_encoding_message_size(MAX_TABLE_BYTES),
            )
            .add_service(
                StoreServer::new(self.clone())
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            )
            .add_service(CopiesDoor::new(self.driver.clone(), self.gate.clone()).into_service())
            .add_service(KvDoor::server(self.driver.clone(), self.gate.clone(), stop.clone()))
            .add_service(RingServer::new(RingDoor::new(self.driver.chord().clone(), self.gate.clone())))
            .add_service(
                FrontierServer::new(self)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            )
            .serve_with_incoming_shutdown(wire::accept(listener, tls), stop.cancelled_owned())
            .await
    }
}

/// As many of `replies` as fit one message; the sender asks again for the rest.
fn fitting(replies: Vec<Reply>) -> Vec<v1::Reply> {
    let mut bytes = 0;
    let fits = |reply: &v1::Reply| {
        let first = bytes == 0;
        bytes += reply.encoded_len();
        first || bytes <= FULL_MESSAGE_BYTES
    };
    replies.into_iter().map(convert::reply_to_wire).take_while(fits).collect()
}

impl From<Malformed> for Status {
    fn from(malformed: Malformed) -> Self {
        Self::invalid_argument(malformed.to_string())
    }
}

#[tonic::async_trait]
impl Store for Services {
    async fn exchange(&self, request: Request<v1::ExchangeRequest>) -> Result<Response<v1::ExchangeReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        if message.envelopes.len() > MAX_ENVELOPES {
            return Err(Malformed("envelopes").into());
        }
        let me = self.driver.me();
        let read = |mut envelope: v1::Envelope| {
            let span = traces::served("accept", envelope.trace.take().as_deref());
            convert::envelope(envelope).map(|envelope| (envelope, span))
        };
        let envelopes = message.envelopes.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let handle = |(envelope, span): (_, Span)| {
            span.record("node", tracing::field::display(me));
            self.driver.disk().handle(envelope).instrument(span)
        };
        let replies = join_all(envelopes.into_iter().map(handle)).await;
        Ok(Response::new(v1::ExchangeReply { replies: fitting(replies) }))
    }

    async fn views(&self, request: Request<v1::ViewsRequest>) -> Result<Response<v1::ViewsReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        Ok(Response::new(convert::view::views_to_wire(self.driver.views().newer_than(&message.epochs))))
    }
}

#[tonic::async_trait]
impl Frontier for Services {
    async fn follow(&self, request: Request<v1::FollowRequest>) -> Result<Response<v1::FollowReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_follow(message).await.map(Response::new)
    }

    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_submit(message).await.map(Response::new)
    }

    async fn status(&self, request: Request<v1::StatusRequest>) -> Result<Response<v1::StatusReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_status(message).await.map(Response::new)
    }

    async fn report(&self, request: Request<v1::ReportRequest>) -> Result<Response<v1::ReportReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_report(message).await.map(Response::new)
    }

    async fn results(&self, request: Request<v1::ResultsRequest>) -> Result<Response<v1::ResultsReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_results(message).await.map(Response::new)
    }

    async fn purge(&self, request: Request<v1::PurgeRequest>) -> Result<Response<v1::PurgeReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_purge(message).await.map(Response::new)
    }

    async fn host(&self, request: Request<v1::HostRequest>) -> Result<Response<v1::HostReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_host(message).await.map(Response::new)
    }

    async fn keep(&self, request: Request<v1::KeepRequest>) -> Result<Response<v1::KeepReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_keep(message).await.map(Response::new)
    }

    async fn hosts(&self, request: Request<v1::HostsRequest>) -> Result<Response<v1::HostsReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_hosts(&message).await.map(Response::new)
    }

    async fn reopen(&self, request: Request<v1::ReopenRequest>) -> Result<Response<v1::ReopenReply>, Status> {
        let message = self.gate.admit(request, |message| message.header.take())?;
        self.crawl.handle_reopen(message).await.map(Response::new)
    }

    async fn address(&self, request: Request<v1::AddressRequest>) -> Result<Response<v1::AddressReply>, Status> {
        let (from, message) = self.gate.admit_from(request, |message| message.header.take())?;
        self.crawl.handle_address(from.node, message).await.map(Response::new)
    }

    async fn slots(&self, request: Request<v1::SlotsRequest>) -> Result<Response<v1::SlotsReply>, Status> {
        let (from, message) = self.gate.admit_from(request, |message| message.header.take())?;
        self.crawl.handle_slots(from.node, &message).await.map(Response::new)
    }
}
