//! Step two: turns a ring as found into one that can be built, or says which field stands in the way.
//!
//! The API server has checked the schema already; this repeats what safety rests on, because an object may be older
//! than the schema, and adds what the schema cannot see: names that become DNS labels, and what already runs.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use thiserror::Error;

use super::contract;
use super::dereference::Found;

/// Longest name of a ring: what is derived from it (`<name>-gateway`, `<name>-1023`, a pod's revision label) has to
/// fit the 63 characters of a DNS label.
const MAX_NAME_CHARS: usize = 40;
/// Most nodes a ring may have.
const MAX_REPLICAS: i32 = 1024;
/// Linux refuses a program whose longest variable exceeds 128 KiB; the list of peers is one variable.
const MAX_PEERS_BYTES: usize = 120 * 1024;

/// A ring that [`build`](super::build) may turn into objects.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedRing {
    /// A DNS label of at most 40 characters.
    pub name: String,
    /// The ring's namespace.
    pub namespace: String,
    /// The ring itself, as controller of what is built.
    pub owner: OwnerReference,
    /// Image of the nodes.
    pub image: String,
    /// Number of nodes; that of the running workload where there is one.
    pub replicas: i32,
    /// Disk of each node; that of the running workload where there is one.
    pub storage: Storage,
    /// `host:port` of every node, in order of their ordinals.
    pub peers: Vec<String>,
    /// Changes that were asked for and are not made.
    pub held: Vec<Held>,
}

/// The disk of each node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// A positive Kubernetes quantity.
    pub size: String,
    /// Storage class; `None` is the cluster's default.
    pub class: Option<String>,
}

/// A change of a running ring that this version does not make, because it could lose data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Path of the field.
    pub field: &'static str,
    /// What runs.
    pub running: String,
    /// What was asked for.
    pub wanted: String,
}

/// Why a ring cannot be built. The ring's author is at fault; what already runs is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The name cannot be part of DNS names.
    #[error(
        "metadata.name: \"{0}\" must be 1 to 40 lower-case letters, digits and \"-\", begin with a letter and end with \
         a letter or digit; make the ring again under another name"
    )]
    Name(String),
    /// The object did not come from an API server.
    #[error("metadata.{0}: missing, so nothing can be owned by the ring")]
    Identity(&'static str),
    /// Too few or too many nodes.
    #[error("spec.replicas: {0} is not between 1 and {MAX_REPLICAS}")]
    Replicas(i32),
    /// The addresses of all nodes do not fit a process's environment.
    #[error("spec.replicas: the addresses of {0} nodes are too long for a process; use fewer nodes or shorter names")]
    Peers(i32),
    /// Not a reference to an image.
    #[error("spec.image: \"{0}\" is empty or holds a space")]
    Image(String),
    /// Not a size.
    #[error("spec.storage.size: \"{0}\" is not a size above zero such as \"10Gi\"")]
    Size(String),
}

/// Checks a ring against what it needs and what already runs.
///
/// # Errors
/// The first field that stands in the way.
pub fn validate(found: &Found, default_image: &str) -> Result<ValidatedRing, Error> {
    let ring = &found.ring;
    let spec = &ring.spec;
    let name = ring.metadata.name.clone().filter(|name| is_label(name));
    let name = name.ok_or_else(|| Error::Name(ring.metadata.name.clone().unwrap_or_default()))?;
    let namespace = ring.metadata.namespace.clone().ok_or(Error::Identity("namespace"))?;
    let owner = ring.controller_owner_ref(&()).ok_or(Error::Identity("uid"))?;
    if !(1..=MAX_REPLICAS).contains(&spec.replicas) {
        return Err(Error::Replicas(spec.replicas));
    }
    let image = spec.image.as_deref().unwrap_or(default_image).to_owned();
    if image.is_empty() || image.contains(char::is_whitespace) {
        return Err(Error::Image(image));
    }
    if bytes(&spec.storage.size).is_none() {
        return Err(Error::Size(spec.storage.size.clone()));
    }
    let wanted = Storage { size: spec.storage.size.clone(), class: spec.storage.storage_class_name.clone() };
    let (replicas, storage, held) = hold(found.stateful_set.as_ref(), spec.replicas, wanted);
    let peers: Vec<String> = (0..replicas)
        .map(|ordinal| format!("{name}-{ordinal}.{name}-peers.{namespace}.svc:{}", contract::RING_PORT))
        .collect();
    if peers.iter().map(|peer| peer.len() + 1).sum::<usize>() > MAX_PEERS_BYTES {
        return Err(Error::Peers(replicas));
    }
    Ok(ValidatedRing { name, namespace, owner, image, replicas, storage, peers, held })
}

/// What runs wins over what is asked for: the number of nodes because each holds data that others count on, the
/// volumes because the API server does not let a StatefulSet change them.
fn hold(running: Option<&StatefulSet>, replicas: i32, wanted: Storage) -> (i32, Storage, Vec<Held>) {
    let Some(spec) = running.and_then(|workload| workload.spec.as_ref()) else {
        return (replicas, wanted, Vec::new());
    };
    let mut held = Vec::new();
    let mut hold = |field, running: String, wanted: String| held.push(Held { field, running, wanted });
    let running_replicas = spec.replicas.unwrap_or(replicas);
    if running_replicas != replicas {
        hold("spec.replicas", running_replicas.to_string(), replicas.to_string());
    }
    let claim = spec.volume_claim_templates.iter().flatten().find_map(|claim| claim.spec.as_ref());
    let Some(claim) = claim else { return (running_replicas, wanted, held) };
    let requests = claim.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let size = requests.and_then(|requests| requests.get("storage"));
    let size = size.map_or_else(|| wanted.size.clone(), |size| size.0.clone());
    if bytes(&size) != bytes(&wanted.size) {
        hold("spec.storage.size", size.clone(), wanted.size);
    }
    let class = claim.storage_class_name.clone();
    if class != wanted.class {
        let shown = |class: &Option<String>| class.clone().unwrap_or_else(|| "the default".to_owned());
        hold("spec.storage.storageClassName", shown(&class), shown(&wanted.class));
    }
    (running_replicas, Storage { size, class }, held)
}

/// RFC 1035 label, as Services need it.
fn is_label(name: &str) -> bool {
    name.len() <= MAX_NAME_CHARS
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Bytes of a whole, positive quantity; the API server may write the same size with another suffix than the user did.
fn bytes(quantity: &str) -> Option<u128> {
    let digits = quantity.find(|char: char| !char.is_ascii_digit()).unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(digits);
    let number: u64 = number.parse().ok().filter(|&number| number > 0)?;
    let (base, power): (u128, u32) = match suffix {
        "" => (1, 0),
        "k" => (1000, 1),
        "M" => (1000, 2),
        "G" => (1000, 3),
        "T" => (1000, 4),
        "P" => (1000, 5),
        "Ki" => (1024, 1),
        "Mi" => (1024, 2),
        "Gi" => (1024, 3),
        "Ti" => (1024, 4),
        "Pi" => (1024, 5),
        _ => return None,
    };
    Some(u128::from(number) * base.pow(power))
}

#[cfg(test)]
mod tests;
