//! Finds the ring: forms it with the other genesis members, or learns of the formed one that this disk is to join.
//!
//! While this lasts the node answers nothing but what its disk holds, and its gateway says that it does not
//! serve. What is decided here is decided by [`scrapering_core::formation`].

use super::config::NodeConfig;
use crate::gateway;
use crate::identity::ledger::{Ledger, Standing};
use crate::identity::tls::live::{Live, LiveTls};
use crate::identity::tls::wire;
use crate::rpc::convert::Header;
use crate::rpc::formation::{FormationDoor, ask};
use crate::rpc::server::HEALTH_SERVICE;
use crate::rpc::{PeerAddress, Peers};
use futures::future::join_all;
use jiff::Timestamp;
use rustls::ClientConfig;
use scrapering_core::formation::{Founders, GENESIS_GENERATION, Lack, Record, Verdict, conclude};
use scrapering_core::id::{NodeId, RingId};
use scrapering_proto::v1::formation_server::FormationServer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long one may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after the first round, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often the log says what is missing while nothing changes.
const REMINDER: Duration = Duration::from_secs(30);

/// Where the node listens and how it proves itself, meanwhile.
pub(super) struct Doors {
    pub(super) ring: TcpListener,
    pub(super) gateway: std::net::TcpListener,
    pub(super) tls: LiveTls,
}

/// The ring that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The disks that formed it.
    pub(super) founders: Founders,
    /// 1 where this disk is one of them, otherwise new.
    pub(super) generation: u64,
}

/// Asks until there is a ring. Whatever is recorded meanwhile, membership is not: the store comes first.
///
/// # Errors
/// The ledger cannot be written.
pub(super) async fn find(config: &NodeConfig, ledger: &mut Ledger, doors: Doors) -> anyhow::Result<Found> {
    let genesis = config.genesis_names();
    let (record, answers) = watch::channel(ledger.answer(&genesis));
    let (lack, lacks) = watch::channel(String::from("the other nodes of the ring have not been asked yet"));
    let stop = CancellationToken::new();
    let asked = Asker::new(config, doors.tls.to_ring.clone());
    let served = serve(config.ring_id, doors, answers, lacks, stop.clone());
    let found = async {
        let found = asked.find(config, ledger, &record, &lack).await;
        stop.cancel();
        found
    };
    let (found, served) = tokio::join!(found, served);
    served?;
    found
}

struct Asker {
    ring: RingId,
    name: String,
    peers: Peers,
    contacts: Vec<PeerAddress>,
}

impl Asker {
    fn new(config: &NodeConfig, tls: Live<ClientConfig>) -> Self {
        let (ring, name) = (config.ring_id, config.own.name.clone());
        let (from, generation) = (NodeId::new(&name, GENESIS_GENERATION), GENESIS_GENERATION);
        let peers = Peers::new(Header { ring, from, generation, to: None, founding: [0; 8] }, tls);
        let contacts: Vec<PeerAddress> = config.others().map(|member| member.peer_address()).collect();
        contacts.iter().cloned().for_each(|contact| peers.learn(contact));
        Self { ring, name, peers, contacts }
    }

    async fn find(
        &self,
        config: &NodeConfig,
        ledger: &mut Ledger,
        record: &watch::Sender<Record>,
        lack: &watch::Sender<String>,
    ) -> anyhow::Result<Found> {
        let genesis = config.genesis_names();
        let (mut pause, mut told) = (FIRST_PAUSE, None);
        loop {
            let mine = ledger.answer(&genesis);
            let (answers, newest) = self.round().await;
            match conclude(&self.name, &mine, &answers, !config.options.formed) {
                Verdict::Found(founders) => return Ok(Found { founders, generation: GENESIS_GENERATION }),
                Verdict::Join(founders) => {
                    let generation = clock_ms().max(newest + 1);
                    tracing::info!(
                        name = self.name,
                        generation,
                        "the ring was formed without this disk; it joins as a new node"
                    );
                    return Ok(Found { founders, generation });
                }
                Verdict::Pledge(founders) => {
                    ledger.record(Standing::Pledged(founders))?;
                    record.send_replace(ledger.answer(&genesis));
                    pause = FIRST_PAUSE;
                }
                Verdict::Wait(missing) => {
                    remind(&missing, &mut told, lack);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Asks everybody once; all answers, and the newest generation of this name that anybody knows.
    async fn round(&self) -> (BTreeMap<String, Record>, u64) {
        let questions = self.contacts.iter().map(async |contact| {
            let channel = self.peers.channel(contact.node)?;
            match ask(channel, self.ring, &self.name, ASK_TIMEOUT).await {
                Ok((record, newest)) => Some((contact.name.clone(), record, newest)),
                Err(error) => {
                    tracing::debug!(name = contact.name, error, "a node did not say what its disk holds");
                    None
                }
            }
        });
        let mut newest = 0;
        let mut answers = BTreeMap::new();
        for (name, record, generation) in join_all(questions).await.into_iter().flatten() {
            newest = newest.max(generation);
            answers.insert(name, record);
        }
        (answers, newest)
    }
}

/// Says what is missing when that changes, and again from time to time.
fn remind(missing: &Lack, told: &mut Option<(Lack, std::time::Instant)>, lack: &watch::Sender<String>) {
    let due = told.as_ref().is_none_or(|(before, at)| before != missing || at.elapsed() > REMINDER);
    if !due {
        return;
    }
    let sentence = sentence(missing);
    match missing {
        Lack::TwoRings(..) | Lack::OtherList(_) => tracing::error!("{sentence}"),
        Lack::Silent(_) | Lack::Behind | Lack::NoRing => tracing::info!("{sentence}"),
    }
    lack.send_replace(sentence);
    *told = Some((missing.clone(), std::time::Instant::now()));
}

fn sentence(missing: &Lack) -> String {
    match missing {
        Lack::Silent(names) => {
            format!(
                "the ring is not formed yet: for that every node must have been started, and {} did not answer",
                names.join(", ")
            )
        }
        Lack::Behind => "the ring is being formed".to_owned(),
        Lack::OtherList(name) => {
            format!(
                "the ring cannot be formed: {name} was given another list of peers than this node; give all the same list"
            )
        }
        Lack::TwoRings(one, other) => format!(
            "{one} and {other} are of two rings that were formed by different disks but use the same key; give one of the rings its own key, and this node the peers of one ring only"
        ),
        Lack::NoRing => "this node is to join a ring, and none of the nodes it knows is of a formed ring".to_owned(),
    }
}

/// Serves only what may be served before there is a ring, until `stop`.
async fn serve(
    ring: RingId,
    doors: Doors,
    answers: watch::Receiver<Record>,
    lacks: watch::Receiver<String>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let door = FormationDoor::new(ring, answers, Arc::new(|_: &str| 0));
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status(HEALTH_SERVICE, tonic_health::ServingStatus::NotServing).await;
    let ring = tonic::transport::Server::builder()
        .add_service(health)
        .add_service(FormationServer::new(door))
        .serve_with_incoming_shutdown(wire::accept(doors.ring, doors.tls.of_ring), stop.clone().cancelled_owned());
    let gateway = gateway::serve_unformed(doors.gateway, lacks, doors.tls.of_gateway, stop);
    let (ring, gateway) = tokio::join!(ring, gateway);
    ring?;
    Ok(gateway?)
}

fn clock_ms() -> u64 {
    // A clock before 1970 gives 2, which is still another generation than the first.
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0).max(GENESIS_GENERATION + 1)
}
