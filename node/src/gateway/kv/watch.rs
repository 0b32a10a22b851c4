//! Watching over HTTP: server-sent events (HTML standard, section 9.2) `put`, `delete`, `reset`, `synced`.
//!
//! What is there at the beginning comes first, as `put`, up to `synced`. The id of an event goes into
//! `Last-Event-ID` of the next request, at any node.

use super::KvItem;
use super::headers::{one, wrong};
use crate::auth::Tenant;
use crate::gateway::openapi::{Input, Operation, Parameter, text};
use crate::gateway::problem::{Kind, Problem};
use crate::kv::{Event, Kv, Mark, MarkError, Watched};
use axum::extract::FromRequestParts;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::HeaderName;
use http::request::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Silence after which a comment is sent: keeps proxies awake, and notices that nobody listens any more.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `Last-Event-ID`, if the watcher comes back.
pub(in crate::gateway) struct LastEvent(pub(in crate::gateway) Option<Mark>);

impl<S: Send + Sync> FromRequestParts<S> for LastEvent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = one(&parts.headers, &LAST_EVENT_ID)?.filter(|text| !text.is_empty());
        let mark = text.map(|text| text.parse()).transpose();
        mark.map(Self).map_err(|error: MarkError| wrong(&LAST_EVENT_ID, &format!("is wrong: {error}")))
    }
}

impl Input for LastEvent {
    fn describe(operation: &mut Operation) {
        let says = "The id of the last event that was seen; a watch goes on from there, at any node.";
        operation.take(Parameter::header("last-event-id", says, text));
        operation.may_fail(&[Kind::InvalidHeader]);
    }
}

/// The data of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum KvEvent {
    /// Of `put`: the key holds a value.
    Put(KvItem),
    /// Of `delete`: the key holds nothing any more.
    Delete {
        /// The key.
        key: String,
        /// The version that removed it, if it is still known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// Of `reset` (forget everything) and `synced` (everything that was there at the beginning has been told).
    Nothing {},
}

/// Answers with the events of a watch.
pub(super) async fn events(
    kv: &Kv,
    tenant: &Tenant,
    watched: Watched,
    last: Option<Mark>,
) -> Result<Response, Problem> {
    let watch = kv.watch(tenant, watched, last).await?;
    let events = stream::unfold(watch, |mut watch| async move {
        let (event, mark) = watch.next().await?;
        Some((Ok::<_, Infallible>(sent(event, mark)), watch))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn sent(event: Event, mark: Mark) -> sse::Event {
    let (name, data) = match event {
        Event::Put(item) => ("put", KvEvent::Put(item.into())),
        Event::Delete { key, version } => ("delete", KvEvent::Delete { key, version }),
        Event::Reset => ("reset", KvEvent::Nothing {}),
        Event::Synced => ("synced", KvEvent::Nothing {}),
    };
    let data = serde_json::to_string(&data).expect("texts and numbers always become JSON");
    sse::Event::default().event(name).id(mark.to_string()).data(data)
}
