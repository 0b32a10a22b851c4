//! Makes a ring folder: everything else first, ring.json last, so that an interrupted start begins again.

use super::super::authority::{self, Authority};
use super::{FORMAT, LayoutError, RingFile, RingNode, pair};
use crate::storage::RingKey;
use crate::storage::files::{self, FileError, Readers};
use jiff::Timestamp;
use rcgen::KeyPair;
use std::fs;
use std::io;
use std::path::Path;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Held while the folder is opened or made.
pub(super) const LOCK: &str = ".lock";
/// What an interrupted start may have left; nothing was sealed or signed for anyone with it.
const OURS: [&str; 7] = [LOCK, "ring.json", "ring.key", "ca.pem", "ca.key", "jwt.key", "jwt.pub"];

/// Makes the ring of `nodes` in `root`, whose lock the caller holds.
pub(super) fn ring(root: &Path, nodes: &[RingNode], now: Timestamp) -> Result<RingFile, LayoutError> {
    refuse_foreign(root)?;
    let secret = |name: &str, text: &str| files::write(&root.join(name), text.as_bytes(), Readers::Owner);
    let public = |name: &str, text: &str| files::write(&root.join(name), text.as_bytes(), Readers::Everybody);
    let key = RingKey::generate();
    // As a node that is given the key alone computes it: both ways of starting a node lead into the same ring.
    let ring_id = Uuid::from_bytes(key.ring_id().0);
    secret("ring.key", &key.to_text())?;
    let (certificate, key) = Authority::generate(&ring_id.simple().to_string(), now)?;
    secret("ca.key", &key)?;
    public("ca.pem", &certificate)?;
    let tokens = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(authority::AuthorityError::from)?;
    secret("jwt.key", &Zeroizing::new(tokens.serialize_pem()))?;
    public("jwt.pub", &tokens.public_key_pem())?;
    let authority = Authority::load(&certificate, &key, now)?;
    for node in nodes {
        member(root, node, &authority, now)?;
    }
    let file = RingFile { format: FORMAT, ring_id, nodes: nodes.to_vec() };
    files::write_json(&root.join("ring.json"), &file, Readers::Everybody)?;
    Ok(file)
}

/// Makes the folder of one node, with its certificate and key.
pub(super) fn member(root: &Path, node: &RingNode, authority: &Authority, now: Timestamp) -> Result<(), LayoutError> {
    let pair = pair(root, &node.name);
    files::create_folder(&root.join(&node.name))?;
    let key = authority::leaf_key()?;
    files::write(&pair.key, Zeroizing::new(key.serialize_pem()).as_bytes(), Readers::Owner)?;
    Ok(files::write(&pair.certificate, authority.issue(&node.name, &key, now)?.as_bytes(), Readers::Everybody)?)
}

/// A folder without ring.json may hold what an interrupted start left, and nothing else.
fn refuse_foreign(root: &Path) -> Result<(), LayoutError> {
    let failed = |source: io::Error| FileError::Io { action: "list the folder", path: root.to_owned(), source };
    for entry in fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let file = name.strip_suffix(".new").unwrap_or(&name);
        let unused_node = name.starts_with("ring-") && entry.path().is_dir() && !entry.path().join("data").exists();
        if !OURS.contains(&file) && !unused_node {
            return Err(LayoutError::Foreign { folder: root.to_owned(), found: name });
        }
    }
    Ok(())
}
