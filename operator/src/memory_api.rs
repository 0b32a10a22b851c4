//! An API server in memory, for tests: as much of reading, creating, applying, patching and deleting as reconciles use.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};

/// The server; a clone is the same one. Objects stand under the paths of their requests.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    forbidden: BTreeSet<String>,
    unserved: BTreeSet<String>,
    writes: Vec<String>,
    events: Vec<String>,
}

impl Server {
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.expect("a body in memory");
                let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
                let type_ = parts.headers.get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
                let (code, answer) = server.answer(&parts.method, parts.uri.path(), sent, type_);
                let bytes = serde_json::to_vec(&answer).expect("JSON");
                Ok::<_, Infallible>(Response::builder().status(code).body(Body::from(bytes)).expect("a response"))
            }
        });
        Client::new(service, "web")
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.state().objects.insert(path.to_owned(), object);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.state().objects.get(path).cloned()
    }

    /// Changes an object as its user would.
    pub(crate) fn edit(&self, path: &str, patch: &Value) {
        merge(self.state().objects.get_mut(path).expect("an object"), patch);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.state().objects.remove(path);
    }

    /// Refuses every patch of a path from now on.
    pub(crate) fn forbid(&self, path: &str) {
        self.state().forbidden.insert(path.to_owned());
    }

    /// Knows no path with this in it, or knows it (again).
    pub(crate) fn serve(&self, group: &str, is_served: bool) {
        let mut state = self.state();
        if is_served {
            state.unserved.remove(group)
        } else {
            state.unserved.insert(group.to_owned())
        };
    }

    /// Paths written since the last call, in order; events are not among them.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.state().writes)
    }

    /// Reasons of the events since the last call, in order.
    pub(crate) fn take_events(&self) -> Vec<String> {
        std::mem::take(&mut self.state().events)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }

    fn answer(&self, method: &Method, path: &str, sent: Value, type_: &str) -> (StatusCode, Value) {
        let mut state = self.state();
        if state.unserved.iter().any(|group| path.contains(group.as_str())) {
            // In plain text, unlike of an object that is not there.
            return (StatusCode::NOT_FOUND, json!("404 page not found"));
        }
        match *method {
            Method::GET if is_collection(path) => {
                let inside = format!("{path}/");
                let items: Vec<&Value> =
                    state.objects.iter().filter(|(name, _)| name.starts_with(&inside)).map(|(_, it)| it).collect();
                (StatusCode::OK, json!({ "metadata": {}, "items": items }))
            }
            Method::GET => state.objects.get(path).cloned().map_or_else(absent, |object| (StatusCode::OK, object)),
            Method::POST if path.ends_with("/events") => {
                state.events.push(sent["reason"].as_str().unwrap_or_default().to_owned());
                (StatusCode::CREATED, sent)
            }
            Method::POST => state.create(path, sent),
            Method::PATCH if state.forbidden.contains(path) => failure(StatusCode::FORBIDDEN, "Forbidden"),
            Method::PATCH if type_ == "application/merge-patch+json" => state.merge(path, &sent),
            Method::PATCH if type_ == "application/json-patch+json" => state.write_status(path, &sent),
            Method::PATCH => state.apply(path, sent),
            Method::DELETE => state.delete(path, &sent),
            _ => failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }
}

impl State {
    fn create(&mut self, path: &str, mut sent: Value) -> (StatusCode, Value) {
        let name = format!("{path}/{}", sent["metadata"]["name"].as_str().expect("a name"));
        if self.objects.contains_key(&name) {
            return failure(StatusCode::CONFLICT, "AlreadyExists");
        }
        self.writes.push(path.to_owned());
        sent["metadata"]["uid"] = json!(format!("uid-of-{name}"));
        self.objects.insert(name, sent.clone());
        (StatusCode::CREATED, sent)
    }

    fn merge(&mut self, path: &str, sent: &Value) -> (StatusCode, Value) {
        self.writes.push(path.to_owned());
        let Some(object) = self.objects.get_mut(path) else { return absent() };
        merge(object, sent);
        let merged = object.clone();
        let is_let_go = merged["metadata"]["deletionTimestamp"].is_string() && finalizers(&merged) == 0;
        if is_let_go {
            self.objects.remove(path);
        }
        (StatusCode::OK, merged)
    }

    fn apply(&mut self, path: &str, sent: Value) -> (StatusCode, Value) {
        self.writes.push(path.to_owned());
        self.objects.insert(path.to_owned(), sent.clone());
        (StatusCode::OK, sent)
    }

    /// RFC 6902, as far as a status is written with it: whose it is, and all of it.
    fn write_status(&mut self, path: &str, sent: &Value) -> (StatusCode, Value) {
        self.writes.push(path.to_owned());
        let object = path.strip_suffix("/status").and_then(|owner| self.objects.get_mut(owner));
        let Some(object) = object else { return absent() };
        if object["metadata"]["uid"] != sent[0]["value"] {
            return failure(StatusCode::CONFLICT, "Conflict");
        }
        object["status"] = sent[1]["value"].clone();
        (StatusCode::OK, object.clone())
    }

    fn delete(&mut self, path: &str, sent: &Value) -> (StatusCode, Value) {
        self.writes.push(path.to_owned());
        let Some(object) = self.objects.get_mut(path) else { return absent() };
        let wanted = &sent["preconditions"]["uid"];
        if wanted.is_string() && *wanted != object["metadata"]["uid"] {
            return failure(StatusCode::CONFLICT, "Conflict");
        }
        if finalizers(object) > 0 {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            return (StatusCode::OK, object.clone());
        }
        (StatusCode::OK, self.objects.remove(path).unwrap_or_default())
    }
}

/// RFC 7396.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            object.as_object_mut().expect("made so above").remove(key);
        } else {
            merge(&mut object[key.as_str()], value);
        }
    }
}

fn finalizers(object: &Value) -> usize {
    object["metadata"]["finalizers"].as_array().map_or(0, Vec::len)
}

/// `.../namespaces/web/pods`, and not `.../namespaces/web/pods/main-0`.
fn is_collection(path: &str) -> bool {
    let inside = path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/'));
    inside.is_some_and(|(_, kind)| !kind.contains('/'))
}

fn absent() -> (StatusCode, Value) {
    failure(StatusCode::NOT_FOUND, "NotFound")
}

fn failure(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": format!("the request was refused: {reason}"),
    });
    (code, status)
}
