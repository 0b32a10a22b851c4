//! What a node needs to start: from the folder of a local ring, or from a list of peers and a few files.

use crate::auth::OidcOptions;
use crate::fetch::{Cidr, FixedName};
use crate::identity::layout::{LayoutError, RingDir, RingNode};
use crate::identity::tls::Pair;
use crate::rpc::PeerAddress;
use crate::storage::RingKey;
use scrapering_core::formation::GENESIS_GENERATION;
use scrapering_core::frontier::shard::Policy;
use scrapering_core::id::{NodeId, RingId};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// What a node may be told beside its ring folder.
#[derive(Clone, Debug, Default)]
pub struct NodeOptions {
    /// Networks that may be visited although they are not globally routable.
    pub allow_private_cidrs: Vec<Cidr>,
    /// Names that are not looked up, because the operator says where they are.
    pub fixed_names: Vec<FixedName>,
    /// What is asked of every visit, whatever a job says.
    pub policy: Policy,
    /// The zone it stands in; by default that of its ring folder.
    pub zone: Option<String>,
    /// Its share of the ring, by default 1, which is 32 virtual nodes.
    pub weight: Option<u16>,
    /// The ring is known to have been formed: an empty data folder may join it, and never forms another.
    pub formed: bool,
    /// A data folder that has left its ring for good is emptied and joins as a new node; otherwise it is refused.
    pub rejoin: bool,
    /// An issuer elsewhere whose tokens are accepted besides the ring's own.
    pub oidc: Option<OidcOptions>,
    /// Requests a second that each caller may send to its gateway; by default 5000.
    pub requests_per_second: Option<NonZeroU32>,
}

/// A member of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its stable DNS name, as in its certificate.
    pub name: String,
    /// Host and port where peers reach it.
    pub address: String,
    /// Host and port of its gateway, if that is known.
    pub gateway: Option<String>,
}

impl Member {
    /// Where it is dialled. The generation is that of a genesis member: who is asked before it is known need not be in it.
    pub(super) fn peer_address(&self) -> PeerAddress {
        PeerAddress {
            node: NodeId::new(&self.name, GENESIS_GENERATION),
            name: self.name.clone(),
            address: self.address.clone(),
        }
    }
}

/// Everything that a node needs to start.
#[derive(Debug)]
pub struct NodeConfig {
    /// The ring.
    pub ring_id: RingId,
    /// The node itself, as the others shall know it.
    pub own: Member,
    /// The zone it stands in; empty if unknown.
    pub zone: String,
    /// All members at genesis. A node that is not among them joins a ring that is formed.
    pub genesis: Vec<Member>,
    /// Other nodes of the ring, as far as they are known.
    pub contacts: Vec<Member>,
    /// Where it listens for peers.
    pub listen: SocketAddr,
    /// Where its gateway listens.
    pub gateway: SocketAddr,
    /// Its data folder.
    pub data: PathBuf,
    /// The key that wraps its data keys.
    pub ring_key: RingKey,
    /// Its certificate and key.
    pub tls: Pair,
    /// The certificate of the ring's authority.
    pub ca: PathBuf,
    /// The public key that checks tokens.
    pub token_public_key: PathBuf,
    /// What it may be told.
    pub options: NodeOptions,
}

impl NodeConfig {
    /// The node `name` of the ring in `dir`.
    ///
    /// # Errors
    /// [`LayoutError`] if there is no such node, or the ring's key cannot be read.
    pub fn of_ring_dir(dir: &RingDir, name: &str, options: NodeOptions) -> Result<Self, LayoutError> {
        let node = dir.node(name)?;
        let member = |node: &RingNode| Member {
            name: node.name.clone(),
            address: node.ring_address.to_string(),
            gateway: Some(node.gateway_address.to_string()),
        };
        let (genesis, joined): (Vec<_>, Vec<_>) = dir.nodes().iter().partition(|node| node.is_founder());
        Ok(Self {
            ring_id: dir.ring_id(),
            own: member(node),
            zone: options.zone.clone().unwrap_or_else(|| node.zone.clone()),
            genesis: genesis.into_iter().map(member).collect(),
            contacts: joined.into_iter().map(member).collect(),
            listen: node.ring_address,
            gateway: node.gateway_address,
            data: dir.data(node),
            ring_key: dir.ring_key()?,
            tls: dir.tls(node),
            ca: dir.ca(),
            token_public_key: dir.token_public_key(),
            options,
        })
    }

    /// The names of the genesis members.
    #[must_use]
    pub fn genesis_names(&self) -> BTreeSet<String> {
        self.genesis.iter().map(|member| member.name.clone()).collect()
    }

    /// Every other node that is known before the ring has told of its members.
    pub fn others(&self) -> impl Iterator<Item = &Member> {
        self.genesis.iter().chain(&self.contacts).filter(|member| member.name != self.own.name)
    }
}

/// The members named in a list `NAME=HOST:PORT,...`; without `NAME=` the name is the host.
///
/// # Errors
/// A sentence that names the entry and what is wrong with it.
pub fn parse_peers(list: &str) -> Result<Vec<Member>, String> {
    let mut members: Vec<Member> = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (name, address) =
            entry.split_once('=').unwrap_or((entry.rsplit_once(':').map_or("", |(host, _)| host), entry));
        let has_port =
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if name.is_empty() || !has_port {
            return Err(format!("{entry:?} is not a peer: write NAME=HOST:PORT or HOST:PORT"));
        }
        if members.iter().any(|member| member.name == name) {
            return Err(format!("the peer {name} is named twice"));
        }
        members.push(Member { name: name.to_owned(), address: address.to_owned(), gateway: None });
    }
    if members.is_empty() {
        Err("the list of peers is empty: name every member of the ring, this node too".to_owned())
    } else {
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_or_named_by_its_host() {
        let members = parse_peers("ring-0=127.0.0.1:7443, main-1.peers.team.svc:7443,").expect("both forms are right");
        let shown: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.address.as_str())).collect();
        assert_eq!(shown, [("ring-0", "127.0.0.1:7443"), ("main-1.peers.team.svc", "main-1.peers.team.svc:7443")]);
    }

    #[test]
    fn a_bad_list_of_peers_is_refused_with_the_entry() {
        for (list, word) in
            [("", "empty"), ("ring-0", "ring-0"), ("a=h:1,a=h:2", "twice"), ("a=h:x", "a=h:x"), ("=h:1", "=h:1")]
        {
            let error = parse_peers(list).expect_err("the list is bad");
            assert!(error.contains(word), "{error}");
        }
    }
}
