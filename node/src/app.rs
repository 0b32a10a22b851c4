//! A node put together: identity, disk, ring, crawl, gateway; and all nodes of a local ring in one process.

mod ring_view;

use crate::auth::Verifier;
use crate::crawl::Crawl;
use crate::driver::clock::Clock;
use crate::driver::disk::Disk;
use crate::driver::members::Members;
use crate::driver::{Driver, Parts};
use crate::fetch::Cidr;
use crate::fetch::{Fetcher, FetcherConfig};
use crate::gateway::{self, GatewayState};
use crate::identity::layout::{RingDir, RingNode};
use crate::identity::{NodeIdentity, tls};
use crate::rpc::server::Services;
use crate::rpc::{PeerAddress, Peers};
use crate::storage::{Keyring, RocksStore};
use anyhow::Context;
use jiff::Timestamp;
use ring_view::NodeView;
use scrapering_core::id::NodeId;
use scrapering_core::register::Acceptor;
use scrapering_core::store::{Batch, ScanLimit, Store, Table};
use scrapering_core::view::{Placement, View};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a node's tasks may take to end before the process ends without them.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What a node may be told beside its ring folder.
#[derive(Clone, Debug, Default)]
pub struct NodeOptions {
    /// Networks that may be visited although they are not globally routable.
    pub allow_private_cidrs: Vec<Cidr>,
}

/// A node at work.
pub struct RunningNode {
    name: String,
    gateway: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    disk: std::thread::JoinHandle<()>,
}

impl RunningNode {
    /// Starts the node `name` of the ring in `dir`.
    ///
    /// # Errors
    /// One sentence with its causes: the data folder, a certificate or a port cannot be used.
    pub async fn start(dir: &RingDir, name: &str, options: &NodeOptions) -> anyhow::Result<Self> {
        let node = dir.node(name)?;
        let (stop, tasks, clock) = (CancellationToken::new(), TaskTracker::new(), Clock::start());
        let ring_listener = bind(node.ring_address).await?;
        let gateway_listener = bind(node.gateway_address).await?.into_std()?;
        let Opened { identity, store, views } = open(dir, node)?;
        let members = addresses(dir);
        let placement = Placement::new(members.iter().map(|member| member.node));
        let (disk, thread) = Disk::start(Arc::new(store), Acceptor::new(identity.node_id, views.clone()))?;
        let (pair, now) = (dir.tls(node), Timestamp::now());
        let peers = Peers::new(dir.ring_id(), identity.node_id, &members, &tls::ring_client(&pair, &dir.ca(), now)?);
        let liveness = Members::new(identity.node_id, members.iter().map(|member| member.node), clock);
        let driver = Driver::new(Parts {
            ring_id: dir.ring_id(),
            me: identity.node_id,
            boot: identity.boot,
            clock,
            disk,
            peers: peers.clone(),
            members: liveness.clone(),
            placement,
            views,
        });
        let fetcher = Fetcher::new(&FetcherConfig { allowed_private_cidrs: options.allow_private_cidrs.clone(), ..FetcherConfig::default() })?;
        let crawl = Crawl::start(driver.clone(), fetcher, tasks.clone(), stop.clone());
        let services = Services::new(driver.clone(), crawl.clone(), &members).serve(ring_listener, tls::ring_server(&pair, &dir.ca(), now)?, stop.clone());
        let public_key = std::fs::read(dir.token_public_key()).context("the public key that checks tokens cannot be read")?;
        let verifier = Verifier::new(&public_key, dir.ring_id())?;
        let state = GatewayState::new(crawl.jobs(), NodeView::new(driver, dir), verifier);
        let gateway = gateway::serve(gateway_listener, state, (*tls::gateway(&pair, now)?).clone(), stop.clone());
        tasks.spawn(liveness.run(peers, stop.clone()));
        tasks.spawn(logged("the ring's server", services));
        tasks.spawn(logged("the gateway", gateway));
        tasks.close();
        tracing::info!(name, ring = %node.ring_address, gateway = %node.gateway_address, "the node has started");
        Ok(Self { name: name.to_owned(), gateway: node.gateway_address, stop, tasks, disk: thread })
    }

    /// Where its gateway listens.
    #[must_use]
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// Stops in order: no new calls, running ones end, the disk last.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!(name = self.name, "some calls did not end in time");
            return;
        }
        // The thread ends when the last handle is gone; what it has not answered was not promised.
        let ended = tokio::task::spawn_blocking(move || self.disk.join());
        if !matches!(tokio::time::timeout(STOP_TIMEOUT, ended).await, Ok(Ok(Ok(())))) {
            tracing::warn!(name = self.name, "the disk's thread did not end in time");
        }
    }
}

/// All nodes of a ring folder in this process.
pub struct LocalRing {
    nodes: Vec<RunningNode>,
}

impl LocalRing {
    /// Starts every node of the ring in `dir`.
    ///
    /// # Errors
    /// As [`RunningNode::start`]; the nodes that had started are stopped again.
    pub async fn start(dir: &RingDir, options: &NodeOptions) -> anyhow::Result<Self> {
        let mut ring = Self { nodes: Vec::new() };
        for node in dir.nodes() {
            match RunningNode::start(dir, &node.name, options).await {
                Ok(node) => ring.nodes.push(node),
                Err(error) => {
                    ring.stop().await;
                    return Err(error);
                }
            }
        }
        Ok(ring)
    }

    /// Where the gateways listen, in the order of the nodes.
    #[must_use]
    pub fn gateways(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(RunningNode::gateway).collect()
    }

    /// Stops every node.
    pub async fn stop(self) {
        futures::future::join_all(self.nodes.into_iter().map(RunningNode::stop)).await;
    }
}

struct Opened {
    identity: NodeIdentity,
    store: RocksStore,
    views: BTreeMap<scrapering_core::id::Partition, View>,
}

/// Opens the node's data folder, which must hold the views of this very ring or nothing yet.
fn open(dir: &RingDir, node: &RingNode) -> anyhow::Result<Opened> {
    let folder = dir.data(node);
    let identity = NodeIdentity::open_or_create(&folder, dir.ring_id(), &node.name)?;
    let keyring = Keyring::open_or_create(&folder, &dir.ring_key()?, dir.ring_id(), &node.name)?;
    let store = RocksStore::open(&folder, &keyring)?;
    let genesis = Placement::new(addresses(dir).iter().map(|member| member.node)).genesis_views();
    let limit = ScanLimit { entries: genesis.len() + 1, bytes: usize::MAX };
    let stored = store.scan(Table::Views, &[], None, limit)?;
    if stored.is_empty() {
        let mut batch = Batch::default();
        for (partition, view) in &genesis {
            batch.put(Table::Views, partition.0.to_be_bytes().to_vec(), scrapering_core::frontier::record::encode(view));
        }
        store.commit(&batch)?;
        return Ok(Opened { identity, store, views: genesis });
    }
    let read = |(key, value): &(bytes::Bytes, bytes::Bytes)| {
        let partition = scrapering_core::id::Partition(u16::from_be_bytes(key.as_ref().try_into().ok()?));
        Some((partition, scrapering_core::frontier::record::decode(value).ok()?))
    };
    let views: Option<BTreeMap<_, View>> = stored.iter().map(read).collect();
    let views = views.filter(|views| *views == genesis).with_context(|| {
        format!("the data folder {} was made for a ring of other nodes; restore ring.json, or give the node an empty folder", folder.display())
    })?;
    Ok(Opened { identity, store, views })
}

fn addresses(dir: &RingDir) -> Vec<PeerAddress> {
    let address = |node: &RingNode| PeerAddress {
        node: NodeId::new(&node.name, node.generation),
        name: node.name.clone(),
        address: node.ring_address.to_string(),
    };
    dir.nodes().iter().map(address).collect()
}

async fn bind(address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!("{address} is in use by another program; stop it, or choose other ports with --gateway and another --data"),
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })
}

async fn logged<E: std::fmt::Display>(what: &str, served: impl Future<Output = Result<(), E>>) {
    if let Err(error) = served.await {
        tracing::error!(%error, "{what} ended");
    }
}
