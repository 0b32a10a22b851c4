//! Watches the objects that other controllers work on, as far as the cluster knows such objects.
//!
//! A watch of an API that is not there fails for ever, so one is begun only when a ring has an object of that API. From then on a
//! change of any such object is news for the ring that owns it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use scrapering_crds::ScrapeRing;
use tokio::sync::watch;

use super::build::OptionalApi;
use crate::scope::Scope;

/// The optional APIs that are known to be served. A cheap clone.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<watch::Sender<BTreeSet<&'static OptionalApi>>>);

impl Served {
    /// An object of this API was taken by the server.
    pub fn note(&self, api: &'static OptionalApi) {
        self.0.send_if_modified(|known| known.insert(api));
    }

    /// Each API once, as soon as it is known.
    fn each(&self) -> impl Stream<Item = &'static OptionalApi> + use<> {
        let begin = (self.0.subscribe(), BTreeSet::new());
        stream::unfold(begin, |(mut known, mut told)| async {
            loop {
                let next = known.borrow_and_update().difference(&told).next().copied();
                if let Some(api) = next {
                    told.insert(api);
                    return Some((api, (known, told)));
                }
                known.changed().await.ok()?;
            }
        })
    }

    /// The names and namespaces of the rings whose objects change within `scope`.
    pub fn changes<K>(&self, scope: Scope, selector: watcher::Config) -> BoxStream<'static, ObjectRef<K>>
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        self.each().flat_map_unordered(None, move |api| changes_of(&scope, &selector, api)).boxed()
    }
}

fn changes_of<K>(
    scope: &Scope,
    selector: &watcher::Config,
    api: &'static OptionalApi,
) -> BoxStream<'static, ObjectRef<K>>
where
    K: Resource<DynamicType = ()> + 'static,
{
    tracing::info!(kind = api.kind, "objects of this kind are watched from now on");
    let events = watcher(scope.metadata(&api.resource()), selector.clone());
    let touched = events.default_backoff().touched_objects();
    let owners = touched.filter_map(move |object| async move {
        match object {
            Ok(object) => owner(&object),
            Err(error) => {
                tracing::warn!(kind = api.kind, %error, "a watch failed and is begun again");
                None
            }
        }
    });
    owners.boxed()
}

/// The ring that controls an object.
fn owner<K: Resource<DynamicType = ()>>(object: &impl Resource) -> Option<ObjectRef<K>> {
    let ring = object.owner_references().iter().find(|owner| {
        owner.controller == Some(true)
            && owner.kind == ScrapeRing::kind(&())
            && owner.api_version == ScrapeRing::api_version(&())
    })?;
    Some(ObjectRef::new(&ring.name).within(&object.namespace()?))
}

#[cfg(test)]
mod tests {
    use kube::api::ObjectMeta;
    use serde_json::{Value, json};

    use super::*;
    use crate::ring::build::CERTIFICATE;

    #[tokio::test]
    async fn an_api_is_told_once_to_whoever_listens_before_and_after() {
        let served = Served::default();
        let mut early = Box::pin(served.each());
        served.note(&CERTIFICATE);
        served.note(&CERTIFICATE);
        let mut late = Box::pin(served.each());
        for each in [&mut early, &mut late] {
            assert_eq!(each.next().await, Some(&CERTIFICATE));
            assert!(futures::poll!(each.next()).is_pending(), "it is told twice");
        }
    }

    fn owned_by(owners: Value) -> Option<String> {
        let metadata: ObjectMeta = serde_json::from_value(json!({
            "name": "main", "namespace": "web", "ownerReferences": owners,
        }))
        .expect("metadata");
        let object = k8s_openapi::api::core::v1::ConfigMap { metadata, ..Default::default() };
        let ring: ObjectRef<ScrapeRing> = owner(&object)?;
        Some(format!("{}/{}", ring.namespace.unwrap_or_default(), ring.name))
    }

    #[test]
    fn a_change_is_news_for_the_ring_that_controls_the_object_and_for_no_other() {
        let by = |version: &str, kind: &str, controller: bool| json!([{ "apiVersion": version, "kind": kind, "name": "main", "uid": "1", "controller": controller }]);
        let own = scrapering_crds::API_VERSION;
        assert_eq!(owned_by(by(own, "ScrapeRing", true)).as_deref(), Some("web/main"));
        for other in [json!([]), by(own, "ScrapeRing", false), by(own, "ScrapeJob", true), by("v1", "ScrapeRing", true)]
        {
            assert_eq!(owned_by(other.clone()), None, "{other}");
        }
    }
}
