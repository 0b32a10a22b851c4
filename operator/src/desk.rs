//! What the reconciles of one controller share: the client, the counts, the pauses after failures, and the voice.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::metrics::Metrics;
use crate::retries::Retries;
use crate::ring::MANAGER;

/// Longest note of an event that a server takes.
const NOTE_MAX: usize = 1024;

/// What the reconciles of one kind of object share.
pub(crate) struct Desk {
    pub(crate) client: Client,
    kind: &'static str,
    retries: Retries,
    recorder: Recorder,
    metrics: Metrics,
}

impl Desk {
    /// A desk for objects of this kind.
    pub(crate) fn new(client: Client, kind: &'static str, metrics: Metrics) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: None };
        Self { recorder: Recorder::new(client.clone(), reporter), client, kind, retries: Retries::default(), metrics }
    }

    /// Counts a reconcile that begins.
    pub(crate) fn begun(&self) {
        self.metrics.reconciled(self.kind);
    }

    /// Forgets that the object failed before.
    pub(crate) fn succeeded(&self, object: &impl ResourceExt) {
        self.retries.succeeded(&key(object));
    }

    /// Counts a reconcile that failed, and says when the next one is due.
    pub(crate) fn failed(&self, object: &impl ResourceExt) -> Action {
        self.metrics.failed(self.kind);
        Action::requeue(self.retries.failed(&key(object)))
    }

    /// Writes an object's status whole; nothing happens to one that is gone, or to another one of its name.
    ///
    /// Not applied: what others have written into it would stay, and half of theirs beside half of ours may be
    /// something that the schema refuses for ever.
    pub(crate) async fn write_status<K>(&self, object: &K, status: &impl Serialize) -> Result<(), kube::Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let change = json!([
            { "op": "replace", "path": "/metadata/uid", "value": object.meta().uid },
            { "op": "add", "path": "/status", "value": status },
        ]);
        let change = Patch::<()>::Json(serde_json::from_value(change).map_err(kube::Error::SerdeError)?);
        let by = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match objects.patch_status(&object.name_any(), &by, &change).await {
            Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Tells the people who watch an object. An event that is lost is a pity and no fault: the status says the same.
    pub(crate) async fn publish<K>(&self, object: &K, event: &Event)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        if let Err(error) = self.recorder.publish(event, &object.object_ref(&())).await {
            tracing::debug!(object = key(object), kind = self.kind, %error, "an event could not be told");
        }
    }

    /// The same in a word and a note.
    pub(crate) async fn tell<K>(&self, object: &K, type_: EventType, reason: &str, note: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note.chars().take(NOTE_MAX).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        self.publish(object, &event).await;
    }
}

/// An object as logs name it.
pub(crate) fn key(object: &impl ResourceExt) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}
