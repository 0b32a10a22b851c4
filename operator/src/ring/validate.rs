//! Step two: turns a ring as found into one that can be built, or says which field stands in the way.
//!
//! The API server has checked the schema already; this repeats what safety rests on, because an object may be older
//! than the schema, and adds what the schema cannot see: names that become DNS labels, and what already runs.

use std::cmp::Ordering;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use scrapering_crds::ScrapeRingSpec;
use scrapering_crds::ring::{ScaleInPolicy, WhenDeleted};
use thiserror::Error;

use super::contract;
use super::dereference::Found;
use super::keys::{self, Keys};

/// Longest name of a ring: what is derived from it (`<name>-gateway`, `<name>-1023`, a pod's revision label) has to
/// fit the 63 characters of a DNS label.
const MAX_NAME_CHARS: usize = 40;
/// Most nodes a ring may have.
const MAX_REPLICAS: u32 = 1024;
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
    /// What its owner asks for.
    pub spec: ScrapeRingSpec,
    /// Image of the nodes.
    pub image: String,
    /// Nodes asked for.
    pub desired: u32,
    /// Number of pods that there shall be now; the topology engine alone changes it.
    pub replicas: u32,
    /// Lowest ordinal that may be updated; the topology engine alone changes it.
    pub partition: u32,
    /// `metadata.resourceVersion` of the workload that these two numbers are from.
    pub workload_version: Option<String>,
    /// Disk of each node; that of the running workload where there is one.
    pub storage: Storage,
    /// Size that the disks shall have: that of `storage`, or a larger one that they are yet to grow to.
    pub size: String,
    /// `host:port` of the nodes that form the ring, in order of their ordinals.
    pub founders: Vec<String>,
    /// Whether the ring is known to have been formed.
    pub is_formed: bool,
    /// Whether one node may be evicted.
    pub may_evict: bool,
    /// Where the operator's own pods are.
    pub operator: Option<OperatorPods>,
    /// Every DNS name that the nodes' certificate must hold.
    pub names: Vec<String>,
    /// The authorities whose certificates clients shall trust, PEM; `None` while there are none.
    pub trusted: Option<String>,
    /// The value of the annotation by which all nodes are started anew.
    pub restart_at: Option<String>,
    /// Changes that were asked for and are not made.
    pub held: Vec<Held>,
}

/// Where the operator's own pods are, so that the nodes let them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorPods {
    /// Their namespace.
    pub namespace: String,
    /// Value of their label `app.kubernetes.io/component`.
    pub component: String,
}

/// The disk of each node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// A positive Kubernetes quantity.
    pub size: String,
    /// Storage class; `None` is the cluster's default.
    pub class: Option<String>,
}

/// A change of a running ring that is not made.
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
    Peers(u32),
    /// Not a reference to an image.
    #[error("spec.image: \"{0}\" is empty or holds a space")]
    Image(String),
    /// Not a size.
    #[error("spec.storage.size: \"{0}\" is not a size above zero such as \"10Gi\"")]
    Size(String),
    /// The ring's keys are missing or unusable.
    #[error(transparent)]
    Keys(#[from] keys::Error),
}

/// What every ring of an operator shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Image of the nodes of a ring whose spec names none.
    pub image: String,
    /// Where the operator's own pods are.
    pub operator: Option<OperatorPods>,
}

/// Checks what must be right before anything is made for a ring, its keys included. Gives the ring's name and namespace.
///
/// # Errors
/// The first field that stands in the way.
pub fn identity(found: &Found) -> Result<(String, String, OwnerReference), Error> {
    let ring = &found.ring;
    let name = ring.metadata.name.clone().filter(|name| is_label(name));
    let name = name.ok_or_else(|| Error::Name(ring.metadata.name.clone().unwrap_or_default()))?;
    let namespace = ring.metadata.namespace.clone().ok_or(Error::Identity("namespace"))?;
    let owner = ring.controller_owner_ref(&()).ok_or(Error::Identity("uid"))?;
    Ok((name, namespace, owner))
}

/// The nodes that form a ring which has no keys yet.
///
/// # Errors
/// The first field that stands in the way; a ring with volumes and no keys is refused, for they could not be read.
pub fn founders(found: &Found) -> Result<Vec<String>, Error> {
    let (name, namespace, _) = identity(found)?;
    let desired = desired(found)?;
    if !found.claims.is_empty() {
        let claims: Vec<String> = found.claims.keys().map(|ordinal| contract::claim_name(&name, *ordinal)).collect();
        return Err(keys::Error::Lost { secret: contract::keys_name(&name), claims: claims.join(", ") }.into());
    }
    let address = |ordinal| format!("{}:{}", contract::node_name(&name, &namespace, ordinal), contract::RING_PORT);
    let founders: Vec<String> = (0..desired).map(address).collect();
    if founders.iter().map(|peer| peer.len() + 1).sum::<usize>() > MAX_PEERS_BYTES {
        return Err(Error::Peers(desired));
    }
    Ok(founders)
}

/// Checks a ring against what it needs and what already runs.
///
/// # Errors
/// The first field that stands in the way.
pub fn validate(found: &Found, defaults: &Defaults) -> Result<ValidatedRing, Error> {
    let (name, namespace, owner) = identity(found)?;
    let desired = desired(found)?;
    let spec = found.ring.spec.clone();
    let image = spec.image.as_deref().unwrap_or(&defaults.image).to_owned();
    if image.is_empty() || image.contains(char::is_whitespace) {
        return Err(Error::Image(image));
    }
    if bytes(&spec.storage.size).is_none() {
        return Err(Error::Size(spec.storage.size.clone()));
    }
    let secret = contract::keys_name(&name);
    let keys = found.keys.as_ref().map(|data| Keys::read(&secret, data)).transpose()?;
    let founders = match keys {
        Some(keys) => keys.founders,
        None => founders(found)?,
    };
    let wanted = Storage { size: spec.storage.size.clone(), class: spec.storage.storage_class_name.clone() };
    let running = found.stateful_set.as_ref();
    let (storage, size, mut held) = hold(running, wanted);
    let (replicas, partition) = numbers(found, founders.len());
    if desired < replicas && spec.scale_in.policy == ScaleInPolicy::Forbid {
        held.push(Held { field: "spec.replicas", running: replicas.to_string(), wanted: desired.to_string() });
    }
    let claimed = found.claims.keys().next_back().map_or(0, |last| last + 1);
    let first = u32::try_from(founders.len()).unwrap_or(MAX_REPLICAS);
    let nodes = desired.max(replicas).max(first).max(claimed);
    Ok(ValidatedRing {
        names: contract::certificate_names(&name, &namespace, nodes),
        trusted: found.trusted(),
        restart_at: found.ring.annotations().get(contract::RESTART_AT).cloned(),
        name,
        namespace,
        owner,
        image,
        desired: if spec.scale_in.policy == ScaleInPolicy::Forbid { desired.max(replicas) } else { desired },
        replicas,
        partition,
        workload_version: running.and_then(|workload| workload.metadata.resource_version.clone()),
        storage,
        size,
        founders,
        is_formed: !found.reports.is_empty() || found.was_formed,
        may_evict: false,
        operator: defaults.operator.clone(),
        held,
        spec,
    })
}

impl ValidatedRing {
    /// Whether volumes and keys stay when the ring is deleted.
    pub fn keeps_volumes(&self) -> bool {
        self.spec.storage.when_deleted == WhenDeleted::Retain
    }
}

fn desired(found: &Found) -> Result<u32, Error> {
    let asked = found.ring.spec.replicas;
    u32::try_from(asked).ok().filter(|asked| (1..=MAX_REPLICAS).contains(asked)).ok_or(Error::Replicas(asked))
}

/// How many pods there are to be, and which may be updated. A new workload begins with everybody who forms the ring
/// and everybody who has a volume: a workload that was deleted by mistake must not cost nodes.
fn numbers(found: &Found, founders: usize) -> (u32, u32) {
    let spec = found.stateful_set.as_ref().and_then(|workload| workload.spec.as_ref());
    let Some(spec) = spec else {
        let volumes = found.claims.keys().next_back().map_or(0, |last| last + 1);
        let first = u32::try_from(founders).unwrap_or(MAX_REPLICAS);
        let all = if found.claims.is_empty() { first } else { volumes };
        return (all, all);
    };
    let replicas = spec.replicas.and_then(|replicas| u32::try_from(replicas).ok()).unwrap_or(1);
    let strategy = spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let partition = strategy.and_then(|rolling| rolling.partition).and_then(|partition| u32::try_from(partition).ok());
    (replicas, partition.unwrap_or(0).min(replicas))
}

/// What runs wins over what is asked for where the API server does not let a StatefulSet change. A larger size is
/// given back beside it, for the topology engine to bring about.
fn hold(running: Option<&StatefulSet>, wanted: Storage) -> (Storage, String, Vec<Held>) {
    let claims = running.and_then(|workload| workload.spec.as_ref()?.volume_claim_templates.as_ref());
    let claim = claims.into_iter().flatten().find_map(|claim| claim.spec.as_ref());
    let Some(claim) = claim else { return (wanted.clone(), wanted.size, Vec::new()) };
    let mut held = Vec::new();
    let mut hold = |field, running: String, wanted: String| held.push(Held { field, running, wanted });
    let requests = claim.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let size = requests.and_then(|requests| requests.get("storage"));
    let size = size.map_or_else(|| wanted.size.clone(), |size| size.0.clone());
    let mut growing = size.clone();
    match bytes(&wanted.size).cmp(&bytes(&size)) {
        Ordering::Greater => growing = wanted.size,
        Ordering::Less => hold("spec.storage.size", size.clone(), wanted.size),
        Ordering::Equal => {}
    }
    let class = claim.storage_class_name.clone();
    if wanted.class.is_some() && class != wanted.class {
        let shown = |class: &Option<String>| class.clone().unwrap_or_else(|| "the default".to_owned());
        hold("spec.storage.storageClassName", shown(&class), shown(&wanted.class));
    }
    (Storage { size, class }, growing, held)
}

/// RFC 1035 label, as Services need it.
fn is_label(name: &str) -> bool {
    name.len() <= MAX_NAME_CHARS
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Bytes of a whole, positive quantity; the API server may write the same size with another suffix than the user did.
pub(super) fn bytes(quantity: &str) -> Option<u128> {
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
