//! Step one: reads, live, the ring and all that its reconcile depends on. Nothing is decided here.
//!
//! Every read goes to the server, none to a cache: what follows may be irreversible.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use scrapering_crds::ScrapeRing;
use scrapering_crds::ring::CertificateSource;

use super::door::{Door, Place};
use super::keys::{Data, Keys};
use super::report::Report;
use super::{build, certificates, contract};

/// A ring as it is right now, with what surrounds it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The ring, read from the server rather than from the watch, which may lag behind our own writes.
    pub ring: ScrapeRing,
    /// The workload, if there is one and it is this ring's own.
    pub stateful_set: Option<StatefulSet>,
    /// Content of the Secret of keys.
    pub keys: Option<Data>,
    /// Content of the Secret of the authority.
    pub authority: Option<Data>,
    /// Content of the Secret of the nodes' certificate.
    pub leaf: Option<Data>,
    /// Content of the Secret that cert-manager writes, where it is the source of certificates.
    pub issued: Option<Data>,
    /// Content of the Secret of the token for metrics.
    pub metrics: Option<Data>,
    /// The workload's pods, by ordinal.
    pub pods: BTreeMap<u32, Pod>,
    /// The claims of its volumes, by ordinal.
    pub claims: BTreeMap<u32, PersistentVolumeClaim>,
    /// What the nodes say, by ordinal.
    pub reports: BTreeMap<u32, Report>,
    /// Whether the ring's ConfigMap says that the ring was formed.
    pub was_formed: bool,
}

impl Found {
    /// A ring beside which there is nothing yet.
    pub const fn alone(ring: ScrapeRing) -> Self {
        Self {
            ring,
            stateful_set: None,
            keys: None,
            authority: None,
            leaf: None,
            issued: None,
            metrics: None,
            pods: BTreeMap::new(),
            claims: BTreeMap::new(),
            reports: BTreeMap::new(),
            was_formed: false,
        }
    }

    /// The authorities that the nodes trust, PEM.
    pub fn trusted(&self) -> Option<String> {
        String::from_utf8(self.leaf.as_ref()?.get(certificates::CA)?.0.clone()).ok()
    }

    /// The way to the ring's nodes; `None` while the ring has no keys or no certificates.
    pub fn door(&self) -> Option<Door> {
        let (name, namespace) = (self.ring.name_any(), self.ring.namespace()?);
        let keys = Keys::read(&contract::keys_name(&name), self.keys.as_ref()?).ok()?;
        let trusted = self.trusted()?;
        let places = self.pods.iter().filter_map(|(ordinal, pod)| {
            let ip = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
            Some((*ordinal, Place { name: contract::node_name(&name, &namespace, *ordinal), ip }))
        });
        match Door::new(&keys, &namespace, trusted.as_bytes(), places.collect()) {
            Ok(door) => Some(door),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(tracing::field::display);
                tracing::warn!(ring = name, cause, "{error}");
                None
            }
        }
    }
}

/// Reads the ring and its surroundings, and asks its nodes.
///
/// `None` means there is nothing to do: the ring is gone, is being deleted (what it owns goes with it), or another one
/// of the same name took its place, which has a reconcile of its own.
///
/// # Errors
/// Whatever the API server or the way to it answers; nothing was changed.
pub async fn dereference(client: &Client, seen: &ObjectMeta) -> Result<Option<Found>, kube::Error> {
    let (name, namespace) = (seen.name.as_deref().unwrap_or_default(), seen.namespace.as_deref().unwrap_or_default());
    let rings: Api<ScrapeRing> = Api::namespaced(client.clone(), namespace);
    let Some(ring) = rings.get_opt(name).await? else { return Ok(None) };
    if ring.metadata.uid != seen.uid || ring.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let stateful_set = Api::<StatefulSet>::namespaced(client.clone(), namespace)
        .get_opt(name)
        .await?
        .filter(|workload| controlled_by(&workload.metadata, ring.metadata.uid.as_deref()));
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let data =
        async |name: String| Ok::<_, kube::Error>(secrets.get_opt(&name).await?.map(|it| it.data.unwrap_or_default()));
    let keys = data(contract::keys_name(name)).await?;
    let authority = data(contract::ca_name(name)).await?;
    let leaf = data(contract::tls_name(name)).await?;
    let metrics = data(contract::metrics_name(name)).await?;
    let issued = match ring.spec.security.tls.source {
        CertificateSource::Operator => None,
        CertificateSource::CertManager => data(contract::issued_name(name)).await?,
    };
    let selector =
        build::selector(name).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let ours = ListParams::default().labels(&selector);
    let workload_uid = stateful_set.as_ref().and_then(|workload| workload.metadata.uid.clone());
    let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&ours).await?;
    // A workload that was made anew has not taken in the pods of the one before yet.
    let is_ours = |pod: &Pod| controller(&pod.metadata).is_none_or(|uid| Some(uid) == workload_uid.as_deref());
    let pods = pods.items.into_iter().filter(is_ours);
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace).list(&ours).await?;
    let settings = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(name).await?;
    let was_formed = settings.is_some_and(|settings| {
        let formed = settings.data.as_ref().and_then(|data| data.get(contract::FORMED));
        formed.is_some_and(|formed| formed == "true") && controlled_by(&settings.metadata, ring.metadata.uid.as_deref())
    });
    let mut found = Found {
        stateful_set,
        keys,
        authority,
        leaf,
        issued,
        metrics,
        pods: by_ordinal(pods, |ordinal| contract::pod_name(name, ordinal)),
        claims: by_ordinal(claims.items, |ordinal| contract::claim_name(name, ordinal)),
        reports: BTreeMap::new(),
        was_formed,
        ring,
    };
    if let Some(door) = found.door() {
        found.reports = door.reports().await;
    }
    Ok(Some(found))
}

/// Objects by the ordinal in their names; one that is not named as it should be is none of the ring's.
fn by_ordinal<K: ResourceExt>(objects: impl IntoIterator<Item = K>, named: impl Fn(u32) -> String) -> BTreeMap<u32, K> {
    let numbered = objects.into_iter().filter_map(|object| Some((contract::ordinal(&object.name_any())?, object)));
    numbered.filter(|(ordinal, object)| named(*ordinal) == object.name_any()).collect()
}

/// Whether an object's controller is the one of this uid.
pub(crate) fn controlled_by(object: &ObjectMeta, uid: Option<&str>) -> bool {
    uid.is_some() && controller(object) == uid
}

/// The uid of an object's controller.
fn controller(object: &ObjectMeta) -> Option<&str> {
    let owners = object.owner_references.iter().flatten();
    owners.into_iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str())
}
