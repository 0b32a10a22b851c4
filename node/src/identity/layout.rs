//! The folder of a local ring: who its nodes are, its keys, and a folder for each node.
//!
//! ```text
//! ring.json                 the ring's id, its nodes and their addresses; written last, so that a folder with it is whole
//! ring.key                  wraps the nodes' data keys
//! ca.pem, ca.key            the ring's certificate authority
//! jwt.pub, jwt.key          Ed25519, of the built-in token issuer
//! ring-0/tls.pem, tls.key   the node's certificate
//! ring-0/data/              the node's data folder
//! ```
//! `scrapering up`, `run` and `node --ring-dir` share it; each opens it under a file lock, so that five nodes
//! may be started at once in a folder that does not exist yet.

mod create;
mod shape;

pub use shape::{RingNode, Shape, ShapeError, ZONE_RULE, is_zone};

use super::authority::{Authority, AuthorityError, Validity};
use super::tls::Pair;
use crate::storage::files::{self, FileError, Readers};
use crate::storage::{RingKey, RingKeyError};
use jiff::Timestamp;
use rcgen::KeyPair;
use scrapering_core::id::RingId;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The only format so far.
const FORMAT: u32 = 1;

/// An opened folder of a local ring, with certificates that are valid now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingDir {
    root: PathBuf,
    ring_id: RingId,
    nodes: Vec<RingNode>,
}

/// Why the folder of a ring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file could not be read or written.
    #[error("the ring folder cannot be used")]
    File(#[from] FileError),
    /// Something else is in the folder.
    #[error("{folder} has no ring.json and holds {found:?}; give an empty folder, or restore ring.json from a backup")]
    Foreign {
        /// The ring folder.
        folder: PathBuf,
        /// What is in the way.
        found: String,
    },
    /// The ring cannot be as asked for.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The folder's own words are wrong.
    #[error("{path} was changed by hand: {what}; restore it from a backup")]
    Edited {
        /// ring.json.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file that was made with the ring is gone.
    #[error("{path} is missing; restore it from a backup")]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// A certificate could not be made or renewed.
    #[error("the certificates of the ring folder cannot be used")]
    Authority(#[from] AuthorityError),
    /// The ring key could not be read.
    #[error("the ring key of the ring folder cannot be used")]
    RingKey(#[from] RingKeyError),
    /// No such node.
    #[error("this ring has no node {name:?}; its nodes are {known}")]
    NoSuchNode {
        /// What was asked for.
        name: String,
        /// All names.
        known: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingFile {
    format: u32,
    #[serde(with = "uuid::serde::simple")]
    ring_id: Uuid,
    nodes: Vec<RingNode>,
}

impl RingDir {
    /// Opens the ring folder `root`, or makes it in the `shape` asked for, and renews certificates that end soon.
    ///
    /// What `shape` leaves open is taken from the folder; what it asks for must be so there.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn open_or_init(root: &Path, shape: &Shape) -> Result<Self, LayoutError> {
        Self::open_or_init_at(root, shape, Timestamp::now())
    }

    fn open_or_init_at(root: &Path, shape: &Shape, now: Timestamp) -> Result<Self, LayoutError> {
        files::create_folder(root)?;
        let _lock = lock(root)?;
        let path = root.join("ring.json");
        let file = match files::read_json::<RingFile>(&path, FORMAT)? {
            Some(file) => {
                shape.matches(root, &file.nodes)?;
                file
            }
            None => create::ring(root, &shape.nodes()?, now)?,
        };
        shape::check(&file.nodes).map_err(|what| LayoutError::Edited { path, what })?;
        let ring = Self { root: root.to_owned(), ring_id: RingId(file.ring_id.into_bytes()), nodes: file.nodes };
        ring.renew_certificates(now)?;
        Ok(ring)
    }

    /// The ring's id, made with the folder.
    #[must_use]
    pub const fn ring_id(&self) -> RingId {
        self.ring_id
    }

    /// Every node of the ring, by number.
    #[must_use]
    pub fn nodes(&self) -> &[RingNode] {
        &self.nodes
    }

    /// The node called `name`.
    ///
    /// # Errors
    /// [`LayoutError::NoSuchNode`] with the names there are.
    pub fn node(&self, name: &str) -> Result<&RingNode, LayoutError> {
        self.nodes.iter().find(|node| node.name == name).ok_or_else(|| LayoutError::NoSuchNode {
            name: name.to_owned(),
            known: self.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The key that wraps the nodes' data keys.
    ///
    /// # Errors
    /// [`LayoutError::RingKey`].
    pub fn ring_key(&self) -> Result<RingKey, LayoutError> {
        Ok(RingKey::from_file(&self.root.join("ring.key"))?)
    }

    /// The certificate of the ring's authority: what nodes and clients trust.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    /// The public key (Ed25519, SPKI in PEM) that checks tokens of the built-in issuer.
    #[must_use]
    pub fn token_public_key(&self) -> PathBuf {
        self.root.join("jwt.pub")
    }

    /// The private key (Ed25519, PKCS#8 in PEM) of the built-in issuer, as text.
    ///
    /// # Errors
    /// [`LayoutError::File`].
    pub fn token_private_key(&self) -> Result<Zeroizing<Vec<u8>>, LayoutError> {
        Ok(files::read_secret(&self.root.join("jwt.key"))?)
    }

    /// Makes a new key for the built-in issuer. The old public keys are kept, so that their tokens stay good, unless
    /// they are to be retired.
    ///
    /// # Errors
    /// [`LayoutError`]. The public keys are written first: whatever happens in between, no good token is refused.
    pub fn rotate_token_key(&self, retire_old: bool) -> Result<(), LayoutError> {
        /// As many as a reader of the file takes, but for the new one.
        const MOST_OLD_KEYS: usize = 8;
        let _lock = lock(&self.root)?;
        let (public, private) = (self.token_public_key(), self.root.join("jwt.key"));
        let new = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(AuthorityError::from)?;
        let mut keys = new.public_key_pem();
        if !retire_old {
            let old = String::from_utf8_lossy(&present(&public)?).into_owned();
            let old = old.split_inclusive("-----END PUBLIC KEY-----").map(str::trim).filter(|key| !key.is_empty());
            for key in old.take(MOST_OLD_KEYS) {
                keys.push_str(key);
                keys.push('\n');
            }
        }
        files::write(&public, keys.as_bytes(), Readers::Everybody)?;
        files::write(&private, Zeroizing::new(new.serialize_pem()).as_bytes(), Readers::Owner)?;
        Ok(())
    }

    /// The certificate and key of `node`, for peers and for the gateway.
    #[must_use]
    pub fn tls(&self, node: &RingNode) -> Pair {
        pair(&self.root, &node.name)
    }

    /// The data folder of `node`; absent before its first start.
    #[must_use]
    pub fn data(&self, node: &RingNode) -> PathBuf {
        self.root.join(&node.name).join("data")
    }

    /// Adds `count` nodes in `zone` to the ring in `root`; they join it when they are started.
    ///
    /// # Errors
    /// [`LayoutError`]; those nodes were added that the ring has then.
    pub fn add(root: &Path, count: u16, zone: &str) -> Result<Self, LayoutError> {
        let mut ring = Self::open_or_init(root, &Shape::default())?;
        let _lock = lock(root)?;
        let (path, now) = (root.join("ring.json"), Timestamp::now());
        let file =
            files::read_json::<RingFile>(&path, FORMAT)?.ok_or_else(|| LayoutError::Absent { path: path.clone() })?;
        let mut nodes = file.nodes;
        let authority = authority(root, now)?;
        for _ in 0..count {
            let node = shape::next(&nodes, zone)?;
            create::member(root, &node, &authority, now)?;
            nodes.push(node);
        }
        files::write_json(&path, &RingFile { nodes: nodes.clone(), ..file }, Readers::Everybody)?;
        ring.nodes = nodes;
        Ok(ring)
    }

    fn renew_certificates(&self, now: Timestamp) -> Result<(), LayoutError> {
        for node in &self.nodes {
            let pair = self.tls(node);
            let validity = Validity::of_pem(&present(&pair.certificate)?)?;
            if !validity.is_ending(now) {
                continue;
            }
            let (name, until) = (&node.name, validity.until);
            if !self.root.join("ca.key").exists() {
                // The node itself says so if it has ended; the others and the commands can do without.
                tracing::warn!(%name, %until, "the node's certificate is to be renewed, and there is no ca.key to do it");
                continue;
            }
            if until < now {
                tracing::warn!(%name, %until, "the node's certificate has ended; issuing a new one");
            } else {
                tracing::info!(%name, %until, "the node's certificate ends soon; issuing a new one");
            }
            let key = KeyPair::from_pem(&secret_text(&pair.key)?).map_err(AuthorityError::from)?;
            let certificate = authority(&self.root, now)?.issue(name, &key, now)?;
            files::write(&pair.certificate, certificate.as_bytes(), Readers::Everybody)?;
        }
        Ok(())
    }
}

fn pair(root: &Path, name: &str) -> Pair {
    let folder = root.join(name);
    Pair { certificate: folder.join("tls.pem"), key: folder.join("tls.key") }
}

fn authority(root: &Path, now: Timestamp) -> Result<Authority, LayoutError> {
    let certificate = present(&root.join("ca.pem"))?;
    let certificate = std::str::from_utf8(&certificate).map_err(|_| AuthorityError::NotACertificate)?;
    Ok(Authority::load(certificate, &secret_text(&root.join("ca.key"))?, now)?)
}

fn present(path: &Path) -> Result<Zeroizing<Vec<u8>>, LayoutError> {
    files::read(path)?.ok_or_else(|| LayoutError::Absent { path: path.to_owned() })
}

fn secret_text(path: &Path) -> Result<Zeroizing<String>, LayoutError> {
    let bytes = files::read_secret(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| AuthorityError::NotACertificate)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Waits for other processes that open the folder; unlocked when dropped.
fn lock(root: &Path) -> Result<File, LayoutError> {
    let path = root.join(create::LOCK);
    let locked = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| FileError::Io { action: "lock", path, source }.into())
}

#[cfg(test)]
mod tests;
