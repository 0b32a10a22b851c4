//! What this node knows of the views of all partitions: hints for whom to ask. The replicas on disk decide.

use scrapering_core::id::{PARTITIONS, Partition};
use scrapering_core::register::Acceptor;
use scrapering_core::view::{Epoch, Standing, View};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// The newest view known of each partition, and this node's own part in it. A cheap clone.
#[derive(Clone)]
pub struct Views {
    inner: Arc<Inner>,
}

struct Inner {
    known: RwLock<BTreeMap<Partition, Known>>,
    changes: watch::Sender<u64>,
    nobody: Arc<View>,
    moved_bytes: AtomicU64,
}

struct Known {
    view: Arc<View>,
    /// This node's replica: which view it knows, and its part in that.
    own: Option<(Epoch, Standing)>,
    /// Whether this node's copy was seen to hold anything.
    holds_something: bool,
}

impl Views {
    /// What is on disk.
    #[must_use]
    pub fn of(acceptor: &Acceptor) -> Self {
        let nobody = Arc::new(View { epoch: Epoch(0), ..View::genesis(Vec::new()) });
        let moved_bytes = AtomicU64::new(0);
        let inner = Inner { known: RwLock::default(), changes: watch::Sender::new(0), nobody, moved_bytes };
        let views = Self { inner: Arc::new(inner) };
        acceptor.partitions().for_each(|(partition, _)| views.note(partition, acceptor));
        views
    }

    /// The newest view known of `partition`; one of epoch 0 without members if none is.
    #[must_use]
    pub fn view(&self, partition: Partition) -> Arc<View> {
        let known = self.inner.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&partition).map_or_else(|| Arc::clone(&self.inner.nobody), |known| Arc::clone(&known.view))
    }

    /// This node's part in the newest view of `partition`; `None` if its replica has not heard of that view.
    #[must_use]
    pub fn standing(&self, partition: Partition) -> Option<Standing> {
        let known = self.inner.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&partition)?;
        known.own.filter(|(epoch, _)| *epoch == known.view.epoch).map(|(_, standing)| standing)
    }

    /// Whether this node holds a copy of `partition`, or a part of one.
    #[must_use]
    pub fn holds_something(&self, partition: Partition) -> bool {
        let known = self.inner.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&partition).is_some_and(|known| known.holds_something)
    }

    /// Bytes of contents that this node has moved between copies since it started.
    #[must_use]
    pub fn moved_bytes(&self) -> u64 {
        self.inner.moved_bytes.load(Ordering::Relaxed)
    }

    /// This node has moved so many bytes of contents between copies.
    pub(super) fn count_moved(&self, bytes: u64) {
        self.inner.moved_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Another node knows `view`.
    pub fn learn(&self, partition: Partition, view: &View) {
        let mut all = self.inner.known.write().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&partition) {
            Some(known) if known.view.epoch >= view.epoch => return,
            Some(known) => known.view = Arc::new(view.clone()),
            None => {
                drop(all.insert(partition, Known { view: Arc::new(view.clone()), own: None, holds_something: false }))
            }
        }
        drop(all);
        self.inner.changes.send_modify(|count| *count += 1);
    }

    /// This node's replica of `partition` may have changed.
    pub fn note(&self, partition: Partition, acceptor: &Acceptor) {
        let Some(slot) = acceptor.partition(partition) else { return };
        self.learn(partition, &slot.replica.view);
        let own = Some((slot.replica.view.epoch, slot.replica.standing(acceptor.node())));
        let mut all = self.inner.known.write().unwrap_or_else(PoisonError::into_inner);
        let changed = all.get_mut(&partition).is_some_and(|known| {
            known.holds_something = slot.replica.holds.is_some() || slot.root.entries > 0;
            std::mem::replace(&mut known.own, own) != own
        });
        drop(all);
        if changed {
            self.inner.changes.send_modify(|count| *count += 1);
        }
    }

    /// By partition, the epoch of the newest view known; 0 if none is.
    #[must_use]
    pub fn epochs(&self) -> Vec<u64> {
        Partition::all().map(|partition| self.view(partition).epoch.0).collect()
    }

    /// Views newer than `epochs`, which are by partition.
    #[must_use]
    pub fn newer_than(&self, epochs: &[u64]) -> Vec<(Partition, View)> {
        let newer = |partition: Partition| {
            let view = self.view(partition);
            let theirs = epochs.get(usize::from(partition.0)).copied().unwrap_or(0);
            (view.epoch.0 > theirs).then(|| (partition, View::clone(&view)))
        };
        Partition::all().filter_map(newer).collect()
    }

    /// Views that this node's own replicas have not heard of.
    #[must_use]
    pub fn unheard(&self) -> Vec<(Partition, View)> {
        let all = self.inner.known.read().unwrap_or_else(PoisonError::into_inner);
        let unheard = |known: &Known| known.own.is_none_or(|(epoch, _)| epoch < known.view.epoch);
        let unheard = all.iter().filter(|(_, known)| unheard(known));
        unheard.map(|(partition, known)| (*partition, View::clone(&known.view))).collect()
    }

    /// Moves on with every view that comes to be known, and every change of this node's part in one.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Whether a view of every partition is known.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let known = self.inner.known.read().unwrap_or_else(PoisonError::into_inner);
        known.len() == usize::from(PARTITIONS)
    }
}
