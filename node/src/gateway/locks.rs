//! Locks over HTTP: acquire, renew, release, show. The token of the answer is what the guarded thing must check.

use super::GatewayState;
use super::access::Access;
use super::kv::{CHANGE, KeyPath, LOOK, OperationHeader, change_problem, parameters};
use super::openapi::Parameter;
use super::problem::{BadField, Kind, Problem};
use super::routes::Route;
use crate::auth::{Caller, Scope};
use crate::locks::{Held, LockError};
use axum::body::{self, Body};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::RETRY_AFTER;
use http::{Method, StatusCode, Uri};
use schemars::{JsonSchema, json_schema};
use scrapering_core::id::OperationId;
use scrapering_core::lock::Claim;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Most bytes of a request's body.
const BODY_BYTES_MAX: usize = 4096;

const READ: Access = Access::Needs(Scope::KvRead);
const WRITE: Access = Access::Needs(Scope::KvWrite);
/// How a body can be wrong.
const BODY: [Kind; 3] = [Kind::BodyTooLarge, Kind::MalformedBody, Kind::InvalidLock];

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    let path = "/v1/locks/{*key}";
    vec![
        Route::new(Method::POST, path, WRITE, acquire)
            .named("acquireLock", "Takes a lock that nobody holds.")
            .reads("Who takes it and for how long.", &["application/json"], |_| {
                json_schema!({
                    "type": "object",
                    "properties": {
                        "ttlSeconds": {"type": "integer", "minimum": Claim::MIN_TTL.as_secs(), "maximum": Claim::MAX_TTL.as_secs()},
                        "owner": {"type": "string", "minLength": 1, "maxLength": Claim::MAX_OWNER_BYTES},
                    },
                    "required": ["ttlSeconds"],
                    "additionalProperties": false,
                })
            })
            .answers::<LockObject>(StatusCode::CREATED, "The lock is held, until its time to live is over or it is released.")
            .may_fail(&CHANGE[1..])
            .may_fail(&BODY)
            .may_fail(&[Kind::LockHeld]),
        Route::new(Method::PUT, path, WRITE, renew)
            .named("renewLock", "Holds a lock for another time to live.")
            .reads("The token that the lock was given with.", &["application/json"], |_| {
                json_schema!({
                    "type": "object",
                    "properties": {"token": {"type": "integer", "minimum": 0}},
                    "required": ["token"],
                    "additionalProperties": false,
                })
            })
            .answers::<LockObject>(StatusCode::OK, "The lock is still held.")
            .may_fail(&CHANGE[1..])
            .may_fail(&BODY)
            .may_fail(&[Kind::LockLost]),
        Route::new(Method::DELETE, path, WRITE, release)
            .named("releaseLock", "Gives a lock back.")
            .takes(
                Parameter::query("token", "The token that the lock was given with.", |_| {
                    json_schema!({"type": "integer", "minimum": 0})
                })
                .required(),
            )
            .answers_nothing(StatusCode::NO_CONTENT, "Nobody holds the lock.")
            .may_fail(&CHANGE[1..])
            .may_fail(&[Kind::InvalidParameter, Kind::LockLost]),
        Route::new(Method::GET, path, READ, show)
            .named("readLock", "Shows who holds a lock.")
            .answers::<LockObject>(StatusCode::OK, "The lock.")
            .may_fail(&LOOK)
            .may_fail(&[Kind::LockNotHeld]),
    ]
}

/// A lock, as it is sent and read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockObject {
    /// Its name.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// The holder's token: grows with every change of the lock.
    pub token: u64,
    /// How long it is held after its last change, seconds.
    pub ttl_seconds: u64,
    /// For how long the node that answers has seen it unchanged, seconds.
    pub unchanged_seconds: u64,
}

impl LockObject {
    fn of(name: &str, held: Held) -> Self {
        Self {
            name: name.to_owned(),
            owner: held.owner,
            token: held.token,
            ttl_seconds: held.ttl.as_secs(),
            unchanged_seconds: held.unchanged.as_secs(),
        }
    }
}

/// `POST /v1/locks/{name}`
pub(super) async fn acquire(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(name): KeyPath,
    OperationHeader(operation): OperationHeader,
    request_body: Body,
) -> Result<Response, Problem> {
    let claim = claim(&json(request_body).await?, &caller.subject)?;
    let token = state.locks.acquire(&caller.tenant, &name, &claim, operation).await;
    let token = token.map_err(|error| lock_problem(error, operation))?;
    let (ttl, unchanged) = (claim.ttl(), Duration::ZERO);
    let held = Held { owner: claim.owner, ttl, token, unchanged, operation };
    Ok((StatusCode::CREATED, Json(LockObject::of(name.as_str(), held))).into_response())
}

/// `PUT /v1/locks/{name}`
pub(super) async fn renew(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(name): KeyPath,
    OperationHeader(operation): OperationHeader,
    request_body: Body,
) -> Result<Json<LockObject>, Problem> {
    let body = json(request_body).await?;
    let token = fields(&body, &["token"])?.get("token").and_then(Value::as_u64);
    let token = token.ok_or_else(|| invalid("token", "must be the number that the lock was given with"))?;
    let renewed = state.locks.renew(&caller.tenant, &name, token, operation).await;
    let held = renewed.map_err(|error| lock_problem(error, operation))?;
    Ok(Json(LockObject::of(name.as_str(), held)))
}

/// `DELETE /v1/locks/{name}?token=`
pub(super) async fn release(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(name): KeyPath,
    OperationHeader(operation): OperationHeader,
    uri: Uri,
) -> Result<StatusCode, Problem> {
    let given = parameters(uri.query().unwrap_or_default(), &["token"])?;
    let token = given.get("token").and_then(|token| token.parse().ok()).ok_or_else(|| {
        Problem::new(Kind::InvalidParameter, "write ?token=TOKEN with the number that the lock was given with")
    })?;
    let released = state.locks.release(&caller.tenant, &name, token, operation).await;
    released.map(|()| StatusCode::NO_CONTENT).map_err(|error| lock_problem(error, operation))
}

/// `GET /v1/locks/{name}`
pub(super) async fn show(
    State(state): State<GatewayState>,
    Extension(caller): Extension<Caller>,
    KeyPath(name): KeyPath,
) -> Result<Json<LockObject>, Problem> {
    let held = state.locks.show(&caller.tenant, &name).await?;
    let free = || Problem::new(Kind::LockNotHeld, format!("nobody holds the lock {name}"));
    held.map(|held| Json(LockObject::of(name.as_str(), held))).ok_or_else(free)
}

/// The problem of a change, with what the caller needs to go on.
fn lock_problem(error: LockError, operation: OperationId) -> Problem {
    let detail = error.to_string();
    match error {
        LockError::Held(held) => {
            let wait = held.ttl.saturating_sub(held.unchanged).as_millis().div_ceil(1000).max(1);
            Problem::new(Kind::LockHeld, detail).with(RETRY_AFTER, &wait.to_string())
        }
        LockError::Lost { .. } => Problem::new(Kind::LockLost, detail),
        LockError::Kv(error) => change_problem(error, operation),
    }
}

async fn json(request_body: Body) -> Result<Value, Problem> {
    let bytes = body::to_bytes(request_body, BODY_BYTES_MAX)
        .await
        .map_err(|_| Problem::new(Kind::BodyTooLarge, format!("the body may have {BODY_BYTES_MAX} bytes")))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::new(Kind::MalformedBody, format!("the body is not JSON: {error}")))
}

fn claim(body: &Value, subject: &str) -> Result<Claim, Problem> {
    let fields = fields(body, &["ttlSeconds", "owner"])?;
    let ttl = fields.get("ttlSeconds").and_then(Value::as_u64).map(Duration::from_secs);
    let (min, max) = (Claim::MIN_TTL, Claim::MAX_TTL);
    let ttl = ttl.filter(|ttl| (min..=max).contains(ttl)).ok_or_else(|| {
        invalid("ttlSeconds", &format!("must be a number from {} to {}", min.as_secs(), max.as_secs()))
    })?;
    let owner = match fields.get("owner") {
        None => subject.chars().take(Claim::MAX_OWNER_BYTES / 4).collect(),
        Some(Value::String(owner)) if !owner.is_empty() && owner.len() <= Claim::MAX_OWNER_BYTES => owner.clone(),
        Some(_) => {
            return Err(invalid("owner", &format!("must be a text of 1 to {} bytes", Claim::MAX_OWNER_BYTES)));
        }
    };
    Ok(Claim { owner, ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX) })
}

fn fields<'body>(body: &'body Value, known: &[&str]) -> Result<&'body serde_json::Map<String, Value>, Problem> {
    let fields = body.as_object().ok_or_else(|| invalid(".", "must be an object"))?;
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let error = BadField::below(&[name], format!("is not known here; there are {}", known.join(", ")));
            Err(Problem::of_fields(Kind::InvalidLock, vec![error]))
        }
        None => Ok(fields),
    }
}

fn invalid(path: &str, message: &str) -> Problem {
    Problem::of_fields(Kind::InvalidLock, vec![BadField::at_path(path, message)])
}
