//! The ways to the rings: which pods to ask, and with which keys. Kept for half a minute, so that a thousand jobs of a
//! ring do not read the same Secrets a thousand times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use scrapering_crds::ScrapeRing;
use thiserror::Error;

use crate::gateway::{self, Gateway, Jobs, Place};
use crate::ring::keys::Keys;
use crate::ring::{build, certificates, contract, keys};

/// How long a way is used before it is looked for again.
const FRESH: Duration = Duration::from_secs(30);
/// Rings whose ways are kept.
const KEPT: usize = 1024;
/// Nodes that are asked one after the other before a ring counts as silent.
const NODES_ASKED: usize = 3;

/// Why there is no way to a ring now.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server or the way to it is at fault.
    #[error("cannot read what the ring's gateway needs")]
    Api(#[from] kube::Error),
    /// The ring has no keys or certificates yet.
    #[error("the ring is being made: Secret {0} is not there yet")]
    Unready(String),
    /// A Secret is not what it should be.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// No node, or unusable certificates.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
}

/// Finds the way to a ring.
pub trait Ways: Send + Sync {
    /// What answers.
    type Jobs: Jobs;
    /// The way to a ring.
    fn to(&self, ring: &ScrapeRing) -> impl Future<Output = Result<Arc<Self::Jobs>, Error>> + Send;
    /// The way did not lead there: look again next time.
    fn forget(&self, ring: &ScrapeRing);
}

/// The ways through the pods of rings.
pub struct RingWays {
    client: Client,
    known: Mutex<BTreeMap<String, (Instant, Arc<Gateway>)>>,
}

impl RingWays {
    /// Knows no way yet.
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    fn known(&self, uid: &str) -> Option<Arc<Gateway>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(uid).filter(|(since, _)| since.elapsed() < FRESH).map(|(_, gateway)| Arc::clone(gateway))
    }

    async fn find(&self, ring: &ScrapeRing) -> Result<Gateway, Error> {
        let (name, namespace) = (ring.name_any(), ring.namespace().unwrap_or_default());
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let keys_name = contract::keys_name(&name);
        let data = secrets.get_opt(&keys_name).await?.ok_or_else(|| Error::Unready(keys_name.clone()))?;
        let keys = Keys::read(&keys_name, &data.data.unwrap_or_default())?;
        let tls_name = contract::tls_name(&name);
        let tls = secrets.get_opt(&tls_name).await?.and_then(|secret| secret.data).unwrap_or_default();
        let trusted = tls.get(certificates::CA).ok_or(Error::Unready(tls_name))?;
        let labels = build::selector(&name).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let pods = pods.list(&ListParams::default().labels(&labels.join(","))).await?.items;
        let places = places(&name, &namespace, &pods);
        Ok(Gateway::new(keys, namespace, &trusted.0, places)?)
    }
}

impl Ways for RingWays {
    type Jobs = Gateway;

    async fn to(&self, ring: &ScrapeRing) -> Result<Arc<Gateway>, Error> {
        let uid = ring.uid().unwrap_or_default();
        if let Some(gateway) = self.known(&uid) {
            return Ok(gateway);
        }
        let gateway = Arc::new(self.find(ring).await?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(uid, (Instant::now(), Arc::clone(&gateway)));
        Ok(gateway)
    }

    fn forget(&self, ring: &ScrapeRing) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&ring.uid().unwrap_or_default());
    }
}

/// Nodes that serve first, in the order of their names; then those that may.
fn places(ring: &str, namespace: &str, pods: &[Pod]) -> Vec<Place> {
    let mut places: Vec<(bool, Place)> = pods
        .iter()
        .filter_map(|pod| {
            let status = pod.status.as_ref()?;
            let ip = status.pod_ip.as_ref()?.parse().ok()?;
            let ready = status.conditions.iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True");
            let name = contract::node_name(ring, namespace, contract::ordinal(&pod.name_any())?);
            Some((!ready, Place { name, ip }))
        })
        .collect();
    places.sort_by(|(unready, one), (other, two)| (unready, &one.name).cmp(&(other, &two.name)));
    places.into_iter().map(|(_, place)| place).take(NODES_ASKED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, ip: Option<&str>, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": name },
            "status": { "podIP": ip, "conditions": [{ "type": "Ready", "status": ready }] },
        }))
        .expect("a pod")
    }

    #[test]
    fn nodes_that_serve_are_asked_first_and_those_without_address_never() {
        let pods = [
            pod("main-0", Some("10.0.0.1"), "False"),
            pod("main-1", None, "False"),
            pod("main-2", Some("10.0.0.3"), "True"),
        ];
        let names: Vec<_> = places("main", "web", &pods).into_iter().map(|place| place.name).collect();
        assert_eq!(names, ["main-2.main-peers.web.svc", "main-0.main-peers.web.svc"]);
    }
}
