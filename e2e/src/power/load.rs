//! Writers that never rest: each has keys of its own, writes them through any gateway, and notes every answer.

use super::ledger::{Fault, Key, Ledger, Outcome, State};
use super::store::{Condition, Store, Written};
use anyhow::{Context, bail};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::{JoinHandle, JoinSet};

/// How many write at once.
pub const WRITERS: usize = 8;
/// New keys that each writer may begin between two checks: every check reads every key, so their number is bounded.
const NEW_KEYS: usize = 12;
/// Pause after a refusal: the gateway may be down.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);
/// Pause between two looks at what has been acknowledged.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// While it is held, nothing is being written.
pub type Held = OwnedRwLockWriteGuard<()>;

/// What the writers share.
#[derive(Debug)]
struct Shared {
    store: Store,
    ledger: Mutex<Ledger>,
    /// A bit for each gateway that may be used.
    open: AtomicU32,
    /// How many keys each writer may have begun by now.
    allowance: AtomicUsize,
    ended: AtomicBool,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writers at work. Dropped, they stop.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    gate: Arc<RwLock<()>>,
    writers: JoinSet<anyhow::Result<()>>,
}

impl Load {
    /// Starts the writers on the `gateways` first gateways of `store`; `seed` decides what they write.
    pub fn start(store: Store, gateways: usize, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            store,
            ledger: Mutex::default(),
            open: AtomicU32::new((1 << gateways) - 1),
            allowance: AtomicUsize::new(NEW_KEYS),
            ended: AtomicBool::new(false),
        });
        let gate = Arc::<RwLock<()>>::default();
        let mut writers = JoinSet::new();
        for id in 0..WRITERS {
            let writer = Writer {
                id,
                shared: Arc::clone(&shared),
                dice: SmallRng::seed_from_u64(seed ^ ((id as u64 + 1) << 40)),
                begun: 0,
                keys: Vec::new(),
            };
            writers.spawn(writer.run(Arc::clone(&gate)));
        }
        Self { shared, gate, writers }
    }

    /// Lets nothing more be written; the task has ended once the last answer is there.
    pub fn hold(&self) -> JoinHandle<Held> {
        tokio::spawn(Arc::clone(&self.gate).write_owned())
    }

    /// Lets the writers go on, with some more new keys.
    pub fn go_on(&self, held: Held) {
        self.shared.allowance.fetch_add(NEW_KEYS, Ordering::Relaxed);
        drop(held);
    }

    /// Uses these gateways only.
    pub fn use_only(&self, places: &[usize]) {
        self.shared.open.store(places.iter().fold(0, |open, place| open | 1 << place), Ordering::Relaxed);
    }

    /// What is known of every key. Held only for a moment.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger()
    }

    /// Waits until `count` more writes are acknowledged.
    ///
    /// # Errors
    /// They are not within `limit`, or a writer has failed.
    pub async fn acknowledges(&mut self, count: u64, limit: Duration) -> anyhow::Result<()> {
        let (began, before) = (Instant::now(), self.ledger().acknowledged);
        loop {
            self.check()?;
            let done = self.ledger().acknowledged - before;
            if done >= count {
                return Ok(());
            }
            if began.elapsed() > limit {
                bail!("{done} writes were acknowledged within {limit:?}, and not {count}");
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Whether every writer is at work.
    ///
    /// # Errors
    /// One has got an answer that it cannot understand.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.writers.try_join_next() {
            Some(ended) => ended.context("a writer broke down")?.context("a writer gave up"),
            None => Ok(()),
        }
    }

    /// Ends the writers, after their last answers.
    ///
    /// # Errors
    /// One had failed.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        self.shared.ended.store(true, Ordering::Relaxed);
        while let Some(ended) = self.writers.join_next().await {
            ended.context("a writer broke down")?.context("a writer gave up")?;
        }
        Ok(())
    }
}

struct Writer {
    id: usize,
    shared: Arc<Shared>,
    dice: SmallRng,
    begun: usize,
    /// Keys that may be written again.
    keys: Vec<Key>,
}

/// What a writer does next with a key.
enum Step {
    Create,
    Put,
    Replace(String),
    Delete,
}

impl Writer {
    async fn run(mut self, gate: Arc<RwLock<()>>) -> anyhow::Result<()> {
        loop {
            let pass = gate.read().await;
            if self.shared.ended.load(Ordering::Relaxed) {
                return Ok(());
            }
            let refused = self.write().await?;
            drop(pass);
            if refused {
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }

    /// Writes once; whether it was refused.
    async fn write(&mut self) -> anyhow::Result<bool> {
        let (place, key, step, serial) = self.draw();
        let shared = Arc::clone(&self.shared);
        let store = &shared.store;
        let state = if matches!(step, Step::Delete) { State::Absent(Some(serial)) } else { State::Value(serial) };
        let written = match &step {
            Step::Create => store.put(place, key, serial, Condition::Absent).await?,
            Step::Put => store.put(place, key, serial, Condition::None).await?,
            Step::Replace(etag) => store.put(place, key, serial, Condition::Version(etag)).await?,
            Step::Delete => store.delete(place, key, serial).await?,
        };
        let mut ledger = shared.ledger();
        let outcome = match written {
            Written::Ended(outcome) => outcome,
            Written::Unmet(there) => {
                let known = ledger.history(key).acknowledged();
                let fault = Fault::Contradicted(format!("{key} has one writer, which knew {known}; {there}"));
                ledger.faults.push((key, fault));
                Outcome::Unknown
            }
        };
        if outcome == Outcome::Unknown {
            self.keys.retain(|other| *other != key);
        }
        ledger.note(key, state, outcome.clone());
        Ok(outcome == Outcome::Refused)
    }

    fn draw(&mut self) -> (usize, Key, Step, u64) {
        let open = self.shared.open.load(Ordering::Relaxed);
        let places: Vec<usize> = (0..u32::BITS as usize).filter(|place| open & (1 << place) != 0).collect();
        let place = places[self.dice.random_range(0..places.len())];
        let allowed = self.begun < self.shared.allowance.load(Ordering::Relaxed);
        if self.keys.is_empty() || (allowed && self.dice.random_range(0..4) == 0) {
            let key = Key { writer: self.id, number: self.begun };
            self.begun += 1;
            self.keys.push(key);
            return (place, key, Step::Create, self.shared.ledger().serial());
        }
        let key = self.keys[self.dice.random_range(0..self.keys.len())];
        let mut ledger = self.shared.ledger();
        let step = match (self.dice.random_range(0..10), ledger.history(key).etag.clone()) {
            (0, _) => Step::Delete,
            (1..=4, Some(etag)) => Step::Replace(etag),
            _ => Step::Put,
        };
        (place, key, step, ledger.serial())
    }
}
