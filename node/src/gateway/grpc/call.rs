//! One gRPC call as one HTTP request inside the process, and its answer as the answer of the call.

use super::super::ProblemBody;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{AUTHORIZATION, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use scrapering_proto::gateway::v1::{DeleteValueRequest, Document, Done, Written};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status};
use tower::ServiceExt;
use url::form_urlencoded;

/// Where a refused call carries its problem body.
const PROBLEM: &str = "problem-bin";
/// The token's place in metadata.
const TOKEN: &str = "authorization";
/// The trace's place in metadata and headers (W3C Trace Context).
const TRACE: &str = "traceparent";

/// The doors over HTTP, as they are behind TLS.
#[derive(Clone)]
pub(super) struct Doors(Router);

/// A request in the making.
#[derive(Clone)]
pub(super) struct Call {
    doors: Doors,
    headers: HeaderMap,
    /// The first header that cannot be sent, in words.
    fault: Option<String>,
}

impl Doors {
    pub(super) fn new(rest: Router) -> Self {
        Self(rest)
    }

    /// Begins a request on behalf of whoever calls.
    pub(super) fn call<T>(&self, request: Request<T>) -> Result<(Call, T), Status> {
        let mut headers = HeaderMap::new();
        for token in request.metadata().get_all(TOKEN) {
            let value = HeaderValue::from_bytes(token.as_encoded_bytes());
            headers.append(AUTHORIZATION, value.map_err(|_| Status::unauthenticated("the token cannot be read"))?);
        }
        // The trace that the caller continues goes on inside.
        if let Some(trace) = request.metadata().get(TRACE)
            && let Ok(trace) = HeaderValue::from_bytes(trace.as_encoded_bytes())
        {
            headers.insert(TRACE, trace);
        }
        Ok((Call { doors: self.clone(), headers, fault: None }, request.into_inner()))
    }
}

impl Doors {
    /// Asks for the document at a path.
    pub(super) async fn ask<T>(
        &self,
        request: Request<T>,
        method: Method,
        place: impl FnOnce(T) -> String,
    ) -> Result<Response<Document>, Status> {
        let (call, asked) = self.call(request)?;
        document(call.send(method, &place(asked), "").await?).await
    }

    /// Reads the document at a path.
    pub(super) async fn read<T>(
        &self,
        request: Request<T>,
        place: impl FnOnce(T) -> String,
    ) -> Result<Response<Document>, Status> {
        self.ask(request, Method::GET, place).await
    }

    /// Removes what is at a path.
    pub(super) async fn remove<T>(
        &self,
        request: Request<T>,
        place: impl FnOnce(T) -> String,
    ) -> Result<Response<Done>, Status> {
        let (call, asked) = self.call(request)?;
        done(call.send(Method::DELETE, &place(asked), "").await?)
    }

    /// Removes what is named, if a version is given only from that version.
    pub(super) async fn delete(
        &self,
        base: &str,
        request: Request<DeleteValueRequest>,
    ) -> Result<http::Response<Body>, Status> {
        let (call, DeleteValueRequest { key, version, operation_id }) = self.call(request)?;
        let call = match version {
            Some(version) => call.only_version(version),
            None => call,
        };
        call.optional("operation-id", &operation_id).send(Method::DELETE, &path(base, &key, ""), "").await
    }
}

impl Call {
    /// Changes only what is in this version.
    pub(super) fn only_version(self, version: u64) -> Self {
        self.header(IF_MATCH, &format!("\"{version}\""))
    }

    /// Changes only what is in this version; 0 is any.
    pub(super) fn any_or_version(self, version: u64) -> Self {
        if version == 0 { self } else { self.only_version(version) }
    }

    /// Changes only what is not there.
    pub(super) fn only_if_absent(self, absent: bool) -> Self {
        if absent {
            return self.header(IF_NONE_MATCH, "*");
        }
        let fault = "absent is true or left out: a name cannot be asked to be there".to_owned();
        Self { fault: Some(fault), ..self }
    }

    /// With a header.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(name, value);
            }
            Err(_) => self.fault = Some(format!("{name} may hold visible ASCII only")),
        }
        self
    }

    /// With a header, unless it would be empty.
    pub(super) fn optional(self, name: &'static str, value: &str) -> Self {
        if value.is_empty() { self } else { self.header(HeaderName::from_static(name), value) }
    }

    /// Sends it; an answer that is no success is the status of the call.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Body>,
    ) -> Result<http::Response<Body>, Status> {
        if let Some(fault) = &self.fault {
            return Err(Status::invalid_argument(fault));
        }
        let mut request = http::Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| Status::invalid_argument("a name is too long, or no text"))?;
        *request.headers_mut() = self.headers.clone();
        let Ok(answer) = self.doors.0.clone().oneshot(request).await;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer).await) }
    }
}

async fn refusal(answer: http::Response<Body>) -> Status {
    let status = answer.status();
    let text = body(answer).await.unwrap_or_default();
    let problem: Option<ProblemBody> = serde_json::from_slice(&text).ok();
    let code = match (status.as_u16(), problem.as_ref().map(ProblemBody::slug)) {
        (504, Some("outcome-unknown")) => Code::Unknown,
        (400 | 413 | 415 | 422, _) => Code::InvalidArgument,
        (401, _) => Code::Unauthenticated,
        (403, _) => Code::PermissionDenied,
        (404, _) => Code::NotFound,
        (409 | 412, _) => Code::FailedPrecondition,
        (429 | 507, _) => Code::ResourceExhausted,
        (503, _) => Code::Unavailable,
        (504, _) => Code::DeadlineExceeded,
        _ => Code::Internal,
    };
    let mut metadata = MetadataMap::new();
    metadata.insert_bin(PROBLEM, MetadataValue::from_bytes(&text));
    let words = problem.map_or_else(|| format!("status {status}"), |problem| problem.detail);
    Status::with_metadata(code, words, metadata)
}

/// The whole body of an answer.
pub(super) async fn body(answer: http::Response<Body>) -> Result<Bytes, Status> {
    let whole = answer.into_body().collect().await;
    whole.map(|whole| whole.to_bytes()).map_err(|_| Status::unavailable("the answer ended too early; ask again"))
}

/// The body as a document.
pub(super) async fn document(answer: http::Response<Body>) -> Result<Response<Document>, Status> {
    let json = String::from_utf8(body(answer).await?.to_vec());
    json.map(|json| Response::new(Document { json })).map_err(|_| Status::internal("the document is no text"))
}

/// An answer that says only that it was done.
pub(super) fn done(_: http::Response<Body>) -> Result<Response<Done>, Status> {
    Ok(Response::new(Done {}))
}

/// A header of an answer; empty if it has none.
pub(super) fn header_text(answer: &http::Response<Body>, name: &str) -> String {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The version in the `ETag`; 0 if there is none.
pub(super) fn version(answer: &http::Response<Body>) -> u64 {
    header_text(answer, ETAG.as_str()).trim_matches('"').parse().unwrap_or_default()
}

/// What a change has come to.
pub(super) fn written(answer: &http::Response<Body>) -> Written {
    Written { version: version(answer), operation_id: header_text(answer, "operation-id") }
}

/// The path of what is called `name` below `base`, and `more` behind it.
pub(super) fn path(base: &str, name: &str, more: &str) -> String {
    let escaped: String = name
        .split('/')
        // A plus sign is itself in a path, and a space is not written as one.
        .map(|word| form_urlencoded::byte_serialize(word.as_bytes()).collect::<String>().replace('+', "%20"))
        .collect::<Vec<_>>()
        .join("/");
    format!("{base}/{escaped}{more}")
}

/// A number as a parameter; 0 leaves it out.
pub(super) fn number(limit: u32) -> String {
    if limit == 0 { String::new() } else { limit.to_string() }
}

/// `base` with those parameters that are not empty.
pub(super) fn query(base: &str, parameters: &[(&str, &str)]) -> String {
    let given = parameters.iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_but_for_their_slashes_and_empty_parameters_are_left_out() {
        assert_eq!(path("/v1/kv", "a b/c+d/é", "?x"), "/v1/kv/a%20b/c%2Bd/%C3%A9?x");
        assert_eq!(query("/v1/kv", &[("prefix", "a/b"), ("cursor", "")]), "/v1/kv?prefix=a%2Fb");
        assert_eq!(query("/v1/kv", &[("prefix", "")]), "/v1/kv");
    }
}
