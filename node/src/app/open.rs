//! Opens a node's data folder: that of a member as it is, that of a new one with the first views in it.

use super::config::NodeConfig;
use super::formation::Found;
use crate::identity::{self, NodeIdentity};
use crate::storage::{Keyring, RocksStore, files, keyring, rocks};
use anyhow::Context;
use scrapering_core::id::Partition;
use scrapering_core::register::Acceptor;
use scrapering_core::store::{Batch, Store};
use scrapering_core::view::Placement;
use std::fs;
use std::path::Path;

/// An open data folder.
pub(super) struct Opened {
    pub(super) identity: NodeIdentity,
    pub(super) store: RocksStore,
    pub(super) acceptor: Acceptor,
}

/// Opens the folder of a member.
pub(super) fn member(config: &NodeConfig, generation: u64) -> anyhow::Result<Opened> {
    let folder = &config.data;
    let (identity, store) = parts(config, generation)?;
    let acceptor = Acceptor::load(identity.node_id, &store)?;
    let is_whole = Partition::all().all(|partition| acceptor.partition(partition).is_some());
    anyhow::ensure!(
        is_whole,
        "the data folder {} is damaged: it does not say who keeps what; empty it to come back as a new node that fetches its data from the others",
        folder.display()
    );
    Ok(Opened { identity, store, acceptor })
}

/// Makes the folder of a node that is new in the ring. Until the ledger says that it is a member, it can be made again.
pub(super) fn newcomer(config: &NodeConfig, found: &Found) -> anyhow::Result<Opened> {
    discard_attempt(&config.data)?;
    let (identity, store) = parts(config, found.generation)?;
    // Who joins begins with them too: they are wrong by then, and whoever is asked by them tells the newer ones.
    let views = Placement::new(found.founders.nodes()).genesis_views();
    let acceptor = Acceptor::genesis(identity.node_id, &views);
    let mut batch = Batch::default();
    acceptor.persist(&mut batch);
    store.commit(&batch)?;
    Ok(Opened { identity, store, acceptor })
}

fn parts(config: &NodeConfig, generation: u64) -> anyhow::Result<(NodeIdentity, RocksStore)> {
    let NodeConfig { ring_id, own, data: folder, .. } = config;
    let identity = NodeIdentity::open_or_create(folder, *ring_id, &own.name, generation)?;
    anyhow::ensure!(
        identity.generation == generation,
        "the data folder {} holds parts of two disks; empty it to come back as a new node",
        folder.display()
    );
    let keyring = Keyring::open_or_create(folder, &config.ring_key, *ring_id, &own.name)?;
    Ok((identity, RocksStore::open(folder, &keyring)?))
}

/// Removes what an attempt left that ended before the node was a member: nobody has been promised anything of it.
fn discard_attempt(folder: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot remove what an interrupted start left in {}", folder.display());
    let store = folder.join(rocks::FOLDER);
    if store.exists() {
        fs::remove_dir_all(&store).with_context(failed)?;
    }
    for file in [keyring::FILE, identity::FILE].map(|file| folder.join(file)) {
        if file.exists() {
            fs::remove_file(&file).with_context(failed)?;
        }
    }
    Ok(files::sync_folder(folder)?)
}
