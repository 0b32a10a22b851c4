//! Reads every key of the ledger through the gateways that are open, and judges what is there.

use super::ledger::{Fault, Key, written_at};
use super::load::{Held, Load};
use super::store::Store;
use anyhow::Context;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Reads that are under way at once.
const READERS: usize = 24;
/// Pause before a key that could not be read is read again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What a check has found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Keys that were read.
    pub read: usize,
    /// Keys of which something had been acknowledged.
    pub acknowledged: usize,
    /// What is wrong.
    pub faults: Vec<(Key, Fault)>,
    /// Keys that could not be read in time, and the last answer.
    pub unreadable: Vec<(Key, String)>,
    /// How long it took.
    pub took: Duration,
}

impl Findings {
    /// Keys whose acknowledged state is gone.
    pub fn lost(&self) -> usize {
        self.faults.iter().filter(|(_, fault)| fault.is_loss()).count()
    }

    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty() && self.unreadable.is_empty()
    }

    /// The first `count` of what is wrong, a line each.
    pub fn lines(&self, count: usize) -> String {
        let faults = self.faults.iter().map(|(key, fault)| format!("  {key}: {fault}\n"));
        let unreadable = self.unreadable.iter().map(|(key, error)| format!("  {key}: cannot be read: {error}\n"));
        faults.chain(unreadable).take(count).collect()
    }
}

/// What was read of a key.
type Reading = (Key, Result<Option<Vec<u8>>, String>);

/// Reads every key while nothing is written, through the gateways in `places`; gives up on what cannot be read when `patience` is over.
///
/// # Errors
/// A reader breaks down.
pub async fn check(
    load: &Load,
    _held: &Held,
    store: &Store,
    places: &[usize],
    patience: Duration,
) -> anyhow::Result<Findings> {
    let began = Instant::now();
    let keys = load.ledger().keys();
    let left = Arc::new(Mutex::new(keys));
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let (left, store, places) = (Arc::clone(&left), store.clone(), places.to_vec());
        readers.spawn(async move {
            let mut readings = Vec::new();
            let mut turn = reader;
            loop {
                let Some(key) = left.lock().unwrap_or_else(PoisonError::into_inner).pop() else { return readings };
                let reading = read(&store, &places, &mut turn, key, began + patience).await;
                readings.push((key, reading));
            }
        });
    }
    let mut findings = Findings::default();
    while let Some(readings) = readers.join_next().await {
        judge(load, readings.context("a reader broke down")?, &mut findings);
    }
    let mut ledger = load.ledger();
    findings.faults.append(&mut ledger.faults);
    findings.acknowledged = ledger.acknowledged_keys();
    findings.took = began.elapsed();
    Ok(findings)
}

async fn read(
    store: &Store,
    places: &[usize],
    turn: &mut usize,
    key: Key,
    until: Instant,
) -> Result<Option<Vec<u8>>, String> {
    loop {
        *turn += 1;
        match store.read(places[*turn % places.len()], key).await {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > until => return Err(format!("{error:#}")),
            Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
}

fn judge(load: &Load, readings: Vec<Reading>, findings: &mut Findings) {
    let mut ledger = load.ledger();
    for (key, reading) in readings {
        findings.read += 1;
        match reading {
            Ok(found) => findings.faults.extend(ledger.judge(key, found.as_deref()).err().map(|fault| (key, fault))),
            Err(error) => findings.unreadable.push((key, error)),
        }
    }
}

/// What a node's own copies are like.
#[derive(Debug, Default)]
pub struct Copies {
    /// Copies that were served and that some write of the key has written, or that are absent.
    pub served: usize,
    /// Copies that could not be served.
    pub withheld: usize,
    /// Copies that nobody has written, in words.
    pub foreign: Vec<String>,
}

/// Reads one copy of every key through the gateway in `place`: an old one is fine, one that nobody wrote is not.
pub async fn genuine(load: &Load, _held: &Held, store: &Store, place: usize) -> Copies {
    let mut copies = Copies::default();
    let keys = load.ledger().keys();
    for key in keys {
        match store.read_any(place, key).await {
            Ok(None) => copies.served += 1,
            Ok(Some(bytes)) => match written_at(key, &bytes) {
                Ok(_) => copies.served += 1,
                Err(fault) => copies.foreign.push(format!("{key}: {fault}")),
            },
            Err(_) => copies.withheld += 1,
        }
    }
    copies
}
