//! What a disk knows of its ring, durably: how far the ring's formation is, and whether the node has left.
//!
//! Kept beside the identity as `formation.json`. It is written before the node says it to anyone; a folder that
//! says it is a member's but has no store has lost what it promised, and is refused.

use super::IdentityError;
use crate::storage::files::{self, Readers};
use crate::storage::{keyring, rocks};
use scrapering_core::formation::{Founders, GENESIS_GENERATION, Nonce, Record, Stage};
use scrapering_core::id::RingId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The ledger's name in a data folder.
pub const FILE: &str = "formation.json";
/// The only format so far.
const FORMAT: u32 = 1;

/// Where a disk stands to its ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It knows of no ring.
    Candidate,
    /// It waits for everybody to have heard of these disks.
    Pledged(Founders),
    /// It is of the ring of `founders`.
    Member {
        /// The disks that formed the ring.
        founders: Founders,
        /// 1 for a founder, later for who joined.
        generation: u64,
        /// It was told to leave and hands over.
        leaving: bool,
    },
    /// It was of the ring of these founders and never will be again.
    Left(Founders),
}

/// The record and where it is kept. One writer.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    ring_id: RingId,
    name: String,
    nonce: Nonce,
    standing: Standing,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StageWord {
    Candidate,
    Pledged,
    Member,
    Leaving,
    Left,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct NonceText(#[serde(with = "uuid::serde::simple")] Uuid);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerFile {
    format: u32,
    #[serde(with = "uuid::serde::simple")]
    ring_id: Uuid,
    name: String,
    nonce: NonceText,
    stage: StageWord,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    founders: BTreeMap<String, NonceText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

impl Ledger {
    /// The ledger in the data folder of `name`, or that of a new candidate in an empty folder, already on disk.
    ///
    /// A folder of before there were ledgers is that of a founder whose ring was formed of `genesis` without nonces.
    ///
    /// # Errors
    /// [`IdentityError`]: the folder is of another ring or node, or has lost a part.
    pub fn open_or_create(
        folder: &Path,
        ring_id: RingId,
        name: &str,
        genesis: &BTreeSet<String>,
    ) -> Result<Self, IdentityError> {
        if !super::is_dns_name(name) {
            return Err(IdentityError::Name { name: name.to_owned() });
        }
        let path = folder.join(FILE);
        let parts = [super::FILE, keyring::FILE, rocks::FOLDER];
        let has = |part: &str| folder.join(part).exists();
        if let Some(file) = files::read_json::<LedgerFile>(&path, FORMAT)? {
            let ledger = Self::read(file, path, folder, ring_id, name)?;
            if matches!(ledger.standing, Standing::Member { .. }) && !parts.into_iter().all(has) {
                return Err(IdentityError::Gutted { folder: folder.to_owned() });
            }
            return Ok(ledger);
        }
        let (nonce, standing) = if parts.into_iter().all(has) {
            let none = Nonce([0; 16]);
            let founders = Founders(genesis.iter().map(|name| (name.clone(), none)).collect());
            (none, Standing::Member { founders, generation: GENESIS_GENERATION, leaving: false })
        } else if parts.into_iter().any(has) {
            return Err(IdentityError::Missing { folder: folder.to_owned() });
        } else {
            (Nonce(Uuid::new_v4().into_bytes()), Standing::Candidate)
        };
        files::create_folder(folder)?;
        let mut ledger = Self { path, ring_id, name: name.to_owned(), nonce, standing: Standing::Candidate };
        ledger.record(standing)?;
        Ok(ledger)
    }

    /// Empties the folder of a disk that has left: nobody counts on what it holds. The ledger itself goes last, so that
    /// what is cut short is known to have left still.
    ///
    /// # Errors
    /// [`IdentityError::File`]; the folder is emptied the next time.
    pub fn forget(self) -> Result<(), IdentityError> {
        let folder = self.path.parent().expect("a ledger stands in its data folder");
        files::empty_folder(folder, FILE)?;
        Ok(())
    }

    /// Where the disk stands.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Makes `standing` durable.
    ///
    /// # Errors
    /// [`IdentityError::File`]; the old standing counts.
    pub fn record(&mut self, standing: Standing) -> Result<(), IdentityError> {
        let (stage, founders, generation) = match &standing {
            Standing::Candidate => (StageWord::Candidate, None, None),
            Standing::Pledged(founders) => (StageWord::Pledged, Some(founders), None),
            Standing::Member { founders, generation, leaving } => {
                let stage = if *leaving { StageWord::Leaving } else { StageWord::Member };
                (stage, Some(founders), Some(*generation))
            }
            Standing::Left(founders) => (StageWord::Left, Some(founders), None),
        };
        let text = |nonce: Nonce| NonceText(Uuid::from_bytes(nonce.0));
        let founders = founders.map(|founders| &founders.0).into_iter().flatten();
        let file = LedgerFile {
            format: FORMAT,
            ring_id: Uuid::from_bytes(self.ring_id.0),
            name: self.name.clone(),
            nonce: text(self.nonce),
            stage,
            founders: founders.map(|(name, nonce)| (name.clone(), text(*nonce))).collect(),
            generation,
        };
        files::write_json(&self.path, &file, Readers::Owner)?;
        self.standing = standing;
        Ok(())
    }

    /// What the disk answers when asked, given the genesis members as this node was told them.
    #[must_use]
    pub fn answer(&self, genesis: &BTreeSet<String>) -> Record {
        let stage = match &self.standing {
            Standing::Candidate => Stage::Candidate,
            Standing::Pledged(founders) => Stage::Pledged(founders.clone()),
            Standing::Member { founders, .. } | Standing::Left(founders) => Stage::Formed(founders.clone()),
        };
        Record { nonce: self.nonce, genesis: genesis.clone(), stage }
    }

    fn read(
        file: LedgerFile,
        path: PathBuf,
        folder: &Path,
        ring_id: RingId,
        name: &str,
    ) -> Result<Self, IdentityError> {
        let found = RingId(file.ring_id.into_bytes());
        if found != ring_id {
            return Err(IdentityError::OtherRing { folder: folder.to_owned(), found, wanted: ring_id });
        }
        if file.name != name {
            let (found, wanted) = (file.name, name.to_owned());
            return Err(IdentityError::OtherNode { folder: folder.to_owned(), found, wanted });
        }
        let nonce = |text: NonceText| Nonce(text.0.into_bytes());
        let founders = Founders(file.founders.into_iter().map(|(name, text)| (name, nonce(text))).collect());
        let generation = file.generation.unwrap_or(GENESIS_GENERATION);
        let standing = match file.stage {
            StageWord::Candidate => Standing::Candidate,
            StageWord::Pledged => Standing::Pledged(founders),
            StageWord::Member => Standing::Member { founders, generation, leaving: false },
            StageWord::Leaving => Standing::Member { founders, generation, leaving: true },
            StageWord::Left => Standing::Left(founders),
        };
        Ok(Self { path, ring_id, name: file.name, nonce: nonce(file.nonce), standing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: RingId = RingId([0xab; 16]);

    fn genesis() -> BTreeSet<String> {
        ["ring-0", "ring-1"].map(str::to_owned).into()
    }

    fn open(folder: &Path) -> Result<Ledger, IdentityError> {
        Ledger::open_or_create(folder, RING, "ring-0", &genesis())
    }

    #[test]
    fn a_disk_that_has_left_can_be_emptied_and_is_another_one_then() {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("data");
        let mut ledger = open(&data).expect("made");
        let nonce = ledger.nonce;
        ledger.record(Standing::Left(Founders([("ring-0".to_owned(), nonce)].into()))).expect("recorded");
        std::fs::create_dir_all(data.join(rocks::FOLDER)).expect("a store");
        std::fs::write(data.join(keyring::FILE), "keys").expect("a keyring");
        std::fs::create_dir(data.join("lost+found")).expect("the file system's own");
        open(&data).expect("read").forget().expect("emptied");
        let left: Vec<_> =
            std::fs::read_dir(&data).expect("list").map(|entry| entry.expect("entry").file_name()).collect();
        assert_eq!(left, ["lost+found"]);
        let ledger = open(&data).expect("made anew");
        assert!(ledger.nonce != nonce && ledger.standing() == &Standing::Candidate);
    }

    #[test]
    fn a_disk_draws_its_nonce_once_and_keeps_what_was_recorded() {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("data");
        let mut ledger = open(&data).expect("made");
        assert_eq!(ledger.standing(), &Standing::Candidate);
        let founders = Founders([("ring-0".to_owned(), ledger.nonce), ("ring-1".to_owned(), Nonce([7; 16]))].into());
        let standings = [Standing::Pledged(founders.clone()), Standing::Left(founders)];
        for standing in standings {
            ledger.record(standing.clone()).expect("recorded");
            let again = open(&data).expect("opened");
            assert_eq!((again.nonce, again.standing()), (ledger.nonce, &standing));
        }
        let other = open(&folder.path().join("other")).expect("made");
        assert_ne!(other.nonce, ledger.nonce);
    }

    #[test]
    fn a_folder_of_another_ring_or_node_is_refused_naming_both() {
        let folder = tempfile::tempdir().expect("folder");
        open(folder.path()).expect("made");
        let refused = Ledger::open_or_create(folder.path(), RingId([1; 16]), "ring-0", &genesis());
        assert!(matches!(refused, Err(IdentityError::OtherRing { .. })));
        let refused = Ledger::open_or_create(folder.path(), RING, "ring-1", &genesis()).expect_err("refused");
        assert!(refused.to_string().contains("ring-0") && refused.to_string().contains("ring-1"), "{refused}");
        let refused = Ledger::open_or_create(folder.path(), RING, "Ring_0", &genesis());
        assert!(matches!(refused, Err(IdentityError::Name { .. })));
    }

    #[test]
    fn a_members_folder_that_lost_a_part_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let mut ledger = open(folder.path()).expect("made");
        let founders = Founders(BTreeMap::from([("ring-0".to_owned(), ledger.nonce)]));
        let member = Standing::Member { founders, generation: 1, leaving: true };
        ledger.record(member.clone()).expect("recorded");
        assert!(matches!(open(folder.path()), Err(IdentityError::Gutted { .. })));
        for part in [super::super::FILE, keyring::FILE, rocks::FOLDER] {
            std::fs::write(folder.path().join(part), "").expect("part");
        }
        assert_eq!(open(folder.path()).expect("whole").standing(), &member);
    }

    #[test]
    fn a_folder_of_before_there_were_ledgers_is_a_founders() {
        let folder = tempfile::tempdir().expect("folder");
        for part in [super::super::FILE, keyring::FILE] {
            std::fs::write(folder.path().join(part), "").expect("part");
        }
        assert!(matches!(open(folder.path()), Err(IdentityError::Missing { .. })));
        std::fs::create_dir(folder.path().join(rocks::FOLDER)).expect("store");
        let ledger = open(folder.path()).expect("opened");
        let Standing::Member { founders, generation: 1, leaving: false } = ledger.standing() else {
            panic!("{ledger:?}")
        };
        assert_eq!(founders.0.keys().cloned().collect::<BTreeSet<_>>(), genesis());
    }
}
