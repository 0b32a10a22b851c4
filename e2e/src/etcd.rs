//! A cluster of etcd members on loopback with TLS, and a client for its key-value service: what a ring is compared with.

use crate::door::until;
use crate::ports::Ports;
use crate::program::Process;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic_prost::ProstCodec;

/// How long a cluster may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Running members; dropped, they are killed.
#[derive(Debug)]
pub struct Etcd {
    folder: PathBuf,
    ports: Ports,
    _members: Vec<Process>,
}

/// A connection to one member.
#[derive(Clone, Debug)]
pub struct Client {
    grpc: Grpc<Channel>,
}

/// Sets a key (`etcdserverpb.PutRequest`).
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The answer to a [`PutRequest`]; nothing of it is needed.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

/// Reads a key by a majority (`etcdserverpb.RangeRequest`).
#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

/// The answer to a [`RangeRequest`].
#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

/// A key and what it holds (`mvccpb.KeyValue`).
#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

impl Etcd {
    /// Starts `members` of the program `etcd`, with their data below `folder`, and waits until they answer.
    ///
    /// # Errors
    /// The program cannot be started, or does not answer in time.
    pub async fn start(program: &Path, folder: &Path, members: usize) -> anyhow::Result<Self> {
        let ports = Ports::take()?;
        let url = |first: u16, place: usize| format!("https://127.0.0.1:{}", usize::from(first) + place);
        let cluster: Vec<String> =
            (0..members).map(|place| format!("etcd-{place}={}", url(ports.ring(), place))).collect();
        let mut running = Vec::new();
        for place in 0..members {
            let (client, peer) = (url(ports.gateway(), place), url(ports.ring(), place));
            let name = format!("etcd-{place}");
            let arguments = [
                ["--name", &name],
                ["--data-dir", &name],
                ["--listen-client-urls", &client],
                ["--advertise-client-urls", &client],
                ["--listen-peer-urls", &peer],
                ["--initial-advertise-peer-urls", &peer],
                ["--initial-cluster", &cluster.join(",")],
                ["--auto-tls", "--peer-auto-tls"],
            ];
            running.push(Process::start_program(program, folder, &name, arguments.concat())?);
        }
        let etcd = Self { folder: folder.to_owned(), ports, _members: running };
        until("a cluster of etcd", START_LIMIT, async || {
            for member in 0..members {
                let Ok(client) = etcd.client(member).await else { return Ok(None) };
                if client.get(b"-").await.is_err() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        Ok(etcd)
    }

    /// A connection to the member at this place, of its own.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn client(&self, member: usize) -> anyhow::Result<Client> {
        // Each member has made itself a certificate, which is its own authority.
        let certificate = self.folder.join(format!("etcd-{member}/fixtures/client/cert.pem"));
        let pem = std::fs::read(&certificate).with_context(|| format!("no {}", certificate.display()))?;
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)).domain_name("127.0.0.1");
        let port = usize::from(self.ports.gateway()) + member;
        let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}"))?.tls_config(tls)?;
        Ok(Client { grpc: Grpc::new(endpoint.connect().await?) })
    }
}

impl Client {
    /// Sets a key; durable at a majority when this returns.
    ///
    /// # Errors
    /// The cluster refuses it, or does not answer.
    pub async fn put(&self, key: &[u8], value: Vec<u8>) -> anyhow::Result<()> {
        let request = PutRequest { key: key.to_vec(), value };
        let PutResponse {} = self.call("/etcdserverpb.KV/Put", request).await?;
        Ok(())
    }

    /// Reads a key as on one machine; `None` if there is none.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub async fn get(&self, key: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let found: RangeResponse = self.call("/etcdserverpb.KV/Range", RangeRequest { key: key.to_vec() }).await?;
        Ok(found.kvs.into_iter().next().map(|kv| kv.value))
    }

    async fn call<Q, A>(&self, path: &'static str, request: Q) -> anyhow::Result<A>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let mut grpc = self.grpc.clone();
        grpc.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let request = tonic::Request::new(request);
        Ok(grpc.unary(request, PathAndQuery::from_static(path), codec).await?.into_inner())
    }
}
