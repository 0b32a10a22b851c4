//! A node put together: identity, disk, ring, crawl, gateway; and all nodes of a local ring in one process.

pub mod config;
pub mod control;
mod formation;
pub mod local_door;
mod open;
pub mod parting;
mod ring_view;
mod upkeep;

pub use config::{NodeConfig, NodeOptions};
pub use control::{LeaveError, RingControl};

use crate::auth::Verifier;
use crate::background::Background;
use crate::crawl::Crawl;
use crate::driver::clock::Clock;
use crate::driver::disk::Disk;
use crate::driver::members::{Members, memory};
use crate::driver::views::Views;
use crate::driver::{Driver, Parts};
use crate::fetch::{Fetcher, FetcherConfig};
use crate::files::Files;
use crate::gateway::{self, GatewayState};
use crate::identity::NodeIdentity;
use crate::identity::layout::RingDir;
use crate::identity::ledger::{Ledger, Standing};
use crate::identity::tls::live::LiveTls;
use crate::kv::{Kv, RingRegisters};
use crate::metrics::Metrics;
use crate::rpc::control::ControlDoor;
use crate::rpc::convert::Header;
use crate::rpc::formation::{FormationDoor, Generations};
use crate::rpc::gate::Gate;
use crate::rpc::server::{Doors, Services};
use crate::rpc::{PeerAddress, Peers};
use anyhow::Context;
use formation::Found;
use jiff::Timestamp;
use open::Opened;
use parting::Parting;
use ring_view::NodeView;
use scrapering_core::formation::{Founders, GENESIS_GENERATION};
use scrapering_core::membership::{self, Entry, Serving};
use scrapering_core::view::Placement;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How long a node's tasks may take to end before the process ends without them.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A node at work.
pub struct RunningNode {
    name: String,
    gateway: SocketAddr,
    control: RingControl,
    parting: Parting,
    // Cancelled also when the node is dropped.
    background: Background,
    damaged: watch::Receiver<bool>,
    stop: DropGuard,
    tasks: TaskTracker,
    disk: std::thread::JoinHandle<()>,
}

impl RunningNode {
    /// Starts a node, and finds or forms its ring, for as long as it takes. Dropped meanwhile, nothing goes on.
    ///
    /// # Errors
    /// One sentence with its causes: the data folder, a certificate or a port cannot be used, or the node has
    /// left its ring.
    pub async fn start(config: NodeConfig) -> anyhow::Result<Self> {
        let (stop, tasks, clock) = (CancellationToken::new(), TaskTracker::new(), Clock::start());
        let guard = stop.clone().drop_guard();
        // Whatever may be refused comes before the data folder is touched.
        let doors = doors(&config, &tasks, &stop).await?;
        let public_key = std::fs::read(&config.token_public_key).with_context(|| {
            format!("the public key that checks tokens cannot be read from {}", config.token_public_key.display())
        })?;
        let mut verifier = Verifier::of_file(&config.token_public_key, &public_key, config.ring_id)?;
        if let Some(issuer) = &config.options.oidc {
            verifier = verifier.trusting(issuer)?;
        }
        let (ledger, founders, opened) = enter(&config, &doors).await?;
        let Opened { identity, store, acceptor } = opened;
        let views = Views::of(&acceptor);
        let me = identity.node_id;
        let (disk, thread) = Disk::start(Arc::new(store), acceptor, views.clone())?;
        let damaged = disk.damaged();
        let header = Header {
            ring: config.ring_id,
            from: me,
            generation: identity.generation,
            to: None,
            founding: founders.fingerprint(),
        };
        let peers = Peers::new(header, doors.tls.to_ring.clone());
        let remembered = memory::recall(&config.data)?;
        let members = members(&config, &ledger, &founders, &identity, peers.clone(), clock, remembered);
        let metrics = Metrics::default();
        let driver = Driver::new(Parts {
            ring_id: config.ring_id,
            me,
            boot: identity.boot,
            clock,
            disk,
            peers: peers.clone(),
            members: members.clone(),
            founders: Placement::new(founders.nodes()),
            views,
            metrics: metrics.clone(),
        });
        let record = ledger.answer(&config.genesis_names());
        let control = RingControl::new(driver.clone(), ledger, config.data.clone());
        // What ends when this node takes no part any more, while its doors go on saying so.
        let part = stop.child_token();
        let fetcher = Fetcher::new(&FetcherConfig {
            allowed_private_cidrs: config.options.allow_private_cidrs.clone(),
            fixed_names: config.options.fixed_names.clone(),
            metrics: metrics.clone(),
            ..FetcherConfig::default()
        })?;
        let registers = RingRegisters::start(driver.clone(), &tasks, stop.clone());
        let crawl = Crawl::start(
            driver.clone(),
            registers.clone(),
            fetcher,
            config.options.policy,
            metrics.clone(),
            tasks.clone(),
            part.clone(),
        );
        let extra = Doors {
            formation: FormationDoor::new(
                config.ring_id,
                watch::Sender::new(record).subscribe(),
                generations(&members),
            ),
            control: ControlDoor::new(Gate::new(peers), driver.clone(), control.door()),
        };
        let services = Services::new(driver.clone(), crawl.clone());
        let services = services.serve(doors.ring.tokio()?, doors.tls.of_ring, extra, stop.clone());
        let background = upkeep::start(&driver, tasks.clone(), part.clone());
        let kv = Kv::new(registers);
        let ring_view = NodeView::new(driver.clone(), &config.own, control.clone(), background.clone());
        let files = Files::new(kv.clone(), driver.clone());
        let mut state =
            GatewayState::new(crawl.jobs(), crawl.hosts(), crawl.schedules(), ring_view, files, kv, verifier)
                .with_metrics(metrics);
        if let Some(rate) = config.options.requests_per_second {
            state = state.with_rate(rate);
        }
        let parting = Parting::new(control.clone(), crawl, state.visitors(), stop.clone());
        let revocations = state.clone().follow_revocations();
        let gateway = gateway::serve(doors.gateway.std()?, state, doors.tls.of_gateway, stop.clone());
        let contacts: Vec<PeerAddress> = config.others().map(|member| member.peer_address()).collect();
        if identity.generation != GENESIS_GENERATION {
            tasks.spawn(acquaint(members.clone(), contacts, part.clone()));
        }
        tasks.spawn(memory::remember(members.clone(), config.data.clone(), part.clone()));
        tasks.spawn(members.run(stop.clone()));
        tasks.spawn(until(stop.clone(), revocations));
        tasks.spawn(control.clone().see_out(part));
        tasks.spawn(logged("the ring's server", services));
        tasks.spawn(logged("the gateway", gateway));
        tasks.close();
        let name = config.own.name;
        tracing::info!(name, generation = identity.generation, ring = %config.listen, gateway = %config.gateway, "the node has started");
        Ok(Self {
            name,
            gateway: config.gateway,
            control,
            parting,
            background,
            damaged,
            stop: guard,
            tasks,
            disk: thread,
        })
    }

    /// An administrator's hand on the ring, as far as this node reaches.
    #[must_use]
    pub const fn control(&self) -> &RingControl {
        &self.control
    }

    /// Its way out, before it is stopped.
    #[must_use]
    pub const fn parting(&self) -> &Parting {
        &self.parting
    }

    /// What it does without being asked.
    #[must_use]
    pub const fn background(&self) -> &Background {
        &self.background
    }

    /// Returns when the node's disk is damaged: it takes no part any more and is best stopped.
    pub async fn broken(&self) {
        if self.damaged.clone().wait_for(|damaged| *damaged).await.is_err() {
            // The disk's thread is gone, and the node with it.
            std::future::pending::<()>().await;
        }
    }

    /// Where its gateway listens.
    #[must_use]
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// Stops in order: no new calls, running ones end, the disk last.
    pub async fn stop(self) {
        drop(self.stop);
        drop((self.control, self.parting));
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
        // All at once: a ring is formed when every node has been heard.
        let starts = dir
            .nodes()
            .iter()
            .map(async |node| RunningNode::start(NodeConfig::of_ring_dir(dir, &node.name, options.clone())?).await);
        match futures::future::try_join_all(starts).await {
            Ok(nodes) => Ok(Self { nodes }),
            Err(error) => Err(error),
        }
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

/// Where a node listens and how it proves itself.
struct OpenDoors {
    ring: Listener,
    gateway: Listener,
    tls: LiveTls,
}

/// A port that is kept while who serves on it changes.
struct Listener(std::net::TcpListener);

impl Listener {
    fn std(&self) -> std::io::Result<std::net::TcpListener> {
        self.0.try_clone()
    }

    fn tokio(&self) -> std::io::Result<tokio::net::TcpListener> {
        tokio::net::TcpListener::from_std(self.std()?)
    }
}

async fn doors(config: &NodeConfig, tasks: &TaskTracker, stop: &CancellationToken) -> anyhow::Result<OpenDoors> {
    let ring = Listener(bind(config.listen).await?.into_std()?);
    let gateway = Listener(bind(config.gateway).await?.into_std()?);
    let (tls, reloader) = LiveTls::load(&config.tls, &config.ca, Timestamp::now())?;
    tasks.spawn(reloader.run(stop.clone()));
    Ok(OpenDoors { ring, gateway, tls })
}

/// Finds out which ring this disk is of, and opens it as a member of that ring.
async fn enter(config: &NodeConfig, doors: &OpenDoors) -> anyhow::Result<(Ledger, Founders, Opened)> {
    let open = || Ledger::open_or_create(&config.data, config.ring_id, &config.own.name, &config.genesis_names());
    let mut ledger = open()?;
    if config.options.rejoin && matches!(ledger.standing(), Standing::Left(_)) {
        tracing::warn!(folder = %config.data.display(), "this data folder has left its ring for good; it is emptied, and joins as a new node");
        ledger.forget()?;
        ledger = open()?;
    }
    match ledger.standing().clone() {
        Standing::Member { founders, generation, .. } => {
            let opened = open::member(config, generation)?;
            Ok((ledger, founders, opened))
        }
        Standing::Left(_) => anyhow::bail!(
            "{} has left its ring for good: empty the data folder {} to let it join anew",
            config.own.name,
            config.data.display()
        ),
        Standing::Candidate | Standing::Pledged(_) => {
            let while_unformed =
                formation::Doors { ring: doors.ring.tokio()?, gateway: doors.gateway.std()?, tls: doors.tls.clone() };
            let found = formation::find(config, &mut ledger, while_unformed).await?;
            let opened = open::newcomer(config, &found)?;
            let Found { founders, generation } = found;
            ledger.record(Standing::Member { founders: founders.clone(), generation, leaving: false })?;
            Ok((ledger, founders, opened))
        }
    }
}

/// This node's membership: what it says of itself, and whom it has heard of.
fn members(
    config: &NodeConfig,
    ledger: &Ledger,
    founders: &Founders,
    identity: &NodeIdentity,
    peers: Peers,
    clock: Clock,
    remembered: Vec<Entry>,
) -> Members {
    let own = membership::Member {
        gateway: config.own.gateway.clone(),
        zone: config.zone.clone(),
        weight: config.options.weight.unwrap_or(1),
        ..membership::Member::new(&config.own.name, identity.generation, &config.own.address)
    };
    let serving = match ledger.standing() {
        Standing::Member { leaving: true, .. } => Serving::Leaving,
        _ if identity.generation == GENESIS_GENERATION => Serving::Serving,
        _ => Serving::Joining,
    };
    let unheard = |member: &config::Member| {
        let gateway = member.gateway.clone();
        let known = membership::Member::new(&member.name, GENESIS_GENERATION, &member.address);
        Entry::unheard(membership::Member { gateway, ..known })
    };
    // Who joined late is told of all others by them; only the founders know each other beforehand.
    let is_founder = identity.generation == GENESIS_GENERATION;
    let known = config.others().filter(|member| is_founder && founders.0.contains_key(&member.name)).map(unheard);
    let known = remembered.into_iter().chain(known);
    // Higher than in every former life of this disk.
    let incarnation = u64::from(identity.boot) << 32;
    Members::new(Entry::own(own, incarnation, serving), known, peers, clock)
}

/// Runs `task` until `stop`.
async fn until(stop: CancellationToken, task: impl Future<Output = ()>) {
    let _: Option<()> = stop.run_until_cancelled(task).await;
}

/// Asks the contacts for the ring's table until one gives it.
async fn acquaint(members: Members, contacts: Vec<PeerAddress>, part: CancellationToken) {
    tokio::select! {
        () = part.cancelled() => {}
        () = members.join(&contacts) => {}
    }
}

/// The newest generation of a name in the table.
fn generations(members: &Members) -> Generations {
    let members = members.clone();
    Arc::new(move |name: &str| {
        let entries = members.entries();
        entries.iter().filter(|entry| entry.member.name == name).map(|entry| entry.member.generation).max().unwrap_or(0)
    })
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
