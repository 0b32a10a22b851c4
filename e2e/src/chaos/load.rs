//! The clients of a chaos run: each asks for one thing after the other, through nodes drawn at random.

use super::history::{Action, Call, Line, Outcome, Recorder};
use super::kv::Signature;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use reqwest::Client;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a client waits for an answer: longer than a gateway, which gives up after 5 s and says what it knows.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long it waits for a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// How long it goes elsewhere after a node was silent, as any client with a list of nodes would.
const SHUN: Duration = Duration::from_secs(2);
/// Longest pause between two calls of a client.
const THINK_MS: u64 = 20;
/// Share of conditions on the version that was seen last; the others are on the one before it.
const INFORMED: f64 = 0.85;
/// How often a client may fail to find any key's final state.
const FINAL_TRIES: u32 = 60;

/// Gateways that clients may use now.
#[derive(Debug, Default)]
pub struct Targets(RwLock<BTreeMap<String, String>>);

impl Targets {
    /// The node `name` takes part, with its gateway at `base`.
    pub fn add(&self, name: String, base: String) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, base);
    }

    /// The node `name` does not take part any more.
    pub fn remove(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Name and gateway of every node, by name.
    pub fn all(&self) -> Vec<(String, String)> {
        let targets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        targets.iter().map(|(name, base)| (name.clone(), base.clone())).collect()
    }
}

/// What the clients have got so far.
#[derive(Debug, Default)]
pub struct Tally {
    operations: AtomicU64,
    changes_done: AtomicU64,
    calls: AtomicU64,
    by_http2: AtomicU64,
}

impl Tally {
    /// How many changes have been acknowledged.
    pub fn changes_done(&self) -> u64 {
        self.changes_done.load(Ordering::SeqCst)
    }

    /// How many calls have been answered, and how many of them by HTTP/2.
    pub fn answered(&self) -> (u64, u64) {
        (self.calls.load(Ordering::SeqCst), self.by_http2.load(Ordering::SeqCst))
    }
}

/// What all clients of a run share.
#[derive(Debug, Clone)]
pub struct Load {
    /// The ring's CA certificate.
    pub http: Client,
    /// What every call carries.
    pub signature: Signature,
    /// Whom they may ask.
    pub targets: Arc<Targets>,
    /// Where they write down what happened.
    pub recorder: Recorder,
    /// What they have got.
    pub tally: Arc<Tally>,
    /// The keys they use.
    pub keys: Arc<Vec<String>>,
    /// By key.
    rumours: Arc<Mutex<Vec<Rumour>>>,
}

/// Versions of a key that somebody has seen.
#[derive(Debug, Clone, Copy, Default)]
struct Rumour {
    newest: u64,
    before: u64,
}

/// A client for one of the load's tasks, or for all of its questions about the ring.
///
/// # Errors
/// The certificate cannot be read.
pub fn http(ca: &Path, resolve: &[(String, std::net::SocketAddr)]) -> anyhow::Result<Client> {
    let mut builder = crate::door::client(ca)?.timeout(PATIENCE).connect_timeout(CONNECT_PATIENCE);
    for (name, address) in resolve {
        builder = builder.resolve(name, *address);
    }
    Ok(builder.build()?)
}

impl Load {
    /// Nobody has asked anything yet.
    pub fn new(
        http: Client,
        signature: Signature,
        targets: Arc<Targets>,
        recorder: Recorder,
        keys: Vec<String>,
    ) -> Self {
        let rumours = Arc::new(Mutex::new(vec![Rumour::default(); keys.len()]));
        Self { http, signature, targets, recorder, tally: Arc::default(), keys: Arc::new(keys), rumours }
    }

    /// Starts `clients` clients; each stops after its present call when `stop` becomes true.
    ///
    /// # Errors
    /// The CA certificate cannot be read.
    pub fn start(&self, clients: usize, seed: u64, stop: &watch::Receiver<bool>) -> JoinSet<anyhow::Result<()>> {
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let dice = SmallRng::seed_from_u64(seed ^ (number as u64 + 1));
            let client = One { load: self.clone(), number, dice, shunned: BTreeMap::new() };
            tasks.spawn(client.run(stop.clone()));
        }
        tasks
    }

    /// Reads every key through every node, until each has been shown; part of the history like any other call.
    ///
    /// # Errors
    /// A key is not shown, or the history cannot be written.
    pub async fn read_all(&self, client: usize) -> anyhow::Result<()> {
        for (name, base) in self.targets.all() {
            for key in 0..self.keys.len() {
                let mut tries = 0;
                while self.call(client, &name, &base, key, Action::Get).await?.outcome != Outcome::Done {
                    tries += 1;
                    anyhow::ensure!(tries < FINAL_TRIES, "{name} does not show {} in a healed ring", self.keys[key]);
                    tokio::time::sleep(SHUN / 10).await;
                }
            }
        }
        Ok(())
    }

    async fn call(
        &self,
        client: usize,
        node: &str,
        base: &str,
        key: usize,
        action: Action,
    ) -> anyhow::Result<super::kv::Answer> {
        let operation = self.tally.operations.fetch_add(1, Ordering::SeqCst) + 1;
        let start_ns = self.recorder.now_ns();
        let answer = self.signature.call(&self.http, base, &self.keys[key], action, operation).await;
        let end_ns = self.recorder.now_ns();
        // Only of a content that somebody has seen: a condition on it says which content is meant.
        if let Some(version) = answer.shown.and_then(|shown| shown.operation.and(shown.version)) {
            let mut rumours = self.rumours.lock().unwrap_or_else(PoisonError::into_inner);
            if rumours[key].newest != version {
                rumours[key] = Rumour { newest: version, before: rumours[key].newest };
            }
        }
        if answer.outcome == Outcome::Done && action.is_change() {
            self.tally.changes_done.fetch_add(1, Ordering::SeqCst);
        }
        if answer.status.is_some() {
            self.tally.calls.fetch_add(1, Ordering::SeqCst);
            self.tally.by_http2.fetch_add(u64::from(answer.http2), Ordering::SeqCst);
        }
        let call = Call {
            client,
            operation,
            key: self.keys[key].clone(),
            action,
            node: node.to_owned(),
            start_ns,
            end_ns,
            outcome: answer.outcome,
            status: answer.status,
            shown: answer.shown,
            oddity: answer.oddity.clone(),
        };
        self.recorder.record(Line::Call(call)).await?;
        Ok(answer)
    }
}

struct One {
    load: Load,
    number: usize,
    dice: SmallRng,
    shunned: BTreeMap<String, Instant>,
}

impl One {
    async fn run(mut self, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        while !*stop.borrow() {
            let now = Instant::now();
            self.shunned.retain(|_, until| *until > now);
            let all = self.load.targets.all();
            let open: Vec<_> = all.iter().filter(|(name, _)| !self.shunned.contains_key(name)).collect();
            if let Some((name, base)) = open.choose(&mut self.dice) {
                let key = self.dice.random_range(0..self.load.keys.len());
                let action = self.any_action(key);
                let answer = self.load.call(self.number, name, base, key, action).await?;
                if answer.silent {
                    self.shunned.insert(name.clone(), Instant::now() + SHUN);
                }
            }
            tokio::time::sleep(Duration::from_millis(self.dice.random_range(1..=THINK_MS))).await;
        }
        Ok(())
    }

    fn any_action(&mut self, key: usize) -> Action {
        let seen = self.load.rumours.lock().unwrap_or_else(PoisonError::into_inner)[key];
        let version = if self.dice.random_bool(INFORMED) { seen.newest } else { seen.before };
        match self.dice.random_range(0..100) {
            0..35 => Action::Get,
            35..60 => Action::Put,
            60..66 => Action::Create,
            66..90 if version > 0 => Action::CompareAndSet { version },
            66..90 => Action::Put,
            _ => Action::Delete { version: (version > 0 && self.dice.random_bool(0.5)).then_some(version) },
        }
    }
}
