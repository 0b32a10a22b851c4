//! A node put together: identity, disk, ring, crawl, gateway; and all nodes of a local ring in one process.

pub mod config;
mod ring_view;

pub use config::{NodeConfig, NodeOptions};

use crate::auth::Verifier;
use crate::crawl::Crawl;
use crate::driver::clock::Clock;
use crate::driver::disk::Disk;
use crate::driver::members::Members;
use crate::driver::{Driver, Parts};
use crate::fetch::{Fetcher, FetcherConfig};
use crate::gateway::{self, GatewayState};
use crate::identity::layout::RingDir;
use crate::identity::{self, NodeIdentity, tls};
use crate::rpc::server::Services;
use crate::rpc::{PeerAddress, Peers};
use crate::storage::{Keyring, RocksStore, files};
use anyhow::Context;
use config::Member;
use jiff::Timestamp;
use ring_view::NodeView;
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

/// A node at work.
pub struct RunningNode {
    name: String,
    gateway: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    disk: std::thread::JoinHandle<()>,
}

impl RunningNode {
    /// Starts a node.
    ///
    /// # Errors
    /// One sentence with its causes: the data folder, a certificate or a port cannot be used.
    pub async fn start(config: NodeConfig) -> anyhow::Result<Self> {
        let (stop, tasks, clock) = (CancellationToken::new(), TaskTracker::new(), Clock::start());
        let ring_listener = bind(config.listen).await?;
        let gateway_listener = bind(config.gateway).await?.into_std()?;
        let members: Vec<PeerAddress> = config.members.iter().map(Member::peer_address).collect();
        let placement = Placement::new(members.iter().map(|member| member.node));
        // Whatever may be refused comes before the data folder is touched.
        let (pair, now) = (&config.tls, Timestamp::now());
        let (to_ring, of_ring) = (tls::ring_client(pair, &config.ca, now)?, tls::ring_server(pair, &config.ca, now)?);
        let of_gateway = tls::gateway(pair, now)?;
        let public_key = std::fs::read(&config.token_public_key).with_context(|| {
            format!("the public key that checks tokens cannot be read from {}", config.token_public_key.display())
        })?;
        let verifier = Verifier::new(&public_key, config.ring_id)?;
        let Opened { identity, store, views } = open(&config, &placement)?;
        let me = identity.node_id;
        let (disk, thread) = Disk::start(Arc::new(store), Acceptor::new(me, views.clone()))?;
        let peers = Peers::new(config.ring_id, me, &members, &to_ring);
        let liveness = Members::new(me, members.iter().map(|member| member.node), clock);
        let driver = Driver::new(Parts {
            ring_id: config.ring_id,
            me,
            boot: identity.boot,
            clock,
            disk,
            peers: peers.clone(),
            members: liveness.clone(),
            placement,
            views,
        });
        let allowed_private_cidrs = config.options.allow_private_cidrs.clone();
        let fetcher = Fetcher::new(&FetcherConfig { allowed_private_cidrs, ..FetcherConfig::default() })?;
        let crawl = Crawl::start(driver.clone(), fetcher, tasks.clone(), stop.clone());
        let services =
            Services::new(driver.clone(), crawl.clone(), &members).serve(ring_listener, of_ring, stop.clone());
        let state = GatewayState::new(crawl.jobs(), NodeView::new(driver, &config.members), verifier);
        let gateway = gateway::serve(gateway_listener, state, (*of_gateway).clone(), stop.clone());
        tasks.spawn(liveness.run(peers, stop.clone()));
        tasks.spawn(logged("the ring's server", services));
        tasks.spawn(logged("the gateway", gateway));
        tasks.close();
        tracing::info!(name = config.name, ring = %config.listen, gateway = %config.gateway, "the node has started");
        Ok(Self { name: config.name, gateway: config.gateway, stop, tasks, disk: thread })
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
            let started =
                async { RunningNode::start(NodeConfig::of_ring_dir(dir, &node.name, options.clone())?).await };
            match started.await {
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
fn open(config: &NodeConfig, placement: &Placement) -> anyhow::Result<Opened> {
    let NodeConfig { ring_id, name, data: folder, .. } = config;
    if !config.members.iter().any(|member| member.name == *name) {
        anyhow::bail!("{name} is not in the list of peers; the list names every member, this node too");
    }
    // A node that lost its disk has forgotten what it promised: under the same identity it could break promises.
    if config.started.as_ref().is_some_and(|started| started.exists()) && !folder.join(identity::FILE).exists() {
        anyhow::bail!(
            "the data folder {} of {name} is gone: without it the node must not come back under its name; restore the folder, or leave the node down",
            folder.display()
        );
    }
    let identity = NodeIdentity::open_or_create(folder, *ring_id, name)?;
    let keyring = Keyring::open_or_create(folder, &config.ring_key, *ring_id, name)?;
    let store = RocksStore::open(folder, &keyring)?;
    if let Some(started) = &config.started {
        files::write(started, b"", files::Readers::Everybody)?;
    }
    let genesis = placement.genesis_views();
    let limit = ScanLimit { entries: genesis.len() + 1, bytes: usize::MAX };
    let stored = store.scan(Table::Views, &[], None, limit)?;
    if stored.is_empty() {
        let mut batch = Batch::default();
        for (partition, view) in &genesis {
            batch.put(
                Table::Views,
                partition.0.to_be_bytes().to_vec(),
                scrapering_core::frontier::record::encode(view),
            );
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
        format!("the data folder {} was made for a ring of other nodes; name the same peers as before, or give the node an empty folder", folder.display())
    })?;
    Ok(Opened { identity, store, views })
}

async fn bind(address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{address} is in use by another program; stop it, or choose other ports with --gateway and another --data"
        ),
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })
}

async fn logged<E: std::fmt::Display>(what: &str, served: impl Future<Output = Result<(), E>>) {
    if let Err(error) = served.await {
        tracing::error!(%error, "{what} ended");
    }
}
