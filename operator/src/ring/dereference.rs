//! Step one: reads, live, the ring and what its reconcile depends on. Nothing is decided here.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, ResourceExt};
use scrapering_crds::ScrapeRing;

use super::contract;
use super::status::Problem;

/// A ring as it is right now, with what surrounds it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The ring, read from the server rather than from the watch, which may lag behind our own writes.
    pub ring: ScrapeRing,
    /// The workload, if there is one and it is this ring's own.
    pub stateful_set: Option<StatefulSet>,
    /// Names of the keys in the ring's Secret; `None` when there is no such Secret. Values are dropped at once.
    pub secret_keys: Option<BTreeSet<String>>,
}

impl Found {
    /// What is wrong with the ring's Secret, if anything.
    pub fn keys_problem(&self) -> Option<Problem> {
        let name = contract::secret_name(&self.ring.name_any());
        let Some(present) = &self.secret_keys else {
            return Some(Problem {
                reason: "SecretMissing",
                message: format!("Secret {name} does not exist; the nodes start once it does"),
            });
        };
        let missing: Vec<&str> =
            contract::SECRET_FILES.iter().map(|(key, _)| *key).filter(|key| !present.contains(*key)).collect();
        (!missing.is_empty()).then(|| Problem {
            reason: "SecretIncomplete",
            message: format!("Secret {name} lacks {}; the nodes start once it is there", missing.join(", ")),
        })
    }
}

/// Reads the ring and its surroundings.
///
/// `None` means there is nothing to do: the ring is gone, is being deleted (what it owns goes with it, its volumes
/// stay), or another one of the same name took its place, which has a reconcile of its own.
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
    let secret = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(&contract::secret_name(name)).await?;
    let secret_keys = secret.map(|secret| secret.data.unwrap_or_default().into_keys().collect());
    Ok(Some(Found { ring, stateful_set, secret_keys }))
}

/// Whether an object's controller is the one of this uid.
pub(super) fn controlled_by(object: &ObjectMeta, uid: Option<&str>) -> bool {
    let owners = object.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.controller == Some(true) && Some(owner.uid.as_str()) == uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(secret_keys: Option<&[&str]>) -> Found {
        Found {
            ring: ScrapeRing::new("main", scrapering_crds::ScrapeRingSpec::default()),
            stateful_set: None,
            secret_keys: secret_keys.map(|keys| keys.iter().map(|&key| key.to_owned()).collect()),
        }
    }

    #[test]
    fn a_missing_secret_is_named() {
        let problem = found(None).keys_problem().expect("a problem");
        assert_eq!(problem.reason, "SecretMissing");
        assert!(problem.message.contains("main-keys"), "{}", problem.message);
    }

    #[test]
    fn an_incomplete_secret_is_told_which_keys_it_lacks() {
        let problem = found(Some(&["ring.key", "ca.crt", "tls.crt"])).keys_problem().expect("a problem");
        assert_eq!(problem.reason, "SecretIncomplete");
        assert!(problem.message.contains("tls.key, jwt"), "{}", problem.message);
    }

    #[test]
    fn a_complete_secret_is_no_problem() {
        let all = contract::SECRET_FILES.map(|(key, _)| key);
        assert_eq!(found(Some(&all)).keys_problem(), None);
    }
}
