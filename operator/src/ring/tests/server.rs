//! An API server in memory: as much of GET and of server-side apply as a reconcile uses.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    forbidden: BTreeSet<String>,
    writes: Vec<String>,
}

impl Server {
    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.expect("a body in memory");
                let (code, answer) = server.answer(&parts.method, parts.uri.path(), &body);
                let bytes = serde_json::to_vec(&answer).expect("JSON");
                Ok::<_, Infallible>(Response::builder().status(code).body(Body::from(bytes)).expect("a response"))
            }
        });
        Client::new(service, "web")
    }

    pub(super) fn put(&self, path: &str, object: Value) {
        self.state().objects.insert(path.to_owned(), object);
    }

    pub(super) fn get(&self, path: &str) -> Option<Value> {
        self.state().objects.get(path).cloned()
    }

    pub(super) fn remove(&self, path: &str) {
        self.state().objects.remove(path);
    }

    /// Refuses every write to a path from now on.
    pub(super) fn forbid(&self, path: &str) {
        self.state().forbidden.insert(path.to_owned());
    }

    /// Paths written since the last call, in order.
    pub(super) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.state().writes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        let mut state = self.state();
        match *method {
            Method::GET => state
                .objects
                .get(path)
                .cloned()
                .map_or_else(|| failure(StatusCode::NOT_FOUND, "NotFound"), |object| (StatusCode::OK, object)),
            Method::PATCH if state.forbidden.contains(path) => failure(StatusCode::FORBIDDEN, "Forbidden"),
            Method::PATCH => {
                state.writes.push(path.to_owned());
                let sent: Value = serde_json::from_slice(body).expect("JSON");
                let Some(owner) = path.strip_suffix("/status") else {
                    state.objects.insert(path.to_owned(), sent.clone());
                    return (StatusCode::OK, sent);
                };
                let object = state.objects.get_mut(owner).expect("a status belongs to an object");
                object["status"] = sent["status"].clone();
                (StatusCode::OK, object.clone())
            }
            _ => failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }
}

fn failure(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": format!("the request was refused: {reason}"),
    });
    (code, status)
}
