//! Brings about the objects of APIs that a cluster may not have, and says which of the APIs are missing.
//!
//! Nothing is discovered beforehand: an apply that finds no such path says so itself. An object that nobody wants is looked for once
//! by an operator, then known to be absent until it is wanted again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Client, ResourceExt};

use super::MANAGER;
use super::apply::{Error, Failure};
use super::build::{Neighbour, OptionalApi};
use super::dereference::controlled_by;
use super::neighbourhood::Served;
use super::validate::ValidatedRing;

/// Objects that are known to be absent, by the uid of their ring and the name of their API's resources.
#[derive(Debug, Default)]
pub struct Absent(Mutex<BTreeSet<(String, &'static str)>>);

impl Absent {
    /// Forgets a ring that is gone.
    pub fn forget(&self, ring: &str) {
        self.known().retain(|(uid, _)| uid != ring);
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<(String, &'static str)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of a ring's neighbours.
#[derive(Debug, Default)]
pub struct Met {
    /// APIs that the ring uses and that the cluster does not serve.
    pub missing: Vec<&'static OptionalApi>,
    /// Objects that could not be applied or removed.
    pub failures: Vec<Failure>,
}

/// Applies the objects that are wanted and removes the others; notes which APIs there are.
pub async fn meet(
    client: &Client,
    absent: &Absent,
    served: &Served,
    ring: &ValidatedRing,
    neighbours: Vec<Neighbour>,
) -> Met {
    let mut met = Met::default();
    for Neighbour { api, object } in neighbours {
        let known = (ring.owner.uid.clone(), api.plural);
        let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), &ring.namespace, &api.resource());
        let done = match object {
            Some(object) => {
                absent.known().remove(&known);
                apply(&objects, ring, &object).await
            }
            None if absent.known().contains(&known) => continue,
            None => match remove(&objects, ring).await {
                Ok(()) => {
                    absent.known().insert(known);
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        match done {
            Ok(true) => served.note(api),
            Ok(false) => met.missing.push(api),
            Err(error) => met.failures.push(Failure { object: format!("{} {}", api.kind, ring.name), error }),
        }
    }
    met
}

/// Whether there is such an API.
async fn apply(objects: &Api<DynamicObject>, ring: &ValidatedRing, object: &DynamicObject) -> Result<bool, Error> {
    let name = object.name_any();
    let present = found(objects.get_metadata(&name).await)?;
    if present.is_some_and(|present| !controlled_by(&present.metadata, Some(&ring.owner.uid))) {
        return Err(Error::NameTaken);
    }
    // What is applied need not be there before, so it can only be the API that is not found.
    Ok(found(objects.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await)?.is_some())
}

async fn remove(objects: &Api<DynamicObject>, ring: &ValidatedRing) -> Result<(), Error> {
    let Some(present) = found(objects.get_metadata(&ring.name).await)? else { return Ok(()) };
    if !controlled_by(&present.metadata, Some(&ring.owner.uid)) {
        return Ok(());
    }
    let exactly = Preconditions { uid: present.metadata.uid, resource_version: None };
    let how = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default() };
    Ok(found(objects.delete(&ring.name, &how).await).map(drop)?)
}

/// An answer, or `None` where there is no such object or no such API. Of a path that a server does not know it says so in plain text,
/// which is known by its code alone.
fn found<T>(answer: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match answer {
        Err(kube::Error::Api(refusal)) if refusal.code == 404 => Ok(None),
        other => other.map(Some),
    }
}
