//! Leaving a ring: on purpose, after everything was handed over; or on being told that one was removed.

use crate::driver::Driver;
use crate::driver::recover::Recovered;
use crate::identity::ledger::{Ledger, Standing};
use futures::future::BoxFuture;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::membership::{Entry, Liveness, Serving};
use scrapering_proto::v1;
use scrapering_proto::v1::control_client::ControlClient;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Code;

/// How often a leaving node looks whether it still keeps something.
const LOOK: Duration = Duration::from_millis(500);
/// How often every node is asked to lead over what it can; each time takes it a few seconds at most.
const RECOVERY_ROUNDS: usize = 8;
/// How long the others may take to hear that this node has left, before it stops answering.
const GOSSIP: Duration = Duration::from_secs(5);

/// Why a node is not made to leave. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaveError {
    /// No such node.
    #[error("the ring has no node {name:?}")]
    NoSuchNode {
        /// What was asked for.
        name: String,
    },
    /// Nobody would keep what it keeps.
    #[error("{name} is the last node of the ring; what it keeps would be lost")]
    LastNode {
        /// The node.
        name: String,
    },
    /// It does not answer, and is not given up either.
    #[error("{name} does not answer just now; ask again when it runs, or when the ring holds it as down")]
    Unreachable {
        /// The node.
        name: String,
    },
    /// The node itself refused.
    #[error("{name} cannot leave: {reason}")]
    Refused {
        /// The node.
        name: String,
        /// A sentence.
        reason: String,
    },
}

/// Why a ring does not go on without its lost nodes. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// Every partition has its majority.
    #[error("every partition has a living majority: nothing is to be given up")]
    NotNeeded,
    /// The nodes to be given up were not named.
    #[error(
        "{partitions} partitions have no living majority. To go on without it, name exactly the nodes that are lost for ever: {lost}. What was acknowledged and is only on those nodes will be gone; make sure that they never run again"
    )]
    Confirm {
        /// Their names, joined by commas.
        lost: String,
        /// Partitions.
        partitions: usize,
    },
}

/// An administrator's hand on the ring. A cheap clone.
#[derive(Clone)]
pub struct RingControl {
    inner: Arc<Inner>,
}

struct Inner {
    driver: Driver,
    ledger: Mutex<Ledger>,
    folder: PathBuf,
    begun: CancellationToken,
    /// The node makes way: its process is about to be stopped.
    makes_way: CancellationToken,
    /// The node takes no part any more, for good.
    is_out: CancellationToken,
}

impl RingControl {
    pub(super) fn new(driver: Driver, ledger: Ledger, folder: PathBuf) -> Self {
        let begun = CancellationToken::new();
        if matches!(ledger.standing(), Standing::Member { leaving: true, .. }) {
            begun.cancel();
        }
        let (makes_way, is_out) = (CancellationToken::new(), CancellationToken::new());
        Self { inner: Arc::new(Inner { driver, ledger: Mutex::new(ledger), folder, begun, makes_way, is_out }) }
    }

    /// The node's access to its ring.
    pub(crate) fn driver(&self) -> &Driver {
        &self.inner.driver
    }

    /// Makes the node `name` leave the ring: it hands over what it keeps, and then is of the ring no more.
    /// A node that is down is removed at once; what it kept is made anew from the other copies.
    ///
    /// Returns when the leaving has durably begun. Once more is no error.
    ///
    /// # Errors
    /// [`LeaveError`].
    pub async fn leave(&self, name: &str) -> Result<(), LeaveError> {
        let members = self.inner.driver.members();
        let stays = |entry: &Entry| entry.liveness != Liveness::Left && entry.serving != Serving::Leaving;
        let entries = members.entries();
        let present = entries.iter().filter(|entry| entry.liveness != Liveness::Left);
        let newest = present.filter(|entry| entry.member.name == name).max_by_key(|entry| entry.member.generation);
        let name = name.to_owned();
        let Some(entry) = newest else { return Err(LeaveError::NoSuchNode { name }) };
        let node = entry.member.node;
        if !entries.iter().any(|other| other.member.node != node && stays(other)) {
            return Err(LeaveError::LastNode { name });
        }
        if node == self.inner.driver.me() {
            return self.begin().map_err(|reason| LeaveError::Refused { name, reason });
        }
        if entry.liveness == Liveness::Down {
            members.remove(node);
            return Ok(());
        }
        let peers = self.inner.driver.peers();
        let Some(channel) = peers.channel(node) else { return Err(LeaveError::Unreachable { name }) };
        let asked = ControlClient::new(channel).leave(v1::LeaveRequest { header: peers.header_to(node) }).await;
        asked.map(drop).map_err(|status| match status.code() {
            Code::FailedPrecondition => LeaveError::Refused { name, reason: status.message().to_owned() },
            _ => LeaveError::Unreachable { name },
        })
    }

    /// Goes on without the nodes `names`, which must be exactly those that are needed for a majority somewhere and do
    /// not live. What only they held is lost, and they can never come back.
    ///
    /// # Errors
    /// [`RecoverError`]; nothing changed.
    pub async fn recover(&self, names: &BTreeSet<String>) -> Result<Recovered, RecoverError> {
        let driver = &self.inner.driver;
        let (partitions, lost) = driver.without_majority();
        let name = |node: &NodeId| driver.members().entry(*node).map_or(node.to_string(), |entry| entry.member.name);
        let lost_names: BTreeSet<String> = lost.iter().map(name).collect();
        if partitions.is_empty() {
            return Err(RecoverError::NotNeeded);
        }
        if *names != lost_names {
            let lost = lost_names.into_iter().collect::<Vec<_>>().join(",");
            return Err(RecoverError::Confirm { lost, partitions: partitions.len() });
        }
        tracing::warn!(nodes = ?names, partitions = partitions.len(), "goes on without nodes: what only they held is lost");
        lost.iter().for_each(|node| driver.members().remove(*node));
        let mut all = driver.begin_anew(&lost).await;
        for _ in 0..RECOVERY_ROUNDS {
            let others = driver.living_nodes().into_iter().filter(|node| *node != driver.me());
            let asked = others.map(|node| self.give_up_at(node, &lost));
            let (own, others) = futures::join!(driver.give_up(&lost), futures::future::join_all(asked));
            all.recovered += own.recovered + others.iter().map(|part| part.recovered).sum::<usize>();
            // Who did not answer has not said what it left undone.
            all.unfinished = partitions.len().saturating_sub(all.recovered + all.emptied);
            if all.unfinished == 0 {
                break;
            }
        }
        Ok(all)
    }

    async fn give_up_at(&self, node: NodeId, lost: &BTreeSet<NodeId>) -> Recovered {
        let peers = self.inner.driver.peers();
        let Some(channel) = peers.channel(node) else { return Recovered::default() };
        let lost = lost.iter().map(|node| node.0.to_vec().into()).collect();
        let request = v1::GiveUpRequest { header: peers.header_to(node), lost };
        match ControlClient::new(channel).give_up(request).await {
            Ok(reply) => {
                let v1::GiveUpReply { recovered, unfinished } = reply.into_inner();
                Recovered { recovered: recovered as usize, emptied: 0, unfinished: unfinished as usize }
            }
            Err(status) => {
                tracing::warn!(%status, %node, "a node did not say whether it recovered its partitions");
                Recovered::default()
            }
        }
    }

    /// Whether this node hands over what it keeps, to leave for good.
    pub(super) fn leaves(&self) -> bool {
        self.inner.begun.is_cancelled()
    }

    /// Pending until this node takes no part any more, for good.
    pub(super) async fn out(&self) {
        self.inner.is_out.cancelled().await;
    }

    /// From now on this node says that another should be used.
    pub(super) fn make_way(&self) {
        self.inner.makes_way.cancel();
    }

    /// Whether this node makes way.
    pub(super) fn makes_way(&self) -> bool {
        self.inner.makes_way.is_cancelled()
    }

    /// As [`RingControl::leave`] of this node itself, for its door to peers.
    pub(super) fn door(&self) -> crate::rpc::control::Leave {
        let control = self.clone();
        Arc::new(move || -> BoxFuture<'static, Result<(), String>> {
            let control = control.clone();
            Box::pin(async move { control.begin() })
        })
    }

    /// Records that this node leaves, and says so to everybody.
    fn begin(&self) -> Result<(), String> {
        let mut ledger = self.inner.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match ledger.standing().clone() {
            Standing::Member { founders, generation, leaving: false } => {
                let leaving = Standing::Member { founders, generation, leaving: true };
                ledger.record(leaving).map_err(|error| {
                    tracing::error!(error = crate::causes::told(&error), "the leaving cannot be recorded");
                    error.to_string()
                })?;
            }
            Standing::Member { leaving: true, .. } | Standing::Left(_) => {}
            Standing::Candidate | Standing::Pledged(_) => return Err("the ring is not formed yet".to_owned()),
        }
        self.inner.driver.members().set_serving(Serving::Leaving);
        self.inner.begun.cancel();
        Ok(())
    }

    /// Sees this node out: waits until it is told to leave and has handed over, or is removed. Cancels `part` when
    /// it takes no part any more, and ends with it.
    pub(super) async fn see_out(self, part: CancellationToken) {
        let driver = &self.inner.driver;
        let (mut gone, mut refused) = (driver.members().removed(), driver.peers().removed());
        tokio::select! {
            () = part.cancelled() => return,
            () = self.handed_over() => {
                driver.members().leave();
                self.note_left();
                tracing::info!("this node has handed over everything and has left the ring; stop it, and empty its data folder to let it join anew");
                tokio::select! {
                    () = part.cancelled() => {}
                    () = tokio::time::sleep(GOSSIP) => {}
                }
            }
            () = is_true(&mut gone) => self.note_removed(),
            () = is_true(&mut refused) => self.note_removed(),
        }
        self.inner.is_out.cancel();
        part.cancel();
    }

    /// Pending until this node leaves, no view has it as a member, and the keepers hold every body that it held.
    async fn handed_over(&self) {
        self.inner.begun.cancelled().await;
        let driver = &self.inner.driver;
        driver.members().set_serving(Serving::Leaving);
        tracing::info!("this node leaves the ring and hands over what it keeps");
        let keeps = |partition: Partition| driver.view(partition).members.contains(&driver.me());
        while Partition::all().any(keeps) || driver.bodies_held().await != Some(0) {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn note_removed(&self) {
        tracing::error!(
            folder = %self.inner.folder.display(),
            "this node was removed from its ring, or another disk has taken its place; it takes no part any more. Stop it, and empty its data folder to let it join as a new node"
        );
        self.note_left();
    }

    fn note_left(&self) {
        let mut ledger = self.inner.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let Standing::Member { founders, .. } = ledger.standing().clone() else { return };
        if let Err(error) = ledger.record(Standing::Left(founders)) {
            tracing::error!(error = crate::causes::told(&error), "that this node has left cannot be recorded");
        }
    }
}

/// Pending until `word` is true.
async fn is_true(word: &mut watch::Receiver<bool>) {
    if word.wait_for(|word| *word).await.is_err() {
        // Who would say so is gone, and with it the node.
        std::future::pending::<()>().await;
    }
}
