//! Tokens that are taken back before their time: one register of the ring holds their ids, every node follows it.
//!
//! A node that cannot read the list goes on with the last one it read; every node knows of a revocation after a few seconds.

use super::GatewayState;
use super::access::Access;
use super::openapi::{Input, Operation, Parameter};
use super::problem::{Kind, Problem};
use super::routes::Route;
use crate::auth::{LONGEST_TTL, Revoked, Scope, Tenant};
use crate::kv::{Consistency, Kv, KvError, Precondition, Stored};
use axum::extract::{FromRequestParts, Path, State};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use schemars::json_schema;
use scrapering_core::id::OperationId;
use scrapering_core::kv::{UserKey, Value};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two looks at the list.
const LOOK: Duration = Duration::from_secs(3);
/// How often a change is tried against others.
const RACES: usize = 20;
/// Longest id of a token, bytes.
const LONGEST_ID: usize = 256;
/// Most tokens on the list; each leaves it when its time is over.
const MOST: usize = 4_000;

/// Ids of revoked tokens, and until when each must be remembered, seconds since 1970.
type List = BTreeMap<String, u64>;

/// The table of this area.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::DELETE, "/v1/tokens/{id}", Access::Needs(Scope::RingAdmin), revoke)
            .named("revokeToken", "Takes a token back before its time. Every node refuses it after a few seconds.")
            .answers_nothing(StatusCode::NO_CONTENT, "The token is on the list of revoked tokens.")
            .may_fail(&[Kind::Unavailable, Kind::OutcomeUnknown, Kind::Damaged, Kind::Conflict]),
    ]
}

/// The `jti` claim of a token.
pub(super) struct TokenPath(String);

impl<S: Send + Sync> FromRequestParts<S> for TokenPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok().map(|Path(id)| id);
        let id = id.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID && !id.chars().any(char::is_control));
        let wrong = || format!("a token is named by its jti claim, 1 to {LONGEST_ID} bytes without control characters");
        id.map(Self).ok_or_else(|| Problem::new(Kind::InvalidParameter, wrong()))
    }
}

impl Input for TokenPath {
    fn describe(operation: &mut Operation) {
        operation.take(Parameter::path(
            "id",
            "The token's `jti` claim.",
            |_| json_schema!({"type": "string", "minLength": 1, "maxLength": LONGEST_ID}),
        ));
        operation.may_fail(&[Kind::InvalidParameter]);
    }
}

/// `DELETE /v1/tokens/{id}`
pub(super) async fn revoke(State(state): State<GatewayState>, TokenPath(id): TokenPath) -> Result<StatusCode, Problem> {
    for _ in 0..RACES {
        let (mut list, precondition) = read(&state.kv).await?;
        let now = now();
        list.retain(|_, until| *until > now);
        if list.len() >= MOST {
            let detail = format!("{MOST} tokens are revoked already; rotate the key instead: scrapering token rotate");
            return Err(Problem::new(Kind::Conflict, detail));
        }
        list.insert(id.clone(), now + LONGEST_TTL.as_secs());
        let content = Bytes::from(serde_json::to_vec(&list).expect("texts and numbers always become JSON"));
        let value = Value { content_type: "application/json".to_owned(), content };
        let operation = OperationId(rand::random());
        match state.kv.put(&Tenant::ring(), &place(), &value, precondition, operation).await {
            Ok(_) => {
                set(state.verifier.revoked(), list);
                return Ok(StatusCode::NO_CONTENT);
            }
            Err(KvError::Precondition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(KvError::Unavailable.into())
}

/// Keeps `revoked` up to date for ever.
pub(super) async fn follow(kv: &Kv, revoked: &Revoked) {
    let mut is_known = true;
    loop {
        match read(kv).await {
            Ok((list, _)) => {
                set(revoked, list);
                is_known = true;
            }
            Err(error) if is_known => {
                tracing::warn!(%error, "the list of revoked tokens cannot be read; the last one goes on");
                is_known = false;
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn set(revoked: &Revoked, list: List) {
    revoked.set(list.into_keys().collect());
}

async fn read(kv: &Kv) -> Result<(List, Precondition), KvError> {
    match kv.get(&Tenant::ring(), &place(), Consistency::Strong).await? {
        Some(Stored { version, value: Some(value), .. }) => {
            let list = serde_json::from_slice(&value.content).map_err(|_| KvError::Damaged)?;
            Ok((list, Precondition::Version(version)))
        }
        _ => Ok((List::new(), Precondition::Absent)),
    }
}

fn place() -> UserKey {
    "revoked-tokens".parse().expect("it is a key")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
