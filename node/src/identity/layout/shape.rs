//! How many nodes a local ring has and where they listen: what a person may ask for, checked.

use super::super::is_dns_name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// A ring on one machine larger than this is a mistake.
const MOST_NODES: u16 = 32;
/// The smallest ring that survives two failures at once.
const DEFAULT_NODES: u16 = 5;
const DEFAULT_GATEWAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
const DEFAULT_RING_PORT: u16 = 7443;

/// What a zone may be called, in words.
pub const ZONE_RULE: &str = "1 to 63 letters, digits and inner '-', '_' or '.'";

/// One node of a local ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingNode {
    /// `ring-0`, `ring-1`, ...: its DNS name in certificates.
    pub name: String,
    /// Where peers reach it.
    pub ring_address: SocketAddr,
    /// Where clients reach it.
    pub gateway_address: SocketAddr,
    /// The generation of its first storage: 1 for a founder of the ring; absent for a node that joins later, which
    /// finds its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Where it stands, so that copies are spread over zones; empty if that does not matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
}

impl RingNode {
    /// Whether it is one of the nodes that form the ring.
    #[must_use]
    pub const fn is_founder(&self) -> bool {
        self.generation.is_some()
    }
}

/// What is asked of a ring; `None` leaves it to the folder, or to the default for a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// How many nodes: 1 to 32, by default 5.
    pub nodes: Option<u16>,
    /// The gateway of `ring-0`, by default 127.0.0.1:8443; the others listen on the ports above it.
    pub gateway: Option<SocketAddr>,
    /// The ring port of `ring-0` on 127.0.0.1, by default 7443; the others listen on the ports above it.
    pub ring_port_base: Option<u16>,
    /// The zones of a new ring's nodes, dealt out in turn; a ring that is there keeps its own.
    pub zones: Vec<String>,
}

/// Why a ring cannot be as asked for. The caller is at fault; nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum ShapeError {
    /// Too few or too many.
    #[error("a local ring has 1 to {MOST_NODES} nodes, and {nodes} were asked for")]
    Count {
        /// Asked for.
        nodes: u16,
    },
    /// Ports are counted up from the base.
    #[error("{nodes} nodes need the {what} ports {base} and up, which must lie between 1 and 65535")]
    Ports {
        /// Asked for.
        nodes: u16,
        /// Ring or gateway.
        what: &'static str,
        /// The first.
        base: u16,
    },
    /// One port for two things.
    #[error(
        "the ring ports (from {ring}) and the gateway ports (from {gateway}) of {nodes} nodes overlap; move one of them"
    )]
    Overlap {
        /// Asked for.
        nodes: u16,
        /// First ring port.
        ring: u16,
        /// First gateway port.
        gateway: u16,
    },
    /// No name of a zone.
    #[error("{zone:?} is not the name of a zone: {ZONE_RULE}")]
    Zone {
        /// What was given.
        zone: String,
    },
    /// The folder is of another ring than asked for.
    #[error(
        "the ring in {folder} has {what} {found}, and {wanted} was asked for; leave it out to use the folder's, or give another folder"
    )]
    Differs {
        /// The ring folder.
        folder: PathBuf,
        /// Which part.
        what: &'static str,
        /// In the folder.
        found: String,
        /// Asked for.
        wanted: String,
    },
}

impl Shape {
    /// The nodes of a new ring in this shape.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn nodes(&self) -> Result<Vec<RingNode>, ShapeError> {
        let nodes = self.nodes.unwrap_or(DEFAULT_NODES);
        let gateway = self.gateway.unwrap_or(DEFAULT_GATEWAY);
        let ring = self.ring_port_base.unwrap_or(DEFAULT_RING_PORT);
        if !(1..=MOST_NODES).contains(&nodes) {
            return Err(ShapeError::Count { nodes });
        }
        if let Some(zone) = self.zones.iter().find(|zone| !is_zone(zone)) {
            return Err(ShapeError::Zone { zone: zone.clone() });
        }
        for (what, base) in [("ring", ring), ("gateway", gateway.port())] {
            if base == 0 || base.checked_add(nodes - 1).is_none() {
                return Err(ShapeError::Ports { nodes, what, base });
            }
        }
        if ring.abs_diff(gateway.port()) < nodes {
            return Err(ShapeError::Overlap { nodes, ring, gateway: gateway.port() });
        }
        let node = |number| RingNode {
            name: format!("ring-{number}"),
            ring_address: SocketAddr::from((Ipv4Addr::LOCALHOST, ring + number)),
            gateway_address: SocketAddr::new(gateway.ip(), gateway.port() + number),
            generation: Some(1),
            zone: self.zones.get(usize::from(number) % self.zones.len().max(1)).cloned().unwrap_or_default(),
        };
        Ok((0..nodes).map(node).collect())
    }

    /// Whether the ring of `nodes` in `folder` is what was asked for.
    pub(super) fn matches(&self, folder: &Path, nodes: &[RingNode]) -> Result<(), ShapeError> {
        let differs = |what, found: &dyn ToString, wanted: &dyn ToString| {
            Err(ShapeError::Differs {
                folder: folder.to_owned(),
                what,
                found: found.to_string(),
                wanted: wanted.to_string(),
            })
        };
        let Some(first) = nodes.first() else { return Ok(()) };
        match *self {
            Self { nodes: Some(wanted), .. } if usize::from(wanted) != nodes.len() => {
                differs("a node count of", &nodes.len(), &wanted)
            }
            Self { gateway: Some(wanted), .. } if wanted != first.gateway_address => {
                differs("the first gateway at", &first.gateway_address, &wanted)
            }
            Self { ring_port_base: Some(wanted), .. } if wanted != first.ring_address.port() => {
                differs("the first ring port", &first.ring_address.port(), &wanted)
            }
            _ => Ok(()),
        }
    }
}

/// A node that is added to `nodes` and joins their ring, on the next ports.
pub(super) fn next(nodes: &[RingNode], zone: &str) -> Result<RingNode, ShapeError> {
    let count = u16::try_from(nodes.len()).unwrap_or(u16::MAX);
    let (Some(first), Some(wanted)) = (nodes.first(), count.checked_add(1).filter(|wanted| *wanted <= MOST_NODES))
    else {
        return Err(ShapeError::Count { nodes: count.saturating_add(1) });
    };
    if !is_zone(zone) && !zone.is_empty() {
        return Err(ShapeError::Zone { zone: zone.to_owned() });
    }
    let (ring, gateway) = (first.ring_address, first.gateway_address);
    for (what, base) in [("ring", ring.port()), ("gateway", gateway.port())] {
        if base.checked_add(count).is_none() {
            return Err(ShapeError::Ports { nodes: wanted, what, base });
        }
    }
    let node = RingNode {
        name: format!("ring-{count}"),
        ring_address: SocketAddr::new(ring.ip(), ring.port() + count),
        gateway_address: SocketAddr::new(gateway.ip(), gateway.port() + count),
        generation: None,
        zone: zone.to_owned(),
    };
    let mut addresses = nodes.iter().flat_map(|other| [other.ring_address, other.gateway_address]);
    if addresses.any(|address| address == node.ring_address || address == node.gateway_address) {
        return Err(ShapeError::Overlap { nodes: wanted, ring: ring.port(), gateway: gateway.port() });
    }
    Ok(node)
}

/// Whether `zone` is a label's value as in Kubernetes.
#[must_use]
pub fn is_zone(zone: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    zone.len() <= 63
        && end(zone.as_bytes().first())
        && end(zone.as_bytes().last())
        && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether the nodes read from a file can be a ring; the error says what is wrong.
pub(super) fn check(nodes: &[RingNode]) -> Result<(), String> {
    if nodes.is_empty() || nodes.len() > usize::from(MOST_NODES) {
        return Err(format!("it lists {} nodes, and a ring has 1 to {MOST_NODES}", nodes.len()));
    }
    let mut names = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    for node in nodes {
        if !is_dns_name(&node.name) {
            return Err(format!("{:?} is not a DNS name", node.name));
        }
        if node.generation.is_some_and(|generation| generation != 1) {
            return Err(format!("the generation of {} is not 1, as that of a founder is", node.name));
        }
        if !is_zone(&node.zone) && !node.zone.is_empty() {
            return Err(format!("the zone of {} is {:?}, which is not {ZONE_RULE}", node.name, node.zone));
        }
        if !names.insert(&node.name) {
            return Err(format!("{} is listed twice", node.name));
        }
        for address in [node.ring_address, node.gateway_address] {
            if address.port() == 0 || !addresses.insert(address) {
                return Err(format!("{} listens at {address}, which is no port or another's", node.name));
            }
        }
    }
    Ok(())
}
