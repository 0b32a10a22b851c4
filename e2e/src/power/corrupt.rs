//! Disks that lie: bits flipped, files cut off, blocks zeroed in one node's tables, log or manifest, while it is down.
//!
//! Whatever that node does then, nobody may be served wrong data, and nothing acknowledged may be missing while the others
//! hold it. A node that refuses to start in words is right; then its folder is emptied, as the words say, and it must come
//! back with what the others have.

use super::check::{check, genuine};
use super::load::Load;
use super::ring::{Fsync, NODES, PoweredRing, all};
use super::rounds::Say;
use crate::ring::name;
use anyhow::{Context, bail, ensure};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Writes between two damages.
const WRITES: u64 = 80;
/// How long they may take.
const WRITES_LIMIT: Duration = Duration::from_secs(120);
/// How long a key may be unreadable.
const READ_LIMIT: Duration = Duration::from_secs(60);
/// The database's name in a data folder.
const STORE: &str = "store";
/// What is zeroed at once: a page of the disk.
const PAGE: u64 = 4096;
/// How many faults are shown.
const SHOWN: usize = 20;

/// Which of a node's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Table,
    Log,
    Manifest,
}

impl Target {
    const ALL: [Self; 3] = [Self::Table, Self::Log, Self::Manifest];

    fn is(self, name: &str) -> bool {
        match self {
            Self::Table => name.ends_with(".sst") || name.ends_with(".blob"),
            Self::Log => name.ends_with(".log"),
            Self::Manifest => name.starts_with("MANIFEST-"),
        }
    }
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    FlippedBit { at: u64, bit: u8 },
    CutOff { length: u64 },
    ZeroedPage { at: u64 },
}

impl Damage {
    fn draw(random: &mut SmallRng, length: u64) -> Self {
        match random.random_range(0..3) {
            0 => Self::FlippedBit { at: random.random_range(0..length), bit: random.random_range(0..8) },
            1 => Self::CutOff { length: random.random_range(0..length) },
            _ => Self::ZeroedPage { at: random.random_range(0..length) / PAGE * PAGE },
        }
    }

    fn apply(self, path: &Path) -> std::io::Result<()> {
        let file = File::options().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        match self {
            Self::FlippedBit { at, bit } => {
                let mut byte = [0];
                file.read_exact_at(&mut byte, at)?;
                file.write_all_at(&[byte[0] ^ (1 << bit)], at)?;
            }
            Self::CutOff { length } => file.set_len(length)?,
            Self::ZeroedPage { at } => file.write_all_at(&vec![0; PAGE.min(length - at) as usize], at)?,
        }
        file.sync_all()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FlippedBit { at, .. } => write!(formatter, "a bit flipped at byte {at}"),
            Self::CutOff { length } => write!(formatter, "cut off after {length} bytes"),
            Self::ZeroedPage { at } => write!(formatter, "zeroed from byte {at}"),
        }
    }
}

/// Damages one node's files `rounds` times, on a ring below `folder`; in words, what came of it.
///
/// # Errors
/// Wrong data was served, something acknowledged is missing, or a node neither starts nor says why.
pub async fn run(folder: &Path, rounds: usize, seed: u64, say: Say<'_>) -> anyhow::Result<String> {
    let mut random = SmallRng::seed_from_u64(seed);
    let ring = PoweredRing::start(folder).await?;
    let load = Load::start(ring.store().clone(), NODES, seed);
    let mut site = Site { ring, load, random: SmallRng::seed_from_u64(random.random()), ends: BTreeMap::new() };
    for round in 1..=rounds {
        let target = Target::ALL[round % Target::ALL.len()];
        let line = site.round(target).await.with_context(|| format!("damage {round} of {rounds} ({target:?})"))?;
        say(format!("{round:>3}/{rounds} {line}"));
    }
    site.load.end().await?;
    site.ring.stop(&all()).await?;
    let ends: Vec<String> = site.ends.iter().map(|(end, count)| format!("  {count:>3} times: {end}")).collect();
    Ok(format!(
        "{rounds} damages, 0 wrong answers, 0 acknowledged writes missing. The damaged node:\n{}",
        ends.join("\n")
    ))
}

struct Site {
    ring: PoweredRing,
    load: Load,
    random: SmallRng,
    /// What damaged nodes did, and how often.
    ends: BTreeMap<String, usize>,
}

impl Site {
    async fn round(&mut self, target: Target) -> anyhow::Result<String> {
        self.load.acknowledges(WRITES, WRITES_LIMIT).await?;
        let node = self.random.random_range(0..NODES);
        self.ring.kill(&[node]).await?;
        if target == Target::Table {
            // What stands in the log goes to tables at the next start.
            self.ring.start_nodes(&[node], Fsync::Honest)?;
            self.ring.serving(&[node]).await?;
            self.ring.kill(&[node]).await?;
        }
        let done = self.damage(node, target)?;
        self.ring.start_nodes(&[node], Fsync::Honest)?;
        let mut refilled = None;
        let end = match self.ring.serving(&[node]).await {
            Ok(_) => "started and served".to_owned(),
            Err(error) => {
                let said = self.refused(node, error).await?;
                refilled = Some(self.refill(node).await.with_context(|| format!("it {said}"))?);
                format!("{said} and came back empty")
            }
        };
        self.load.check()?;
        let held = self.load.hold().await?;
        let copies = genuine(&self.load, &held, self.ring.store(), node).await;
        let findings = check(&self.load, &held, self.ring.store(), &[node], READ_LIMIT).await?;
        ensure!(
            findings.is_good() && copies.foreign.is_empty(),
            "{} {done}, and it {end}. {} keys lost or wrong, {} unreadable, {} wrong copies:\n{}{}\n{}",
            name(node),
            findings.faults.len(),
            findings.unreadable.len(),
            copies.foreign.len(),
            findings.lines(SHOWN),
            copies.foreign.join("\n"),
            self.ring.tails()
        );
        self.load.go_on(held);
        *self.ends.entry(end.clone()).or_default() += 1;
        let refilled = refilled.map(|took| format!(", with every copy again after {:.1} s", took.as_secs_f64()));
        Ok(format!(
            "{} {done}: it {end}{}; {} keys read through it, {} copies of its own served, {} not: none wrong",
            name(node),
            refilled.unwrap_or_default(),
            findings.read,
            copies.served,
            copies.withheld
        ))
    }

    /// Damages one of the node's files; in words, what.
    fn damage(&mut self, node: usize, target: Target) -> anyhow::Result<String> {
        let store = self.ring.disk(node).path().join(STORE);
        let mut files: Vec<(PathBuf, String, u64)> = Vec::new();
        for entry in fs::read_dir(&store).with_context(|| format!("{} cannot be read", store.display()))? {
            let entry = entry?;
            let (name, length) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len());
            if target.is(&name) && length > 0 {
                files.push((entry.path(), name, length));
            }
        }
        files.sort();
        if files.is_empty() {
            return Ok(format!("has no {target:?} with anything in it and stays whole"));
        }
        let (path, name, length) = files.swap_remove(self.random.random_range(0..files.len()));
        let damage = Damage::draw(&mut self.random, length);
        damage.apply(&path).with_context(|| format!("{} cannot be damaged", path.display()))?;
        Ok(format!("{name} of {length} bytes {damage}"))
    }

    /// The node must have refused in words; which.
    async fn refused(&mut self, node: usize, error: anyhow::Error) -> anyhow::Result<String> {
        let Some(ended) = self.ring.ended(node).await? else { return Err(error) };
        let said = ended.err.lines().rev().find(|line| line.starts_with("error: ")).unwrap_or_default().to_owned();
        if ended.code() != Some(1) || !said.contains("empty it") {
            bail!("{} ended with {} and does not say what to do:\n{}", name(node), ended.status, ended.err);
        }
        // Paths and numbers of files differ from node to node.
        let what = said.split_once(" is damaged").map_or(said.as_str(), |(_, what)| what);
        let what = what.split("  The file").next().unwrap_or_default();
        Ok(format!("refused to start (is damaged{what})"))
    }

    /// Empties the node's folder, starts it, and waits until all copies are there again; how long that took.
    async fn refill(&mut self, node: usize) -> anyhow::Result<Duration> {
        for entry in fs::read_dir(self.ring.disk(node).path())? {
            let path = entry?.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        let began = Instant::now();
        self.ring.start_nodes(&[node], Fsync::Honest)?;
        self.ring.serving(&[node]).await?;
        self.ring.replicated().await?;
        Ok(began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_changes_what_it_says_and_nothing_else() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("000007.sst");
        let damaged = |damage: Damage| {
            fs::write(&path, [0xff_u8; 5000])?;
            damage.apply(&path)?;
            fs::read(&path)
        };
        let flipped = damaged(Damage::FlippedBit { at: 4999, bit: 3 })?;
        assert!(flipped[4999] == 0xf7 && flipped[..4999] == [0xff; 4999]);
        assert_eq!(damaged(Damage::CutOff { length: 17 })?, [0xff; 17]);
        let zeroed = damaged(Damage::ZeroedPage { at: PAGE })?;
        assert!(zeroed.len() == 5000 && zeroed[..4096] == [0xff; 4096] && zeroed[4096..] == [0; 904]);
        Ok(())
    }

    #[test]
    fn files_are_told_apart_by_their_names() {
        let of = |name| Target::ALL.into_iter().find(|target| target.is(name));
        assert_eq!(of("000007.sst"), Some(Target::Table));
        assert_eq!(of("000007.blob"), Some(Target::Table));
        assert_eq!(of("000007.log"), Some(Target::Log));
        assert_eq!(of("MANIFEST-000004"), Some(Target::Manifest));
        assert_eq!(of("CURRENT"), None);
    }
}
