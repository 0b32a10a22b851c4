//! Chaos over real processes: clients load a ring while a seeded nemesis kills, pauses, splits, wipes, adds and removes
//! nodes, and a judge holds the recorded history to one register a key.
//!
//! [`net`] is where the nodes live, [`fleet`] what is done to them, [`nemesis`] what is done when. [`load`] asks
//! through [`kv`] and writes into [`history`], which is all that [`judge`] and [`figures`] read. [`crawl`] goes on
//! throughout. A run has two rounds, each on a ring of its own: faults on five nodes, and 3 -> 7 -> 3.

pub mod crawl;
pub mod figures;
pub mod fleet;
pub mod history;
pub mod judge;
pub mod kv;
pub mod load;
pub mod nemesis;
pub mod net;
pub mod status;

use anyhow::Context;
use crawl::{Crawl, Crawled};
use fleet::Fleet;
use history::{Recorder, Run};
use judge::Judgement;
use kv::Signature;
use load::Load;
use nemesis::{Deck, NODES, Nemesis, WHOLE_LIMIT};
use net::Network;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Clients at work at the same time.
const CLIENTS: usize = 8;
/// Keys they share.
const KEYS: usize = 36;
/// The sizes between which the second round goes.
const FEW: usize = 3;
const MANY: usize = 7;
/// How long the ring of the second round is laid out for, by each node that comes or goes.
const STEP: Duration = Duration::from_secs(15);

/// What is done to the ring of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Faults on five nodes.
    Faults {
        /// Which.
        deck: Deck,
        /// For how long.
        duration: Duration,
        /// Longest that a fault lasts once clients have got on.
        longest_hold: Duration,
    },
    /// 3 -> 7 -> 3 nodes; every leave waits for its hand-over.
    Scale,
}

/// A round.
#[derive(Debug, Clone)]
pub struct Round {
    /// What the dice begin with.
    pub seed: u64,
    /// Where history, verdict, logs and the ring go; the folder is new or empty.
    pub folder: PathBuf,
    /// What is done.
    pub plan: Plan,
    /// Whether the nodes get namespaces of their own.
    pub namespaces: bool,
    /// Told what happens when it happens.
    pub say: fn(&str),
}

/// What came of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Figures and findings, for people.
    pub text: String,
    /// What was not as promised; empty in a good round.
    pub failures: Vec<String>,
}

impl Round {
    /// Runs it, judges what was recorded and leaves the verdict in the folder.
    ///
    /// # Errors
    /// It could not be carried out, so that nothing can be said about the ring.
    pub async fn run(&self) -> anyhow::Result<Report> {
        std::fs::create_dir_all(&self.folder).with_context(|| format!("{} cannot be made", self.folder.display()))?;
        let network = if self.namespaces { Network::namespaces()? } else { Network::loopback()? };
        let nodes = if self.plan == Plan::Scale { FEW } else { NODES };
        let mut fleet = Fleet::start(&self.folder, network, nodes).await?;
        let run = Run { seed: self.seed, run: rand::random(), began_unix_ms: unix_ms() };
        let path = self.folder.join("history.jsonl");
        let (recorder, written) = Recorder::create(&path, run.clone())?;
        let mut failures = Vec::new();
        let crawled = self.disturb(&mut fleet, recorder, run.run, &mut failures).await;
        self.note(&mut failures, "the nodes", fleet.stop().await);
        failures.extend(fleet.accidents().iter().cloned());
        written.await.context("the history's writer has ended")??;
        let report = verdict(&path, &crawled, failures)?;
        std::fs::write(self.folder.join("verdict.txt"), &report.text)?;
        Ok(report)
    }

    /// Loads the ring, disturbs it, lets it heal and reads everything once more.
    async fn disturb(
        &self,
        fleet: &mut Fleet,
        recorder: Recorder,
        run: u64,
        failures: &mut Vec<String>,
    ) -> Vec<Crawled> {
        if let Err(error) = fleet.whole(&[], WHOLE_LIMIT, &recorder).await {
            failures.push(format!("the new ring: {error:#}"));
            return Vec::new();
        }
        let (http, token, targets) = fleet.entrance();
        let signature = Signature { run, token: token.clone() };
        let keys = (0..KEYS).map(|key| format!("chaos/key-{key:02}")).collect();
        let load = Load::new(http.clone(), signature, targets.clone(), recorder.clone(), keys);
        let (stop, stopped) = watch::channel(false);
        let mut clients = load.start(CLIENTS, self.seed, &stopped);
        let shop = fleet.network().shop();
        let crawl = Crawl { folder: self.folder.clone(), shop, http, token, targets };

        let dice = SmallRng::seed_from_u64(self.seed);
        let tally = load.tally.clone();
        let longest_hold = if let Plan::Faults { longest_hold, .. } = self.plan { longest_hold } else { STEP };
        let mut nemesis = Nemesis { dice, recorder: recorder.clone(), tally, longest_hold, say: self.say };
        let disturbance = async {
            self.note(failures, "the nemesis", self.play(&mut nemesis, fleet).await);
            let _ = stop.send(true);
            while let Some(client) = clients.join_next().await {
                self.note(failures, "a client", client.map_err(Into::into).and_then(|ended| ended));
            }
        };
        let (crawled, ()) = tokio::join!(crawl.run(self.planned(), stopped.clone()), disturbance);
        let crawled = self.note(failures, "the crawl", crawled).unwrap_or_default();
        self.note(failures, "the ring in the end", fleet.whole(&[], WHOLE_LIMIT, &recorder).await);
        self.note(failures, "the last reads", load.read_all(CLIENTS).await);
        let (answers, by_http2) = load.tally.answered();
        (self.say)(&format!("{by_http2} of {answers} answers came by HTTP/2"));
        crawled
    }

    async fn play(&self, nemesis: &mut Nemesis, fleet: &mut Fleet) -> anyhow::Result<()> {
        match &self.plan {
            Plan::Faults { deck, duration, .. } => nemesis.play(fleet, deck, *duration).await,
            Plan::Scale => {
                while fleet.members().len() < MANY {
                    nemesis.grow(fleet).await?;
                }
                while fleet.members().len() > FEW {
                    nemesis.shrink(fleet).await?;
                }
                Ok(())
            }
        }
    }

    /// Keeps a failure for the verdict, and says it at once: a run may be interrupted.
    fn note<T>(&self, failures: &mut Vec<String>, who: &str, result: anyhow::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let failure = format!("{who}: {error:#}");
                (self.say)(&failure);
                failures.push(failure);
                None
            }
        }
    }

    fn planned(&self) -> Duration {
        match &self.plan {
            Plan::Faults { duration, .. } => *duration,
            Plan::Scale => STEP * 8,
        }
    }
}

/// Judges the history in the file `path`, beside what is known already.
///
/// # Errors
/// It cannot be read.
pub fn verdict(path: &Path, crawled: &[Crawled], mut failures: Vec<String>) -> anyhow::Result<Report> {
    let history = history::read(path)?;
    let judgement = judge::judge(&history);
    let mut text = format!("seed {}, history {}\n", history.run.seed, path.display());
    text += &figures::text(&history, &judgement);
    for crawl in crawled {
        let Crawled { items, requests, repeats, shortest_gap, took } = crawl;
        writeln!(
            text,
            "crawl: {items} results, one a page, of {requests} requests in {:.0} s; {repeats} pages fetched again; shortest gap {shortest_gap:?}",
            took.as_secs_f64()
        )?;
    }
    failures.extend(findings(&judgement));
    writeln!(
        text,
        "linearizable: {} of {} keys; acknowledged writes lost: {}",
        judgement.keys - judgement.violations.len() - judgement.gave_up.len(),
        judgement.keys,
        judgement.lost.len()
    )?;
    for failure in &failures {
        writeln!(text, "FAILURE: {failure}")?;
    }
    writeln!(text, "verdict: {}", if failures.is_empty() { "good" } else { "NOT GOOD" })?;
    Ok(Report { text, failures })
}

fn findings(judgement: &Judgement) -> Vec<String> {
    let mut findings: Vec<String> = judgement.violations.iter().map(ToString::to_string).collect();
    findings.extend(judgement.gave_up.iter().map(|key| format!("the judge has given up on {key}")));
    findings.extend(judgement.lost.iter().map(|lost| format!("lost: {lost}")));
    findings.extend(judgement.repeated.iter().map(|repeated| format!("a version stands for two contents: {repeated}")));
    let shown = judgement.oddities.iter().take(10);
    findings.extend(shown.map(|oddity| format!("one of {} odd answers: {oddity}", judgement.oddities.len())));
    if judgement.keys == 0 {
        findings.push("nothing was asked, so nothing was shown".to_owned());
    }
    findings
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
