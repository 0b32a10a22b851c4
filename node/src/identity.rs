//! Who a node is: its name, ring and generation, kept on its disk; its certificate; the folder of a local ring.
//!
//! A ring id, a name and a generation never change while a data folder lives. The boot number grows with every
//! start and is part of every ballot, so that a node never proposes under a number it used before a crash.

pub mod authority;
pub mod layout;
pub mod ledger;
pub mod tls;

use crate::storage::files::{self, FileError, Readers};
use crate::storage::{keyring, rocks};
use scrapering_core::id::{NodeId, RingId};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The identity's name in a data folder.
pub const FILE: &str = "identity.json";
/// The only format so far.
const FORMAT: u32 = 1;

/// One start of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The ring it belongs to.
    pub ring_id: RingId,
    /// Its stable DNS name, as in its certificate.
    pub name: String,
    /// Tells the disks apart that this name has had: 1 for a founder of the ring, later ones are higher.
    pub generation: u64,
    /// Made of name and generation.
    pub node_id: NodeId,
    /// Counts the starts of this generation, from 1.
    pub boot: u32,
}

/// Why a data folder has no identity for this node. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file could not be read or written.
    #[error("the identity of the data folder cannot be used")]
    File(#[from] FileError),
    /// Not a DNS name.
    #[error(
        "the node name {name:?} is not a DNS name: labels of a-z, 0-9 and inner '-', up to 63 long, joined by '.', up to 253 in all"
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// The folder of another ring.
    #[error("the data folder {folder} belongs to ring {found}, not to ring {wanted}; give this node its own folder")]
    OtherRing {
        /// The data folder.
        folder: PathBuf,
        /// The ring in it.
        found: RingId,
        /// The ring asked for.
        wanted: RingId,
    },
    /// The folder of another node.
    #[error(
        "the data folder {folder} belongs to node {found:?}, not to node {wanted:?}; give this node its own folder"
    )]
    OtherNode {
        /// The data folder.
        folder: PathBuf,
        /// The node in it.
        found: String,
        /// The node asked for.
        wanted: String,
    },
    /// A member's folder without all of its parts.
    #[error(
        "the data folder {folder} has lost a part of what the node promised to keep; restore it whole, or empty it to come back as a new node that fetches its data from the others"
    )]
    Gutted {
        /// The data folder.
        folder: PathBuf,
    },
    /// There is data and no word of whose it is.
    #[error(
        "{folder} holds data but not all that tells whose it is; restore the missing files, or empty the folder to start as a new node"
    )]
    Missing {
        /// The data folder.
        folder: PathBuf,
    },
    /// 2^32 starts.
    #[error(
        "the data folder {folder} was started {} times, which is the limit; empty it to start as a new node",
        u32::MAX
    )]
    TooManyBoots {
        /// The data folder.
        folder: PathBuf,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    format: u32,
    #[serde(with = "uuid::serde::simple")]
    ring_id: Uuid,
    name: String,
    generation: u64,
    boot: u32,
}

impl NodeIdentity {
    /// The identity in `folder`, or a new one of `generation` in an empty folder, with the next boot number already on disk.
    ///
    /// Of two processes that start in one folder at the same time both may get the same number; the one that
    /// does not get the store ([`crate::storage::RocksStore::open`]) must end before it speaks to anyone.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn open_or_create(folder: &Path, ring_id: RingId, name: &str, generation: u64) -> Result<Self, IdentityError> {
        if !is_dns_name(name) {
            return Err(IdentityError::Name { name: name.to_owned() });
        }
        let path = folder.join(FILE);
        let mut file = match files::read_json::<IdentityFile>(&path, FORMAT)? {
            Some(file) => checked(file, folder, ring_id, name)?,
            None if [keyring::FILE, rocks::FOLDER].iter().any(|data| folder.join(data).exists()) => {
                return Err(IdentityError::Missing { folder: folder.to_owned() });
            }
            None => {
                files::create_folder(folder)?;
                let ring_id = Uuid::from_bytes(ring_id.0);
                IdentityFile { format: FORMAT, ring_id, name: name.to_owned(), generation, boot: 0 }
            }
        };
        file.boot =
            file.boot.checked_add(1).ok_or_else(|| IdentityError::TooManyBoots { folder: folder.to_owned() })?;
        files::write_json(&path, &file, Readers::Owner)?;
        let node_id = NodeId::new(name, file.generation);
        Ok(Self { ring_id, name: file.name, generation: file.generation, node_id, boot: file.boot })
    }
}

fn checked(file: IdentityFile, folder: &Path, ring_id: RingId, name: &str) -> Result<IdentityFile, IdentityError> {
    let found = RingId(file.ring_id.into_bytes());
    if found != ring_id {
        return Err(IdentityError::OtherRing { folder: folder.to_owned(), found, wanted: ring_id });
    }
    if file.name != name {
        return Err(IdentityError::OtherNode { folder: folder.to_owned(), found: file.name, wanted: name.to_owned() });
    }
    Ok(file)
}

/// Whether `name` is a lower-case host name (RFC 1123, section 2.1): what certificates and peers compare.
#[must_use]
pub fn is_dns_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: RingId = RingId([0xab; 16]);

    #[test]
    fn every_start_has_the_next_boot_number_and_the_same_node_id() {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("ring-0/data");
        let first = NodeIdentity::open_or_create(&data, RING, "ring-0", 1).expect("created");
        assert_eq!((first.generation, first.boot, first.node_id), (1, 1, NodeId::new("ring-0", 1)));
        for boot in 2..5 {
            let again = NodeIdentity::open_or_create(&data, RING, "ring-0", 1).expect("opened");
            assert_eq!(again, NodeIdentity { boot, ..first.clone() });
        }
    }

    #[test]
    fn a_folder_of_another_ring_or_node_is_refused_naming_both_and_not_counted() {
        let folder = tempfile::tempdir().expect("folder");
        NodeIdentity::open_or_create(folder.path(), RING, "ring-0", 1).expect("created");
        let other = RingId([0xcd; 16]);
        let error = NodeIdentity::open_or_create(folder.path(), other, "ring-0", 1).expect_err("refused").to_string();
        assert!(error.contains(&RING.to_string()) && error.contains(&other.to_string()), "{error}");
        let error = NodeIdentity::open_or_create(folder.path(), RING, "ring-1", 1).expect_err("refused").to_string();
        assert!(error.contains("ring-0") && error.contains("ring-1"), "{error}");
        assert_eq!(NodeIdentity::open_or_create(folder.path(), RING, "ring-0", 1).expect("opened").boot, 2);
    }

    #[test]
    fn data_without_an_identity_is_not_given_a_new_one() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join(keyring::FILE), "{}").expect("keyring");
        let refused = NodeIdentity::open_or_create(folder.path(), RING, "ring-0", 1);
        assert!(matches!(refused, Err(IdentityError::Missing { .. })));
    }

    #[test]
    fn boots_do_not_start_over() {
        let folder = tempfile::tempdir().expect("folder");
        NodeIdentity::open_or_create(folder.path(), RING, "ring-0", 1).expect("created");
        let path = folder.path().join(FILE);
        let text = std::fs::read_to_string(&path).expect("text");
        std::fs::write(&path, text.replace("\"boot\": 1", &format!("\"boot\": {}", u32::MAX))).expect("write");
        let refused = NodeIdentity::open_or_create(folder.path(), RING, "ring-0", 1);
        assert!(matches!(refused, Err(IdentityError::TooManyBoots { .. })));
    }

    #[test]
    fn names_are_dns_names() {
        for good in ["ring-0", "r", "ring-0.ring.default.svc.cluster.local", "0"] {
            assert!(is_dns_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "Ring-0", "-a", "a-", "a..b", "a.", "ring_0", "../a", "a/b", "*.ring", &long] {
            assert!(!is_dns_name(bad), "{bad}");
            let folder = tempfile::tempdir().expect("folder");
            let refused = NodeIdentity::open_or_create(folder.path(), RING, bad, 1);
            assert!(matches!(refused, Err(IdentityError::Name { .. })), "{bad}");
        }
    }
}
